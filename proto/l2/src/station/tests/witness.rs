//! Questions for the node that lost its majority, and answers to such questions.

use super::*;

const PEER: Mac = Mac([2, 0, 0, 0, 0, 0x03]);

fn answers() -> [(IpAddr, Frame); 5] {
    let reply = Arp {
        operation: Operation::Reply,
        ..request(VIP, FOREIGN, Ipv4Addr::UNSPECIFIED)
    };
    [
        (VIP.into(), reply.frame(OURS, FOREIGN)),
        (VIP.into(), Arp::gratuitous_request(VIP, FOREIGN)),
        (VIP.into(), Arp::directed_request(VIP, FOREIGN, GATEWAY)),
        (VIP6.into(), Advertisement::unsolicited(VIP6, VIP6, FOREIGN)),
        (VIP6.into(), Solicitation::directed(VIP6, FOREIGN, CLIENT6)),
    ]
}

fn answered(events: &[Event]) -> Vec<(IpAddr, u32, Mac, bool, Instant)> {
    let told = events.iter().filter_map(|event| {
        let Event::Answered {
            address,
            interface,
            mac,
            peer,
            at,
        } = *event
        else {
            return None;
        };
        Some((address, interface, mac, peer, at))
    });
    told.collect()
}

#[test]
fn a_question_changes_no_cache_and_leaves_whoever_owns_the_address() {
    let now = origin();
    let check = Solicitation {
        source: Ipv6Addr::UNSPECIFIED,
        destination: solicited_node(VIP6),
        target: VIP6,
        source_mac: None,
    };
    let cases = [
        (
            IpAddr::V4(VIP),
            request(Ipv4Addr::UNSPECIFIED, OURS, VIP).frame(Mac::BROADCAST, OURS),
        ),
        (
            IpAddr::V6(VIP6),
            check.frame(Mac::of_group(solicited_node(VIP6)), OURS),
        ),
    ];
    let expired = Owned {
        until: Some(now),
        ..on(&[LAN])
    };
    for (address, question) in cases {
        for owned in [BTreeMap::new(), owning(&[address], &expired)] {
            let mut station = idle();
            station.set_owned(owned);
            station.ask(address, LAN);
            station.ask(address, LAN);
            station.ask(address, OTHER_LAN);
            let sent = drain(&mut station, now, now + ms(5_000));
            let frames: Vec<Frame> = sent.iter().map(|sent| sent.frame).collect();
            assert_eq!(frames, [question], "once, and where there is an interface");
        }
    }
}

#[test]
fn who_answers_for_an_address_within_a_second_of_the_question_is_told() {
    for (address, answer) in answers() {
        for peer in [false, true] {
            let now = origin();
            let mut station = idle();
            if peer {
                station.set_peers(BTreeSet::from([FOREIGN]));
            }
            let _ = hear(&mut station, &answer, now);
            assert_eq!(answered(&events(&mut station)), [], "nobody asked");
            station.ask(address, LAN);
            let _ = hear(&mut station, &answer, now);
            assert_eq!(answered(&events(&mut station)), [], "it has not left");
            assert_eq!(drain(&mut station, now, now).len(), 1);
            let at = now + ms(999);
            let _ = hear(&mut station, &answer, at);
            assert_eq!(
                answered(&events(&mut station)),
                [(address, LAN, FOREIGN, peer, at)]
            );
            let _ = hear(&mut station, &answer, now + ms(1_000));
            assert_eq!(answered(&events(&mut station)), [], "too late");
        }
    }
}

