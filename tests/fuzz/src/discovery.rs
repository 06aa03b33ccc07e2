//! Router discovery: messages of anybody on the link, and time.
//!
//! A script. Steps, by the octet modulo 8:
//!
//! ```text
//! 0–2  an advertisement or a solicitation: from whom u8, lifetime u16, changes
//! 3    any message: from whom u8, hop limit u8, a chunk
//! 4    time: seconds u8
//! 5    time until there is something to do
//! 6    the link: away, or there with an address
//! 7    time: milliseconds u16
//! ```
//!
//! What is read has passed the checks of RFC 4861 sections 6.1.1 and 6.1.2. Only who sent such an
//! advertisement is a router; how many others are remembered, and how much is said, is bounded.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use herald_l2::Mac;
use herald_l2::discovery::{Advertisement, Discovery, Message, Own, Solicitation};

use crate::Script;
use crate::frames::{LINK_LOCAL, OURS};
use crate::ndp::assert_options;

const STEPS: usize = 400;

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for virtual time"
)]
fn origin() -> Instant {
    Instant::now()
}

/// A host of the link, or one that cannot be.
fn host(number: u8) -> Ipv6Addr {
    match number {
        255 => Ipv6Addr::UNSPECIFIED,
        254 => LINK_LOCAL,
        253 => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        252 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        number => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number.into()),
    }
}

/// The checks of the RFC, and that it means the same when it is written again.
fn assert_sound(octets: &[u8], source: Ipv6Addr, hop_limit: u8) -> bool {
    let Ok(message) = Message::parse(octets, source, hop_limit) else {
        return false;
    };
    assert_eq!((hop_limit, octets[1]), (255, 0));
    let again = match message {
        Message::Solicitation(asked) => {
            assert!(octets[0] == 133 && octets.len() >= 8);
            assert_options(&octets[8..]);
            assert!(!source.is_unspecified() || asked.mac.is_none());
            asked.octets()
        }
        Message::Advertisement(said) => {
            assert!(octets[0] == 134 && octets.len() >= 16);
            assert_options(&octets[16..]);
            assert!(source.is_unicast_link_local());
            said.octets()
        }
    };
    assert_eq!(Message::parse(&again, source, 255), Ok(message));
    matches!(message, Message::Advertisement(_))
}

/// Plays the script.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let mut script = Script::new(octets);
    let mut now = origin();
    let mut discovery = Discovery::new(7);
    let own = |number: u8| Own {
        address: host(number),
        mac: (number & 1 == 0).then_some(OURS),
    };
    discovery.set_own(Some(own(254)), now);
    let mut heard = BTreeSet::new();
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        let mut hear = |octets: &[u8], source: Ipv6Addr, hop_limit: u8| {
            let advertises = assert_sound(octets, source, hop_limit);
            let taken = discovery.handle_message(octets, source, hop_limit, now);
            if taken.is_ok() && advertises {
                heard.insert(source);
            }
        };
        match step % 8 {
            kind @ 0..=2 => {
                let (from, seconds) = (host(script.u8()), script.u16());
                let mac = (seconds & 1 == 1).then_some(Mac([2, 0, 0, 0, 0, 9]));
                let lifetime = Duration::from_secs(seconds.into());
                let mut message = if kind == 2 {
                    Solicitation { mac }.octets()
                } else {
                    Advertisement { lifetime, mac }.octets()
                };
                script.change(&mut message);
                hear(&message, from, 255);
            }
            3 => {
                let (from, hop_limit) = (host(script.u8()), script.u8());
                hear(script.chunk(), from, hop_limit);
            }
            4 => now += Duration::from_secs(script.u8().into()),
            5 => now = discovery.poll_timeout().unwrap_or(now).max(now),
            6 => {
                let number = script.u8();
                discovery.set_own((number != 0).then(|| own(number)), now);
            }
            _ => now += Duration::from_millis(script.u16().into()),
        }
        discovery.handle_timeout(now);
        let said = std::iter::from_fn(|| discovery.poll_transmit()).count();
        assert!(said <= 8 + 2, "askers, everybody, and one question");
        let due = discovery.poll_timeout();
        assert!(due.is_none_or(|due| due > now), "woken for nothing");
        let router = discovery.router().map(|router| router.address);
        assert!(router.is_none_or(|router| heard.contains(&router)));
        let rivals: Vec<_> = discovery.rivals(now).collect();
        assert!(rivals.len() <= 8);
        for rival in rivals {
            assert!(heard.contains(&rival.address) && Some(rival.address) != router);
        }
    }
}

/// Routers that come, go and quarrel; hosts that ask; messages as they are on the wire.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let advertisement = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    let option = [1, 1, 2, 0, 0, 0, 0, 9];
    let whole = [&[3, 1, 255, 24][..], &advertisement, &option].concat();
    vec![
        vec![0, 1, 0, 0, 0, 5, 5, 4, 40, 5, 5],
        vec![0, 1, 7, 8, 0, 0, 2, 0, 0, 0, 5, 4, 9, 5, 0, 1, 0, 0, 0],
        vec![2, 1, 0, 0, 0, 2, 255, 0, 0, 0, 5, 5, 6, 0, 4, 9, 6, 254, 5],
        (0..12).flat_map(|who| [2, who, 0, 1, 0]).collect(),
        (0..12).flat_map(|who| [0, who, 0, 1, 0]).collect(),
        whole,
    ]
}
