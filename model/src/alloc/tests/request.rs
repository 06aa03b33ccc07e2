//! What a Service may ask for, and the sentence it gets when it cannot have it.

use super::*;

#[test]
fn a_requested_address_is_given_also_where_auto_assign_is_off() {
    let quiet = Pool {
        auto_assign: false,
        ..pool("quiet", "198.51.100.0/24,2001:db8::/64")
    };
    let both = asking("both", &["2001:db8::9", "192.0.2.9"]);
    let plan = plan(&snapshot(
        [pool("p", "192.0.2.0/24"), quiet],
        [
            asking("a", &["198.51.100.7"]),
            Service {
                requested_pool: Some("quiet".into()),
                ..service("b")
            },
            Service {
                families: vec![Family::V4, Family::V6],
                ..both
            },
            Service {
                requested_addresses: vec![ip("198.51.100.8")],
                ..dual("half", FamilyPolicy::PreferDual)
            },
        ],
    ));
    assert_eq!(given(&plan, "a"), ["198.51.100.7 quiet"]);
    assert_eq!(given(&plan, "b"), ["198.51.100.0 quiet"]);
    assert_eq!(
        given(&plan, "both"),
        ["2001:db8::9 quiet", "192.0.2.9 p"],
        "in the user's order"
    );
    assert_eq!(
        given(&plan, "half"),
        ["198.51.100.8 quiet", "2001:db8:: quiet"],
        "the family not asked for comes from the same pool first"
    );
    assert!(plan.refuse.is_empty());
}

#[test]
fn an_automatic_service_never_takes_what_an_older_one_asks_for_but_a_younger_asks_in_vain() {
    let snapshot = |created| {
        let asking = Service {
            created,
            ..asking("asking", &["192.0.2.1"])
        };
        let automatic = Service {
            created: 5,
            ..service("automatic")
        };
        snapshot([pool("p", "192.0.2.1-192.0.2.2")], [asking, automatic])
    };
    assert_eq!(given(&plan(&snapshot(1)), "automatic"), ["192.0.2.2 p"]);
    assert_eq!(refusal(&plan(&snapshot(9)), "asking").0, "AddressTaken");
}

