//! Who holds which address. The only place that changes it.
//!
//! Not here: who should hold what (`settle`, `choose`). A ledger is rebuilt from what the Services'
//! status says. What is done to it can be undone back to any earlier moment, so that a plan can try
//! something, and so that one ledger serves many plans.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use super::heldback::{Bond, HeldBack};
use super::reserved::Reserved;
use super::sharing::{Conflict, ConflictKind, Group};
use super::shelf::{Kind, Pick, Sharer, Shelf};
use super::tenancy::Tenancy;
use crate::address::{AddressRange, Count, Family, number};
use crate::pool::{Pool, Reservation};
use crate::service::{PortKey, Service, ServiceKey};
use crate::unusable::{Owner, Unusable};

/// How to take one step back.
#[derive(Debug, Clone)]
enum Undo {
    Hold(Arc<Service>, IpAddr),
    Release(Arc<Service>, IpAddr, Option<Group>),
    Leave(IpAddr),
}

/// A moment to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(usize);

/// Who holds which address.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Every pool range, by family and first number: last number and shelf. Pools do not overlap.
    ranges: BTreeMap<(Family, u128), (u128, usize)>,
    shelves: Vec<Shelf>,
    names: BTreeMap<String, usize>,
    tenancies: BTreeMap<IpAddr, Tenancy>,
    pub(super) reserved: Reserved,
    unusable: Arc<Unusable>,
    held_back: HeldBack,
    done: Vec<Undo>,
}

impl Ledger {
    /// Nobody holds anything. `unusable` is what of the pools no Service is given.
    pub(super) fn new(
        pools: &BTreeMap<String, Pool>,
        reservations: &BTreeMap<String, Reservation>,
        unusable: &Arc<Unusable>,
    ) -> Self {
        let reserved = Reserved::new(pools, reservations, unusable);
        let mut ranges = BTreeMap::new();
        let mut shelves = Vec::new();
        for pool in pools.values() {
            for range in pool.ranges.iter() {
                let (first, last) = range.numbers();
                ranges.insert((range.family(), first), (last, shelves.len()));
            }
            shelves.push(Shelf::new(pool, &reserved.within(pool), unusable));
        }
        Self {
            ranges,
            names: pools.keys().cloned().zip(0..).collect(),
            shelves,
            reserved,
            unusable: Arc::clone(unusable),
            ..Self::default()
        }
    }

    fn shelf_of(&self, address: IpAddr) -> Option<usize> {
        let (family, n) = (Family::of(address), number(address));
        let (_, &(last, shelf)) = self.ranges.range((family, 0)..=(family, n)).next_back()?;
        (n <= last).then_some(shelf)
    }

    /// The pool by name.
    fn shelf(&self, pool: &str) -> Option<&Shelf> {
        self.shelves.get(*self.names.get(pool)?)
    }

    /// The pool whose ranges hold the address.
    pub(super) fn pool_of(&self, address: IpAddr) -> Option<&str> {
        let shelf = self.shelves.get(self.shelf_of(address)?)?;
        Some(&shelf.name)
    }

    /// What the Service has in common with those it may share this address with. An address that is
    /// in no pool in force is left to whoever has it, their ports aside; a reserved one has one
    /// holder.
    pub(super) fn group(&self, service: &Service, address: IpAddr) -> Option<Group> {
        let Some(shelf) = self.shelf_of(address).and_then(|i| self.shelves.get(i)) else {
            return Some(Group::default());
        };
        match self.reserved.by(address) {
            Some(_) => None,
            None => shelf.rules.group(service),
        }
    }

    /// What keeps the Service from holding the address beside those who do, if anything.
    pub(super) fn conflict(&self, service: &Service, address: IpAddr) -> Option<Conflict> {
        let tenancy = self.tenancies.get(&address)?;
        let other = tenancy.other(&service.key)?;
        let group = self.group(service, address);
        if group.is_none() || group != tenancy.group {
            let shelf = self.shelf_of(address).and_then(|i| self.shelves.get(i))?;
            return Some(Conflict {
                holder: other.key.clone(),
                kind: shelf.rules.apart(&shelf.name, service, other),
            });
        }
        let taken = |port: &PortKey| {
            let holder = tenancy.by_port(*port)?;
            (holder.key != service.key).then(|| (*port, holder.key.clone()))
        };
        let (port, holder) = service.ports.iter().find_map(taken)?;
        Some(Conflict {
            holder,
            kind: ConflictKind::Port(port),
        })
    }

    /// The Service holds the address from now on.
    ///
    /// # Errors
    /// Others hold it and cannot share it; nothing has changed then.
    pub(super) fn hold(&mut self, service: &Arc<Service>, address: IpAddr) -> Result<(), Conflict> {
        if let Some(conflict) = self.conflict(service, address) {
            return Err(conflict);
        }
        let group = self.group(service, address);
        self.enter(service, address, group);
        self.done.push(Undo::Hold(Arc::clone(service), address));
        Ok(())
    }

