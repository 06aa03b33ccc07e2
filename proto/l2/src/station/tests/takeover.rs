//! Taking an address, and knowing that it is believed.

use super::*;

fn frames(sent: &[(u128, Transmit)]) -> Vec<(u128, Frame)> {
    sent.iter().map(|(at, sent)| (*at, sent.frame)).collect()
}

/// When `gateway` was asked on behalf of `address`.
fn questions(sent: &[(u128, Transmit)], address: IpAddr, gateway: IpAddr) -> Vec<u128> {
    let frame = match (address, gateway) {
        (IpAddr::V4(address), IpAddr::V4(gateway)) => Arp::directed_request(address, OURS, gateway),
        (IpAddr::V6(address), IpAddr::V6(gateway)) => {
            Solicitation::directed(address, OURS, gateway)
        }
        _ => panic!("one family"),
    };
    let asked = sent.iter().filter(|(_, sent)| sent.frame == frame);
    asked.map(|(at, _)| *at).collect()
}

fn acknowledged(events: &[Event]) -> Vec<(IpAddr, IpAddr, u128)> {
    let told = events.iter().filter_map(|event| {
        let Event::Acknowledged {
            address,
            gateway,
            after,
            ..
        } = *event
        else {
            return None;
        };
        Some((address, gateway, after.as_millis()))
    });
    told.collect()
}

fn unacknowledged(events: &[Event]) -> Vec<(IpAddr, IpAddr)> {
    let told = events.iter().filter_map(|event| {
        let Event::Unacknowledged {
            address, gateway, ..
        } = *event
        else {
            return None;
        };
        Some((address, gateway))
    });
    told.collect()
}

const FAMILIES: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(VIP), IpAddr::V4(GATEWAY)),
    (IpAddr::V6(VIP6), IpAddr::V6(GATEWAY6)),
];

/// A4, A5: everything at once, then twice the broadcast on each rung.
#[test]
fn taking_an_ipv4_address_announces_it_at_once_and_on_the_ladder() {
    let now = origin();
    let mut station = idle();
    station.set_watched(BTreeSet::from([VIP.into()]));
    let ask = request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
    assert_eq!(
        hear(&mut station, &ask, now),
        Err(Discard::NotOwned),
        "a standby stays silent, and remembers who asked"
    );
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    let call = Arp::gratuitous_request(VIP, OURS);
    let reply = Arp::gratuitous_reply(VIP, OURS, Mac::BROADCAST);
    let mut expected = vec![
        (0, call),
        (0, Arp::directed_request(VIP, OURS, GATEWAY)),
        (0, reply),
        (0, Arp::gratuitous_reply(VIP, OURS, ASKER)),
    ];
    for after in [1_100, 2_200, 3_300, 4_400, 15_000] {
        expected.extend([(after, call), (after, reply)]);
    }
    let first = timeline(&mut station, now, now);
    let _ = hear(&mut station, &acknowledgement(VIP.into()), now);
    let rest = timeline(&mut station, now, now + Duration::from_secs(3_600));
    assert_eq!(frames(&[first, rest].concat()), expected);
    assert_eq!(station.poll_timeout(), None);
}

