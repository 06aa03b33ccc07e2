//! Laws of every plan, on random scenes; what is right is worked out here by going through all
//! addresses one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NAMESPACES: [&str; 2] = ["default", "other"];

/// Pools number 0 to 2 own 192.0.N.0/24 and 2001:db8:N::/64, of which each has a small window.
fn any_pool(number: u8) -> impl Strategy<Value = Option<Pool>> {
    let window = (0u8..6, 0u8..6, 0u8..4, any::<bool>());
    let flags = (any::<bool>(), any::<bool>(), 0u8..6, 0u8..8, any::<bool>());
    (window, flags).prop_map(move |((first, span, six, both), flags)| {
        let (auto_assign, avoid_buggy_ips, restriction, drain, exclude) = flags;
        let last = first + span;
        let mut text = format!("192.0.{number}.{first}-192.0.{number}.{last}");
        if both {
            text.push_str(&format!(
                ",2001:db8:{number}::1-2001:db8:{number}::{}",
                six + 1
            ));
        }
        let excluded = format!("192.0.{number}.{last}");
        let allocation = match restriction {
            0 => Some(Allocation {
                namespaces: ["other".into()].into(),
                ..Allocation::default()
            }),
            1 => Some(Allocation {
                priority: u32::from(number),
                ..Allocation::default()
            }),
            _ => None,
        };
        (restriction != 5).then(|| Pool {
            auto_assign: auto_assign || restriction == 3,
            avoid_buggy_ips,
            allocation,
            draining: drain == 0,
            excluded: if exclude {
                ranges(&excluded)
            } else {
                RangeSet::default()
            },
            ..pool(&format!("p{number}"), &text)
        })
    })
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    (0u8..4, 0u8..12, any::<bool>()).prop_map(|(pool, n, six)| {
        ip(&if six {
            format!("2001:db8:{pool}::{n}")
        } else {
            format!("192.0.{pool}.{n}")
        })
    })
}

fn any_service() -> impl Strategy<Value = Service> {
    let families = (0u8..4, 0u8..3);
    let sharing = (0u8..4, 0u16..3, any::<bool>());
    let wishes = (
        prop::option::weighted(0.2, any_address()),
        prop::option::weighted(0.1, 0u8..4),
    );
    let held = prop::collection::vec(any_address(), 0..3);
    (families, sharing, wishes, held, 0i64..3, any::<bool>()).prop_map(
        |((families, policy), (group, port, local), (address, from), held, created, other)| {
            let families = match families {
                0 => vec![Family::V4],
                1 => vec![Family::V6],
                2 => vec![Family::V4, Family::V6],
                _ => vec![Family::V6, Family::V4],
            };
            let family_policy = match (families.len(), policy) {
                (1, 0 | 1) => FamilyPolicy::Single,
                (_, 2) => FamilyPolicy::RequireDual,
                (_, _) => FamilyPolicy::PreferDual,
            };
            let namespace = NAMESPACES[usize::from(other)];
            let service = shared("x", &format!("k{group}"), &[port]);
            Service {
                key: ServiceKey::new(namespace, "x"),
                sharing_key: service.sharing_key.filter(|_| group > 1),
                backend_key: if local { "app=x".into() } else { String::new() },
                requested_addresses: address.into_iter().collect(),
                requested_pool: from.map(|n| format!("p{n}")),
                created,
                families,
                family_policy,
                held,
                ..service
            }
        },
    )
}

prop_compose! {
    fn any_snapshot()(
        pools in (any_pool(0), any_pool(1), any_pool(2)),
        services in prop::collection::vec(any_service(), 0..14),
    ) -> Snapshot {
        let pools = [pools.0, pools.1, pools.2].into_iter().flatten();
        let named = services.into_iter().enumerate().map(|(i, mut service)| {
            service.key.name = format!("s{i}");
            (service.key.clone(), Arc::new(service))
        });
        Snapshot {
            pools: pools.map(|p| (p.name.clone(), p)).collect(),
            quarantined_pools: BTreeSet::new(),
            namespaces: NAMESPACES.map(|n| (n.to_owned(), Labels::new())).into(),
            services: named.collect(),
            ..Snapshot::default()
        }
    }
}

