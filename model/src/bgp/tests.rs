//! The order of MetalLB's `ShouldAnnounce` (BGP), aggregates, and what two advertisements make of one
//! prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::address::{AddressRange, Family, RangeSet};
use crate::announce::{Node, World};
use crate::labels::{Labels, Selector};
use crate::pool::Pool;
use crate::service::{Endpoint, Service, ServiceKey, TrafficPolicy, kube_proxy};
use crate::unusable::{Owner, Unusable};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn peer(name: &str) -> Peer {
    Peer {
        name: name.to_owned(),
        node_selectors: Vec::new(),
        my_asn: 64_512,
        local_asn: None,
        remote_as: RemoteAs::Exactly(64_513),
        dialing: Dialing {
            target: Target::Address(ip("192.0.2.254")),
            port: 179,
            opening: Opening::Active,
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
        dual_stack: true,
    }
}

pub(super) fn advertisement(name: &str) -> Advertisement {
    Advertisement {
        name: name.to_owned(),
        pools: None,
        node_selectors: Vec::new(),
        service_selectors: Vec::new(),
        peers: None,
        aggregation_v4: 32,
        aggregation_v6: 128,
        attributes: Attributes::default(),
        link_bandwidth: None,
    }
}

fn labels(label: &str) -> Labels {
    Labels::from([("is".to_owned(), label.to_owned())])
}

fn only(label: &str) -> Vec<Selector> {
    vec![Selector::labels([("is", label)])]
}

fn endpoint(node: &str, ready: bool, serving: bool) -> Endpoint {
    Endpoint {
        family: Family::V4,
        node: Some(node.to_owned()),
        ready,
        serving,
        terminating: !ready,
    }
}

/// One that is ready, of IPv6.
fn endpoint6(node: &str) -> Endpoint {
    Endpoint {
        family: Family::V6,
        ..endpoint(node, true, true)
    }
}

fn service(name: &str, held: &[&str]) -> Service {
    Service {
        labels: labels("web"),
        held: held.iter().map(|a| ip(a)).collect(),
        endpoints: vec![endpoint("n1", true, true), endpoint6("n1")],
        ..Service::new(ServiceKey::new("shop", name))
    }
}

fn world(services: &[Service]) -> World {
    let ranges: RangeSet = ["198.51.100.0/24", "2001:db8::/64"]
        .into_iter()
        .map(|r| r.parse::<AddressRange>().unwrap())
        .collect();
    let node = |label: &str| Node {
        labels: labels(label),
        ..Node::default()
    };
    World {
        services: services
            .iter()
            .map(|s| (s.key.clone(), Arc::new(s.clone())))
            .collect(),
        pools: BTreeMap::from([("lan".to_owned(), Pool::new("lan", ranges))]),
        nodes: BTreeMap::from([
            ("n1".to_owned(), node("one")),
            ("n2".to_owned(), node("two")),
        ]),
        ..World::default()
    }
}

fn policy(peers: &[Peer], advertisements: &[Advertisement]) -> Policy {
    Policy {
        bfd_profiles: BTreeMap::new(),
        peers: peers.iter().map(|p| (p.name.clone(), p.clone())).collect(),
        advertisements: advertisements.to_vec(),
    }
}

fn told(routes: &Routes, peer: &str) -> Vec<String> {
    let prefixes = routes.peers[peer].keys();
    prefixes.map(ToString::to_string).collect()
}

fn verdict(routes: &Routes) -> Result<Vec<String>, &'static str> {
    let verdicts = routes.verdicts.values().next().unwrap();
    match verdicts.values().next().unwrap() {
        Ok(peers) => Ok(peers.iter().cloned().collect()),
        Err(obstacle) => Err(obstacle.label()),
    }
}

