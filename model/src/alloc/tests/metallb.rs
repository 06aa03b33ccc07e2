//! What MetalLB's controller does, clause by clause as docs/conformance/metallb.md numbers it, as far
//! as it is not a scene of its own elsewhere. Where Herald differs on purpose the name says so.

use super::*;
use crate::labels::Selector;

fn with_pools<const P: usize>(pools: [Pool; P], service: Service) -> Plan {
    plan(&snapshot(pools, [service]))
}

fn held(service: Service, addresses: &[&str]) -> Service {
    holding(service, addresses, &["p"])
}

const DUAL: &str = "192.0.2.0/24,2001:db8::/64";

#[test]
fn convergence_2_differs_no_pools_at_all_takes_nothing() {
    let plan = with_pools([], held(service("s"), &["192.0.2.1"]));
    assert_eq!(given(&plan, "s"), ["192.0.2.1 p"]);
    assert!(plan.refuse.is_empty());
}

#[test]
fn convergence_3_without_cluster_address_nothing_is_given_or_kept() {
    let headless = || Service {
        families: vec![],
        ..service("s")
    };
    let fresh = with_pools([pool("p", DUAL)], headless());
    assert_eq!(refusal(&fresh, "s").0, "NoClusterAddress");
    let holder = with_pools([pool("p", DUAL)], held(headless(), &["192.0.2.1"]));
    assert!(holder.release.contains_key(&key("s")));
    assert_eq!(refusal(&holder, "s").0, "NoClusterAddress");
}

#[test]
fn convergence_4_require_dual_stack_on_one_family_is_refused_and_keeps_what_it_has() {
    let alone = || Service {
        family_policy: FamilyPolicy::RequireDual,
        ..service("s")
    };
    let fresh = with_pools([pool("p", DUAL)], alone());
    assert_eq!(given(&fresh, "s"), [""; 0]);
    assert_eq!(refusal(&fresh, "s").0, "NotDualStack");
    let holder = with_pools([pool("p", DUAL)], held(alone(), &["192.0.2.1"]));
    assert_eq!(given(&holder, "s"), ["192.0.2.1 p"], "MetalLB clears it");
    assert_eq!(refusal(&holder, "s").0, "NotDualStack");
}

#[test]
fn convergence_5_addresses_of_the_wrong_family_are_cleared_and_replaced() {
    let six = Service {
        families: vec![Family::V6],
        ..service("s")
    };
    let plan = with_pools([pool("p", DUAL)], held(six, &["192.0.2.1"]));
    assert_eq!(given(&plan, "s"), ["2001:db8:: p"]);
}

#[test]
fn convergence_6_a_changed_pool_annotation_or_address_reallocates() {
    let pools = || [pool("p", "192.0.2.0/24"), pool("q", "198.51.100.0/24")];
    let to_pool = Service {
        requested_pool: Some("q".into()),
        ..service("s")
    };
    for (wish, expected) in [
        (to_pool, "198.51.100.0 q"),
        (asking("s", &["198.51.100.7"]), "198.51.100.7 q"),
        (service("s"), "192.0.2.1 p"),
    ] {
        let plan = with_pools(pools(), held(wish, &["192.0.2.1"]));
        assert_eq!(given(&plan, "s"), [expected]);
    }
}

#[test]
fn allocation_a_a_requested_address_needs_a_family_of_the_service_and_a_pool_that_admits_it() {
    let theirs = Pool {
        allocation: Some(Allocation {
            namespaces: ["other".into()].into(),
            ..Allocation::default()
        }),
        ..pool("theirs", "203.0.113.0/24")
    };
    let quiet = Pool {
        auto_assign: false,
        ..pool("quiet", "198.51.100.0/24")
    };
    let from = |pool: &str, service: Service| Service {
        requested_pool: Some(pool.into()),
        ..service
    };
    for (service, outcome) in [
        (asking("s", &["192.0.2.7"]), "192.0.2.7 p"),
        (asking("s", &["198.51.100.7"]), "198.51.100.7 quiet"),
        (
            from("quiet", asking("s", &["198.51.100.7"])),
            "198.51.100.7 quiet",
        ),
        (
            from("p", asking("s", &["198.51.100.7"])),
            "AddressNotInRequestedPool",
        ),
        (asking("s", &["203.0.113.7"]), "PoolRestricted"),
        (asking("s", &["2001:db8::7"]), "FamilyNotOfService"),
        (asking("s", &["192.0.3.1"]), "OutsideEveryPool"),
    ] {
        let pools = [pool("p", DUAL), quiet.clone(), theirs.clone()];
        let plan = with_pools(pools, service);
        let refused = plan.refuse.get(&key("s")).map(Refusal::label);
        let got = given(&plan, "s").concat();
        assert_eq!(refused.unwrap_or(&got), outcome);
    }
}