/// N5, N6, N8.
#[test]
fn taking_an_ipv6_address_advertises_it_three_times() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP6.into()], &on(&[LAN])));
    let first = timeline(&mut station, now, now);
    let _ = hear(&mut station, &acknowledgement(VIP6.into()), now);
    let rest = timeline(&mut station, now, now + Duration::from_secs(3_600));
    let sent = [first, rest].concat();
    let times: Vec<u128> = sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 0, 1_000, 2_000]);
    for index in [0, 2, 3] {
        let frame = sent[index].1.frame;
        assert_eq!(frame.bytes()[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(
            ndp_of(&sent[index].1),
            Message::Advertisement(Advertisement {
                source: LINK_LOCAL,
                destination: ALL_NODES,
                target: VIP6,
                router: false,
                solicited: false,
                overrides: true,
                target_mac: Some(OURS),
            })
        );
    }
    assert_eq!(
        ndp_of(&sent[1].1),
        Message::Solicitation(Solicitation {
            source: VIP6,
            destination: solicited_node(GATEWAY6),
            target: GATEWAY6,
            source_mac: Some(OURS),
        })
    );
}

/// A4, N5: who asked while nobody answered waits with an incomplete entry; a word by unicast
/// completes it.
#[test]
fn who_asked_while_nobody_answered_is_told_by_unicast() {
    let now = origin();
    let v4 = request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
    let v6 = solicitation(CLIENT6, solicited_node(VIP6), Some(ASKER));
    let told6 = Advertisement::solicited(VIP6, LINK_LOCAL, OURS, CLIENT6, ASKER);
    let cases = [
        (IpAddr::V4(VIP), v4, Arp::gratuitous_reply(VIP, OURS, ASKER)),
        (IpAddr::V6(VIP6), v6, told6),
    ];
    let expired = Owned {
        until: Some(now),
        ..on(&[LAN])
    };
    let probing = Owned {
        probe_first: true,
        ..on(&[LAN])
    };
    for (address, ask, told) in cases {
        for (what, silent) in [
            ("as a standby", None),
            ("after its time", Some(expired.clone())),
            ("while it probes", Some(probing.clone())),
        ] {
            let mut station = idle();
            station.set_watched(BTreeSet::from([address]));
            if let Some(owned) = silent {
                station.set_owned(owning(&[address], &owned));
                assert!(timeline(&mut station, now, now).len() <= 1, "{what}");
            }
            assert!(hear(&mut station, &ask, now).is_err(), "{what}");
            station.set_owned(owning(&[address], &on(&[LAN])));
            let sent = timeline(&mut station, now, now + ms(100));
            assert!(
                frames(&sent).iter().any(|(_, frame)| *frame == told),
                "{what}"
            );
        }
    }
}

/// A6.
#[test]
fn a_gateway_is_asked_at_20_60_200_and_600_ms_until_it_answers() {
    const RUNGS: [u128; 5] = [0, 20, 60, 200, 600];
    for (address, gateway) in FAMILIES {
        for answered_after in 0..=RUNGS.len() {
            let now = origin();
            let mut station = idle();
            station.set_owned(owning(&[address], &on(&[LAN])));
            let mut sent = vec![];
            let mut asked: &[u128] = &RUNGS;
            if let Some(rung) = RUNGS.get(answered_after) {
                let at = now + ms(u64::try_from(*rung).expect("small") + 3);
                sent = timeline(&mut station, now, at);
                let _ = hear(&mut station, &acknowledgement(address), at);
                asked = &RUNGS[..=answered_after];
            }
            sent.extend(timeline(&mut station, now, now + ms(999)));
            assert_eq!(questions(&sent, address, gateway), asked);
            let early = events(&mut station);
            assert_eq!(unacknowledged(&early), []);
            drain(
                &mut station,
                now + ms(1_000),
                now + Duration::from_secs(3_600),
            );
            let late = events(&mut station);
            if let Some(rung) = RUNGS.get(answered_after) {
                assert_eq!(acknowledged(&early), [(address, gateway, rung + 3)]);
                assert_eq!(unacknowledged(&late), []);
            } else {
                assert_eq!(acknowledged(&early), []);
                assert_eq!(unacknowledged(&late), [(address, gateway)], "once");
            }
        }
    }
}

/// A6: the gateway's answer to the address, heard where the address is announced.
#[test]
fn nothing_but_the_gateways_answer_to_the_address_is_an_acknowledgement() {
    let reply = |sender: Ipv4Addr, target: Ipv4Addr| {
        Arp {
            operation: Operation::Reply,
            ..request(sender, ROUTER, target)
        }
        .frame(OURS, ROUTER)
    };
    let advertise = |target: Ipv6Addr, destination: Ipv6Addr, solicited: bool| {
        Advertisement {
            source: GATEWAY6,
            destination,
            target,
            router: true,
            solicited,
            overrides: true,
            target_mac: Some(ROUTER),
        }
        .frame(OURS, ROUTER)
    };
    let cases = [
        ("its reply", LAN, reply(GATEWAY, VIP), 1),
        ("its advertisement", LAN, advertise(GATEWAY6, VIP6, true), 1),
        ("elsewhere", OTHER_LAN, reply(GATEWAY, VIP), 0),
        ("elsewhere", OTHER_LAN, advertise(GATEWAY6, VIP6, true), 0),
        ("to another address", LAN, reply(GATEWAY, CLIENT), 0),
        ("to another", LAN, advertise(GATEWAY6, CLIENT6, true), 0),
        ("of another host", LAN, reply(CLIENT, VIP), 0),
        ("for another host", LAN, advertise(CLIENT6, VIP6, true), 0),
        (
            "to nobody's question",
            LAN,
            advertise(GATEWAY6, VIP6, false),
            0,
        ),
        (
            "its own question",
            LAN,
            request(GATEWAY, ROUTER, VIP).frame(Mac::BROADCAST, ROUTER),
            0,
        ),
        (
            "its announcement",
            LAN,
            Arp::gratuitous_request(GATEWAY, ROUTER),
            0,
        ),
    ];
    for (what, interface, frame, count) in cases {
        let now = origin();
        let mut station = idle();
        let other = Interface {
            mac: Mac([2, 0, 0, 0, 0, 0x02]),
            ..lan()
        };
        let mut interfaces = station.interfaces.clone();
        interfaces.insert(OTHER_LAN, other);
        station.set_interfaces(interfaces);
        station.set_owned(owning(&[VIP.into(), VIP6.into()], &on(&[LAN])));
        drain(&mut station, now, now);
        let heard = Received {
            interface,
            ..received(frame.bytes())
        };
        for _ in 0..2 {
            let _ = station.handle_frame(&heard, now);
        }
        assert_eq!(acknowledged(&events(&mut station)).len(), count, "{what}");
    }
}

/// A6: how long the gateway took is reckoned from when the kernel had the frame.
#[test]
fn a_frame_that_waited_to_be_read_does_not_make_the_gateway_slow() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    drain(&mut station, now, now);
    let frame = acknowledgement(VIP.into());
    let late = Received {
        age: ms(12),
        ..received(frame.bytes())
    };
    let _ = station.handle_frame(&late, now + ms(14));
    assert_eq!(
        acknowledged(&events(&mut station)),
        [(VIP.into(), GATEWAY.into(), 2)]
    );
}

