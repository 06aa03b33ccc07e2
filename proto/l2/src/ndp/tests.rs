//! NS and NA against etherparse, and RFC 4861 §7.1 clause by clause.

use std::net::Ipv6Addr;

use etherparse::{Icmpv6Slice, Icmpv6Type, Ipv6HeaderSlice, icmpv6};
use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

fn unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 16]>().prop_map(|mut octets| {
        octets[0] &= 0x3f;
        octets[15] |= 1;
        Ipv6Addr::from(octets)
    })
}

fn option() -> impl Strategy<Value = Option<Mac>> {
    proptest::option::of(any::<[u8; 6]>().prop_map(Mac))
}

fn solicitation() -> impl Strategy<Value = Solicitation> {
    (unicast(), unicast(), option()).prop_map(|(source, target, source_mac)| Solicitation {
        source,
        destination: solicited_node(target),
        target,
        source_mac,
    })
}

fn advertisement() -> impl Strategy<Value = Advertisement> {
    (
        unicast(),
        unicast(),
        unicast(),
        any::<[bool; 3]>(),
        option(),
    )
        .prop_map(
            |(source, destination, target, [router, solicited, overrides], target_mac)| {
                Advertisement {
                    source,
                    destination,
                    target,
                    router,
                    solicited,
                    overrides,
                    target_mac,
                }
            },
        )
}

/// Checks IPv6 header, ICMPv6 checksum and type with etherparse; returns what it read.
fn read_by_etherparse(packet: &[u8]) -> (Ipv6Addr, Ipv6Addr, Icmpv6Type, Vec<u8>) {
    let ip = Ipv6HeaderSlice::from_slice(packet).expect("IPv6 header");
    assert_eq!(ip.hop_limit(), 255);
    let length = usize::from(ip.payload_length());
    let icmp = Icmpv6Slice::from_slice(&packet[40..40 + length]).expect("ICMPv6");
    assert!(
        icmp.is_checksum_valid(ip.source(), ip.destination()),
        "checksum"
    );
    (
        ip.source_addr(),
        ip.destination_addr(),
        icmp.icmp_type(),
        icmp.payload().to_vec(),
    )
}

proptest! {
    #[test]
    fn etherparse_reads_the_solicitation_we_write(ns in solicitation()) {
        let frame = ns.frame(Mac::of_group(ns.destination), MAC);
        let (source, destination, kind, payload) = read_by_etherparse(&frame.bytes()[14..]);
        prop_assert_eq!((source, destination), (ns.source, ns.destination));
        prop_assert_eq!(kind, Icmpv6Type::NeighborSolicitation);
        prop_assert_eq!(&payload[..16], &ns.target.octets()[..]);
        match ns.source_mac {
            Some(mac) => {
                prop_assert_eq!(&payload[16..18], &[1, 1][..]);
                prop_assert_eq!(&payload[18..24], &mac.0[..]);
            }
            None => prop_assert_eq!(payload.len(), 16),
        }
    }

    #[test]
    fn etherparse_reads_the_advertisement_we_write(na in advertisement()) {
        let frame = na.frame(MAC, MAC);
        let (_, _, kind, payload) = read_by_etherparse(&frame.bytes()[14..]);
        prop_assert_eq!(
            kind,
            Icmpv6Type::NeighborAdvertisement(icmpv6::NeighborAdvertisementHeader {
                router: na.router,
                solicited: na.solicited,
                r#override: na.overrides,
            })
        );
        prop_assert_eq!(&payload[..16], &na.target.octets()[..]);
    }

    #[test]
    fn what_we_write_we_read(ns in solicitation(), na in advertisement()) {
        let frame = ns.frame(MAC, MAC);
        prop_assert_eq!(Message::parse(&frame.bytes()[14..]), Ok(Message::Solicitation(ns)));
        let frame = na.frame(MAC, MAC);
        prop_assert_eq!(Message::parse(&frame.bytes()[14..]), Ok(Message::Advertisement(na)));
    }

    #[test]
    fn arbitrary_octets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn the_checksum_notices_a_flipped_bit(ns in solicitation(), at in 40_usize..64, bit in 0_u8..8) {
        let frame = ns.frame(MAC, MAC);
        let mut packet = frame.bytes()[14..].to_vec();
        packet[at] ^= 1 << bit;
        prop_assert!(Message::parse(&packet).is_err());
    }
}

