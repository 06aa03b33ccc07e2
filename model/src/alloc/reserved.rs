//! Addresses that an `IPReservation` keeps for one Service, or from everybody.
//!
//! Not here: who holds them (`ledger`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::address::{AddressRange, Family, RangeSet, number};
use crate::pool::{Pool, Reservation};
use crate::service::ServiceKey;
use crate::unusable::Unusable;

/// All reservations in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Reserved {
    /// By family and first number: last number, the reservation, and whom it is for.
    ranges: BTreeMap<(Family, u128), (u128, String, Option<ServiceKey>)>,
    /// What each named Service may have, in the order it is written: range and pool.
    for_service: BTreeMap<ServiceKey, Vec<(AddressRange, String)>>,
}

impl Reserved {
    pub(super) fn new(
        pools: &BTreeMap<String, Pool>,
        reservations: &BTreeMap<String, Reservation>,
        unusable: &Unusable,
    ) -> Self {
        let mut reserved = Self::default();
        for (name, reservation) in reservations {
            for range in reservation.addresses.iter() {
                let (first, last) = range.numbers();
                let value = (last, name.clone(), reservation.service.clone());
                reserved.ranges.insert((range.family(), first), value);
                if let Some(service) = &reservation.service {
                    let ranges = reserved.for_service.entry(service.clone()).or_default();
                    for pool in pools.values() {
                        let usable = pool.usable();
                        let common = usable.iter().filter_map(|r| r.intersection(range));
                        let given = common.flat_map(|common| unusable.usable(common));
                        ranges.extend(given.map(|given| (given, pool.name.clone())));
                    }
                }
            }
        }
        reserved
    }

    /// The reservation that keeps the address, and for whom.
    pub(super) fn by(&self, address: IpAddr) -> Option<(&str, Option<&ServiceKey>)> {
        let (family, n) = (Family::of(address), number(address));
        let range = (family, 0)..=(family, n);
        let (_, (last, name, service)) = self.ranges.range(range).next_back()?;
        (n <= *last).then_some((name, service.as_ref()))
    }

    /// The reserved addresses of the pool.
    pub(super) fn within(&self, pool: &Pool) -> RangeSet {
        let reserved = self.ranges.iter().map(|((family, first), (last, _, _))| {
            AddressRange::of_numbers(*family, *first, *last)
        });
        reserved
            .flat_map(|range| {
                let common = pool.ranges.iter().map(move |own| own.intersection(&range));
                common.flatten().collect::<Vec<_>>()
            })
            .collect()
    }

    /// What is reserved for the Service, in the order it is written: range and pool.
    pub(super) fn ranges_for(&self, service: &ServiceKey) -> &[(AddressRange, String)] {
        self.for_service.get(service).map_or(&[], Vec::as_slice)
    }
}
