//! Each rule of allocation as a small scene; the laws that hold for all scenes are in
//! `properties`.

mod adoption;
mod change;
mod concern;
mod history;
mod metallb;
mod packing;
mod policies;
mod properties;
mod request;
mod unusable;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::ledger::Ledger;
use super::*;
use crate::address::{AddressRange, RangeSet};
use crate::labels::{Labels, Selector};
use crate::pool::{Allocation, Pool};
use crate::service::{FamilyPolicy, PortKey, Protocol, Service, ServiceKey};

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Ranges from `a, b, c`.
pub(super) fn ranges(text: &str) -> RangeSet {
    text.split(',')
        .map(|r| r.parse::<AddressRange>().unwrap())
        .collect()
}

pub(super) fn pool(name: &str, addresses: &str) -> Pool {
    Pool::new(name, ranges(addresses))
}

pub(super) fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

pub(super) fn service(name: &str) -> Service {
    Service::new(key(name))
}

pub(super) fn dual(name: &str, family_policy: FamilyPolicy) -> Service {
    Service {
        family_policy,
        families: vec![Family::V4, Family::V6],
        ..service(name)
    }
}

pub(super) fn shared(name: &str, sharing_key: &str, ports: &[u16]) -> Service {
    let ports = ports.iter().map(|port| PortKey {
        protocol: Protocol::Tcp,
        port: *port,
    });
    Service {
        sharing_key: Some(sharing_key.into()),
        ports: ports.collect(),
        ..service(name)
    }
}

pub(super) fn asking(name: &str, addresses: &[&str]) -> Service {
    Service {
        requested_addresses: addresses.iter().map(|a| ip(a)).collect(),
        ..service(name)
    }
}

pub(super) fn holding(mut service: Service, addresses: &[&str], pools: &[&str]) -> Service {
    service.held = addresses.iter().map(|a| ip(a)).collect();
    service.held_pools = pools.iter().map(|p| (*p).to_owned()).collect();
    service
}

pub(super) fn snapshot<const P: usize, const S: usize>(
    pools: [Pool; P],
    services: [Service; S],
) -> Snapshot {
    Snapshot {
        pools: pools.map(|p| (p.name.clone(), p)).into(),
        quarantined_pools: BTreeSet::new(),
        namespaces: [("default".to_owned(), Labels::new())].into(),
        services: services.map(|s| (s.key.clone(), Arc::new(s))).into(),
        ..Snapshot::default()
    }
}

/// What the Service has after the plan, as `address pool`.
pub(super) fn given(plan: &Plan, name: &str) -> Vec<String> {
    let places = plan.places(&key(name)).iter();
    places
        .map(|p| format!("{} {}", p.address, p.pool))
        .collect()
}

pub(super) fn refusal(plan: &Plan, name: &str) -> (&'static str, String) {
    let refusal = plan.refuse.get(&key(name)).unwrap();
    (refusal.label(), refusal.to_string())
}

/// The snapshot once the plan has been carried out: status is written, what was given up is noted,
/// and what binds nobody is forgotten.
pub(super) fn applied(mut snapshot: Snapshot, plan: &Plan) -> Snapshot {
    let mut given_up = BTreeMap::new();
    for service in snapshot.services.values_mut() {
        let places = plan.places(&service.key);
        let alone = plan.alone.get(&service.key).into_iter().flatten();
        let now = places.iter().map(|p| &p.address).chain(alone);
        let now: Vec<_> = now.copied().collect();
        for address in service.held.iter().filter(|a| !now.contains(a)) {
            given_up.entry(*address).or_insert(Freed {
                holder: service.key.clone(),
                at: snapshot.now,
                deleted: false,
            });
        }
        if service.held != now {
            let service = Arc::make_mut(service);
            service.held = now;
            let pools: BTreeSet<_> = places.iter().map(|p| p.pool.clone()).collect();
            service.held_pools = pools.into_iter().collect();
        }
    }
    for (key, foreign) in &mut snapshot.foreign {
        let places = plan.places(key);
        foreign.retain(|address| !places.iter().any(|place| place.address == *address));
    }
    snapshot.foreign.retain(|_, foreign| !foreign.is_empty());
    snapshot
        .freed
        .retain(|address, _| !plan.expired.contains(address));
    let held = |address: &IpAddr| snapshot.services.values().any(|s| s.held.contains(address));
    given_up.retain(|address, _| !held(address));
    for (address, freed) in given_up {
        snapshot.freed.entry(address).or_insert(freed);
    }
    snapshot
}

