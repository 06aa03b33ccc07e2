//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760), with next hops of IPv6 (RFC 2545, RFC 8950).
//!
//! ```text
//! reach:   AFI u16 · SAFI u8 · length u8 · next hop · reserved u8 · prefixes
//! unreach: AFI u16 · SAFI u8 · prefixes
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use super::attribute::{Context, MP_REACH, MP_UNREACH, OPTIONAL, Raw, write};
use super::bytes::{Reader, Short};
use super::nlri;
use crate::{Family, Notification, Prefix};

/// Where packets for a route are to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextHop {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// One IPv6 address: global, or link-local where there is no other.
    V6(Ipv6Addr),
    /// A global address and the link-local one of the same interface.
    V6Pair(Ipv6Addr, Ipv6Addr),
}

impl NextHop {
    /// In octets.
    const fn length(&self) -> u8 {
        match self {
            Self::V4(_) => 4,
            Self::V6(_) => 16,
            Self::V6Pair(..) => 32,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => out.extend(address.octets()),
            Self::V6(address) => out.extend(address.octets()),
            Self::V6Pair(global, link_local) => {
                out.extend(global.octets());
                out.extend(link_local.octets());
            }
        }
    }

    fn decode(octets: &[u8], family: Family, extended: bool) -> Result<Self, Short> {
        let mut reader = Reader(octets);
        match (octets.len(), family) {
            (4, Family::Ipv4) => Ok(Self::V4(reader.array::<4>()?.into())),
            (16, Family::Ipv6) => Ok(Self::V6(reader.array::<16>()?.into())),
            (32, Family::Ipv6) => {
                let (global, link_local) = (reader.array::<16>()?, reader.array::<16>()?);
                Ok(Self::V6Pair(global.into(), link_local.into()))
            }
            (16 | 32, Family::Ipv4) if extended => Self::decode(octets, Family::Ipv6, extended),
            _ => Err(Short),
        }
    }
}

/// Routes of a family that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Of which family the prefixes are.
    pub family: Family,
    /// The way to all of them.
    pub next_hop: NextHop,
    /// The routes.
    pub prefixes: Vec<Prefix>,
}

/// Routes of a family that may not be used any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreach {
    /// Of which family the prefixes are.
    pub family: Family,
    /// The routes; none: the marker of the end (RFC 4724).
    pub prefixes: Vec<Prefix>,
}

impl Reach {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        write(OPTIONAL, MP_REACH, out, |out| {
            out.extend_from_slice(&self.family.afi().to_be_bytes());
            out.extend_from_slice(&[1, self.next_hop.length()]);
            self.next_hop.encode(out);
            out.push(0);
            for prefix in &self.prefixes {
                nlri::encode(*prefix, out);
            }
        });
    }

    /// None: of a family that is not exchanged here.
    pub(crate) fn decode(raw: &Raw<'_>, context: &Context) -> Result<Option<Self>, Notification> {
        let read = || {
            let mut reader = Reader(raw.value);
            let (afi, [safi, length]) = (reader.u16()?, reader.array()?);
            let next_hop = reader.take(length.into())?;
            reader.u8()?;
            let Some(family) = exchanged(afi, safi, context) else {
                return Ok(None);
            };
            let next_hop = NextHop::decode(next_hop, family, context.extended_next_hop)?;
            let prefixes = nlri::decode(reader.0, family)?;
            Ok(Some(Self {
                family,
                next_hop,
                prefixes,
            }))
        };
        read().map_err(|Short| Notification::optional_attribute(raw.whole.to_vec()))
    }
}

impl Unreach {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        write(OPTIONAL, MP_UNREACH, out, |out| {
            out.extend_from_slice(&self.family.afi().to_be_bytes());
            out.push(1);
            for prefix in &self.prefixes {
                nlri::encode(*prefix, out);
            }
        });
    }

    /// None: of a family that is not exchanged here.
    pub(crate) fn decode(raw: &Raw<'_>, context: &Context) -> Result<Option<Self>, Notification> {
        let read = || {
            let mut reader = Reader(raw.value);
            let (afi, safi) = (reader.u16()?, reader.u8()?);
            let Some(family) = exchanged(afi, safi, context) else {
                return Ok(None);
            };
            let prefixes = nlri::decode(reader.0, family)?;
            Ok(Some(Self { family, prefixes }))
        };
        read().map_err(|Short| Notification::optional_attribute(raw.whole.to_vec()))
    }
}

fn exchanged(afi: u16, safi: u8, context: &Context) -> Option<Family> {
    Family::of(afi, safi).filter(|family| context.families.contains(*family))
}
