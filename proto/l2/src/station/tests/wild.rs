//! Whatever comes in: no panic, and no answer without ownership.

use super::*;

/// Every form of frame that a station sends or understands.
fn valid() -> Vec<Frame> {
    let mut frames = vec![
        request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
        request(CLIENT, ASKER, VIP).frame(OURS, ASKER),
        request(Ipv4Addr::UNSPECIFIED, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
        Arp::gratuitous_request(VIP, FOREIGN),
        Arp::gratuitous_reply(VIP, FOREIGN, Mac::BROADCAST),
        Arp::directed_request(VIP, FOREIGN, GATEWAY),
        solicitation(CLIENT6, solicited_node(VIP6), Some(ASKER)),
        solicitation(CLIENT6, VIP6, None),
        solicitation(Ipv6Addr::UNSPECIFIED, solicited_node(VIP6), None),
        Advertisement::unsolicited(VIP6, CLIENT6, FOREIGN),
    ];
    frames.extend([VIP.into(), VIP6.into()].map(acknowledgement));
    frames
}

/// RFC 1071, as plainly as possible: makes the checksum of an ICMPv6 message right again.
fn rechecksum(bytes: &mut [u8]) {
    if bytes.len() < 58 || bytes[12..14] != [0x86, 0xdd] {
        return;
    }
    bytes[56..58].fill(0);
    let length = bytes.len() - 54;
    let pseudo = [
        &bytes[22..54],
        &u32::try_from(length).expect("short").to_be_bytes(),
        &[0, 0, 0, 58],
        &bytes[54..],
    ]
    .concat();
    let words = pseudo
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).expect("folded");
    bytes[56..58].copy_from_slice(&sum.to_be_bytes());
}

/// What an answer says: whose address it is about, and at which hardware address that is.
fn said(answer: &Transmit) -> (IpAddr, Option<Mac>) {
    let bytes = answer.frame.bytes();
    if bytes[12..14] == [0x08, 0x06] {
        let arp = arp_of(answer);
        assert_eq!(arp.operation, Operation::Reply);
        (arp.sender_ip.into(), Some(arp.sender_mac))
    } else {
        match ndp_of(answer) {
            Message::Advertisement(said) => (said.target.into(), said.target_mac),
            Message::Solicitation(_) => panic!("a question is no answer"),
        }
    }
}

fn owning_all(owned: &Owned) -> BTreeMap<IpAddr, Owned> {
    owning(&[VIP.into(), VIP6.into()], owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Valid frames with some octets changed, cut or grown, their checksums made right again: they
    /// reach everything behind the decoders.
    #[test]
    fn a_changed_frame_is_answered_only_about_what_is_owned(
        which in 0..12_usize,
        changes in proptest::collection::vec((0..110_usize, any::<u8>()), 0..4),
        length in proptest::option::weighted(0.2, 0..110_usize),
        tail in proptest::collection::vec(any::<u8>(), 0..20),
        repair in any::<bool>(),
    ) {
        let mut bytes = valid()[which].bytes().to_vec();
        if let Some(length) = length {
            bytes.truncate(length);
            bytes.extend(&tail);
        }
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if repair {
            rechecksum(&mut bytes);
        }
        let now = origin();
        let frame = received(&bytes);
        let expired = Owned { until: Some(now), ..on(&[LAN]) };
        let probing = Owned { probe_first: true, ..on(&[LAN]) };
        for (what, owned) in [
            ("nothing", BTreeMap::new()),
            ("elsewhere", owning_all(&on(&[OTHER_LAN]))),
            ("expired", owning_all(&expired)),
            ("unproven", owning_all(&probing)),
        ] {
            let mut station = idle();
            station.set_owned(owned);
            prop_assert!(station.handle_frame(&frame, now).is_err(), "{}", what);
        }
        let mut station = idle();
        station.set_owned(owning_all(&on(&[LAN])));
        if let Ok(answer) = station.handle_frame(&frame, now) {
            prop_assert_eq!(answer.interface, LAN);
            let (address, mac) = said(&answer);
            prop_assert!(address == IpAddr::V4(VIP) || address == IpAddr::V6(VIP6));
            prop_assert_eq!(mac, Some(OURS));
        }
        drain(&mut station, now, now + ms(2_000));
    }

    /// No frame, however broken, makes a station panic, send twice or send for what it lacks.
    #[test]
    fn any_octets_get_an_answer_or_a_reason(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..130),
        ethertype in prop_oneof![Just(0x0806_u16), Just(0x86dd), any::<u16>()],
    ) {
        if bytes.len() >= 14 {
            bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
        }
        let now = origin();
        let mut station = idle();
        station.set_owned(owning_all(&on(&[LAN])));
        if let Ok(answer) = station.handle_frame(&received(&bytes), now) {
            prop_assert_eq!(answer.interface, LAN);
        }
    }
}

/// The changed frames above do reach the answers.
#[test]
fn the_frames_to_change_are_answered_or_understood() {
    let now = origin();
    let frames = valid();
    let outcomes = frames.iter().map(|frame| {
        let mut bytes = frame.bytes().to_vec();
        rechecksum(&mut bytes);
        assert_eq!(bytes, frame.bytes(), "the checksum was right");
        let mut station = idle();
        station.set_owned(owning_all(&on(&[LAN])));
        hear(&mut station, frame, now).map(|_| ())
    });
    let outcomes: Vec<_> = outcomes.collect();
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(answered, 6);
    let conflicts = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(Discard::Conflict));
    assert_eq!(conflicts.count(), 4);
}
