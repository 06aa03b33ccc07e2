//! Octets that nobody should send: no panic, and a session that goes on.

use std::time::Duration;

use herald_bfd::{
    Authentication, Config, Demultiplexer, Discriminator, Hops, Method, Origin, Packet, Session,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::packets::{BIRD, FRR, packets};

const NOW: Duration = Duration::from_secs(1000);

fn sessions() -> Vec<Session> {
    let methods = Method::ALL.into_iter().map(Some).chain([None]);
    methods
        .map(|method| {
            let config = Config {
                hops: Hops::Multi { minimum_ttl: 1 },
                authentication: method.map(|method| Authentication {
                    method,
                    id: 7,
                    key: b"secret".to_vec(),
                }),
                ..Config::default()
            };
            let number = Discriminator::new(0x5b66_e291).unwrap();
            Session::new(config, number, 1, NOW).unwrap()
        })
        .collect()
}

/// Gives it to everybody, and lets time pass.
fn read(octets: &[u8], sessions: &mut [Session]) {
    let origin = Origin {
        address: [192, 0, 2, 1].into(),
        interface: Some(1),
        multihop: false,
    };
    let _ = Demultiplexer::default().select(octets, origin);
    for session in sessions {
        let _ = session.handle_packet(octets, 255, NOW);
        let _ = session.handle_echo(octets, NOW);
        let due = session.poll_timeout().unwrap_or(NOW);
        session.handle_timeout(due);
        for _ in 0..3 {
            let _ = session.poll_transmit(due);
        }
        while session.poll_event().is_some() {}
        let _ = session.snapshot();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let every = [packets(BIRD), packets(FRR)].into_iter().flatten();
    every.map(|(_, octets)| octets).collect()
}

/// Whatever is read is written as it was, but for what follows it in the datagram.
fn assert_same_again(octets: &[u8]) {
    if let Ok(packet) = Packet::decode(octets) {
        let again = packet.encode();
        let same = Packet::decode(&again);
        assert_eq!(same.as_ref(), Ok(&packet));
    }
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..300)) {
        read(&octets, &mut sessions());
        assert_same_again(&octets);
    }

    #[test]
    fn changed_packets_of_real_speakers_never_panic(
        which in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let seeds = seeds();
        let mut octets = seeds[which.index(seeds.len())].clone();
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if cut {
            octets.truncate(length.index(octets.len() + 1));
        }
        read(&octets, &mut sessions());
        assert_same_again(&octets);
    }
}

#[test]
fn every_octet_of_real_packets_may_have_every_value() {
    let seeds = seeds();
    let mut sessions = sessions();
    for octets in seeds.iter().step_by(12) {
        for at in 0..octets.len() {
            for value in 0..=u8::MAX {
                let mut octets = octets.clone();
                octets[at] = value;
                read(&octets, &mut sessions);
            }
        }
    }
}
