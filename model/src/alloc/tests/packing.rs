//! The search for an address to share, against going through all of them one by one.

use proptest::prelude::*;

use super::*;
use crate::pool::Sharing;

/// Who holds what, and nothing remembered of earlier searches.
type Plain = BTreeMap<String, (Service, IpAddr)>;

fn automatic() -> BTreeMap<String, Pool> {
    let pool = Pool {
        sharing: Sharing::Automatic,
        avoid_buggy_ips: true,
        ..pool("p", "192.0.2.20-192.0.2.24,192.0.1.254-192.0.2.8")
    };
    [(pool.name.clone(), pool)].into()
}

/// Every address of the pool that is given, in order.
fn in_order() -> Vec<IpAddr> {
    let first = (20..=24).map(|n| format!("192.0.2.{n}"));
    let second = (1..=8).map(|n| format!("192.0.2.{n}"));
    let between = ["192.0.1.254".to_owned()];
    first.chain(between).chain(second).map(|a| ip(&a)).collect()
}

fn first_that_fits(plain: &Plain, service: &Service) -> Option<IpAddr> {
    let fits = |address: &IpAddr| {
        plain
            .values()
            .filter(|(_, at)| at == address)
            .all(|(other, _)| {
                other.key.namespace() == service.key.namespace()
                    && other.ports.is_disjoint(&service.ports)
            })
    };
    in_order().into_iter().find(fits)
}

fn any_step() -> impl Strategy<Value = (u8, bool, BTreeSet<u16>, bool)> {
    let ports = prop::collection::btree_set(1u16..6, 0..4);
    (0u8..24, any::<bool>(), ports, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_first_address_that_fits_is_found_after_any_joining_and_parting(
        steps in prop::collection::vec(any_step(), 1..80),
        back in 0usize..80,
    ) {
        let mut ledger = Ledger::new(&automatic(), &BTreeMap::new(), &Arc::default());
        let mut plain = Plain::new();
        let mut way_back = None;
        for (i, (n, other, ports, release)) in steps.into_iter().enumerate() {
            if i == back {
                way_back = Some((ledger.moment(), plain.clone()));
            }
            let name = format!("s{n}");
            if release {
                if let Some((service, address)) = plain.remove(&name) {
                    ledger.release(&service.key, address);
                }
                continue;
            }
            if plain.contains_key(&name) {
                continue;
            }
            let ports: Vec<u16> = ports.into_iter().collect();
            let mut service = Service { sharing_key: None, ..shared(&name, "", &ports) };
            if other {
                service.key = ServiceKey::new("other", service.key.name());
            }
            let picked = ledger.pick("p", Family::V4, &service, true).address;
            prop_assert_eq!(picked, first_that_fits(&plain, &service));
            if let Some(address) = picked {
                ledger.hold(&Arc::new(service.clone()), address).unwrap();
                plain.insert(name, (service, address));
            }
        }
        if let Some((moment, plain)) = way_back {
            ledger.back_to(moment);
            for port in 0..6 {
                let service = Service { sharing_key: None, ..shared("new", "", &[port]) };
                let picked = ledger.pick("p", Family::V4, &service, true).address;
                prop_assert_eq!(picked, first_that_fits(&plain, &service));
            }
        }
    }
}

/// A Service is as cheap to place beside thousands as beside none, whichever ports they use.
#[test]
fn ten_thousand_services_are_packed_in_a_few_steps_each() {
    let ports: [fn(u16) -> Vec<u16>; 4] = [
        |_| vec![80],
        |n| vec![n + 1],
        |n| vec![80, n + 1000],
        |n| vec![if n < 5000 { 80 } else { 443 }],
    ];
    for (kind, ports) in ports.into_iter().enumerate() {
        let mut pools = automatic();
        pools.get_mut("p").unwrap().ranges = ranges("10.0.0.0/16");
        let mut ledger = Ledger::new(&pools, &BTreeMap::new(), &Arc::default());
        let mut steps = 0;
        for n in 0..10_000 {
            let service = shared(&format!("s{n}"), "", &ports(n));
            let service = Service {
                sharing_key: None,
                ..service
            };
            let pick = ledger.pick("p", Family::V4, &service, true);
            steps += pick.steps;
            ledger
                .hold(&Arc::new(service), pick.address.unwrap())
                .unwrap();
        }
        assert!(steps <= 80_000, "kind {kind}: {steps} steps");
    }
}
