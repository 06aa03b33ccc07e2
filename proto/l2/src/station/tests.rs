//! One node's announcing: exact frames in, exact frames out, on virtual time.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::arp::{Arp, Operation};
use crate::ndp::{ALL_NODES, Advertisement, Message, Solicitation, solicited_node};
use crate::{Addressed, ClaimKind, Discard, Frame, Received};

mod budget;
mod model;
mod probing;
mod refresh;
mod takeover;
mod wild;
mod witness;

const LAN: u32 = 2;
const OTHER_LAN: u32 = 3;
const OURS: Mac = Mac([2, 0, 0, 0, 0, 0x01]);
const ASKER: Mac = Mac([2, 0, 0, 0, 0, 0xaa]);
const FOREIGN: Mac = Mac([2, 0, 0, 0, 0, 0xbb]);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xff);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);

const WITHOUT_REFRESH: Limits = Limits {
    burst_per_second: 2_000,
    refresh_per_second: 0,
};

fn origin() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for virtual time"
    )]
    Instant::now()
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn lan() -> Interface {
    Interface {
        name: "lan0".to_owned(),
        mac: OURS,
        link_local: Some(LINK_LOCAL),
        gateways: vec![GATEWAY.into()],
        epoch: 1,
    }
}

fn on(interfaces: &[u32]) -> Owned {
    Owned {
        interfaces: interfaces.iter().copied().collect(),
        until: None,
        probe_first: false,
    }
}

/// A station that owns both addresses on LAN and has finished announcing them.
fn settled(now: Instant) -> Station {
    let mut station = Station::new();
    station.set_limits(WITHOUT_REFRESH);
    station.set_interfaces(BTreeMap::from([(LAN, lan()), (OTHER_LAN, lan())]));
    station.set_owned(BTreeMap::from([
        (VIP.into(), on(&[LAN])),
        (VIP6.into(), on(&[LAN])),
    ]));
    drain(&mut station, now, now + Duration::from_secs(3600));
    events(&mut station);
    station
}

/// Everything the station wants to send from `from` up to and including `until`.
fn drain(station: &mut Station, from: Instant, until: Instant) -> Vec<Transmit> {
    let mut sent = vec![];
    let mut now = from;
    loop {
        while let Some(transmit) = station.poll_transmit(now) {
            sent.push(transmit);
        }
        match station.poll_timeout() {
            Some(due) if due <= until => now = now.max(due),
            _ => return sent,
        }
    }
}

fn events(station: &mut Station) -> Vec<Event> {
    std::iter::from_fn(|| station.poll_event()).collect()
}

/// What leaves, and when, in milliseconds from `from` up to and including `until`.
fn timeline(station: &mut Station, from: Instant, until: Instant) -> Vec<(u128, Transmit)> {
    let mut sent = vec![];
    let mut now = from;
    loop {
        while let Some(transmit) = station.poll_transmit(now) {
            sent.push(((now - from).as_millis(), transmit));
        }
        match station.poll_timeout() {
            Some(due) if due <= until => now = now.max(due),
            _ => return sent,
        }
    }
}

fn hear(station: &mut Station, frame: &Frame, now: Instant) -> Result<Transmit, Discard> {
    station.handle_frame(&received(frame.bytes()), now)
}

/// A station on LAN, with one gateway of each family, that owns nothing and says nothing.
fn idle() -> Station {
    let mut station = Station::new();
    station.set_limits(WITHOUT_REFRESH);
    let interface = Interface {
        gateways: vec![GATEWAY.into(), GATEWAY6.into()],
        ..lan()
    };
    station.set_interfaces(BTreeMap::from([(LAN, interface)]));
    station
}

fn owning(addresses: &[IpAddr], owned: &Owned) -> BTreeMap<IpAddr, Owned> {
    let pairs = addresses.iter().map(|address| (*address, owned.clone()));
    pairs.collect()
}

