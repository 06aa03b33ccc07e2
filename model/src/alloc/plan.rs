//! What a plan is made from and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::heldback::Freed;
use super::ledger::Ledger;
use super::shelf::Shelf;
use super::{Cause, Refusal, Tally};
use crate::address::{Count, Family};
use crate::labels::Labels;
use crate::pool::{Pool, Reservation};
use crate::service::{Service, ServiceKey};
use crate::unusable::Unusable;

/// Everything a plan depends on, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The pools in force, by name.
    pub pools: BTreeMap<String, Pool>,
    /// Pools that exist but are set aside for a mistake in them: addresses that came from one of
    /// these stay with their holders.
    pub quarantined_pools: BTreeSet<String>,
    /// Pools that were deleted a moment ago and may be made again: addresses that came from one of
    /// these stay with their holders.
    pub suspended_pools: BTreeSet<String>,
    /// Namespaces with their labels.
    pub namespaces: BTreeMap<String, Labels>,
    /// The Services of type LoadBalancer that are ours. One that is the same pointer as the time
    /// before is taken to be unchanged.
    pub services: BTreeMap<ServiceKey, Arc<Service>>,
    /// Addresses in a Service's status that Herald neither gave nor adopted yet. They are adopted if a
    /// pool can hold them, and left alone otherwise.
    pub foreign: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
    /// For addresses that several Services claim: those that held one together without conflict, as
    /// they were then. Who has changed since and conflicts now gives way.
    pub agreed: BTreeMap<IpAddr, Vec<Arc<Service>>>,
    /// The reservations in force, by name.
    pub reservations: BTreeMap<String, Reservation>,
    /// Addresses that no Service is given, whatever the pools say. One that is the same pointer as the
    /// time before costs no comparison.
    pub unusable: Arc<Unusable>,
    /// Addresses that were given up lately, those of Services that are gone among them.
    pub freed: BTreeMap<IpAddr, Freed>,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// One address of a Service and the pool it is from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The address.
    pub address: IpAddr,
    /// The pool's name.
    pub pool: String,
}

/// An address a Service no longer has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The address.
    pub address: IpAddr,
    /// Why.
    pub cause: Cause,
}

impl Lost {
    pub(super) fn new(address: IpAddr, cause: Cause) -> Self {
        Self { address, cause }
    }
}

/// What a Service shall have from now on, different from what its status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// In the order the status shall list them.
    pub places: Vec<Place>,
    /// What is different.
    pub change: Change,
}

/// How an assignment differs from what the Service's status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It had nothing.
    New,
    /// It keeps what it had and gets these.
    Added(Vec<IpAddr>),
    /// It loses some or all of what it had.
    Moved(Vec<Lost>),
}

/// A Service that had addresses and has none from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What it lost; never empty.
    pub lost: Vec<Lost>,
}

/// Addresses of one pool by family, and ports where the pool names some. Each number saturates at
/// `i64::MAX`; where none does, capacity is assigned, retained, reserved and available together. An
/// address that no Service is given counts only while somebody holds it from before: as assigned, and
/// in capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// IPv4 addresses somebody holds, a shared one counted once.
    pub assigned_ipv4: i64,
    /// IPv4 addresses that the next Service may have.
    pub available_ipv4: i64,
    /// IPv4 addresses held back for the Service that had them last, by `retain` or `reuseDelay`.
    pub retained_ipv4: i64,
    /// IPv4 addresses that an `IPReservation` keeps and nobody holds.
    pub reserved_ipv4: i64,
    /// IPv4 addresses the pool can give out in all.
    pub capacity_ipv4: i64,
    /// IPv6 addresses somebody holds, a shared one counted once.
    pub assigned_ipv6: i64,
    /// IPv6 addresses that the next Service may have.
    pub available_ipv6: i64,
    /// IPv6 addresses held back for the Service that had them last, by `retain` or `reuseDelay`.
    pub retained_ipv6: i64,
    /// IPv6 addresses that an `IPReservation` keeps and nobody holds.
    pub reserved_ipv6: i64,
    /// IPv6 addresses the pool can give out in all.
    pub capacity_ipv6: i64,
    /// Ports that Services use on the pool's addresses; 0 when the pool names no ports.
    pub ports_taken: i64,
    /// Ports that all of the pool's addresses carry together; 0 when the pool names no ports.
    pub ports_capacity: i64,
}

/// What shall be. Each Service is in at most one of `assign`, `keep` and `release`, and may be in
/// `refuse` besides: it asks for something it does not get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Services whose addresses change.
    pub assign: BTreeMap<ServiceKey, Assignment>,
    /// Services that keep exactly the addresses they have: nearly all, so copies of the plan share
    /// what is said of them.
    pub keep: BTreeMap<ServiceKey, Arc<[Place]>>,
    /// Services that lose all they have.
    pub release: BTreeMap<ServiceKey, Release>,
    /// Addresses that stay in a Service's status though Herald does not answer for them. Nothing else
    /// changes on such a Service.
    pub alone: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Services that ask for something they do not get.
    pub refuse: BTreeMap<ServiceKey, Refusal>,
    /// Every pool in force.
    pub counts: BTreeMap<String, PoolCounts>,
    /// How many ports Services use on each address they hold, for every pool in force that names
    /// its ports.
    pub ports_taken: BTreeMap<String, BTreeMap<IpAddr, u32>>,
    /// Entries of `freed` that bind nobody any more and may be forgotten.
    pub expired: BTreeSet<IpAddr>,
    /// When to plan again though nothing changes, in seconds since 1970: an entry of `freed` ends.
    pub next: Option<i64>,
}

