//! A pool of addresses and who may use it.
//!
//! Not here: which of them are taken (`alloc::ledger`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::address::{Count, Family, RangeSet, is_buggy};
use crate::labels::{Labels, Selector, any_or_all};
use crate::ports::PortSet;
use crate::service::{PortKey, Service, ServiceKey};

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
    /// How many addresses a namespace may hold; several that name one namespace all count.
    pub quotas: Vec<Quota>,
    /// How long the address of a deleted Service stays bound to its namespace and name.
    pub retain: Duration,
    /// How long an address that was given up waits before another Service may have it.
    pub reuse_delay: Duration,
    /// When two Services may hold one address.
    pub sharing: Sharing,
    /// Whether they may be of different namespaces; `None` means that those who share by key may
    /// and those who share automatically may not.
    pub sharing_scope: Option<SharingScope>,
    /// The ports its addresses carry; empty means all.
    pub ports: PortSet,
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

/// A limit on the addresses of one pool that a namespace holds, each namespace on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quota {
    /// Namespaces by name; with `namespace_selectors` empty too, every namespace.
    pub namespaces: BTreeSet<String>,
    /// Namespaces by label; added to those by name.
    pub namespace_selectors: Vec<Selector>,
    /// The most addresses; one that several Services of the namespace share counts once.
    pub max_addresses: u64,
}

/// When two Services may hold one address. Their ports never overlap, and their backend keys are
/// equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// When they have the same sharing key.
    #[default]
    ByKey,
    /// When they have the same sharing key, or both have none.
    Automatic,
    /// At no time.
    Never,
}

/// Who may share with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharingScope {
    /// Services of one namespace.
    Namespace,
    /// Services of any namespaces.
    Cluster,
}

/// One `IPReservation`, checked: no two in force hold the same address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reservation {
    /// The addresses, wherever they lie.
    pub addresses: RangeSet,
    /// Who alone gets them; `None` means nobody.
    pub service: Option<ServiceKey>,
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
            quotas: Vec::new(),
            retain: Duration::ZERO,
            reuse_delay: Duration::ZERO,
            sharing: Sharing::ByKey,
            sharing_scope: None,
            ports: PortSet::default(),
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
        let namespace = service.key.namespace();
        if !selects(
            &self.namespaces,
            &self.namespace_selectors,
            namespace,
            namespaces,
        ) {
            return Some(Restriction::Namespace);
        }
        self.refuses_labels_of(service)
    }

    fn refuses_labels_of(&self, service: &Service) -> Option<Restriction> {
        let selected = any_or_all(&self.service_selectors, &service.labels);
        (!selected).then_some(Restriction::Service)
    }
}

impl Quota {
    /// Whether it limits this namespace. A namespace that is not in `namespaces` has no labels.
    #[must_use]
    pub fn limits(&self, namespace: &str, namespaces: &BTreeMap<String, Labels>) -> bool {
        selects(
            &self.namespaces,
            &self.namespace_selectors,
            namespace,
            namespaces,
        )
    }
}

/// Whether a namespace is among those by name and by label; without either, all are.
fn selects(
    names: &BTreeSet<String>,
    selectors: &[Selector],
    namespace: &str,
    namespaces: &BTreeMap<String, Labels>,
) -> bool {
    let by_label = || {
        let labels = namespaces.get(namespace);
        labels.is_some_and(|l| selectors.iter().any(|s| s.matches(l)))
    };
    (names.is_empty() && selectors.is_empty()) || names.contains(namespace) || by_label()
}

impl Pool {
    /// What keeps this Service out of the pool, if anything.
    #[must_use]
    pub fn restriction(
        &self,
        service: &Service,
        namespaces: &BTreeMap<String, Labels>,
    ) -> Option<Restriction> {
        let allocation = self.allocation.as_ref();
        allocation
            .and_then(|allocation| allocation.restriction(service, namespaces))
            .or_else(|| self.refuses_ports_of(service))
    }

    /// What takes an address of the pool from this Service when it holds one, if anything. Labels of its
    /// namespace decide who gets an address, and take none away.
    #[must_use]
    pub fn eviction(&self, service: &Service) -> Option<Restriction> {
        let by_allocation = self.allocation.as_ref().and_then(|allocation| {
            let by_name = allocation.namespace_selectors.is_empty()
                && !allocation.namespaces.is_empty()
                && !allocation.namespaces.contains(service.key.namespace());
            match by_name {
                true => Some(Restriction::Namespace),
                false => allocation.refuses_labels_of(service),
            }
        });
        by_allocation.or_else(|| self.refuses_ports_of(service))
    }

    fn refuses_ports_of(&self, service: &Service) -> Option<Restriction> {
        let outside = self.ports.first_outside(&service.ports);
        outside.map(Restriction::Port)
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

/// Which part of the pool keeps a Service out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restriction {
    /// `namespaces` and `namespaceSelectors`.
    Namespace,
    /// `serviceSelectors`.
    Service,
    /// `ports`, which this one of the Service's is not among.
    Port(PortKey),
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace => f.write_str("serviceAllocation does not admit its namespace"),
            Self::Service => {
                f.write_str("serviceAllocation.serviceSelectors do not match its labels")
            }
            Self::Port(port) => write!(f, "ports do not include {port}"),
        }
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