#[test]
fn every_node_that_may_announces_to_every_peer_it_speaks_to() {
    let mut rack = peer("rack");
    rack.node_selectors = only("one");
    let policy = policy(&[peer("tor"), rack], &[advertisement("all")]);
    let world = world(&[service("web", &["198.51.100.7", "2001:db8::7"])]);
    for (node, peers) in [("n1", &["rack", "tor"][..]), ("n2", &["tor"])] {
        let routes = routes(&world, &policy, node);
        assert_eq!(routes.peers.keys().collect::<Vec<_>>(), peers, "{node}");
        assert_eq!(told(&routes, "tor"), ["198.51.100.7/32", "2001:db8::7/128"]);
        assert_eq!(verdict(&routes).unwrap(), peers);
    }
    let nobody = routes(&world, &policy, "n3");
    assert_eq!(nobody, Routes::default());
}

#[test]
fn the_first_failing_test_is_the_reason() {
    let mut elsewhere = advertisement("elsewhere");
    elsewhere.node_selectors = only("two");
    let mut other_pool = advertisement("other-pool");
    other_pool.pools = Some(BTreeSet::from(["wan".to_owned()]));
    let mut other_service = advertisement("other-service");
    other_service.service_selectors = only("db");
    let mut other_peer = advertisement("other-peer");
    other_peer.peers = Some(BTreeSet::from(["spine".to_owned()]));
    let all = advertisement("all");

    type Change = fn(&mut World);
    let set = |change: Change, ads: &[&Advertisement]| {
        let mut world = world(&[service("web", &["198.51.100.7"])]);
        change(&mut world);
        let ads: Vec<_> = ads.iter().map(|ad| (*ad).clone()).collect();
        verdict(&routes(&world, &policy(&[peer("tor")], &ads), "n1"))
    };
    let same: Change = |_| {};
    let no_pool: Change = |world| world.pools.clear();
    let a_nodes: Change = |world| {
        world.pools.clear();
        let owner = Owner::Node {
            name: "n2".into(),
            kind: "ExternalIP".into(),
        };
        let address = AddressRange::single(ip("198.51.100.7"));
        world.unusable = Arc::new(Unusable::new([(address, owner)]));
    };
    let pods: Change = |world| {
        let owner = Owner::PodRange { node: "n2".into() };
        let range = "198.51.100.0/24".parse().unwrap();
        world.unusable = Arc::new(Unusable::new([(range, owner)]));
    };
    let unavailable: Change = |world| {
        let node = world.nodes.get_mut("n1").unwrap();
        (node.network_unavailable, node.excluded) = (true, true);
    };
    let excluded: Change = |world| world.nodes.get_mut("n1").unwrap().excluded = true;
    let no_endpoints: Change = |world| {
        let service = Arc::make_mut(world.services.values_mut().next().unwrap());
        service.endpoints = vec![endpoint("n1", false, false)];
    };
    let elsewhere_only: Change = |world| {
        let service = Arc::make_mut(world.services.values_mut().next().unwrap());
        service.endpoints = vec![endpoint("n2", true, true)];
    };
    let local: Change = |world| {
        let service = Arc::make_mut(world.services.values_mut().next().unwrap());
        service.traffic_policy = TrafficPolicy::Local;
        service.endpoints = vec![endpoint("n2", true, true), endpoint("n1", false, false)];
    };
    let terminating: Change = |world| {
        let service = Arc::make_mut(world.services.values_mut().next().unwrap());
        service.traffic_policy = TrafficPolicy::Local;
        service.endpoints = vec![endpoint("n1", false, true)];
    };
    for (what, change, ads, expected) in [
        ("a node's", a_nodes, &[&all][..], Err("AddressUnusable")),
        ("in a pod range", pods, &[&all], Ok(())),
        ("no pool", no_pool, &[&all], Err("NoPool")),
        ("no advertisement", same, &[], Err("NoAdvertisement")),
        (
            "for other nodes",
            same,
            &[&elsewhere],
            Err("NoAdvertisement"),
        ),
        (
            "for another pool",
            same,
            &[&other_pool],
            Err("NoAdvertisement"),
        ),
        (
            "for another Service",
            same,
            &[&other_service],
            Err("ServiceNotSelected"),
        ),
        (
            "for another Service too",
            same,
            &[&other_service, &all],
            Ok(()),
        ),
        (
            "no network",
            unavailable,
            &[&all],
            Err("NodeNetworkUnavailable"),
        ),
        ("excluded", excluded, &[&all], Err("NodeExcluded")),
        (
            "no endpoint serves",
            no_endpoints,
            &[&all],
            Err("NoEndpoints"),
        ),
        ("Cluster, served elsewhere", elsewhere_only, &[&all], Ok(())),
        (
            "Local, served elsewhere",
            local,
            &[&all],
            Err("NoLocalEndpoint"),
        ),
        ("Local, still serving", terminating, &[&all], Ok(())),
        ("another peer", same, &[&other_peer], Err("NoPeer")),
    ] {
        assert_eq!(set(change, ads).map(drop), expected, "{what}");
    }
}