/// A6: silent gateways are told of once; whoever answers a refresh has taken notice after all.
#[test]
fn a_gateway_that_answers_a_refresh_acknowledges_late() {
    for (address, gateway) in FAMILIES {
        let now = origin();
        let mut station = idle();
        station.set_limits(Limits::default());
        station.set_owned(owning(&[address], &on(&[LAN])));
        let sent = timeline(&mut station, now, now + Duration::from_secs(67));
        let asked = questions(&sent, address, gateway);
        assert_eq!(asked.len(), 6, "the ladder, and once with the refresh");
        assert_eq!(unacknowledged(&events(&mut station)), [(address, gateway)]);
        let at = now + ms(u64::try_from(asked[5]).expect("small") + 1);
        for _ in 0..3 {
            let _ = hear(&mut station, &acknowledgement(address), at);
        }
        let told = events(&mut station);
        let [(told_address, told_gateway, after)] = acknowledged(&told)[..] else {
            panic!("one acknowledgement: {told:?}")
        };
        assert_eq!((told_address, told_gateway), (address, gateway));
        assert_eq!(after, asked[5] + 1);
        let spoke = Event::GatewayAnswered {
            interface: LAN,
            gateway,
            at,
        };
        assert_eq!(told.iter().filter(|event| **event == spoke).count(), 3);
    }
}

/// A6, A9.
#[test]
fn every_acquisition_has_its_own_acknowledgement() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    drain(&mut station, now, now + ms(30));
    let first = |station: &mut Station, now| {
        let _ = hear(station, &acknowledgement(VIP.into()), now);
        acknowledged(&events(station))
    };
    assert_eq!(first(&mut station, now + ms(30)).len(), 1);
    assert_eq!(first(&mut station, now + ms(30)), []);
    station.set_owned(BTreeMap::new());
    assert_eq!(first(&mut station, now + ms(30)), [], "it is not ours");
    let again = now + Duration::from_secs(100);
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    assert_eq!(
        questions(
            &timeline(&mut station, again, again + ms(25)),
            VIP.into(),
            GATEWAY.into()
        ),
        [0, 20]
    );
    assert_eq!(
        first(&mut station, again + ms(25)),
        [(VIP.into(), GATEWAY.into(), 25)]
    );
    let third = again + Duration::from_secs(100);
    drain(&mut station, again, third);
    station.announce_again(VIP.into());
    assert_eq!(
        questions(
            &timeline(&mut station, third, third),
            VIP.into(),
            GATEWAY.into()
        ),
        [0]
    );
    assert_eq!(
        first(&mut station, third + ms(1)),
        [(VIP.into(), GATEWAY.into(), 1)]
    );
    station.announce_again(CLIENT.into());
    assert_eq!(drain(&mut station, third + ms(1), third + ms(1)), []);
}