    /// Keeps everybody else off an address of a pool that the Service has from somebody else, unless
    /// one holds it already.
    pub(super) fn occupy(&mut self, service: &Arc<Service>, address: IpAddr) {
        if self.shelf_of(address).is_some() && !self.is_held(address) {
            self.enter(service, address, None);
            self.done.push(Undo::Hold(Arc::clone(service), address));
        }
    }

    /// Those who hold the address, by name.
    pub(super) fn holders(&self, address: IpAddr) -> Vec<Arc<Service>> {
        let tenancy = self.tenancies.get(&address);
        tenancy.map(Tenancy::tenants).unwrap_or_default()
    }

    /// The Service holds the address no longer.
    pub(super) fn release(&mut self, service: &ServiceKey, address: IpAddr) {
        let group = self.tenancies.get(&address).and_then(|t| t.group.clone());
        if let Some(tenant) = self.strike(service, address) {
            self.done.push(Undo::Release(tenant, address, group));
        }
    }

    /// The Service, which has had the address, does not have it after this plan. Where the pool has
    /// a `reuseDelay`, others do not get it in the same plan.
    pub(super) fn leave(&mut self, service: &ServiceKey, address: IpAddr, pool: Option<&Pool>) {
        self.release(service, address);
        let waits = pool.is_some_and(|pool| !pool.reuse_delay.is_zero());
        if waits && self.held_back.leave(address, service) {
            self.refresh(address);
            self.done.push(Undo::Leave(address));
        }
    }

    /// Forgets that the Service left the address.
    pub(super) fn unleave(&mut self, service: &ServiceKey, address: IpAddr) {
        if self.held_back.left_by(address) == Some(service) && self.held_back.unleave(address) {
            self.refresh(address);
        }
    }

