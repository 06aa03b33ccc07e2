//! One address for one Service, entered in the ledger if it can be had.
//!
//! Not here: which way is tried first (`choose`).

use std::net::IpAddr;
use std::sync::Arc;

use super::choose::Chooser;
use super::ledger::Ledger;
use super::{Place, Refusal};
use crate::address::{Family, is_buggy};
use crate::pool::Pool;
use crate::service::Service;

impl Chooser<'_> {
    /// Enters a requested address.
    pub(super) fn take_requested(
        &self,
        service: &Arc<Service>,
        address: IpAddr,
        ledger: &mut Ledger,
    ) -> Result<Place, Refusal> {
        let key = || service.key.clone();
        let found = ledger.pool_of(address);
        let Some(pool) = found.and_then(|p| self.snapshot.pools.get(p)) else {
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
        if let Some(owner) = ledger.unusable(address) {
            return Err(Refusal::AddressUnusable {
                service: key(),
                address,
                pool: name(),
                owner: Box::new(owner.clone()),
            });
        }
        if let Some((reservation, owner)) = ledger.reserved.by(address)
            && owner != Some(&service.key)
        {
            return Err(Refusal::AddressReserved {
                service: key(),
                address,
                reservation: reservation.to_owned(),
                owner: owner.cloned().map(Box::new),
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
        if let Some((holder, retained)) = ledger.kept_off(&service.key, address) {
            return Err(Refusal::AddressHeldBack {
                service: key(),
                address,
                pool: name(),
                holder: Box::new(holder.clone()),
                retained,
            });
        }
        if ledger.reserved.by(address).is_none()
            && !ledger.is_held_by(service.key.namespace(), address)
            && let Some(full) = self.full_quota(service, pool, ledger)
        {
            return Err(full);
        }
        let held = ledger.hold(service, address);
        held.map_err(|conflict| Refusal::AddressTaken {
            service: key(),
            address,
            conflict: Box::new(conflict),
        })?;
        Ok(Place {
            address,
            pool: name(),
        })
    }

    /// Enters the first address that is reserved for the Service and that its pool may give it.
    /// Quotas count it and do not refuse it: whoever reserved it has decided.
    pub(super) fn take_reserved(
        &self,
        service: &Arc<Service>,
        family: Family,
        ledger: &mut Ledger,
    ) -> Option<Place> {
        let ranges = ledger.reserved.ranges_for(&service.key).to_vec();
        for (range, name) in ranges {
            let Some(pool) = self.snapshot.pools.get(&name) else {
                continue;
            };
            let asks_otherwise = service.requested_pool.as_ref().is_some_and(|p| *p != name);
            if range.family() != family || asks_otherwise || self.check_pool(service, pool).is_err()
            {
                continue;
            }
            let (first, last) = range.numbers();
            let addresses = (first..=last).map(|n| family.address(n));
            let mut fit = addresses
                .filter(|a| !(ledger.is_held(*a) || (pool.avoid_buggy_ips && is_buggy(*a))))
                .filter(|a| ledger.kept_off(&service.key, *a).is_none());
            let address = fit.next();
            if let Some(address) = address.filter(|a| ledger.hold(service, *a).is_ok()) {
                return Some(Place {
                    address,
                    pool: name,
                });
            }
        }
        None
    }

    /// Enters an address the Service had before, if one of the pools still gives it.
    pub(super) fn take_back(
        &self,
        service: &Arc<Service>,
        family: Family,
        pools: &[&Pool],
        ledger: &mut Ledger,
    ) -> Option<Place> {
        let waiting = ledger.waiting_for(&service.key).into_iter();
        let before = waiting.chain(service.last_addresses.iter().copied());
        for address in before.filter(|a| Family::of(*a) == family) {
            let Some(pool) = pools.iter().find(|pool| pool.ranges.contains(address)) else {
                continue;
            };
            if ledger.reserved.by(address).is_none()
                && ledger.unusable(address).is_none()
                && pool.forbidden(address).is_none()
                && ledger.kept_off(&service.key, address).is_none()
                && self.full_quota(service, pool, ledger).is_none()
                && ledger.hold(service, address).is_ok()
            {
                let pool = pool.name.clone();
                return Some(Place { address, pool });
            }
        }
        None
    }

    /// Enters an address of each family, all from the first pool that has them all.
    pub(super) fn take_all_from_one(
        &self,
        service: &Arc<Service>,
        families: &[Family],
        pools: &[&Pool],
        ledger: &mut Ledger,
    ) -> Option<Vec<Place>> {
        pools.iter().find_map(|pool| {
            let before = ledger.moment();
            let places = families
                .iter()
                .map(|family| self.take(service, *family, pool, ledger));
            let places: Option<Vec<Place>> = places.collect();
            if places.is_none() {
                ledger.back_to(before);
            }
            places
        })
    }

    /// Enters the first address of the family that the pool gives.
    pub(super) fn take(
        &self,
        service: &Arc<Service>,
        family: Family,
        pool: &Pool,
        ledger: &mut Ledger,
    ) -> Option<Place> {
        let room = self.full_quota(service, pool, ledger).is_none();
        let address = ledger.pick(&pool.name, family, service, room).address?;
        ledger.hold(service, address).ok()?;
        Some(Place {
            address,
            pool: pool.name.clone(),
        })
    }

    /// The quota of the pool that allows the Service's namespace no further address, if any.
    pub(super) fn full_quota(
        &self,
        service: &Service,
        pool: &Pool,
        ledger: &Ledger,
    ) -> Option<Refusal> {
        if pool.quotas.is_empty() {
            return None;
        }
        let namespace = service.key.namespace();
        let used = ledger.held_by_namespace(&pool.name, namespace);
        let full = pool.quotas.iter().enumerate().filter(|(_, quota)| {
            quota.max_addresses <= used && quota.limits(namespace, &self.snapshot.namespaces)
        });
        let (index, quota) = full.min_by_key(|(_, quota)| quota.max_addresses)?;
        Some(Refusal::QuotaReached {
            service: service.key.clone(),
            pool: pool.name.clone(),
            index,
            used,
            max: quota.max_addresses,
        })
    }
}
