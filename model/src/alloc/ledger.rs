//! Who holds which address. The only place that changes it.
//!
//! Not here: who should hold what (`settle`, `choose`). One ledger lives for one plan; it is
//! rebuilt from what the Services' status says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::intervals::Intervals;
use crate::address::{AddressRange, Count, Family, is_buggy, number};
use crate::pool::Pool;
use crate::service::{PortKey, Service, ServiceKey};

/// What two Services must have in common to share an address.
type Sharing = (String, String);

/// One address in use.
#[derive(Debug, Clone)]
struct Tenancy {
    sharing: Option<Sharing>,
    tenants: BTreeSet<ServiceKey>,
    ports: BTreeMap<PortKey, ServiceKey>,
}

/// Why a Service cannot join those who hold an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Who holds it.
    pub holder: ServiceKey,
    /// What keeps them apart.
    pub kind: ConflictKind,
}

/// What keeps two Services from sharing an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// One or both have no sharing key, or the keys differ.
    SharingKey,
    /// Same key, but another `externalTrafficPolicy`, or Local with another pod selector.
    BackendKey,
    /// Both want this port.
    Port(PortKey),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = &self.holder;
        match &self.kind {
            ConflictKind::SharingKey => write!(
                f,
                "{holder} holds it, and the two do not have the same allow-shared-ip annotation"
            ),
            ConflictKind::BackendKey => write!(
                f,
                "{holder} holds it, and to share it both need externalTrafficPolicy Cluster, or \
                 Local with the same pod selector"
            ),
            ConflictKind::Port(port) => write!(f, "{holder} holds it and also uses port {port}"),
        }
    }
}

/// A pool as the search sees it.
#[derive(Debug, Clone)]
struct Shelf {
    /// Usable ranges in the order addresses are given out.
    ranges: Vec<AddressRange>,
    avoid_buggy: bool,
    /// Taken numbers by family. With `avoid_buggy` also the barred numbers next to them, so that
    /// runs still join up.
    taken: BTreeMap<Family, Intervals>,
}

/// A search's answer and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) address: Option<IpAddr>,
    pub(super) steps: usize,
}

/// Who holds which address.
#[derive(Debug, Clone)]
pub(super) struct Ledger<'a> {
    /// Every pool range, by family and first number: last number and pool. Pools do not overlap.
    ranges: BTreeMap<(Family, u128), (u128, &'a str)>,
    shelves: BTreeMap<&'a str, Shelf>,
    tenancies: BTreeMap<IpAddr, Tenancy>,
    shared: BTreeMap<Sharing, BTreeSet<IpAddr>>,
}

impl<'a> Ledger<'a> {
    /// Nobody holds anything.
    pub(super) fn new(pools: &'a BTreeMap<String, Pool>) -> Self {
        let mut ranges = BTreeMap::new();
        let mut shelves = BTreeMap::new();
        for (name, pool) in pools {
            for range in pool.ranges.iter() {
                let (first, last) = range.numbers();
                ranges.insert((range.family(), first), (last, name.as_str()));
            }
            let shelf = Shelf {
                ranges: pool.usable().iter().copied().collect(),
                avoid_buggy: pool.avoid_buggy_ips,
                taken: BTreeMap::new(),
            };
            shelves.insert(name.as_str(), shelf);
        }
        Self {
            ranges,
            shelves,
            tenancies: BTreeMap::new(),
            shared: BTreeMap::new(),
        }
    }

