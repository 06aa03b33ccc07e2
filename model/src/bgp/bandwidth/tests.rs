use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::super::tests::{self, peer};
use super::super::{Advertisement, Policy, routes};
use super::*;
use crate::address::{AddressRange, Family, RangeSet};
use crate::announce::{Node, World};
use crate::pool::Pool;
use crate::service::{Endpoint, Service};

const PEERS: [&str; 2] = ["tor-a", "tor-b"];
const NODES: [&str; 2] = ["n1", "n2"];

fn terms(megabits: u32, per: Per, transitive: Option<bool>) -> LinkBandwidth {
    LinkBandwidth {
        megabits,
        per,
        transitive,
    }
}

fn advertisement(name: &str, link_bandwidth: Option<LinkBandwidth>) -> Advertisement {
    Advertisement {
        link_bandwidth,
        ..tests::advertisement(name)
    }
}

fn policy(advertisements: Vec<Advertisement>) -> Policy {
    Policy {
        peers: PEERS.map(|name| (name.to_owned(), peer(name))).into(),
        advertisements,
        ..Policy::default()
    }
}

/// Where pods of a Service are: the node, and whether there is an address of IPv4 and of IPv6.
type Pods = Vec<(&'static str, bool, bool)>;

fn service(name: &str, held: &[IpAddr], local: bool, pods: &Pods) -> Service {
    let mut service = Service {
        held: held.to_vec(),
        ..Service::new(ServiceKey::new("shop", name))
    };
    if local {
        service.traffic_policy = TrafficPolicy::Local;
    }
    for (node, four, six) in pods {
        let families = [(*four, Family::V4), (*six, Family::V6)];
        let families = families.into_iter().filter(|(has, _)| *has);
        service
            .endpoints
            .extend(families.map(|(_, family)| Endpoint {
                family,
                node: Some((*node).to_owned()),
                ready: true,
                serving: true,
                terminating: false,
            }));
    }
    for (i, (node, four, six)) in pods.iter().enumerate() {
        let last = u8::try_from(i).unwrap();
        let v4 = IpAddr::from([10, 0, 0, last]);
        let v6 = IpAddr::from(Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, last.into()]));
        let addresses = [four.then_some(v4), six.then_some(v6)];
        for address in addresses.into_iter().flatten() {
            let here = service.serving.entry((*node).to_owned()).or_default();
            here.insert(address);
        }
    }
    service
}

fn world(services: &[Service]) -> World {
    let ranges: RangeSet = ["198.51.100.0/24", "2001:db8::/64"]
        .into_iter()
        .map(|range| range.parse::<AddressRange>().unwrap())
        .collect();
    let services = services
        .iter()
        .map(|s| (s.key.clone(), Arc::new(s.clone())));
    World {
        services: services.collect(),
        pools: BTreeMap::from([("lan".to_owned(), Pool::new("lan", ranges))]),
        nodes: NODES.map(|n| (n.to_owned(), Node::default())).into(),
        ..World::default()
    }
}

fn four(last: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, last).into()
}

fn six(last: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into()
}

/// What a node tells the first peer, in megabits by prefix.
fn told(services: &[Service], advertisements: &[Advertisement], node: &str) -> Vec<(String, u64)> {
    let routes = routes(&world(services), &policy(advertisements.to_vec()), node);
    let told = routes.peers[PEERS[0]].iter();
    told.map(|(prefix, attributes)| {
        let bandwidth = attributes.link_bandwidth.map_or(0, |told| told.megabits);
        (prefix.to_string(), bandwidth)
    })
    .collect()
}

fn said(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(p, n)| ((*p).to_owned(), *n)).collect()
}

