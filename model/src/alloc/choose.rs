//! Where a Service's missing addresses come from: what it asks for by address, what is reserved for
//! it, what it had before, what it asks for by pool, or what the pools give by themselves.
//!
//! Not here: who is served first (`moves`, `planner`), and taking one address (`take`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::ledger::Ledger;
use super::{Lost, Place, Refusal, Snapshot, families_of};
use crate::address::Family;
use crate::pool::Pool;
use crate::service::{FamilyPolicy, Service};

/// Chooses on one snapshot.
#[derive(Debug, Clone, Copy)]
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

    /// The addresses from somebody else that the Service gives up: it requests another one of the
    /// family by address.
    pub(super) fn leaving_alone(&self, service: &Service, alone: &[Lost]) -> Vec<IpAddr> {
        if service.unreadable_request.is_some() {
            return Vec::new();
        }
        let asked = &service.requested_addresses;
        let requests_another = |address: &IpAddr| {
            !asked.contains(address) && asked.iter().any(|a| Family::of(*a) == Family::of(*address))
        };
        let alone = alone.iter().map(|left| left.address);
        alone.filter(requests_another).collect()
    }

    /// True when the Service asks for nothing beyond these places.
    pub(super) fn is_content(&self, service: &Service, places: &[Place]) -> bool {
        let has = |address: &IpAddr| places.iter().any(|place| place.address == *address);
        let covers = |family: &Family| places.iter().any(|p| Family::of(p.address) == *family);
        self.check_request(service).is_ok()
            && service.requested_addresses.iter().all(has)
            && service.families.iter().all(covers)
            && self.leaving(service, places).is_empty()
    }

    /// `have` and what is missing beside it, all entered in the ledger. A family that is only
    /// preferred may stay missing.
    ///
    /// # Errors
    /// Something needed cannot be had; the ledger is as before then.
    pub(super) fn complete(
        &self,
        service: &Arc<Service>,
        have: Vec<Place>,
        ledger: &mut Ledger,
    ) -> Result<Vec<Place>, Refusal> {
        self.check_request(service)?;
        let before = ledger.moment();
        let mut got: Vec<Place> = Vec::new();
        if let Err(refusal) = self.acquire(service, &have, &mut got, ledger) {
            ledger.back_to(before);
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
        service: &Arc<Service>,
        have: &[Place],
        got: &mut Vec<Place>,
        ledger: &mut Ledger,
    ) -> Result<(), Refusal> {
        for address in &service.requested_addresses {
            if !have.iter().any(|place| place.address == *address) {
                got.push(self.take_requested(service, *address, ledger)?);
            }
        }
        let covered = &families_of(have) | &families_of(got);
        let mut missing: Vec<Family> = service
            .families
            .iter()
            .copied()
            .filter(|f| !covered.contains(f))
            .collect();
        missing.retain(
            |family| match self.take_reserved(service, *family, ledger) {
                Some(place) => {
                    got.push(place);
                    false
                }
                None => true,
            },
        );
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
        missing.retain(
            |family| match self.take_back(service, *family, &pools, ledger) {
                Some(place) => {
                    got.push(place);
                    false
                }
                None => true,
            },
        );
        if missing.len() > 1
            && let Some(places) = self.take_all_from_one(service, &missing, &pools, ledger)
        {
            got.extend(places);
            return Ok(());
        }
        let before = ledger.moment();
        let (mut places, mut refusal) = self.take_each(service, &missing, &pools, ledger);
        if refusal.is_some() && missing.len() > 1 {
            // What the first family took of a quota may be what the second needed.
            ledger.back_to(before);
            missing.reverse();
            let other_way = self.take_each(service, &missing, &pools, ledger);
            if other_way.1.is_none() {
                (places, refusal) = other_way;
            } else {
                ledger.back_to(before);
                missing.reverse();
                (places, refusal) = self.take_each(service, &missing, &pools, ledger);
            }
        }
        got.extend(places);
        match refusal {
            Some(refusal) if !enough(got) => Err(refusal),
            Some(_) | None => Ok(()),
        }
    }

    /// An address of each family from the first pool that has one, and why one family got none.
    fn take_each(
        &self,
        service: &Arc<Service>,
        families: &[Family],
        pools: &[&Pool],
        ledger: &mut Ledger,
    ) -> (Vec<Place>, Option<Refusal>) {
        let (mut places, mut refusal) = (Vec::new(), None);
        for family in families {
            let mut taken = pools.iter();
            match taken.find_map(|pool| self.take(service, *family, pool, ledger)) {
                Some(place) => places.push(place),
                None => {
                    refusal.get_or_insert_with(|| self.refusal(service, *family, pools, ledger));
                }
            }
        }
        (places, refusal)
    }

    /// Whether the Service may ask this pool for an address.
    pub(super) fn check_pool(&self, service: &Service, pool: &Pool) -> Result<(), Refusal> {
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
    fn refusal(
        &self,
        service: &Service,
        family: Family,
        pools: &[&Pool],
        ledger: &mut Ledger,
    ) -> Refusal {
        let key = service.key.clone();
        let has_family = |pool: &&&Pool| ledger.has_family(&pool.name, family);
        let with_family: Vec<&Pool> = pools.iter().filter(has_family).copied().collect();
        for pool in &with_family {
            if let Some(full) = self.full_quota(service, pool, ledger)
                && ledger
                    .pick(&pool.name, family, service, true)
                    .address
                    .is_some()
            {
                return full;
            }
        }
        if with_family.is_empty()
            && let Some(refusal) = nothing_usable(service, family, pools, ledger)
        {
            return refusal;
        }
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
            None if with_family.is_empty() => self.no_pool(service, family, ledger),
            None => Refusal::Exhausted {
                service: key,
                family,
                pools: with_family.iter().map(|pool| pool.name.clone()).collect(),
            },
        }
    }

    /// No pool gives the Service an address of the family by itself: those that only their ports
    /// keep from it are named.
    fn no_pool(&self, service: &Service, family: Family, ledger: &Ledger) -> Refusal {
        let all = self.snapshot.pools.values();
        let by_ports = all.clone().find_map(|pool| {
            use crate::pool::Restriction::{Namespace, Port, Service as Selectors};
            let would = !pool.draining && pool.auto_assign && ledger.has_family(&pool.name, family);
            match pool.restriction(service, &self.snapshot.namespaces) {
                Some(why @ Port(_)) if would => Some((pool.name.clone(), why)),
                Some(Namespace | Selectors | Port(_)) | None => None,
            }
        });
        match by_ports {
            Some((pool, why)) => Refusal::PoolRestricted {
                service: service.key.clone(),
                pool,
                why,
            },
            None => Refusal::NoPool {
                service: service.key.clone(),
                family,
                pools: all.map(|pool| pool.name.clone()).collect(),
            },
        }
    }
}

/// Names the first of the pools that has addresses of the family, none of which any Service is given.
fn nothing_usable(
    service: &Service,
    family: Family,
    pools: &[&Pool],
    ledger: &Ledger,
) -> Option<Refusal> {
    pools.iter().find_map(|pool| {
        let (first, owner) = ledger.nothing_usable(pool, family)?;
        Some(Refusal::PoolUnusable {
            service: service.key.clone(),
            pool: pool.name.clone(),
            family,
            first,
            owner: Box::new(owner.clone()),
        })
    })
}
