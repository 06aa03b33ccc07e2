//! Path attributes: their octets, and what follows when one is wrong (RFC 7606 section 7).
//!
//! Not here: MP_REACH_NLRI and MP_UNREACH_NLRI (`reach`), and what the attributes of an UPDATE must
//! be together (`update`).

use std::net::Ipv4Addr;

use super::bytes::{Reader, Short};
use super::fault::{Approach, Fault, Flaw};
use crate::{Asn, Community, ExtendedCommunity, LargeCommunity};

pub(crate) const ORIGIN: u8 = 1;
pub(crate) const AS_PATH: u8 = 2;
pub(crate) const NEXT_HOP: u8 = 3;
pub(crate) const LOCAL_PREF: u8 = 5;
const MED: u8 = 4;
const ATOMIC_AGGREGATE: u8 = 6;
const AGGREGATOR: u8 = 7;
const COMMUNITIES: u8 = 8;
const ORIGINATOR_ID: u8 = 9;
const CLUSTER_LIST: u8 = 10;
pub(crate) const MP_REACH: u8 = 14;
pub(crate) const MP_UNREACH: u8 = 15;
const EXTENDED_COMMUNITIES: u8 = 16;
const AS4_PATH: u8 = 17;
const AS4_AGGREGATOR: u8 = 18;
const LARGE_COMMUNITIES: u8 = 32;
const ONLY_TO_CUSTOMER: u8 = 35;

pub(crate) const OPTIONAL: u8 = 0x80;
pub(crate) const TRANSITIVE: u8 = 0x40;
const EXTENDED_LENGTH: u8 = 0x10;

/// Where a route came from, at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// Within the AS.
    Igp = 0,
    /// By EGP.
    Egp = 1,
    /// By other means.
    Incomplete = 2,
}

/// A part of an AS_PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// An AS_SET, in no order; never written by this speaker (RFC 9774).
    pub set: bool,
    /// From the nearest to the origin; 1 to 255.
    pub path: Vec<Asn>,
}

/// Who aggregated a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregator {
    /// Its AS number.
    pub asn: Asn,
    /// Its BGP identifier.
    pub id: Ipv4Addr,
}

/// One attribute of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// 1.
    Origin(Origin),
    /// 2.
    AsPath(Vec<Segment>),
    /// 3.
    NextHop(Ipv4Addr),
    /// 4.
    Med(u32),
    /// 5.
    LocalPref(u32),
    /// 6.
    AtomicAggregate,
    /// 7.
    Aggregator(Aggregator),
    /// 8 (RFC 1997).
    Communities(Vec<Community>),
    /// 9 (RFC 4456).
    OriginatorId(Ipv4Addr),
    /// 10 (RFC 4456).
    ClusterList(Vec<Ipv4Addr>),
    /// 16 (RFC 4360).
    ExtendedCommunities(Vec<ExtendedCommunity>),
    /// 17 (RFC 6793).
    As4Path(Vec<Segment>),
    /// 18 (RFC 6793).
    As4Aggregator(Aggregator),
    /// 32 (RFC 8092).
    LargeCommunities(Vec<LargeCommunity>),
    /// 35 (RFC 9234).
    OnlyToCustomer(Asn),
    /// Any other, optional.
    Other {
        /// Optional, transitive and partial; the length bit is no part of it.
        flags: u8,
        /// Its type.
        kind: u8,
        /// Its value.
        value: Vec<u8>,
    },
}

/// What two speakers know of each other that changes how an UPDATE is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// AS numbers take four octets.
    pub four_octet_as: bool,
    /// They are of one AS.
    pub internal: bool,
    /// The families they exchange; of others nothing is read.
    pub families: crate::Families,
    /// IPv4 routes may have IPv6 next hops.
    pub extended_next_hop: bool,
}

