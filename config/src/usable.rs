//! What of the pools no Service is given, and what may not be as its author thinks: addresses of nodes and
//! ranges, `externalIPs` of Services, and pools that are in no subnet.
//!
//! Not here: whose an address is (`infrastructure`), and giving addresses (`model`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use herald_crds::IPAddressPool;
use herald_model::address::{AddressRange, Family, is_buggy};
use herald_model::pool::Pool;
use herald_model::service::ServiceKey;
use herald_model::unusable::{NeverHost, Owner, Unusable};

use crate::infrastructure::{Infrastructure, never_hosts};
use crate::objects::Objects;
use crate::pools::KIND;
use crate::problem::{ObjectRef, Problem, Reason, Report};

/// A message names this many ranges; more are counted.
const NAMED: usize = 4;

/// What no Service is given. Without a cluster that is only what no host can have.
pub(crate) fn unusable(objects: &Objects) -> Arc<Unusable> {
    match &objects.infrastructure {
        Some(infrastructure) => Arc::clone(&infrastructure.unusable),
        None => Arc::new(Unusable::new(never_hosts())),
    }
}

/// A notice for every pool with addresses that no Service is given.
pub(crate) fn note_unusable(
    pools: &BTreeMap<String, Pool>,
    unusable: &Unusable,
    problems: &mut Vec<Problem>,
) {
    for (name, pool) in pools {
        let usable = pool.usable();
        let mut entries = unusable.entries_within(&usable);
        entries.retain(|(range, _)| !gives_none(pool, *range));
        if entries.is_empty() {
            continue;
        }
        let mut rest = usable.iter().flat_map(|range| unusable.usable(*range));
        let (reason, message) = match rest.any(|range| !gives_none(pool, range)) {
            true => {
                let which = listed(&entries, |range, owner| format!("{range} ({owner})"));
                let message =
                    format!("no Service is given {which}; the rest of the pool is in use");
                (Reason::PartlyUsable, message)
            }
            false => {
                let which = listed(&entries, |range, owner| format!("{range} is {owner}"));
                let message = format!(
                    "no address of the pool can be given to a Service: {which}; add others"
                );
                (Reason::NothingLeft, message)
            }
        };
        Report::new(ObjectRef::new(KIND, name), problems).note("spec.addresses", reason, message);
    }
}

/// Whether avoidBuggyIPs keeps all of the range back.
fn gives_none(pool: &Pool, range: AddressRange) -> bool {
    pool.avoid_buggy_ips && range.first() == range.last() && is_buggy(range.first())
}

fn listed(
    entries: &[(AddressRange, &Owner)],
    show: impl Fn(AddressRange, &Owner) -> String,
) -> String {
    let named = entries.iter().take(NAMED);
    let mut named: Vec<String> = named.map(|(range, owner)| show(*range, owner)).collect();
    match entries.len().saturating_sub(NAMED) {
        0 => {}
        1 => named.push("1 more range".to_owned()),
        more => named.push(format!("{more} more ranges")),
    }
    match named.as_slice() {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        few => few.concat(),
    }
}

/// A notice for every pool with an address from `spec.externalIPs` of a Service: kube-proxy takes its
/// traffic for that Service on every node.
pub(crate) fn note_external(
    pools: &BTreeMap<String, Pool>,
    external_ips: &BTreeMap<ServiceKey, Vec<IpAddr>>,
    problems: &mut Vec<Problem>,
) {
    for (service, addresses) in external_ips {
        for address in addresses {
            let mut all = pools.iter();
            let Some((name, _)) = all.find(|(_, pool)| pool.usable().contains(*address)) else {
                continue;
            };
            let message = format!(
                "{address} stands in spec.externalIPs of Service {service}, which gets its traffic on \
                 every node; list it in excludedAddresses or remove it there"
            );
            let object = ObjectRef::new(KIND, name);
            Report::new(object, problems).note("spec.addresses", Reason::ExternalIp, message);
        }
    }
}

/// A notice for each of these pools that has addresses of a family and none in a subnet.
pub(crate) fn note_off_subnet<'p>(
    pools: impl Iterator<Item = &'p Pool>,
    infrastructure: &Infrastructure,
    problems: &mut Vec<Problem>,
) {
    if infrastructure.subnets.is_empty() {
        return;
    }
    for pool in pools {
        for family in [Family::V4, Family::V6] {
            let mut mine = pool
                .ranges
                .iter()
                .filter(|r| r.family() == family)
                .peekable();
            let Some(first) = mine.peek().copied() else {
                continue;
            };
            if mine.any(|range| infrastructure.is_near(*range)) {
                continue;
            }
            let message = format!(
                "no speaker uses an interface in a subnet of the pool's {family} addresses ({first} is \
                 the first range), and no BGPAdvertisement covers it: hosts of the LAN reach them \
                 only by a route; use addresses of the LAN or create a BGPAdvertisement"
            );
            let object = ObjectRef::new(KIND, &pool.name);
            Report::new(object, problems).note("spec.addresses", Reason::OffSubnet, message);
        }
    }
}

/// Entries of a pool that the API server refuses as it is written: ranges that start or end with an
/// address that no host can have, and networks of such addresses. A stored object keeps them.
#[must_use]
pub fn refused_addresses(pool: &IPAddressPool) -> Vec<Problem> {
    let name = pool.metadata.name.clone().unwrap_or_default();
    let mut problems = Vec::new();
    for (i, entry) in pool.spec.addresses.iter().enumerate() {
        let Some((address, kind)) = refused(entry) else {
            continue;
        };
        let message =
            format!("{address} is {kind}, which no Service can have; write another address");
        Report::new(ObjectRef::new(KIND, &name), &mut problems).reject(
            format!("spec.addresses[{i}]"),
            Reason::NotAHost,
            message,
        );
    }
    problems
}

/// The address for which the API server refuses an entry, and what it is.
fn refused(entry: &str) -> Option<(IpAddr, NeverHost)> {
    let range: AddressRange = entry.parse().ok()?;
    let (first, last) = (range.first(), range.last());
    let of = |address| NeverHost::of(address).map(|kind| (address, kind));
    if !entry.contains('/') {
        return of(first).or_else(|| of(last));
    }
    of(first).filter(|(_, kind)| {
        let mut ranges = kind.ranges().into_iter();
        ranges.any(|never| never.contains(first) && never.contains(last))
    })
}