#[test]
fn neither_a_question_nor_another_address_nor_another_interface_is_an_answer() {
    let now = origin();
    let mut station = idle();
    let other = Interface {
        mac: Mac([2, 0, 0, 0, 0, 0x02]),
        ..lan()
    };
    let mut interfaces = station.interfaces.clone();
    interfaces.insert(OTHER_LAN, other);
    station.set_interfaces(interfaces);
    station.ask(VIP.into(), LAN);
    station.ask(VIP6.into(), LAN);
    drain(&mut station, now, now);
    for frame in [
        request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
        request(Ipv4Addr::UNSPECIFIED, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
        Arp::gratuitous_request(CLIENT, FOREIGN),
        Advertisement::unsolicited(CLIENT6, CLIENT6, FOREIGN),
        Arp::gratuitous_request(VIP, Mac([2, 0, 0, 0, 0, 0x02])),
    ] {
        let _ = hear(&mut station, &frame, now);
    }
    for (_, answer) in answers() {
        let elsewhere = Received {
            interface: OTHER_LAN,
            ..received(answer.bytes())
        };
        let _ = station.handle_frame(&elsewhere, now);
    }
    assert_eq!(answered(&events(&mut station)), []);
}

/// Out of turn, but within the budget.
#[test]
fn a_question_does_not_wait_for_a_big_takeover_but_for_the_budget() {
    let now = origin();
    let mut station = idle();
    let many = (0..1000_u32).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
    station.set_owned(many.map(|address| (address, on(&[LAN]))).collect());
    assert_eq!(drain(&mut station, now, now).len(), 64);
    station.ask(VIP.into(), LAN);
    assert_eq!(station.poll_transmit(now), None);
    let sent = timeline(&mut station, now, now + ms(100));
    assert_eq!((sent[0].0, arp_of(&sent[0].1).target_ip), (32, VIP));
}

#[test]
fn gateways_are_asked_from_no_service_address() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into(), VIP6.into()], &on(&[LAN])));
    drain(&mut station, now, now + Duration::from_secs(20));
    events(&mut station);
    let later = now + Duration::from_secs(100);
    station.ask_gateways(LAN);
    station.ask_gateways(OTHER_LAN);
    let sent = drain(&mut station, later, later);
    assert_eq!(sent.len(), 2);
    assert_eq!(
        sent[0].frame,
        request(Ipv4Addr::UNSPECIFIED, OURS, GATEWAY).frame(Mac::BROADCAST, OURS)
    );
    assert_eq!(
        ndp_of(&sent[1]),
        Message::Solicitation(Solicitation {
            source: LINK_LOCAL,
            destination: solicited_node(GATEWAY6),
            target: GATEWAY6,
            source_mac: Some(OURS),
        })
    );
    let reply = Arp {
        operation: Operation::Reply,
        ..request(GATEWAY, ROUTER, Ipv4Addr::UNSPECIFIED)
    };
    let advertisement = Advertisement {
        source: GATEWAY6,
        destination: LINK_LOCAL,
        target: GATEWAY6,
        router: true,
        solicited: true,
        overrides: true,
        target_mac: Some(ROUTER),
    };
    for (gateway, answer) in [
        (IpAddr::V4(GATEWAY), reply.frame(OURS, ROUTER)),
        (IpAddr::V6(GATEWAY6), advertisement.frame(OURS, ROUTER)),
    ] {
        let at = later + ms(10);
        let _ = hear(&mut station, &answer, at);
        let told = Event::GatewayAnswered {
            interface: LAN,
            gateway,
            at,
        };
        assert_eq!(events(&mut station), [told]);
        let _ = hear(&mut station, &answer, later + ms(1_000));
        assert_eq!(events(&mut station), [], "too late");
    }
}

/// Without a link-local address the question has the form of a duplicate check.
#[test]
fn a_gateway_can_be_asked_without_a_link_local_address() {
    let now = origin();
    let mut station = Station::new();
    let interface = Interface {
        link_local: None,
        gateways: vec![GATEWAY6.into()],
        ..lan()
    };
    station.set_interfaces(BTreeMap::from([(LAN, interface)]));
    station.ask_gateways(LAN);
    let sent = drain(&mut station, now, now);
    let Message::Solicitation(asked) = ndp_of(&sent[0]) else {
        panic!("a solicitation")
    };
    assert_eq!(
        (asked.source, asked.target),
        (Ipv6Addr::UNSPECIFIED, GATEWAY6)
    );
    let answer = Advertisement::unsolicited(GATEWAY6, GATEWAY6, ROUTER);
    let _ = hear(&mut station, &answer, now + ms(1));
    assert_eq!(events(&mut station).len(), 1);
}

/// An owner whose time ran out says nothing that anybody would keep.
#[test]
fn after_its_time_an_owner_answers_probes_of_peers_and_nothing_else() {
    let now = origin();
    let probe = |mac| request(Ipv4Addr::UNSPECIFIED, mac, VIP).frame(Mac::BROADCAST, mac);
    let ask = |mac| request(CLIENT, mac, VIP).frame(Mac::BROADCAST, mac);
    let group = Mac::of_group(solicited_node(VIP6));
    let check = |mac| {
        Solicitation {
            source: Ipv6Addr::UNSPECIFIED,
            destination: solicited_node(VIP6),
            target: VIP6,
            source_mac: None,
        }
        .frame(group, mac)
    };
    let solicit = |mac| Solicitation::directed(CLIENT6, mac, VIP6);
    let cases = [
        ("a peer's probe", probe(PEER), true),
        ("a peer's check", check(PEER), true),
        ("a stranger's probe", probe(ASKER), false),
        ("a stranger's check", check(ASKER), false),
        ("a peer's question", ask(PEER), false),
        ("a peer's solicitation", solicit(PEER), false),
        ("a client's question", ask(ASKER), false),
        ("a client's solicitation", solicit(ASKER), false),
    ];
    for (what, frame, answers) in cases {
        let mut station = idle();
        station.set_peers(BTreeSet::from([PEER]));
        let owned = Owned {
            until: Some(now + ms(200)),
            ..on(&[LAN])
        };
        station.set_owned(owning(&[VIP.into(), VIP6.into()], &owned));
        drain(&mut station, now, now);
        assert!(hear(&mut station, &frame, now).is_ok(), "{what}: in time");
        let stranger = what == "a stranger's probe" || what == "a stranger's check";
        let told = events(&mut station)
            .into_iter()
            .filter(|event| matches!(event, Event::Claimed(_)));
        assert_eq!(told.count(), usize::from(stranger), "{what}: a claim?");
        let late = hear(&mut station, &frame, now + ms(200));
        assert_eq!(late.is_ok(), answers, "{what}");
        assert_eq!(events(&mut station), [], "{what}: nothing to tell");
        assert_eq!(
            drain(&mut station, now + ms(200), now + ms(200)),
            [],
            "{what}: nothing to announce"
        );
        station.set_owned(BTreeMap::new());
        let given_up = hear(&mut station, &frame, now + ms(200));
        assert_eq!(given_up, Err(Discard::NotOwned), "{what}");
    }
}
