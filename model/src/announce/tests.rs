use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::address::{AddressRange, RangeSet};
use crate::labels::{Labels, Selector};
use crate::pool::Pool;
use crate::service::{Endpoint, TrafficPolicy, kube_proxy};
use crate::unusable::{NeverHost, Owner, Unusable};

const VIP: &str = "192.0.2.1";
const VIP6: &str = "2001:db8::1";
const NODES: [&str; 3] = ["a", "b", "c"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn endpoint(node: &str, state: &str) -> Endpoint {
    let (ready, serving, terminating) = match state {
        "ready" => (true, true, false),
        "unready" => (false, false, false),
        "leaving" => (false, true, true),
        "gone" => (false, false, true),
        other => panic!("{other}"),
    };
    Endpoint {
        family: Family::V4,
        node: Some(node.to_owned()),
        ready,
        serving,
        terminating,
    }
}

/// The same of IPv6.
fn endpoint6(node: &str, state: &str) -> Endpoint {
    Endpoint {
        family: Family::V6,
        ..endpoint(node, state)
    }
}

fn service(name: &str, endpoints: &[(&str, &str)]) -> Service {
    Service {
        held: vec![ip(VIP)],
        held_pools: vec!["p".into()],
        endpoints: endpoints
            .iter()
            .map(|(node, state)| endpoint(node, state))
            .collect(),
        ..Service::new(key(name))
    }
}

fn local(name: &str, endpoints: &[(&str, &str)]) -> Service {
    Service {
        traffic_policy: TrafficPolicy::Local,
        ..service(name, endpoints)
    }
}

/// With an address of each family.
fn dual(policy: TrafficPolicy, endpoints: Vec<Endpoint>) -> Service {
    Service {
        held: vec![ip(VIP), ip(VIP6)],
        traffic_policy: policy,
        endpoints,
        ..service("s", &[])
    }
}

fn labelled(label: &str) -> Labels {
    Labels::from([("is".to_owned(), label.to_owned())])
}

fn is(label: &str) -> Selector {
    Selector::labels([("is", label)])
}

fn node(label: &str) -> Node {
    Node {
        labels: labelled(label),
        interfaces: ["eth0", "eth1", "bond0"].map(str::to_owned).into(),
        ..Node::default()
    }
}

fn ad(name: &str) -> L2Advertisement {
    L2Advertisement {
        name: name.to_owned(),
        ..L2Advertisement::default()
    }
}

/// Nodes a, b and c, pool p, and one advertisement for everything.
fn world(services: impl IntoIterator<Item = Service>) -> World {
    let pool = |name: &str, texts: &[&str]| {
        let ranges = texts.iter().map(|t| t.parse::<AddressRange>().unwrap());
        let ranges: RangeSet = ranges.collect();
        (name.to_owned(), Pool::new(name, ranges))
    };
    World {
        services: services
            .into_iter()
            .map(|s| (s.key.clone(), Arc::new(s)))
            .collect(),
        pools: [
            pool("p", &["192.0.2.0/24", "2001:db8::/64"]),
            pool("q", &["198.51.100.0/24"]),
        ]
        .into(),
        advertisements: vec![ad("all")],
        nodes: NODES.map(|n| (n.to_owned(), node(n))).into(),
        ..World::default()
    }
}

/// The least reluctant candidates of the address.
fn candidates(world: &World) -> String {
    candidates_of(world, VIP)
}

fn candidates_of(world: &World, address: &str) -> String {
    let desired = desired(world);
    let Some(announcement) = desired.addresses.get(&ip(address)) else {
        return String::new();
    };
    let candidates = &announcement.candidates;
    let least = candidates.values().map(|c| c.reluctance).min();
    let names = candidates
        .iter()
        .filter(|(_, c)| Some(c.reluctance) == least);
    names
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn verdict_on(desired: &Desired, name: &str, address: &str) -> Verdict {
    let verdicts = &desired.verdicts[&key(name)];
    verdicts.get(ip(address)).unwrap().clone()
}

fn verdict(world: &World, name: &str) -> Verdict {
    verdict_on(&desired(world), name, VIP)
}

#[test]
fn endpoints_decide_as_kube_proxy_does() {
    for (what, endpoints, cluster, local_nodes) in [
        ("one ready", &[("b", "ready")][..], "a b c", "b"),
        ("none", &[], "", ""),
        ("unready only", &[("a", "unready")], "", ""),
        ("gone only", &[("a", "gone")], "", ""),
        (
            "leaving only",
            &[("a", "leaving"), ("b", "unready")],
            "a b c",
            "a",
        ),
        (
            "ready before leaving",
            &[("a", "leaving"), ("b", "ready")],
            "a b c",
            "b",
        ),
        (
            "both on one node",
            &[("a", "leaving"), ("a", "ready")],
            "a b c",
            "a",
        ),
        ("on an unknown node", &[("z", "ready")], "a b c", ""),
    ] {
        assert_eq!(
            candidates(&world([service("s", endpoints)])),
            cluster,
            "{what}, Cluster"
        );
        assert_eq!(
            candidates(&world([local("s", endpoints)])),
            local_nodes,
            "{what}, Local"
        );
    }
    let mut nowhere = service("s", &[("a", "ready")]);
    nowhere.endpoints[0].node = None;
    assert_eq!(candidates(&world([nowhere])), "a b c");
}

#[test]
fn endpoints_decide_for_the_addresses_of_their_family() {
    use TrafficPolicy::{Cluster, Local};
    let all = "a b c";
    let (four, six) = (endpoint("a", "ready"), endpoint6("b", "ready"));
    for (what, endpoints, cluster, local) in [
        (
            "apart",
            vec![four.clone(), six.clone()],
            [all, all],
            ["a", "b"],
        ),
        (
            "together",
            vec![four.clone(), endpoint6("a", "ready")],
            [all, all],
            ["a", "a"],
        ),
        ("IPv4 alone", vec![four.clone()], [all, ""], ["a", ""]),
        ("IPv6 alone", vec![six], ["", all], ["", "b"]),
        (
            "IPv6 unready",
            vec![four.clone(), endpoint6("a", "unready")],
            [all, ""],
            ["a", ""],
        ),
        (
            "IPv6 leaving, though IPv4 is ready there",
            vec![
                four.clone(),
                endpoint6("a", "leaving"),
                endpoint6("b", "leaving"),
            ],
            [all, all],
            ["a", "a b"],
        ),
        (
            "IPv6 leaving where IPv4 is, and ready elsewhere",
            vec![four, endpoint6("a", "leaving"), endpoint6("c", "ready")],
            [all, all],
            ["a", "c"],
        ),
    ] {
        for (policy, expected) in [(Cluster, cluster), (Local, local)] {
            let world = world([dual(policy, endpoints.clone())]);
            let found = [VIP, VIP6].map(|address| candidates_of(&world, address));
            assert_eq!(found, expected, "{what}, {policy:?}");
        }
    }
}

#[test]
fn what_stands_against_an_address_without_endpoints_names_the_family() {
    let obstacle = |policy, endpoints: Vec<Endpoint>| {
        let desired = desired(&world([dual(policy, endpoints)]));
        verdict_on(&desired, "s", VIP6)
            .obstacle
            .map(|found| (found.label(), found.to_string()))
    };
    let none = "Service default/s has no ready IPv6 endpoint: see its pods and its selector";
    let four_only = "Service default/s has ready IPv4 endpoints and no IPv6 endpoint: give its pods IPv6 \
                     addresses, or take IPv6 out of spec.ipFamilies";
    for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
        let said = |endpoints| obstacle(policy, endpoints);
        let expected = |text: &str| Some(("NoEndpoints", text.to_owned()));
        assert_eq!(said(vec![]), expected(none));
        assert_eq!(said(vec![endpoint("a", "unready")]), expected(none));
        assert_eq!(said(vec![endpoint("a", "leaving")]), expected(four_only));
        assert_eq!(said(vec![endpoint("a", "ready")]), expected(four_only));
    }
    let elsewhere = vec![endpoint("a", "ready"), endpoint6("z", "ready")];
    let why = "has no ready IPv6 endpoint, which externalTrafficPolicy Local needs";
    let every = format!("no node may announce 2001:db8::1: a {why}; b {why}; c {why}");
    let expected = Some(("NoEligibleNode", every));
    assert_eq!(obstacle(TrafficPolicy::Local, elsewhere), expected);
}

proptest! {
    /// A node is a candidate for an address when its kube-proxy, which has a table for each family, does
    /// not drop what enters there; and reluctant when only terminating endpoints take it.
    #[test]
    fn candidates_are_the_nodes_whose_kube_proxy_passes_traffic_on(
        endpoints in kube_proxy::some_endpoints(&["a", "b", "c", "z"]),
        policy in kube_proxy::some_policy(),
    ) {
        let desired = desired(&world([dual(policy, endpoints.clone())]));
        for (address, family) in [(VIP, Family::V4), (VIP6, Family::V6)] {
            let announcement = desired.addresses.get(&ip(address));
            let candidates = announcement.map(|announcement| announcement.candidates.clone());
            let candidates = candidates.unwrap_or_default();
            for node in NODES {
                let table = kube_proxy::table(&endpoints, family, policy, node);
                let candidate = candidates.get(node);
                prop_assert_eq!(candidate.is_some(), table.reachable > 0, "{} {}", address, node);
                // With policy Cluster no node is better off than another.
                let terminating = policy == TrafficPolicy::Local && table.uses_serving_terminating;
                let reluctant = candidate.is_some_and(|one| one.reluctance.terminating);
                prop_assert_eq!(reluctant, terminating, "{} {}", address, node);
            }
        }
    }
}

#[test]
fn each_obstacle_of_a_node_is_named() {
    type Spoil = fn(&mut Node);
    let spoils: [(&str, Spoil, &str); 3] = [
        ("NodeExcluded", |n| n.excluded = true, "b c"),
        (
            "NodeNetworkUnavailable",
            |n| n.network_unavailable = true,
            "b c",
        ),
        ("NoSpeaker", |n| n.interfaces.clear(), "b c"),
    ];
    for (label, spoil, expected) in spoils {
        let mut world = world([service("s", &[("a", "ready")])]);
        spoil(world.nodes.get_mut("a").unwrap());
        assert_eq!(candidates(&world), expected, "{label}");
        let verdict = verdict(&world, "s");
        let labels: Vec<_> = verdict
            .nodes
            .iter()
            .map(|(n, o)| (n.as_str(), o.label()))
            .collect();
        assert_eq!(labels, [("a", label)]);
        assert_eq!(verdict.obstacle, None);
    }
}

#[test]
fn a_stopping_node_and_one_whose_endpoints_terminate_are_reluctant_candidates() {
    let mut world = world([local("s", &[("a", "ready"), ("b", "leaving")])]);
    world.nodes.get_mut("a").unwrap().stopping = true;
    let announcement = desired(&world).addresses.into_values().next().unwrap();
    let reluctance = |node: &str| announcement.candidates[node].reluctance;
    let stopping = Reluctance {
        stopping: true,
        terminating: false,
        ..Reluctance::default()
    };
    let terminating = Reluctance {
        stopping: false,
        terminating: true,
        ..Reluctance::default()
    };
    assert_eq!(reluctance("a"), stopping);
    assert_eq!(reluctance("b"), terminating);
    assert!(Reluctance::default() < stopping && stopping < terminating);
}

#[test]
fn a_remark_on_terminating_endpoints_names_the_family() {
    let reluctance = Reluctance {
        terminating: true,
        ..Reluctance::default()
    };
    let remark =
        "has only IPv6 endpoints that are terminating and announces when no better node lives";
    assert_eq!(reluctance.remark(Family::V6).as_deref(), Some(remark));
    assert_eq!(Reluctance::default().remark(Family::V6), None);
}

#[test]
fn both_addresses_of_a_service_share_their_candidates_with_policy_cluster() {
    let endpoints = vec![endpoint("a", "ready"), endpoint6("b", "ready")];
    let desired = desired(&world([dual(TrafficPolicy::Cluster, endpoints)]));
    let each: Vec<&Candidates> = desired.addresses.values().map(|a| &a.candidates).collect();
    assert!(each.len() == 2 && Arc::ptr_eq(each[0], each[1]));
}

#[test]
fn addresses_share_their_candidates_before_and_after_a_reconsideration() {
    let ready = &[("a", "ready")][..];
    let of = |last: u8, service: Service| Service {
        held: vec![IpAddr::from([192, 0, 2, last])],
        ..service
    };
    let world = world([
        of(1, service("one", ready)),
        of(2, service("two", ready)),
        of(3, local("three", ready)),
    ]);
    let mut desired = desired(&world);
    for flapping in [false, true] {
        if flapping {
            desired.reconsider(|node, candidate| Reluctance {
                flapping: node == "a",
                ..candidate.reluctance
            });
        }
        let each: Vec<&Candidates> = desired.addresses.values().map(|a| &a.candidates).collect();
        let [one, two, three] = each[..] else {
            panic!("{each:?}")
        };
        assert!(Arc::ptr_eq(one, two) && !Arc::ptr_eq(two, three));
        for (candidates, names) in [(one, &["a", "b", "c"][..]), (three, &["a"])] {
            assert_eq!(candidates.keys().collect::<Vec<_>>(), names);
            assert_eq!(candidates["a"].reluctance.flapping, flapping);
        }
        assert!(!one["b"].reluctance.flapping);
    }
}

#[test]
fn advertisements_select_pools_nodes_and_services() {
    let only = |pool: &str| Some(BTreeSet::from([pool.to_owned()]));
    let (nodes_a, nodes_ab) = (vec![is("a")], vec![is("a"), is("b")]);
    for (what, ads, expected, obstacle) in [
        ("none", vec![], "", Some("NoAdvertisement")),
        ("all", vec![ad("x")], "a b c", None),
        (
            "its pool",
            vec![L2Advertisement {
                pools: only("p"),
                ..ad("x")
            }],
            "a b c",
            None,
        ),
        (
            "another pool",
            vec![L2Advertisement {
                pools: only("q"),
                ..ad("x")
            }],
            "",
            Some("NoAdvertisement"),
        ),
        (
            "selectors that matched no pool",
            vec![L2Advertisement {
                pools: Some(BTreeSet::new()),
                ..ad("x")
            }],
            "",
            Some("NoAdvertisement"),
        ),
        (
            "some nodes",
            vec![L2Advertisement {
                node_selectors: nodes_ab.clone(),
                ..ad("x")
            }],
            "a b",
            None,
        ),
        (
            "no node",
            vec![L2Advertisement {
                node_selectors: vec![is("z")],
                ..ad("x")
            }],
            "",
            Some("NoEligibleNode"),
        ),
        (
            "union of two",
            vec![
                L2Advertisement {
                    node_selectors: nodes_a,
                    ..ad("x")
                },
                L2Advertisement {
                    node_selectors: vec![is("c")],
                    ..ad("y")
                },
            ],
            "a c",
            None,
        ),
        (
            "its labels",
            vec![L2Advertisement {
                service_selectors: vec![is("z"), is("web")],
                ..ad("x")
            }],
            "a b c",
            None,
        ),
        (
            "other labels",
            vec![L2Advertisement {
                service_selectors: vec![is("z")],
                ..ad("x")
            }],
            "",
            Some("ServiceNotSelected"),
        ),
        (
            "an ad for others adds no node",
            vec![
                L2Advertisement {
                    service_selectors: vec![is("z")],
                    ..ad("x")
                },
                L2Advertisement {
                    node_selectors: nodes_ab,
                    ..ad("y")
                },
            ],
            "a b",
            None,
        ),
    ] {
        let service = Service {
            labels: labelled("web"),
            ..service("s", &[("a", "ready")])
        };
        let world = World {
            advertisements: ads,
            ..world([service])
        };
        assert_eq!(candidates(&world), expected, "{what}");
        let got = verdict(&world, "s").obstacle;
        assert_eq!(got.as_ref().map(Obstacle::label), obstacle, "{what}");
    }
}

#[test]
fn interfaces_are_the_union_over_the_advertisements_for_the_node() {
    let on = |interfaces: &[&str]| L2Advertisement {
        interfaces: interfaces.iter().map(|i| (*i).to_owned()).collect(),
        ..ad("x")
    };
    let elsewhere = L2Advertisement {
        node_selectors: vec![is("b")],
        ..ad("y")
    };
    for (ads, expected) in [
        (vec![ad("x")], "bond0 eth0 eth1"),
        (vec![on(&["eth1"])], "eth1"),
        (vec![on(&["eth*"])], "eth0 eth1"),
        (vec![on(&["eth0"]), on(&["b*"])], "bond0 eth0"),
        (vec![on(&["eth0"]), ad("y")], "bond0 eth0 eth1"),
        (vec![on(&["eth0"]), elsewhere], "eth0"),
        (vec![on(&["wlan0", "eth0"])], "eth0"),
    ] {
        let world = World {
            advertisements: ads,
            ..world([service("s", &[("a", "ready")])])
        };
        let desired = desired(&world);
        let interfaces = &desired.addresses[&ip(VIP)].candidates["a"].interfaces;
        assert_eq!(
            interfaces.iter().cloned().collect::<Vec<_>>().join(" "),
            expected
        );
    }
    let missing = World {
        advertisements: vec![on(&["wlan0"])],
        ..world([service("s", &[("a", "ready")])])
    };
    assert_eq!(
        verdict(&missing, "s").obstacle.unwrap().to_string(),
        "no node may announce 192.0.2.1: a has no interface that fits wlan0; b has no interface \
         that fits wlan0; c has no interface that fits wlan0"
    );
}

#[test]
fn preference_weights_add_up_over_selectors_and_advertisements() {
    let prefer = |name: &str, preferred| L2Advertisement {
        preferred,
        ..ad(name)
    };
    let world = World {
        advertisements: vec![
            prefer(
                "x",
                vec![(10, is("a")), (5, is("b")), (1, Selector::default())],
            ),
            prefer("y", vec![(7, is("b"))]),
            L2Advertisement {
                node_selectors: vec![is("a")],
                ..prefer("z", vec![(100, Selector::default())])
            },
        ],
        ..world([service("s", &[("a", "ready")])])
    };
    let desired = desired(&world);
    let weights = desired.addresses[&ip(VIP)]
        .candidates
        .iter()
        .map(|(n, c)| (n.as_str(), c.weight));
    assert_eq!(
        weights.collect::<Vec<_>>(),
        [("a", 111), ("b", 13), ("c", 1)]
    );
}

#[test]
fn an_address_shared_by_several_services_goes_where_all_of_them_can_be_served() {
    let aged = |created, service: Service| Service { created, ..service };
    for (what, services, expected, left_out) in [
        (
            "both local, one node in common",
            vec![
                local("s", &[("a", "ready"), ("b", "ready")]),
                local("t", &[("b", "ready"), ("c", "ready")]),
            ],
            "b",
            None,
        ),
        (
            "cluster and local",
            vec![
                service("s", &[("a", "ready")]),
                local("t", &[("c", "ready")]),
            ],
            "c",
            None,
        ),
        (
            "nothing in common, the older one wins",
            vec![
                aged(2, local("s", &[("a", "ready")])),
                aged(1, local("t", &[("b", "ready")])),
            ],
            "b",
            Some("s"),
        ),
        (
            "one without endpoints does not stop the other",
            vec![service("s", &[]), service("t", &[("a", "ready")])],
            "a b c",
            None,
        ),
    ] {
        let world = world(services);
        assert_eq!(candidates(&world), expected, "{what}");
        if let Some(name) = left_out {
            assert_eq!(
                verdict(&world, name).obstacle.unwrap().to_string(),
                "192.0.2.1 is announced for Service default/t by nodes that may not announce it \
                 for this one: make their endpoints or advertisements overlap, or give this one \
                 its own address"
            );
        }
    }
}

#[test]
fn an_address_in_no_pool_is_announced_as_one_of_the_pool_that_herald_gave_it_from() {
    let obstacle = |held_pools: &[&str]| {
        let stray = Service {
            held: vec![ip("203.0.113.1")],
            held_pools: held_pools.iter().map(|pool| (*pool).to_owned()).collect(),
            ..service("s", &[("a", "ready")])
        };
        let mut world = world([stray]);
        world.advertisements[0].pools = Some(["p".to_owned(), "gone".to_owned()].into());
        let desired = desired(&world);
        let verdict = verdict_on(&desired, "s", "203.0.113.1");
        verdict.obstacle.as_ref().map(ToString::to_string)
    };
    let in_none = "203.0.113.1 is in no IPAddressPool";
    assert_eq!(
        obstacle(&[]).as_deref(),
        Some(in_none),
        "from somebody else"
    );
    assert_eq!(obstacle(&["p"]), None, "p does not contain it any more");
    assert_eq!(obstacle(&["gone"]), None, "the pool does not exist");
    let unadvertised = "no L2Advertisement is for pool q of 203.0.113.1: create one, or add the \
                        pool to spec.ipAddressPools of one";
    assert_eq!(obstacle(&["q"]).as_deref(), Some(unadvertised));
}

#[test]
fn each_address_of_a_dual_stack_service_has_its_own_verdict() {
    let both = Service {
        held: vec![ip(VIP), ip("198.51.100.1")],
        held_pools: vec!["p".into(), "q".into()],
        ..service("s", &[("a", "ready")])
    };
    let mut world = world([both]);
    world.advertisements[0].pools = Some(BTreeSet::from(["p".to_owned()]));
    let desired = desired(&world);
    assert_eq!(desired.addresses.keys().collect::<Vec<_>>(), [&ip(VIP)]);
    assert_eq!(
        verdict_on(&desired, "s", "198.51.100.1")
            .obstacle
            .as_ref()
            .unwrap()
            .to_string(),
        "no L2Advertisement is for pool q of 198.51.100.1: create one, or add the pool to \
         spec.ipAddressPools of one"
    );
}

#[test]
fn without_nodes_the_verdict_says_so() {
    let world = World {
        nodes: BTreeMap::new(),
        ..world([service("s", &[("a", "ready")])])
    };
    assert_eq!(verdict(&world, "s").obstacle, Some(Obstacle::NoNodes));
}

#[test]
fn nobody_announces_what_somebody_else_answers_for_and_ranges_silence_nothing() {
    let of = |owner: Owner| Arc::new(Unusable::new([(AddressRange::single(ip(VIP)), owner)]));
    let node = Owner::Node {
        name: "a".into(),
        kind: "InternalIP".into(),
    };
    let interface = Owner::Interface {
        node: "a".into(),
        interface: "eth0".into(),
    };
    let subnet: AddressRange = "192.0.2.0/24".parse().unwrap();
    for (owner, silent) in [
        (node.clone(), true),
        (interface, true),
        (Owner::NeverHost(NeverHost::Multicast), true),
        (Owner::NeverHost(NeverHost::LinkLocal), false),
        (Owner::ServiceRange { name: "s".into() }, false),
        (Owner::PodRange { node: "a".into() }, false),
        (Owner::NetworkAddress { subnet }, false),
        (Owner::BroadcastAddress { subnet }, false),
        (Owner::HeldPool { pool: "p".into() }, false),
    ] {
        let mut world = world([service("s", &[("a", "ready")])]);
        world.unusable = of(owner.clone());
        assert_eq!(candidates(&world).is_empty(), silent, "{owner}");
        // Gone, it is announced again.
        world.unusable = Arc::default();
        assert_eq!(candidates(&world), "a b c", "{owner}");
    }
    let mut world = world([service("s", &[("a", "ready")])]);
    world.unusable = of(node);
    let obstacle = verdict(&world, "s").obstacle.unwrap();
    assert_eq!(obstacle.label(), "AddressUnusable");
    assert_eq!(
        obstacle.to_string(),
        format!(
            "{VIP} is the InternalIP of node a: request another address for Service default/s, or \
             take it off its owner"
        )
    );
}
