//! Frames with BFD packets over IPv4 and IPv6, as the sockets for echo packets read them: one octet per octet.
//!
//! What is read lies within the frame, where its lengths say; what is sent back is read as what it was.
//!
//! The module is the speaker's own file, taken by its path: the speaker itself would bring the API
//! server's client along.

#[path = "../../../speaker/src/routers/bfd/worker/frame.rs"]
mod frame;

use frame::{Road, echo, read};
use herald_l2::Mac;

/// Reads the frame.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let Some(said) = read(octets) else {
        return;
    };
    let headers = if said.source.is_ipv4() { 42 } else { 62 };
    assert!(said.payload.len() + headers <= octets.len());
    assert_eq!(octets[..6], said.back.here.0);
    assert_eq!(octets[6..12], said.back.neighbour.0);
    let again = echo(&said.back, said.port, said.payload);
    let heard = read(&again).expect("what is written is read");
    let Road {
        neighbour,
        here,
        address,
    } = said.back;
    assert_eq!((heard.back.neighbour, heard.back.here), (here, neighbour));
    assert_eq!((heard.source, heard.back.address), (address, address));
    assert_eq!((heard.ttl, heard.port), (255, 3785));
    assert_eq!(heard.payload, said.payload);
}

/// Echo packets, plain and padded, and with options of IPv4.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let road = Road {
        neighbour: Mac([2, 0, 0, 0, 0, 1]),
        here: Mac([2, 0, 0, 0, 0, 2]),
        address: [192, 0, 2, 11].into(),
    };
    let plain = echo(&road, 50_000, b"sixteen octets!!");
    let padded = [&plain[..], &[0; 20]].concat();
    let mut options = plain.clone();
    options.splice(34..34, [1; 4]);
    (options[14], options[17]) = (0x46, 48);
    let road = Road {
        address: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 11].into(),
        ..road
    };
    let six = echo(&road, 50_000, b"sixteen octets!!");
    let six_padded = [&six[..], &[0; 20]].concat();
    vec![plain, padded, options, six, six_padded]
}
