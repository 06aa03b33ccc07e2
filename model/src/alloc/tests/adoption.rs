//! Addresses that Services have when Herald first sees them, and pools that are gone for a moment.

use proptest::prelude::*;

use super::properties::any_snapshot;
use super::*;

/// A Service that has these addresses from somebody else.
fn foreign(snapshot: &mut Snapshot, name: &str, addresses: &[&str]) {
    let addresses = addresses.iter().map(|a| ip(a)).collect();
    snapshot.foreign.insert(key(name), addresses);
}

fn alone(plan: &Plan, name: &str) -> Vec<String> {
    let addresses = plan.alone.get(&key(name)).into_iter().flatten();
    addresses.map(ToString::to_string).collect()
}

#[test]
fn an_address_from_somebody_else_is_adopted_where_a_pool_can_hold_it() {
    let mut snapshot = snapshot(
        [pool("p", "192.0.2.0/24")],
        [holding(service("s"), &["192.0.2.7"], &[]), service("new")],
    );
    foreign(&mut snapshot, "s", &["192.0.2.7"]);
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "s"), ["192.0.2.7 p"]);
    assert!(plan.keep.contains_key(&key("s")) && plan.alone.is_empty() && plan.refuse.is_empty());
}

#[test]
fn an_address_that_no_pool_can_hold_is_left_alone_and_told_and_given_to_nobody() {
    let only = |namespace: &str| Allocation {
        namespaces: [namespace.to_owned()].into(),
        ..Allocation::default()
    };
    let base = || pool("p", "192.0.2.7-192.0.2.8");
    let cases = [
        (vec![], "no pool contains it"),
        (vec![pool("p", "198.51.100.0/24")], "no pool contains it"),
        (
            vec![Pool {
                excluded: ranges("192.0.2.7"),
                ..base()
            }],
            "pool p lists it in excludedAddresses",
        ),
        (
            vec![Pool {
                allocation: Some(only("other")),
                ..base()
            }],
            "pool p's serviceAllocation does not admit its namespace",
        ),
    ];
    for (pools, why) in cases {
        let mut other = service("new");
        other.key = ServiceKey::new("other", "new");
        other.requested_addresses = vec![ip("192.0.2.7")];
        let holder = holding(service("s"), &["192.0.2.7"], &[]);
        let mut snapshot = snapshot([], [holder, other]);
        snapshot.pools = pools.into_iter().map(|p| (p.name.clone(), p)).collect();
        foreign(&mut snapshot, "s", &["192.0.2.7"]);
        let plan = plan(&snapshot);
        assert_eq!(alone(&plan, "s"), ["192.0.2.7"], "{why}");
        assert!(plan.assign.is_empty() && plan.release.is_empty(), "{why}");
        let (label, sentence) = refusal(&plan, "s");
        assert_eq!(label, "NotAdopted");
        assert!(sentence.contains(why), "{sentence}");
        let other = ServiceKey::new("other", "new");
        assert!(plan.refuse.contains_key(&other), "{why}: given twice");
    }
}

#[test]
fn one_family_is_adopted_and_the_other_left_alone() {
    let both = ["192.0.2.7", "2001:db8::7"];
    let service = holding(dual("s", FamilyPolicy::RequireDual), &both, &[]);
    let mut snapshot = snapshot([pool("p", "192.0.2.0/24,2001:db8:1::/64")], [service]);
    foreign(&mut snapshot, "s", &both);
    let before = plan(&snapshot);
    assert_eq!(given(&before, "s"), ["192.0.2.7 p"]);
    assert_eq!(alone(&before, "s"), ["2001:db8::7"]);
    let after = plan(&applied(snapshot, &before));
    assert_eq!(after.alone, before.alone);
}

#[test]
fn a_service_leaves_an_address_from_somebody_else_for_one_it_requests() {
    let service = holding(asking("s", &["192.0.2.9"]), &["203.0.113.1"], &[]);
    let mut snapshot = snapshot([pool("p", "192.0.2.0/24")], [service]);
    foreign(&mut snapshot, "s", &["203.0.113.1"]);
    let before = plan(&snapshot);
    assert_eq!(given(&before, "s"), ["192.0.2.9 p"]);
    assert!(before.alone.is_empty());
    snapshot.pools.clear();
    assert_eq!(alone(&plan(&snapshot), "s"), ["203.0.113.1"]);
}

