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
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    use super::*;

    const ROAD: Road = Road {
        neighbour: Mac([2, 0, 0, 0, 0, 1]),
        here: Mac([2, 0, 0, 0, 0, 2]),
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11)),
    };
    const ROAD_SIX: Road = Road {
        address: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 11)),
        ..ROAD
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
        assert_eq!(header.dscp.value(), 48);
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            panic!("UDP");
        };
        assert_eq!((udp.source_port(), udp.destination_port()), (50_000, 3785));
        assert_eq!(udp.payload(), b"sixteen octets!!");
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    }

    /// RFC 8200 sections 3 and 8.1: a checksum is mandatory.
    #[test]
    fn etherparse_reads_the_echo_we_write_over_ipv6() {
        for payload in [&b"sixteen octets!!"[..], b"seventeen octets!", b""] {
            let frame = echo(&ROAD_SIX, 50_000, payload);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(NetSlice::Ipv6(ip)) = packet.net else {
                panic!("IPv6");
            };
            let header = ip.header().to_header();
            let own = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
            assert_eq!((header.source, header.destination), (own, own));
            assert_eq!((header.hop_limit, header.traffic_class), (255, 0xc0));
            assert_eq!(usize::from(header.payload_length), 8 + payload.len());
            let Some(TransportSlice::Udp(udp)) = packet.transport else {
                panic!("UDP");
            };
            assert_eq!((udp.source_port(), udp.destination_port()), (50_000, 3785));
            assert_eq!(udp.payload(), payload);
            let expected = udp.to_header().calc_checksum_ipv6(&header, payload);
            assert_eq!(udp.checksum(), expected.unwrap());
            assert_eq!(frame[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        }
    }

    /// A frame that comes back has the two hardware addresses the other way round, and one hop less.
    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_not() {
        for (road, ttl_at) in [(ROAD, 22), (ROAD_SIX, 21)] {
            let mut frame = echo(&road, 50_000, b"sixteen octets!!");
            frame[ttl_at] = 254;
            let said = read(&frame).unwrap();
            let back = Road {
                neighbour: road.here,
                here: road.neighbour,
                ..road
            };
            let expected = Said {
                back,
                source: road.address,
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
            for at in 12..frame.len() {
                for value in [0, 1, 0x0f, 0x45, 0x4f, 0xff] {
                    let mut frame = frame.clone();
                    frame[at] = value;
                    let _ = read(&frame);
                }
            }
        }
    }

    #[test]
    fn what_is_neither_ipv4_nor_udp_behind_ipv6_is_not_read() {
        let frame = echo(&ROAD_SIX, 50_000, b"sixteen octets!!");
        for (at, value) in [(12, 8), (13, 0), (20, 6), (20, 0), (20, 44)] {
            let mut frame = frame.clone();
            frame[at] = value;
            assert_eq!(read(&frame), None, "octet {at}: {value}");
        }
    }

    fn roads() -> impl Strategy<Value = Road> {
        (any::<[u8; 6]>(), any::<[u8; 6]>(), any::<IpAddr>()).prop_map(
            |(neighbour, here, address)| Road {
                neighbour: Mac(neighbour),
                here: Mac(here),
                address,
            },
        )
    }

    proptest! {
        /// Whatever the octets and the family: etherparse takes the checksum, and reads the payload.
        #[test]
        fn any_echo_is_in_order(road in roads(), port: u16, payload in prop::collection::vec(any::<u8>(), 0..64)) {
            let frame = echo(&road, port, &payload);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(TransportSlice::Udp(udp)) = packet.transport else {
                panic!("UDP");
            };
            prop_assert_eq!(udp.payload(), &payload[..]);
            if let Some(NetSlice::Ipv6(ip)) = packet.net {
                let sum = udp.to_header().calc_checksum_ipv6(&ip.header().to_header(), &payload);
                prop_assert_eq!(udp.checksum(), sum.unwrap());
            }
            let said = read(&frame).unwrap();
            prop_assert_eq!((said.source, said.back.address), (road.address, road.address));
            prop_assert_eq!((said.ttl, said.port, said.payload), (255, 3785, &payload[..]));
        }

        /// Frames of either family with anything behind their first octets; what is read lies within.
        #[test]
        fn arbitrary_octets_never_panic(six: bool, octets in prop::collection::vec(any::<u8>(), 0..128)) {
            let ethertype = if six { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 };
            let frame = [&[0; 12][..], &ethertype, &octets].concat();
            if let Some(said) = read(&frame) {
                let headers = if six { ETHERNET + IPV6 + UDP } else { ETHERNET + IPV4 + UDP };
                prop_assert!(said.payload.len() + headers <= frame.len());
            }
        }
    }
}
