use super::*;
use crate::{Diagnostic, Flags, State};

fn packet() -> Packet<'static> {
    Packet {
        diagnostic: Diagnostic::NONE,
        state: State::Up,
        flags: Flags::default(),
        multiplier: 3,
        my_discriminator: 1,
        your_discriminator: 2,
        desired_transmit: 300_000,
        required_receive: 300_000,
        required_echo: 0,
        authentication: None,
    }
}

fn by(method: Method) -> Authentication {
    Authentication {
        method,
        id: 7,
        key: b"secret".to_vec(),
    }
}

fn check(
    sequence: &mut Sequence,
    octets: &[u8],
    by: Option<&Authentication>,
) -> Result<(), Discard> {
    sequence.check(&Packet::decode(octets)?, octets, by)
}

/// RFC 5880 sections 4.2 to 4.4.
#[test]
fn sections_have_the_lengths_of_their_method() {
    let lengths = [(9, 33), (24, 48), (24, 48), (28, 52), (28, 52)];
    for ((kind, method), (section, whole)) in (1..).zip(Method::ALL).zip(lengths) {
        let octets = Sequence::new(0x0102_0304).seal(&packet(), Some(&by(method)));
        assert_eq!(octets.len(), whole);
        assert_eq!(usize::from(octets[3]), whole, "the length that is told");
        assert_eq!(octets[1] & 0x04, 0x04);
        assert_eq!(octets[24..27], [kind, section, 7]);
        if method != Method::Simple {
            assert_eq!(octets[27..32], [0, 1, 2, 3, 4]);
        }
    }
    let simple = Sequence::new(0).seal(&packet(), Some(&by(Method::Simple)));
    assert_eq!(&simple[27..], b"secret");
}

#[test]
fn the_other_end_takes_what_this_one_seals_and_nothing_that_was_changed() {
    for method in Method::ALL {
        let by = by(method);
        let octets = Sequence::new(5).seal(&packet(), Some(&by));
        assert_eq!(check(&mut Sequence::new(0), &octets, Some(&by)), Ok(()));
        let wrong = Authentication {
            key: b"Secret".to_vec(),
            ..by.clone()
        };
        let refused = check(&mut Sequence::new(0), &octets, Some(&wrong));
        assert_eq!(refused, Err(Discard::AuthenticationKey));
        // All that a digest covers and that does not make the packet another kind of packet.
        let covered = if method == Method::Simple {
            26..33
        } else {
            4..octets.len()
        };
        for at in covered {
            let mut changed = octets.clone();
            changed[at] ^= 0x40;
            assert!(
                check(&mut Sequence::new(0), &changed, Some(&by)).is_err(),
                "{method:?} {at}"
            );
        }
    }
}

/// RFC 5880 section 6.8.6.
#[test]
fn a_section_is_there_when_it_is_asked_for_and_of_the_right_kind() {
    let kind = Err(Discard::AuthenticationKind);
    let plain = packet().encode();
    for method in Method::ALL {
        let octets = Sequence::new(0).seal(&packet(), Some(&by(method)));
        assert_eq!(check(&mut Sequence::new(0), &octets, None), kind);
        assert_eq!(
            check(&mut Sequence::new(0), &plain, Some(&by(method))),
            kind
        );
        for other in Method::ALL.into_iter().filter(|other| *other != method) {
            assert_eq!(
                check(&mut Sequence::new(0), &octets, Some(&by(other))),
                kind
            );
        }
    }
}

/// RFC 5880 sections 6.7.3 and 6.7.4: within three detection multipliers ahead, and not the same twice
/// where it is meticulous.
#[test]
fn sequence_numbers_stay_within_their_window() {
    let late = Err(Discard::AuthenticationSequence);
    for method in [
        Method::KeyedMd5,
        Method::MeticulousMd5,
        Method::KeyedSha1,
        Method::MeticulousSha1,
    ] {
        let by = by(method);
        let again = if method.is_meticulous() { late } else { Ok(()) };
        let cases = [
            (0, again),
            (1, Ok(())),
            (9, Ok(())),
            (10, late),
            (u32::MAX, late),
        ];
        for first in [0, 1000, u32::MAX - 4] {
            for (ahead, expected) in cases {
                let mut there = Sequence::new(0);
                let octets = Sequence::new(first).seal(&packet(), Some(&by));
                assert_eq!(check(&mut there, &octets, Some(&by)), Ok(()));
                let octets = Sequence::new(first.wrapping_add(ahead)).seal(&packet(), Some(&by));
                let outcome = check(&mut there, &octets, Some(&by));
                assert_eq!(outcome, expected, "{method:?} {first} + {ahead}");
                there.forget();
                assert_eq!(check(&mut there, &octets, Some(&by)), Ok(()));
            }
        }
    }
}

/// Where RFC 5880 section 6.7.3 takes the number first, anybody could end the session by one packet.
#[test]
fn who_does_not_know_the_key_sets_no_sequence_number() {
    let by = by(Method::MeticulousSha1);
    let mut there = Sequence::new(0);
    let mut forged = Sequence::new(77_777).seal(&packet(), Some(&by));
    forged[40] ^= 1;
    assert_eq!(
        check(&mut there, &forged, Some(&by)),
        Err(Discard::AuthenticationKey)
    );
    let genuine = Sequence::new(5).seal(&packet(), Some(&by));
    assert_eq!(check(&mut there, &genuine, Some(&by)), Ok(()));
}

#[test]
fn a_key_is_not_printed() {
    let text = format!("{:?}", by(Method::KeyedSha1));
    assert!(!text.contains("secret") && !text.contains("115"), "{text}");
}