    /// This moment.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.done.len())
    }

    /// As it was at that moment.
    pub(super) fn back_to(&mut self, moment: Moment) {
        while self.done.len() > moment.0 {
            match self.done.pop() {
                Some(Undo::Hold(service, address)) => {
                    self.strike(&service.key, address);
                }
                Some(Undo::Release(service, address, group)) => {
                    self.enter(&service, address, group);
                }
                Some(Undo::Leave(address)) => {
                    self.held_back.unleave(address);
                    self.refresh(address);
                }
                None => return,
            }
        }
    }

    /// There is no way back from here.
    pub(super) fn seal(&mut self) {
        self.done.clear();
    }

    fn enter(&mut self, service: &Arc<Service>, address: IpAddr, group: Option<Group>) {
        let family = Family::of(address);
        let shelf = self.shelf_of(address);
        let kind = self.kind(address);
        let mut shelf = shelf.and_then(|i| self.shelves.get_mut(i));
        let entry = self.tenancies.entry(address);
        let new = matches!(entry, Entry::Vacant(_));
        if let Some(shelf) = &mut shelf {
            let known = match &entry {
                Entry::Occupied(held) => held.get().has_namespace(service.key.namespace()),
                Entry::Vacant(_) => false,
            };
            let ports = shelf.has_ports.then_some(address);
            shelf
                .tally
                .enter(service, shelf.has_quotas && !known, ports);
            if let Some(group) = &group {
                shelf.join(address, group, &service.ports, new);
            }
            if new {
                shelf.tally.take(family, kind);
                shelf.take(address);
            }
        }
        match entry {
            Entry::Occupied(mut held) => held.get_mut().enter(service),
            Entry::Vacant(free) => {
                free.insert(Tenancy::new(service, group));
            }
        }
    }

    fn strike(&mut self, service: &ServiceKey, address: IpAddr) -> Option<Arc<Service>> {
        let shelf = self.shelf_of(address);
        let kind = self.kind(address);
        let tenancy = self.tenancies.get_mut(&address)?;
        let (tenant, last) = tenancy.strike(service)?;
        if let Some(shelf) = shelf.and_then(|i| self.shelves.get_mut(i)) {
            if let Some(group) = &tenancy.group {
                shelf.part(address, group, &tenant.ports, last);
            }
            let known = !last && tenancy.has_namespace(service.namespace());
            let ports = shelf.has_ports.then_some(address);
            shelf
                .tally
                .leave(&tenant, shelf.has_quotas && !known, ports);
            if last {
                shelf.tally.put_back(Family::of(address), kind);
            }
        }
        if last {
            self.tenancies.remove(&address);
            self.refresh(address);
        }
        Some(tenant)
    }

    /// What the address counts as in its pool.
    fn kind(&self, address: IpAddr) -> Kind {
        if self.unusable.owner(address).is_some() {
            Kind::Unusable
        } else if self.reserved.by(address).is_some() {
            Kind::Reserved
        } else {
            Kind::Open
        }
    }

    /// Whose an address of a pool is that no Service is given.
    pub(super) fn unusable(&self, address: IpAddr) -> Option<&Owner> {
        self.unusable.owner(address)
    }

    /// The first of the pool's addresses of the family, and whose it is, when no Service is given any
    /// of them.
    pub(super) fn nothing_usable(
        &self,
        pool: &Pool,
        family: Family,
    ) -> Option<(AddressRange, &Owner)> {
        if self.has_family(&pool.name, family) {
            return None;
        }
        let mut all = self.unusable.entries_within(&pool.usable()).into_iter();
        all.find(|(range, _)| range.family() == family)
    }

    /// Marks the address as one that may be given or not, when nobody holds it.
    fn refresh(&mut self, address: IpAddr) {
        let waits = self.held_back.contains(address);
        let held = self.tenancies.contains_key(&address);
        if let Some(shelf) = self.shelf_of(address).and_then(|i| self.shelves.get_mut(i)) {
            match waits || held {
                true => shelf.take(address),
                false => shelf.put_back(address),
            }
        }
    }

    /// Replaces the addresses that wait from before this plan.
    pub(super) fn set_bonds(&mut self, bonds: BTreeMap<IpAddr, Bond>, now: i64) {
        for address in self.held_back.set(bonds, now) {
            self.refresh(address);
        }
    }

    /// Who keeps the Service off an address that nobody holds, and whether for the sake of `retain`.
    pub(super) fn kept_off(
        &self,
        service: &ServiceKey,
        address: IpAddr,
    ) -> Option<(&ServiceKey, bool)> {
        if self.is_held(address) {
            return None;
        }
        let reserved = self.reserved.by(address).is_some();
        self.held_back.keeps_off(address, service, reserved)
    }

    /// Whether somebody holds the address.
    pub(super) fn is_held(&self, address: IpAddr) -> bool {
        self.tenancies.contains_key(&address)
    }

    /// Whether somebody of the namespace holds the address.
    pub(super) fn is_held_by(&self, namespace: &str, address: IpAddr) -> bool {
        let tenancy = self.tenancies.get(&address);
        tenancy.is_some_and(|tenancy| tenancy.has_namespace(namespace))
    }

    /// Addresses that wait for the Service, the one it had last first.
    pub(super) fn waiting_for(&self, service: &ServiceKey) -> Vec<IpAddr> {
        self.held_back.of(service).collect()
    }

    /// When a wait ends next.
    pub(super) fn next_end(&self) -> Option<i64> {
        self.held_back.next()
    }

    /// Whether the pool gives out addresses of the family at all.
    pub(super) fn has_family(&self, pool: &str, family: Family) -> bool {
        let capacity = self
            .shelf(pool)
            .and_then(|shelf| shelf.capacity.get(&family));
        capacity.is_some_and(|count| *count > Count::ZERO)
    }

    /// How many addresses of the pool the namespace has; counted where there are quotas.
    pub(super) fn held_by_namespace(&self, pool: &str, namespace: &str) -> u64 {
        let shelf = self.shelf(pool);
        shelf
            .and_then(|shelf| shelf.tally.by_namespace.get(namespace).copied())
            .unwrap_or_default()
    }

    /// The first address of the pool, in the order it gives them out, that is free or that the
    /// Service may share; without `room` only one that its namespace has.
    pub(super) fn pick(
        &mut self,
        pool: &str,
        family: Family,
        service: &Service,
        room: bool,
    ) -> Pick {
        let shelf = self.names.get(pool).and_then(|i| self.shelves.get_mut(*i));
        let Some(shelf) = shelf else {
            return Pick {
                address: None,
                steps: 0,
            };
        };
        let tenancies = &self.tenancies;
        let sharer = Sharer {
            group: shelf.rules.group(service),
            ports: &service.ports,
            room,
        };
        let in_use = |address, port| {
            let tenancy: Option<&Tenancy> = tenancies.get(&address);
            tenancy.is_some_and(|tenancy| tenancy.by_port(port).is_some())
        };
        let joinable = |address| {
            let tenancy: Option<&Tenancy> = tenancies.get(&address);
            tenancy.is_some_and(|tenancy| tenancy.has_namespace(service.key.namespace()))
        };
        shelf.pick(family, sharer, in_use, joinable)
    }

    /// How many addresses of each pool and family wait: nobody holds them, and they are not reserved.
    pub(super) fn waiting(&self) -> BTreeMap<(&str, Family), Count> {
        let mut counts = BTreeMap::new();
        for address in self.held_back.addresses().filter(|a| !self.is_held(*a)) {
            let shelf = self.shelf_of(address).and_then(|i| self.shelves.get(i));
            if let Some(shelf) = shelf.filter(|shelf| shelf.position(address).is_some()) {
                let key = (shelf.name.as_str(), Family::of(address));
                let count: &mut Count = counts.entry(key).or_default();
                *count = count.plus(Count::new(1));
            }
        }
        counts
    }

    /// The pools as they are counted.
    pub(super) fn shelves(&self) -> &[Shelf] {
        &self.shelves
    }
}