#[test]
fn endpoints_decide_for_the_prefixes_of_their_family() {
    use TrafficPolicy::{Cluster, Local};
    let (four, six) = ("198.51.100.7/32", "2001:db8::7/128");
    let none: &[&str] = &[];
    let v4 = |node| endpoint(node, true, true);
    let leaving6 = Endpoint {
        family: Family::V6,
        ..endpoint("n2", false, true)
    };
    for (what, endpoints, cluster, local) in [
        (
            "apart",
            vec![v4("n1"), endpoint6("n2")],
            [&[four, six][..]; 2],
            [&[four][..], &[six]],
        ),
        (
            "IPv6 leaving",
            vec![v4("n1"), leaving6],
            [&[four, six]; 2],
            [&[four], &[six]],
        ),
        ("IPv4 alone", vec![v4("n1")], [&[four]; 2], [&[four], none]),
        (
            "IPv6 alone",
            vec![endpoint6("n2")],
            [&[six]; 2],
            [none, &[six]],
        ),
    ] {
        for (policy_of, expected) in [(Cluster, cluster), (Local, local)] {
            let mut web = service("web", &["198.51.100.7", "2001:db8::7"]);
            (web.traffic_policy, web.endpoints) = (policy_of, endpoints.clone());
            let world = world(&[web]);
            let policy = policy(&[peer("tor")], &[advertisement("all")]);
            let found = ["n1", "n2"].map(|node| told(&routes(&world, &policy, node), "tor"));
            assert_eq!(found, expected, "{what}, {policy_of:?}");
        }
    }
}

#[test]
fn what_stands_against_an_address_without_endpoints_names_the_family() {
    for (traffic_policy, label, text) in [
        (
            TrafficPolicy::Cluster,
            "NoEndpoints",
            "waits for a ready IPv6 endpoint of the Service",
        ),
        (
            TrafficPolicy::Local,
            "NoLocalEndpoint",
            "has no ready IPv6 endpoint, which externalTrafficPolicy Local needs",
        ),
    ] {
        let mut web = service("web", &["198.51.100.7", "2001:db8::7"]);
        (web.traffic_policy, web.endpoints) = (traffic_policy, vec![endpoint("n1", true, true)]);
        let policy = policy(&[peer("tor")], &[advertisement("all")]);
        let routes = routes(&world(&[web]), &policy, "n1");
        let verdicts = routes.verdicts.values().next().unwrap();
        assert!(verdicts.get(ip("198.51.100.7")).unwrap().is_ok());
        let obstacle = verdicts.get(ip("2001:db8::7")).unwrap().as_ref();
        let obstacle = obstacle.unwrap_err();
        assert_eq!(
            (obstacle.label(), obstacle.to_string().as_str()),
            (label, text)
        );
    }
}