#[test]
fn a_node_says_how_many_endpoints_it_has() {
    let pods = vec![("n1", true, true), ("n1", true, false), ("n2", true, true)];
    let web = service("web", &[four(7), six(7)], true, &pods);
    let one = [advertisement("a", Some(terms(1, Per::Endpoint, None)))];
    let (v4, v6) = ("198.51.100.7/32", "2001:db8::7/128");
    let on = |node| told(std::slice::from_ref(&web), &one, node);
    assert_eq!(
        on("n1"),
        said(&[(v4, 2), (v6, 1)]),
        "of the prefix's family"
    );
    assert_eq!(on("n2"), said(&[(v4, 1), (v6, 1)]));
    let node = [advertisement("a", Some(terms(10_000, Per::Node, None)))];
    let told = told(std::slice::from_ref(&web), &node, "n1");
    assert_eq!(told, said(&[(v4, 10_000), (v6, 10_000)]));
}

#[test]
fn with_policy_cluster_every_node_says_the_same_however_many_there_are() {
    let one = [advertisement("a", Some(terms(5, Per::Endpoint, None)))];
    for pods in [vec![("n1", true, true)], vec![("n1", true, true); 3]] {
        let web = service("web", &[four(7)], false, &pods);
        for node in NODES {
            let told = told(std::slice::from_ref(&web), &one, node);
            assert_eq!(told, said(&[("198.51.100.7/32", 5)]), "{node}");
        }
    }
}

#[test]
fn endpoints_of_one_family_give_no_share_of_the_other() {
    let pods = vec![("n1", true, false), ("n1", true, false)];
    let web = service("web", &[four(7), six(7)], true, &pods);
    let one = [advertisement("a", Some(terms(1, Per::Endpoint, None)))];
    assert_eq!(told(&[web], &one, "n1"), said(&[("198.51.100.7/32", 2)]));
}

/// A share of zero would be none: where nothing was counted, one stands for what is announced.
#[test]
fn what_is_announced_has_a_share_though_nothing_was_counted() {
    let mut web = service("web", &[six(7)], true, &vec![("n1", false, true)]);
    web.serving.clear();
    let one = [advertisement("a", Some(terms(1, Per::Endpoint, None)))];
    assert_eq!(told(&[web], &one, "n1"), said(&[("2001:db8::7/128", 1)]));
}

#[test]
fn an_aggregate_and_a_shared_address_carry_the_sum_of_their_services() {
    let pods = |count| vec![("n1", true, true); count];
    let services = [
        service("a", &[four(7)], true, &pods(3)),
        service("b", &[four(7)], true, &pods(3)),
        service("c", &[four(9)], true, &pods(1)),
        service("d", &[four(10)], false, &pods(8)),
        service("e", &[four(11)], true, &vec![("n2", true, true)]),
        // Nobody has two of a family; whoever has counts once.
        service("f", &[four(12), four(13)], true, &pods(2)),
    ];
    let mut aggregate = advertisement("aggregate", Some(terms(1, Per::Endpoint, None)));
    aggregate.aggregation_v4 = 24;
    let told_by = |ads: &[Advertisement]| told(&services, ads, "n1");
    assert_eq!(
        told_by(&[aggregate.clone()]),
        said(&[("198.51.100.0/24", 3 + 3 + 1 + 1 + 2)])
    );
    // The Services are counted that the prefix is announced for, whoever asks for the bandwidth.
    let silent = advertisement("silent", None);
    let told = told_by(&[aggregate, silent.clone()]);
    assert_eq!(told[0], ("198.51.100.0/24".to_owned(), 10));
    assert!(told[1..].iter().all(|(_, told)| *told == 0), "{told:?}");
    let hosts = advertisement("hosts", Some(terms(1, Per::Endpoint, None)));
    let told = told_by(&[silent, hosts]);
    assert_eq!(told[0], ("198.51.100.7/32".to_owned(), 6));
}