/// What a gateway answers to the question on behalf of an address.
fn acknowledgement(address: IpAddr) -> Frame {
    match address {
        IpAddr::V4(address) => Arp {
            operation: Operation::Reply,
            sender_mac: ROUTER,
            sender_ip: GATEWAY,
            target_mac: OURS,
            target_ip: address,
        }
        .frame(OURS, ROUTER),
        IpAddr::V6(address) => Advertisement {
            source: GATEWAY6,
            destination: address,
            target: GATEWAY6,
            router: true,
            solicited: true,
            overrides: true,
            target_mac: Some(ROUTER),
        }
        .frame(OURS, ROUTER),
    }
}

fn received(bytes: &[u8]) -> Received<'_> {
    Received {
        interface: LAN,
        addressed: Addressed::Group,
        tagged: false,
        age: Duration::ZERO,
        bytes,
    }
}

fn request(sender: Ipv4Addr, sender_mac: Mac, target: Ipv4Addr) -> Arp {
    Arp {
        operation: Operation::Request,
        sender_mac,
        sender_ip: sender,
        target_mac: Mac::ZERO,
        target_ip: target,
    }
}

fn solicitation(source: Ipv6Addr, destination: Ipv6Addr, source_mac: Option<Mac>) -> Frame {
    Solicitation {
        source,
        destination,
        target: VIP6,
        source_mac,
    }
    .frame(Mac::of_group(solicited_node(VIP6)), ASKER)
}

fn arp_of(transmit: &Transmit) -> Arp {
    Arp::parse(&transmit.frame.bytes()[14..]).expect("an ARP packet")
}

fn ndp_of(transmit: &Transmit) -> Message {
    Message::parse(&transmit.frame.bytes()[14..]).expect("an NDP message")
}

/// A2.
#[test]
fn a_request_for_an_owned_address_is_answered_to_the_asker() {
    let now = origin();
    let mut station = settled(now);
    for destination in [Mac::BROADCAST, OURS] {
        let frame = request(CLIENT, ASKER, VIP).frame(destination, ASKER);
        let answer = station
            .handle_frame(&received(frame.bytes()), now)
            .expect("an answer");
        assert_eq!(answer.interface, LAN);
        assert_eq!(answer.frame.bytes()[..12], [ASKER.0, OURS.0].concat());
        let reply = arp_of(&answer);
        assert_eq!(
            (reply.operation, reply.sender_mac, reply.sender_ip),
            (Operation::Reply, OURS, VIP)
        );
        assert_eq!((reply.target_mac, reply.target_ip), (ASKER, CLIENT));
    }
}

/// A2: an ARP probe is answered, target protocol address zero; it was a claim that was refused.
#[test]
fn a_probe_is_answered_so_that_the_prober_leaves_the_address_alone() {
    let now = origin();
    let mut station = settled(now);
    let probe = request(Ipv4Addr::UNSPECIFIED, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
    let answer = station
        .handle_frame(&received(probe.bytes()), now)
        .expect("an answer");
    assert_eq!(arp_of(&answer).target_ip, Ipv4Addr::UNSPECIFIED);
    let Some(Event::Claimed(claim)) = station.poll_event() else {
        panic!("no event")
    };
    assert_eq!(
        (claim.kind, claim.mac, claim.peer),
        (ClaimKind::Probed, ASKER, false)
    );
}

#[test]
fn what_is_not_a_question_for_us_gets_its_one_reason() {
    let now = origin();
    let ask = |target| request(CLIENT, ASKER, target).frame(Mac::BROADCAST, ASKER);
    let good = ask(VIP);
    let group = Mac([1, 0, 0, 0, 0, 1]);
    type Case = (&'static str, Discard, Frame, fn(&mut Received<'_>));
    let cases: Vec<Case> = vec![
        (
            "not owned",
            Discard::NotOwned,
            ask(Ipv4Addr::new(192, 0, 2, 11)),
            |_| {},
        ),
        ("owned elsewhere", Discard::WrongInterface, good, |r| {
            r.interface = OTHER_LAN
        }),
        ("no such interface", Discard::UnknownInterface, good, |r| {
            r.interface = 99
        }),
        ("tagged", Discard::Tagged, good, |r| r.tagged = true),
        ("overheard", Discard::OtherHost, good, |r| {
            r.addressed = Addressed::OtherHost
        }),
        ("old", Discard::Stale, good, |r| r.age = ms(101)),
        (
            "to another station",
            Discard::OtherHost,
            request(CLIENT, ASKER, VIP).frame(FOREIGN, ASKER),
            |_| {},
        ),
        (
            "our own echo",
            Discard::BadSender,
            request(CLIENT, OURS, VIP).frame(Mac::BROADCAST, OURS),
            |_| {},
        ),
        (
            "a group as sender",
            Discard::BadSender,
            request(CLIENT, group, VIP).frame(Mac::BROADCAST, ASKER),
            |_| {},
        ),
        (
            "nobody as sender",
            Discard::BadSender,
            request(CLIENT, Mac::ZERO, VIP).frame(Mac::BROADCAST, ASKER),
            |_| {},
        ),
        (
            "somebody's announcement",
            Discard::NotARequest,
            Arp::gratuitous_request(CLIENT, ASKER),
            |_| {},
        ),
        (
            "another protocol",
            Discard::OtherProtocol,
            Frame::new(OURS, ASKER, 0x0800),
            |_| {},
        ),
    ];
    for (what, reason, frame, change) in cases {
        let mut station = settled(now);
        let mut input = received(frame.bytes());
        change(&mut input);
        assert_eq!(station.handle_frame(&input, now), Err(reason), "{what}");
    }
    for length in 0..42 {
        let mut station = settled(now);
        let cut = received(&good.bytes()[..length]);
        assert_eq!(
            station.handle_frame(&cut, now),
            Err(Discard::TooShort),
            "{length} octets"
        );
    }
}

