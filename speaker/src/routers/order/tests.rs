use std::collections::BTreeSet;

use herald_model::bgp::Security;

use super::*;
use crate::links::Link;
use crate::routers::place::Seen;

fn peer() -> Peer {
    Peer {
        name: "tor".to_owned(),
        node_selectors: Vec::new(),
        my_asn: 64_512,
        local_asn: None,
        remote_as: bgp::RemoteAs::Exactly(64_513),
        dialing: Dialing {
            target: Target::Address("192.0.2.254".parse().unwrap()),
            port: 179,
            opening: bgp::Opening::Active,
            source: None,
            vrf: None,
            multihop: false,
        },
        security: Security::default(),
        hold_time: Duration::from_secs(90),
        keepalive_time: None,
        connect_time: Duration::from_secs(5),
        router_id: None,
        bfd_profile: None,
        bfd_strict: false,
        graceful_restart: false,
        drain_time: Duration::from_secs(10),
        dual_stack: false,
    }
}

const FACTS: Facts<'_> = Facts {
    node: "n1",
    address: Some(Ipv4Addr::new(192, 0, 2, 11)),
    has_tcp_ao: true,
    leaving: None,
    links: &Links::new(),
    found: &Found::new(),
};

fn ordered(change: impl FnOnce(&mut Peer)) -> Order {
    let mut peer = peer();
    change(&mut peer);
    order(&peer, &BTreeMap::new(), Ok(Keys::None), &FACTS)
}

#[test]
fn the_distance_to_a_router_is_one_hop_unless_somebody_says_otherwise() {
    let distance = |change: fn(&mut Peer)| {
        let dial = ordered(change).dial;
        (dial.ttl, dial.least_ttl)
    };
    assert_eq!(distance(|_| {}), (1, None));
    assert_eq!(distance(|peer| peer.dialing.multihop = true), (255, None));
    assert_eq!(
        distance(|peer| peer.remote_as = bgp::RemoteAs::Internal),
        (255, None)
    );
    assert_eq!(
        distance(|peer| peer.remote_as = bgp::RemoteAs::Exactly(64_512)),
        (255, None)
    );
    for (hops, least) in [(1, 255), (2, 254), (254, 2)] {
        let mut peer = peer();
        peer.security.ttl_security = Some(hops);
        let dial = order(&peer, &BTreeMap::new(), Ok(Keys::None), &FACTS).dial;
        assert_eq!((dial.ttl, dial.least_ttl), (255, Some(least)), "{hops}");
    }
}

#[test]
fn a_router_sees_the_local_as_and_an_identifier_that_is_never_zero() {
    let config = ordered(|peer| peer.local_asn = Some(64_999)).config;
    assert_eq!(config.local_as, Asn(64_999));
    assert_eq!(config.router_id, Ipv4Addr::new(192, 0, 2, 11));
    assert_eq!(config.families, Families::only(Family::Ipv4));
    let asked = ordered(|peer| peer.router_id = Some(Ipv4Addr::new(9, 9, 9, 9)));
    assert_eq!(asked.config.router_id, Ipv4Addr::new(9, 9, 9, 9));
    let six_only = Facts {
        address: None,
        ..FACTS
    };
    let order = order(&peer(), &BTreeMap::new(), Ok(Keys::None), &six_only);
    assert!(!order.config.router_id.is_unspecified());
    assert_eq!(order.config.check(), Ok(()));
}

/// Both families, IPv4 with next hops of IPv6 (RFC 8950): there is no other way over such a session.
#[test]
fn a_router_that_is_found_by_its_interface_is_spoken_to_once_it_is_found() {
    let mut peer = peer();
    peer.dialing.target = Target::Interface("eth1".to_owned());
    let link = Link {
        name: "eth1".to_owned(),
        ..Link::default()
    };
    let links = Links::from([(7, link)]);
    let with = |seen| {
        let found = Found::from([("eth1".to_owned(), seen)]);
        let facts = Facts {
            links: &links,
            found: &found,
            ..FACTS
        };
        order(&peer, &BTreeMap::new(), Ok(Keys::None), &facts)
    };
    let unfound = with(Seen::Nobody("nobody there".to_owned()));
    assert_eq!(unfound.obstacle.as_deref(), Some("nobody there"));
    let address = "fe80::1".parse().unwrap();
    let rivals = vec!["fe80::2".parse().unwrap()];
    let found = with(Seen::Router { address, rivals });
    assert_eq!(found.obstacle, None);
    assert!(found.doubt.is_some());
    assert_eq!(found.dial.place().to_string(), "fe80::1%eth1");
    for order in [unfound, found] {
        assert_eq!(order.config.families, Families::both());
        assert!(order.config.extended_next_hop);
    }
    peer.dialing.target = Target::LinkLocal {
        address,
        interface: "eth1".to_owned(),
    };
    let facts = Facts {
        links: &links,
        ..FACTS
    };
    let order = order(&peer, &BTreeMap::new(), Ok(Keys::None), &facts);
    assert_eq!(order.obstacle, None);
    assert_eq!(order.config.families, Families::only(Family::Ipv6));
    assert!(!order.config.extended_next_hop);
}

#[test]
fn a_secret_that_cannot_be_read_stands_in_the_way_of_the_session() {
    let missing = Err("Secret md5 does not exist".to_owned());
    let order = order(&peer(), &BTreeMap::new(), missing, &FACTS);
    assert_eq!(order.obstacle.as_deref(), Some("Secret md5 does not exist"));
    assert_eq!(order.dial.keys, Keys::None);
}

