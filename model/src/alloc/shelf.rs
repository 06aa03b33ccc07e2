//! One pool as the search sees it: what is free, and what may be shared.
//!
//! Not here: who holds what (`ledger`). Addresses come in the order the pool gives them out; finding
//! the first that fits does not depend on how many are taken.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::intervals::Intervals;
use super::sharing::{Group, Rules};
use crate::address::{AddressRange, Count, Family, RangeSet, is_buggy, number};
use crate::pool::Pool;
use crate::service::{PortKey, Service};
use crate::unusable::Unusable;

/// Where in the order an address comes: range, number.
type Position = (usize, u128);

/// One pool as the search sees it.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) name: String,
    pub(super) rules: Rules,
    /// Whether addresses are counted by namespace.
    pub(super) has_quotas: bool,
    /// Whether ports are counted.
    pub(super) has_ports: bool,
    /// What anybody may get, in the order it is given out: without what is excluded or reserved.
    ranges: Vec<AddressRange>,
    /// The same, by family and first number: last number and place in the order.
    order: BTreeMap<(Family, u128), (u128, usize)>,
    avoid_buggy: bool,
    /// How many addresses the pool gives out in all, by family: the reserved ones too, and those that
    /// no Service is given not.
    pub(super) capacity: BTreeMap<Family, Count>,
    /// And without the reserved ones.
    pub(super) open: BTreeMap<Family, Count>,
    /// Numbers nobody may get any more, by family. With `avoid_buggy` also the barred numbers next
    /// to them, so that runs still join up.
    taken: BTreeMap<Family, Intervals>,
    /// Addresses that no Service is given: `taken` from the beginning to the end.
    unusable: Arc<Unusable>,
    /// The addresses of each group that shares.
    blocks: BTreeMap<(Family, Group), Block>,
    pub(super) tally: ShelfTally,
}

/// What an address counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anybody may get it.
    Open,
    /// An `IPReservation` keeps it.
    Reserved,
    /// Nobody is given it, reserved or not.
    Unusable,
}

/// What is counted of one pool.
#[derive(Debug, Clone, Default)]
pub(super) struct ShelfTally {
    /// Addresses held, reserved ones among them.
    pub(super) held: BTreeMap<Family, u64>,
    /// Reserved addresses held.
    pub(super) reserved_held: BTreeMap<Family, u64>,
    /// Addresses held that no Service is given any more.
    pub(super) unusable_held: BTreeMap<Family, u64>,
    /// Addresses held by each namespace, counted where there are quotas.
    pub(super) by_namespace: BTreeMap<String, u64>,
    /// Ports in use on each address held, counted where the pool names ports.
    pub(super) ports: BTreeMap<IpAddr, u32>,
}

fn count_of(ports: &BTreeSet<PortKey>) -> u32 {
    u32::try_from(ports.len()).unwrap_or(u32::MAX)
}

impl ShelfTally {
    /// A Service has an address; `further` when its namespace had it not. `ports` is the address
    /// where ports are counted.
    pub(super) fn enter(&mut self, service: &Service, further: bool, ports: Option<IpAddr>) {
        if further {
            let namespace = service.key.namespace().to_owned();
            *self.by_namespace.entry(namespace).or_default() += 1;
        }
        if let Some(address) = ports {
            *self.ports.entry(address).or_default() += count_of(&service.ports);
        }
    }

    /// As before [`ShelfTally::enter`].
    pub(super) fn leave(&mut self, service: &Service, further: bool, ports: Option<IpAddr>) {
        if further && let Some(count) = self.by_namespace.get_mut(service.key.namespace()) {
            *count -= 1;
            if *count == 0 {
                self.by_namespace.remove(service.key.namespace());
            }
        }
        if let Some(Entry::Occupied(mut taken)) = ports.map(|address| self.ports.entry(address)) {
            *taken.get_mut() -= count_of(&service.ports);
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }

    /// An address is in use that was not.
    pub(super) fn take(&mut self, family: Family, kind: Kind) {
        *self.held.entry(family).or_default() += 1;
        if let Some(held) = self.held_of(kind) {
            *held.entry(family).or_default() += 1;
        }
    }

    /// As before [`ShelfTally::take`].
    pub(super) fn put_back(&mut self, family: Family, kind: Kind) {
        self.held.entry(family).and_modify(|n| *n -= 1);
        if let Some(held) = self.held_of(kind) {
            held.entry(family).and_modify(|n| *n -= 1);
        }
    }

    fn held_of(&mut self, kind: Kind) -> Option<&mut BTreeMap<Family, u64>> {
        match kind {
            Kind::Open => None,
            Kind::Reserved => Some(&mut self.reserved_held),
            Kind::Unusable => Some(&mut self.unusable_held),
        }
    }
}

/// The addresses that one group holds.
#[derive(Debug, Clone, Default)]
struct Block {
    addresses: BTreeSet<Position>,
    /// On how many of them a port is in use.
    in_use: BTreeMap<PortKey, usize>,
    /// On every address before, the port is in use. Absent for ports that the first lacks.
    used_before: BTreeMap<PortKey, Position>,
}

/// A search's answer and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) address: Option<IpAddr>,
    pub(super) steps: usize,
}

