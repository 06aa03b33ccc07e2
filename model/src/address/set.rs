//! Several ranges, in the order the user wrote them.

use std::net::IpAddr;

use super::{AddressRange, Count, Family};

/// Ranges in the user's order, which is the order addresses are given out. May hold both families.
/// Ranges may overlap here; whoever builds a pool asks [`RangeSet::first_overlap_within`] first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<AddressRange>);

impl RangeSet {
    /// The ranges, in the order given.
    #[must_use]
    pub fn new(ranges: Vec<AddressRange>) -> Self {
        Self(ranges)
    }

    /// The ranges, in the user's order.
    pub fn iter(&self) -> impl Iterator<Item = &AddressRange> {
        self.0.iter()
    }

    /// True without any range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when some range holds the address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|r| r.contains(address))
    }

    /// True when some range is of this family.
    #[must_use]
    pub fn has_family(&self, family: Family) -> bool {
        self.0.iter().any(|r| r.family() == family)
    }

    /// How many addresses of this family, overlaps counted twice.
    #[must_use]
    pub fn count(&self, family: Family) -> Count {
        self.0
            .iter()
            .filter(|r| r.family() == family)
            .fold(Count::ZERO, |sum, r| sum.plus(r.count()))
    }

    /// True when the two sets share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first_overlap(other).is_some()
    }

    /// The first range of `self`, in order, that shares addresses with a range of `other`: both
    /// ranges.
    #[must_use]
    pub fn first_overlap(&self, other: &Self) -> Option<(AddressRange, AddressRange)> {
        self.0
            .iter()
            .find_map(|a| Some((*a, *other.0.iter().find(|b| a.intersection(b).is_some())?)))
    }

    /// The first two of its own ranges that share addresses.
    #[must_use]
    pub fn first_overlap_within(&self) -> Option<(AddressRange, AddressRange)> {
        self.0.iter().enumerate().find_map(|(i, a)| {
            Some((
                *a,
                *self.0[i + 1..]
                    .iter()
                    .find(|b| a.intersection(b).is_some())?,
            ))
        })
    }

    /// The ranges with every range of `other` cut out, still in order.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let cut = |ranges: Vec<AddressRange>, hole: &AddressRange| {
            ranges.iter().flat_map(|r| r.without(hole)).collect()
        };
        Self(other.0.iter().fold(self.0.clone(), cut))
    }
}

impl FromIterator<AddressRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}
