//! Capabilities (RFC 5492): what a speaker tells of itself in its OPEN.

use super::bytes::{Reader, Short};
use crate::Asn;

/// One capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// 1: routes of this family (RFC 4760).
    Multiprotocol {
        /// Address family.
        afi: u16,
        /// Subsequent address family.
        safi: u8,
    },
    /// 2: it can be asked for its routes again (RFC 2918).
    RouteRefresh,
    /// 5: next hops of another family than the routes (RFC 8950).
    ExtendedNextHop(Vec<NextHopFamily>),
    /// 6: messages above 4 096 octets (RFC 8654).
    ExtendedMessages,
    /// 9: what it is to the other (RFC 9234), as its number.
    Role(u8),
    /// 64: graceful restart (RFC 4724).
    GracefulRestart {
        /// It has just restarted.
        restarting: bool,
        /// NOTIFICATIONs are covered, too (RFC 8538).
        notification: bool,
        /// Seconds until it is back; 12 bits.
        time: u16,
        /// The families it is about; none: it only wants markers of the end.
        families: Vec<GracefulFamily>,
    },
    /// 65: AS numbers of four octets (RFC 6793), with its own.
    FourOctetAs(Asn),
    /// 70: answers to a refresh are bracketed (RFC 7313).
    EnhancedRefresh,
    /// Any other, or one of the above in a form it cannot have.
    Other {
        /// Its code.
        code: u8,
        /// Its value.
        value: Vec<u8>,
    },
}

/// Routes of one family may have next hops of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextHopFamily {
    /// Address family of the routes.
    pub afi: u16,
    /// Subsequent address family of the routes.
    pub safi: u16,
    /// Address family of the next hops.
    pub next_hop: u16,
}

/// A family of a graceful restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GracefulFamily {
    /// Address family.
    pub afi: u16,
    /// Subsequent address family.
    pub safi: u8,
    /// Forwarding went on during the restart.
    pub forwarding: bool,
}

impl Capability {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol { .. } => 1,
            Self::RouteRefresh => 2,
            Self::ExtendedNextHop(_) => 5,
            Self::ExtendedMessages => 6,
            Self::Role(_) => 9,
            Self::GracefulRestart { .. } => 64,
            Self::FourOctetAs(_) => 65,
            Self::EnhancedRefresh => 70,
            Self::Other { code, .. } => *code,
        }
    }

    /// Code, length, value. A value of more than 255 octets is cut, which only [`Self::Other`] and
    /// lists of dozens of families could need.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut value = self.value();
        value.truncate(255);
        out.push(self.code());
        out.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        out.extend(value);
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Multiprotocol { afi, safi } => {
                let [high, low] = afi.to_be_bytes();
                vec![high, low, 0, *safi]
            }
            Self::RouteRefresh | Self::ExtendedMessages | Self::EnhancedRefresh => Vec::new(),
            Self::ExtendedNextHop(families) => families
                .iter()
                .flat_map(|family| [family.afi, family.safi, family.next_hop])
                .flat_map(u16::to_be_bytes)
                .collect(),
            Self::Role(role) => vec![*role],
            Self::GracefulRestart {
                restarting,
                notification,
                time,
                families,
            } => {
                let flags = u16::from(*restarting) << 15 | u16::from(*notification) << 14;
                let mut value = (flags | time & 0xfff).to_be_bytes().to_vec();
                for family in families {
                    value.extend(family.afi.to_be_bytes());
                    value.extend([family.safi, u8::from(family.forwarding) << 7]);
                }
                value
            }
            Self::FourOctetAs(asn) => asn.0.to_be_bytes().to_vec(),
            Self::Other { value, .. } => value.clone(),
        }
    }

    /// Reads one capability off the front.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let code = reader.u8()?;
        let length = reader.u8()?;
        let value = reader.take(length.into())?;
        Ok(known(code, value).unwrap_or_else(|| Self::Other {
            code,
            value: value.to_vec(),
        }))
    }
}

/// None: not one of those that are understood, or not in their form.
fn known(code: u8, value: &[u8]) -> Option<Capability> {
    let mut reader = Reader(value);
    let capability = match code {
        1 => {
            let (afi, [_, safi]) = (reader.u16().ok()?, reader.array().ok()?);
            Capability::Multiprotocol { afi, safi }
        }
        2 => Capability::RouteRefresh,
        5 => {
            let mut families = Vec::new();
            while !reader.is_empty() {
                families.push(NextHopFamily {
                    afi: reader.u16().ok()?,
                    safi: reader.u16().ok()?,
                    next_hop: reader.u16().ok()?,
                });
            }
            Capability::ExtendedNextHop(families)
        }
        6 => Capability::ExtendedMessages,
        9 => Capability::Role(reader.u8().ok()?),
        64 => {
            let flags = reader.u16().ok()?;
            let mut families = Vec::new();
            while !reader.is_empty() {
                let (afi, [safi, flags]) = (reader.u16().ok()?, reader.array().ok()?);
                families.push(GracefulFamily {
                    afi,
                    safi,
                    forwarding: flags & 0x80 != 0,
                });
            }
            Capability::GracefulRestart {
                restarting: flags & 0x8000 != 0,
                notification: flags & 0x4000 != 0,
                time: flags & 0xfff,
                families,
            }
        }
        65 => Capability::FourOctetAs(Asn(reader.u32().ok()?)),
        70 => Capability::EnhancedRefresh,
        _ => return None,
    };
    reader.is_empty().then_some(capability)
}
