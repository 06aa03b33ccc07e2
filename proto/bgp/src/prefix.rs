//! Prefixes and the two address families that are spoken: unicast of IPv4 and IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::asn::digits;

/// A family of routes: AFI 1 or 2 with SAFI 1 (RFC 4760).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// 1/1.
    Ipv4,
    /// 2/1.
    Ipv6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The address family identifier.
    #[must_use]
    pub const fn afi(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }

    /// The longest prefix, in bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }

    /// The family of an AFI and SAFI, if it is one of the two.
    #[must_use]
    pub const fn of(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (1, 1) => Some(Self::Ipv4),
            (2, 1) => Some(Self::Ipv6),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4 unicast",
            Self::Ipv6 => "IPv6 unicast",
        })
    }
}

/// A set of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Families {
    /// IPv4 unicast.
    pub ipv4: bool,
    /// IPv6 unicast.
    pub ipv6: bool,
}

impl Families {
    /// Just this one.
    #[must_use]
    pub const fn only(family: Family) -> Self {
        Self {
            ipv4: matches!(family, Family::Ipv4),
            ipv6: matches!(family, Family::Ipv6),
        }
    }

    /// Both.
    #[must_use]
    pub const fn both() -> Self {
        Self {
            ipv4: true,
            ipv6: true,
        }
    }

    /// Whether the family is one of them.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    /// Puts a family in.
    pub const fn insert(&mut self, family: Family) {
        match family {
            Family::Ipv4 => self.ipv4 = true,
            Family::Ipv6 => self.ipv6 = true,
        }
    }

    /// Takes a family out; whether it was in.
    pub(crate) const fn remove(&mut self, family: Family) -> bool {
        let held = match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        };
        std::mem::replace(held, false)
    }

    /// Those in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4 && other.ipv4,
            ipv6: self.ipv6 && other.ipv6,
        }
    }

    /// None at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.ipv4 && !self.ipv6
    }

    /// Its members, IPv4 first.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL
            .into_iter()
            .filter(move |family| self.contains(*family))
    }
}

/// An address prefix. Bits beyond its length are zero; IPv4 comes before IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why there is no such prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// An IPv4 prefix ends at 32 bits, an IPv6 prefix at 128.
    #[error("a prefix of {address} cannot be {length} bits long")]
    Length {
        /// Where it was to begin.
        address: IpAddr,
        /// How long it was to be.
        length: u8,
    },
    /// Not an address, a slash and a length.
    #[error("{0:?} is no prefix: write 192.0.2.0/24 or 2001:db8::/64")]
    Text(String),
}

impl Prefix {
    /// The prefix of `length` bits that `address` lies in.
    ///
    /// # Errors
    /// The length is more than the address has bits.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let spare = |bits: u8| u32::from(bits - length);
        let address = match address {
            IpAddr::V4(v4) if length <= 32 => {
                let mask = u32::MAX.checked_shl(spare(32)).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) if length <= 128 => {
                let mask = u128::MAX.checked_shl(spare(128)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
            IpAddr::V4(_) | IpAddr::V6(_) => return Err(PrefixError::Length { address, length }),
        };
        Ok(Self { address, length })
    }

    /// The prefix that is one address: /32 or /128.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 128 };
        Self { address, length }
    }

    /// Its first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// Its length in bits.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Its family.
    #[must_use]
    pub const fn family(self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// It is 0.0.0.0/0 or ::/0.
    #[must_use]
    pub const fn is_default(self) -> bool {
        self.length == 0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (address, length) = text.split_once('/')?;
            Some((address.parse().ok()?, digits(length)?))
        };
        let (address, length) = read().ok_or_else(|| PrefixError::Text(text.to_owned()))?;
        Self::new(address, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_beyond_the_length_are_cleared() {
        for (text, read) in [
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("255.255.255.255/0", "0.0.0.0/0"),
            ("192.0.2.77/32", "192.0.2.77/32"),
            ("192.0.2.77/31", "192.0.2.76/31"),
            ("2001:db8::ff/127", "2001:db8::fe/127"),
            ("2001:db8::ff/0", "::/0"),
            ("2001:db8::ff/128", "2001:db8::ff/128"),
        ] {
            let prefix: Prefix = text.parse().unwrap();
            assert_eq!(prefix.to_string(), read);
        }
        for wrong in ["192.0.2.0/33", "::/129", "192.0.2.0", "::/", "::/+1", "x/1"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_set_of_families_is_walked_in_order() {
        let mut families = Families::default();
        families.insert(Family::Ipv6);
        assert_eq!(families, Families::only(Family::Ipv6));
        families.insert(Family::Ipv4);
        assert_eq!(families.iter().collect::<Vec<_>>(), Family::ALL);
        assert!(families.remove(Family::Ipv4) && !families.remove(Family::Ipv4));
        assert!(families.and(Families::only(Family::Ipv4)).is_empty());
    }
}
