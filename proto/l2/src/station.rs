//! The door: one node's announcing of addresses, on all its interfaces.
//!
//! The shell calls [`Station::handle_frame`] for what arrives, then [`Station::poll_transmit`]
//! until it yields nothing, then sleeps until [`Station::poll_timeout`] or the next frame. Early or
//! repeated calls do nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use crate::announcer::{Announcer, Place};
use crate::conflict::Guard;
use crate::event::Events;
use crate::requesters::Requesters;
use crate::{Event, Interface, Limits, Mac, Owned, Transmit, responder};

mod hearing;

/// One node's announcing.
#[derive(Debug, Default)]
pub struct Station {
    interfaces: BTreeMap<u32, Interface>,
    owned: BTreeMap<IpAddr, Owned>,
    watched: BTreeSet<IpAddr>,
    peers: BTreeSet<Mac>,
    announcer: Announcer,
    requesters: Requesters,
    guard: Guard,
    events: Events,
}

impl Station {
    /// Owns nothing, announces nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The interfaces that exist and qualify, by index: all of them. One that is new, came up again
    /// or changed its address is announced on anew; a gateway that is new is told of everything.
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
        self.announcer.set_interfaces(&self.interfaces);
        self.reconcile(&changed);
    }

    /// Everything this node owns: all of it. What is new is announced, what is gone is silent, and
    /// what could not be said because ownership had run out is said now.
    pub fn set_owned(&mut self, owned: BTreeMap<IpAddr, Owned>) {
        let before = std::mem::replace(&mut self.owned, owned);
        if !is_announced_alike(&before, &self.owned) {
            let owned = &self.owned;
            self.guard.retain(|address| owned.contains_key(address));
            self.reconcile(&BTreeSet::new());
        }
        self.announcer.resume_all();
    }

    /// Ownership of an address that is owned already lasts until then. What could not be said
    /// because it had run out is said now; whoever wants more calls [`Self::announce_again`].
    pub fn renew(&mut self, address: IpAddr, until: Instant) {
        if let Some(owned) = self.owned.get_mut(&address) {
            owned.until = Some(until);
            self.announcer.resume(address);
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
        self.announcer.set_limits(limits);
    }

    /// Asks once who has `address`, without changing anybody's cache: an ARP probe, or a
    /// solicitation as for duplicate address detection. It leaves out of turn but within the
    /// limits, whoever owns the address; [`Event::Answered`] tells of answers.
    pub fn ask(&mut self, address: IpAddr, interface: u32) {
        if let Some(known) = self.interfaces.get(&interface) {
            self.announcer.ask(address, interface, known);
        }
    }

    /// Asks each gateway of an interface once, without changing its cache for any address that is
    /// announced; [`Event::GatewayAnswered`] tells of answers.
    pub fn ask_gateways(&mut self, interface: u32) {
        if let Some(known) = self.interfaces.get(&interface) {
            self.announcer.ask_gateways(interface, known);
        }
    }

    /// Announces an owned address anew, from the start: after another node announced it, for
    /// example, and lost it (A9). Nothing happens when this node does not own it.
    pub fn announce_again(&mut self, address: IpAddr) {
        let places: Vec<Place> = self.announcer.places().collect();
        for place in places.into_iter().filter(|place| place.0 == address) {
            self.announcer.restart(place);
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
        self.announcer.poll(
            &self.interfaces,
            &self.requesters,
            holds,
            &mut self.events,
            now,
        )
    }

    /// The next thing worth telling.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When [`Self::poll_transmit`] has something to do next, if ever. Meant to be called after that
    /// yielded nothing: a station that was never polled has no time yet.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.announcer.timeout()
    }

    /// Brings what is announced in line with what is owned on interfaces that exist.
    fn reconcile(&mut self, changed: &BTreeSet<u32>) {
        let wanted: BTreeMap<Place, bool> = self
            .owned
            .iter()
            .flat_map(|(address, owned)| {
                let places = owned.interfaces.iter().map(|index| (*address, *index));
                places.map(|place| (place, owned.probe_first))
            })
            .filter(|((_, index), _)| self.interfaces.contains_key(index))
            .collect();
        let held: BTreeSet<Place> = self.announcer.places().collect();
        for gone in held.iter().filter(|place| !wanted.contains_key(place)) {
            self.announcer.release(*gone);
        }
        for (place, probe_first) in wanted {
            if !held.contains(&place) {
                self.announcer.acquire(place, probe_first);
            } else if changed.contains(&place.1) {
                self.announcer.restart(place);
            }
        }
    }
}

/// Whether two wishes differ in nothing but deadlines.
fn is_announced_alike(one: &BTreeMap<IpAddr, Owned>, other: &BTreeMap<IpAddr, Owned>) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one.0 == other.0 && one.1.interfaces == other.1.interfaces)
}

#[cfg(test)]
mod tests;
