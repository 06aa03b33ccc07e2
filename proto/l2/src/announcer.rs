//! Telling the LAN unasked: at once on taking an address, then repeated, then now and then for as
//! long as it is held (A4 to A8, A11, N5).
//!
//! Each interface is a [`Lane`] with a budget of its own. What is queued is checked again when it
//! leaves: an address that was lost meanwhile is silent at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::event::Events;
use crate::requesters::Requesters;
use crate::{Interface, Limits, Transmit};

mod act;
mod asked;
mod ladder;
mod lane;
mod perform;
mod queues;
mod speech;

use lane::{Lane, Surroundings};

/// An address on an interface.
pub(crate) type Place = (IpAddr, u32);

/// What is announced, and what is still to be said about it.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    lanes: BTreeMap<u32, Lane>,
    limits: Limits,
    polled: Option<Instant>,
}

impl Announcer {
    /// The interfaces there are. On one that is gone nothing is said any more; a gateway that is
    /// new is told of everything.
    pub(crate) fn set_interfaces(&mut self, interfaces: &BTreeMap<u32, Interface>) {
        self.lanes.retain(|index, _| interfaces.contains_key(index));
        for (index, interface) in interfaces {
            self.lanes
                .entry(*index)
                .or_insert_with(|| Lane::new(*index, self.limits))
                .set_gateways(&interface.gateways);
        }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        if self.limits != limits {
            self.limits = limits;
            for lane in self.lanes.values_mut() {
                lane.set_limits(limits);
            }
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.lanes
            .iter()
            .flat_map(|(index, lane)| lane.addresses().map(|address| (*address, *index)))
    }

    /// Starts from the beginning for a place, whatever was said of it before; with a check whether
    /// somebody else uses it if `probe_first`.
    pub(crate) fn acquire(&mut self, place: Place, probe_first: bool) {
        if let Some(lane) = self.lanes.get_mut(&place.1) {
            lane.acquire(place.0, probe_first);
        }
    }

    /// Starts from the beginning for a place that is held.
    pub(crate) fn restart(&mut self, place: Place) {
        if let Some(lane) = self.lanes.get_mut(&place.1) {
            lane.restart(place.0);
        }
    }

    /// Goes on with what could not be said of an address because ownership had run out.
    pub(crate) fn resume(&mut self, address: IpAddr) {
        for lane in self.lanes.values_mut() {
            lane.resume(address);
        }
    }

    /// As [`Self::resume`], of all addresses.
    pub(crate) fn resume_all(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.resume_all();
        }
    }

    /// Says nothing more about a place.
    pub(crate) fn release(&mut self, place: Place) {
        if let Some(lane) = self.lanes.get_mut(&place.1) {
            lane.release(place.0);
        }
    }

    /// One announcement out of turn, against a foreign claim.
    pub(crate) fn defend(&mut self, place: Place, interface: &Interface) {
        if let Some(lane) = self.lanes.get_mut(&place.1) {
            lane.defend(place.0, interface);
        }
    }

    /// Asks once who has an address, whoever owns it.
    pub(crate) fn ask(&mut self, address: IpAddr, index: u32, interface: &Interface) {
        if let Some(lane) = self.lanes.get_mut(&index) {
            lane.ask(address, interface);
        }
    }

    /// Asks each gateway once.
    pub(crate) fn ask_gateways(&mut self, index: u32, interface: &Interface) {
        if let Some(lane) = self.lanes.get_mut(&index) {
            lane.ask_gateways(interface);
        }
    }

    /// Whether it is not known yet that nobody else uses the address.
    pub(crate) fn is_unproven(&self, place: Place) -> bool {
        self.lanes
            .get(&place.1)
            .is_some_and(|lane| lane.is_unproven(place.0))
    }

    /// Somebody else uses an address that is not proven: it is left alone for a while.
    pub(crate) fn refuse(&mut self, place: Place, now: Instant) {
        if let Some(lane) = self.lanes.get_mut(&place.1) {
            lane.refuse(place.0, now);
        }
    }

    /// `gateway` answered the question on behalf of a place: how long that took, the first time.
    pub(crate) fn acknowledge(
        &mut self,
        place: Place,
        gateway: IpAddr,
        at: Instant,
    ) -> Option<Duration> {
        let lane = self.lanes.get_mut(&place.1)?;
        lane.acknowledge(place.0, gateway, at)
    }

    /// Whether [`Self::ask`] asked for the place shortly before `at`.
    pub(crate) fn has_asked(&self, place: Place, at: Instant) -> bool {
        self.lanes
            .get(&place.1)
            .is_some_and(|lane| lane.has_asked(place.0, at))
    }

    /// Whether a gateway was asked shortly before `at`, on anybody's behalf.
    pub(crate) fn has_asked_gateway(&self, gateway: Place, at: Instant) -> bool {
        self.lanes
            .get(&gateway.1)
            .is_some_and(|lane| lane.has_asked_gateway(gateway.0, at))
    }

    /// The next frame that may leave now.
    pub(crate) fn poll(
        &mut self,
        interfaces: &BTreeMap<u32, Interface>,
        requesters: &Requesters,
        holds: impl Fn(&IpAddr) -> bool,
        events: &mut Events,
        now: Instant,
    ) -> Option<Transmit> {
        self.polled = Some(now);
        for (index, lane) in &mut self.lanes {
            let Some(interface) = interfaces.get(index) else {
                continue;
            };
            let around = Surroundings {
                interface,
                requesters,
                holds: &holds,
            };
            if let Some(frame) = lane.poll(&around, events, now) {
                let interface = *index;
                return Some(Transmit { interface, frame });
            }
        }
        None
    }

    /// When [`Self::poll`] should be called again; a time in the past if at once.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        let lanes = self.lanes.values();
        lanes.filter_map(|lane| lane.timeout(self.polled)).min()
    }
}
