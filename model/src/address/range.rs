//! One inclusive range of addresses of one family.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Count, Family, RangeError, number, parse};

/// The addresses `first ..= last`, both of one family, `first <= last`. Ordered by family, then
/// first address. Shown as a CIDR when it is one, as one address when it is one, else as
/// `first-last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    family: Family,
    first: u128,
    last: u128,
}

impl AddressRange {
    /// `first ..= last`.
    ///
    /// # Errors
    /// The two are of different families, or `first` is after `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        if Family::of(first) != Family::of(last) {
            return Err(RangeError::MixedFamilies { first, last });
        }
        if first > last {
            return Err(RangeError::StartAfterEnd { first, last });
        }
        Ok(Self::of_numbers(
            Family::of(first),
            number(first),
            number(last),
        ))
    }

    /// The range of one address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let n = number(address);
        Self::of_numbers(Family::of(address), n, n)
    }

    /// The network of this prefix length that the address is in; none for a length its family does not
    /// have.
    #[must_use]
    pub fn network(address: IpAddr, length: u8) -> Option<Self> {
        let family = Family::of(address);
        let hosts = family.bits().checked_sub(length)?;
        let span = u128::MAX.checked_shr((128 - hosts).into()).unwrap_or(0);
        let first = number(address) & !span;
        Some(Self::of_numbers(family, first, first | span))
    }

    /// Numbers known to be ordered and inside the family.
    pub(crate) fn of_numbers(family: Family, first: u128, last: u128) -> Self {
        debug_assert!(first <= last && last <= family.max());
        Self {
            family,
            first,
            last,
        }
    }

    /// The range's family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its numerically first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.family.address(self.first)
    }

    /// Its numerically last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.family.address(self.last)
    }

    /// Both ends as numbers within the family.
    pub(crate) fn numbers(&self) -> (u128, u128) {
        (self.first, self.last)
    }

    /// How many addresses it holds.
    #[must_use]
    pub fn count(&self) -> Count {
        Count::new(self.last - self.first).plus(Count::new(1))
    }

    /// How many of them end in .0 or .255 (see [`super::is_buggy`]).
    #[must_use]
    pub fn buggy_count(&self) -> Count {
        match self.family {
            Family::V4 => Count::new(buggy_below(self.last + 1) - buggy_below(self.first)),
            Family::V6 => Count::ZERO,
        }
    }

    /// True when the address lies in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family && (self.first..=self.last).contains(&number(address))
    }

    /// The addresses both ranges hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (self.family == other.family && first <= last)
            .then(|| Self::of_numbers(self.family, first, last))
    }

    /// What remains without `other`: none, one or two ranges in ascending order.
    #[must_use]
    pub fn without(&self, other: &Self) -> Vec<Self> {
        let Some(cut) = self.intersection(other) else {
            return vec![*self];
        };
        let before = (self.first < cut.first)
            .then(|| Self::of_numbers(self.family, self.first, cut.first - 1));
        let after =
            (cut.last < self.last).then(|| Self::of_numbers(self.family, cut.last + 1, self.last));
        before.into_iter().chain(after).collect()
    }

    /// The prefix length when the range is exactly one CIDR network.
    #[must_use]
    pub fn prefix_length(&self) -> Option<u8> {
        let span = self.last - self.first;
        let aligned = span & (span.wrapping_add(1)) == 0 && self.first & span == 0;
        #[expect(clippy::cast_possible_truncation, reason = "at most 128 ones")]
        aligned.then(|| self.family.bits() - span.count_ones() as u8)
    }
}

/// How many of the IPv4 addresses numbered below `end` end in .0 or .255.
fn buggy_below(end: u128) -> u128 {
    end / 256 * 2 + u128::from(end % 256 >= 1)
}

impl FromStr for AddressRange {
    type Err = RangeError;

    /// `192.0.2.0/24`, `192.0.2.10-192.0.2.20` (spaces allowed around the dash) or one address.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        parse::range(text)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_length() {
            Some(_) if self.first == self.last => write!(f, "{}", self.first()),
            Some(length) => write!(f, "{}/{length}", self.first()),
            None => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}
