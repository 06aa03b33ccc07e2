//! What happens to holders when the pools, the Services or their requests change.

use super::*;
use crate::pool::{Forbidden, Restriction};

fn lost(plan: &Plan, name: &str) -> Vec<String> {
    let moved = plan
        .assign
        .get(&key(name))
        .map(|assignment| match &assignment.change {
            Change::New | Change::Added(_) => &[][..],
            Change::Moved(lost) => lost,
        });
    let released = plan
        .release
        .get(&key(name))
        .map(|release| release.lost.as_slice());
    let lost = moved.or(released).unwrap_or_default().iter();
    lost.map(|l| format!("{}: {}", l.address, l.cause))
        .collect()
}

#[test]
fn holders_keep_their_address_whatever_younger_or_older_services_want() {
    let holder = Service {
        created: 100,
        ..holding(service("h"), &["192.0.2.1"], &["p"])
    };
    let plan = plan(&snapshot(
        [pool("p", "192.0.2.1")],
        [holder, asking("a", &["192.0.2.1"])],
    ));
    assert_eq!(given(&plan, "h"), ["192.0.2.1 p"]);
    assert_eq!(refusal(&plan, "a").0, "AddressTaken");
}

#[test]
fn auto_assign_off_and_draining_keep_their_holders_and_draining_gives_no_more() {
    for changed in [
        Pool {
            auto_assign: false,
            ..pool("p", "192.0.2.0/24")
        },
        Pool {
            draining: true,
            ..pool("p", "192.0.2.0/24")
        },
    ] {
        let holder = holding(service("h"), &["192.0.2.1"], &["p"]);
        let plan = plan(&snapshot([changed], [holder, service("new")]));
        assert!(plan.keep.contains_key(&key("h")));
        assert_eq!(refusal(&plan, "new").0, "NoPool");
    }
}

#[test]
fn a_holder_that_may_not_stay_moves_or_is_released_and_is_told_why() {
    let only = Allocation {
        namespaces: ["other".into()].into(),
        ..Allocation::default()
    };
    let selecting = Allocation {
        service_selectors: vec![Selector::labels([("app", "db")])],
        ..Allocation::default()
    };
    let base = || pool("p", "192.0.2.0/24");
    let elsewhere = || pool("elsewhere", "203.0.113.1");
    for (changed, at, why) in [
        (
            vec![Pool {
                auto_assign: false,
                ..elsewhere()
            }],
            "192.0.2.1",
            "pool p no longer exists",
        ),
        (
            vec![pool("p", "192.0.2.128/25")],
            "192.0.2.1",
            "pool p no longer contains it",
        ),
        (
            vec![Pool {
                excluded: ranges("192.0.2.1"),
                ..base()
            }],
            "192.0.2.1",
            "pool p lists it in excludedAddresses",
        ),
        (
            vec![Pool {
                avoid_buggy_ips: true,
                ..base()
            }],
            "192.0.2.0",
            "pool p has avoidBuggyIPs and the address ends in .0 or .255",
        ),
        (
            vec![Pool {
                allocation: Some(only),
                ..base()
            }],
            "192.0.2.1",
            "pool p's serviceAllocation does not admit its namespace",
        ),
        (
            vec![Pool {
                allocation: Some(selecting),
                ..base()
            }],
            "192.0.2.1",
            "pool p's serviceAllocation.serviceSelectors do not match its labels",
        ),
    ] {
        for refuge in [true, false] {
            let mut snapshot = snapshot([], [holding(service("h"), &[at], &["p"])]);
            let refuge_pool = refuge.then(|| pool("refuge", "198.51.100.1"));
            let pools = changed.iter().cloned().chain(refuge_pool);
            snapshot.pools = pools.map(|p| (p.name.clone(), p)).collect();
            if snapshot
                .pools
                .get("p")
                .is_some_and(|p| p.allocation.is_none())
            {
                snapshot.pools.get_mut("p").unwrap().auto_assign = false;
            }
            let plan = plan(&snapshot);
            assert_eq!(lost(&plan, "h"), [format!("{at}: {why}")]);
            let expected = if refuge {
                vec!["198.51.100.1 refuge"]
            } else {
                vec![]
            };
            assert_eq!(given(&plan, "h"), expected, "{why}");
            assert_eq!(plan.release.contains_key(&key("h")), !refuge, "{why}");
            assert_eq!(plan.refuse.contains_key(&key("h")), !refuge, "{why}");
        }
    }
}