/// A4, A6.
#[test]
fn a_new_gateway_is_told_and_one_that_is_gone_is_not_asked_again() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    let mut sent = timeline(&mut station, now, now + ms(30));
    let other = Ipv4Addr::new(192, 0, 2, 2);
    let changed = Interface {
        gateways: vec![other.into()],
        ..lan()
    };
    station.set_interfaces(BTreeMap::from([(LAN, changed)]));
    let mut after = timeline(&mut station, now + ms(30), now + ms(1_050));
    after.iter_mut().for_each(|(at, _)| *at += 30);
    sent.extend(after);
    assert_eq!(questions(&sent, VIP.into(), GATEWAY.into()), [0, 20]);
    assert_eq!(
        questions(&sent, VIP.into(), other.into()),
        [30, 50, 90, 230, 630]
    );
    let calls = sent
        .iter()
        .filter(|(_, sent)| sent.frame == Arp::gratuitous_request(VIP, OURS));
    assert_eq!(calls.count(), 1, "nobody else is told anew");
    assert_eq!(
        unacknowledged(&events(&mut station)),
        [(VIP.into(), other.into())]
    );
}

/// A6: however often and whenever it is named, and if it comes back, from the beginning.
#[test]
fn a_gateway_is_asked_on_one_ladder_at_a_time() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    let with = |gateways: &[Ipv4Addr]| {
        let interface = Interface {
            gateways: gateways.iter().copied().map(IpAddr::from).collect(),
            ..lan()
        };
        BTreeMap::from([(LAN, interface)])
    };
    station.set_interfaces(with(&[]));
    station.set_interfaces(with(&[GATEWAY, GATEWAY]));
    let sent = timeline(&mut station, now, now + ms(2_000));
    let rungs = [0, 20, 60, 200, 600];
    assert_eq!(questions(&sent, VIP.into(), GATEWAY.into()), rungs);
    let later = now + Duration::from_secs(100);
    drain(&mut station, now, later);
    station.set_interfaces(with(&[]));
    station.set_interfaces(with(&[GATEWAY]));
    let sent = timeline(&mut station, later, later + ms(2_000));
    assert_eq!(questions(&sent, VIP.into(), GATEWAY.into()), rungs);
}

/// A6: an address that could be lost is nothing to report of.
#[test]
fn a_silent_gateway_is_not_told_of_after_the_owners_time() {
    let now = origin();
    let mut station = idle();
    let owned = Owned {
        until: Some(now + ms(700)),
        ..on(&[LAN])
    };
    station.set_owned(owning(&[VIP.into()], &owned));
    let sent = timeline(&mut station, now, now + ms(2_000));
    assert_eq!(questions(&sent, VIP.into(), GATEWAY.into()).len(), 5);
    assert_eq!(unacknowledged(&events(&mut station)), []);
}

/// A4: what is wanted on one more interface is announced there, and not again elsewhere.
#[test]
fn an_address_that_comes_to_one_more_interface_is_announced_there() {
    let now = origin();
    let mut station = idle();
    let mut interfaces = station.interfaces.clone();
    let other = Interface {
        mac: Mac([2, 0, 0, 0, 0, 0x02]),
        ..lan()
    };
    interfaces.insert(OTHER_LAN, other);
    station.set_interfaces(interfaces);
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    drain(&mut station, now, now + Duration::from_secs(20));
    let later = now + Duration::from_secs(20);
    station.set_owned(owning(&[VIP.into()], &on(&[LAN, OTHER_LAN])));
    let sent = drain(&mut station, later, later);
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.interface == OTHER_LAN));
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    let sent = drain(&mut station, later, later + Duration::from_secs(20));
    assert_eq!(sent, []);
}

