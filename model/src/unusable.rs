//! Addresses that no Service is given, and whose each of them is.
//!
//! Not here: what a pool or a reservation keeps back (`pool`), and what becomes of a Service that has
//! such an address already (`alloc`, `announce`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::{AddressRange, Family, RangeSet, number};
use crate::service::ServiceKey;

/// Whose an address is that no Service is given. Shown as the end of the sentence "192.0.2.1 is".
///
/// Ordered: of several owners of one address the first is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// No host can have it.
    NeverHost(NeverHost),
    /// An entry of a Node's `status.addresses`.
    Node { name: String, kind: String },
    /// An interface that a speaker uses has it.
    Interface { node: String, interface: String },
    /// In a `ServiceCIDR`.
    ServiceRange { name: String },
    /// In a Node's `spec.podCIDRs`.
    PodRange { node: String },
    /// The first address of an IPv4 subnet that a node is on.
    NetworkAddress { subnet: AddressRange },
    /// The last address of an IPv4 subnet that a node is on.
    BroadcastAddress { subnet: AddressRange },
    /// The first address of an IPv6 subnet that a node is on (RFC 4291, 2.6.1).
    SubnetRouter { subnet: AddressRange },
    /// In the status of a Service of type LoadBalancer that is not Herald's.
    Service { service: ServiceKey },
    /// In a pool that was deleted a moment ago, and may come back.
    HeldPool { pool: String },
}

/// Why no host can have an address, at least none that others reach by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeverHost {
    /// `0.0.0.0/8` and `::`.
    Unspecified,
    /// `127.0.0.0/8` and `::1`.
    Loopback,
    /// `169.254.0.0/16` and `fe80::/10`.
    LinkLocal,
    /// `224.0.0.0/4` and `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    LimitedBroadcast,
}

impl NeverHost {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::Loopback,
        Self::LinkLocal,
        Self::Multicast,
        Self::LimitedBroadcast,
    ];

    /// Why no host can have this address; `None` when one can.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        let holds = |kind: &Self| kind.ranges().iter().any(|range| range.contains(address));
        Self::ALL.into_iter().find(holds)
    }

    /// The addresses of this kind.
    #[must_use]
    pub fn ranges(self) -> Vec<AddressRange> {
        let four = |a: [u8; 4], b: [u8; 4]| {
            let (first, last) = (Ipv4Addr::from(a).into(), Ipv4Addr::from(b).into());
            AddressRange::of_numbers(Family::V4, number(first), number(last))
        };
        let six = |first: u16, last: u128| {
            let first = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into();
            AddressRange::of_numbers(Family::V6, number(first), last)
        };
        match self {
            Self::Unspecified => vec![four([0; 4], [0, 255, 255, 255]), six(0, 0)],
            Self::Loopback => vec![
                four([127, 0, 0, 0], [127, 255, 255, 255]),
                AddressRange::single(Ipv6Addr::LOCALHOST.into()),
            ],
            Self::LinkLocal => vec![
                four([169, 254, 0, 0], [169, 254, 255, 255]),
                six(0xfe80, (0xfec0_u128 << 112) - 1),
            ],
            Self::Multicast => vec![
                four([224, 0, 0, 0], [239, 255, 255, 255]),
                six(0xff00, u128::MAX),
            ],
            Self::LimitedBroadcast => vec![four([255; 4], [255; 4])],
        }
    }
}

impl fmt::Display for NeverHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::LimitedBroadcast => "the limited broadcast address",
        })
    }
}

impl Owner {
    /// Whether somebody else answers for the address, or nobody may: a node's own address, or one that
    /// no host can have. A link-local address can be a host's; the others are told and not enforced, as
    /// an address that works is never taken away.
    #[must_use]
    pub fn answers(&self) -> bool {
        match self {
            Self::NeverHost(NeverHost::LinkLocal) => false,
            Self::NeverHost(
                NeverHost::Unspecified
                | NeverHost::Loopback
                | NeverHost::Multicast
                | NeverHost::LimitedBroadcast,
            )
            | Self::Node { .. }
            | Self::Interface { .. } => true,
            Self::ServiceRange { .. }
            | Self::PodRange { .. }
            | Self::NetworkAddress { .. }
            | Self::BroadcastAddress { .. }
            | Self::SubnetRouter { .. }
            | Self::Service { .. }
            | Self::HeldPool { .. } => false,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverHost(kind) => write!(f, "{kind}"),
            Self::Node { name, kind } => write!(f, "the {kind} of node {name}"),
            Self::Interface { node, interface } => {
                write!(f, "an address of interface {interface} of node {node}")
            }
            Self::ServiceRange { name } => write!(f, "an address of ServiceCIDR {name}"),
            Self::PodRange { node } => write!(f, "an address of spec.podCIDRs of node {node}"),
            Self::NetworkAddress { subnet } => write!(f, "the network address of {subnet}"),
            Self::BroadcastAddress { subnet } => write!(f, "the broadcast address of {subnet}"),
            Self::SubnetRouter { subnet } => {
                write!(f, "the subnet-router anycast address of {subnet}")
            }
            Self::Service { service } => {
                write!(
                    f,
                    "an address of Service {service}, which another load balancer serves"
                )
            }
            Self::HeldPool { pool } => {
                write!(
                    f,
                    "an address of pool {pool}, which was deleted a moment ago"
                )
            }
        }
    }
}