#[test]
fn a_pool_that_is_renamed_split_or_merged_keeps_every_holder() {
    let holders = || {
        [
            holding(service("a"), &["192.0.2.1"], &["p"]),
            holding(service("b"), &["192.0.2.200"], &["p"]),
        ]
    };
    for pools in [
        vec![pool("renamed", "192.0.2.0/24")],
        vec![pool("low", "192.0.2.0/25"), pool("high", "192.0.2.128/25")],
        vec![pool("merged", "192.0.2.0/24,198.51.100.0/24")],
    ] {
        let mut snapshot = snapshot([], holders());
        snapshot.pools = pools.into_iter().map(|p| (p.name.clone(), p)).collect();
        let plan = plan(&snapshot);
        assert_eq!(plan.keep.len(), 2, "{:?}", snapshot.pools.keys());
        assert!(
            plan.keep[&key("a")]
                .iter()
                .all(|p| snapshot.pools.contains_key(&p.pool))
        );
    }
}

#[test]
fn a_mistake_in_a_pool_takes_no_address_away() {
    let mut snapshot = snapshot(
        [pool("other", "198.51.100.0/24")],
        [
            holding(service("h"), &["192.0.2.1"], &["p"]),
            holding(service("unknown"), &["192.0.2.2"], &[]),
            holding(service("gone"), &["192.0.2.3"], &["deleted"]),
            service("new"),
        ],
    );
    snapshot.quarantined_pools.insert("p".into());
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "h"), ["192.0.2.1 p"]);
    assert_eq!(given(&plan, "unknown"), ["192.0.2.2 p"]);
    assert_eq!(
        lost(&plan, "gone"),
        ["192.0.2.3: pool deleted no longer exists"]
    );
    assert_eq!(given(&plan, "new"), ["198.51.100.1 other"]);
}

#[test]
fn prefer_dual_gains_the_second_family_later_and_keeps_the_first() {
    let holder = || holding(dual("s", FamilyPolicy::PreferDual), &["192.0.2.7"], &["p"]);
    for (pools, expected) in [
        (vec![pool("p", "192.0.2.0/24")], vec!["192.0.2.7 p"]),
        (
            vec![
                pool("p", "192.0.2.0/24,2001:db8::/64"),
                pool("a", "2001:db8:1::/64"),
            ],
            vec!["192.0.2.7 p", "2001:db8:: p"],
        ),
        (
            vec![pool("p", "192.0.2.0/24"), pool("q", "2001:db8:1::/64")],
            vec!["192.0.2.7 p", "2001:db8:1:: q"],
        ),
    ] {
        let mut snapshot = snapshot([], [holder()]);
        snapshot.pools = pools.into_iter().map(|p| (p.name.clone(), p)).collect();
        let plan = plan(&snapshot);
        assert_eq!(given(&plan, "s"), expected);
        assert!(plan.refuse.is_empty());
        if let Some(assignment) = plan.assign.get(&key("s")) {
            let added = plan.places(&key("s"))[1].address;
            assert_eq!(assignment.change, Change::Added(vec![added]));
        }
    }
}

#[test]
fn a_family_the_service_no_longer_has_is_given_back() {
    let single = holding(service("s"), &["192.0.2.1", "2001:db8::1"], &["p"]);
    let plan = plan(&snapshot(
        [pool("p", "192.0.2.0/24,2001:db8::/64")],
        [single],
    ));
    assert_eq!(given(&plan, "s"), ["192.0.2.1 p"]);
    assert_eq!(
        lost(&plan, "s"),
        ["2001:db8::1: the Service no longer has IPv6"]
    );
}

#[test]
fn a_status_with_two_addresses_of_one_family_keeps_the_first() {
    let edited = holding(
        service("s"),
        &["192.0.2.9", "192.0.2.1", "192.0.2.9"],
        &["p"],
    );
    let plan = plan(&snapshot([pool("p", "192.0.2.0/24")], [edited]));
    assert_eq!(given(&plan, "s"), ["192.0.2.9 p"]);
    assert_eq!(
        lost(&plan, "s"),
        ["192.0.2.1: the Service already has 192.0.2.9 of the same family"]
    );
}

#[test]
fn of_two_that_cannot_share_the_one_who_disagrees_with_fewer_stays_then_the_older() {
    let together = |changed: &str| {
        let sharer = |name: &str, port: u16| {
            let group = if name == changed { "z" } else { "k" };
            let service = Service {
                created: port.into(),
                ..shared(name, group, &[port])
            };
            holding(service, &["192.0.2.1"], &["p"])
        };
        [sharer("a", 1), sharer("b", 2), sharer("c", 3)]
    };
    for changed in ["a", "b", "c"] {
        let plan = plan(&snapshot(
            [pool("p", "192.0.2.1-192.0.2.9")],
            together(changed),
        ));
        for name in ["a", "b", "c"] {
            let expected = if name == changed {
                "192.0.2.2 p"
            } else {
                "192.0.2.1 p"
            };
            assert_eq!(given(&plan, name), [expected], "{changed} changed");
        }
    }
    let old = holding(service("z-old"), &["192.0.2.1"], &["p"]);
    let young = Service {
        created: 1,
        ..holding(service("a-young"), &["192.0.2.1"], &["p"])
    };
    let plan = plan(&snapshot([pool("p", "192.0.2.1-192.0.2.9")], [old, young]));
    assert_eq!(given(&plan, "z-old"), ["192.0.2.1 p"]);
    assert_eq!(
        lost(&plan, "a-young"),
        [
            "192.0.2.1: default/z-old holds it, and the two do not have the same allow-shared-ip \
             annotation"
        ]
    );
}

