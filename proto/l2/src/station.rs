//! The door: one node's announcing of addresses, on all its interfaces.
//!
//! The shell calls [`Station::handle_frame`] for what arrives, then [`Station::poll_transmit`]
//! until it yields nothing, then sleeps until [`Station::poll_timeout`] or the next frame. Early or
//! repeated calls do nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::announcer::{Announcer, Place};
use crate::conflict::{Claim, ClaimKind, Guard};
use crate::requesters::{Requester, Requesters};
use crate::responder::{self, Meaning};
use crate::{Discard, Frame, Mac};

/// An interface to announce on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, for people.
    pub name: String,
    /// What its frames are sent from and addresses are announced at.
    pub mac: Mac,
    /// IPv6 source of advertisements; without one the announced address itself is used.
    pub link_local: Option<Ipv6Addr>,
    /// Next hops on this interface: told first, by a question of their own.
    pub gateways: Vec<IpAddr>,
    /// Grows whenever the interface came up again; everything owned is announced anew (A9).
    pub epoch: u64,
}

/// What this node owns of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Indexes of the interfaces it is announced on.
    pub interfaces: BTreeSet<u32>,
    /// When ownership ends by itself; checked before every frame. None: when told so.
    pub until: Option<Instant>,
    /// Another node is to have it: silent from the moment that a peer announces it, so that nobody
    /// who asks then is told the wrong node.
    pub yields: bool,
}

/// Whom the link layer addressed a frame to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed {
    /// This interface.
    Host,
    /// Everybody, or a group.
    Group,
    /// Somebody else; seen because of promiscuous mode.
    OtherHost,
}

/// A frame as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Interface index.
    pub interface: u32,
    /// Whom it was addressed to.
    pub addressed: Addressed,
    /// It carried a VLAN tag.
    pub tagged: bool,
    /// How long ago the kernel took it from the wire.
    pub age: Duration,
    /// The Ethernet frame, without tag and check sequence.
    pub bytes: &'a [u8],
}

/// A frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Interface index.
    pub interface: u32,
    /// The frame.
    pub frame: Frame,
}

/// Something the operator may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody else claims an address this node owns.
    Claimed(Claim),
}

/// Events waiting to be polled. Full: the newest is dropped; the claim is reported again later.
const EVENTS: usize = 1024;

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
    events: VecDeque<Event>,
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
            events: VecDeque::new(),
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
        self.events.pop_front()
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
        if verdict.report && self.events.len() < EVENTS {
            self.events.push_back(Event::Claimed(claim));
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