    /// The pool whose ranges hold the address.
    pub(super) fn pool_of(&self, address: IpAddr) -> Option<&'a str> {
        let (family, n) = (Family::of(address), number(address));
        let (_, &(last, pool)) = self.ranges.range((family, 0)..=(family, n)).next_back()?;
        (n <= last).then_some(pool)
    }

    /// What keeps the Service from holding the address, if anything.
    pub(super) fn conflict(&self, service: &Service, address: IpAddr) -> Option<Conflict> {
        let tenancy = self.tenancies.get(&address)?;
        let others = || tenancy.tenants.iter().filter(|k| **k != service.key);
        let holder = others().next()?.clone();
        let kind = match (&tenancy.sharing, &service.sharing_key) {
            (Some((key, backend)), Some(ours)) if key == ours => {
                if *backend != service.backend_key {
                    return Some(Conflict {
                        holder,
                        kind: ConflictKind::BackendKey,
                    });
                }
                let (port, holder) = service.ports.iter().find_map(|p| {
                    Some((*p, tenancy.ports.get(p).filter(|k| **k != service.key)?))
                })?;
                return Some(Conflict {
                    holder: holder.clone(),
                    kind: ConflictKind::Port(port),
                });
            }
            (Some(_) | None, Some(_) | None) => ConflictKind::SharingKey,
        };
        Some(Conflict { holder, kind })
    }

    /// The Service holds the address from now on.
    ///
    /// # Errors
    /// Others hold it and cannot share it; nothing has changed then.
    pub(super) fn hold(&mut self, service: &Service, address: IpAddr) -> Result<(), Conflict> {
        if let Some(conflict) = self.conflict(service, address) {
            return Err(conflict);
        }
        let sharing = service
            .sharing_key
            .clone()
            .map(|key| (key, service.backend_key.clone()));
        if let Some(sharing) = &sharing {
            self.shared
                .entry(sharing.clone())
                .or_default()
                .insert(address);
        }
        let tenancy = self.tenancies.entry(address).or_insert_with(|| Tenancy {
            sharing,
            tenants: BTreeSet::new(),
            ports: BTreeMap::new(),
        });
        tenancy.tenants.insert(service.key.clone());
        tenancy
            .ports
            .extend(service.ports.iter().map(|p| (*p, service.key.clone())));
        if let Some(shelf) = self
            .pool_of(address)
            .and_then(|pool| self.shelves.get_mut(pool))
        {
            shelf.take(address);
        }
        Ok(())
    }

    /// The Service holds the address no longer.
    pub(super) fn release(&mut self, service: &Service, address: IpAddr) {
        let Some(tenancy) = self.tenancies.get_mut(&address) else {
            return;
        };
        tenancy.tenants.remove(&service.key);
        tenancy.ports.retain(|_, holder| *holder != service.key);
        if !tenancy.tenants.is_empty() {
            return;
        }
        if let Some(sharing) = &tenancy.sharing
            && let Some(addresses) = self.shared.get_mut(sharing)
        {
            addresses.remove(&address);
        }
        self.tenancies.remove(&address);
        if let Some(shelf) = self
            .pool_of(address)
            .and_then(|pool| self.shelves.get_mut(pool))
        {
            shelf.put_back(address);
        }
    }

    /// The first address of the pool, in the order it gives them out, that is free or that the
    /// Service may share.
    pub(super) fn pick(&self, pool: &str, family: Family, service: &Service) -> Pick {
        let Some(shelf) = self.shelves.get(pool) else {
            return Pick {
                address: None,
                steps: 0,
            };
        };
        let (free, mut steps) = shelf.first_free(family);
        let sharing = service
            .sharing_key
            .clone()
            .map(|key| (key, service.backend_key.clone()));
        let shared = sharing
            .and_then(|sharing| self.shared.get(&sharing))
            .into_iter()
            .flatten();
        let best = shared
            .filter(|a| Family::of(**a) == family && self.pool_of(**a) == Some(pool))
            .inspect(|_| steps += 1)
            .filter(|a| self.conflict(service, **a).is_none())
            .filter_map(|a| shelf.position(*a))
            .chain(free)
            .min();
        Pick {
            address: best.map(|(_, n)| family.address(n)),
            steps,
        }
    }

    /// How many addresses of each pool somebody holds; a shared one counts once.
    pub(super) fn in_use(&self) -> BTreeMap<(&'a str, Family), Count> {
        let mut counts = BTreeMap::new();
        for address in self.tenancies.keys() {
            if let Some(pool) = self.pool_of(*address) {
                let count: &mut Count = counts.entry((pool, Family::of(*address))).or_default();
                *count = count.plus(Count::new(1));
            }
        }
        counts
    }
}

impl Shelf {
    /// Where in the order an address comes: range, number.
    fn position(&self, address: IpAddr) -> Option<(usize, u128)> {
        let range = self.ranges.iter().position(|r| r.contains(address))?;
        Some((range, number(address)))
    }

    fn bars(&self, family: Family, n: u128) -> bool {
        self.avoid_buggy && is_buggy(family.address(n))
    }

    fn take(&mut self, address: IpAddr) {
        let (family, n) = (Family::of(address), number(address));
        let mut taken = self.taken.remove(&family).unwrap_or_default();
        taken.insert(n);
        // At most two barred numbers are neighbours (.255 and .0).
        for step in 1..=2 {
            match n.checked_add(step) {
                Some(m) if m <= family.max() && self.bars(family, m) => taken.insert(m),
                Some(_) | None => break,
            }
        }
        for step in 1..=2 {
            match n.checked_sub(step) {
                Some(m) if self.bars(family, m) => taken.insert(m),
                Some(_) | None => break,
            }
        }
        self.taken.insert(family, taken);
    }

    /// Barred neighbours stay marked: nobody can have them anyway.
    fn put_back(&mut self, address: IpAddr) {
        if let Some(taken) = self.taken.get_mut(&Family::of(address)) {
            taken.remove(number(address));
        }
    }

    /// The first free address as range and number, and the steps it took.
    fn first_free(&self, family: Family) -> (Option<(usize, u128)>, usize) {
        let none = Intervals::default();
        let taken = self.taken.get(&family).unwrap_or(&none);
        let mut steps = 0;
        for (i, range) in self
            .ranges
            .iter()
            .enumerate()
            .filter(|(_, r)| r.family() == family)
        {
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
