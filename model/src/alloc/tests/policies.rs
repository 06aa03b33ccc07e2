//! What a pool says about holding: reservations, retention, quotas, sharing, ports, order.

use std::time::Duration;

use super::*;
use crate::pool::{Quota, Reservation, Sharing, SharingScope};

fn lost(plan: &Plan, name: &str) -> Vec<String> {
    let lost = match (plan.assign.get(&key(name)), plan.release.get(&key(name))) {
        (Some(assignment), _) => match &assignment.change {
            Change::New | Change::Added(_) => &[][..],
            Change::Moved(lost) => lost,
        },
        (None, Some(release)) => &release.lost,
        (None, None) => &[],
    };
    let sentence = |l: &Lost| format!("{}: {}: {}", l.address, l.cause.label(), l.cause);
    lost.iter().map(sentence).collect()
}

fn reserve(snapshot: &mut Snapshot, name: &str, addresses: &str, owner: Option<&str>) {
    let reservation = Reservation {
        addresses: ranges(addresses),
        service: owner.map(key),
    };
    snapshot.reservations.insert(name.to_owned(), reservation);
}

fn free(snapshot: &mut Snapshot, address: &str, holder: &str, at: i64, deleted: bool) {
    let holder = key(holder);
    let freed = Freed {
        holder,
        at,
        deleted,
    };
    snapshot.freed.insert(ip(address), freed);
}

fn of_namespace(namespace: &str, service: Service) -> Service {
    let key = ServiceKey::new(namespace, service.key.name());
    Service { key, ..service }
}

fn with_ports(name: &str, ports: &[u16]) -> Service {
    Service {
        sharing_key: None,
        ..shared(name, "", ports)
    }
}

fn automatic(addresses: &str) -> Pool {
    Pool {
        sharing: Sharing::Automatic,
        ..pool("p", addresses)
    }
}

// Reservations.

#[test]
fn a_reserved_address_goes_to_the_service_it_names_and_to_nobody_else() {
    let mut snapshot = snapshot(
        [pool("p", "192.0.2.1-192.0.2.3,2001:db8::1")],
        [
            Service {
                created: 9,
                ..service("web")
            },
            service("a"),
            asking("thief", &["192.0.2.1"]),
            asking("other", &["192.0.2.2"]),
        ],
    );
    reserve(&mut snapshot, "web", "192.0.2.1", Some("web"));
    reserve(&mut snapshot, "printer", "192.0.2.2", None);
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "web"), ["192.0.2.1 p"]);
    assert_eq!(given(&plan, "a"), ["192.0.2.3 p"]);
    assert_eq!(
        refusal(&plan, "thief"),
        (
            "AddressReserved",
            "Service default/thief cannot have 192.0.2.1: IPReservation web keeps it for \
             default/web"
                .to_owned()
        )
    );
    assert_eq!(
        refusal(&plan, "other").1,
        "Service default/other cannot have 192.0.2.2: IPReservation printer keeps it from every \
         Service"
    );
    let counts = plan.counts["p"];
    assert_eq!(
        (
            counts.assigned_ipv4,
            counts.reserved_ipv4,
            counts.available_ipv4
        ),
        (2, 1, 0)
    );
}

#[test]
fn a_reserved_address_survives_deletion_of_its_service_without_retain() {
    let mut snapshot = snapshot(
        [pool("p", "192.0.2.1-192.0.2.2")],
        [service("a"), service("b")],
    );
    reserve(&mut snapshot, "web", "192.0.2.1", Some("web"));
    let before = plan(&snapshot);
    assert_eq!(given(&before, "a"), ["192.0.2.2 p"]);
    assert_eq!(refusal(&before, "b").0, "Exhausted");
    let web = Service {
        created: 99,
        ..service("web")
    };
    snapshot.services.insert(key("web"), Arc::new(web));
    assert_eq!(given(&plan(&snapshot), "web"), ["192.0.2.1 p"]);
}

