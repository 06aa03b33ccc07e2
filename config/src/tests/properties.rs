//! Any objects at all: no panic, no two pools with one address, and what is quarantined might as
//! well not exist.

use herald_crds::IPReservation;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Config;

/// Mostly well-formed entries from a small space, so that they meet; sometimes any text.
fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..=255_u8, 0..=255_u8).prop_map(|(a, b)| format!("192.0.2.{a}-192.0.2.{b}")),
        2 => (0..=255_u8, 24..=32_u8).prop_map(|(a, l)| format!("192.0.2.{a}/{l}")),
        2 => (0..=15_u16, 0..=15_u16).prop_map(|(a, b)| format!("2001:db8::{a:x}-2001:db8::{b:x}")),
        1 => Just("::/0".to_owned()),
        1 => Just("0.0.0.0/0".to_owned()),
        1 => any::<String>(),
    ]
}

prop_compose! {
    fn any_pool()(
        name in "[a-e]",
        second in 0..4_u32,
        addresses in vec(entry(), 0..4),
        excluded in vec(entry(), 0..2),
        priority in any::<i32>(),
        key in any::<String>(),
        operator in prop_oneof![Just("In".to_owned()), Just("Exists".to_owned()), any::<String>()],
    ) -> IPAddressPool {
        let entries: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let mut pool = pool_at(&name, second, &entries);
        pool.spec.excluded_addresses = excluded;
        if priority % 3 == 0 {
            pool.spec.service_allocation = serde_json::from_value(json!({
                "priority": priority,
                "serviceSelectors": [{"matchExpressions": [{"key": key, "operator": operator}]}],
            })).unwrap();
        }
        pool
    }
}

prop_compose! {
    fn any_l2()(
        name in "[a-c]?",
        pools in vec("[a-g]", 0..3),
        interfaces in vec(any::<String>(), 0..3),
        weight in any::<i32>(),
    ) -> L2Advertisement {
        l2(&name, json!({
            "ipAddressPools": pools,
            "interfaces": interfaces,
            "preferredNodeSelectors": [{"weight": weight % 200, "preference": {}}],
        }))
    }
}

prop_compose! {
    fn any_reservation()(
        name in "[a-d]",
        addresses in vec(entry(), 0..3),
        service in any::<bool>(),
    ) -> IPReservation {
        let service = service.then(|| json!({"namespace": "shop", "name": "web"}));
        let spec = json!({"addresses": addresses, "service": service});
        serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }
}

prop_compose! {
    fn any_objects()(
        pools in vec(any_pool(), 0..6),
        l2_advertisements in vec(any_l2(), 0..3),
        reservations in vec(any_reservation(), 0..4),
    ) -> Objects {
        Objects { pools, l2_advertisements, reservations, ..Objects::default() }
    }
}

/// The configuration without the names of pools that are not in force.
fn in_force(config: &Config) -> Config {
    let mut config = config.clone();
    config.quarantined_pools.clear();
    for advertisement in &mut config.l2_advertisements {
        if let Some(pools) = &mut advertisement.pools {
            pools.retain(|name| config.pools.contains_key(name));
        }
    }
    config
}

proptest! {
    #[test]
    fn no_two_pools_hold_one_address(objects in any_objects()) {
        let pools = compile(&objects).config.pools;
        let mut seen: Vec<(&str, &herald_model::address::RangeSet)> = Vec::new();
        for (name, pool) in &pools {
            prop_assert!(pool.ranges.first_overlap_within().is_none(), "{name} overlaps itself");
            for (other, ranges) in &seen {
                prop_assert!(!pool.ranges.overlaps(ranges), "{name} overlaps {other}");
            }
            seen.push((name, &pool.ranges));
        }
    }

    #[test]
    fn no_two_reservations_hold_one_address(objects in any_objects()) {
        let reservations = compile(&objects).config.reservations;
        let all: Vec<_> = reservations.values().map(|r| &r.addresses).collect();
        for (i, one) in all.iter().enumerate() {
            prop_assert!(one.first_overlap_within().is_none());
            for other in &all[i + 1..] {
                prop_assert!(!one.overlaps(other));
            }
        }
    }

    #[test]
    fn without_the_quarantined_objects_the_configuration_is_the_same(objects in any_objects()) {
        let compiled = compile(&objects);
        let quarantined = |kind, name: &Option<String>| {
            let object = ObjectRef::new(kind, name.clone().unwrap_or_default());
            compiled.problems.iter().any(|p| p.quarantined && p.object == object)
        };
        let mut rest = objects.clone();
        rest.pools.retain(|pool| !quarantined("IPAddressPool", &pool.metadata.name));
        rest.reservations.retain(|r| !quarantined("IPReservation", &r.metadata.name));
        rest.l2_advertisements.retain(|ad| !quarantined("L2Advertisement", &ad.metadata.name));
        prop_assert_eq!(in_force(&compiled.config), in_force(&compile(&rest).config));
    }

    #[test]
    fn the_order_of_objects_does_not_matter(objects in any_objects()) {
        let mut reversed = objects.clone();
        reversed.pools.reverse();
        reversed.l2_advertisements.reverse();
        reversed.reservations.reverse();
        prop_assert_eq!(compile(&objects), compile(&reversed));
    }

    #[test]
    fn a_pool_is_in_force_or_has_a_quarantining_problem(objects in any_objects()) {
        let compiled = compile(&objects);
        for pool in &objects.pools {
            let name = pool.metadata.name.clone().unwrap_or_default();
            let object = ObjectRef::new("IPAddressPool", &name);
            let quarantined =
                compiled.problems.iter().any(|p| p.quarantined && p.object == object);
            prop_assert_eq!(compiled.config.pools.contains_key(&name), !quarantined);
            prop_assert_eq!(compiled.config.quarantined_pools.contains(&name), quarantined);
            prop_assert!(!compiled.verdict(&object).reason.is_empty());
        }
    }

    #[test]
    fn every_message_is_one_sentence_without_its_full_stop(objects in any_objects()) {
        for problem in compile(&objects).problems {
            prop_assert!(!problem.message.is_empty() && !problem.message.ends_with('.'));
            prop_assert!(!problem.field.is_empty());
        }
    }
}