#[test]
fn of_two_advertisements_the_greater_counts_and_who_says_nothing_takes_nothing_away() {
    let web = service("web", &[four(7)], true, &vec![("n1", true, true); 4]);
    let ad = |name: &str, terms| advertisement(name, terms);
    let (per_endpoint, per_node) = (terms(10, Per::Endpoint, None), terms(10, Per::Node, None));
    for (one, other, expected) in [
        (Some(per_endpoint), None, 40),
        (Some(per_node), Some(per_endpoint), 40),
        (Some(terms(11, Per::Node, None)), Some(per_endpoint), 11),
        (Some(terms(9, Per::Endpoint, None)), Some(per_node), 10),
    ] {
        for pair in [[one, other], [other, one]] {
            let [first, second] = pair;
            let ads = [ad("a", first), ad("b", second)];
            let told = told(std::slice::from_ref(&web), &ads, "n1");
            assert_eq!(told[0].1, expected, "{pair:?}");
        }
    }
    let transitive = |one, other| {
        let ads = [one, other].map(|word| ad("a", Some(terms(1, Per::Node, word))));
        let routes = routes(
            &world(std::slice::from_ref(&web)),
            &policy(ads.to_vec()),
            "n1",
        );
        let mut told = routes.peers[PEERS[0]].values();
        told.next().unwrap().link_bandwidth.unwrap().transitive
    };
    assert_eq!(transitive(None, Some(false)), Some(false));
    assert_eq!(transitive(Some(true), Some(false)), Some(true));
}

#[test]
fn endpoints_are_counted_only_where_somebody_asks() {
    let asks = |terms| policy(vec![advertisement("a", terms)]).counts_endpoints();
    assert!(!asks(None));
    assert!(!asks(Some(terms(1, Per::Node, None))));
    assert!(asks(Some(terms(1, Per::Endpoint, None))));
}

fn some_terms() -> impl Strategy<Value = LinkBandwidth> {
    let per = prop_oneof![Just(Per::Node), Just(Per::Endpoint)];
    (1..4_u32, per, of(any::<bool>())).prop_map(|(megabits, per, transitive)| LinkBandwidth {
        megabits,
        per,
        transitive,
    })
}

fn some_advertisement() -> impl Strategy<Value = Advertisement> {
    let lengths = prop_oneof![Just((32, 128)), Just((28, 120)), Just((24, 128))];
    let peers = of(prop_oneof![Just(PEERS[0]), Just(PEERS[1])]);
    (lengths, peers, of(some_terms())).prop_map(|(lengths, peer, terms)| Advertisement {
        aggregation_v4: lengths.0,
        aggregation_v6: lengths.1,
        peers: peer.map(|name| BTreeSet::from([name.to_owned()])),
        ..advertisement("a", terms)
    })
}

/// What makes a Service: the last octets of its addresses, policy Local, and its pods.
type Made = (Option<u8>, Option<u8>, bool, Pods);

fn some_service() -> impl Strategy<Value = Made> {
    let node = prop_oneof![Just(NODES[0]), Just(NODES[1])];
    let pods = vec((node, any::<bool>(), any::<bool>()), 0..6);
    // Few addresses, so that some are shared.
    (of(0..40_u8), of(0..4_u8), any::<bool>(), pods)
}

fn services(made: &[Made]) -> Vec<Service> {
    let one = |(i, (v4, v6, local, pods)): (usize, &Made)| {
        let held: Vec<IpAddr> = [v4.map(four), v6.map(|last| six(last.into()))]
            .into_iter()
            .flatten()
            .collect();
        service(&format!("s{i}"), &held, *local, pods)
    };
    made.iter().enumerate().map(one).collect()
}

/// A prefix as its first address and length.
fn masked(address: IpAddr, length: u8) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            (Ipv4Addr::from_bits(v4.to_bits() & mask).into(), length)
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            (Ipv6Addr::from_bits(v6.to_bits() & mask).into(), length)
        }
    }
}