#[test]
fn the_oldest_gets_the_first_address_and_names_break_ties() {
    let young = Service {
        created: 9,
        ..service("a")
    };
    let plan = plan(&snapshot(
        [pool("p", "192.0.2.10-192.0.2.12")],
        [young, service("c"), service("b"), service("z")],
    ));
    assert_eq!(given(&plan, "b"), ["192.0.2.10 p"]);
    assert_eq!(given(&plan, "c"), ["192.0.2.11 p"]);
    assert_eq!(given(&plan, "z"), ["192.0.2.12 p"]);
    assert_eq!(
        refusal(&plan, "a"),
        (
            "Exhausted",
            "Service default/a gets no IPv4 address: all of p are taken; add addresses or another \
             pool (heraldctl pools shows who has them)"
                .to_owned()
        )
    );
    assert_eq!(plan.assign[&key("b")].change, Change::New);
}

#[test]
fn ranges_are_used_in_the_users_order_and_holes_are_filled_first() {
    let snapshot = snapshot(
        [pool("p", "192.0.2.20,192.0.2.1-192.0.2.3")],
        [
            holding(service("h"), &["192.0.2.2"], &["p"]),
            service("a"),
            service("b"),
            service("c"),
        ],
    );
    let plan = plan(&snapshot);
    let got = ["a", "b", "c"].map(|name| given(&plan, name).concat());
    assert_eq!(got, ["192.0.2.20 p", "192.0.2.1 p", "192.0.2.3 p"]);
    assert_eq!(given(&plan, "h"), ["192.0.2.2 p"]);
    assert!(plan.keep.contains_key(&key("h")));
}

#[test]
fn pools_made_for_a_service_come_before_the_others_by_priority_with_zero_last() {
    let with = |name: &str, addresses: &str, priority| Pool {
        allocation: Some(Allocation {
            priority,
            ..Allocation::default()
        }),
        ..pool(name, addresses)
    };
    let services = ["a", "b", "c", "d", "e", "f"].map(service);
    let plan = plan(&snapshot(
        [
            pool("any", "192.0.2.1"),
            with("zero", "192.0.2.2", 0),
            with("ten", "192.0.2.3", 10),
            with("two-b", "192.0.2.4", 2),
            with("two-a", "192.0.2.5", 2),
            Pool {
                auto_assign: false,
                ..with("one", "192.0.2.6", 1)
            },
        ],
        services,
    ));
    let got = ["a", "b", "c", "d", "e", "f"].map(|name| given(&plan, name).concat());
    let in_order = [
        "192.0.2.5 two-a",
        "192.0.2.4 two-b",
        "192.0.2.3 ten",
        "192.0.2.2 zero",
        "192.0.2.1 any",
    ];
    assert_eq!(got[..5], in_order);
    assert_eq!(got[5], "");
}

