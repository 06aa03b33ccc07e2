//! The door: one node's announcing of addresses, on all its interfaces.
//!
//! The shell calls [`Station::handle_frame`] for what arrives, then [`Station::poll_transmit`]
//! until it yields nothing, then sleeps until [`Station::poll_timeout`] or the next frame. Early or
//! repeated calls do nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use crate::announcer::{Announcer, Place};
use crate::conflict::{Claim, ClaimKind, Guard};
use crate::event::Events;
use crate::requesters::{Requester, Requesters};
use crate::responder::{self, Meaning};
use crate::{Discard, Event, Interface, Limits, Mac, Owned, Received, Transmit};

/// One node's announcing.
#[derive(Debug)]
pub struct Station {
    interfaces: BTreeMap<u32, Interface>,
    owned: BTreeMap<IpAddr, Owned>,
    /// Addresses that a peer has announced since they yield.
    yielded: BTreeSet<IpAddr>,
    watched: BTreeSet<IpAddr>,
    peers: BTreeSet<Mac>,
    announcer: Announcer,
    requesters: Requesters,
    guard: Guard,
    events: Events,
    limits: Limits,
}

impl Default for Station {
    fn default() -> Self {
        Self::new()
    }
}

impl Station {
    /// Owns nothing, announces nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            interfaces: BTreeMap::new(),
            owned: BTreeMap::new(),
            yielded: BTreeSet::new(),
            watched: BTreeSet::new(),
            peers: BTreeSet::new(),
            announcer: Announcer::new(),
            requesters: Requesters::default(),
            guard: Guard::default(),
            events: Events::default(),
            limits: Limits::default(),
        }
    }

    /// The interfaces that exist and qualify, by index: all of them. One that is new, came up again
    /// or changed its address is announced on anew.
    pub fn set_interfaces(&mut self, interfaces: BTreeMap<u32, Interface>) {
        let before = std::mem::replace(&mut self.interfaces, interfaces);
        let changed: BTreeSet<u32> = self
            .interfaces
            .iter()
            .filter(|(index, interface)| {
                before.get(index).is_none_or(|before| {
                    (before.mac, before.link_local, before.epoch)
                        != (interface.mac, interface.link_local, interface.epoch)
                })
            })
            .map(|(index, _)| *index)
            .collect();
        self.reconcile(&changed);
    }

    /// Everything this node owns: all of it. What is new is announced, what is gone is silent.
    pub fn set_owned(&mut self, owned: BTreeMap<IpAddr, Owned>) {
        self.yielded
            .retain(|address| owned.get(address).is_some_and(|owned| owned.yields));
        self.owned = owned;
        self.owned
            .retain(|address, _| !self.yielded.contains(address));
        let owned = &self.owned;
        self.guard.retain(|address| owned.contains_key(address));
        self.reconcile(&BTreeSet::new());
    }

    /// Ownership of an address that is owned already lasts until then.
    pub fn renew(&mut self, address: IpAddr, until: Instant) {
        if let Some(owned) = self.owned.get_mut(&address) {
            owned.until = Some(until);
        }
    }

    /// Addresses this node may come to own: who asks for them is remembered.
    pub fn set_watched(&mut self, watched: BTreeSet<IpAddr>) {
        self.watched = watched;
        let (watched, owned) = (&self.watched, &self.owned);
        self.requesters
            .retain(|address| watched.contains(address) || owned.contains_key(address));
    }

    /// Ethernet addresses of the other nodes of the cluster.
    pub fn set_peers(&mut self, peers: BTreeSet<Mac>) {
        self.peers = peers;
    }

    /// How much may be said on each interface. A change announces everything anew.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Asks once who has `address`, without changing anybody's cache: an ARP probe, or a
    /// solicitation as for duplicate address detection. It leaves out of turn but within the
    /// limits, whoever owns the address; [`Event::Answered`] tells of answers.
    pub fn ask(&mut self, address: IpAddr, interface: u32) {
        let _ = (address, interface);
    }

    /// Asks each gateway of an interface once, without changing its cache for any address that is
    /// announced; [`Event::GatewayAnswered`] tells of answers.
    pub fn ask_gateways(&mut self, interface: u32) {
        let _ = interface;
    }

    /// Announces an owned address anew, from the start: after another node announced it, for
    /// example, and lost it (A9). Nothing happens when this node does not own it.
    pub fn announce_again(&mut self, address: IpAddr) {
        let places: Vec<Place> = self.announcer.places().copied().collect();
        for place in places.into_iter().filter(|place| place.0 == address) {
            self.announcer.acquire(place);
        }
    }

    /// A frame arrived: the answer to send, or why there is none.
    ///
    /// # Errors
    /// The one reason why the frame gets no answer.
    pub fn handle_frame(
        &mut self,
        received: &Received<'_>,
        now: Instant,
    ) -> Result<Transmit, Discard> {
        let interface = self
            .interfaces
            .get(&received.interface)
            .ok_or(Discard::UnknownInterface)?;
        match responder::read(received, interface)? {
            Meaning::Claim { address, mac } => {
                Err(self.handle_claim(address, mac, received.interface, now))
            }
            Meaning::Question {
                address,
                asker,
                asker_mac,
                answer,
            } => {
                if let Some(asker) = asker {
                    self.learn(address, asker, asker_mac, received.interface, now)?;
                }
                self.may_answer(address, received, now)?;
                if asker.is_none() {
                    let (interface, kind) = (received.interface, ClaimKind::Probed);
                    self.report(address, asker_mac, interface, kind, now);
                }
                Ok(Transmit {
                    interface: received.interface,
                    frame: answer,
                })
            }
        }
    }

    /// The next frame to send, if one may leave now.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let owned = &self.owned;
        let holds = |address: &IpAddr| {
            owned
                .get(address)
                .is_some_and(|owned| responder::holds(owned.until, now))
        };
        self.announcer
            .poll(&self.interfaces, &self.requesters, holds, now)
    }

    /// The next thing worth telling.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`Self::poll_transmit`] has something to do next, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.announcer.timeout()
    }

    fn may_answer(
        &self,
        address: IpAddr,
        received: &Received<'_>,
        now: Instant,
    ) -> Result<(), Discard> {
        let owned = self.owned.get(&address).ok_or(Discard::NotOwned)?;
        if !owned.interfaces.contains(&received.interface) {
            return Err(Discard::WrongInterface);
        }
        if !responder::holds(owned.until, now) {
            return Err(Discard::OwnershipExpired);
        }
        if !responder::is_fresh(received) {
            return Err(Discard::Stale);
        }
        Ok(())
    }

    /// Remembers who asks. Whoever asks *from* an owned address claims it.
    fn learn(
        &mut self,
        address: IpAddr,
        asker: IpAddr,
        mac: Mac,
        interface: u32,
        now: Instant,
    ) -> Result<(), Discard> {
        if self.owned.contains_key(&asker) {
            return Err(self.handle_claim(asker, mac, interface, now));
        }
        if self.watched.contains(&address) || self.owned.contains_key(&address) {
            self.requesters.remember(
                address,
                Requester {
                    ip: asker,
                    mac,
                    interface,
                },
                now,
            );
        }
        Ok(())
    }

    fn handle_claim(&mut self, address: IpAddr, mac: Mac, interface: u32, now: Instant) -> Discard {
        let Some(owned) = self.owned.get(&address) else {
            return Discard::NotARequest;
        };
        let ours = self
            .interfaces
            .values()
            .any(|interface| interface.mac == mac);
        if ours || !owned.interfaces.contains(&interface) || !responder::holds(owned.until, now) {
            return Discard::NotARequest;
        }
        let yields = owned.yields && self.peers.contains(&mac);
        self.report(address, mac, interface, ClaimKind::Announced, now);
        if yields {
            self.yielded.insert(address);
            self.owned.remove(&address);
            self.reconcile(&BTreeSet::new());
        }
        Discard::Conflict
    }

    fn report(&mut self, address: IpAddr, mac: Mac, interface: u32, kind: ClaimKind, now: Instant) {
        let claim = Claim {
            address,
            interface,
            mac,
            kind,
            peer: self.peers.contains(&mac),
        };
        let verdict = self.guard.judge(&claim, now);
        if verdict.defend
            && let Some(known) = self.interfaces.get(&interface)
        {
            self.announcer.defend((address, interface), known);
        }
        if verdict.report {
            self.events.push(Event::Claimed(claim));
        }
    }

    /// Brings what is announced in line with what is owned on interfaces that exist.
    fn reconcile(&mut self, changed: &BTreeSet<u32>) {
        let wanted: BTreeSet<Place> = self
            .owned
            .iter()
            .flat_map(|(address, owned)| owned.interfaces.iter().map(|index| (*address, *index)))
            .filter(|(_, index)| self.interfaces.contains_key(index))
            .collect();
        let held: BTreeSet<Place> = self.announcer.places().copied().collect();
        for gone in held.difference(&wanted) {
            self.announcer.release(gone);
        }
        for place in &wanted {
            if !held.contains(place) || changed.contains(&place.1) {
                self.announcer.acquire(*place);
            }
        }
    }
}

#[cfg(test)]
mod tests;
