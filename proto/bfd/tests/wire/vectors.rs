//! Packets that other implementations wrote.

use std::time::Duration;

use herald_bfd::{
    Authentication, Cause, Config, Diagnostic, Discard, Discriminator, Event, Flags, Method,
    Packet, Path, Session, State, Transmit,
};

use crate::packets::{BIRD, FRR, packets};

const NOW: Duration = Duration::from_secs(1000);

fn flags(poll: bool, final_: bool) -> Flags {
    Flags {
        poll,
        final_,
        ..Flags::default()
    }
}

/// A session with the discriminator that the packets are addressed to.
fn addressed(octets: &[u8], authentication: Option<Authentication>) -> Session {
    let number = Packet::decode(octets).unwrap().your_discriminator;
    let config = Config {
        authentication,
        ..Config::default()
    };
    let number = Discriminator::new(number).unwrap();
    Session::new(config, number, 1, NOW).unwrap()
}

/// What tshark's dissector shows of the same packets.
#[test]
fn what_frr_says_is_understood() {
    let packets = packets(FRR);
    let read: Vec<_> = packets
        .iter()
        .map(|(_, octets)| {
            let packet = Packet::decode(octets).unwrap();
            assert_eq!(packet.encode(), *octets, "and written the same way");
            assert_eq!(
                (packet.my_discriminator, packet.your_discriminator),
                (0x9b97_e45c, 0x5b66_e291)
            );
            assert_eq!((packet.multiplier, packet.required_echo), (4, 50_000));
            (
                packet.state,
                packet.flags,
                packet.desired_transmit,
                packet.required_receive,
            )
        })
        .collect();
    let none = Flags::default();
    let expected = [
        (State::Init, none, 1_000_000, 1_000_000),
        (State::Up, flags(true, false), 40_000, 60_000),
        (State::Up, flags(false, true), 40_000, 60_000),
        (State::Up, none, 40_000, 60_000),
        (State::Up, flags(true, false), 90_000, 60_000),
        (State::Up, none, 90_000, 60_000),
        (State::AdminDown, none, 90_000, 60_000),
        (State::AdminDown, flags(false, true), 90_000, 60_000),
    ];
    assert_eq!(read, expected);
}

/// FRR is switched off at the end, which is no failure (RFC 5882 section 3.2).
#[test]
fn a_session_follows_what_frr_says() {
    let packets = packets(FRR);
    let mut session = addressed(&packets[0].1, None);
    let mut paths = Vec::new();
    let mut answers = 0;
    for (_, octets) in &packets {
        session.handle_packet(octets, 255, NOW).unwrap();
        while let Some(transmit) = session.poll_transmit(NOW) {
            let Transmit::Control(octets) = transmit else {
                panic!("no echo is configured");
            };
            answers += u32::from(Packet::decode(&octets).unwrap().flags.final_);
        }
        paths.push(session.path());
    }
    let up = Path::Up;
    assert_eq!(
        paths,
        [up, up, up, up, up, up, Path::AdminDown, Path::AdminDown]
    );
    assert_eq!(answers, 2, "one for each P");
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    assert_eq!(events.last(), Some(&Event::Down(Cause::NeighborAdminDown)));
}

#[test]
fn what_bird_says_is_understood() {
    let packets = packets(BIRD);
    let plain = packets.iter().filter(|(words, _)| words[0] == "none");
    let read: Vec<_> = plain
        .map(|(words, octets)| {
            let packet = Packet::decode(octets).unwrap();
            assert_eq!(packet.encode(), *octets, "and written the same way");
            (
                words[1],
                packet.state,
                packet.flags,
                packet.desired_transmit,
                packet.required_receive,
            )
        })
        .collect();
    let none = Flags::default();
    let expected = [
        ("b", State::Init, none, 1_000_000, 50_000),
        ("a", State::Up, flags(true, false), 50_000, 50_000),
        ("b", State::Up, flags(false, true), 50_000, 50_000),
        ("b", State::Up, flags(true, false), 50_000, 50_000),
        ("a", State::Up, flags(false, true), 50_000, 50_000),
        ("a", State::Up, none, 50_000, 50_000),
        ("b", State::Up, none, 50_000, 50_000),
        ("a", State::Up, flags(true, false), 80_000, 80_000),
        ("a", State::Up, none, 80_000, 80_000),
        ("a", State::Down, none, 1_000_000, 80_000),
    ];
    assert_eq!(read, expected);
    let mut plain = packets.iter().filter(|(words, _)| words[0] == "none");
    let (_, last) = plain.next_back().unwrap();
    assert_eq!(
        Packet::decode(last).unwrap().diagnostic,
        Diagnostic::EXPIRED
    );
}

/// Every packet of both ends, in their order, by somebody who knows the password and by others.
#[test]
fn what_bird_proves_is_believed_and_only_with_the_password() {
    let methods = [
        ("simple", Method::Simple),
        ("keyed-md5", Method::KeyedMd5),
        ("meticulous-md5", Method::MeticulousMd5),
        ("keyed-sha1", Method::KeyedSha1),
        ("meticulous-sha1", Method::MeticulousSha1),
    ];
    let packets = packets(BIRD);
    for (name, method) in methods {
        for end in ["a", "b"] {
            let of = packets.iter().filter(|(words, _)| words[..] == [name, end]);
            let of: Vec<_> = of.map(|(_, octets)| octets).collect();
            let to = of.iter().find(|octets| octets[8..12] != [0; 4]).unwrap();
            let authentication = |id, key: &str| Authentication {
                method,
                id,
                key: key.into(),
            };
            let mut knows = addressed(to, Some(authentication(7, "secret")));
            let refuse = [(7, "Secret"), (7, "secret2"), (8, "secret")];
            for octets in &of {
                assert_eq!(
                    knows.handle_packet(octets, 255, NOW),
                    Ok(()),
                    "{name} {end}"
                );
                for (id, key) in refuse {
                    let mut guesses = addressed(to, Some(authentication(id, key)));
                    let outcome = guesses.handle_packet(octets, 255, NOW);
                    assert_eq!(outcome, Err(Discard::AuthenticationKey), "{name} {key}");
                }
            }
            assert!(of.len() >= 4, "{name} {end}");
        }
    }
}