#[test]
fn a_restricted_pool_serves_its_namespaces_by_name_or_label_and_its_services() {
    let restricted = |allocation| Pool {
        allocation: Some(allocation),
        ..pool("p", "192.0.2.1")
    };
    let team = Selector::labels([("team", "a")]);
    let app = Selector::labels([("app", "web")]);
    let by_name = Allocation {
        namespaces: ["default".into()].into(),
        ..Allocation::default()
    };
    let other_name = Allocation {
        namespaces: ["other".into()].into(),
        ..Allocation::default()
    };
    let by_label = Allocation {
        namespace_selectors: vec![team.clone()],
        ..Allocation::default()
    };
    let either = Allocation {
        namespace_selectors: vec![team],
        ..other_name.clone()
    };
    let by_service = Allocation {
        service_selectors: vec![app.clone()],
        ..Allocation::default()
    };
    let both = Allocation {
        service_selectors: vec![app],
        ..by_label.clone()
    };
    for (allocation, namespace_label, service_label, admitted) in [
        (Allocation::default(), "b", "db", true),
        (by_name, "b", "db", true),
        (other_name, "a", "web", false),
        (by_label.clone(), "a", "db", true),
        (by_label, "b", "db", false),
        (either, "a", "db", true),
        (by_service.clone(), "b", "web", true),
        (by_service, "b", "db", false),
        (both.clone(), "a", "web", true),
        (both.clone(), "b", "web", false),
        (both, "a", "db", false),
    ] {
        let labels = Labels::from([("app".to_owned(), service_label.to_owned())]);
        let mut snapshot = snapshot(
            [restricted(allocation.clone())],
            [Service {
                labels,
                ..service("s")
            }],
        );
        let namespace = Labels::from([("team".to_owned(), namespace_label.to_owned())]);
        snapshot.namespaces.insert("default".to_owned(), namespace);
        let plan = plan(&snapshot);
        assert_eq!(!given(&plan, "s").is_empty(), admitted, "{allocation:?}");
        if !admitted {
            assert_eq!(refusal(&plan, "s").0, "NoPool");
        }
    }
}

#[test]
fn avoid_buggy_ips_and_excluded_addresses_are_never_given() {
    let pools = [Pool {
        avoid_buggy_ips: true,
        excluded: ranges("192.0.2.1-192.0.2.253"),
        ..pool("p", "192.0.2.0-192.0.3.2")
    }];
    let plan = plan(&snapshot(pools, ["a", "b", "c", "d"].map(service)));
    let got = ["a", "b", "c", "d"].map(|name| given(&plan, name).concat());
    assert_eq!(got, ["192.0.2.254 p", "192.0.3.1 p", "192.0.3.2 p", ""]);
    let counts = PoolCounts {
        assigned_ipv4: 3,
        capacity_ipv4: 3,
        ..PoolCounts::default()
    };
    assert_eq!(plan.counts["p"], counts);
}

#[test]
fn each_family_policy_gets_what_the_pools_can_give() {
    use FamilyPolicy::{PreferDual, RequireDual, Single};
    const V4: &str = "192.0.2.1";
    const V6: &str = "2001:db8::1";
    let six = Service {
        families: vec![Family::V6],
        ..service("s")
    };
    let six_first = Service {
        families: vec![Family::V6, Family::V4],
        ..dual("s", PreferDual)
    };
    let lone = |policy| Service {
        family_policy: policy,
        ..service("s")
    };
    for (what, pools, service, expected) in [
        (
            "single v4",
            vec![("p", V4)],
            lone(Single),
            vec!["192.0.2.1 p"],
        ),
        (
            "single v6",
            vec![("a", V4), ("b", V6)],
            six,
            vec!["2001:db8::1 b"],
        ),
        (
            "prefer, one family",
            vec![("p", "192.0.2.1,2001:db8::1")],
            lone(PreferDual),
            vec!["192.0.2.1 p"],
        ),
        (
            "prefer, both",
            vec![("p", "2001:db8::1,192.0.2.1")],
            dual("s", PreferDual),
            vec!["192.0.2.1 p", "2001:db8::1 p"],
        ),
        (
            "prefer, v6 primary",
            vec![("p", "192.0.2.1,2001:db8::1")],
            six_first,
            vec!["192.0.2.1 p", "2001:db8::1 p"],
        ),
        (
            "prefer, only v4 there",
            vec![("p", V4)],
            dual("s", PreferDual),
            vec!["192.0.2.1 p"],
        ),
        (
            "prefer, only v6 there",
            vec![("p", V6)],
            dual("s", PreferDual),
            vec!["2001:db8::1 p"],
        ),
        (
            "require, only v4 there",
            vec![("p", V4)],
            dual("s", RequireDual),
            vec![],
        ),
        (
            "require, one family",
            vec![("p", V4)],
            lone(RequireDual),
            vec![],
        ),
        (
            "require, two pools",
            vec![("a", V4), ("b", V6)],
            dual("s", RequireDual),
            vec!["192.0.2.1 a", "2001:db8::1 b"],
        ),
        (
            "one pool with both before two pools",
            vec![("a", V4), ("b", "192.0.2.2,2001:db8::2")],
            dual("s", RequireDual),
            vec!["192.0.2.2 b", "2001:db8::2 b"],
        ),
    ] {
        let mut snapshot = snapshot([], [service]);
        let pools = pools
            .iter()
            .map(|(name, text)| ((*name).to_owned(), pool(name, text)));
        snapshot.pools = pools.collect();
        let plan = plan(&snapshot);
        assert_eq!(given(&plan, "s"), expected, "{what}");
        assert_eq!(plan.refuse.is_empty(), !expected.is_empty(), "{what}");
    }
}

