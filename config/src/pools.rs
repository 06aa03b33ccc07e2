//! IPAddressPools: from manifests to pools of which no two hold the same address.
//!
//! The older pool keeps an address that two pools claim (by creation time, then by name), so
//! editing or adding a pool never takes an address from one that works. Only the contested
//! addresses are cut from the younger pool; a pool left with none is quarantined.

use std::collections::{BTreeMap, BTreeSet};

use herald_crds::{IPAddressPool, ServiceAllocation};
use herald_model::address::{AddressRange, RangeSet};
use herald_model::labels::Labels;
use herald_model::pool::{Allocation, Pool};

use crate::objects::{Objects, by_age, unique};
use crate::problem::{ObjectRef, Problem, Reason, Report};
use crate::{addresses, policy, selector};

pub(crate) const KIND: &str = "IPAddressPool";

/// The usable pools by name.
pub(crate) fn compile(objects: &Objects, problems: &mut Vec<Problem>) -> BTreeMap<String, Pool> {
    let mut accepted: BTreeMap<String, Pool> = BTreeMap::new();
    let pools = unique(KIND, &objects.pools, problems);
    for (name, object) in by_age(pools) {
        let mut report = Report::new(ObjectRef::new(KIND, &name), problems);
        let mut pool = translate(&name, object, objects.namespaces.as_ref(), &mut report);
        if !report.is_quarantined() {
            cut_overlaps(&mut pool, &object.spec.addresses, &accepted, &mut report);
        }
        if !report.is_quarantined() {
            accepted.insert(name, pool);
        }
    }
    accepted
}

fn translate(
    name: &str,
    object: &IPAddressPool,
    namespaces: Option<&BTreeMap<String, Labels>>,
    report: &mut Report<'_>,
) -> Pool {
    let spec = &object.spec;
    if spec.addresses.is_empty() {
        let message = "the pool has no addresses; write at least one".to_owned();
        report.reject("spec.addresses", Reason::NoAddresses, message);
    }
    let ranges = addresses::parse_disjoint("spec.addresses", &spec.addresses, report);
    let excluded = addresses::parse("spec.excludedAddresses", &spec.excluded_addresses, report);
    if !report.is_quarantined() {
        check_excluded(&ranges, &excluded, report);
    }
    let (sharing, sharing_scope) = policy::sharing(spec, report);
    Pool {
        ranges,
        excluded: RangeSet::new(excluded),
        auto_assign: spec.auto_assign,
        avoid_buggy_ips: spec.avoid_buggy_ips,
        allocation: spec
            .service_allocation
            .as_ref()
            .map(|a| allocation(a, namespaces, report)),
        quotas: policy::quotas(&spec.quotas, namespaces, report),
        retain: policy::duration("spec.retain", spec.retain.as_deref(), report),
        reuse_delay: policy::duration("spec.reuseDelay", spec.reuse_delay.as_deref(), report),
        sharing,
        sharing_scope,
        ports: policy::ports(&spec.ports, report),
        draining: spec.draining,
        labels: object.metadata.labels.clone().unwrap_or_default(),
        ..Pool::new(name, RangeSet::default())
    }
}

fn check_excluded(ranges: &RangeSet, excluded: &[AddressRange], report: &mut Report<'_>) {
    for (i, range) in excluded.iter().enumerate() {
        let one = RangeSet::new(vec![*range]);
        if one.without(ranges) != RangeSet::default() {
            report.note(
                format!("spec.excludedAddresses[{i}]"),
                Reason::ExcludedOutside,
                format!("{range} is not wholly in spec.addresses; only what the pool holds can be excluded"),
            );
        }
    }
    if ranges.without(&RangeSet::new(excluded.to_vec())).is_empty() {
        let message = "every address of the pool is excluded, so it can give none".to_owned();
        report.note("spec.excludedAddresses", Reason::NothingLeft, message);
    }
}

fn allocation(
    allocation: &ServiceAllocation,
    namespaces: Option<&BTreeMap<String, Labels>>,
    report: &mut Report<'_>,
) -> Allocation {
    let field = "spec.serviceAllocation";
    let priority = allocation.priority.unwrap_or(0);
    let priority = u32::try_from(priority).unwrap_or_else(|_| {
        let message =
            format!("{priority} is negative; write 1 for the first choice, 0 for the last");
        report.reject(format!("{field}.priority"), Reason::OutOfBounds, message);
        0
    });
    let namespace_selectors = selector::namespaces(
        field,
        &allocation.namespaces,
        &allocation.namespace_selectors,
        namespaces,
        report,
    );
    let service_selectors = selector::list(
        &format!("{field}.serviceSelectors"),
        &allocation.service_selectors,
        report,
    );
    Allocation {
        priority,
        namespaces: allocation.namespaces.iter().cloned().collect(),
        namespace_selectors,
        service_selectors,
    }
}

/// Takes from the pool what older pools hold.
fn cut_overlaps(
    pool: &mut Pool,
    entries: &[String],
    older: &BTreeMap<String, Pool>,
    report: &mut Report<'_>,
) {
    let before = pool.ranges.clone();
    let mut contested = BTreeSet::new();
    for (name, other) in older {
        if !before.overlaps(&other.ranges) {
            continue;
        }
        contested.insert(name.as_str());
        for (i, entry) in entries.iter().enumerate() {
            let range = entry
                .parse::<AddressRange>()
                .ok()
                .map(|range| RangeSet::new(vec![range]));
            let overlap = range.and_then(|range| range.first_overlap(&other.ranges));
            if let Some((mine, theirs)) = overlap {
                report.note(
                    format!("spec.addresses[{i}]"),
                    Reason::OverlappingAddresses,
                    format!(
                        "{mine} overlaps {theirs} of {KIND} {name}, which is older and keeps the shared addresses; remove them from one of the two"
                    ),
                );
            }
        }
        pool.ranges = pool.ranges.without(&other.ranges);
    }
    if pool.ranges.is_empty() {
        let names = contested.into_iter().collect::<Vec<_>>().join(", ");
        report.reject(
            "spec.addresses",
            Reason::OverlappingAddresses,
            format!(
                "every address of the pool belongs to older pools ({names}); remove one of them"
            ),
        );
    }
}

/// A notice for every pool whose addresses nobody would announce.
pub(crate) fn note_not_advertised(
    pools: &BTreeMap<String, Pool>,
    covered: &dyn Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) {
    for name in pools.keys().filter(|name| !covered(name)) {
        Report::new(ObjectRef::new(KIND, name), problems).note(
            "metadata.name",
            Reason::NotAdvertised,
            "no L2Advertisement and no BGPAdvertisement covers the pool: its addresses are given out and announced nowhere; create one that names it".to_owned(),
        );
    }
}
