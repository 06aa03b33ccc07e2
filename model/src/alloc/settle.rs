//! Who keeps what they hold: the first thing a plan decides, before anybody gets anything.
//!
//! Not here: what becomes of those who may not (`choose`). What one Service keeps depends on those
//! alone that claim one of its addresses, or an address of one of those, and so on.

use std::net::IpAddr;
use std::sync::Arc;

use super::disputes::Disputes;
use super::ledger::Ledger;
use super::{Cause, Lost, Place, Snapshot, Tally};
use crate::address::Family;
use crate::service::{Service, ServiceKey};

/// Enters every address that may be kept into the ledger. When two Services hold an address they
/// cannot share, [`Disputes`] says who goes first; whoever has it from somebody else goes last.
///
/// `services` are holders in any order; nobody else claims an address that one of them claims.
pub(super) fn settle<'s>(
    snapshot: &Snapshot,
    services: impl Iterator<Item = &'s Arc<Service>>,
    ledger: &mut Ledger,
) -> Vec<(&'s Arc<Service>, Tally)> {
    let services: Vec<&Arc<Service>> = services.collect();
    let disputes = Disputes::new(&services, snapshot, ledger);
    let claims = services.iter().enumerate().flat_map(|(owner, service)| {
        let held = service.held.iter().enumerate();
        held.map(move |(place, address)| (owner, place, *address))
    });
    let mut claims: Vec<(usize, usize, IpAddr)> = claims.collect();
    claims.sort_by_key(|(owner, place, address)| {
        let service = services[*owner];
        let is_foreign = snapshot.is_foreign(&service.key, *address);
        let precedence = disputes.of(&service.key, *address);
        (
            is_foreign,
            precedence,
            service.created,
            &service.key,
            *place,
        )
    });
    let mut tallies = vec![Tally::default(); services.len()];
    for (owner, _, address) in claims {
        settle_one(
            services[owner],
            address,
            &mut tallies[owner],
            snapshot,
            ledger,
        );
    }
    for (service, tally) in services.iter().zip(&mut tallies) {
        let place = |address: &IpAddr| service.held.iter().position(|held| held == address);
        tally.lost.sort_by_key(|lost| place(&lost.address));
        for lost in &tally.lost {
            let pool = ledger.pool_of(lost.address);
            let pool = pool.and_then(|name| snapshot.pools.get(name));
            ledger.leave(&service.key, lost.address, pool);
        }
        for left in &tally.alone {
            ledger.occupy(service, left.address);
        }
    }
    services.into_iter().zip(tallies).collect()
}

/// Enters one address of a Service into the ledger, or notes why it is not kept.
fn settle_one(
    service: &Arc<Service>,
    address: IpAddr,
    tally: &mut Tally,
    snapshot: &Snapshot,
    ledger: &mut Ledger,
) {
    let kept = tally.places.iter().map(|place| place.address);
    let gone = tally
        .lost
        .iter()
        .chain(&tally.alone)
        .map(|lost| lost.address);
    if kept.chain(gone).any(|known| known == address) {
        return;
    }
    let kept = permitted(service, address, &tally.places, snapshot, ledger).and_then(|pool| {
        let held = ledger.hold(service, address);
        held.map(|()| pool)
            .map_err(|conflict| Cause::Taken { conflict })
    });
    match kept {
        Ok(pool) => tally.places.push(Place { address, pool }),
        Err(cause) if snapshot.is_foreign(&service.key, address) => {
            tally.alone.push(Lost::new(address, cause));
        }
        Err(cause) => tally.lost.push(Lost::new(address, cause)),
    }
}

/// Takes back what [`settle`] did for the Service.
pub(super) fn unsettle(service: &Service, tally: &Tally, ledger: &mut Ledger) {
    let placed = tally.places.iter().map(|place| place.address);
    for address in placed.chain(tally.alone.iter().map(|left| left.address)) {
        ledger.release(&service.key, address);
    }
    for lost in &tally.lost {
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
            if let Some(why) = pool.eviction(service) {
                return Err(Cause::Restricted {
                    pool: pool.name.clone(),
                    why,
                });
            }
            Ok(pool.name.clone())
        }
        None if snapshot.is_foreign(&service.key, address) => Err(Cause::NoPool),
        None => {
            let frozen = snapshot.frozen(service);
            frozen.ok_or_else(|| gone(service, snapshot))
        }
    }
}

impl Snapshot {
    /// Whether the Service has the address from somebody else.
    fn is_foreign(&self, service: &ServiceKey, address: IpAddr) -> bool {
        let foreign = self.foreign.get(service);
        foreign.is_some_and(|addresses| addresses.contains(&address))
    }

    /// The pool that an address of this Service which is in no pool in force came from, where that
    /// pool is quarantined or suspended. A Service that does not know its pool is given the benefit
    /// of the doubt. Without any pool in force nothing is known, and nobody loses anything.
    fn frozen(&self, service: &Service) -> Option<String> {
        let is_frozen = |pool: &&String| {
            self.quarantined_pools.contains(*pool) || self.suspended_pools.contains(*pool)
        };
        let known = service.held_pools.iter().find(is_frozen);
        let unknown = self
            .quarantined_pools
            .first()
            .filter(|_| service.held_pools.is_empty());
        let nothing_is_known = || {
            let pool = service.held_pools.first().cloned();
            self.pools.is_empty().then(|| pool.unwrap_or_default())
        };
        known.or(unknown).cloned().or_else(nothing_is_known)
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