#[test]
fn a_sole_holder_may_change_its_sharing_key_in_place() {
    let holder = holding(shared("s", "new", &[80]), &["192.0.2.1"], &["p"]);
    let plan = plan(&snapshot([pool("p", "192.0.2.0/24")], [holder]));
    assert!(plan.keep.contains_key(&key("s")));
}

#[test]
fn a_changed_request_moves_the_holder_when_it_can_be_met_and_only_then() {
    let pools = || [pool("p", "192.0.2.0/30"), pool("q", "198.51.100.0/30")];
    let to_pool = |name: &str| Service {
        requested_pool: Some(name.into()),
        ..service("s")
    };
    for (service, expected, refused) in [
        (asking("s", &["192.0.2.3"]), "192.0.2.3 p", None),
        (asking("s", &["192.0.2.1"]), "192.0.2.1 p", None),
        (
            asking("s", &["203.0.113.1"]),
            "192.0.2.1 p",
            Some("OutsideEveryPool"),
        ),
        (
            asking("s", &["192.0.2.2"]),
            "192.0.2.1 p",
            Some("AddressTaken"),
        ),
        (to_pool("q"), "198.51.100.0 q", None),
        (to_pool("p"), "192.0.2.1 p", None),
        (to_pool("nowhere"), "192.0.2.1 p", Some("UnknownPool")),
    ] {
        let other = holding(super::service("other"), &["192.0.2.2"], &["p"]);
        let plan = plan(&snapshot(
            pools(),
            [holding(service, &["192.0.2.1"], &["p"]), other],
        ));
        assert_eq!(given(&plan, "s"), [expected]);
        assert_eq!(plan.refuse.get(&key("s")).map(Refusal::label), refused);
    }
}

#[test]
fn two_holders_swap_and_a_third_who_wants_the_same_is_refused() {
    let wants = |name: &str, at: &str, want: &str| holding(asking(name, &[want]), &[at], &["p"]);
    let plan = plan(&snapshot(
        [pool("p", "192.0.2.0/24")],
        [
            wants("a", "192.0.2.1", "192.0.2.2"),
            wants("b", "192.0.2.2", "192.0.2.1"),
            wants("c", "192.0.2.3", "192.0.2.1"),
        ],
    ));
    assert_eq!(given(&plan, "a"), ["192.0.2.2 p"]);
    assert_eq!(given(&plan, "b"), ["192.0.2.1 p"]);
    assert_eq!(given(&plan, "c"), ["192.0.2.3 p"]);
    assert_eq!(refusal(&plan, "c").0, "AddressTaken");
    let cause = "192.0.2.1: the Service asks for another address or pool";
    assert_eq!(lost(&plan, "a"), [cause]);
}

#[test]
fn an_unreadable_request_keeps_what_is_held() {
    let broken = Service {
        unreadable_request: Some("fix it".into()),
        ..service("s")
    };
    let plan = plan(&snapshot(
        [pool("p", "192.0.2.0/24")],
        [holding(broken, &["192.0.2.1"], &["p"])],
    ));
    assert!(plan.keep.contains_key(&key("s")));
    assert_eq!(refusal(&plan, "s").0, "UnreadableRequest");
}

#[test]
fn labels_are_one_word_and_differ() {
    let pool = || "p".to_owned();
    let why = Forbidden::Buggy;
    let conflict = Conflict {
        holder: key("h"),
        kind: ConflictKind::SharingKey,
    };
    let causes = [
        Cause::PoolDeleted { pool: pool() },
        Cause::PoolShrunk { pool: pool() },
        Cause::NoPool,
        Cause::Forbidden { pool: pool(), why },
        Cause::Restricted {
            pool: pool(),
            why: Restriction::Namespace,
        },
        Cause::FamilyGone { family: Family::V4 },
        Cause::SecondOfFamily {
            kept: ip("192.0.2.1"),
        },
        Cause::Taken { conflict },
        Cause::Requested,
    ];
    let labels: BTreeSet<_> = causes.iter().map(Cause::label).collect();
    assert_eq!(labels.len(), causes.len());
    assert!(labels.iter().all(|l| l.chars().all(char::is_alphanumeric)));
}
