//! Communities of all three kinds (RFC 1997, 4360, 8092): their octets, and how people write them.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::asn::{Asn, digits};

/// A community of four octets (RFC 1997).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// Traffic is about to end here: prefer any other path (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);

    const NAMES: [(&'static str, Self); 9] = [
        ("graceful-shutdown", Self::GRACEFUL_SHUTDOWN),
        ("accept-own", Self(0xffff_0001)),
        ("llgr-stale", Self(0xffff_0006)),
        ("no-llgr", Self(0xffff_0007)),
        ("blackhole", Self(0xffff_029a)),
        ("no-export", Self(0xffff_ff01)),
        ("no-advertise", Self(0xffff_ff02)),
        ("no-export-subconfed", Self(0xffff_ff03)),
        ("no-peer", Self(0xffff_ff04)),
    ];
}

/// `64512:100`.
impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

/// A community of twelve octets (RFC 8092).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// Global administrator: the AS that gives it its meaning.
    pub global: u32,
    /// Local data, part 1.
    pub local1: u32,
    /// Local data, part 2.
    pub local2: u32,
}

/// `large:64512:1:2`.
impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "large:{}:{}:{}", self.global, self.local1, self.local2)
    }
}

/// A community of eight octets (RFC 4360), as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

/// Who an extended community belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Administrator {
    /// An AS (RFC 4360 section 3.1, RFC 5668).
    As(Asn),
    /// An IPv4 address (RFC 4360 section 3.2).
    Address(Ipv4Addr),
}

const ROUTE_TARGET: u8 = 2;
const SITE_OF_ORIGIN: u8 = 3;
const LINK_BANDWIDTH: u8 = 4;
const NOT_TRANSITIVE: u8 = 0x40;

impl ExtendedCommunity {
    /// A route target, transitive. None: `value` needs more than the two octets that an address or
    /// a four-octet AS leaves.
    #[must_use]
    pub fn route_target(administrator: Administrator, value: u32) -> Option<Self> {
        Self::of(ROUTE_TARGET, administrator, value)
    }

    /// A site of origin, transitive. None: as for [`Self::route_target`].
    #[must_use]
    pub fn site_of_origin(administrator: Administrator, value: u32) -> Option<Self> {
        Self::of(SITE_OF_ORIGIN, administrator, value)
    }

    /// Weight for unequal-cost multipath, in octets per second (draft-ietf-idr-link-bandwidth).
    #[must_use]
    pub fn link_bandwidth(asn: Asn, rate: f32, transitive: bool) -> Self {
        let kind = if transitive { 0 } else { NOT_TRANSITIVE };
        let [a, b] = asn.two_octets().to_be_bytes();
        let [c, d, e, f] = rate.to_be_bytes();
        Self([kind, LINK_BANDWIDTH, a, b, c, d, e, f])
    }

    fn of(subtype: u8, administrator: Administrator, value: u32) -> Option<Self> {
        let short = u16::try_from(value).map(u16::to_be_bytes).ok();
        let (kind, [a, b, c, d], [e, f]) = match administrator {
            Administrator::As(asn) if !asn.is_wide() => {
                let ([a, b], [c, d, e, f]) = (asn.two_octets().to_be_bytes(), value.to_be_bytes());
                (0, [a, b, c, d], [e, f])
            }
            Administrator::As(asn) => (2, asn.0.to_be_bytes(), short?),
            Administrator::Address(address) => (1, address.octets(), short?),
        };
        Some(Self([kind, subtype, a, b, c, d, e, f]))
    }
}

/// `rt:64512:100`, `soo:192.0.2.1:1`; others as their octets.
impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, a, b, c, d, e, g] = self.0;
        let name = match subtype {
            ROUTE_TARGET => "rt",
            SITE_OF_ORIGIN => "soo",
            _ => return write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        };
        let short = u16::from_be_bytes([e, g]);
        match kind {
            0 => {
                let asn = u16::from_be_bytes([a, b]);
                write!(f, "{name}:{asn}:{}", u32::from_be_bytes([c, d, e, g]))
            }
            1 => write!(f, "{name}:{}:{short}", Ipv4Addr::new(a, b, c, d)),
            2 => write!(f, "{name}:{}:{short}", u32::from_be_bytes([a, b, c, d])),
            _ => write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        }
    }
}

/// A community of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnyCommunity {
    /// Four octets.
    Standard(Community),
    /// Eight octets.
    Extended(ExtendedCommunity),
    /// Twelve octets.
    Large(LargeCommunity),
}

