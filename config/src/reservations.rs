//! IPReservations: from manifests to reservations of which no two hold the same address.
//!
//! Of two that claim an address the one whose name comes first is in force, and the other is
//! quarantined: whom the address is for must not be in doubt.

use std::collections::BTreeMap;

use herald_crds::IPReservation;
use herald_model::address::RangeSet;
use herald_model::pool::{Pool, Reservation};
use herald_model::service::ServiceKey;

use crate::addresses;
use crate::objects::{Objects, unique};
use crate::problem::{ObjectRef, Problem, Reason, Report};

pub(crate) const KIND: &str = "IPReservation";

/// The usable reservations by name.
pub(crate) fn compile(
    objects: &Objects,
    pools: &BTreeMap<String, Pool>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Reservation> {
    let mut accepted: BTreeMap<String, Reservation> = BTreeMap::new();
    for (name, object) in unique(KIND, &objects.reservations, problems) {
        let mut report = Report::new(ObjectRef::new(KIND, &name), problems);
        let reservation = translate(object, &mut report);
        if !report.is_quarantined() {
            check_overlaps(&reservation, &accepted, &mut report);
        }
        if !report.is_quarantined() {
            note_outside(&object.spec.addresses, pools, &mut report);
            accepted.insert(name, reservation);
        }
    }
    accepted
}

fn translate(object: &IPReservation, report: &mut Report<'_>) -> Reservation {
    let spec = &object.spec;
    if spec.addresses.is_empty() {
        let message = "the reservation has no addresses; write at least one".to_owned();
        report.reject("spec.addresses", Reason::NoAddresses, message);
    }
    let service = spec.service.as_ref();
    Reservation {
        addresses: addresses::parse_disjoint("spec.addresses", &spec.addresses, report),
        service: service.map(|s| ServiceKey::new(&s.namespace, &s.name)),
    }
}

fn check_overlaps(
    reservation: &Reservation,
    accepted: &BTreeMap<String, Reservation>,
    report: &mut Report<'_>,
) {
    for (name, other) in accepted {
        if let Some((mine, theirs)) = reservation.addresses.first_overlap(&other.addresses) {
            let message = format!(
                "{mine} overlaps {theirs} of {KIND} {name}, which is in force; remove the shared addresses from one of the two"
            );
            report.reject("spec.addresses", Reason::OverlappingAddresses, message);
        }
    }
}

/// A notice for every entry that lies in no pool.
fn note_outside(entries: &[String], pools: &BTreeMap<String, Pool>, report: &mut Report<'_>) {
    for (i, entry) in entries.iter().enumerate() {
        let Ok(range) = entry.parse() else {
            continue;
        };
        let one = RangeSet::new(vec![range]);
        if !pools.values().any(|pool| pool.ranges.overlaps(&one)) {
            let message = format!(
                "{range} is in no IPAddressPool, so nobody gets it; add it to a pool or correct it"
            );
            report.note(
                format!("spec.addresses[{i}]"),
                Reason::OutsideEveryPool,
                message,
            );
        }
    }
}
