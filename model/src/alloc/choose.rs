//! Where a Service's missing addresses come from: what it asks for by address, by pool, or what
//! the pools give by themselves.
//!
//! Not here: who is asked first (`mod`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::ledger::Ledger;
use super::{Place, Refusal, Snapshot, families_of};
use crate::address::Family;
use crate::pool::Pool;
use crate::service::{FamilyPolicy, Service};

/// Chooses on one snapshot.
pub(super) struct Chooser<'a> {
    pub(super) snapshot: &'a Snapshot,
}

impl<'a> Chooser<'a> {
    /// The places that contradict what the Service asks for.
    pub(super) fn leaving(&self, service: &Service, places: &[Place]) -> BTreeSet<IpAddr> {
        if service.unreadable_request.is_some() {
            return BTreeSet::new();
        }
        let contradicts = |place: &&Place| {
            let asked = &service.requested_addresses;
            let family = Family::of(place.address);
            let other_address =
                !asked.contains(&place.address) && asked.iter().any(|a| Family::of(*a) == family);
            other_address
                || service
                    .requested_pool
                    .as_ref()
                    .is_some_and(|p| *p != place.pool)
        };
        places
            .iter()
            .filter(contradicts)
            .map(|place| place.address)
            .collect()
    }

    /// `have` and what is missing beside it, all entered in the ledger. A family that is only
    /// preferred may stay missing.
    ///
    /// # Errors
    /// Something needed cannot be had; the ledger is as before then.
    pub(super) fn complete(
        &self,
        service: &Service,
        have: Vec<Place>,
        ledger: &mut Ledger<'_>,
    ) -> Result<Vec<Place>, Refusal> {
        self.check_request(service)?;
        let mut got: Vec<Place> = Vec::new();
        let outcome = self.acquire(service, &have, &mut got, ledger);
        if let Err(refusal) = outcome {
            got.iter()
                .for_each(|place| ledger.release(service, place.address));
            return Err(refusal);
        }
        Ok(have.into_iter().chain(got).collect())
    }

    /// What is wrong with the request whatever the pools hold.
    fn check_request(&self, service: &Service) -> Result<(), Refusal> {
        let key = || service.key.clone();
        if let Some(problem) = &service.unreadable_request {
            let problem = problem.clone();
            return Err(Refusal::UnreadableRequest {
                service: key(),
                problem,
            });
        }
        match (service.families.as_slice(), service.family_policy) {
            ([], _) => return Err(Refusal::NoClusterAddress { service: key() }),
            ([family], FamilyPolicy::RequireDual) => {
                return Err(Refusal::NotDualStack {
                    service: key(),
                    family: *family,
                });
            }
            (_, FamilyPolicy::Single | FamilyPolicy::PreferDual | FamilyPolicy::RequireDual) => {}
        }
        for (i, second) in service.requested_addresses.iter().enumerate() {
            let family = Family::of(*second);
            let mut before = service.requested_addresses[..i].iter();
            if let Some(first) = before.find(|a| Family::of(**a) == family) {
                let (first, second) = (*first, *second);
                return Err(Refusal::TwoOfOneFamily {
                    service: key(),
                    first,
                    second,
                });
            }
            if !service.families.contains(&family) {
                return Err(Refusal::FamilyNotOfService {
                    service: key(),
                    address: *second,
                });
            }
        }
        Ok(())
    }

    fn acquire(
        &self,
        service: &Service,
        have: &[Place],
        got: &mut Vec<Place>,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), Refusal> {
        for address in &service.requested_addresses {
            if !have.iter().any(|place| place.address == *address) {
                got.push(self.take_requested(service, *address, ledger)?);
            }
        }
        let covered = &families_of(have) | &families_of(got);
        let missing: Vec<Family> = service
            .families
            .iter()
            .copied()
            .filter(|f| !covered.contains(f))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let enough = |got: &[Place]| {
            service.family_policy == FamilyPolicy::PreferDual && have.len() + got.len() > 0
        };
        let pools = match self.pools_for(service, have.iter().chain(got.iter())) {
            Ok(pools) => pools,
            Err(_) if enough(got) => return Ok(()),
            Err(refusal) => return Err(refusal),
        };
        let all_from_one = pools.iter().find(|pool| {
            missing
                .iter()
                .all(|f| ledger.pick(&pool.name, *f, service).address.is_some())
        });
        let sources = all_from_one.map_or(pools.as_slice(), std::slice::from_ref);
        let mut refusal = None;
        for family in missing {
            match take_first(service, family, sources, ledger) {
                Some(place) => got.push(place),
                None => {
                    refusal.get_or_insert_with(|| self.refusal(service, family, &pools));
                }
            }
        }
        match refusal {
            Some(refusal) if !enough(got) => Err(refusal),
            Some(_) | None => Ok(()),
        }
    }