/// A text that is no community.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no community: write numbers (64512:100, large:64512:1:2, rt:64512:100, soo:192.0.2.1:1) or a well-known name (no-export)"
)]
pub struct CommunityError(String);

impl FromStr for AnyCommunity {
    type Err = CommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| CommunityError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<AnyCommunity> {
    let named = Community::NAMES.iter().find(|(name, _)| *name == text);
    if let Some((_, community)) = named {
        return Some(AnyCommunity::Standard(*community));
    }
    let parts: Vec<&str> = text.splitn(5, ':').collect();
    match parts.as_slice() {
        ["large", global, local1, local2] => Some(AnyCommunity::Large(LargeCommunity {
            global: digits(global)?,
            local1: digits(local1)?,
            local2: digits(local2)?,
        })),
        [kind @ ("rt" | "soo"), owner, value] => {
            let administrator = match owner.parse() {
                Ok(address) => Administrator::Address(address),
                Err(_) => Administrator::As(Asn(digits(owner)?)),
            };
            let make = if *kind == "rt" {
                ExtendedCommunity::route_target
            } else {
                ExtendedCommunity::site_of_origin
            };
            make(administrator, digits(value)?).map(AnyCommunity::Extended)
        }
        [high, low] => {
            let (high, low): (u16, u16) = (digits(high)?, digits(low)?);
            let value = u32::from(high) << 16 | u32::from(low);
            Some(AnyCommunity::Standard(Community(value)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4360 sections 3 to 5, RFC 5668 section 2.
    #[test]
    fn extended_communities_have_the_octets_of_their_rfc() {
        for (text, octets) in [
            ("rt:64512:100", [0, 2, 0xfc, 0, 0, 0, 0, 100]),
            ("soo:64512:70000", [0, 3, 0xfc, 0, 0, 1, 0x11, 0x70]),
            ("rt:4200000000:7", [2, 2, 0xfa, 0x56, 0xea, 0, 0, 7]),
            ("soo:192.0.2.1:9", [1, 3, 192, 0, 2, 1, 0, 9]),
        ] {
            let read: AnyCommunity = text.parse().unwrap();
            assert_eq!(read, AnyCommunity::Extended(ExtendedCommunity(octets)));
            assert_eq!(ExtendedCommunity(octets).to_string(), text);
        }
    }

    /// draft-ietf-idr-link-bandwidth section 2: IEEE floating point, octets per second.
    #[test]
    fn link_bandwidth_is_a_float() {
        let community = ExtendedCommunity::link_bandwidth(Asn(64_512), 125_000_000.0, false);
        assert_eq!(community.0, [0x40, 4, 0xfc, 0, 0x4c, 0xee, 0x6b, 0x28]);
        let transitive = ExtendedCommunity::link_bandwidth(Asn(64_512), 1.0, true);
        assert_eq!(transitive.0[..2], [0, 4]);
    }

    /// The registry "BGP Well-known Communities".
    #[test]
    fn well_known_names_have_their_numbers() {
        for (name, value) in [
            ("graceful-shutdown", 0xffff_0000),
            ("accept-own", 0xffff_0001),
            ("llgr-stale", 0xffff_0006),
            ("no-llgr", 0xffff_0007),
            ("blackhole", 0xffff_029a),
            ("no-export", 0xffff_ff01),
            ("no-advertise", 0xffff_ff02),
            ("no-export-subconfed", 0xffff_ff03),
            ("no-peer", 0xffff_ff04),
        ] {
            let read: AnyCommunity = name.parse().unwrap();
            assert_eq!(read, AnyCommunity::Standard(Community(value)), "{name}");
        }
    }

    #[test]
    fn what_is_no_community_is_refused() {
        for text in [
            "",
            "1",
            "65536:1",
            "1:65536",
            "1:2:3",
            "large:1:2",
            "large:1:2:3:4",
            "rt:1",
            "rt:4200000000:65536",
            "rt:192.0.2.1:65536",
            "rt:4294967296:1",
            "NO-EXPORT",
            "-1:2",
        ] {
            assert!(text.parse::<AnyCommunity>().is_err(), "{text:?}");
        }
        let large: AnyCommunity = "large:4294967295:0:7".parse().unwrap();
        let expected = LargeCommunity {
            global: u32::MAX,
            local1: 0,
            local2: 7,
        };
        assert_eq!(large, AnyCommunity::Large(expected));
        assert_eq!(expected.to_string(), "large:4294967295:0:7");
    }
}