#[test]
fn the_named_service_gets_its_address_from_whichever_pool_admits_it() {
    let theirs = Allocation {
        namespaces: ["other".into()].into(),
        ..Allocation::default()
    };
    let quiet = || Pool {
        auto_assign: false,
        ..pool("quiet", "198.51.100.1")
    };
    let from = |pool: &str| Service {
        requested_pool: Some(pool.into()),
        ..service("web")
    };
    let base = || service("web");
    for (what, quiet, web, expected) in [
        ("autoAssign off", quiet(), base(), "198.51.100.1 quiet"),
        (
            "not admitted",
            Pool {
                allocation: Some(theirs),
                ..quiet()
            },
            base(),
            "192.0.2.1 p",
        ),
        (
            "draining",
            Pool {
                draining: true,
                ..quiet()
            },
            base(),
            "192.0.2.1 p",
        ),
        (
            "excluded",
            Pool {
                excluded: ranges("198.51.100.1"),
                ..quiet()
            },
            base(),
            "192.0.2.1 p",
        ),
        (
            "asks for the pool",
            quiet(),
            from("quiet"),
            "198.51.100.1 quiet",
        ),
        ("asks for another pool", quiet(), from("p"), "192.0.2.1 p"),
        (
            "asks for another address",
            quiet(),
            asking("web", &["192.0.2.2"]),
            "192.0.2.2 p",
        ),
        (
            "has an address",
            quiet(),
            holding(base(), &["192.0.2.2"], &["p"]),
            "192.0.2.2 p",
        ),
    ] {
        let mut snapshot = snapshot([pool("p", "192.0.2.1-192.0.2.2"), quiet], [web]);
        reserve(&mut snapshot, "web", "198.51.100.1", Some("web"));
        assert_eq!(given(&plan(&snapshot), "web"), [expected], "{what}");
    }
}

#[test]
fn a_holder_whose_address_is_reserved_for_another_moves_and_is_told_by_which_reservation() {
    for (owner, why) in [
        (Some("web"), "IPReservation r keeps it for default/web"),
        (None, "IPReservation r keeps it from every Service"),
    ] {
        let holder = holding(service("h"), &["192.0.2.1"], &["p"]);
        let mut snapshot = snapshot([pool("p", "192.0.2.1-192.0.2.2")], [holder]);
        reserve(&mut snapshot, "r", "192.0.2.1", owner);
        let plan = plan(&snapshot);
        assert_eq!(given(&plan, "h"), ["192.0.2.2 p"]);
        assert_eq!(
            lost(&plan, "h"),
            [format!("192.0.2.1: AddressReserved: {why}")]
        );
    }
}

#[test]
fn a_reserved_address_is_not_shared() {
    let mut snapshot = snapshot(
        [automatic("192.0.2.1-192.0.2.9")],
        [
            holding(shared("web", "k", &[80]), &["192.0.2.1"], &["p"]),
            shared("b", "k", &[443]),
        ],
    );
    reserve(&mut snapshot, "web", "192.0.2.1", Some("web"));
    assert_eq!(given(&plan(&snapshot), "b"), ["192.0.2.2 p"]);
}

// Retain and reuseDelay.

fn keeping(retain: u64, reuse_delay: u64) -> Pool {
    Pool {
        retain: Duration::from_secs(retain),
        reuse_delay: Duration::from_secs(reuse_delay),
        ..pool("p", "192.0.2.1-192.0.2.2")
    }
}