/// The flags that the type is to have, of optional and transitive; none: a type that nobody knows.
pub(crate) const fn flags(kind: u8) -> Option<u8> {
    Some(match kind {
        ORIGIN..=NEXT_HOP | LOCAL_PREF | ATOMIC_AGGREGATE => TRANSITIVE,
        MED | ORIGINATOR_ID | CLUSTER_LIST | MP_REACH | MP_UNREACH => OPTIONAL,
        AGGREGATOR | COMMUNITIES | EXTENDED_COMMUNITIES | AS4_PATH | AS4_AGGREGATOR
        | LARGE_COMMUNITIES | ONLY_TO_CUSTOMER => OPTIONAL | TRANSITIVE,
        _ => return None,
    })
}

/// Flags, type, length in one octet or two, and the value, which `write` appends.
pub(crate) fn write(flags: u8, kind: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const HEAD: usize = 3;
    let start = out.len();
    out.extend_from_slice(&[flags, kind, 0]);
    write(out);
    let length = out.len() - start - HEAD;
    // What does not fit two octets does not fit a message either.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let is_long = length > usize::from(u8::MAX);
    if let Some([flags, _, length]) = out.get_mut(start..start + HEAD) {
        if is_long {
            *flags |= EXTENDED_LENGTH;
        }
        *length = if is_long { high } else { low };
    }
    if is_long {
        out.insert(start + HEAD, low);
    }
}

/// The octets of one attribute, flags and all, and what it consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a> {
    /// Without the length bit.
    pub(crate) flags: u8,
    pub(crate) kind: u8,
    pub(crate) value: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Short> {
        let start = reader.0;
        let [flags, kind] = reader.array()?;
        let length = if flags & EXTENDED_LENGTH == 0 {
            reader.u8()?.into()
        } else {
            reader.u16()?.into()
        };
        let value = reader.take(length)?;
        let whole = start
            .get(..start.len() - reader.0.len())
            .unwrap_or_default();
        Ok(Self {
            flags: flags & !EXTENDED_LENGTH,
            kind,
            value,
            whole,
        })
    }

    /// Optional and transitive are as the type says, or nobody knows the type.
    pub(crate) fn has_its_flags(&self) -> bool {
        flags(self.kind).is_none_or(|flags| self.flags & (OPTIONAL | TRANSITIVE) == flags)
    }

    pub(crate) const fn fault(&self, flaw: Flaw, approach: Approach) -> Fault {
        Fault {
            attribute: self.kind,
            flaw,
            approach,
        }
    }
}

impl Attribute {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Origin(_) => ORIGIN,
            Self::AsPath(_) => AS_PATH,
            Self::NextHop(_) => NEXT_HOP,
            Self::Med(_) => MED,
            Self::LocalPref(_) => LOCAL_PREF,
            Self::AtomicAggregate => ATOMIC_AGGREGATE,
            Self::Aggregator(_) => AGGREGATOR,
            Self::Communities(_) => COMMUNITIES,
            Self::OriginatorId(_) => ORIGINATOR_ID,
            Self::ClusterList(_) => CLUSTER_LIST,
            Self::ExtendedCommunities(_) => EXTENDED_COMMUNITIES,
            Self::As4Path(_) => AS4_PATH,
            Self::As4Aggregator(_) => AS4_AGGREGATOR,
            Self::LargeCommunities(_) => LARGE_COMMUNITIES,
            Self::OnlyToCustomer(_) => ONLY_TO_CUSTOMER,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// Appends it. Of AS_PATH and AGGREGATOR, numbers that do not fit the session become AS_TRANS.
    pub(crate) fn encode(&self, context: &Context, out: &mut Vec<u8>) {
        let kind = self.kind();
        let flags = if let Self::Other { flags, .. } = self {
            *flags
        } else {
            flags(kind).unwrap_or(OPTIONAL)
        };
        write(flags, kind, out, |out| self.encode_value(context, out));
    }

