//! ARP packets: the payload of a frame.
//!
//! What is read is what RFC 826 says, and is written again as it was.

use std::net::Ipv4Addr;

use herald_l2::Mac;
use herald_l2::arp::{Arp, LENGTH, Operation};

use crate::frames::{ETHERNET, OTHER, OURS, every_form};

/// Reads the payload.
pub fn run(octets: &[u8]) {
    // Hardware Ethernet, protocol IPv4, lengths 6 and 4, request or reply.
    let sound = octets.len() >= LENGTH
        && octets[..7] == [0, 1, 8, 0, 6, 4, 0]
        && matches!(octets[7], 1 | 2);
    let read = Arp::parse(octets);
    assert_eq!(read.is_ok(), sound);
    let Ok(arp) = read else {
        return;
    };
    let ip = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    assert_eq!(arp.operation == Operation::Request, octets[7] == 1);
    assert_eq!((arp.sender_ip, arp.target_ip), (ip(14), ip(24)));
    let frame = arp.frame(OURS, OTHER);
    assert_eq!(frame.bytes()[ETHERNET..ETHERNET + LENGTH], octets[..LENGTH]);
    let answer = Arp::reply(&arp, arp.sender_mac, OURS);
    let answer = Arp::parse(&answer.bytes()[ETHERNET..]).expect("an answer is a packet");
    let (asked, asker) = (arp.target_ip, arp.sender_ip);
    assert_eq!((answer.sender_ip, answer.target_ip), (asked, asker));
    assert_eq!(
        (answer.sender_mac, answer.target_mac),
        (OURS, arp.sender_mac)
    );
}

/// A packet of each form.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = every_form(Mac([2, 0, 0, 0, 0, 7]));
    let payloads = frames
        .iter()
        .map(|frame| frame.bytes()[ETHERNET..].to_vec());
    payloads.take(6).collect()
}