#[test]
fn what_was_given_up_waits_for_retain_and_reuse_delay() {
    // Others get it from `at` plus the longer of the two on; `retain` counts after deletion only.
    for (retain, reuse_delay, deleted, until) in [
        (0, 0, true, 100),
        (50, 0, true, 150),
        (50, 0, false, 100),
        (50, 20, true, 150),
        (20, 50, true, 150),
        (50, 20, false, 120),
        (0, 20, true, 120),
    ] {
        for now in [100, (until - 1).max(100), until] {
            let mut snapshot = snapshot([keeping(retain, reuse_delay)], [service("new")]);
            free(&mut snapshot, "192.0.2.1", "old", 100, deleted);
            snapshot.now = now;
            let plan = plan(&snapshot);
            let waits = now < until;
            let expected = if waits { "192.0.2.2 p" } else { "192.0.2.1 p" };
            let what = format!("retain {retain}, reuseDelay {reuse_delay}, {deleted}, at {now}");
            assert_eq!(given(&plan, "new"), [expected], "{what}");
            assert_eq!(plan.expired.contains(&ip("192.0.2.1")), !waits, "{what}");
            assert_eq!(plan.next.is_some_and(|next| next <= until), waits, "{what}");
            assert_eq!(plan.counts["p"].retained_ipv4, i64::from(waits), "{what}");
        }
    }
}

#[test]
fn a_recreated_service_gets_its_old_address_back_and_others_do_not() {
    let young = Service {
        created: 500,
        ..service("old")
    };
    let mut snapshot = snapshot(
        [keeping(3600, 0)],
        [
            young,
            service("a"),
            service("b"),
            asking("c", &["192.0.2.1"]),
        ],
    );
    free(&mut snapshot, "192.0.2.1", "old", 100, true);
    snapshot.now = 600;
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "old"), ["192.0.2.1 p"]);
    assert_eq!(given(&plan, "a"), ["192.0.2.2 p"]);
    assert_eq!(refusal(&plan, "b").0, "Exhausted");
    assert_eq!(
        refusal(&plan, "c"),
        (
            "AddressHeldBack",
            "Service default/c cannot have 192.0.2.1 yet: default/old had it last, and retain of \
             pool p keeps it from others for a while"
                .to_owned()
        )
    );
    assert!(plan.expired.is_empty(), "it is not in its status yet");
    let after = super::plan(&applied(snapshot, &plan));
    assert!(
        after.expired.contains(&ip("192.0.2.1")),
        "the holder has it again"
    );
}

#[test]
fn of_two_addresses_a_service_had_it_gets_the_last_one_back() {
    let mut snapshot = snapshot([keeping(3600, 0)], [service("old")]);
    free(&mut snapshot, "192.0.2.1", "old", 100, true);
    free(&mut snapshot, "192.0.2.2", "old", 200, true);
    snapshot.now = 300;
    assert_eq!(given(&plan(&snapshot), "old"), ["192.0.2.2 p"]);
}

#[test]
fn a_clock_that_jumps_back_extends_no_wait_for_ever() {
    let mut snapshot = snapshot([keeping(0, 10)], [service("new")]);
    free(&mut snapshot, "192.0.2.1", "old", 1_000_000, false);
    snapshot.now = 50;
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "new"), ["192.0.2.2 p"]);
    assert_eq!(plan.next, Some(60));
}

#[test]
fn with_reuse_delay_what_one_plan_takes_from_a_holder_it_gives_to_nobody() {
    let moving = holding(asking("m", &["192.0.2.2"]), &["192.0.2.1"], &["p"]);
    let waiting = service("w");
    for (reuse_delay, expected) in [(0, vec!["192.0.2.1 p"]), (10, vec![])] {
        let services = [moving.clone(), waiting.clone()];
        let plan = plan(&snapshot([keeping(0, reuse_delay)], services));
        assert_eq!(given(&plan, "m"), ["192.0.2.2 p"]);
        assert_eq!(given(&plan, "w"), expected);
    }
}

#[test]
fn a_reservation_goes_before_retain_but_not_before_reuse_delay() {
    for (now, expected) in [(105, "192.0.2.2 p"), (110, "192.0.2.1 p")] {
        let mut snapshot = snapshot([keeping(3600, 10)], [service("web")]);
        reserve(&mut snapshot, "r", "192.0.2.1", Some("web"));
        free(&mut snapshot, "192.0.2.1", "old", 100, true);
        snapshot.now = now;
        assert_eq!(given(&plan(&snapshot), "web"), [expected], "at {now}");
    }
}

