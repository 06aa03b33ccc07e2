//! Neighbour solicitations and advertisements: one octet, and the IPv6 packet of a frame. Where the
//! octet is odd, length and checksum are made right first.
//!
//! What is read has passed every check of RFC 4861 sections 7.1.1 and 7.1.2, and means the same when it is
//! written again.

use std::net::Ipv6Addr;

use herald_l2::Mac;
use herald_l2::ndp::{Message, solicited_node};

use crate::frames::{ETHERNET, OTHER, OURS, every_form, repair, sum};

const HEADER: usize = 40;

/// Reads the packet.
pub fn run(octets: &[u8]) {
    let Some((how, packet)) = octets.split_first() else {
        return;
    };
    let mut frame = vec![0; 12];
    frame.extend([0x86, 0xdd]);
    frame.extend(packet);
    if how & 1 == 1 {
        repair(&mut frame);
    }
    let packet = &frame[ETHERNET..];
    let Ok(message) = Message::parse(packet) else {
        return;
    };
    assert_eq!((packet[0] >> 4, packet[6], packet[7]), (6, 58, 255));
    let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let icmp = &packet[HEADER..HEADER + length];
    assert!(icmp.len() >= 24 && icmp[1] == 0 && icmp[8] != 0xff);
    assert_eq!(sum(&packet[8..HEADER], icmp), 0xffff);
    assert_options(&icmp[24..]);
    let again = match message {
        Message::Solicitation(asked) => {
            assert_eq!(icmp[0], 135);
            if asked.source == Ipv6Addr::UNSPECIFIED {
                assert_eq!(asked.destination, solicited_node(asked.target));
                assert_eq!(asked.source_mac, None);
            }
            asked.frame(OURS, OTHER)
        }
        Message::Advertisement(said) => {
            assert_eq!(icmp[0], 136);
            assert!(!(said.destination.is_multicast() && said.solicited));
            said.frame(OURS, OTHER)
        }
    };
    assert_eq!(Message::parse(&again.bytes()[ETHERNET..]), Ok(message));
}

/// Every option has a length, and they fill what there is (RFC 4861 section 4.6).
pub(crate) fn assert_options(mut rest: &[u8]) {
    while !rest.is_empty() {
        let length = usize::from(rest[1]) * 8;
        assert!(length > 0);
        rest = &rest[length..];
    }
}

/// A packet of each form, as it is and to be made right.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = every_form(Mac([2, 0, 0, 0, 0, 7]));
    let packets = frames.iter().skip(6);
    let packets = packets.map(|frame| &frame.bytes()[ETHERNET..]);
    packets
        .flat_map(|packet| [0, 1].map(|how| [&[how], packet].concat()))
        .collect()
}