    fn encode_value(&self, context: &Context, out: &mut Vec<u8>) {
        let wide = context.four_octet_as;
        match self {
            Self::Origin(origin) => out.push(*origin as u8),
            Self::AsPath(segments) => write_path(segments, wide, out),
            Self::As4Path(segments) => write_path(segments, true, out),
            Self::NextHop(address) | Self::OriginatorId(address) => {
                out.extend_from_slice(&address.octets());
            }
            Self::Med(number) | Self::LocalPref(number) => {
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::AtomicAggregate => {}
            Self::Aggregator(aggregator) => write_aggregator(*aggregator, wide, out),
            Self::As4Aggregator(aggregator) => write_aggregator(*aggregator, true, out),
            Self::Communities(list) => {
                for community in list {
                    out.extend_from_slice(&community.0.to_be_bytes());
                }
            }
            Self::ClusterList(list) => {
                for id in list {
                    out.extend_from_slice(&id.octets());
                }
            }
            Self::ExtendedCommunities(list) => {
                for community in list {
                    out.extend_from_slice(&community.0);
                }
            }
            Self::LargeCommunities(list) => {
                for LargeCommunity {
                    global,
                    local1,
                    local2,
                } in list
                {
                    for part in [global, local1, local2] {
                        out.extend_from_slice(&part.to_be_bytes());
                    }
                }
            }
            Self::OnlyToCustomer(asn) => out.extend_from_slice(&asn.0.to_be_bytes()),
            Self::Other { value, .. } => out.extend_from_slice(value),
        }
    }

    /// Reads an attribute that is not one of the two of MP-BGP, whose flags are in order and which
    /// may be unknown if it is optional.
    pub(crate) fn decode(raw: &Raw<'_>, context: &Context) -> Result<Self, Fault> {
        let (withdraw, discard) = (Approach::TreatAsWithdraw, Approach::AttributeDiscard);
        if is_misplaced(raw.kind, context) {
            return Err(raw.fault(Flaw::Misplaced, discard));
        }
        let approach = match raw.kind {
            ATOMIC_AGGREGATE | AGGREGATOR | AS4_PATH | AS4_AGGREGATOR => discard,
            _ => withdraw,
        };
        // RFC 9774 section 3: a set is one in either path.
        read(raw, context).map_err(|flaw| {
            let set = flaw == Flaw::AsSet;
            raw.fault(flaw, if set { withdraw } else { approach })
        })
    }
}

/// RFC 7606 sections 7.5, 7.9, 7.10 and RFC 6793 section 4.1: of no use between these two.
fn is_misplaced(kind: u8, context: &Context) -> bool {
    match kind {
        LOCAL_PREF | ORIGINATOR_ID | CLUSTER_LIST => !context.internal,
        AS4_PATH | AS4_AGGREGATOR => context.four_octet_as,
        _ => false,
    }
}

fn read(raw: &Raw<'_>, context: &Context) -> Result<Attribute, Flaw> {
    let value = raw.value;
    Ok(match raw.kind {
        ORIGIN => Attribute::Origin(match exactly(value)? {
            [0] => Origin::Igp,
            [1] => Origin::Egp,
            [2] => Origin::Incomplete,
            [_] => return Err(Flaw::Value),
        }),
        AS_PATH => Attribute::AsPath(read_path(value, context.four_octet_as)?),
        NEXT_HOP => {
            let address = Ipv4Addr::from(exactly(value)?);
            if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
                return Err(Flaw::Value);
            }
            Attribute::NextHop(address)
        }
        MED => Attribute::Med(u32::from_be_bytes(exactly(value)?)),
        LOCAL_PREF => Attribute::LocalPref(u32::from_be_bytes(exactly(value)?)),
        ATOMIC_AGGREGATE => {
            let [] = exactly(value)?;
            Attribute::AtomicAggregate
        }
        AGGREGATOR => Attribute::Aggregator(read_aggregator(value, context.four_octet_as)?),
        COMMUNITIES => {
            let list = list(value)?.map(u32::from_be_bytes);
            Attribute::Communities(list.map(Community).collect())
        }
        ORIGINATOR_ID => Attribute::OriginatorId(exactly::<4>(value)?.into()),
        CLUSTER_LIST => Attribute::ClusterList(list::<4>(value)?.map(Ipv4Addr::from).collect()),
        EXTENDED_COMMUNITIES => {
            Attribute::ExtendedCommunities(list(value)?.map(ExtendedCommunity).collect())
        }
        AS4_PATH => Attribute::As4Path(read_path(value, true)?),
        AS4_AGGREGATOR => Attribute::As4Aggregator(read_aggregator(value, true)?),
        LARGE_COMMUNITIES => Attribute::LargeCommunities(list(value)?.map(large).collect()),
        ONLY_TO_CUSTOMER => Attribute::OnlyToCustomer(some_as(exactly(value)?)?),
        kind => Attribute::Other {
            flags: raw.flags,
            kind,
            value: value.to_vec(),
        },
    })
}