#[test]
fn what_waits_in_a_pool_that_is_set_aside_goes_on_waiting() {
    let mut snapshot = snapshot([], [service("new")]);
    free(&mut snapshot, "192.0.2.1", "old", 100, true);
    snapshot.now = 10_000;
    assert_eq!(plan(&snapshot).expired.len(), 1);
    snapshot.quarantined_pools.insert("p".into());
    assert_eq!(plan(&snapshot).expired.len(), 0);
}

// Quotas.

fn limited(quotas: Vec<Quota>) -> Pool {
    Pool {
        quotas,
        ..automatic("192.0.2.1-192.0.2.9")
    }
}

fn at_most(max_addresses: u64) -> Quota {
    Quota {
        max_addresses,
        ..Quota::default()
    }
}

#[test]
fn a_quota_is_refused_with_its_name_and_how_much_is_used() {
    let named = Quota {
        namespaces: ["default".into()].into(),
        ..at_most(2)
    };
    let services = ["a", "b", "c"].map(|name| with_ports(name, &[80]));
    let stranger = of_namespace("other", with_ports("s", &[80]));
    let mut snapshot = snapshot([limited(vec![at_most(3), named])], services);
    snapshot
        .services
        .insert(stranger.key.clone(), Arc::new(stranger.clone()));
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "b"), ["192.0.2.2 p"]);
    assert_eq!(
        refusal(&plan, "c"),
        (
            "QuotaReached",
            "Service default/c gets no further address of pool p: quotas[1] allows namespace \
             default 2, and it has 2; release one or raise maxAddresses"
                .to_owned()
        )
    );
    assert_eq!(
        plan.places(&stranger.key).len(),
        1,
        "each namespace on its own"
    );
}

#[test]
fn a_quota_counts_a_shared_address_once_and_lets_services_join() {
    let services = [
        with_ports("a", &[80]),
        with_ports("b", &[443]),
        with_ports("c", &[80]),
    ];
    let plan = plan(&snapshot([limited(vec![at_most(1)])], services));
    assert_eq!(given(&plan, "a"), ["192.0.2.1 p"]);
    assert_eq!(given(&plan, "b"), ["192.0.2.1 p"]);
    assert_eq!(refusal(&plan, "c").0, "QuotaReached");
}

#[test]
fn holders_beyond_a_quota_keep_what_they_have() {
    let holder = |name: &str, at: &str| holding(with_ports(name, &[80]), &[at], &["p"]);
    let plan = plan(&snapshot(
        [limited(vec![at_most(1)])],
        [
            holder("a", "192.0.2.1"),
            holder("b", "192.0.2.2"),
            with_ports("c", &[80]),
        ],
    ));
    assert_eq!(plan.keep.len(), 2);
    assert!(
        refusal(&plan, "c")
            .1
            .contains("allows namespace default 1, and it has 2")
    );
}

#[test]
fn a_quota_does_not_refuse_what_is_reserved_and_counts_it() {
    let holder = holding(with_ports("h", &[80]), &["192.0.2.1"], &["p"]);
    let services = [holder, with_ports("web", &[80]), with_ports("z", &[80])];
    let mut snapshot = snapshot([limited(vec![at_most(1)])], services);
    reserve(&mut snapshot, "r", "192.0.2.5", Some("web"));
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "web"), ["192.0.2.5 p"]);
    assert!(
        refusal(&plan, "z")
            .1
            .contains("allows namespace default 1, and it has 2")
    );
}