#[test]
fn each_request_that_cannot_be_met_gets_its_own_sentence() {
    let from = |pool: &str| Service {
        requested_pool: Some(pool.into()),
        ..service("s")
    };
    let unreadable = Service {
        unreadable_request: Some("no".into()),
        ..service("s")
    };
    let only = Allocation {
        namespaces: ["other".into()].into(),
        ..Allocation::default()
    };
    let selecting = Allocation {
        service_selectors: vec![Selector::labels([("app", "db")])],
        ..Allocation::default()
    };
    let pools = || {
        [
            pool("full", "192.0.2.1"),
            Pool {
                draining: true,
                ..pool("old", "192.0.2.2")
            },
            Pool {
                allocation: Some(only.clone()),
                ..pool("theirs", "192.0.2.3")
            },
            Pool {
                allocation: Some(selecting.clone()),
                ..pool("dbs", "192.0.2.5")
            },
            Pool {
                avoid_buggy_ips: true,
                excluded: ranges("198.51.100.9"),
                ..pool("strict", "198.51.100.0/24")
            },
        ]
    };
    for (asking_service, label, sentence) in [
        (
            asking("s", &["203.0.113.1"]),
            "OutsideEveryPool",
            "Service default/s requests 203.0.113.1, which is in no pool: choose an address of \
             dbs, full, old, strict and theirs or add it to one of them",
        ),
        (
            asking("s", &["192.0.2.1"]),
            "AddressTaken",
            "Service default/s cannot have 192.0.2.1: default/holder holds it, and the two do not \
             have the same allow-shared-ip annotation",
        ),
        (
            asking("s", &["198.51.100.1", "198.51.100.2"]),
            "TwoOfOneFamily",
            "Service default/s requests 198.51.100.1 and 198.51.100.2, two addresses of one \
             family: request at most one IPv4 and one IPv6 address",
        ),
        (
            asking("s", &["2001:db8::1"]),
            "FamilyNotOfService",
            "Service default/s requests 2001:db8::1 but has no IPv6 in spec.ipFamilies: request \
             an address of a family the Service has",
        ),
        (
            asking("s", &["198.51.100.255"]),
            "AddressForbidden",
            "Service default/s requests 198.51.100.255, but pool strict has avoidBuggyIPs and the \
             address ends in .0 or .255: request another address or change the pool",
        ),
        (
            asking("s", &["198.51.100.9"]),
            "AddressForbidden",
            "Service default/s requests 198.51.100.9, but pool strict lists it in \
             excludedAddresses: request another address or change the pool",
        ),
        (
            asking("s", &["192.0.2.2"]),
            "PoolDraining",
            "Service default/s requests an address of pool old, which is draining: request \
             another pool or set draining to false",
        ),
        (
            asking("s", &["192.0.2.3"]),
            "PoolRestricted",
            "Service default/s may not use pool theirs: its serviceAllocation does not admit its \
             namespace",
        ),
        (
            from("dbs"),
            "PoolRestricted",
            "Service default/s may not use pool dbs: its serviceAllocation.serviceSelectors do \
             not match its labels",
        ),
        (
            Service {
                requested_pool: Some("full".into()),
                ..asking("s", &["198.51.100.1"])
            },
            "AddressNotInRequestedPool",
            "Service default/s requests 198.51.100.1 and pool full, but the address is in pool \
             strict: change one of the two annotations",
        ),
        (
            from("nowhere"),
            "UnknownPool",
            "Service default/s requests pool nowhere, which does not exist: the pools are dbs, \
             full, old, strict and theirs",
        ),
        (
            from("full"),
            "PoolExhausted",
            "Service default/s requests pool full, whose IPv4 addresses are all taken: add \
             addresses to it or request another pool (heraldctl pools shows who has them)",
        ),
        (from("old"), "PoolDraining", ""),
        (
            Service {
                families: vec![Family::V6],
                ..from("full")
            },
            "PoolHasNoFamily",
            "Service default/s requests pool full, which has no IPv6 addresses: request another \
             pool or add some",
        ),
        (
            from("broken"),
            "PoolQuarantined",
            "Service default/s needs pool broken, which has a mistake in it: see the conditions \
             of IPAddressPool broken",
        ),
        (
            unreadable,
            "UnreadableRequest",
            "Service default/s gets no new address: no",
        ),
    ] {
        let holder = holding(service("holder"), &["192.0.2.1"], &["full"]);
        let mut snapshot = snapshot(pools(), [holder, asking_service]);
        snapshot.quarantined_pools.insert("broken".into());
        let plan = plan(&snapshot);
        let got = refusal(&plan, "s");
        assert_eq!(got.0, label);
        assert!(sentence.is_empty() || got.1 == sentence, "{}", got.1);
        assert_eq!(given(&plan, "s"), [""; 0], "{label}");
        assert_eq!(given(&plan, "holder"), ["192.0.2.1 full"], "{label}");
    }
}

#[test]
fn sharing_on_request_is_refused_with_the_reason_and_the_other_service() {
    let local = Service {
        backend_key: "app=web".into(),
        ..shared("s", "k", &[443])
    };
    for (service, sentence) in [
        (
            shared("s", "k", &[443, 80]),
            "Service default/s cannot have 192.0.2.1: default/holder holds it and also uses port \
             TCP/80",
        ),
        (
            local,
            "Service default/s cannot have 192.0.2.1: default/holder holds it, and to share it \
             both need externalTrafficPolicy Cluster, or Local with the same pod selector",
        ),
        (
            shared("s", "z", &[443]),
            "Service default/s cannot have 192.0.2.1: default/holder holds it, and the two do not \
             have the same allow-shared-ip annotation",
        ),
    ] {
        let asking = Service {
            requested_addresses: vec![ip("192.0.2.1")],
            ..service
        };
        let holder = holding(shared("holder", "k", &[80]), &["192.0.2.1"], &["p"]);
        let plan = plan(&snapshot([pool("p", "192.0.2.0/24")], [holder, asking]));
        assert_eq!(refusal(&plan, "s"), ("AddressTaken", sentence.to_owned()));
    }
}