/// A valid solicitation with octets replaced and the checksum made right again.
fn altered(changes: &[(usize, u8)]) -> Vec<u8> {
    let ns = Solicitation {
        source: HOST,
        destination: VIP,
        target: VIP,
        source_mac: Some(MAC),
    };
    let mut packet = ns.frame(MAC, MAC).bytes()[14..].to_vec();
    for (at, value) in changes {
        packet[*at] = *value;
    }
    rechecksum(&mut packet);
    packet
}

fn rechecksum(packet: &mut [u8]) {
    packet[42] = 0;
    packet[43] = 0;
    let (ip, icmp) = packet.split_at(40);
    let header = Ipv6HeaderSlice::from_slice(ip).expect("IPv6 header");
    let sum = etherparse::checksum::Sum16BitWords::new()
        .add_16bytes(header.source())
        .add_16bytes(header.destination())
        .add_4bytes(u32::try_from(icmp.len()).expect("short").to_be_bytes())
        .add_2bytes([0, 58])
        .add_slice(icmp)
        .ones_complement()
        .to_be();
    packet[42..44].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 4861 §7.1.1.
#[test]
fn a_solicitation_is_valid_only_as_the_rfc_says() {
    type Case = (&'static str, &'static [(usize, u8)], Result<(), Discard>);
    let cases: [Case; 8] = [
        ("unchanged", &[], Ok(())),
        (
            "hop limit 254: it was routed",
            &[(7, 254)],
            Err(Discard::Malformed),
        ),
        ("code 1", &[(41, 1)], Err(Discard::Malformed)),
        ("multicast target", &[(48, 0xff)], Err(Discard::Malformed)),
        ("option of length zero", &[(65, 0)], Err(Discard::Malformed)),
        (
            "option longer than the packet",
            &[(65, 2)],
            Err(Discard::Malformed),
        ),
        (
            "an extension header first",
            &[(6, 0)],
            Err(Discard::OtherProtocol),
        ),
        (
            "a router solicitation",
            &[(40, 133)],
            Err(Discard::OtherProtocol),
        ),
    ];
    for (what, changes, expected) in cases {
        let parsed = Message::parse(&altered(changes)).map(|_| ());
        assert_eq!(parsed, expected, "{what}");
    }
}

/// RFC 4861 §7.1.1: from `::` only to the solicited-node group, without a source address option.
#[test]
fn a_duplicate_check_has_a_form_of_its_own() {
    let none = Ipv6Addr::UNSPECIFIED;
    let cases = [
        (solicited_node(VIP), None, true),
        (solicited_node(VIP), Some(MAC), false),
        (VIP, None, false),
    ];
    for (destination, source_mac, valid) in cases {
        let ns = Solicitation {
            source: none,
            destination,
            target: VIP,
            source_mac,
        };
        let frame = ns.frame(MAC, MAC);
        assert_eq!(
            Message::parse(&frame.bytes()[14..]).is_ok(),
            valid,
            "{ns:?}"
        );
    }
}

/// RFC 4861 §7.1.2: a multicast advertisement is never "solicited".
#[test]
fn a_multicast_advertisement_that_says_solicited_is_malformed() {
    let na = Advertisement {
        source: HOST,
        destination: ALL_NODES,
        target: VIP,
        router: false,
        solicited: true,
        overrides: true,
        target_mac: Some(MAC),
    };
    let frame = na.frame(MAC, MAC);
    assert_eq!(
        Message::parse(&frame.bytes()[14..]),
        Err(Discard::Malformed)
    );
}

#[test]
fn every_truncation_is_refused() {
    let packet = altered(&[]);
    for length in 0..packet.len() {
        assert!(
            Message::parse(&packet[..length]).is_err(),
            "{length} octets"
        );
    }
}

/// RFC 4291 §2.7.1 gives this example.
#[test]
fn the_solicited_node_group_is_the_rfcs_example() {
    let address: Ipv6Addr = "4037::01:800:200e:8c6c".parse().expect("address");
    let group: Ipv6Addr = "ff02::1:ff0e:8c6c".parse().expect("group");
    assert_eq!(solicited_node(address), group);
    assert_eq!(
        Mac::of_group(group),
        Mac([0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c])
    );
}

/// RFC 4291 §2.7.1: addresses that differ in their high-order bits only are asked for in one group.
#[test]
fn addresses_that_agree_in_their_low_24_bits_share_a_group() {
    let group = |text: &str| solicited_node(text.parse().expect("address"));
    assert_eq!(group("fd00:1::10"), solicited_node(VIP));
    assert_ne!(group("fd00:1::11"), solicited_node(VIP));
}
