//! Octets that nobody should send: no panic, and no more memory than the octets took.

use herald_bgp::Families;
use herald_bgp::codec::{Context, Kind, Notification, Open, RouteRefresh, Update, frame};
use proptest::collection::vec;
use proptest::prelude::*;

fn context() -> impl Strategy<Value = Context> {
    any::<[bool; 5]>().prop_map(|[wide, internal, ipv4, ipv6, extended]| Context {
        four_octet_as: wide,
        internal,
        families: Families { ipv4, ipv6 },
        extended_next_hop: extended,
    })
}

/// Reads it as whatever it says to be; how many things came of it.
fn read(octets: &[u8], extended: bool, context: &Context) -> usize {
    let Ok(Some(message)) = frame(octets, extended) else {
        return 0;
    };
    let body = message.body;
    match message.kind {
        Kind::Open => Open::decode(body).map_or(0, |open| open.capabilities.len()),
        Kind::Update => Update::decode(body, context).map_or(0, |update| {
            let reach = update.reach.map_or(0, |reach| reach.prefixes.len());
            let unreach = update.unreach.map_or(0, |unreach| unreach.prefixes.len());
            update.announced.len()
                + update.withdrawn.len()
                + reach
                + unreach
                + update.attributes.len()
                + update.faults.len()
        }),
        Kind::Notification => Notification::decode(body).map_or(0, |n| {
            let _ = (n.to_string(), n.shutdown_text());
            n.data.len()
        }),
        Kind::RouteRefresh => RouteRefresh::decode(body).map_or(0, |_| 1),
        Kind::Keepalive => 0,
    }
}

/// Real messages to begin with.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        include_str!("vectors/bird.txt"),
        include_str!("vectors/gobgp.txt"),
        include_str!("vectors/frr.txt"),
    ];
    let lines = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let octet = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
            (0..line.len()).step_by(2).map(octet).collect()
        })
        .collect()
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(
        octets in vec(any::<u8>(), 0..600), kind in 0..7_u8, extended: bool, context in context(),
    ) {
        read(&octets, extended, &context);
        let mut message = vec![0xff; 16];
        message.extend((19 + octets.len() as u16).to_be_bytes());
        message.push(kind);
        message.extend(&octets);
        prop_assert!(read(&message, extended, &context) <= message.len());
    }

    #[test]
    fn changed_messages_of_real_speakers_never_panic(
        which in any::<prop::sample::Index>(), context in context(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in 0..8_usize,
    ) {
        let seeds = seeds();
        let mut octets = which.get(&seeds).clone();
        for (at, value) in changes {
            let at = at.index(octets.len());
            if at >= 18 {
                octets[at] = value;
            }
        }
        octets.truncate(octets.len() - cut.min(octets.len()));
        let length = octets.len() as u16;
        if octets.len() >= 18 {
            octets[16..18].copy_from_slice(&length.to_be_bytes());
        }
        prop_assert!(read(&octets, true, &context) <= octets.len());
    }
}

/// Each octet of each real message, with each value, and each length off by one.
#[test]
fn every_octet_of_real_messages_may_have_every_value() {
    let context = Context {
        four_octet_as: true,
        internal: false,
        families: Families::both(),
        extended_next_hop: true,
    };
    for seed in seeds() {
        for at in 16..seed.len() {
            let mut octets = seed.clone();
            for value in 0..=255 {
                octets[at] = value;
                assert!(read(&octets, true, &context) <= octets.len());
            }
        }
    }
}