/// A3.
#[test]
fn nothing_is_answered_or_announced_once_ownership_ran_out() {
    let now = origin();
    let mut station = Station::new();
    station.set_interfaces(BTreeMap::from([(LAN, lan())]));
    let until = now + ms(200);
    let owned = Owned {
        until: Some(until),
        ..on(&[LAN])
    };
    station.set_owned(BTreeMap::from([(VIP.into(), owned)]));
    let ask = request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
    assert!(
        station
            .handle_frame(&received(ask.bytes()), until - ms(1))
            .is_ok()
    );
    assert_eq!(
        station.handle_frame(&received(ask.bytes()), until),
        Err(Discard::OwnershipExpired)
    );
    assert_eq!(
        station.poll_transmit(until),
        None,
        "the queued announcement is not sent"
    );
}

/// N2.
#[test]
fn solicitations_are_answered_to_the_asker_and_duplicate_checks_to_all_nodes() {
    let now = origin();
    let mut station = settled(now);
    let none = Ipv6Addr::UNSPECIFIED;
    let cases = [
        (
            "multicast",
            CLIENT6,
            solicited_node(VIP6),
            Some(ASKER),
            (ASKER, CLIENT6, true),
        ),
        (
            "unicast (NUD)",
            CLIENT6,
            VIP6,
            Some(ASKER),
            (ASKER, CLIENT6, true),
        ),
        (
            "unicast, no option",
            CLIENT6,
            VIP6,
            None,
            (ASKER, CLIENT6, true),
        ),
        (
            "duplicate check",
            none,
            solicited_node(VIP6),
            None,
            (Mac::of_group(ALL_NODES), ALL_NODES, false),
        ),
    ];
    for (what, source, destination, option, (to_mac, to, solicited)) in cases {
        let frame = solicitation(source, destination, option);
        let answer = station
            .handle_frame(&received(frame.bytes()), now)
            .expect(what);
        assert_eq!(answer.frame.bytes()[..6], to_mac.0, "{what}");
        assert_eq!(
            ndp_of(&answer),
            Message::Advertisement(Advertisement {
                source: LINK_LOCAL,
                destination: to,
                target: VIP6,
                router: false,
                solicited,
                overrides: true,
                target_mac: Some(OURS),
            }),
            "{what}"
        );
    }
}

/// A9.
#[test]
fn an_interface_that_came_up_again_is_announced_on_anew() {
    let now = origin();
    let mut station = settled(now);
    let later = now + Duration::from_secs(4000);
    station.set_interfaces(BTreeMap::from([(LAN, lan()), (OTHER_LAN, lan())]));
    assert_eq!(
        station.poll_transmit(later),
        None,
        "nothing changed, nothing is said"
    );
    let again = Interface { epoch: 2, ..lan() };
    station.set_interfaces(BTreeMap::from([(LAN, again), (OTHER_LAN, lan())]));
    assert_eq!(
        station.poll_transmit(later).map(|sent| sent.frame),
        Some(Arp::gratuitous_request(VIP, OURS))
    );
}