/// Whom a pick is for, as far as sharing goes.
pub(super) struct Sharer<'s> {
    pub(super) group: Option<Group>,
    pub(super) ports: &'s BTreeSet<PortKey>,
    /// Whether an address nobody of the namespace has is allowed.
    pub(super) room: bool,
}

impl Shelf {
    pub(super) fn new(pool: &Pool, reserved: &RangeSet, unusable: &Arc<Unusable>) -> Self {
        let all = pool.usable();
        let ranges: Vec<_> = all.without(reserved).iter().copied().collect();
        let place = |(i, range): (usize, &AddressRange)| {
            let (first, last) = range.numbers();
            ((range.family(), first), (last, i))
        };
        let families = [Family::V4, Family::V6];
        let buggy = |range: &AddressRange| match pool.avoid_buggy_ips {
            true => range.buggy_count(),
            false => Count::ZERO,
        };
        let count = |ranges: &mut dyn Iterator<Item = &AddressRange>, family: Family| {
            let ranges = ranges.filter(|range| range.family() == family);
            let usable = ranges.flat_map(|range| unusable.usable(*range));
            let count = usable.fold(Count::ZERO, |sum, r| sum.plus(r.count().minus(buggy(&r))));
            (family, count)
        };
        let mut shelf = Self {
            name: pool.name.clone(),
            rules: Rules::of(pool),
            has_quotas: !pool.quotas.is_empty(),
            has_ports: !pool.ports.is_empty(),
            capacity: families.map(|family| count(&mut all.iter(), family)).into(),
            open: families
                .map(|family| count(&mut ranges.iter(), family))
                .into(),
            order: ranges.iter().enumerate().map(place).collect(),
            ranges,
            avoid_buggy: pool.avoid_buggy_ips,
            taken: BTreeMap::new(),
            unusable: Arc::clone(unusable),
            blocks: BTreeMap::new(),
            tally: ShelfTally::default(),
        };
        for hole in unusable.within(&all).iter() {
            shelf.mark(*hole);
        }
        shelf
    }

    /// Where in the order an address comes, when anybody may get it.
    pub(super) fn position(&self, address: IpAddr) -> Option<Position> {
        let (family, n) = (Family::of(address), number(address));
        let (_, &(last, i)) = self.order.range((family, 0)..=(family, n)).next_back()?;
        let given = n <= last && !self.bars(family, n) && self.unusable.owner(address).is_none();
        given.then_some((i, n))
    }

    fn bars(&self, family: Family, n: u128) -> bool {
        self.avoid_buggy && is_buggy(family.address(n))
    }

    /// Nobody may get the address any more.
    pub(super) fn take(&mut self, address: IpAddr) {
        self.mark(AddressRange::single(address));
    }

    fn mark(&mut self, range: AddressRange) {
        let (family, (first, last)) = (range.family(), range.numbers());
        let mut taken = self.taken.remove(&family).unwrap_or_default();
        taken.insert_all(first, last);
        // At most two barred numbers are neighbours (.255 and .0).
        let ups = (1..=2).map_while(|step| last.checked_add(step));
        let downs = (1..=2).map_while(|step| first.checked_sub(step));
        let barred = |m: &u128| *m <= family.max() && self.bars(family, *m);
        ups.take_while(barred).for_each(|m| taken.insert(m));
        downs.take_while(barred).for_each(|m| taken.insert(m));
        self.taken.insert(family, taken);
    }

    /// The address may be given again. Barred neighbours stay marked: nobody can have them anyway.
    pub(super) fn put_back(&mut self, address: IpAddr) {
        if self.unusable.owner(address).is_some() {
            return;
        }
        if let Some(taken) = self.taken.get_mut(&Family::of(address)) {
            taken.remove(number(address));
        }
    }