/// Addresses that no Service is given, as disjoint ranges in ascending order. A Service that has one
/// already keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unusable(Vec<(AddressRange, Owner)>);

impl Unusable {
    /// These ranges, which may overlap. Of several owners of one address the one who answers for it is
    /// named, then the first as [`Owner`] orders them.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = (AddressRange, Owner)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_by(|(a, one), (b, other)| {
            let rank = |owner: &Owner| !owner.answers();
            (rank(one), one, a).cmp(&(rank(other), other, b))
        });
        ranges.dedup();
        let mut owned = BTreeMap::new();
        for (range, owner) in ranges {
            for free in uncovered(&owned, range) {
                let (first, last) = free.numbers();
                owned.insert((free.family(), first), (last, owner.clone()));
            }
        }
        let mut joined: Vec<(AddressRange, Owner)> = Vec::with_capacity(owned.len());
        for ((family, first), (last, owner)) in owned {
            match joined.last_mut() {
                Some((before, same)) if *same == owner && is_next(before, family, first) => {
                    *before = AddressRange::of_numbers(family, before.numbers().0, last);
                }
                Some(_) | None => {
                    joined.push((AddressRange::of_numbers(family, first, last), owner));
                }
            }
        }
        Self(joined)
    }

    /// True when every address can be given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose the address is; `None` when a Service may be given it.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Option<&Owner> {
        let wanted = AddressRange::single(address);
        self.overlapping(wanted).next().map(|(_, owner)| owner)
    }

    /// Whose the address is, when the wire must be silent for it.
    #[must_use]
    pub fn is_answered_elsewhere(&self, address: IpAddr) -> Option<&Owner> {
        self.owner(address).filter(|owner| owner.answers())
    }

    /// What of these ranges no Service is given.
    #[must_use]
    pub fn within(&self, ranges: &RangeSet) -> RangeSet {
        let each = ranges.iter().flat_map(|range| self.overlapping(*range));
        each.map(|(range, _)| range).collect()
    }

    /// What of these ranges no Service is given, and whose it is; in the order of `ranges`.
    #[must_use]
    pub fn entries_within(&self, ranges: &RangeSet) -> Vec<(AddressRange, &Owner)> {
        let each = ranges.iter().flat_map(|range| self.overlapping(*range));
        each.collect()
    }

    /// What of these sets of ranges, which do not overlap, no Service is given.
    #[must_use]
    pub fn only<'r>(&self, sets: impl IntoIterator<Item = &'r RangeSet>) -> Self {
        let each = sets.into_iter().flat_map(|set| self.entries_within(set));
        let mut kept: Vec<_> = each.map(|(range, owner)| (range, owner.clone())).collect();
        kept.sort();
        Self(kept)
    }

    /// What of this range Services may be given, in ascending order.
    #[must_use]
    pub fn usable(&self, range: AddressRange) -> Vec<AddressRange> {
        let mut rest = Some(range);
        let mut usable = Vec::new();
        for (hole, _) in self.overlapping(range) {
            let parts = rest.iter().flat_map(|rest| rest.without(&hole));
            let (before, after): (Vec<_>, Vec<_>) = parts.partition(|part| *part < hole);
            usable.extend(before);
            rest = after.first().copied();
        }
        usable.extend(rest);
        usable
    }

    /// The ranges in ascending order, and whose each is.
    pub fn iter(&self) -> impl Iterator<Item = (AddressRange, &Owner)> {
        self.0.iter().map(|(range, owner)| (*range, owner))
    }

    /// What of this range is owned, and by whom, in ascending order.
    fn overlapping(&self, wanted: AddressRange) -> impl Iterator<Item = (AddressRange, &Owner)> {
        let end = |range: &AddressRange| (range.family(), range.numbers().1);
        let start = (wanted.family(), wanted.numbers().0);
        let from = self.0.partition_point(|(range, _)| end(range) < start);
        let rest = self.0.iter().skip(from);
        rest.map_while(move |(range, owner)| Some((range.intersection(&wanted)?, owner)))
    }
}

/// Whether a range that begins here goes on where `before` ends.
fn is_next(before: &AddressRange, family: Family, first: u128) -> bool {
    before.family() == family && before.numbers().1.checked_add(1) == Some(first)
}

/// The parts of the range that nobody owns.
fn uncovered(
    owned: &BTreeMap<(Family, u128), (u128, Owner)>,
    range: AddressRange,
) -> Vec<AddressRange> {
    let family = range.family();
    let (mut next, last) = range.numbers();
    let before = owned.range((family, 0)..(family, next)).next_back();
    let inside = owned.range((family, next)..=(family, last));
    let mut free = Vec::new();
    for ((_, taken), (end, _)) in before.into_iter().chain(inside) {
        if *end < next {
            continue;
        }
        if next < *taken {
            free.push(AddressRange::of_numbers(family, next, *taken - 1));
        }
        match end.checked_add(1).filter(|after| *after <= last) {
            Some(after) => next = after,
            None => return free,
        }
    }
    free.push(AddressRange::of_numbers(family, next, last));
    free
}

#[cfg(test)]
mod tests;
