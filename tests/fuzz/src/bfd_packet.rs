//! Control packets of BFD: a datagram.
//!
//! It is read if, and where there is authentication only if, it meets the conditions of RFC 5880 section
//! 6.8.6 that can be told from it alone; what is read is written again as it was, but for what follows its
//! length. A demultiplexer gives it to nobody but whom its discriminator names, or its origin where that is
//! zero and the sender is down.

use herald_bfd::{Demultiplexer, Discriminator, Origin, Packet, State};

use crate::vectors::{BFD, messages};

/// Reads the datagram.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let read = Packet::decode(octets);
    let authenticated = octets.get(1).is_some_and(|bits| bits & 0x04 != 0);
    let least = if authenticated { 26 } else { 24 };
    let sound = octets.len() >= 24
        && octets[0] >> 5 == 1
        && (least..=octets.len()).contains(&usize::from(octets[3]))
        && octets[2] != 0
        && octets[1] & 1 == 0
        && octets[4..8] != [0; 4];
    assert!(sound || read.is_err());
    assert!(!sound || authenticated || read.is_ok());
    let origin = |number: u8| Origin {
        address: [192, 0, 2, number].into(),
        interface: (number & 1 == 1).then_some(1),
        multihop: number & 2 == 2,
    };
    let number = |number: u32| Discriminator::new(number).expect("not zero");
    let mut known = Demultiplexer::default();
    known.insert(origin(1), number(0x5b66_e291));
    known.insert(origin(2), number(2));
    for from in [1, 2, 3] {
        let Ok(session) = known.select(octets, origin(from)) else {
            continue;
        };
        let packet = read.as_ref().expect("selected, so it can be read");
        match packet.your_discriminator {
            0 => {
                assert!(matches!(packet.state, State::Down | State::AdminDown));
                let first = if from == 1 { 0x5b66_e291 } else { 2 };
                assert_eq!(session.get(), first);
            }
            yours => assert_eq!(session.get(), yours),
        }
    }
    let Ok(packet) = read else {
        return;
    };
    let again = packet.encode();
    assert_eq!(Packet::decode(&again).as_ref(), Ok(&packet));
    let section = packet.authentication.map(|section| section.data.len());
    let end = section.map_or(24, |data| 26 + data);
    assert_eq!(again.len(), end);
    assert_eq!((&again[..3], &again[4..]), (&octets[..3], &octets[4..end]));
}

/// What BIRD and FRR sent.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut packets = messages(&BFD);
    packets.sort();
    packets.dedup_by_key(|packet| (packet.len(), packet[1]));
    packets
}