    /// Enters a requested address.
    fn take_requested(
        &self,
        service: &Service,
        address: IpAddr,
        ledger: &mut Ledger<'_>,
    ) -> Result<Place, Refusal> {
        let key = || service.key.clone();
        let Some(pool) = ledger
            .pool_of(address)
            .and_then(|p| self.snapshot.pools.get(p))
        else {
            let pools = self.snapshot.pools.keys().cloned().collect();
            return Err(Refusal::OutsideEveryPool {
                service: key(),
                address,
                pools,
            });
        };
        let name = || pool.name.clone();
        if let Some(wanted) = service
            .requested_pool
            .clone()
            .filter(|wanted| *wanted != pool.name)
        {
            let pool = name();
            return Err(Refusal::AddressNotInRequestedPool {
                service: key(),
                address,
                pool,
                wanted,
            });
        }
        self.check_pool(service, pool)?;
        if let Some(why) = pool.forbidden(address) {
            return Err(Refusal::AddressForbidden {
                service: key(),
                address,
                pool: name(),
                why,
            });
        }
        ledger
            .hold(service, address)
            .map_err(|conflict| Refusal::AddressTaken {
                service: key(),
                address,
                conflict,
            })?;
        Ok(Place {
            address,
            pool: name(),
        })
    }

    /// Whether the Service may ask this pool for an address.
    fn check_pool(&self, service: &Service, pool: &Pool) -> Result<(), Refusal> {
        let (key, name) = (|| service.key.clone(), || pool.name.clone());
        if let Some(why) = pool.restriction(service, &self.snapshot.namespaces) {
            return Err(Refusal::PoolRestricted {
                service: key(),
                pool: name(),
                why,
            });
        }
        if pool.draining {
            return Err(Refusal::PoolDraining {
                service: key(),
                pool: name(),
            });
        }
        Ok(())
    }

    /// The pools the Service's missing addresses may come from, best first: the one it asks for;
    /// else those it already has an address from and may have more of, then the pools made for it
    /// by priority, then those for everybody, each by name.
    fn pools_for<'p>(
        &self,
        service: &Service,
        places: impl Iterator<Item = &'p Place>,
    ) -> Result<Vec<&'a Pool>, Refusal> {
        if let Some(wanted) = &service.requested_pool {
            return self.requested_pool(service, wanted).map(|pool| vec![pool]);
        }
        let mine: BTreeSet<&str> = places.map(|place| place.pool.as_str()).collect();
        let mut pools: Vec<_> = self
            .snapshot
            .pools
            .values()
            .filter(|pool| !pool.draining)
            .filter(|pool| pool.auto_assign || mine.contains(pool.name.as_str()))
            .filter(|pool| {
                pool.restriction(service, &self.snapshot.namespaces)
                    .is_none()
            })
            .collect();
        pools.sort_by_key(|pool| {
            let priority = pool
                .allocation
                .as_ref()
                .map(|a| (a.priority == 0, a.priority));
            (
                !mine.contains(pool.name.as_str()),
                priority.is_none(),
                priority,
                &pool.name,
            )
        });
        Ok(pools)
    }

    fn requested_pool(&self, service: &Service, wanted: &str) -> Result<&'a Pool, Refusal> {
        let (service_key, pool) = (service.key.clone(), wanted.to_owned());
        let Some(found) = self.snapshot.pools.get(wanted) else {
            if self.snapshot.quarantined_pools.contains(wanted) {
                return Err(Refusal::PoolQuarantined {
                    service: service_key,
                    pool,
                });
            }
            let pools = self.snapshot.pools.keys().cloned().collect();
            return Err(Refusal::UnknownPool {
                service: service_key,
                pool,
                pools,
            });
        };
        self.check_pool(service, found)?;
        Ok(found)
    }

    /// Why none of the pools gave an address of the family.
    fn refusal(&self, service: &Service, family: Family, pools: &[&Pool]) -> Refusal {
        let key = service.key.clone();
        let with_family = pools.iter().filter(|pool| pool.usable().has_family(family));
        let with_family: Vec<_> = with_family.map(|pool| pool.name.clone()).collect();
        match &service.requested_pool {
            Some(pool) if with_family.is_empty() => Refusal::PoolHasNoFamily {
                service: key,
                pool: pool.clone(),
                family,
            },
            Some(pool) => Refusal::PoolExhausted {
                service: key,
                pool: pool.clone(),
                family,
            },
            None if with_family.is_empty() => {
                let pools = self.snapshot.pools.keys().cloned().collect();
                Refusal::NoPool {
                    service: key,
                    family,
                    pools,
                }
            }
            None => Refusal::Exhausted {
                service: key,
                family,
                pools: with_family,
            },
        }
    }
}

/// Enters the first address of the family that one of the pools gives.
fn take_first(
    service: &Service,
    family: Family,
    pools: &[&Pool],
    ledger: &mut Ledger<'_>,
) -> Option<Place> {
    pools.iter().find_map(|pool| {
        let address = ledger.pick(&pool.name, family, service).address?;
        ledger.hold(service, address).ok()?;
        Some(Place {
            address,
            pool: pool.name.clone(),
        })
    })
}
