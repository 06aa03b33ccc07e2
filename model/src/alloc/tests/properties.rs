//! Laws of every plan, on random scenes; what is right is worked out here by going through all
//! addresses one by one.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::pool::{Quota, Reservation, Sharing, SharingScope};
use crate::ports::PortSet;
use crate::unusable::{NeverHost, Owner, Unusable};

pub(super) const NAMESPACES: [&str; 2] = ["default", "other"];

/// Pools number 0 to 2 own 192.0.N.0/24 and 2001:db8:N::/64, of which each has a small window.
pub(super) fn any_pool(number: u8) -> impl Strategy<Value = Option<Pool>> {
    let window = (0u8..6, 0u8..6, 0u8..4, any::<bool>());
    let flags = (any::<bool>(), any::<bool>(), 0u8..6, 0u8..8, any::<bool>());
    let policies = (0u8..6, 0u8..4, 0u8..5, 0u8..4, 0u8..4);
    (window, flags, policies).prop_map(move |((first, span, six, both), flags, policies)| {
        let (auto_assign, avoid_buggy_ips, restriction, drain, exclude) = flags;
        let (sharing, scope, quota, delay, ports) = policies;
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
            2 => Some(Allocation {
                namespace_selectors: vec![Selector::labels([("team", "a")])],
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
            sharing: match sharing {
                0 => Sharing::Never,
                1 | 2 => Sharing::Automatic,
                _ => Sharing::ByKey,
            },
            sharing_scope: match scope {
                0 => Some(SharingScope::Namespace),
                1 => Some(SharingScope::Cluster),
                _ => None,
            },
            quotas: any_quotas(quota),
            reuse_delay: Duration::from_secs(if delay == 0 { 5 } else { 0 }),
            retain: Duration::from_secs(if delay < 2 { 9 } else { 0 }),
            ports: match ports {
                0 => ["1-2/TCP".parse().unwrap()].into_iter().collect(),
                _ => PortSet::default(),
            },
            excluded: if exclude {
                ranges(&excluded)
            } else {
                RangeSet::default()
            },
            ..pool(&format!("p{number}"), &text)
        })
    })
}

fn any_quotas(kind: u8) -> Vec<Quota> {
    let quota = |names: &[&str], max_addresses| Quota {
        namespaces: names.iter().map(|n| (*n).to_owned()).collect(),
        max_addresses,
        ..Quota::default()
    };
    match kind {
        0 => vec![quota(&["default"], 1), quota(&["default", "other"], 2)],
        1 => vec![quota(&[], 2)],
        _ => vec![],
    }
}

/// At most one reservation in each pool's network.
pub(super) fn any_reservation(number: u8) -> impl Strategy<Value = Option<Reservation>> {
    (0u8..6, 0u8..3, 0u8..5, 0u8..5).prop_map(move |(first, span, six, who)| {
        let text = format!(
            "192.0.{number}.{first}-192.0.{number}.{},2001:db8:{number}::{six}",
            first + span
        );
        (six > 0).then(|| Reservation {
            addresses: ranges(&text),
            service: (who > 0)
                .then(|| ServiceKey::new(NAMESPACES[usize::from(who % 2)], format!("s{who}"))),
        })
    })
}

pub(super) fn any_freed() -> impl Strategy<Value = Freed> {
    (0u8..10, any::<bool>(), 0i64..20, any::<bool>()).prop_map(|(n, other, at, deleted)| Freed {
        holder: ServiceKey::new(NAMESPACES[usize::from(other)], format!("s{n}")),
        at,
        deleted,
    })
}

pub(super) fn any_address() -> impl Strategy<Value = IpAddr> {
    (0u8..4, 0u8..12, any::<bool>()).prop_map(|(pool, n, six)| {
        ip(&if six {
            format!("2001:db8:{pool}::{n}")
        } else {
            format!("192.0.{pool}.{n}")
        })
    })
}

