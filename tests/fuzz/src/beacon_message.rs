//! Datagrams of the beacon protocol behind their seal: kind, flags, and everything between the head and
//! the tag. The head is made right and the tag is of the right key, as if a member had sent it.
//!
//! Nothing is read as anything but what would be written, and nothing is longer than the datagram. The
//! same octets without the tag are refused.

use std::time::Duration;

use herald_beacon::{
    Beacon, Body, Claim, Entry, Heard, Key, Keys, LinkWord, MAX_DATAGRAM, Message, View, decode,
    encode,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const KEY: [u8; 32] = [7; 32];
const TAG: usize = 16;

/// The key of all datagrams, number 1.
pub(crate) fn keys() -> Keys {
    Keys::new(1, Key(KEY))
}

/// The datagram with its tag (RFC 2104), which is the first half of HMAC-SHA256.
pub(crate) fn sealed(mut datagram: Vec<u8>) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).expect("HMAC takes keys of any length");
    mac.update(&datagram);
    datagram.extend(&mac.finalize().into_bytes()[..TAG]);
    datagram
}

/// The datagram behind magic and version: kind, flags, key number 1, the rest.
pub(crate) fn headed(kind: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let mut datagram = encode(&message(Body::Challenge([0; 16])), &keys());
    datagram.truncate(5);
    datagram.extend([kind, flags, 1]);
    datagram.extend(rest);
    datagram
}

/// Reads it.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let [kind, flags, rest @ ..] = octets else {
        return;
    };
    let bare = headed(*kind, *flags, rest);
    assert!(decode(&bare, &keys()).is_err() && decode(octets, &keys()).is_err());
    let whole = sealed(bare);
    let Ok(message) = decode(&whole, &keys()) else {
        return;
    };
    assert!(whole.len() <= MAX_DATAGRAM);
    assert_eq!(encode(&message, &keys()), whole);
    let things = match &message.body {
        Body::Beacon(said) => {
            said.heard.len() + said.sounding.len() + said.links.len() + said.entries.len()
        }
        Body::View(view) => {
            assert!(view.voters.is_subset(&view.members));
            view.members.len()
        }
        Body::Challenge(_) | Body::Answer(_) | Body::Copy { .. } => 0,
    };
    assert!(things <= octets.len());
}

fn message(body: Body) -> Message {
    Message {
        cluster: 1,
        from: 2,
        to: 1,
        life: 1,
        body,
    }
}

/// One message of each kind, of each list nothing and something.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let claim = |epoch| Claim {
        epoch,
        owner: 2,
        life: 1,
    };
    let entry = |address: &str, record, released| Entry {
        address: address.parse().expect("an address"),
        record,
        released,
    };
    let full = Beacon {
        settled: true,
        grant: Duration::from_millis(200),
        seq: 9,
        view: 5,
        table: 3,
        complete: 3,
        heard: vec![Heard {
            node: 1,
            life: 1,
            seq: 7,
        }],
        sounding: vec![0xe0],
        links: vec![LinkWord {
            mine: 1,
            yours: 2,
            others: true,
            ..LinkWord::default()
        }],
        entries: vec![
            entry("192.0.2.1", claim(1), Claim::default()),
            entry("2001:db8::1", claim(2), claim(1)),
        ],
        ..Beacon::default()
    };
    let view = View {
        number: 6,
        members: (1..=10).collect(),
        voters: (1..=7).collect(),
    };
    let bodies = [
        Body::Beacon(Beacon::default()),
        Body::Beacon(full),
        Body::Challenge([9; 16]),
        Body::Answer([9; 16]),
        Body::View(View::default()),
        Body::View(view),
        Body::Copy { link: 3, count: 4 },
    ];
    let datagrams = bodies.map(|body| encode(&message(body), &keys()));
    let bare = |datagram: &Vec<u8>| {
        let rest = &datagram[8..datagram.len() - TAG];
        [&datagram[5..7], rest].concat()
    };
    datagrams.iter().map(bare).collect()
}