#[test]
fn where_a_quota_is_reached_another_pool_may_serve() {
    let services = ["a", "b"].map(|name| with_ports(name, &[80]));
    let second = pool("q", "198.51.100.1");
    let plan = plan(&snapshot([limited(vec![at_most(1)]), second], services));
    assert_eq!(given(&plan, "b"), ["198.51.100.1 q"]);
    assert!(plan.refuse.is_empty());
}

#[test]
fn both_families_count_and_two_are_not_taken_where_one_is_allowed() {
    let both = Pool {
        quotas: vec![at_most(1)],
        ..pool("p", "192.0.2.1,2001:db8::1")
    };
    let six = pool("q", "2001:db8:1::1");
    let plan = plan(&snapshot(
        [both, six],
        [dual("s", FamilyPolicy::RequireDual)],
    ));
    assert_eq!(given(&plan, "s"), ["192.0.2.1 p", "2001:db8:1::1 q"]);
}

/// The first family does not take what is left of a quota when only the second needs it there.
#[test]
fn two_families_divide_two_quotas_either_way_round() {
    let tight = |name: &str, addresses: &str| Pool {
        quotas: vec![at_most(1)],
        ..pool(name, addresses)
    };
    let pools = [
        tight("a", "192.0.2.1,2001:db8::1"),
        tight("b", "198.51.100.1"),
    ];
    let plan = plan(&snapshot(pools, [dual("s", FamilyPolicy::RequireDual)]));
    assert_eq!(given(&plan, "s"), ["198.51.100.1 b", "2001:db8::1 a"]);
}

// Sharing.

#[test]
fn each_sharing_policy_says_who_may_share_with_whom() {
    use Sharing::{Automatic, ByKey, Never};
    use SharingScope::{Cluster, Namespace};
    let open = |name: &str| with_ports(name, &[443]);
    let keyed = |name: &str, sharing_key: &str| shared(name, sharing_key, &[443]);
    let far = |service: Service| of_namespace("other", service);
    for (what, sharing, scope, first, second, together) in [
        (
            "no keys",
            ByKey,
            None,
            with_ports("a", &[80]),
            open("b"),
            false,
        ),
        (
            "one key",
            ByKey,
            None,
            shared("a", "k", &[80]),
            keyed("b", "k"),
            true,
        ),
        (
            "one key afar",
            ByKey,
            None,
            shared("a", "k", &[80]),
            far(keyed("b", "k")),
            true,
        ),
        (
            "one key afar, scoped",
            ByKey,
            Some(Namespace),
            shared("a", "k", &[80]),
            far(keyed("b", "k")),
            false,
        ),
        (
            "automatic",
            Automatic,
            None,
            with_ports("a", &[80]),
            open("b"),
            true,
        ),
        (
            "automatic afar",
            Automatic,
            None,
            with_ports("a", &[80]),
            far(open("b")),
            false,
        ),
        (
            "automatic afar, allowed",
            Automatic,
            Some(Cluster),
            with_ports("a", &[80]),
            far(open("b")),
            true,
        ),
        (
            "automatic, same port",
            Automatic,
            None,
            with_ports("a", &[443]),
            open("b"),
            false,
        ),
        (
            "automatic by key",
            Automatic,
            None,
            shared("a", "k", &[80]),
            keyed("b", "k"),
            true,
        ),
        (
            "automatic by key afar",
            Automatic,
            None,
            shared("a", "k", &[80]),
            far(keyed("b", "k")),
            true,
        ),
        (
            "a key and none",
            Automatic,
            None,
            shared("a", "k", &[80]),
            open("b"),
            false,
        ),
        (
            "automatic, Local and Cluster",
            Automatic,
            None,
            with_ports("a", &[80]),
            Service {
                backend_key: "app=b".into(),
                ..open("b")
            },
            false,
        ),
        (
            "never",
            Never,
            None,
            shared("a", "k", &[80]),
            keyed("b", "k"),
            false,
        ),
    ] {
        let pool = Pool {
            sharing,
            sharing_scope: scope,
            ..pool("p", "192.0.2.1-192.0.2.2")
        };
        let key = second.key.clone();
        let plan = plan(&snapshot([pool], [first, second]));
        let shares = plan.places(&key)[0].address == ip("192.0.2.1");
        assert_eq!(shares, together, "{what}");
    }
}

