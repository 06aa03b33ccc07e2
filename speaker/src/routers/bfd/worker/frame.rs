//! Ethernet frames with BFD packets over IPv4: what one says, and one that a neighbour's forwarding sends
//! back (RFC 5881 section 4). Pure.

use std::net::Ipv4Addr;

use herald_bfd::ECHO_PORT;
use herald_l2::Mac;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const PROTOCOL_UDP: u8 = 17;
/// Every packet leaves with this TTL.
const TTL: u8 = 255;
/// DSCP CS6, network control, as IP carries it.
const TRAFFIC_CLASS: u8 = 0xc0;

/// Where echo packets go: to this node, by way of the neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Road {
    pub(super) neighbour: Mac,
    pub(super) here: Mac,
    pub(super) address: Ipv4Addr,
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said<'a> {
    /// The way back to who sent it.
    pub(super) back: Road,
    pub(super) source: Ipv4Addr,
    pub(super) ttl: u8,
    pub(super) port: u16,
    pub(super) payload: &'a [u8],
}

/// Reads a frame; none when it is no whole datagram. The kernel's filter let it pass, and the checksum of
/// UDP is not looked at: what counts in an echo is sealed.
pub(super) fn read(frame: &[u8]) -> Option<Said<'_>> {
    let here = mac(frame.get(..6)?)?;
    let neighbour = mac(frame.get(6..12)?)?;
    let packet = frame.get(ETHERNET..)?;
    let header = usize::from(*packet.first()? & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes(*packet.get(2..4)?.first_chunk()?));
    let datagram = packet.get(header.max(IPV4)..length)?;
    let said = usize::from(u16::from_be_bytes(*datagram.get(4..6)?.first_chunk()?));
    Some(Said {
        back: Road {
            neighbour,
            here,
            address: Ipv4Addr::from(*packet.get(16..20)?.first_chunk()?),
        },
        source: Ipv4Addr::from(*packet.get(12..16)?.first_chunk()?),
        ttl: *packet.get(8)?,
        port: u16::from_be_bytes(*datagram.get(2..4)?.first_chunk()?),
        payload: datagram.get(UDP..said)?,
    })
}

/// A frame that comes back: to the neighbour, for this node's own address.
pub(super) fn echo(road: &Road, from_port: u16, payload: &[u8]) -> Vec<u8> {
    let word = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let own = road.address.octets();
    let mut header = vec![0x45, TRAFFIC_CLASS];
    header.extend(word(IPV4 + UDP + payload.len()));
    header.extend([0, 0, 0x40, 0, TTL, PROTOCOL_UDP, 0, 0]);
    header.extend(own);
    header.extend(own);
    let sum = checksum(&header).to_be_bytes();
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&sum);
    }
    let mut frame = Vec::with_capacity(ETHERNET + IPV4 + UDP + payload.len());
    frame.extend(road.neighbour.0);
    frame.extend(road.here.0);
    frame.extend([0x08, 0x00]);
    frame.extend(header);
    frame.extend(from_port.to_be_bytes());
    frame.extend(ECHO_PORT.to_be_bytes());
    frame.extend(word(UDP + payload.len()));
    // No checksum (RFC 768): the payload is sealed.
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// Of an IPv4 header whose checksum is zero (RFC 791 section 3.1).
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2);
    let words = words.map(|pair| {
        pair.iter()
            .fold(0, |word, octet| word << 8 | u32::from(*octet))
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    !u16::try_from(folded).unwrap_or_default()
}

fn mac(octets: &[u8]) -> Option<Mac> {
    octets.first_chunk().copied().map(Mac)
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    const ROAD: Road = Road {
        neighbour: Mac([2, 0, 0, 0, 0, 1]),
        here: Mac([2, 0, 0, 0, 0, 2]),
        address: Ipv4Addr::new(192, 0, 2, 11),
    };

    #[test]
    fn etherparse_reads_the_echo_we_write() {
        let frame = echo(&ROAD, 50_000, b"sixteen octets!!");
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = packet.net else {
            panic!("IPv4");
        };
        let header = ip.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        assert_eq!(
            (header.source, header.destination),
            ([192, 0, 2, 11], [192, 0, 2, 11])
        );
        assert_eq!((header.time_to_live, header.dont_fragment), (255, true));
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("UDP");
        };
        assert_eq!((udp.source_port(), udp.destination_port()), (50_000, 3785));
        assert_eq!(udp.payload(), b"sixteen octets!!");
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    }

    /// A frame that comes back has the two hardware addresses the other way round, and one hop less.
    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_not() {
        let mut frame = echo(&ROAD, 50_000, b"sixteen octets!!");
        frame[22] = 254;
        let said = read(&frame).unwrap();
        let back = Road {
            neighbour: ROAD.here,
            here: ROAD.neighbour,
            ..ROAD
        };
        let expected = Said {
            back,
            source: ROAD.address,
            ttl: 254,
            port: 3785,
            payload: b"sixteen octets!!",
        };
        assert_eq!(said, expected);
        for length in 0..frame.len() {
            assert_eq!(read(&frame[..length]), None, "{length}");
        }
        // Ethernet pads.
        frame.extend([0; 20]);
        assert_eq!(read(&frame).unwrap(), expected);
        for at in 14..frame.len() {
            for value in [0, 1, 0x0f, 0x45, 0x4f, 0xff] {
                let mut frame = frame.clone();
                frame[at] = value;
                let _ = read(&frame);
            }
        }
    }
}
