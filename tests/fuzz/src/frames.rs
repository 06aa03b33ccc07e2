//! Frames on a LAN: the hosts of the targets, one frame of each form, and the checksum that lets a
//! changed one through to what is behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use herald_l2::arp::{Arp, Operation};
use herald_l2::ndp::{Advertisement, Solicitation, solicited_node};
use herald_l2::{Frame, Mac};

pub(crate) const OURS: Mac = Mac([2, 0, 0, 0, 0, 0x01]);
pub(crate) const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0xbb]);
pub(crate) const PEER: Mac = Mac([2, 0, 0, 0, 0, 0x02]);
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
pub(crate) const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xff);
pub(crate) const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);

/// Where the payload of a frame begins.
pub(crate) const ETHERNET: usize = 14;
const ICMPV6: usize = ETHERNET + 40;

/// One frame of each form that a host understands, from `mac`.
pub(crate) fn every_form(mac: Mac) -> Vec<Frame> {
    let arp = |operation, sender_ip| {
        let packet = Arp {
            operation,
            sender_mac: mac,
            sender_ip,
            target_mac: OURS,
            target_ip: VIP,
        };
        packet.frame(OURS, mac)
    };
    let asked = |source, destination, source_mac| {
        let question = Solicitation {
            source,
            destination,
            target: VIP6,
            source_mac,
        };
        question.frame(OURS, mac)
    };
    vec![
        arp(Operation::Request, CLIENT),
        arp(Operation::Request, Ipv4Addr::UNSPECIFIED),
        arp(Operation::Reply, GATEWAY),
        Arp::gratuitous_request(VIP, mac),
        Arp::gratuitous_reply(VIP, mac, Mac::BROADCAST),
        Arp::directed_request(VIP, mac, GATEWAY),
        asked(CLIENT6, solicited_node(VIP6), Some(mac)),
        asked(CLIENT6, VIP6, None),
        asked(Ipv6Addr::UNSPECIFIED, solicited_node(VIP6), None),
        Advertisement::unsolicited(VIP6, CLIENT6, mac),
        Advertisement::solicited(GATEWAY6, GATEWAY6, mac, VIP6, OURS),
    ]
}

/// The sum of an ICMPv6 message with its pseudo-header (RFC 1071, RFC 8200 section 8.1), as plainly as
/// possible: 0xffff where its checksum is right.
pub(crate) fn sum(ips: &[u8], message: &[u8]) -> u32 {
    let length = u32::try_from(message.len()).unwrap_or_default();
    let pseudo = [ips, &length.to_be_bytes(), &[0, 0, 0, 58], message].concat();
    let words = pseudo
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Makes length and checksum of an ICMPv6 message right, if the frame holds one.
pub(crate) fn repair(frame: &mut [u8]) {
    if frame.len() < ICMPV6 + 4 || frame[12..ETHERNET] != [0x86, 0xdd] {
        return;
    }
    let length = u16::try_from(frame.len() - ICMPV6).unwrap_or_default();
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame[ICMPV6 + 2..ICMPV6 + 4].fill(0);
    let sum = !u16::try_from(sum(&frame[22..ICMPV6], &frame[ICMPV6..])).unwrap_or_default();
    frame[ICMPV6 + 2..ICMPV6 + 4].copy_from_slice(&sum.to_be_bytes());
}

/// The service addresses of the targets.
pub(crate) fn addresses() -> [IpAddr; 2] {
    [VIP.into(), VIP6.into()]
}