fn exactly<const LENGTH: usize>(value: &[u8]) -> Result<[u8; LENGTH], Flaw> {
    value.try_into().map_err(|_| Flaw::Length)
}

/// One or more of `LENGTH` octets each.
fn list<const LENGTH: usize>(value: &[u8]) -> Result<impl Iterator<Item = [u8; LENGTH]>, Flaw> {
    let (items, rest) = value.as_chunks::<LENGTH>();
    if items.is_empty() || !rest.is_empty() {
        return Err(Flaw::Length);
    }
    Ok(items.iter().copied())
}

fn large([a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12]) -> LargeCommunity {
    LargeCommunity {
        global: u32::from_be_bytes([a, b, c, d]),
        local1: u32::from_be_bytes([e, f, g, h]),
        local2: u32::from_be_bytes([i, j, k, l]),
    }
}

fn some_as(octets: [u8; 4]) -> Result<Asn, Flaw> {
    match u32::from_be_bytes(octets) {
        0 => Err(Flaw::AsZero),
        number => Ok(Asn(number)),
    }
}

fn read_aggregator(value: &[u8], wide: bool) -> Result<Aggregator, Flaw> {
    let (asn, id) = if wide {
        let [a, b, c, d, id @ ..] = exactly::<8>(value)?;
        ([a, b, c, d], id)
    } else {
        let [a, b, id @ ..] = exactly::<6>(value)?;
        ([0, 0, a, b], id)
    };
    Ok(Aggregator {
        asn: some_as(asn)?,
        id: id.into(),
    })
}

fn write_aggregator(aggregator: Aggregator, wide: bool, out: &mut Vec<u8>) {
    write_as(aggregator.asn, wide, out);
    out.extend(aggregator.id.octets());
}

fn write_as(asn: Asn, wide: bool, out: &mut Vec<u8>) {
    if wide {
        out.extend(asn.0.to_be_bytes());
    } else {
        out.extend(asn.two_octets().to_be_bytes());
    }
}

/// RFC 7606 section 7.2: the types, numbers and lengths of the segments must add up, none is empty.
fn read_path(value: &[u8], wide: bool) -> Result<Vec<Segment>, Flaw> {
    let mut reader = Reader(value);
    let mut segments = Vec::new();
    while !reader.is_empty() {
        let [kind, count] = reader.array().map_err(|_| Flaw::Length)?;
        if count == 0 || !(1..=2).contains(&kind) {
            return Err(Flaw::Value);
        }
        let width = if wide { 4 } else { 2 };
        let octets = reader
            .take(usize::from(count) * width)
            .map_err(|_| Flaw::Length)?;
        let path: Result<Vec<Asn>, Flaw> = if wide {
            octets.as_chunks().0.iter().copied().map(some_as).collect()
        } else {
            let pairs = octets.as_chunks().0.iter();
            pairs.map(|[a, b]| some_as([0, 0, *a, *b])).collect()
        };
        let (set, path) = (kind == 1, path?);
        segments.push(Segment { set, path });
    }
    if segments.iter().any(|segment| segment.set) {
        return Err(Flaw::AsSet);
    }
    Ok(segments)
}

/// Segments of more than 255 are written as several.
fn write_path(segments: &[Segment], wide: bool, out: &mut Vec<u8>) {
    for segment in segments {
        for part in segment.path.chunks(255) {
            out.push(if segment.set { 1 } else { 2 });
            out.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            part.iter().for_each(|asn| write_as(*asn, wide, out));
        }
    }
}
