//! Who may lose an address when one object is edited: the Service that was edited, holders of addresses
//! that a changed reservation names, and holders whose pool was changed or deleted. Nobody else.
//!
//! Random scenes are carried out until nothing changes any more, as a running cluster stands; then one
//! object is edited, and whom that concerns is worked out here from the objects alone.

use proptest::prelude::*;

use super::properties::{
    NAMESPACES, any_address, any_pool, any_reservation, any_service, any_snapshot,
};
use super::*;
use crate::pool::Reservation;

/// One edit of one object.
#[derive(Debug, Clone)]
enum Edit {
    /// What a user writes of a Service; its status is not hers.
    Service(u8, Box<Service>),
    Deleted(u8),
    Pool(u8, Option<Box<Pool>>),
    Reservation(u8, Option<Reservation>),
    /// The labels of a Namespace.
    Labelled(bool),
    /// Another Service comes.
    Created(Box<Service>),
    /// Somebody else writes an address into the status of a Service that has none.
    Foreign(u8, IpAddr),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let number = 0u8..14;
    prop_oneof![
        8 => (number.clone(), any_service()).prop_map(|(n, s)| Edit::Service(n, Box::new(s))),
        1 => number.clone().prop_map(Edit::Deleted),
        3 => (0u8..3).prop_flat_map(|n| any_pool(n).prop_map(move |p| Edit::Pool(n, p.map(Box::new)))),
        2 => (0u8..3).prop_flat_map(|n| any_reservation(n).prop_map(move |r| Edit::Reservation(n, r))),
        2 => any::<bool>().prop_map(Edit::Labelled),
        3 => any_service().prop_map(|s| Edit::Created(Box::new(s))),
        1 => (number, any_address()).prop_map(|(n, a)| Edit::Foreign(n, a)),
    ]
}

/// The Service that is so many in the scene.
fn nth(snapshot: &Snapshot, n: u8) -> Option<ServiceKey> {
    let count = snapshot.services.len().max(1);
    snapshot
        .services
        .keys()
        .nth(usize::from(n) % count)
        .cloned()
}

/// The scene as a cluster in which nothing is left to do shows it, with what is remembered of who held
/// what together.
fn at_rest(mut snapshot: Snapshot) -> Snapshot {
    for key in snapshot.services.keys() {
        // Whatever stands in a status at first is as likely from somebody else.
        if snapshot.now % 2 == 0 {
            let held = snapshot.services[key].held.iter().copied().collect();
            snapshot.foreign.insert(key.clone(), held);
        }
    }
    for _ in 0..8 {
        let decided = plan(&snapshot);
        snapshot = applied(snapshot, &decided);
    }
    let decided = plan(&snapshot);
    let mut together: BTreeMap<IpAddr, Vec<Arc<Service>>> = BTreeMap::new();
    for service in snapshot.services.values() {
        for place in decided.places(&service.key) {
            let holders = together.entry(place.address).or_default();
            holders.push(Arc::clone(service));
        }
    }
    let is_claimed_by_several = |address: &IpAddr| {
        let services = snapshot.services.values();
        services.filter(|s| s.held.contains(address)).count() > 1
    };
    together.retain(|address, _| is_claimed_by_several(address));
    snapshot.agreed = together;
    snapshot
}