#[test]
fn allocation_a_a_dual_stack_service_may_ask_for_one_address_and_gets_the_other_by_itself() {
    let asks = Service {
        requested_addresses: vec![ip("192.0.2.7")],
        ..dual("s", FamilyPolicy::RequireDual)
    };
    let plan = with_pools([pool("p", DUAL)], asks);
    assert_eq!(
        given(&plan, "s"),
        ["192.0.2.7 p", "2001:db8:: p"],
        "MetalLB refuses"
    );
}

#[test]
fn allocation_b_a_requested_pool_is_the_only_one_asked() {
    let full = held(service("other"), &["192.0.2.1"]);
    let asks = Service {
        requested_pool: Some("p".into()),
        ..service("s")
    };
    let pools = [pool("p", "192.0.2.1"), pool("q", "198.51.100.0/24")];
    let plan = plan(&snapshot(pools, [full, asks]));
    assert_eq!(refusal(&plan, "s").0, "PoolExhausted");
}

#[test]
fn allocation_c_pinned_pools_that_cannot_serve_give_way_to_those_for_everybody() {
    let pinned = Pool {
        allocation: Some(Allocation {
            namespaces: ["default".into()].into(),
            ..Allocation::default()
        }),
        ..pool("pinned", "192.0.2.1")
    };
    let pools = [pinned, pool("a", "198.51.100.1")];
    let plan = plan(&snapshot(pools, ["1", "2"].map(service)));
    assert_eq!(given(&plan, "1"), ["192.0.2.1 pinned"]);
    assert_eq!(given(&plan, "2"), ["198.51.100.1 a"]);
}

/// MetalLB treats such a pool as open to everybody who asks for it.
#[test]
fn allocation_quirk_selectors_that_match_no_namespace_admit_nobody_who_asks_either() {
    let nobodys = Pool {
        allocation: Some(Allocation {
            namespace_selectors: vec![Selector::labels([("team", "none")])],
            ..Allocation::default()
        }),
        ..pool("p", "192.0.2.0/24")
    };
    let from_pool = Service {
        requested_pool: Some("p".into()),
        ..service("s")
    };
    for wish in [asking("s", &["192.0.2.1"]), from_pool] {
        let plan = with_pools([nobodys.clone()], wish);
        assert_eq!(refusal(&plan, "s").0, "PoolRestricted");
    }
}

/// MetalLB takes any of them, another one each time.
#[test]
fn allocation_random_among_equal_pools_the_first_by_name_is_taken() {
    let pools = ["c", "a", "b"].map(|name| {
        let third = name.as_bytes()[0];
        pool(name, &format!("192.0.{third}.1"))
    });
    let plan = plan(&snapshot(pools, ["1", "2", "3"].map(service)));
    let got = ["1", "2", "3"].map(|name| given(&plan, name).concat());
    assert_eq!(got, ["192.0.97.1 a", "192.0.98.1 b", "192.0.99.1 c"]);
}

#[test]
fn families_another_dual_pool_that_appears_moves_nobody() {
    let holder = held(
        dual("s", FamilyPolicy::PreferDual),
        &["192.0.2.7", "2001:db8::7"],
    );
    let pools = [
        pool("a", "198.51.100.0/24,2001:db8:1::/64"),
        pool("p", DUAL),
    ];
    let plan = with_pools(pools, holder);
    assert!(plan.keep.contains_key(&key("s")));
}

#[test]
fn families_when_a_dual_pool_loses_one_the_other_address_stays() {
    for (policy, refused) in [
        (FamilyPolicy::PreferDual, false),
        (FamilyPolicy::RequireDual, true),
    ] {
        let holder = held(dual("s", policy), &["192.0.2.7", "2001:db8::7"]);
        let plan = with_pools([pool("p", "192.0.2.0/24")], holder);
        assert_eq!(given(&plan, "s"), ["192.0.2.7 p"], "MetalLB clears both");
        assert_eq!(plan.refuse.contains_key(&key("s")), refused);
    }
}