/// RFC 5925 section 7.1: what is to be signed is not sent unsigned.
#[test]
fn without_tcp_ao_in_the_kernel_a_session_that_asks_for_it_is_not_opened() {
    let mut signed = peer();
    signed.security.tcp_ao = vec![bgp::TcpAoKey {
        send_id: 1,
        receive_id: 1,
        algorithm: bgp::TcpAoAlgorithm::AesCmac,
        secret: bgp::Password {
            namespace: None,
            name: "ao".to_owned(),
        },
    }];
    let obstacle = |peer: &Peer, has_tcp_ao| {
        let facts = Facts {
            has_tcp_ao,
            ..FACTS
        };
        order(peer, &BTreeMap::new(), Ok(Keys::Ao(Vec::new())), &facts).obstacle
    };
    assert_eq!(obstacle(&signed, true), None);
    let told = obstacle(&signed, false).unwrap();
    assert!(told.contains("has no TCP-AO (Linux 6.7 or later"), "{told}");
    assert_eq!(obstacle(&peer(), false), None);
}

#[test]
fn a_route_that_is_about_to_go_says_so() {
    let attributes = Attributes {
        local_pref: Some(200),
        communities: BTreeSet::from([bgp::Community::Large([1, 2, 3])]),
        ..Attributes::default()
    };
    let leaving = Attributes {
        leaving: true,
        ..attributes.clone()
    };
    let prefixes = BTreeMap::from([
        ("198.51.100.1/32".parse().unwrap(), attributes),
        ("198.51.100.2/32".parse().unwrap(), leaving),
    ]);
    let order = order(&peer(), &prefixes, Ok(Keys::None), &FACTS);
    let routes: Vec<&Arc<Route>> = order.wish.values().collect();
    assert_eq!(routes[0].local_pref, Some(200));
    assert!(routes[0].communities.is_empty());
    assert_eq!(routes[1].local_pref, Some(0));
    assert!(routes[1].communities.contains(&Community(0xffff_0000)));
    assert_eq!(routes[1].large_communities.len(), 1);
}

/// RFC 10005: octets per second as a float, the AS in two octets. RFC 4360 section 6: what is not transitive
/// does not cross the border of an AS.
#[test]
fn a_share_is_told_as_fits_the_session() {
    let octets = |change: &dyn Fn(&mut Peer), transitive, megabits| {
        let mut peer = peer();
        change(&mut peer);
        let attributes = Attributes {
            link_bandwidth: Some(Bandwidth {
                megabits,
                transitive,
            }),
            leaving: true,
            ..Attributes::default()
        };
        let prefixes = BTreeMap::from([("198.51.100.1/32".parse().unwrap(), attributes)]);
        let order = order(&peer, &prefixes, Ok(Keys::None), &FACTS);
        let route = order.wish.values().next().unwrap();
        assert!(route.communities.contains(&Community::GRACEFUL_SHUTDOWN));
        let told = route.extended_communities.iter();
        told.map(|community| community.0).collect::<Vec<_>>()
    };
    // 3 Mbit/s are 375 000 octets, 2^18 times 1.430511474609375.
    let three = [0x48, 0xb7, 0x1b, 0x00];
    let with = |kind, [a, b]: [u8; 2]| {
        let [c, d, e, f] = three;
        vec![[kind, 4, a, b, c, d, e, f]]
    };
    let same = |_: &mut Peer| {};
    let as_of_cluster = [0xfc, 0x00];
    assert_eq!(octets(&same, None, 3), with(0, as_of_cluster));
    assert_eq!(octets(&same, Some(false), 3), with(0x40, as_of_cluster));
    for internal in [bgp::RemoteAs::Internal, bgp::RemoteAs::Exactly(64_512)] {
        let within = move |peer: &mut Peer| peer.remote_as = internal;
        assert_eq!(octets(&within, None, 3), with(0x40, as_of_cluster));
        assert_eq!(octets(&within, Some(true), 3), with(0, as_of_cluster));
    }
    let shown = |peer: &mut Peer| peer.local_asn = Some(64_999);
    assert_eq!(octets(&shown, None, 3), with(0, [0xfd, 0xe7]));
    let wide = |peer: &mut Peer| peer.my_asn = 4_200_000_000;
    assert_eq!(octets(&wide, None, 3), with(0, [0x5b, 0xa0]), "AS_TRANS");
    // 2^64 megabits are a number still.
    let [a, b, c, d] = 2_305_843_009_213_693_952_000_000_f32.to_be_bytes();
    let most = vec![[0, 4, 0xfc, 0x00, a, b, c, d]];
    assert_eq!(octets(&same, None, u64::MAX), most);
}

/// A profile that is named and does not exist does not make a strict session less strict.
#[test]
fn a_profile_watches_and_strictness_waits() {
    let mode = |profile: Option<&str>, strict| {
        let named = profile.map(str::to_owned);
        let order = ordered(|peer| (peer.bfd_profile, peer.bfd_strict) = (named, strict));
        order.config.bfd
    };
    assert_eq!(mode(None, false), BfdMode::Off);
    assert_eq!(mode(Some("fast"), false), BfdMode::Watch);
    assert_eq!(mode(Some("fast"), true), BfdMode::Strict);
}
