//! Ethernet frames with BFD packets: what one says, and one that a neighbour's forwarding sends back
//! (RFC 5881 section 4). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use herald_bfd::ECHO_PORT;
use herald_l2::Mac;

const ETHERNET: usize = 14;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const PROTOCOL_UDP: u8 = 17;
/// Every packet leaves with this TTL or hop limit.
const TTL: u8 = 255;
/// DSCP CS6, network control, as IP carries it.
const TRAFFIC_CLASS: u8 = 0xc0;

/// Where echo packets go: to this node, by way of the neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Road {
    pub(super) neighbour: Mac,
    pub(super) here: Mac,
    pub(super) address: IpAddr,
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said<'a> {
    /// The way back to who sent it.
    pub(super) back: Road,
    pub(super) source: IpAddr,
    pub(super) ttl: u8,
    pub(super) port: u16,
    pub(super) payload: &'a [u8],
}

/// What IP says of a datagram.
struct Headed<'a> {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    datagram: &'a [u8],
}

/// Reads a frame; none when it is no whole datagram. The kernel's filter let it pass, and the checksum of
/// UDP is not looked at: what counts in an echo is sealed.
pub(super) fn read(frame: &[u8]) -> Option<Said<'_>> {
    let here = mac(frame.get(..6)?)?;
    let neighbour = mac(frame.get(6..12)?)?;
    let packet = frame.get(ETHERNET..)?;
    let headed = match *frame.get(12..ETHERNET)?.first_chunk()? {
        ETHERTYPE_IPV4 => ipv4(packet)?,
        ETHERTYPE_IPV6 => ipv6(packet)?,
        _ => return None,
    };
    let datagram = headed.datagram;
    Some(Said {
        back: Road {
            neighbour,
            here,
            address: headed.destination,
        },
        source: headed.source,
        ttl: headed.ttl,
        port: word(datagram.get(2..4)?)?,
        payload: datagram.get(UDP..word(datagram.get(4..6)?)?.into())?,
    })
}

fn ipv4(packet: &[u8]) -> Option<Headed<'_>> {
    let header = usize::from(*packet.first()? & 0x0f) * 4;
    let length = usize::from(word(packet.get(2..4)?)?);
    Some(Headed {
        source: Ipv4Addr::from(*packet.get(12..16)?.first_chunk()?).into(),
        destination: Ipv4Addr::from(*packet.get(16..20)?.first_chunk()?).into(),
        ttl: *packet.get(8)?,
        datagram: packet.get(header.max(IPV4)..length)?,
    })
}

/// With UDP right behind the header: no BFD packet has more headers.
fn ipv6(packet: &[u8]) -> Option<Headed<'_>> {
    if *packet.get(6)? != PROTOCOL_UDP {
        return None;
    }
    let length = usize::from(word(packet.get(4..6)?)?);
    Some(Headed {
        source: Ipv6Addr::from(*packet.get(8..24)?.first_chunk()?).into(),
        destination: Ipv6Addr::from(*packet.get(24..40)?.first_chunk()?).into(),
        ttl: *packet.get(7)?,
        datagram: packet.get(IPV6..)?.get(..length)?,
    })
}

/// A frame that comes back: to the neighbour, for this node's own address.
pub(super) fn echo(road: &Road, from_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(UDP + payload.len()).unwrap_or(u16::MAX);
    let mut datagram = Vec::with_capacity(UDP + payload.len());
    datagram.extend(from_port.to_be_bytes());
    datagram.extend(ECHO_PORT.to_be_bytes());
    datagram.extend(length.to_be_bytes());
    // No checksum, which IPv4 allows (RFC 768): the payload is sealed.
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let (ethertype, header) = match road.address {
        IpAddr::V4(own) => (ETHERTYPE_IPV4, ipv4_header(own, length)),
        IpAddr::V6(own) => {
            let sum = datagram_checksum(own, length, &datagram);
            put(&mut datagram, 6, sum);
            (ETHERTYPE_IPV6, ipv6_header(own, length))
        }
    };
    let mut frame = Vec::with_capacity(ETHERNET + header.len() + datagram.len());
    frame.extend(road.neighbour.0);
    frame.extend(road.here.0);
    frame.extend(ethertype);
    frame.extend(header);
    frame.extend(datagram);
    frame
}

fn ipv4_header(own: Ipv4Addr, length: u16) -> Vec<u8> {
    let total = u16::try_from(IPV4)
        .unwrap_or_default()
        .saturating_add(length);
    let mut header = vec![0x45, TRAFFIC_CLASS];
    header.extend(total.to_be_bytes());
    header.extend([0, 0, 0x40, 0, TTL, PROTOCOL_UDP, 0, 0]);
    header.extend(own.octets());
    header.extend(own.octets());
    let sum = checksum(&header);
    put(&mut header, 10, sum);
    header
}

fn ipv6_header(own: Ipv6Addr, length: u16) -> Vec<u8> {
    let mut header = vec![0x60 | TRAFFIC_CLASS >> 4, TRAFFIC_CLASS << 4, 0, 0];
    header.extend(length.to_be_bytes());
    header.extend([PROTOCOL_UDP, TTL]);
    header.extend(own.octets());
    header.extend(own.octets());
    header
}

/// Of UDP over IPv6, where there has to be one (RFC 8200 section 8.1); its place in the datagram is zero.
fn datagram_checksum(own: Ipv6Addr, length: u16, datagram: &[u8]) -> u16 {
    let mut covered = [own.octets(), own.octets()].concat();
    covered.extend(u32::from(length).to_be_bytes());
    covered.extend([0, 0, 0, PROTOCOL_UDP]);
    covered.extend(datagram);
    match checksum(&covered) {
        0 => u16::MAX,
        sum => sum,
    }
}

/// Of the Internet (RFC 1071); where it is to stand is zero.
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or_default()
}

fn put(octets: &mut [u8], at: usize, word: u16) {
    if let Some(place) = octets.get_mut(at..at + 2) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

fn word(octets: &[u8]) -> Option<u16> {
    octets.first_chunk().copied().map(u16::from_be_bytes)
}

fn mac(octets: &[u8]) -> Option<Mac> {
    octets.first_chunk().copied().map(Mac)
}

#[cfg(test)]
mod tests;