#[test]
fn families_two_addresses_may_come_from_two_pools() {
    let pools = [pool("four", "192.0.2.1"), pool("six", "2001:db8::1")];
    let plan = with_pools(pools, dual("s", FamilyPolicy::RequireDual));
    assert_eq!(given(&plan, "s"), ["192.0.2.1 four", "2001:db8::1 six"]);
}

#[test]
fn sharing_a_port_number_of_another_protocol_is_another_port() {
    let sharer = |name: &str, protocol| Service {
        ports: [PortKey { protocol, port: 53 }].into(),
        ..shared(name, "k", &[])
    };
    let services = [
        sharer("a", Protocol::Tcp),
        sharer("b", Protocol::Udp),
        sharer("c", Protocol::Sctp),
        sharer("d", Protocol::Tcp),
    ];
    let plan = plan(&snapshot([pool("p", "192.0.2.1-192.0.2.2")], services));
    let got = ["a", "b", "c", "d"].map(|name| given(&plan, name).concat());
    assert_eq!(
        got,
        ["192.0.2.1 p", "192.0.2.1 p", "192.0.2.1 p", "192.0.2.2 p"]
    );
}

#[test]
fn sharing_a_key_that_changes_lets_those_who_wait_join() {
    let mut planner = Planner::default();
    let holder = |key: &str| held(shared("h", key, &[80]), &["192.0.2.1"]);
    let waiting = || shared("w", "new", &[443]);
    let before = snapshot([pool("p", "192.0.2.1")], [holder("old"), waiting()]);
    assert_eq!(refusal(planner.plan(&before), "w").0, "Exhausted");
    let after = snapshot([pool("p", "192.0.2.1")], [holder("new"), waiting()]);
    assert_eq!(given(planner.plan(&after), "w"), ["192.0.2.1 p"]);
}

#[test]
fn pool_changes_each_does_to_its_holders_what_metallb_does() {
    let base = || pool("p", "192.0.2.0/24");
    let refuge = || pool("refuge", "198.51.100.1");
    for (what, pools, at, expected) in [
        (
            "deleted",
            vec![refuge()],
            "192.0.2.1",
            "198.51.100.1 refuge",
        ),
        (
            "shrunk",
            vec![pool("p", "192.0.2.128/25")],
            "192.0.2.1",
            "192.0.2.128 p",
        ),
        (
            "renamed",
            vec![pool("new", "192.0.2.0/24"), refuge()],
            "192.0.2.1",
            "192.0.2.1 new",
        ),
        (
            "avoidBuggyIPs on",
            vec![Pool {
                avoid_buggy_ips: true,
                ..base()
            }],
            "192.0.2.0",
            "192.0.2.1 p",
        ),
        (
            "autoAssign off",
            vec![
                Pool {
                    auto_assign: false,
                    ..base()
                },
                refuge(),
            ],
            "192.0.2.1",
            "192.0.2.1 p",
        ),
        (
            "serviceAllocation excludes",
            vec![
                Pool {
                    allocation: Some(Allocation {
                        namespaces: ["other".into()].into(),
                        ..Allocation::default()
                    }),
                    ..base()
                },
                refuge(),
            ],
            "192.0.2.1",
            "198.51.100.1 refuge",
        ),
    ] {
        let mut snapshot = snapshot([], [held(service("s"), &[at])]);
        snapshot.pools = pools.into_iter().map(|p| (p.name.clone(), p)).collect();
        assert_eq!(given(&plan(&snapshot), "s"), [expected], "{what}");
    }
}

#[test]
fn release_what_a_deleted_service_had_is_free_at_once_unless_the_pool_says_otherwise() {
    let mut planner = Planner::default();
    let mut snapshot = snapshot(
        [pool("p", "192.0.2.1")],
        [held(service("gone"), &["192.0.2.1"]), service("next")],
    );
    assert_eq!(refusal(planner.plan(&snapshot), "next").0, "Exhausted");
    snapshot.services.remove(&key("gone"));
    let freed = Freed {
        holder: key("gone"),
        at: 0,
        deleted: true,
    };
    snapshot.freed.insert(ip("192.0.2.1"), freed);
    assert_eq!(given(planner.plan(&snapshot), "next"), ["192.0.2.1 p"]);
}
