//! The ARP codec against etherparse and RFC 826's layout.

use std::net::Ipv4Addr;

use etherparse::{ArpHardwareId, ArpPacketSlice, EtherType};
use proptest::prelude::*;

use super::*;

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn any_arp() -> impl Strategy<Value = Arp> {
    (
        any::<bool>(),
        any::<[u8; 6]>(),
        any::<[u8; 4]>(),
        any::<[u8; 6]>(),
        any::<[u8; 4]>(),
    )
        .prop_map(|(request, sha, spa, tha, tpa)| Arp {
            operation: if request {
                Operation::Request
            } else {
                Operation::Reply
            },
            sender_mac: Mac(sha),
            sender_ip: spa.into(),
            target_mac: Mac(tha),
            target_ip: tpa.into(),
        })
}

proptest! {
    #[test]
    fn etherparse_reads_what_we_write(arp in any_arp(), to: [u8; 6], from: [u8; 6]) {
        let frame = arp.frame(Mac(to), Mac(from));
        let bytes = frame.bytes();
        prop_assert_eq!(bytes.len(), 60);
        prop_assert!(bytes[42..].iter().all(|byte| *byte == 0), "padding is zero");
        let ethernet = etherparse::Ethernet2Slice::from_slice_without_fcs(bytes).expect("ethernet");
        prop_assert_eq!(ethernet.destination(), to);
        prop_assert_eq!(ethernet.source(), from);
        prop_assert_eq!(ethernet.ether_type(), EtherType::ARP);
        let theirs = ArpPacketSlice::from_slice(ethernet.payload_slice()).expect("arp");
        prop_assert_eq!(theirs.hw_addr_type(), ArpHardwareId::ETHERNET);
        prop_assert_eq!(theirs.proto_addr_type(), EtherType::IPV4);
        let operation = if arp.operation == Operation::Request { 1 } else { 2 };
        prop_assert_eq!(theirs.operation().0, operation);
        prop_assert_eq!(theirs.sender_hw_addr(), &arp.sender_mac.0[..]);
        prop_assert_eq!(theirs.sender_protocol_addr(), &arp.sender_ip.octets()[..]);
        prop_assert_eq!(theirs.target_hw_addr(), &arp.target_mac.0[..]);
        prop_assert_eq!(theirs.target_protocol_addr(), &arp.target_ip.octets()[..]);
    }

    #[test]
    fn what_etherparse_writes_we_read(arp in any_arp()) {
        let operation = if arp.operation == Operation::Request { 1 } else { 2 };
        let theirs = etherparse::ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            etherparse::ArpOperation(operation),
            &arp.sender_mac.0,
            &arp.sender_ip.octets(),
            &arp.target_mac.0,
            &arp.target_ip.octets(),
        )
        .expect("valid lengths");
        prop_assert_eq!(Arp::parse(&theirs.to_bytes()), Ok(arp));
    }

    #[test]
    fn arbitrary_octets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Arp::parse(&bytes);
    }
}

#[test]
fn every_truncation_is_too_short() {
    let frame = Arp::gratuitous_request(VIP, MAC);
    let packet = &frame.bytes()[14..42];
    for length in 0..LENGTH {
        assert_eq!(Arp::parse(&packet[..length]), Err(Discard::TooShort));
    }
    assert!(Arp::parse(packet).is_ok());
}

#[test]
fn other_hardware_protocols_lengths_and_operations_are_malformed() {
    let good: [u8; 28] = Arp::gratuitous_request(VIP, MAC).bytes()[14..42]
        .try_into()
        .expect("28");
    for (at, value) in [(1, 6), (2, 0x86), (4, 20), (5, 16), (7, 0), (7, 3), (6, 1)] {
        let mut bad = good;
        bad[at] = value;
        assert_eq!(
            Arp::parse(&bad),
            Err(Discard::Malformed),
            "octet {at} = {value}"
        );
    }
}

#[test]
fn a_gratuitous_reply_names_its_own_hardware_address_as_target() {
    let frame = Arp::gratuitous_reply(VIP, MAC, Mac::BROADCAST);
    let said = Arp::parse(&frame.bytes()[14..]).expect("valid");
    assert_eq!(
        (said.target_mac, said.target_ip),
        (said.sender_mac, said.sender_ip)
    );
}

#[test]
fn a_directed_request_asks_the_gateway_and_names_the_address_as_sender() {
    let gateway = Ipv4Addr::new(192, 0, 2, 1);
    let frame = Arp::directed_request(VIP, MAC, gateway);
    let said = Arp::parse(&frame.bytes()[14..]).expect("valid");
    assert_eq!((said.sender_ip, said.target_ip), (VIP, gateway));
    assert_eq!(said.target_mac, Mac::ZERO);
}

#[test]
fn a_reply_goes_to_the_ethernet_source_and_echoes_the_asker() {
    let asker = Ipv4Addr::new(192, 0, 2, 77);
    let request = Arp {
        operation: Operation::Request,
        sender_mac: PEER,
        sender_ip: asker,
        target_mac: Mac::ZERO,
        target_ip: VIP,
    };
    let relay = Mac([2, 0, 0, 0, 0, 9]);
    let frame = Arp::reply(&request, relay, MAC);
    assert_eq!(frame.bytes()[..6], relay.0);
    let said = Arp::parse(&frame.bytes()[14..]).expect("valid");
    assert_eq!(
        said,
        Arp {
            operation: Operation::Reply,
            sender_mac: MAC,
            sender_ip: VIP,
            target_mac: PEER,
            target_ip: asker,
        }
    );
}