/// By the definition, one prefix at a time: of all that announces it here to this peer, the greatest
/// terms, times the endpoints of every Service of it.
fn plain(
    made: &[Made],
    advertisements: &[Advertisement],
    node: &str,
    peer: &str,
    prefix: (IpAddr, u8),
) -> Option<(u64, Option<bool>)> {
    let is_v4 = prefix.0.is_ipv4();
    let mut greatest = None;
    let mut endpoints = 0;
    for (v4, v6, local, pods) in made {
        let held = if is_v4 {
            v4.map(four)
        } else {
            v6.map(|last| six(last.into()))
        };
        let here = |pod: &&(&str, bool, bool)| pod.0 == node || !*local;
        let of_family = |pod: &&(&str, bool, bool)| if is_v4 { pod.1 } else { pod.2 };
        let count = pods.iter().filter(here).filter(of_family).count();
        let Some(address) = held.filter(|_| count > 0) else {
            continue;
        };
        let mut is_member = false;
        for ad in advertisements {
            let length = if is_v4 {
                ad.aggregation_v4
            } else {
                ad.aggregation_v6
            };
            let is_for = ad.peers.as_ref().is_none_or(|peers| peers.contains(peer));
            if is_for && masked(address, length) == prefix {
                is_member = true;
                let rank = |terms: &LinkBandwidth| {
                    let counts_endpoints = terms.per == Per::Endpoint;
                    let transitive = terms.transitive.map_or(0, |word| 1 + u8::from(word));
                    (terms.megabits, counts_endpoints, transitive)
                };
                let is_greater = |terms: &LinkBandwidth| {
                    greatest
                        .as_ref()
                        .is_none_or(|before| rank(before) < rank(terms))
                };
                greatest = ad.link_bandwidth.filter(is_greater).or(greatest);
            }
        }
        if is_member {
            endpoints += if *local { count } else { 1 };
        }
    }
    let terms = greatest?;
    let count = match terms.per {
        Per::Node => 1,
        Per::Endpoint => endpoints,
    };
    Some((u64::from(terms.megabits) * count as u64, terms.transitive))
}

proptest! {
    #[test]
    fn what_is_told_is_what_the_definition_says(
        made in vec(some_service(), 0..6),
        advertisements in vec(some_advertisement(), 0..4),
    ) {
        let world = world(&services(&made));
        for node in NODES {
            let told = routes(&world, &policy(advertisements.clone()), node);
            for (peer, prefixes) in &told.peers {
                for (prefix, attributes) in prefixes {
                    let at = (prefix.addr(), prefix.prefix_len());
                    let expected = plain(&made, &advertisements, node, peer, at);
                    let told = attributes.link_bandwidth.map(|b| (b.megabits, b.transitive));
                    prop_assert_eq!(told, expected, "{} {} {}", node, peer, prefix);
                }
            }
        }
    }

    #[test]
    fn the_order_of_advertisements_does_not_matter(
        made in vec(some_service(), 0..6),
        advertisements in vec(some_advertisement(), 0..4),
    ) {
        let world = world(&services(&made));
        let mut reversed = advertisements.clone();
        reversed.reverse();
        for node in NODES {
            let told = routes(&world, &policy(advertisements.clone()), node);
            let other = routes(&world, &policy(reversed.clone()), node);
            prop_assert_eq!(told.peers, other.peers);
        }
    }

    /// So an endpoint that comes or goes beside others is told by its own node alone.
    #[test]
    fn what_another_node_has_changes_nothing_here(
        made in vec(some_service(), 0..6),
        advertisements in vec(some_advertisement(), 0..4),
    ) {
        let before = world(&services(&made));
        let mut after = before.clone();
        for service in after.services.values_mut() {
            if let Some(there) = Arc::make_mut(service).serving.get_mut("n2") {
                there.insert(IpAddr::from([10, 0, 1, 1]));
                there.insert(IpAddr::from(Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 1, 1])));
            }
        }
        let policy = policy(advertisements);
        prop_assert_eq!(routes(&before, &policy, "n1"), routes(&after, &policy, "n1"));
    }
}
