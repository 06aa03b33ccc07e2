//! A pool of addresses and who may use it.
//!
//! Not here: which of them are taken (`alloc::ledger`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::address::{Count, Family, RangeSet, is_buggy};
use crate::labels::{Labels, Selector, any_or_all};
use crate::service::Service;

/// One `IPAddressPool`, checked: its ranges overlap neither each other nor another pool's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The object's name.
    pub name: String,
    /// Addresses, in the order they are given out.
    pub ranges: RangeSet,
    /// Addresses inside `ranges` that nobody gets.
    pub excluded: RangeSet,
    /// Give addresses to Services that did not ask for this pool or address.
    pub auto_assign: bool,
    /// Give no IPv4 address ending in .0 or .255.
    pub avoid_buggy_ips: bool,
    /// Present when the pool has a `serviceAllocation`.
    pub allocation: Option<Allocation>,
    /// Keep the holders, give no more.
    pub draining: bool,
    /// The object's labels.
    pub labels: Labels,
}

/// `serviceAllocation`: who may use the pool, and how eagerly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Lower is better; 0 is last.
    pub priority: u32,
    /// Namespaces by name.
    pub namespaces: BTreeSet<String>,
    /// Namespaces by label; added to those by name.
    pub namespace_selectors: Vec<Selector>,
    /// Services by label, any of them; empty means all.
    pub service_selectors: Vec<Selector>,
}

impl Pool {
    /// An unrestricted pool with automatic assignment.
    #[must_use]
    pub fn new(name: impl Into<String>, ranges: RangeSet) -> Self {
        Self {
            name: name.into(),
            ranges,
            excluded: RangeSet::default(),
            auto_assign: true,
            avoid_buggy_ips: false,
            allocation: None,
            draining: false,
            labels: Labels::new(),
        }
    }
}

impl Allocation {
    /// What keeps this Service out, if anything. A namespace that is not in `namespaces` has no
    /// labels.
    #[must_use]
    pub fn restriction(
        &self,
        service: &Service,
        namespaces: &BTreeMap<String, Labels>,
    ) -> Option<Restriction> {
        let open = self.namespaces.is_empty() && self.namespace_selectors.is_empty();
        let labels = namespaces.get(&service.key.namespace);
        let by_label =
            labels.is_some_and(|l| self.namespace_selectors.iter().any(|s| s.matches(l)));
        if !(open || by_label || self.namespaces.contains(&service.key.namespace)) {
            return Some(Restriction::Namespace);
        }
        (!any_or_all(&self.service_selectors, &service.labels)).then_some(Restriction::Service)
    }
}

impl Pool {
    /// What keeps this Service out of the pool, if anything.
    #[must_use]
    pub fn restriction(
        &self,
        service: &Service,
        namespaces: &BTreeMap<String, Labels>,
    ) -> Option<Restriction> {
        self.allocation.as_ref()?.restriction(service, namespaces)
    }

    /// What keeps anyone from having this address, one of the pool's, if anything.
    #[must_use]
    pub fn forbidden(&self, address: IpAddr) -> Option<Forbidden> {
        if self.excluded.contains(address) {
            Some(Forbidden::Excluded)
        } else if self.avoid_buggy_ips && is_buggy(address) {
            Some(Forbidden::Buggy)
        } else {
            None
        }
    }

    /// The ranges without the excluded addresses, in the order they are given out.
    #[must_use]
    pub fn usable(&self) -> RangeSet {
        self.ranges.without(&self.excluded)
    }

    /// How many addresses of this family the pool could give to anyone.
    #[must_use]
    pub fn capacity(&self, family: Family) -> Count {
        let usable = self.usable();
        let ranges = usable.iter().filter(|r| r.family() == family);
        ranges.fold(Count::ZERO, |sum, r| {
            let buggy = if self.avoid_buggy_ips {
                r.buggy_count()
            } else {
                Count::ZERO
            };
            sum.plus(r.count().minus(buggy))
        })
    }
}

/// Which part of `serviceAllocation` keeps a Service out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    /// `namespaces` and `namespaceSelectors`.
    Namespace,
    /// `serviceSelectors`.
    Service,
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "serviceAllocation does not admit its namespace",
            Self::Service => "serviceAllocation.serviceSelectors do not match its labels",
        })
    }
}

/// Why a pool gives an address to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forbidden {
    /// In `excludedAddresses`.
    Excluded,
    /// Ends in .0 or .255 and the pool has `avoidBuggyIPs`.
    Buggy,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Excluded => "lists it in excludedAddresses",
            Self::Buggy => "has avoidBuggyIPs and the address ends in .0 or .255",
        })
    }
}
