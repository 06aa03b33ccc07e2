//! Which echo packets of routers are sent back; no socket is opened.

use std::net::Ipv6Addr;

use herald_bfd::{Diagnostic, Flags, Packet, State};

use super::*;
use crate::routers::place::{Place, Zone};

const NOW: Time = Duration::from_secs(100);
const OURS: u32 = 7;
const INTERFACE: u32 = 4;

fn number() -> Discriminator {
    Discriminator::new(OURS).unwrap()
}

fn watched(router: &str, echo: Option<Duration>) -> Watched {
    let router: IpAddr = router.parse().unwrap();
    let local = matches!(router, IpAddr::V6(router) if router.is_unicast_link_local());
    let zone = local.then(|| Zone {
        index: INTERFACE,
        name: "eth1".to_owned(),
    });
    let route = Route {
        place: Place { router, zone },
        source: None,
        device: None,
        multihop: false,
    };
    let config = Config {
        echo,
        ..Config::default()
    };
    Watched::new(route, config, number(), 1, NOW).unwrap()
}

/// The router brings the session up by three packets, the last of which says `state`.
fn heard(watched: &mut Watched, state: State) {
    for state in [State::Down, State::Init, state] {
        let packet = Packet {
            diagnostic: Diagnostic::NONE,
            state,
            flags: Flags::default(),
            multiplier: 3,
            my_discriminator: 1000,
            your_discriminator: OURS,
            desired_transmit: 1_000_000,
            required_receive: 50_000,
            required_echo: 50_000,
            authentication: None,
        };
        let octets = packet.encode();
        let from = From {
            length: octets.len(),
            address: watched.route.place.router,
            interface: Some(INTERFACE),
            ttl: 255,
        };
        watched.hear(&octets, &from, NOW);
    }
}

fn echoed(source: &str) -> Echoed {
    Echoed {
        length: 24,
        source: source.parse().unwrap(),
        here: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 11),
        interface: INTERFACE,
        ttl: 255,
    }
}

fn echo() -> Option<Duration> {
    Some(Duration::from_millis(50))
}

#[test]
fn echo_packets_go_back_to_the_router_of_a_session_that_is_up() {
    for router in ["2001:db8::1", "fe80::1"] {
        let mut watched = watched(router, echo());
        let its = echoed(router);
        assert!(!watched.is_echoed(&its), "nobody was heard");
        heard(&mut watched, State::Up);
        assert!(watched.is_echoed(&its));
        assert!(watched.loops_back(&its, NOW));
        assert!(!watched.is_echoed(&echoed("2001:db8::2")));
        assert!(!watched.is_echoed(&Echoed {
            interface: 5,
            ..its
        }));
        assert!(!watched.loops_back(&Echoed { ttl: 254, ..its }, NOW));
        heard(&mut watched, State::Down);
        assert!(!watched.loops_back(&its, NOW));
    }
    let mut without = watched("2001:db8::1", None);
    heard(&mut without, State::Up);
    assert!(!without.is_echoed(&echoed("2001:db8::1")));
}

/// Nothing is offered that cannot be kept, and the operator reads why.
#[test]
fn echo_is_offered_while_the_port_can_be_had() {
    let mut watched = watched("2001:db8::1", echo());
    assert!(watched.wants_mirror());
    heard(&mut watched, State::Up);
    let its = echoed("2001:db8::1");
    watched.mirror(Some("taken".to_owned()), NOW);
    assert_eq!(watched.session.config().echo, None);
    assert_eq!(watched.seen().trouble.as_deref(), Some("taken"));
    assert!(watched.wants_mirror() && watched.is_troubled());
    assert!(!watched.is_echoed(&its) && !watched.lacks_echo());
    // Another profile does not change that.
    let config = Config {
        echo: Some(Duration::from_millis(70)),
        ..watched.session.config().clone()
    };
    watched.follow(config, BTreeSet::new(), &BfdMetrics::default(), NOW);
    assert_eq!(watched.session.config().echo, None);
    watched.mirror(None, NOW);
    assert_eq!(
        watched.session.config().echo,
        Some(Duration::from_millis(70))
    );
    assert_eq!(watched.seen().trouble, None);
    assert!(watched.is_echoed(&its));
}

/// Over IPv4 the kernel drops what comes from an address of its own, and FRR sends through the node.
#[test]
fn the_port_is_for_echo_over_ipv6() {
    assert!(watched("2001:db8::1", echo()).wants_mirror());
    assert!(watched("fe80::1", echo()).wants_mirror());
    assert!(!watched("2001:db8::1", None).wants_mirror());
    assert!(!watched("192.0.2.1", echo()).wants_mirror());
}