    /// Somebody of the group has the address with these ports; `new` when nobody had it before.
    pub(super) fn join(
        &mut self,
        address: IpAddr,
        group: &Group,
        ports: &BTreeSet<PortKey>,
        new: bool,
    ) {
        let Some(position) = self.position(address) else {
            return;
        };
        let block = (Family::of(address), group.clone());
        let block = self.blocks.entry(block).or_default();
        if new {
            block.addresses.insert(position);
            for before in block.used_before.values_mut() {
                *before = position.min(*before);
            }
        }
        for port in ports {
            *block.in_use.entry(*port).or_default() += 1;
        }
    }

    /// Somebody of the group no longer has the address; `last` when nobody has it now.
    pub(super) fn part(
        &mut self,
        address: IpAddr,
        group: &Group,
        ports: &BTreeSet<PortKey>,
        last: bool,
    ) {
        let key = (Family::of(address), group.clone());
        let (Some(position), Some(block)) = (self.position(address), self.blocks.get_mut(&key))
        else {
            return;
        };
        for port in ports {
            if let Some(before) = block.used_before.get_mut(port) {
                *before = position.min(*before);
            }
            if let Some(count) = block.in_use.get_mut(port) {
                *count -= 1;
                if *count == 0 {
                    block.in_use.remove(port);
                }
            }
        }
        if last {
            block.addresses.remove(&position);
        }
        if block.addresses.is_empty() {
            self.blocks.remove(&key);
        }
    }

    /// The first address, in the order they are given out, that is free or that the sharer may
    /// join. `ports_at` tells whether a port is in use on an address of the sharer's group, and
    /// `joinable` whether its namespace has it where there is no room for more.
    pub(super) fn pick(
        &mut self,
        family: Family,
        sharer: Sharer<'_>,
        in_use: impl Fn(IpAddr, PortKey) -> bool,
        joinable: impl Fn(IpAddr) -> bool,
    ) -> Pick {
        let (free, mut steps) = match sharer.room {
            true => self.first_free(family),
            false => (None, 0),
        };
        let at = |(_, n): Position| family.address(n);
        let shared = sharer.group.and_then(|group| {
            let block = self.blocks.get_mut(&(family, group))?;
            block.first_fit(
                sharer.ports,
                free,
                &mut steps,
                |position, port| in_use(at(position), port),
                |position| sharer.room || joinable(at(position)),
            )
        });
        Pick {
            address: shared.or(free).map(at),
            steps,
        }
    }

    /// The first free address as range and number, and the steps it took.
    fn first_free(&self, family: Family) -> (Option<Position>, usize) {
        let none = Intervals::default();
        let taken = self.taken.get(&family).unwrap_or(&none);
        let mut steps = 0;
        for (i, range) in self.ranges.iter().enumerate() {
            if range.family() != family {
                continue;
            }
            let (first, last) = range.numbers();
            let gap = taken.first_gap(first, last, |n| self.bars(family, n));
            steps += gap.steps;
            if let Some(n) = gap.at {
                return (Some((i, n)), steps);
            }
        }
        (None, steps)
    }
}

impl Block {
    /// The first address before `limit` that lacks all of the ports.
    fn first_fit(
        &mut self,
        ports: &BTreeSet<PortKey>,
        limit: Option<Position>,
        steps: &mut usize,
        in_use: impl Fn(Position, PortKey) -> bool,
        joinable: impl Fn(Position) -> bool,
    ) -> Option<Position> {
        let everywhere = |port| self.in_use.get(port) == Some(&self.addresses.len());
        if ports.iter().any(everywhere) {
            return None;
        }
        let mut start = (0, 0);
        for port in ports {
            start = start.max(self.advance(*port, steps, &in_use));
        }
        for position in self.addresses.range(start..) {
            if limit.is_some_and(|limit| *position >= limit) {
                return None;
            }
            *steps += 1;
            let fits = ports.iter().all(|port| !in_use(*position, *port));
            if fits && joinable(*position) {
                return Some(*position);
            }
        }
        None
    }

    /// The first address that lacks the port. What was found is remembered, so that a port in use
    /// on many addresses is not looked for on all of them each time.
    fn advance(
        &mut self,
        port: PortKey,
        steps: &mut usize,
        in_use: impl Fn(Position, PortKey) -> bool,
    ) -> Position {
        if !self.in_use.contains_key(&port) {
            return (0, 0);
        }
        let from = self.used_before.get(&port).copied().unwrap_or((0, 0));
        let mut rest = self.addresses.range(from..);
        let lacking = rest.find(|position| {
            *steps += 1;
            !in_use(**position, port)
        });
        let end = || self.addresses.last().map_or((0, 0), |(i, n)| (*i, *n));
        let before = lacking.copied().unwrap_or_else(end);
        self.used_before.insert(port, before);
        before
    }
}