#[test]
fn automatic_sharing_packs_densely() {
    let services = [
        with_ports("a", &[80]),
        with_ports("b", &[80, 443]),
        with_ports("c", &[443]),
        with_ports("d", &[53]),
        with_ports("e", &[443]),
    ];
    let plan = plan(&snapshot([automatic("192.0.2.1-192.0.2.9")], services));
    let got = ["a", "b", "c", "d", "e"].map(|name| given(&plan, name).concat());
    assert_eq!(
        got,
        [
            "192.0.2.1 p",
            "192.0.2.2 p",
            "192.0.2.1 p",
            "192.0.2.1 p",
            "192.0.2.3 p"
        ]
    );
    assert_eq!(plan.counts["p"].assigned_ipv4, 3);
}

#[test]
fn an_address_that_cannot_be_shared_is_refused_with_the_other_services_name() {
    let never = Pool {
        sharing: Sharing::Never,
        ..pool("p", "192.0.2.1")
    };
    let far = |service: Service| of_namespace("other", service);
    for (pool, holder, words) in [
        (
            never,
            with_ports("h", &[80]),
            "default/h holds it, and pool p has sharing Never",
        ),
        (
            automatic("192.0.2.1"),
            far(with_ports("h", &[80])),
            "other/h holds it, and pool p lets only Services of one namespace share (sharingScope)",
        ),
        (
            automatic("192.0.2.1"),
            with_ports("h", &[443]),
            "default/h holds it and also uses port TCP/443",
        ),
    ] {
        let asking = Service {
            requested_addresses: vec![ip("192.0.2.1")],
            ..with_ports("s", &[443])
        };
        let plan = plan(&snapshot(
            [pool],
            [holding(holder, &["192.0.2.1"], &["p"]), asking],
        ));
        assert_eq!(
            refusal(&plan, "s"),
            (
                "AddressTaken",
                format!("Service default/s cannot have 192.0.2.1: {words}")
            )
        );
    }
}

#[test]
fn sharers_of_a_pool_that_lets_nobody_share_any_more_are_parted_and_the_oldest_stays() {
    let holder = |name: &str, port| {
        let service = Service {
            created: i64::from(port),
            ..with_ports(name, &[port])
        };
        holding(service, &["192.0.2.1"], &["p"])
    };
    let never = Pool {
        sharing: Sharing::Never,
        ..pool("p", "192.0.2.1-192.0.2.9")
    };
    let plan = plan(&snapshot([never], [holder("b", 1), holder("a", 2)]));
    assert_eq!(given(&plan, "b"), ["192.0.2.1 p"]);
    assert_eq!(
        lost(&plan, "a"),
        ["192.0.2.1: AddressTaken: default/b holds it, and pool p has sharing Never"]
    );
}

#[test]
fn sharers_of_a_pool_that_is_set_aside_stay_together() {
    let holder = |name: &str, port| holding(with_ports(name, &[port]), &["192.0.2.1"], &["p"]);
    let mut snapshot = snapshot([], [holder("a", 1), holder("b", 2)]);
    snapshot.quarantined_pools.insert("p".into());
    assert_eq!(plan(&snapshot).keep.len(), 2);
}

// Port pools.

fn port_pool(name: &str, addresses: &str) -> Pool {
    let ports = ["1000-3000/TCP", "53/UDP"];
    Pool {
        ports: ports
            .map(|text| text.parse().unwrap())
            .into_iter()
            .collect(),
        sharing: Sharing::Automatic,
        ..pool(name, addresses)
    }
}