/// A3, A6, A9: whose time runs out falls silent; when it is given more, it goes on where it was.
#[test]
fn what_could_not_be_said_after_its_time_is_said_when_ownership_is_renewed() {
    let owned = |until| Owned {
        until: Some(until),
        ..on(&[LAN])
    };
    let ways: [fn(&mut Station, Owned); 2] = [
        |station, owned| station.set_owned(owning(&[VIP.into()], &owned)),
        |station, owned| station.renew(VIP.into(), owned.until.expect("a time")),
    ];
    for renew in ways {
        let now = origin();
        let mut station = idle();
        station.set_owned(owning(&[VIP.into()], &owned(now + ms(50))));
        let sent = timeline(&mut station, now, now + ms(5_000));
        assert_eq!(questions(&sent, VIP.into(), GATEWAY.into()), [0, 20]);
        events(&mut station);
        let later = now + ms(5_000);
        renew(&mut station, owned(later + ms(90_000)));
        let sent = timeline(&mut station, later, later + ms(1_000));
        assert_eq!(
            questions(&sent, VIP.into(), GATEWAY.into()),
            [0, 140, 540],
            "the rest of the ladder"
        );
        let repeats: Vec<u128> = sent
            .iter()
            .filter(|(_, sent)| sent.frame == Arp::gratuitous_request(VIP, OURS))
            .map(|(at, _)| *at)
            .collect();
        assert_eq!(repeats, [0], "of the repeats that were missed, one");
        assert_eq!(
            unacknowledged(&events(&mut station)),
            [(VIP.into(), GATEWAY.into())]
        );
        renew(&mut station, owned(later + ms(95_000)));
        let sent = timeline(&mut station, later + ms(1_000), later + ms(1_001));
        assert_eq!(sent, [], "more time alone is no reason to speak");
    }
}

/// A4: a takeover whose time runs out before a word could leave is no worse for it.
#[test]
fn a_takeover_that_was_late_is_made_good_when_ownership_is_renewed() {
    let now = origin();
    let mut station = idle();
    let owned = Owned {
        until: Some(now),
        ..on(&[LAN])
    };
    station.set_owned(owning(&[VIP.into()], &owned));
    assert_eq!(drain(&mut station, now, now + ms(100)), []);
    station.renew(VIP.into(), now + ms(10_000));
    let sent = timeline(&mut station, now + ms(100), now + ms(100));
    assert_eq!(sent.len(), 3, "broadcast, gateway, reply");
    let announced = Event::Announced {
        address: VIP.into(),
        interface: LAN,
        at: now + ms(100),
    };
    assert_eq!(events(&mut station), [announced]);
}

/// A4, A8: clients that were to be told when time ran out are told later.
#[test]
fn clients_that_waited_for_the_budget_and_then_for_ownership_are_told() {
    let now = origin();
    let mut station = idle();
    station.set_limits(Limits::cautious());
    station.set_watched(BTreeSet::from([VIP.into()]));
    let clients: Vec<Mac> = (1..=30).map(|n| Mac([2, 0, 0, 0, 1, n])).collect();
    for mac in &clients {
        let client = Ipv4Addr::new(192, 0, 2, 100 + mac.0[5]);
        let ask = request(client, *mac, VIP).frame(Mac::BROADCAST, *mac);
        assert!(hear(&mut station, &ask, now).is_err());
    }
    let owned = Owned {
        until: Some(now + ms(500)),
        ..on(&[LAN])
    };
    station.set_owned(owning(&[VIP.into()], &owned));
    let mut sent = drain(&mut station, now, now + ms(20_000));
    assert_eq!(sent.len(), 10);
    station.renew(VIP.into(), now + ms(90_000));
    sent.extend(drain(&mut station, now + ms(20_000), now + ms(40_000)));
    for mac in clients {
        let told = Arp::gratuitous_reply(VIP, OURS, mac);
        let times = sent.iter().filter(|sent| sent.frame == told).count();
        assert_eq!(times, 1, "{mac}");
    }
}

/// The moment that counts in a takeover.
#[test]
fn the_first_frame_of_an_acquisition_is_told_of_once_for_each_interface() {
    let now = origin();
    let mut station = idle();
    let mut interfaces = station.interfaces.clone();
    let other = Interface {
        mac: Mac([2, 0, 0, 0, 0, 0x02]),
        ..lan()
    };
    interfaces.insert(OTHER_LAN, other);
    station.set_interfaces(interfaces);
    station.set_owned(owning(&[VIP.into()], &on(&[LAN, OTHER_LAN])));
    assert_eq!(events(&mut station), [], "nothing has left");
    drain(&mut station, now + ms(5), now + ms(500));
    let announced = |interface| Event::Announced {
        address: VIP.into(),
        interface,
        at: now + ms(5),
    };
    assert_eq!(events(&mut station), [announced(LAN), announced(OTHER_LAN)]);
}