proptest! {
    #[test]
    fn an_address_is_told_where_kube_proxy_passes_its_traffic_on(
        endpoints in kube_proxy::some_endpoints(&["n1", "n2", "n3"]),
        traffic_policy in kube_proxy::some_policy(),
    ) {
        let mut web = service("web", &["198.51.100.7", "2001:db8::7"]);
        (web.traffic_policy, web.endpoints) = (traffic_policy, endpoints.clone());
        let world = world(&[web]);
        let policy = policy(&[peer("tor")], &[advertisement("all")]);
        for node in ["n1", "n2"] {
            let told = told(&routes(&world, &policy, node), "tor");
            let four = ("198.51.100.7/32", Family::V4);
            for (prefix, family) in [four, ("2001:db8::7/128", Family::V6)] {
                let table = kube_proxy::table(&endpoints, family, traffic_policy, node);
                let is_told = told.iter().any(|one| one == prefix);
                prop_assert_eq!(is_told, table.reachable > 0, "{} {}", prefix, node);
            }
        }
    }
}

#[test]
fn an_aggregate_stays_until_its_last_member_goes() {
    let mut aggregate = advertisement("aggregate");
    (aggregate.aggregation_v4, aggregate.aggregation_v6) = (26, 120);
    let policy = policy(&[peer("tor")], &[aggregate]);
    let (one, two) = (
        service("one", &["198.51.100.7", "2001:db8::7"]),
        service("two", &["198.51.100.9"]),
    );
    for (services, expected) in [
        (
            &[one.clone(), two.clone()][..],
            &["198.51.100.0/26", "2001:db8::/120"][..],
        ),
        (&[two], &["198.51.100.0/26"]),
        (&[], &[]),
    ] {
        let routes = routes(&world(services), &policy, "n1");
        assert_eq!(told(&routes, "tor"), expected);
    }
}

#[test]
fn two_advertisements_of_one_prefix_join_what_they_say() {
    let with = |name, local_pref, med, prepend, community| Advertisement {
        attributes: Attributes {
            local_pref,
            med,
            prepend,
            communities: BTreeSet::from([Community::Standard(community)]),
            link_bandwidth: None,
            leaving: false,
        },
        ..advertisement(name)
    };
    let ads = [
        with("a", Some(150), Some(20), 3, 1),
        with("b", Some(100), Some(10), 0, 2),
    ];
    let world = world(&[service("web", &["198.51.100.7"])]);
    let joined = routes(&world, &policy(&[peer("tor")], &ads), "n1");
    let attributes = joined.peers["tor"].values().next().unwrap();
    assert_eq!(
        *attributes,
        Attributes {
            local_pref: Some(150),
            med: Some(10),
            prepend: 0,
            communities: BTreeSet::from([Community::Standard(1), Community::Standard(2)]),
            link_bandwidth: None,
            leaving: false,
        }
    );
}

#[test]
fn a_node_that_is_about_to_go_is_the_last_choice() {
    let mut world = world(&[service("web", &["198.51.100.7"])]);
    world.nodes.get_mut("n1").unwrap().stopping = true;
    let policy = policy(&[peer("tor")], &[advertisement("all")]);
    let leaving = |node| {
        let routes = routes(&world, &policy, node);
        routes.peers["tor"].values().all(|route| route.leaving)
    };
    assert!(leaving("n1"));
    assert!(!leaving("n2"));
}

#[test]
fn a_session_carries_its_own_family_unless_both_are_asked_for() {
    let on = |target, dual_stack| {
        let mut peer = peer("tor");
        (peer.dialing.target, peer.dual_stack) = (target, dual_stack);
        let world = world(&[service("web", &["198.51.100.7", "2001:db8::7"])]);
        told(
            &routes(&world, &policy(&[peer], &[advertisement("all")]), "n1"),
            "tor",
        )
    };
    let (four, six) = ("198.51.100.7/32", "2001:db8::7/128");
    let address = |text| Target::Address(ip(text));
    assert_eq!(on(address("192.0.2.254"), false), [four]);
    assert_eq!(on(address("2001:db8:1::1"), false), [six]);
    assert_eq!(on(address("2001:db8:1::1"), true), [four, six]);
    assert_eq!(on(Target::Interface("eth0".to_owned()), false), [four, six]);
    let link_local = || Target::LinkLocal {
        address: "fe80::1".parse().unwrap(),
        interface: "eth0".to_owned(),
    };
    assert_eq!(on(link_local(), false), [six]);
    assert_eq!(on(link_local(), true), [four, six]);
}