#[test]
fn a_service_with_a_port_outside_a_port_pool_is_refused_with_one_sentence() {
    let request = |service: Service| Service {
        requested_pool: Some("p".into()),
        ..service
    };
    for service in [
        with_ports("s", &[1000, 80]),
        request(with_ports("s", &[80])),
        Service {
            requested_addresses: vec![ip("192.0.2.1")],
            ..with_ports("s", &[80])
        },
    ] {
        let plan = plan(&snapshot([port_pool("p", "192.0.2.1")], [service]));
        assert_eq!(
            refusal(&plan, "s"),
            (
                "PoolRestricted",
                "Service default/s may not use pool p: its ports do not include TCP/80".to_owned()
            )
        );
    }
}

#[test]
fn a_service_with_a_port_outside_goes_to_another_pool_by_itself() {
    let pools = [port_pool("p", "192.0.2.1"), pool("q", "198.51.100.1")];
    let services = [with_ports("in", &[1000, 3000]), with_ports("out", &[3001])];
    let plan = plan(&snapshot(pools, services));
    assert_eq!(given(&plan, "in"), ["192.0.2.1 p"]);
    assert_eq!(given(&plan, "out"), ["198.51.100.1 q"]);
}

#[test]
fn ports_of_a_port_pool_are_counted() {
    let services = [with_ports("a", &[1000, 1001]), with_ports("b", &[2000])];
    let plan = plan(&snapshot([port_pool("p", "192.0.2.1-192.0.2.3")], services));
    let counts = plan.counts["p"];
    assert_eq!((counts.ports_taken, counts.ports_capacity), (3, 3 * 2002));
    assert_eq!(counts.assigned_ipv4, 1);
    let address = "192.0.2.1".parse().unwrap();
    assert_eq!(plan.ports_taken["p"], [(address, 3)].into());
}

#[test]
fn a_holder_with_a_port_outside_moves_and_is_told_why() {
    let holder = holding(with_ports("h", &[80]), &["192.0.2.1"], &["p"]);
    let pools = [port_pool("p", "192.0.2.1"), pool("q", "198.51.100.1")];
    let plan = plan(&snapshot(pools, [holder]));
    assert_eq!(
        lost(&plan, "h"),
        ["192.0.2.1: PoolRestricted: pool p's ports do not include TCP/80"]
    );
    assert_eq!(given(&plan, "h"), ["198.51.100.1 q"]);
}

// Order.

#[test]
fn who_waits_longest_gets_what_becomes_free() {
    let holder = holding(service("h"), &["192.0.2.1"], &["p"]);
    let waiting = |name: &str, created| Service {
        created,
        ..service(name)
    };
    let mut snapshot = snapshot(
        [pool("p", "192.0.2.1")],
        [holder, waiting("z", 1), waiting("a", 2)],
    );
    let mut planner = Planner::default();
    assert_eq!(planner.plan(&snapshot).refuse.len(), 2);
    snapshot.services.remove(&key("h"));
    assert_eq!(given(planner.plan(&snapshot), "z"), ["192.0.2.1 p"]);
    assert_eq!(planner.plan(&snapshot).refuse.len(), 1);
}

#[test]
fn each_refusal_and_conflict_of_a_policy_is_one_word() {
    let service = || key("s");
    let refusals = [
        Refusal::AddressReserved {
            service: service(),
            address: ip("192.0.2.1"),
            reservation: "r".into(),
            owner: None,
        },
        Refusal::AddressHeldBack {
            service: service(),
            address: ip("192.0.2.1"),
            pool: "p".into(),
            holder: Box::new(key("h")),
            retained: false,
        },
        Refusal::QuotaReached {
            service: service(),
            pool: "p".into(),
            index: 0,
            used: 1,
            max: 1,
        },
    ];
    for refusal in refusals {
        assert!(refusal.label().chars().all(char::is_alphanumeric));
        let text = refusal.to_string();
        assert!(
            text.starts_with("Service default/s ") && !text.ends_with('.'),
            "{text}"
        );
    }
}