#[test]
fn a_holder_of_ours_goes_before_one_from_somebody_else() {
    let mut snapshot = snapshot(
        [pool("p", "192.0.2.0/24")],
        [
            holding(service("a"), &["192.0.2.7"], &[]),
            Service {
                created: 9,
                ..holding(service("b"), &["192.0.2.7"], &["p"])
            },
        ],
    );
    foreign(&mut snapshot, "a", &["192.0.2.7"]);
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "b"), ["192.0.2.7 p"]);
    assert_eq!(alone(&plan, "a"), ["192.0.2.7"]);
}

#[test]
fn without_any_pool_in_force_nothing_is_taken() {
    let with_mark = holding(service("a"), &["192.0.2.7"], &["p"]);
    let without = holding(service("b"), &["192.0.2.8"], &[]);
    let plan = plan(&snapshot([], [with_mark, without, service("new")]));
    assert_eq!(given(&plan, "a"), ["192.0.2.7 p"]);
    assert!(plan.assign.is_empty() && plan.release.is_empty());
    assert_eq!(refusal(&plan, "new").0, "NoPool");
}

#[test]
fn a_pool_that_was_deleted_a_moment_ago_keeps_its_holders() {
    let holder = || holding(service("s"), &["192.0.2.7"], &["p"]);
    let mut snapshot = snapshot([pool("other", "198.51.100.0/24")], [holder()]);
    snapshot.suspended_pools.insert("p".to_owned());
    assert_eq!(given(&plan(&snapshot), "s"), ["192.0.2.7 p"]);
    snapshot.suspended_pools.clear();
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "s"), ["198.51.100.0 other"]);
}

#[test]
fn labels_of_a_namespace_decide_who_gets_an_address_and_take_none() {
    let allocation = Allocation {
        namespace_selectors: vec![Selector::labels([("team", "a")])],
        ..Allocation::default()
    };
    let restricted = Pool {
        allocation: Some(allocation),
        ..pool("p", "192.0.2.0/24")
    };
    let holder = holding(service("s"), &["192.0.2.7"], &["p"]);
    let plan = plan(&snapshot([restricted], [holder, service("new")]));
    assert!(plan.keep.contains_key(&key("s")));
    assert_eq!(refusal(&plan, "new").0, "NoPool");
}

#[test]
fn a_service_that_is_a_load_balancer_again_gets_the_address_it_had_if_that_is_free() {
    let again = || Service {
        last_addresses: vec![ip("192.0.2.7")],
        ..service("s")
    };
    let pools = || [pool("p", "192.0.2.0/24")];
    let free = plan(&snapshot(pools(), [again(), service("a")]));
    assert_eq!(given(&free, "s"), ["192.0.2.7 p"]);
    let holder = holding(service("h"), &["192.0.2.7"], &["p"]);
    let held = plan(&snapshot(pools(), [again(), holder]));
    assert_eq!(given(&held, "s"), ["192.0.2.0 p"]);
    let elsewhere = plan(&snapshot([pool("p", "198.51.100.0/24")], [again()]));
    assert_eq!(given(&elsewhere, "s"), ["198.51.100.0 p"]);
}