/// Every address of the pool anybody may have, one by one.
fn written_out(pool: &Pool) -> Vec<IpAddr> {
    let numbers = |r: &AddressRange| {
        let (first, last) = r.numbers();
        (first..=last)
            .map(|n| r.family().address(n))
            .collect::<Vec<_>>()
    };
    let all = pool.ranges.iter().flat_map(numbers);
    let bad = |a: &IpAddr| {
        a.is_ipv4() && (a.to_string().ends_with(".0") || a.to_string().ends_with(".255"))
    };
    all.filter(|a| !(pool.excluded.contains(*a) || (pool.avoid_buggy_ips && bad(a))))
        .collect()
}

fn may_use(pool: &Pool, service: &Service) -> bool {
    let namespaces = pool.allocation.as_ref().map(|a| &a.namespaces);
    namespaces.is_none_or(|n| n.is_empty() || n.contains(&service.key.namespace))
}

fn compatible(a: &Service, b: &Service) -> bool {
    a.sharing_key.is_some()
        && a.sharing_key == b.sharing_key
        && a.backend_key == b.backend_key
        && a.ports.is_disjoint(&b.ports)
}

/// Who has what after the plan.
fn tenants<'a>(snapshot: &'a Snapshot, plan: &Plan) -> BTreeMap<IpAddr, Vec<&'a Service>> {
    let mut tenants: BTreeMap<IpAddr, Vec<&Service>> = BTreeMap::new();
    for service in snapshot.services.values() {
        for place in plan.places(&service.key) {
            tenants
                .entry(place.address)
                .or_default()
                .push(service.as_ref());
        }
    }
    tenants
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn everything_given_is_permitted(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        for service in snapshot.services.values() {
            let places = plan.places(&service.key);
            for place in places {
                let pool = &snapshot.pools[&place.pool];
                prop_assert!(written_out(pool).contains(&place.address), "{place:?}");
                prop_assert!(may_use(pool, service));
                prop_assert!(service.families.contains(&Family::of(place.address)));
                let new = !service.held.contains(&place.address);
                prop_assert!(!(new && pool.draining), "{place:?} from a draining pool");
                let asked = service.requested_addresses.contains(&place.address)
                    || service.requested_pool.as_ref() == Some(&place.pool);
                let beside = places.iter().any(|other| other.pool == place.pool && other != place);
                prop_assert!(!new || pool.auto_assign || asked || beside, "{place:?} not asked for");
            }
            prop_assert!(families_of(places).len() == places.len(), "two of one family");
        }
        for together in tenants(&snapshot, &plan).values() {
            for (i, a) in together.iter().enumerate() {
                for b in &together[i + 1..] {
                    prop_assert!(compatible(a, b), "{} and {}", a.key, b.key);
                }
            }
        }
    }

    #[test]
    fn nobody_is_refused_what_is_there(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        let tenants = tenants(&snapshot, &plan);
        let fits = |service: &Service, address: &IpAddr| {
            tenants.get(address).is_none_or(|t| t.iter().all(|other| compatible(service, other)))
        };
        for key in plan.refuse.keys() {
            let service = &snapshot.services[key];
            let asks = !service.requested_addresses.is_empty() || service.requested_pool.is_some();
            if asks || service.families.len() > 1
                || service.family_policy == FamilyPolicy::RequireDual {
                continue;
            }
            for pool in snapshot.pools.values() {
                if pool.auto_assign && !pool.draining && may_use(pool, service) {
                    let free = written_out(pool).into_iter().find(|a| {
                        Family::of(*a) == service.families[0] && fits(service, a)
                    });
                    prop_assert_eq!(free, None, "{} was refused", key);
                }
            }
        }
    }

    #[test]
    fn who_may_stay_and_does_not_ask_to_leave_stays(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        for service in snapshot.services.values() {
            let &[held] = service.held.as_slice() else { continue };
            let disputed = snapshot.services.values().any(|other| {
                other.key != service.key && other.held.contains(&held) && !compatible(service, other)
            });
            let asks = !service.requested_addresses.is_empty() || service.requested_pool.is_some();
            let legal = service.families.contains(&Family::of(held))
                && snapshot.pools.values().any(|pool| {
                    written_out(pool).contains(&held) && may_use(pool, service)
                });
            if legal && !disputed && !asks {
                let places = plan.places(&service.key);
                prop_assert!(places.iter().any(|p| p.address == held), "{}", service.key);
            }
        }
    }

    #[test]
    fn every_service_has_exactly_one_outcome_and_counts_equal_counting(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        for (key, service) in &snapshot.services {
            let outcomes = [
                plan.assign.contains_key(key),
                plan.keep.contains_key(key),
                plan.release.contains_key(key),
            ];
            let n = outcomes.iter().filter(|o| **o).count();
            let nothing = service.held.is_empty() && plan.refuse.contains_key(key);
            prop_assert_eq!(n, usize::from(!nothing || n == 1), "{}", key);
            if let Some(release) = plan.release.get(key) {
                prop_assert!(!release.lost.is_empty());
                prop_assert!(plan.refuse.contains_key(key), "{} released without a word", key);
            }
        }
        let tenants = tenants(&snapshot, &plan);
        for (name, pool) in &snapshot.pools {
            let all = written_out(pool);
            let of = |family: Family| {
                let mine = all.iter().filter(|a| Family::of(**a) == family);
                let (used, free): (Vec<&IpAddr>, Vec<&IpAddr>) = mine.partition(|a| tenants.contains_key(*a));
                (used.len() as i64, free.len() as i64)
            };
            let c = plan.counts[name];
            prop_assert_eq!((c.assigned_ipv4, c.available_ipv4), of(Family::V4));
            prop_assert_eq!((c.assigned_ipv6, c.available_ipv6), of(Family::V6));
        }
    }

    #[test]
    fn a_plan_carried_out_takes_nothing_away_the_next_time(first in any_snapshot()) {
        let mut snapshot = first;
        let before = plan(&snapshot);
        snapshot = applied(snapshot, &before);
        let after = plan(&snapshot);
        let asks = |key: &ServiceKey| {
            let service = &snapshot.services[key];
            !service.requested_addresses.is_empty() || service.requested_pool.is_some()
        };
        for key in snapshot.services.keys().filter(|key| !asks(key)) {
            for place in before.places(key) {
                prop_assert!(after.places(key).contains(place), "{key} lost {place:?}");
            }
        }
        if !snapshot.services.keys().any(asks) {
            prop_assert!(after.assign.is_empty() && after.release.is_empty());
        }
    }
}