fn edited(mut snapshot: Snapshot, edit: Edit) -> Snapshot {
    match edit {
        Edit::Service(n, new) => {
            if let Some(key) = nth(&snapshot, n) {
                let old = &snapshot.services[&key];
                let service = Service {
                    key: key.clone(),
                    created: old.created,
                    held: old.held.clone(),
                    held_pools: old.held_pools.clone(),
                    ..*new
                };
                snapshot.services.insert(key, Arc::new(service));
            }
        }
        Edit::Deleted(n) => {
            if let Some(key) = nth(&snapshot, n) {
                snapshot.services.remove(&key);
                snapshot.foreign.remove(&key);
            }
        }
        Edit::Pool(n, pool) => {
            let name = format!("p{n}");
            match pool {
                Some(pool) => snapshot.pools.insert(name, *pool),
                None => snapshot.pools.remove(&name),
            };
        }
        Edit::Reservation(n, reservation) => {
            let name = format!("r{n}");
            match reservation {
                Some(reservation) => snapshot.reservations.insert(name, reservation),
                None => snapshot.reservations.remove(&name),
            };
        }
        Edit::Labelled(yes) => {
            let labels = yes.then(|| ("team".to_owned(), "a".to_owned()));
            let labels = labels.into_iter().collect();
            snapshot.namespaces.insert("other".to_owned(), labels);
        }
        Edit::Created(new) => {
            let key = ServiceKey::new(NAMESPACES[usize::from(new.created == 1)], "created");
            let service = Service {
                key: key.clone(),
                held: Vec::new(),
                ..*new
            };
            snapshot.services.insert(key, Arc::new(service));
        }
        Edit::Foreign(n, address) => {
            if let Some(key) = nth(&snapshot, n)
                && snapshot.services[&key].held.is_empty()
            {
                let mut service = Service::clone(&snapshot.services[&key]);
                service.held = vec![address];
                snapshot.services.insert(key.clone(), Arc::new(service));
                snapshot.foreign.insert(key, [address].into());
            }
        }
    }
    snapshot
}

/// Whether the edit may take this address from this Service.
fn concerns(before: &Snapshot, edit: &Edit, key: &ServiceKey, address: IpAddr) -> bool {
    let in_pool = |pool: Option<&Pool>| pool.is_some_and(|pool| pool.ranges.contains(address));
    let is_named = |reservation: Option<&Reservation>| {
        reservation.is_some_and(|reservation| reservation.addresses.contains(address))
    };
    match edit {
        Edit::Service(n, _) | Edit::Deleted(n) | Edit::Foreign(n, _) => {
            nth(before, *n).as_ref() == Some(key)
        }
        Edit::Pool(n, new) => {
            let old = before.pools.get(&format!("p{n}"));
            // Without any pool nothing was known; now it is that the address's own pool was deleted.
            let is_known_now = before.pools.is_empty();
            is_known_now || in_pool(old) || in_pool(new.as_deref())
        }
        Edit::Reservation(n, new) => {
            let old = before.reservations.get(&format!("r{n}"));
            is_named(old) || is_named(new.as_ref())
        }
        Edit::Labelled(_) | Edit::Created(_) => false,
    }
}

/// Whether the Service has what it requests, which it may move to whenever that can be had.
fn has_its_request(service: &Service, places: &[Place]) -> bool {
    let asked = &service.requested_addresses;
    let has_address = places.iter().any(|place| asked.contains(&place.address));
    let pool = service.requested_pool.as_ref();
    has_address || places.iter().any(|place| pool == Some(&place.pool))
}

fn cases() -> u32 {
    let text = std::env::var("HERALD_CASES").unwrap_or_default();
    text.parse().unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn an_edit_takes_addresses_from_nobody_it_does_not_concern(
        scene in any_snapshot(),
        edit in any_edit(),
    ) {
        let before = at_rest(scene);
        let has = plan(&before);
        let mut after = edited(before.clone(), edit.clone());
        // The first plan, and whatever follows from it.
        for _ in 0..3 {
            let decided = plan(&after);
            for (key, service) in &before.services {
                let places = has.places(key).iter().map(|place| place.address);
                let alone = has.alone.get(key).into_iter().flatten().copied();
                for address in places.chain(alone) {
                    let kept = decided.places(key).iter().any(|place| place.address == address)
                        || decided.alone.get(key).is_some_and(|alone| alone.contains(&address));
                    let moved_by_wish = has_its_request(service, decided.places(key));
                    prop_assert!(
                        kept || moved_by_wish || concerns(&before, &edit, key, address),
                        "{key} lost {address}"
                    );
                }
            }
            after = applied(after, &decided);
        }
    }
}
