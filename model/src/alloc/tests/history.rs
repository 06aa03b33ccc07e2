//! A planner that has seen any history says what a planner that has seen nothing says.

use proptest::prelude::*;

use super::properties::{
    NAMESPACES, any_address, any_freed, any_pool, any_reservation, any_service, any_snapshot,
    any_unusable,
};
use super::*;
use crate::pool::Reservation;
use crate::unusable::Unusable;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    /// A Service appears or changes.
    Service(u8, Box<Service>),
    /// The same Service is seen again in another version.
    Touched(u8),
    /// It wishes for something else, or has another port, age or family, and holds what it held.
    Changed(u8, Box<Service>),
    Deleted(u8),
    /// The plan is carried out.
    Applied,
    /// Only one of its writes is.
    AppliedTo(u8),
    Pool(u8, Option<Box<Pool>>),
    Reservation(u8, Option<Reservation>),
    Freed(IpAddr, Option<Freed>),
    Unusable(Arc<Unusable>),
    /// The same addresses, told anew.
    UnusableTold,
    Quarantined(bool),
    /// The pool was deleted a moment ago, or is forgotten.
    Suspended(u8, bool),
    /// What the Service holds is from somebody else.
    Foreign(u8),
    Labelled(bool),
    Time(i64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let number = 0u8..14;
    prop_oneof![
        6 => (number.clone(), any_service()).prop_map(|(n, s)| Event::Service(n, Box::new(s))),
        2 => number.clone().prop_map(Event::Touched),
        4 => (number.clone(), any_service()).prop_map(|(n, s)| Event::Changed(n, Box::new(s))),
        3 => number.clone().prop_map(Event::Deleted),
        4 => Just(Event::Applied),
        4 => number.prop_map(Event::AppliedTo),
        1 => (0u8..3).prop_flat_map(|n| any_pool(n).prop_map(move |p| Event::Pool(n, p.map(Box::new)))),
        1 => (0u8..3).prop_flat_map(|n| any_reservation(n).prop_map(move |r| Event::Reservation(n, r))),
        2 => (any_address(), prop::option::of(any_freed())).prop_map(|(a, f)| Event::Freed(a, f)),
        2 => any_unusable().prop_map(Event::Unusable),
        1 => Just(Event::UnusableTold),
        1 => any::<bool>().prop_map(Event::Quarantined),
        1 => (0u8..3, any::<bool>()).prop_map(|(n, yes)| Event::Suspended(n, yes)),
        2 => (0u8..14).prop_map(Event::Foreign),
        1 => any::<bool>().prop_map(Event::Labelled),
        2 => (0i64..30).prop_map(Event::Time),
    ]
}

fn numbered(n: u8) -> ServiceKey {
    ServiceKey::new(NAMESPACES[usize::from(n % 2)], format!("s{n}"))
}

/// What the snapshot is after it.
fn after(mut snapshot: Snapshot, event: Event, plan: &Plan) -> Snapshot {
    match event {
        Event::Service(n, service) => {
            let key = numbered(n);
            let service = Service {
                key: key.clone(),
                ..*service
            };
            snapshot.services.insert(key, Arc::new(service));
        }
        Event::Touched(n) => {
            if let Some(service) = snapshot.services.get_mut(&numbered(n)) {
                *service = Arc::new(Service::clone(service));
            }
        }
        Event::Changed(n, other) => {
            if let Some(service) = snapshot.services.get_mut(&numbered(n)) {
                let was = Service::clone(service);
                *service = Arc::new(match other.created {
                    0 => Service {
                        families: other.families,
                        family_policy: other.family_policy,
                        ..was
                    },
                    1 => Service {
                        requested_addresses: other.requested_addresses,
                        requested_pool: other.requested_pool,
                        ..was
                    },
                    _ => Service {
                        ports: other.ports,
                        sharing_key: other.sharing_key,
                        backend_key: other.backend_key,
                        created: was.created + 1,
                        ..was
                    },
                });
            }
        }
        Event::Deleted(n) => {
            if let Some(service) = snapshot.services.remove(&numbered(n)) {
                let freed = Freed {
                    holder: service.key.clone(),
                    at: snapshot.now,
                    deleted: true,
                };
                let held = service.held.iter().map(|a| (*a, freed.clone()));
                snapshot.freed.extend(held);
            }
        }
        Event::Applied => return applied(snapshot, plan),
        Event::AppliedTo(n) => {
            let places = plan.places(&numbered(n));
            if let Some(service) = snapshot.services.get_mut(&numbered(n)) {
                Arc::make_mut(service).held = places.iter().map(|p| p.address).collect();
            }
        }
        Event::Pool(n, pool) => {
            let name = format!("p{n}");
            match pool {
                Some(pool) => snapshot.pools.insert(name, *pool),
                None => snapshot.pools.remove(&name),
            };
        }
        Event::Reservation(n, reservation) => {
            let name = format!("r{n}");
            match reservation {
                Some(reservation) => snapshot.reservations.insert(name, reservation),
                None => snapshot.reservations.remove(&name),
            };
        }
        Event::Freed(address, freed) => {
            match freed {
                Some(freed) => snapshot.freed.insert(address, freed),
                None => snapshot.freed.remove(&address),
            };
        }
        Event::Unusable(unusable) => snapshot.unusable = unusable,
        Event::UnusableTold => {
            snapshot.unusable = Arc::new(Unusable::clone(&snapshot.unusable));
        }
        Event::Quarantined(yes) => {
            snapshot.quarantined_pools = yes.then(|| "broken".to_owned()).into_iter().collect();
        }
        Event::Suspended(n, yes) => {
            let name = format!("p{n}");
            match yes {
                true => snapshot.suspended_pools.insert(name),
                false => snapshot.suspended_pools.remove(&name),
            };
        }
        Event::Foreign(n) => {
            if let Some(service) = snapshot.services.get(&numbered(n)) {
                let held = service.held.iter().copied().collect();
                snapshot.foreign.insert(service.key.clone(), held);
            }
        }
        Event::Labelled(yes) => {
            let labels = yes.then(|| ("team".to_owned(), "a".to_owned()));
            let labels = labels.into_iter().collect();
            snapshot.namespaces.insert("other".to_owned(), labels);
        }
        Event::Time(now) => snapshot.now = now,
    }
    snapshot
}

/// Notes who holds what together, as whoever carries plans out does.
fn remember(snapshot: &mut Snapshot, planner: &Planner) {
    let held = snapshot.services.values().flat_map(|s| &s.held);
    let addresses: BTreeSet<IpAddr> = held.chain(snapshot.agreed.keys()).copied().collect();
    for address in addresses {
        match planner.agreed(address) {
            Some(holders) => snapshot.agreed.insert(address, holders),
            None => snapshot.agreed.remove(&address),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn after_any_history_a_planner_says_what_plan_says(
        first in any_snapshot(),
        events in prop::collection::vec(any_event(), 1..24),
    ) {
        let mut planner = Planner::default();
        let mut snapshot = first;
        for event in events {
            let fresh = plan(&snapshot);
            prop_assert_eq!(planner.plan(&snapshot), &fresh);
            remember(&mut snapshot, &planner);
            prop_assert_eq!(&plan(&snapshot), &fresh, "what is remembered of a plan changes it");
            snapshot = after(snapshot, event, &fresh);
        }
        prop_assert_eq!(planner.plan(&snapshot), &plan(&snapshot));
    }
}
