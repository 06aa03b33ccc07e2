//! Who keeps what they hold: the first thing a plan decides, before anybody gets anything.
//!
//! Not here: what becomes of those who may not (`choose`). What one Service keeps depends on those
//! alone that claim one of its addresses, or an address of one of those, and so on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::ledger::Ledger;
use super::sharing::Group;
use super::{Cause, Lost, Place, Snapshot, Tally};
use crate::address::Family;
use crate::service::{Service, ServiceKey};

/// Enters every address that may be kept into the ledger. When two Services hold an address they
/// cannot share, the one that disagrees with fewer of the others keeps it, then the older one.
///
/// `services` are holders in any order; nobody else claims an address that one of them claims.
pub(super) fn settle<'s>(
    snapshot: &Snapshot,
    services: impl Iterator<Item = &'s Arc<Service>>,
    ledger: &mut Ledger,
) -> Vec<(&'s Arc<Service>, Tally)> {
    let mut order: Vec<_> = services.collect();
    let disputes = disputes(&order, ledger);
    order.sort_by_key(|s| (disputes.get(&s.key), s.created, &s.key));
    let settled = order.into_iter().map(|service| {
        let mut tally = Tally::default();
        for address in &service.held {
            if tally.places.iter().any(|place| place.address == *address) {
                continue;
            }
            let kept = permitted(service, *address, &tally.places, snapshot, ledger);
            let kept = kept.and_then(|pool| {
                let held = ledger.hold(service, *address);
                held.map(|()| pool)
                    .map_err(|conflict| Cause::Taken { conflict })
            });
            match kept {
                Ok(pool) => tally.places.push(Place {
                    address: *address,
                    pool,
                }),
                Err(cause) => tally.lost.push(Lost::new(*address, cause)),
            }
        }
        for lost in &tally.lost {
            let pool = ledger.pool_of(lost.address);
            let pool = pool.and_then(|name| snapshot.pools.get(name));
            ledger.leave(&service.key, lost.address, pool);
        }
        (service, tally)
    });
    settled.collect()
}

/// Takes back what [`settle`] did for the Service.
pub(super) fn unsettle(service: &Service, places: &[Place], lost: &[Lost], ledger: &mut Ledger) {
    for place in places {
        ledger.release(&service.key, place.address);
    }
    for lost in lost {
        ledger.unleave(&service.key, lost.address);
    }
}

/// The pool the address counts for, if the Service may keep it as far as others do not matter.
/// `kept` is what it keeps already.
pub(super) fn permitted(
    service: &Service,
    address: IpAddr,
    kept: &[Place],
    snapshot: &Snapshot,
    ledger: &Ledger,
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
    match ledger
        .pool_of(address)
        .and_then(|name| snapshot.pools.get(name))
    {
        Some(pool) => {
            if let Some((reservation, owner)) = ledger.reserved.by(address)
                && owner != Some(&service.key)
            {
                return Err(Cause::Reserved {
                    reservation: reservation.to_owned(),
                    owner: owner.cloned(),
                });
            }
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
            Ok(pool.name.clone())
        }
        None => {
            let frozen = snapshot.frozen(service);
            frozen.ok_or_else(|| gone(service, snapshot))
        }
    }
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
fn disputes<'s>(services: &[&'s Arc<Service>], ledger: &Ledger) -> BTreeMap<&'s ServiceKey, usize> {
    let each = services.iter().copied();
    let mut claims: Vec<(IpAddr, &'s Arc<Service>)> = each
        .flat_map(|service| service.held.iter().map(move |address| (*address, service)))
        .collect();
    claims.sort_by_key(|(address, service)| (*address, &service.key));
    claims.dedup_by_key(|(address, service)| (*address, &service.key));
    let mut disputes = BTreeMap::new();
    for claims in claims.chunk_by(|one, next| one.0 == next.0) {
        let [(address, _), _, ..] = claims else {
            continue;
        };
        let address = *address;
        let together: Vec<&'s Arc<Service>> = claims.iter().map(|(_, service)| *service).collect();
        let groups: Vec<_> = together.iter().map(|s| ledger.group(s, address)).collect();
        if agree(&together, &groups) {
            continue;
        }
        let shares = |one: usize, other: usize| {
            groups[one].is_some()
                && groups[one] == groups[other]
                && together[one].ports.is_disjoint(&together[other].ports)
        };
        for (i, one) in together.iter().enumerate() {
            let others = (0..together.len()).filter(|j| *j != i && !shares(i, *j));
            *disputes.entry(&one.key).or_default() += others.count();
        }
    }
    disputes
}

/// Whether all of them can share.
fn agree(together: &[&Arc<Service>], groups: &[Option<Group>]) -> bool {
    let mut ports = BTreeSet::new();
    let mut all = together.iter().flat_map(|service| &service.ports);
    groups
        .windows(2)
        .all(|pair| pair[0].is_some() && pair[0] == pair[1])
        && all.all(|port| ports.insert(*port))
}