/// A5: stop at once if ownership is lost.
#[test]
fn an_address_that_was_given_up_is_silent_at_once() {
    let now = origin();
    let mut station = Station::new();
    station.set_interfaces(BTreeMap::from([(LAN, lan())]));
    station.set_owned(BTreeMap::from([(VIP.into(), on(&[LAN]))]));
    assert!(station.poll_transmit(now).is_some());
    station.set_owned(BTreeMap::new());
    assert_eq!(drain(&mut station, now, now + Duration::from_secs(60)), []);
    let ask = request(CLIENT, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
    assert_eq!(
        station.handle_frame(&received(ask.bytes()), now),
        Err(Discard::NotOwned)
    );
}

/// A10, N7.
#[test]
fn a_foreign_claim_is_reported_and_defended_once_in_ten_seconds() {
    let claims = [
        ("request", Arp::gratuitous_request(VIP, FOREIGN), VIP.into()),
        (
            "reply",
            Arp::gratuitous_reply(VIP, FOREIGN, Mac::BROADCAST),
            VIP.into(),
        ),
        (
            "question",
            Arp::directed_request(VIP, FOREIGN, CLIENT),
            VIP.into(),
        ),
        (
            "advertisement",
            Advertisement::unsolicited(VIP6, CLIENT6, FOREIGN),
            IpAddr::from(VIP6),
        ),
        (
            "solicitation",
            Solicitation::directed(VIP6, FOREIGN, CLIENT6),
            IpAddr::from(VIP6),
        ),
    ];
    for (what, frame, address) in claims {
        let now = origin() + Duration::from_secs(3600);
        let mut station = settled(origin());
        let hear = |station: &mut Station, after| {
            let heard = station.handle_frame(&received(frame.bytes()), now + after);
            assert_eq!(heard, Err(Discard::Conflict), "{what}");
            drain(station, now + after, now + after).len()
        };
        assert_eq!(hear(&mut station, ms(0)), 1, "{what}: one defence");
        let Some(Event::Claimed(claim)) = station.poll_event() else {
            panic!("{what}: no event")
        };
        assert_eq!(
            (claim.address, claim.mac, claim.peer),
            (address, FOREIGN, false),
            "{what}"
        );
        assert_eq!(
            hear(&mut station, ms(9_999)),
            0,
            "{what}: no shouting match"
        );
        assert_eq!(hear(&mut station, ms(10_000)), 1, "{what}");
        assert_eq!(station.poll_event(), None, "{what}: reported once a minute");
    }
}

/// A10: who owns an address inside the cluster is not decided by shouting.
#[test]
fn a_claim_by_a_peer_is_reported_and_not_defended() {
    let now = origin() + Duration::from_secs(3600);
    let mut station = settled(origin());
    station.set_peers(BTreeSet::from([FOREIGN]));
    let frame = Arp::gratuitous_request(VIP, FOREIGN);
    let heard = station.handle_frame(&received(frame.bytes()), now);
    assert_eq!(heard, Err(Discard::Conflict));
    assert_eq!(drain(&mut station, now, now), []);
    let Some(Event::Claimed(claim)) = station.poll_event() else {
        panic!("no event")
    };
    assert!(claim.peer);
}

proptest! {
    /// NUD: whatever the order of questions, an owner answers every one of ten minutes of probes.
    #[test]
    fn ten_minutes_of_unicast_probes_are_all_answered(gaps in proptest::collection::vec(1_u64..30_000, 40)) {
        let mut now = origin();
        let mut station = settled(now);
        for gap in gaps {
            now += ms(gap);
            let arp = request(CLIENT, ASKER, VIP).frame(OURS, ASKER);
            prop_assert!(station.handle_frame(&received(arp.bytes()), now).is_ok());
            let ns = solicitation(CLIENT6, VIP6, Some(ASKER));
            prop_assert!(station.handle_frame(&received(ns.bytes()), now).is_ok());
            drain(&mut station, now, now);
        }
    }
}