impl Plan {
    /// What the Service shall have.
    #[must_use]
    pub fn places(&self, key: &ServiceKey) -> &[Place] {
        let assigned = self.assign.get(key).map(|a| a.places.as_slice());
        assigned
            .or_else(|| self.keep.get(key).map(AsRef::as_ref))
            .unwrap_or_default()
    }

    /// Whether the Service has the address from somebody else, and Herald does not answer for it.
    #[must_use]
    pub fn leaves_alone(&self, key: &ServiceKey, address: IpAddr) -> bool {
        let alone = self.alone.get(key);
        alone.is_some_and(|addresses| addresses.contains(&address))
    }

    /// Nothing is said of the Service.
    pub(super) fn forget(&mut self, key: &ServiceKey) {
        if self.assign.remove(key).is_none() && self.keep.remove(key).is_none() {
            self.release.remove(key);
        }
        self.alone.remove(key);
        self.refuse.remove(key);
    }

    /// The Service keeps exactly what it has.
    pub(super) fn keep(&mut self, service: &Service, mut places: Vec<Place>) {
        if places.len() > 1 {
            places.sort_by_key(|p| service.held.iter().position(|a| *a == p.address));
        }
        self.keep.insert(service.key.clone(), places.into());
    }

    pub(super) fn record(&mut self, service: &Service, tally: Tally) {
        let Tally {
            mut places,
            lost,
            alone,
            refusal,
        } = tally;
        let key = service.key.clone();
        if !alone.is_empty() {
            let addresses = alone.iter().map(|left| left.address);
            self.alone.insert(key.clone(), addresses.collect());
        }
        if let Some(refusal) = refusal {
            self.refuse.insert(key.clone(), refusal);
        }
        let held: BTreeSet<_> = service.held.iter().copied().collect();
        let placed = places.iter().map(|place| place.address);
        let now: BTreeSet<_> = placed
            .chain(alone.iter().map(|left| left.address))
            .collect();
        if now.is_empty() {
            if !held.is_empty() {
                self.release.insert(key, Release { lost });
            }
        } else if now == held {
            self.keep(service, places);
        } else {
            let wish = |p: &Place| {
                service
                    .requested_addresses
                    .iter()
                    .position(|a| *a == p.address)
            };
            places.sort_by_key(|p| (wish(p).unwrap_or(usize::MAX), Family::of(p.address)));
            let change = if held.is_empty() {
                Change::New
            } else if held.is_subset(&now) {
                Change::Added(now.difference(&held).copied().collect())
            } else {
                Change::Moved(lost)
            };
            self.assign.insert(key, Assignment { places, change });
        }
    }
}

/// How many ports are taken on each address of the pools that name theirs.
pub(super) fn ports_taken(ledger: &Ledger) -> BTreeMap<String, BTreeMap<IpAddr, u32>> {
    let shelves = ledger.shelves().iter().filter(|shelf| shelf.has_ports);
    shelves
        .map(|shelf| (shelf.name.clone(), shelf.tally.ports.clone()))
        .collect()
}

/// How full every pool is.
pub(super) fn counts(snapshot: &Snapshot, ledger: &Ledger) -> BTreeMap<String, PoolCounts> {
    let waiting = ledger.waiting();
    let each = |shelf: &Shelf| {
        let pool = snapshot.pools.get(&shelf.name)?;
        let of = |family| FamilyCounts::new(shelf, family, &waiting);
        let (four, six) = (of(Family::V4), of(Family::V6));
        let addresses = four.capacity.plus(six.capacity);
        let ports = addresses.get().saturating_mul(pool.ports.count().into());
        let counts = PoolCounts {
            assigned_ipv4: four.assigned.to_i64(),
            available_ipv4: four.available.to_i64(),
            retained_ipv4: four.retained.to_i64(),
            reserved_ipv4: four.reserved.to_i64(),
            capacity_ipv4: four.capacity.to_i64(),
            assigned_ipv6: six.assigned.to_i64(),
            available_ipv6: six.available.to_i64(),
            retained_ipv6: six.retained.to_i64(),
            reserved_ipv6: six.reserved.to_i64(),
            capacity_ipv6: six.capacity.to_i64(),
            ports_taken: shelf.tally.ports.values().copied().map(i64::from).sum(),
            ports_capacity: Count::new(ports).to_i64(),
        };
        Some((shelf.name.clone(), counts))
    };
    ledger.shelves().iter().filter_map(each).collect()
}

struct FamilyCounts {
    assigned: Count,
    available: Count,
    retained: Count,
    reserved: Count,
    capacity: Count,
}

impl FamilyCounts {
    fn new(shelf: &Shelf, family: Family, waiting: &BTreeMap<(&str, Family), Count>) -> Self {
        let of = |held: &BTreeMap<Family, u64>| {
            Count::new(held.get(&family).copied().unwrap_or_default().into())
        };
        let (assigned, reserved_held) = (of(&shelf.tally.held), of(&shelf.tally.reserved_held));
        let unusable_held = of(&shelf.tally.unusable_held);
        let open_held = assigned.minus(reserved_held).minus(unusable_held);
        let all = |counts: &BTreeMap<Family, Count>| counts.get(&family).copied();
        let capacity = all(&shelf.capacity).unwrap_or_default();
        let open = all(&shelf.open).unwrap_or_default();
        let retained = waiting.get(&(shelf.name.as_str(), family)).copied();
        let retained = retained.unwrap_or_default();
        Self {
            assigned,
            available: open.minus(open_held).minus(retained),
            retained,
            reserved: capacity.minus(open).minus(reserved_held),
            capacity: capacity.plus(unusable_held),
        }
    }
}
