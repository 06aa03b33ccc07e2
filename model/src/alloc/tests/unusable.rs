//! Addresses that no Service is given: nodes' own, and those with a meaning of their own.

use super::*;
use crate::pool::Reservation;
use crate::unusable::{Owner, Unusable};

fn node(name: &str) -> Owner {
    Owner::Node {
        name: name.into(),
        kind: "InternalIP".into(),
    }
}

fn unusable(claims: &[(&str, Owner)]) -> Arc<Unusable> {
    let claims = claims.iter();
    let claims = claims.map(|(range, owner)| (range.parse().unwrap(), owner.clone()));
    Arc::new(Unusable::new(claims))
}

fn nodes() -> Arc<Unusable> {
    unusable(&[("192.0.2.1", node("n1")), ("192.0.2.3", node("n2"))])
}

#[test]
fn what_is_a_nodes_is_left_out_and_counts_nowhere() {
    let snapshot = Snapshot {
        unusable: nodes(),
        ..snapshot(
            [pool("p", "192.0.2.1-192.0.2.4")],
            ["a", "b", "c"].map(service),
        )
    };
    let plan = plan(&snapshot);
    let got = ["a", "b", "c"].map(|name| given(&plan, name).concat());
    assert_eq!(got, ["192.0.2.2 p", "192.0.2.4 p", ""]);
    assert_eq!(refusal(&plan, "c").0, "Exhausted");
    let counts = PoolCounts {
        assigned_ipv4: 2,
        capacity_ipv4: 2,
        ..PoolCounts::default()
    };
    assert_eq!(plan.counts["p"], counts);
}

#[test]
fn a_request_for_it_is_refused_and_says_whose_it_is() {
    let ask_pool = Service {
        requested_pool: Some("nodes".into()),
        ..service("pool")
    };
    let snapshot = Snapshot {
        unusable: unusable(&[
            ("192.0.2.1", node("n1")),
            ("192.0.2.2", node("n2")),
            (
                "198.51.100.0/24",
                Owner::ServiceRange {
                    name: "kubernetes".into(),
                },
            ),
        ]),
        ..snapshot(
            [
                pool("nodes", "192.0.2.1-192.0.2.2"),
                pool("services", "198.51.100.7"),
            ],
            [
                asking("address", &["192.0.2.2"]),
                asking("service", &["198.51.100.7"]),
                ask_pool,
                service("any"),
            ],
        )
    };
    let plan = plan(&snapshot);
    for (name, label, sentence) in [
        (
            "address",
            "AddressUnusable",
            "Service default/address cannot have 192.0.2.2 of pool nodes, which is the InternalIP \
             of node n2: request another address",
        ),
        (
            "service",
            "AddressUnusable",
            "Service default/service cannot have 198.51.100.7 of pool services, which is an \
             address of ServiceCIDR kubernetes: request another address",
        ),
        (
            "pool",
            "PoolUnusable",
            "Service default/pool gets no IPv4 address of pool nodes, none of whose IPv4 \
             addresses can be given to a Service: 192.0.2.1 is the InternalIP of node n1; request \
             another pool or add addresses",
        ),
        (
            "any",
            "PoolUnusable",
            "Service default/any gets no IPv4 address of pool nodes, none of whose IPv4 addresses \
             can be given to a Service: 192.0.2.1 is the InternalIP of node n1; request another \
             pool or add addresses",
        ),
    ] {
        assert_eq!(refusal(&plan, name), (label, sentence.to_owned()), "{name}");
        assert_eq!(given(&plan, name), [""; 0], "{name}");
    }
}

#[test]
fn a_holder_keeps_it_alone_and_asking_for_it_changes_nothing() {
    let holder = Service {
        requested_addresses: vec![ip("192.0.2.1")],
        ..holding(shared("h", "k", &[80]), &["192.0.2.1"], &["p"])
    };
    let mut snapshot = Snapshot {
        unusable: nodes(),
        ..snapshot(
            [pool("p", "192.0.2.1-192.0.2.3")],
            [holder, shared("other", "k", &[443])],
        )
    };
    let before = plan(&snapshot);
    assert!(before.keep.contains_key(&key("h")));
    assert!(before.refuse.is_empty());
    assert_eq!(given(&before, "other"), ["192.0.2.2 p"], "nobody joins");
    let counts = PoolCounts {
        assigned_ipv4: 2,
        capacity_ipv4: 2,
        ..PoolCounts::default()
    };
    assert_eq!(before.counts["p"], counts);
    snapshot.services.remove(&key("h"));
    let after = plan(&snapshot);
    assert_eq!(after.counts["p"].capacity_ipv4, 1, "given up, it is gone");
}

#[test]
fn neither_a_reservation_nor_its_last_holder_gets_it() {
    let reserved = Reservation {
        addresses: ranges("192.0.2.1-192.0.2.2"),
        service: Some(key("named")),
    };
    let last = Freed {
        holder: key("last"),
        at: 0,
        deleted: true,
    };
    let remembers = Pool {
        retain: std::time::Duration::from_secs(60),
        ..pool("p", "192.0.2.1-192.0.2.4")
    };
    let snapshot = Snapshot {
        unusable: nodes(),
        reservations: [("r".to_owned(), reserved)].into(),
        freed: [(ip("192.0.2.3"), last)].into(),
        ..snapshot([remembers], [service("named"), service("last")])
    };
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "named"), ["192.0.2.2 p"]);
    assert_eq!(given(&plan, "last"), ["192.0.2.4 p"]);
    assert_eq!(plan.counts["p"].retained_ipv4, 0);
    assert_eq!(plan.counts["p"].reserved_ipv4, 0);
}

#[test]
fn a_node_whose_addresses_are_in_no_pool_has_nobody_judged_again() {
    let holder = holding(service("s"), &["192.0.2.7"], &["p"]);
    let mut snapshot = Snapshot {
        unusable: nodes(),
        ..snapshot([pool("p", "192.0.2.0/24")], [holder])
    };
    let mut planner = Planner::default();
    let mut kept = |unusable: &[(&str, Owner)]| {
        snapshot.unusable = self::unusable(unusable);
        Arc::clone(&planner.plan(&snapshot).keep[&key("s")])
    };
    let two = [("192.0.2.1", node("n1")), ("192.0.2.3", node("n2"))];
    let three = [&two[..], &[("203.0.113.9", node("n3"))]].concat();
    let first = kept(&two);
    assert!(Arc::ptr_eq(&first, &kept(&two)), "told anew");
    assert!(Arc::ptr_eq(&first, &kept(&three)), "in no pool");
    assert!(!Arc::ptr_eq(&first, &kept(&two[..1])), "in a pool");
}

#[test]
fn a_large_pool_full_of_holes_is_searched_in_a_few_steps() {
    let holes = (0..5_000u32).map(|n| {
        let address = IpAddr::from((0x0a01_0000 + n * 2).to_be_bytes());
        (AddressRange::single(address), node(&format!("n{n}")))
    });
    let unusable = Arc::new(Unusable::new(holes));
    for avoid_buggy_ips in [false, true] {
        let pool = Pool {
            avoid_buggy_ips,
            ..pool("p", "10.1.0.0/16")
        };
        let pools = [("p".to_owned(), pool)].into();
        let mut ledger = Ledger::new(&pools, &BTreeMap::new(), &unusable);
        for n in 0..8_000 {
            let service = Arc::new(service(&format!("s{n}")));
            let pick = ledger.pick("p", Family::V4, &service, true);
            assert!(pick.steps <= 4, "{} steps at {n}", pick.steps);
            ledger.hold(&service, pick.address.unwrap()).unwrap();
        }
    }
}