#[test]
fn a_full_sixteen_is_searched_in_a_few_steps_also_without_buggy_addresses() {
    for avoid_buggy_ips in [false, true] {
        let pools = [Pool {
            avoid_buggy_ips,
            ..pool("p", "10.1.0.0/16")
        }];
        let pools: BTreeMap<_, _> = pools.map(|p| (p.name.clone(), p)).into();
        let mut ledger = Ledger::new(&pools);
        for n in 0..65_000u32 {
            let service = service(&format!("s{n}"));
            let pick = ledger.pick("p", Family::V4, &service);
            assert!(pick.steps <= 4, "{} steps at {n}", pick.steps);
            ledger.hold(&service, pick.address.unwrap()).unwrap();
        }
        ledger.release(&service("s40000"), ledger_address(&ledger, "s40000"));
        let pick = ledger.pick("p", Family::V4, &service("new"));
        assert!(pick.address.is_some() && pick.steps <= 4);
    }
}

fn ledger_address(ledger: &Ledger<'_>, name: &str) -> IpAddr {
    let mut all = (0..65_536u32).map(|n| IpAddr::from((0x0a01_0000 + n).to_be_bytes()));
    all.find(|a| {
        ledger
            .conflict(&service("other"), *a)
            .is_some_and(|c| c.holder == key(name))
    })
    .unwrap()
}