/// `old` and `young` hold an address together; `old` is edited in each of these ways (case A1).
#[test]
fn of_those_who_share_the_one_that_changed_gives_way() {
    let was = |name: &str, port: u16| {
        let service = Service {
            created: port.into(),
            ..shared(name, "dns", &[port])
        };
        holding(service, &["192.0.2.200"], &["p"])
    };
    let (old, young) = (was("old", 53), was("young", 54));
    let edits = [
        Service {
            backend_key: "app=dns".into(),
            ..old.clone()
        },
        Service {
            ports: young.ports.clone(),
            ..old.clone()
        },
        Service {
            sharing_key: None,
            ..old.clone()
        },
        Service {
            sharing_key: Some("other".into()),
            ..old.clone()
        },
    ];
    for edited in edits {
        // A harmless edit of the other one, made while nobody looked, is no fault.
        let more = shared("young", "dns", &[54, 99]).ports;
        for ports in [young.ports.clone(), more] {
            let untouched = Service {
                ports,
                ..young.clone()
            };
            let both = [edited.clone(), untouched];
            let mut snapshot = snapshot([pool("p", "192.0.2.0/24")], both);
            let agreed = [&old, &young].map(|s| Arc::new(s.clone()));
            snapshot.agreed.insert(ip("192.0.2.200"), agreed.into());
            let plan = plan(&snapshot);
            assert_eq!(given(&plan, "young"), ["192.0.2.200 p"], "{edited:?}");
            assert_ne!(given(&plan, "old"), ["192.0.2.200 p"], "{edited:?}");
        }
    }
}

#[test]
fn the_one_that_changed_waits_when_it_asks_for_the_address() {
    let young = Service {
        created: 9,
        ..holding(shared("young", "dns", &[54]), &["192.0.2.200"], &["p"])
    };
    let old = holding(shared("old", "dns", &[53]), &["192.0.2.200"], &["p"]);
    let edited = Service {
        ports: young.ports.clone(),
        requested_addresses: vec![ip("192.0.2.200")],
        ..old.clone()
    };
    let mut snapshot = snapshot([pool("p", "192.0.2.0/24")], [edited, young.clone()]);
    let agreed = vec![Arc::new(old), Arc::new(young)];
    snapshot.agreed.insert(ip("192.0.2.200"), agreed);
    let plan = plan(&snapshot);
    assert_eq!(given(&plan, "young"), ["192.0.2.200 p"]);
    assert!(given(&plan, "old").is_empty());
    assert_eq!(refusal(&plan, "old").0, "AddressTaken");
}

#[test]
fn two_that_ask_for_each_others_address_swap_whatever_rests_in_the_pool() {
    let wants = |name: &str, at: &str, want: &str| holding(asking(name, &[want]), &[at], &["p"]);
    let rests = Pool {
        reuse_delay: std::time::Duration::from_secs(300),
        ..pool("p", "192.0.2.0/24")
    };
    for pool in [pool("p", "192.0.2.0/24"), rests] {
        let plan = plan(&snapshot(
            [pool],
            [
                wants("a", "192.0.2.1", "192.0.2.2"),
                wants("b", "192.0.2.2", "192.0.2.1"),
            ],
        ));
        assert_eq!(given(&plan, "a"), ["192.0.2.2 p"]);
        assert_eq!(given(&plan, "b"), ["192.0.2.1 p"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_service_has_at_first_sight_is_never_taken_nor_given_to_another(scene in any_snapshot()) {
        let mut snapshot = scene;
        for (key, service) in &snapshot.services {
            let held = service.held.iter().copied().collect();
            snapshot.foreign.insert(key.clone(), held);
        }
        let plan = plan(&snapshot);
        let has = |key: &ServiceKey, address: &IpAddr| {
            plan.places(key).iter().any(|place| place.address == *address)
                || plan.alone.get(key).is_some_and(|alone| alone.contains(address))
        };
        for (key, service) in &snapshot.services {
            let asked = &service.requested_addresses;
            let mut places = plan.places(key).iter();
            let moved_by_wish = places.any(|place| {
                asked.contains(&place.address) || service.requested_pool.as_ref() == Some(&place.pool)
            });
            for address in &service.held {
                prop_assert!(has(key, address) || moved_by_wish, "{key} lost {address}");
            }
        }
        for (key, addresses) in &plan.alone {
            // One who was adopted on it may be joined.
            let is_adopted = |address: &&IpAddr| {
                let holders = snapshot.services.values().filter(|s| s.held.contains(address));
                holders.flat_map(|s| plan.places(&s.key)).any(|place| place.address == **address)
            };
            for address in addresses.iter().filter(|address| !is_adopted(address)) {
                let others = snapshot.services.values().filter(|other| other.key != *key);
                for other in others.filter(|other| !other.held.contains(address)) {
                    prop_assert!(!has(&other.key, address), "{address} was given to {}", other.key);
                }
            }
        }
    }
}