#[test]
fn without_pools_the_refusal_says_so() {
    let headless = Service {
        families: vec![],
        ..service("h")
    };
    let alone = Service {
        family_policy: FamilyPolicy::RequireDual,
        ..service("r")
    };
    let plan = plan(&snapshot([], [service("a"), headless, alone]));
    assert_eq!(
        ["a", "h", "r"].map(|name| refusal(&plan, name).1),
        [
            "Service default/a gets no IPv4 address: there is no IPAddressPool; create one",
            "Service default/h has no spec.clusterIP: a headless Service cannot have a load \
             balancer address",
            "Service default/r has ipFamilyPolicy RequireDualStack but only IPv4 in \
             spec.clusterIPs: use PreferDualStack or a dual-stack cluster",
        ]
    );
}

#[test]
fn services_share_with_equal_keys_equal_backends_and_disjoint_ports() {
    let local = |name, selector: &str, ports: &[u16]| Service {
        backend_key: selector.to_owned(),
        ..shared(name, "k", ports)
    };
    for (what, second, expected) in [
        (
            "same key, other port",
            shared("b", "k", &[443]),
            "192.0.2.1 p",
        ),
        (
            "same key, same port",
            shared("b", "k", &[80]),
            "192.0.2.2 p",
        ),
        ("other key", shared("b", "z", &[443]), "192.0.2.2 p"),
        ("no key", service("b"), "192.0.2.2 p"),
        (
            "other backend",
            local("b", "app=web", &[443]),
            "192.0.2.2 p",
        ),
    ] {
        let plan = plan(&snapshot(
            [pool("p", "192.0.2.1-192.0.2.2")],
            [shared("a", "k", &[80]), second],
        ));
        assert_eq!(given(&plan, "b"), [expected], "{what}");
    }
    let udp = PortKey {
        protocol: Protocol::Udp,
        port: 80,
    };
    let second = Service {
        ports: [udp].into(),
        ..shared("b", "k", &[])
    };
    let snapshot = snapshot([pool("p", "192.0.2.1")], [shared("a", "k", &[80]), second]);
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "b"), ["192.0.2.1 p"], "UDP/80 beside TCP/80");
    let counts = PoolCounts {
        assigned_ipv4: 1,
        capacity_ipv4: 1,
        ..PoolCounts::default()
    };
    assert_eq!(plan.counts["p"], counts, "a shared address counts once");
}

#[test]
fn counts_saturate_and_leave_out_what_nobody_gets() {
    let pools = [
        Pool {
            avoid_buggy_ips: true,
            ..pool("a", "192.0.2.0/24,2001:db8::/64")
        },
        Pool {
            excluded: ranges("198.51.100.0/25"),
            ..pool("b", "198.51.100.0/24")
        },
    ];
    let plan = plan(&snapshot(pools, [service("s")]));
    let a = PoolCounts {
        assigned_ipv4: 1,
        available_ipv4: 253,
        capacity_ipv4: 254,
        available_ipv6: i64::MAX,
        capacity_ipv6: i64::MAX,
        ..PoolCounts::default()
    };
    let b = PoolCounts {
        available_ipv4: 128,
        capacity_ipv4: 128,
        ..PoolCounts::default()
    };
    assert_eq!((plan.counts["a"], plan.counts["b"]), (a, b));
}