pub(super) fn any_service() -> impl Strategy<Value = Service> {
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

/// At most one range in each pool's network, and one address of IPv6.
pub(super) fn any_unusable() -> impl Strategy<Value = Arc<Unusable>> {
    let each = (0u8..3, 0u8..8, 0u8..3, 0u8..5, 0u8..3);
    let ranges = prop::collection::vec(each, 0..3);
    ranges.prop_map(|each| {
        let claims = each
            .into_iter()
            .flat_map(|(number, first, span, six, who)| {
                let owner = match who {
                    0 => Owner::NeverHost(NeverHost::Multicast),
                    1 => Owner::Node {
                        name: "n1".into(),
                        kind: "InternalIP".into(),
                    },
                    _ => Owner::PodRange { node: "n1".into() },
                };
                let last = first + span;
                let four = format!("192.0.{number}.{first}-192.0.{number}.{last}");
                let six = (six > 0).then(|| format!("2001:db8:{number}::{six}"));
                let texts = [Some(four), six].into_iter().flatten();
                texts.map(move |text| (text.parse().unwrap(), owner.clone()))
            });
        Arc::new(Unusable::new(claims))
    })
}

prop_compose! {
    pub(super) fn any_snapshot()(
        pools in (any_pool(0), any_pool(1), any_pool(2)),
        services in prop::collection::vec(any_service(), 0..14),
        reservations in (any_reservation(0), any_reservation(1), any_reservation(2)),
        unusable in any_unusable(),
        freed in prop::collection::btree_map(any_address(), any_freed(), 0..5),
        now in 0i64..20,
        in_team in any::<bool>(),
    ) -> Snapshot {
        let team = |name: &str| {
            let labelled = in_team && name == "other";
            let team = labelled.then(|| ("team".to_owned(), "a".to_owned()));
            (name.to_owned(), team.into_iter().collect::<Labels>())
        };
        let pools = [pools.0, pools.1, pools.2].into_iter().flatten();
        let named = services.into_iter().enumerate().map(|(i, mut service)| {
            service.key = ServiceKey::new(service.key.namespace(), format!("s{i}"));
            (service.key.clone(), Arc::new(service))
        });
        Snapshot {
            pools: pools.map(|p| (p.name.clone(), p)).collect(),
            quarantined_pools: BTreeSet::new(),
            namespaces: NAMESPACES.map(team).into(),
            services: named.collect(),
            reservations: [reservations.0, reservations.1, reservations.2]
                .into_iter()
                .zip(0..)
                .filter_map(|(reservation, i)| Some((format!("r{i}"), reservation?)))
                .collect(),
            unusable,
            freed,
            now,
            ..Snapshot::default()
        }
    }
}

/// Whether no Service is given the address.
fn unusable(snapshot: &Snapshot, address: IpAddr) -> bool {
    snapshot
        .unusable
        .iter()
        .any(|(range, _)| range.contains(address))
}

/// Every address of the pool anybody may have, one by one.
pub(super) fn written_out(pool: &Pool) -> Vec<IpAddr> {
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

fn may_use(snapshot: &Snapshot, pool: &Pool, service: &Service) -> bool {
    let namespace = service.key.namespace();
    let in_team = snapshot.namespaces[namespace].contains_key("team");
    pool.allocation
        .as_ref()
        .is_none_or(|a| match a.namespace_selectors.is_empty() {
            true => a.namespaces.is_empty() || a.namespaces.contains(namespace),
            false => in_team,
        })
        && (pool.ports.is_empty() || service.ports.iter().all(|port| pool.ports.contains(*port)))
}

/// Labels of namespaces take nothing from a holder.
pub(super) fn may_keep(snapshot: &Snapshot, pool: &Pool, service: &Service) -> bool {
    let by_label = |a: &Allocation| !a.namespace_selectors.is_empty();
    may_use(snapshot, pool, service) || {
        let ports = &pool.ports;
        pool.allocation.as_ref().is_some_and(by_label)
            && (ports.is_empty() || service.ports.iter().all(|port| ports.contains(*port)))
    }
}

/// Whether the two may share this address.
pub(super) fn compatible(snapshot: &Snapshot, address: IpAddr, a: &Service, b: &Service) -> bool {
    let mut pools = snapshot.pools.values();
    let Some(pool) = pools.find(|pool| pool.ranges.contains(address)) else {
        return a.ports.is_disjoint(&b.ports);
    };
    let same_namespace = a.key.namespace() == b.key.namespace();
    let by_policy = match (pool.sharing, &a.sharing_key, &b.sharing_key) {
        (Sharing::Never, _, _) | (Sharing::ByKey, None, None) => false,
        (Sharing::ByKey | Sharing::Automatic, Some(one), Some(other)) => {
            one == other && (same_namespace || pool.sharing_scope != Some(SharingScope::Namespace))
        }
        (Sharing::Automatic, None, None) => {
            same_namespace || pool.sharing_scope == Some(SharingScope::Cluster)
        }
        (Sharing::ByKey | Sharing::Automatic, _, _) => false,
    };
    by_policy
        && reservation(snapshot, address).is_none()
        && a.backend_key == b.backend_key
        && a.ports.is_disjoint(&b.ports)
}

fn reservation(snapshot: &Snapshot, address: IpAddr) -> Option<&Reservation> {
    let mut reservations = snapshot.reservations.values();
    reservations.find(|reservation| reservation.addresses.contains(address))
}

/// Whether the address is reserved, but not for this Service.
fn reserved_for_another(snapshot: &Snapshot, address: IpAddr, key: &ServiceKey) -> bool {
    reservation(snapshot, address).is_some_and(|r| r.service.as_ref() != Some(key))
}

/// Whether an entry of `freed` keeps the Service off an address of the pool.
fn held_back(snapshot: &Snapshot, pool: &Pool, address: IpAddr, key: &ServiceKey) -> bool {
    snapshot.freed.get(&address).is_some_and(|freed| {
        let mut wait = pool.reuse_delay.as_secs();
        if freed.deleted && reservation(snapshot, address).is_none() {
            wait = wait.max(pool.retain.as_secs());
        }
        freed.holder != *key && freed.at.min(snapshot.now) + wait as i64 > snapshot.now
    })
}

/// The addresses of the pool that Services of the namespace have after the plan.
fn of_namespace(snapshot: &Snapshot, plan: &Plan, pool: &str, namespace: &str) -> BTreeSet<IpAddr> {
    let services = snapshot.services.keys();
    let places = services
        .filter(|key| key.namespace() == namespace)
        .flat_map(|key| plan.places(key));
    places
        .filter(|p| p.pool == pool)
        .map(|p| p.address)
        .collect()
}

/// The least that a quota of the pool allows the namespace.
fn allowed(pool: &Pool, namespace: &str) -> Option<u64> {
    let quotas = pool.quotas.iter();
    let named =
        |quota: &&Quota| quota.namespaces.is_empty() || quota.namespaces.contains(namespace);
    quotas.filter(named).map(|quota| quota.max_addresses).min()
}

/// Who has what after the plan.
pub(super) fn tenants<'a>(
    snapshot: &'a Snapshot,
    plan: &Plan,
) -> BTreeMap<IpAddr, Vec<&'a Service>> {
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
                let new = !service.held.contains(&place.address);
                let Some(pool) = snapshot.pools.get(&place.pool) else {
                    prop_assert!(snapshot.pools.is_empty() && !new, "{place:?} from nowhere");
                    continue;
                };
                prop_assert!(written_out(pool).contains(&place.address), "{place:?}");
                let may = if new { may_use } else { may_keep };
                prop_assert!(may(&snapshot, pool, service));
                prop_assert!(service.families.contains(&Family::of(place.address)));
                prop_assert!(!(new && pool.draining), "{place:?} from a draining pool");
                prop_assert!(!(new && unusable(&snapshot, place.address)), "{place:?} is unusable");
                let asked = service.requested_addresses.contains(&place.address)
                    || service.requested_pool.as_ref() == Some(&place.pool);
                let beside = places.iter().any(|other| other.pool == place.pool && other != place);
                let reserved = reservation(&snapshot, place.address).is_some();
                prop_assert!(!new || pool.auto_assign || asked || beside || reserved, "{place:?} not asked for");
                prop_assert!(!reserved_for_another(&snapshot, place.address, &service.key), "{place:?}");
                let has = |key: &ServiceKey| plan.places(key).contains(place);
                let joins = snapshot.services.values().any(|other| {
                    other.key != service.key && other.held.contains(&place.address)
                }) || snapshot.freed.get(&place.address).is_some_and(|freed| has(&freed.holder));
                if new && !joins {
                    prop_assert!(!held_back(&snapshot, pool, place.address, &service.key), "{place:?}");
                }
            }
            prop_assert!(families_of(places).len() == places.len(), "two of one family");
        }
        for (address, together) in tenants(&snapshot, &plan) {
            for (i, a) in together.iter().enumerate() {
                for b in &together[i + 1..] {
                    prop_assert!(compatible(&snapshot, address, a, b), "{} and {}", a.key, b.key);
                }
            }
        }
    }

    #[test]
    fn nobody_gets_a_further_address_beyond_a_quota(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        for (name, pool) in &snapshot.pools {
            for namespace in NAMESPACES {
                let mut after = of_namespace(&snapshot, &plan, name, namespace);
                after.retain(|address| reservation(&snapshot, *address).is_none());
                let services = snapshot.services.values();
                let mine = services.filter(|s| s.key.namespace() == namespace);
                let before: BTreeSet<_> = mine.flat_map(|s| s.held.iter().copied()).collect();
                let max = allowed(pool, namespace).unwrap_or(u64::MAX);
                prop_assert!(after.is_subset(&before) || after.len() as u64 <= max, "{name} {namespace}");
            }
        }
    }

    #[test]
    fn an_address_given_up_in_a_plan_with_reuse_delay_goes_to_nobody_in_the_same_plan(
        snapshot in any_snapshot(),
    ) {
        let plan = plan(&snapshot);
        let tenants = tenants(&snapshot, &plan);
        for service in snapshot.services.values() {
            for address in &service.held {
                let pool = snapshot.pools.values().find(|pool| pool.ranges.contains(*address));
                let waits = pool.is_some_and(|pool| !pool.reuse_delay.is_zero());
                let has = |s: &&Service| s.held.contains(address);
                if waits && let Some(tenants) = tenants.get(address) {
                    prop_assert!(tenants.iter().any(has), "{address} went from {}", service.key);
                }
            }
        }
    }

    #[test]
    fn nobody_is_refused_what_is_there(snapshot in any_snapshot()) {
        let plan = plan(&snapshot);
        let tenants = tenants(&snapshot, &plan);
        let left = |address: &IpAddr| {
            !tenants.contains_key(address)
                && snapshot.services.values().any(|s| s.held.contains(address))
        };
        let fits = |service: &Service, address: &IpAddr| {
            let compatible = |other: &&Service| compatible(&snapshot, *address, service, other);
            tenants.get(address).is_none_or(|t| t.iter().all(compatible))
        };
        for key in plan.refuse.keys() {
            let service = &snapshot.services[key];
            let asks = !service.requested_addresses.is_empty() || service.requested_pool.is_some();
            if asks || service.families.len() > 1
                || service.family_policy == FamilyPolicy::RequireDual {
                continue;
            }
            for pool in snapshot.pools.values() {
                if pool.auto_assign && !pool.draining && may_use(&snapshot, pool, service) {
                    let namespace = service.key.namespace();
                    let mine = of_namespace(&snapshot, &plan, &pool.name, namespace);
                    let room = allowed(pool, namespace).is_none_or(|max| (mine.len() as u64) < max);
                    let free = written_out(pool).into_iter().find(|a| {
                        // Who waits for it may be younger, and share it only from then on.
                        let has_kept = |t: &Vec<&Service>| t.iter().any(|s| s.held.contains(a));
                        let in_status = tenants.get(a).is_some_and(has_kept);
                        let waits = (!in_status && held_back(&snapshot, pool, *a, key))
                            || (left(a) && !pool.reuse_delay.is_zero());
                        Family::of(*a) == service.families[0] && fits(service, a)
                            && (room || mine.contains(a))
                            && !reserved_for_another(&snapshot, *a, key) && !waits
                            && !unusable(&snapshot, *a)
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
                other.key != service.key
                    && other.held.contains(&held)
                    && !compatible(&snapshot, held, service, other)
            });
            let asks = !service.requested_addresses.is_empty() || service.requested_pool.is_some();
            let legal = service.families.contains(&Family::of(held))
                && !reserved_for_another(&snapshot, held, &service.key)
                && snapshot.pools.values().any(|pool| {
                    written_out(pool).contains(&held) && may_keep(&snapshot, pool, service)
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
            let mut all = written_out(pool);
            all.retain(|a| tenants.contains_key(a) || !unusable(&snapshot, *a));
            let left = |a: &IpAddr| {
                !pool.reuse_delay.is_zero()
                    && snapshot.services.values().any(|s| s.held.contains(a))
            };
            let nobody = ServiceKey::new("", "");
            let of = |family: Family| {
                let mine = all.iter().filter(|a| Family::of(**a) == family);
                let (used, rest): (Vec<&IpAddr>, Vec<&IpAddr>) =
                    mine.partition(|a| tenants.contains_key(*a));
                let (reserved, rest): (Vec<&IpAddr>, Vec<&IpAddr>) =
                    rest.into_iter().partition(|a| reservation(&snapshot, **a).is_some());
                let (waiting, free): (Vec<&IpAddr>, Vec<&IpAddr>) = rest
                    .into_iter()
                    .partition(|a| {
                        // An entry about an address that is held when the plan begins says nothing.
                        let bound = held_back(&snapshot, pool, **a, &nobody);
                        left(a) || (bound && !plan.expired.contains(*a))
                    });
                [used, free, waiting, reserved].map(|part| part.len() as i64)
            };
            let c = plan.counts[name];
            let four = [c.assigned_ipv4, c.available_ipv4, c.retained_ipv4, c.reserved_ipv4];
            let six = [c.assigned_ipv6, c.available_ipv6, c.retained_ipv6, c.reserved_ipv6];
            prop_assert_eq!(four, of(Family::V4));
            prop_assert_eq!(six, of(Family::V6));
            prop_assert_eq!(four.iter().sum::<i64>(), c.capacity_ipv4);
            prop_assert_eq!(six.iter().sum::<i64>(), c.capacity_ipv6);
            let in_pool = |address: &IpAddr| all.contains(address);
            let ports: usize = tenants
                .iter()
                .filter(|(address, _)| in_pool(address) && !pool.ports.is_empty())
                .flat_map(|(_, tenants)| tenants.iter().map(|s| s.ports.len()))
                .sum();
            prop_assert_eq!(c.ports_taken, ports as i64);
            let by_address: BTreeMap<IpAddr, u32> = tenants
                .iter()
                .filter(|(address, _)| in_pool(address))
                .map(|(address, tenants)| {
                    (*address, tenants.iter().map(|s| s.ports.len() as u32).sum())
                })
                .collect();
            let wanted = (!pool.ports.is_empty()).then_some(&by_address);
            prop_assert_eq!(plan.ports_taken.get(name), wanted);
            prop_assert_eq!(c.ports_capacity, all.len() as i64 * i64::from(pool.ports.count()));
        }
    }

    #[test]
    fn a_plan_carried_out_takes_nothing_away_the_next_time(first in any_snapshot()) {
        let mut snapshot = first;
        let first_freed = snapshot.freed.clone();
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
        for (key, assignment) in after.assign.iter().filter(|(key, _)| !asks(key)) {
            prop_assert!(!matches!(assignment.change, Change::Moved(_)), "{key} moved again");
        }
        // One who was refused for a quota, or for who waits, may join who got the address since.
        let may_join = !snapshot.freed.is_empty()
            || !first_freed.is_empty()
            || snapshot.pools.values().any(|pool| !pool.quotas.is_empty());
        if !snapshot.services.keys().any(asks) && !may_join {
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
        let mut ledger = Ledger::new(&pools, &BTreeMap::new(), &Arc::default());
        for n in 0..65_000u32 {
            let service = Arc::new(service(&format!("s{n}")));
            let pick = ledger.pick("p", Family::V4, &service, true);
            assert!(pick.steps <= 4, "{} steps at {n}", pick.steps);
            ledger.hold(&service, pick.address.unwrap()).unwrap();
        }
        ledger.release(&key("s40000"), ledger_address(&ledger, "s40000"));
        let pick = ledger.pick("p", Family::V4, &service("new"), true);
        assert!(pick.address.is_some() && pick.steps <= 4);
    }
}

fn ledger_address(ledger: &Ledger, name: &str) -> IpAddr {
    let mut all = (0..65_536u32).map(|n| IpAddr::from((0x0a01_0000 + n).to_be_bytes()));
    all.find(|a| {
        ledger
            .conflict(&service("other"), *a)
            .is_some_and(|c| c.holder == key(name))
    })
    .unwrap()
}
