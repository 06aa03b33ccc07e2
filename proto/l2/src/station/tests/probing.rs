//! Asking before an address is announced for the first time (A11, RFC 5227 §2.1, RFC 4862 §5.4).

use super::*;

fn probing() -> Owned {
    Owned {
        probe_first: true,
        ..on(&[LAN])
    }
}

/// The question, what a host that asks gets, and the frames of a foreign host that uses the address.
struct Family {
    address: IpAddr,
    probe: Frame,
    opening: Frame,
    ask: Frame,
    uses: Vec<(&'static str, Frame)>,
}

fn families() -> [Family; 2] {
    let arp_probe = request(Ipv4Addr::UNSPECIFIED, FOREIGN, VIP);
    let answered = Arp {
        operation: Operation::Reply,
        ..request(VIP, FOREIGN, Ipv4Addr::UNSPECIFIED)
    };
    let check = Solicitation {
        source: Ipv6Addr::UNSPECIFIED,
        destination: solicited_node(VIP6),
        target: VIP6,
        source_mac: None,
    };
    let group = Mac::of_group(solicited_node(VIP6));
    [
        Family {
            address: VIP.into(),
            probe: request(Ipv4Addr::UNSPECIFIED, OURS, VIP).frame(Mac::BROADCAST, OURS),
            opening: Arp::gratuitous_request(VIP, OURS),
            ask: request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER),
            uses: vec![
                ("an answer", answered.frame(OURS, FOREIGN)),
                ("an announcement", Arp::gratuitous_request(VIP, FOREIGN)),
                (
                    "a question from it",
                    Arp::directed_request(VIP, FOREIGN, CLIENT),
                ),
                (
                    "a probe of somebody else",
                    arp_probe.frame(Mac::BROADCAST, FOREIGN),
                ),
            ],
        },
        Family {
            address: VIP6.into(),
            probe: check.frame(group, OURS),
            opening: Advertisement::unsolicited(VIP6, LINK_LOCAL, OURS),
            ask: solicitation(CLIENT6, solicited_node(VIP6), Some(ASKER)),
            uses: vec![
                ("an answer", Advertisement::unsolicited(VIP6, VIP6, FOREIGN)),
                (
                    "a question from it",
                    Solicitation::directed(VIP6, FOREIGN, CLIENT6),
                ),
                ("a check of somebody else", check.frame(group, FOREIGN)),
            ],
        },
    ]
}

fn times_of(frame: Frame, sent: &[(u128, Transmit)]) -> Vec<u128> {
    let such = sent.iter().filter(|(_, sent)| sent.frame == frame);
    such.map(|(at, _)| *at).collect()
}

#[test]
fn three_probes_within_100_ms_go_before_the_first_announcement() {
    for family in families() {
        let now = origin();
        let mut station = idle();
        station.set_owned(owning(&[family.address], &probing()));
        let sent = timeline(&mut station, now, now + ms(99));
        assert_eq!(times_of(family.probe, &sent), [0, 33, 66]);
        assert_eq!(sent.len(), 3, "and nothing else");
        assert_eq!(events(&mut station), []);
        assert_eq!(
            hear(&mut station, &family.ask, now + ms(99)),
            Err(Discard::Unproven),
            "nobody is answered"
        );
        let sent = timeline(&mut station, now + ms(100), now + ms(100));
        assert_eq!(sent[0].1.frame, family.opening);
        assert!(hear(&mut station, &family.ask, now + ms(100)).is_ok());
        let told = Event::Announced {
            address: family.address,
            interface: LAN,
            at: now + ms(100),
        };
        assert_eq!(events(&mut station), [told]);
    }
}

#[test]
fn an_address_that_somebody_uses_is_left_alone_and_asked_for_again_every_minute() {
    for family in families() {
        for (what, used) in &family.uses {
            let now = origin();
            let mut station = idle();
            station.set_owned(owning(&[family.address], &probing()));
            drain(&mut station, now, now + ms(50));
            let told = |kind| {
                Event::Claimed(crate::Claim {
                    address: family.address,
                    interface: LAN,
                    mac: FOREIGN,
                    kind,
                    peer: false,
                })
            };
            for minute in 0..3 {
                let at = now + Duration::from_secs(60) * minute + ms(50);
                assert_eq!(hear(&mut station, used, at), Err(Discard::Conflict));
                assert_eq!(events(&mut station), [told(ClaimKind::InUse)], "{what}");
                assert_eq!(
                    hear(&mut station, &family.ask, at),
                    Err(Discard::Unproven),
                    "{what}"
                );
                station.set_owned(owning(&[family.address], &probing()));
                let sent = timeline(&mut station, at, at + Duration::from_secs(60));
                assert_eq!(times_of(family.probe, &sent), [60_000], "{what}");
                assert_eq!(sent.len(), 1, "{what}: nothing else is said");
            }
            let at = now + Duration::from_secs(180) + ms(50);
            let sent = timeline(&mut station, at, at + ms(100));
            assert_eq!(
                times_of(family.opening, &sent),
                [100],
                "{what}: announced when nobody answers"
            );
            assert!(hear(&mut station, &family.ask, at + ms(100)).is_ok());
        }
    }
}

