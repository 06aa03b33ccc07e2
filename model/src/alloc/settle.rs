//! Who keeps what they hold: the first thing a plan decides, before anybody gets anything.
//!
//! Not here: what becomes of those who may not (`choose`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ledger::Ledger;
use super::{Cause, Lost, Place, Snapshot, Tally};
use crate::address::Family;
use crate::service::{Service, ServiceKey};

/// Enters every address that may be kept into the ledger. When two Services hold an address they
/// cannot share, the one that disagrees with fewer of the others keeps it, then the older one.
pub(super) fn settle(snapshot: &Snapshot, ledger: &mut Ledger<'_>) -> BTreeMap<ServiceKey, Tally> {
    let disputes = disputes(snapshot);
    let mut order: Vec<_> = snapshot
        .services
        .values()
        .map(AsRef::as_ref)
        .filter(|s: &&Service| !s.held.is_empty())
        .collect();
    order.sort_by_key(|s| (disputes.get(&s.key), s.created, &s.key));
    let mut tallies: BTreeMap<ServiceKey, Tally> = BTreeMap::new();
    for service in order {
        let mut tally = Tally::default();
        for address in &service.held {
            if tally.places.iter().any(|place| place.address == *address) {
                continue;
            }
            match keep(service, *address, &tally.places, snapshot, ledger) {
                Ok(pool) => tally.places.push(Place {
                    address: *address,
                    pool,
                }),
                Err(cause) => tally.lost.push(Lost::new(*address, cause)),
            }
        }
        tallies.insert(service.key.clone(), tally);
    }
    tallies
}

/// The pool the address counts for, once the Service is known to keep it.
fn keep(
    service: &Service,
    address: IpAddr,
    kept: &[Place],
    snapshot: &Snapshot,
    ledger: &mut Ledger<'_>,
) -> Result<String, Cause> {
    let family = Family::of(address);
    if !service.families.contains(&family) {
        return Err(Cause::FamilyGone { family });
    }
    if let Some(place) = kept
        .iter()
        .find(|place| Family::of(place.address) == family)
    {
        return Err(Cause::SecondOfFamily {
            kept: place.address,
        });
    }
    let pool = match ledger
        .pool_of(address)
        .and_then(|name| snapshot.pools.get(name))
    {
        Some(pool) => {
            if let Some(why) = pool.forbidden(address) {
                return Err(Cause::Forbidden {
                    pool: pool.name.clone(),
                    why,
                });
            }
            if let Some(why) = pool.restriction(service, &snapshot.namespaces) {
                return Err(Cause::Restricted {
                    pool: pool.name.clone(),
                    why,
                });
            }
            pool.name.clone()
        }
        None => snapshot
            .frozen(service)
            .ok_or_else(|| gone(service, snapshot))?,
    };
    ledger
        .hold(service, address)
        .map_err(|conflict| Cause::Taken { conflict })?;
    Ok(pool)
}

impl Snapshot {
    /// The quarantined pool an address of this Service that is in no pool in force came from. A
    /// Service that does not know its pool is given the benefit of the doubt.
    fn frozen(&self, service: &Service) -> Option<String> {
        let known = service
            .held_pools
            .iter()
            .find(|pool| self.quarantined_pools.contains(*pool));
        let unknown = self
            .quarantined_pools
            .first()
            .filter(|_| service.held_pools.is_empty());
        known.or(unknown).cloned()
    }
}

/// Why no pool contains an address, as far as the Service knows where it came from. Of two pools
/// the one that is gone explains it best, then the one that has none of its addresses any more.
fn gone(service: &Service, snapshot: &Snapshot) -> Cause {
    let has_none = |name: &&String| {
        let ranges = snapshot.pools.get(*name).map(|pool| &pool.ranges);
        ranges.is_some_and(|ranges| !service.held.iter().any(|a| ranges.contains(*a)))
    };
    let pools = &service.held_pools;
    if let Some(pool) = pools
        .iter()
        .find(|name| !snapshot.pools.contains_key(*name))
    {
        return Cause::PoolDeleted { pool: pool.clone() };
    }
    match pools.iter().find(has_none).or(pools.first()) {
        Some(pool) => Cause::PoolShrunk { pool: pool.clone() },
        None => Cause::NoPool,
    }
}

/// For Services that hold an address others hold too: with how many of those they cannot share.
fn disputes(snapshot: &Snapshot) -> BTreeMap<&ServiceKey, usize> {
    let mut holders: BTreeMap<IpAddr, Vec<&Service>> = BTreeMap::new();
    for service in snapshot.services.values() {
        for address in &service.held {
            holders.entry(*address).or_default().push(service);
        }
    }
    let mut disputes = BTreeMap::new();
    for together in holders.values().filter(|together| together.len() > 1) {
        for one in together {
            let against = together
                .iter()
                .filter(|other| other.key != one.key && !shares(one, other));
            *disputes.entry(&one.key).or_default() += against.count();
        }
    }
    disputes
}

fn shares(one: &Service, other: &Service) -> bool {
    one.sharing_key.is_some()
        && one.sharing_key == other.sharing_key
        && one.backend_key == other.backend_key
        && one.ports.is_disjoint(&other.ports)
}
