//! Frames octet by octet, and read by etherparse.

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
    (any::<[u8; 6]>(), any::<[u8; 6]>(), any::<IpAddr>()).prop_map(|(neighbour, here, address)| {
        Road {
            neighbour: Mac(neighbour),
            here: Mac(here),
            address,
        }
    })
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