/// Announced optimistically after the probes, defended from then on (RFC 5227 §2.4).
#[test]
fn a_claim_after_the_probes_is_a_conflict_as_any_other() {
    for family in families() {
        let now = origin();
        let mut station = idle();
        station.set_owned(owning(&[family.address], &probing()));
        drain(&mut station, now, now + ms(100));
        events(&mut station);
        let (_, answer) = family.uses[0];
        let heard = hear(&mut station, &answer, now + ms(101));
        assert_eq!(heard, Err(Discard::Conflict));
        let Some(Event::Claimed(claim)) = station.poll_event() else {
            panic!("no event")
        };
        assert_eq!(claim.kind, ClaimKind::Announced);
        assert!(hear(&mut station, &family.ask, now + ms(101)).is_ok());
    }
}

#[test]
fn another_node_of_the_cluster_and_the_own_interfaces_are_no_reason_to_leave_it_alone() {
    for family in families() {
        for (what, used) in &family.uses {
            for ours in [false, true] {
                let now = origin();
                let mut station = idle();
                if ours {
                    let other = Interface {
                        mac: FOREIGN,
                        ..lan()
                    };
                    let mut interfaces = station.interfaces.clone();
                    interfaces.insert(OTHER_LAN, other);
                    station.set_interfaces(interfaces);
                } else {
                    station.set_peers(BTreeSet::from([FOREIGN]));
                }
                station.set_owned(owning(&[family.address], &probing()));
                drain(&mut station, now, now + ms(50));
                let _ = hear(&mut station, used, now + ms(50));
                let sent = timeline(&mut station, now, now + ms(100));
                assert_eq!(times_of(family.opening, &sent).len(), 1, "{what}, {ours}");
            }
        }
    }
}

/// Its time does not start again with every word of a talkative host.
#[test]
fn a_host_that_keeps_talking_does_not_put_off_the_next_question() {
    for family in families() {
        let now = origin();
        let mut station = idle();
        station.set_owned(owning(&[family.address], &probing()));
        drain(&mut station, now, now);
        for second in 0..59 {
            let at = now + Duration::from_secs(second);
            let (_, used) = family.uses[0];
            assert_eq!(hear(&mut station, &used, at), Err(Discard::Conflict));
            assert_eq!(drain(&mut station, at, at), []);
        }
        assert_eq!(events(&mut station).len(), 1);
        let sent = timeline(&mut station, now, now + Duration::from_secs(62));
        assert_eq!(times_of(family.probe, &sent), [60_000, 60_033, 60_066]);
    }
}

/// On failover nobody waits: only what is new on an interface is asked for, and only if told so.
#[test]
fn an_address_that_is_held_is_not_asked_for_however_the_wish_changes() {
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    let sent = timeline(&mut station, now, now);
    assert_eq!(sent[0].1.frame, Arp::gratuitous_request(VIP, OURS));
    station.set_owned(owning(&[VIP.into()], &probing()));
    let again = Interface {
        epoch: 2,
        ..station.interfaces[&LAN].clone()
    };
    station.set_interfaces(BTreeMap::from([(LAN, again)]));
    let sent = timeline(&mut station, now + ms(1), now + ms(1));
    assert_eq!(sent[0].1.frame, Arp::gratuitous_request(VIP, OURS));
}

#[test]
fn an_address_in_use_is_asked_for_anew_when_its_interface_comes_up_again() {
    let [family, _] = families();
    let now = origin();
    let mut station = idle();
    station.set_owned(owning(&[VIP.into()], &probing()));
    drain(&mut station, now, now);
    let _ = hear(&mut station, &family.uses[0].1, now);
    station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
    assert_eq!(timeline(&mut station, now, now + ms(500)), []);
    let again = Interface {
        epoch: 2,
        ..station.interfaces[&LAN].clone()
    };
    station.set_interfaces(BTreeMap::from([(LAN, again)]));
    let sent = timeline(&mut station, now + ms(500), now + ms(600));
    assert_eq!(times_of(family.probe, &sent), [0, 33, 66]);
    assert_eq!(times_of(family.opening, &sent), [100]);
}

/// Even after its time an owner takes notice.
#[test]
fn an_answer_that_comes_while_ownership_has_run_out_counts() {
    for family in families() {
        let now = origin();
        let mut station = idle();
        let owned = Owned {
            until: Some(now + ms(10)),
            ..probing()
        };
        station.set_owned(owning(&[family.address], &owned));
        drain(&mut station, now, now);
        let (_, answer) = family.uses[0];
        let heard = hear(&mut station, &answer, now + ms(15));
        assert_eq!(heard, Err(Discard::Conflict));
        station.renew(family.address, now + ms(20_000));
        assert_eq!(drain(&mut station, now + ms(20), now + ms(10_000)), []);
    }
}

/// What was not asked to the end is asked from the beginning.
#[test]
fn a_check_that_ownership_did_not_outlast_begins_again() {
    for family in families() {
        let now = origin();
        let mut station = idle();
        let owned = Owned {
            until: Some(now + ms(50)),
            ..probing()
        };
        station.set_owned(owning(&[family.address], &owned));
        let sent = timeline(&mut station, now, now + ms(5_000));
        assert_eq!(times_of(family.probe, &sent), [0, 33]);
        station.renew(family.address, now + ms(20_000));
        let sent = timeline(&mut station, now + ms(5_000), now + ms(5_100));
        assert_eq!(times_of(family.probe, &sent), [0, 33, 66]);
        assert_eq!(times_of(family.opening, &sent), [100]);
    }
}

#[test]
fn an_address_given_up_while_it_is_probed_is_silent() {
    for family in families() {
        let now = origin();
        let mut station = idle();
        station.set_owned(owning(&[family.address], &probing()));
        assert!(station.poll_transmit(now).is_some());
        station.set_owned(BTreeMap::new());
        assert_eq!(
            timeline(&mut station, now, now + Duration::from_secs(200)),
            []
        );
    }
}
