//! Addresses as numbers: ranges of IPv4 and IPv6 up to a whole family, never materialised.
//!
//! Not here: what a range is for (`pool`) or who holds an address in it (`alloc`).

mod count;
mod few;
mod parse;
mod range;
mod set;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use count::Count;
pub use few::FewAddresses;
pub use parse::{RangeError, parse_address};
pub use range::AddressRange;
pub use set::RangeSet;

/// IPv4 or IPv6. Ordered: IPv4 first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other family.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// Bits in an address: 32 or 128.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The numerically last address, as a number.
    pub(crate) fn max(self) -> u128 {
        match self {
            Self::V4 => u128::from(u32::MAX),
            Self::V6 => u128::MAX,
        }
    }

    /// The address with this number; numbers beyond the family are cut to its width.
    pub(crate) fn address(self, number: u128) -> IpAddr {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "documented: cut to the width"
            )]
            Self::V4 => IpAddr::V4(Ipv4Addr::from(number as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The address as a number within its family.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// True for an IPv4 address ending in .0 or .255, which some old equipment drops
/// (`avoidBuggyIPs`). No IPv6 address is.
#[must_use]
pub fn is_buggy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => matches!(a.octets()[3], 0 | 255),
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests;
