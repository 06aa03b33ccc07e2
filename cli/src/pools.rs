//! What each pool has, and who holds it.
//!
//! Not here: whether the addresses are announced (`status`).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::bail;
use herald_model::address::{Count, Family, RangeSet};
use herald_model::alloc::Freed;
use herald_model::pool as model;
use herald_model::service::{PortKey, Service};
use herald_model::unusable::Unusable;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use crate::facts::Facts;
use crate::table::table;

/// What is shown; the same in both forms of output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pools {
    pools: Vec<Pool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pool {
    name: String,
    draining: bool,
    ipv4: Counts,
    ipv6: Counts,
    /// How many ports each address carries, where the pool names ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    ports_per_address: Option<u32>,
    /// Addresses that Services hold.
    addresses: Vec<Held>,
    /// Addresses that reservations keep, held or not.
    reserved: Vec<Reserved>,
    /// Addresses that wait for the Service that had them last.
    waiting: Vec<Waiting>,
}

/// Addresses of one family of a pool.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    capacity: i64,
    /// Services hold them.
    pub(crate) assigned: i64,
    /// Held back for the Service that had them last.
    retained: i64,
    /// Kept by reservations, and nobody holds them.
    reserved: i64,
    /// The next Service may have them.
    pub(crate) available: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    address: IpAddr,
    services: Vec<String>,
    ports: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Reserved {
    addresses: String,
    reservation: String,
    /// Whom they are for; absent, nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    address: IpAddr,
    service: String,
    /// When it was given up, and how.
    since: String,
}

/// The pools in force of these names, or all of them.
pub(crate) fn pools(facts: &Facts, names: &[String]) -> anyhow::Result<Pools> {
    let in_force = &facts.compiled.config.pools;
    for name in names {
        if facts.compiled.config.quarantined_pools.contains(name) {
            bail!("pool {name} is set aside for a mistake in it: see heraldctl status");
        }
        if !in_force.contains_key(name) {
            let known: Vec<&str> = in_force.keys().map(String::as_str).collect();
            bail!(
                "there is no pool {name}: the pools are {}",
                known.join(", ")
            );
        }
    }
    let wanted = in_force.values();
    let wanted = wanted.filter(|pool| names.is_empty() || names.contains(&pool.name));
    Ok(Pools {
        pools: wanted.map(|pool| one(facts, pool)).collect(),
    })
}

fn one(facts: &Facts, pool: &model::Pool) -> Pool {
    let mut held: BTreeMap<IpAddr, Vec<&Service>> = BTreeMap::new();
    for service in facts.services.values() {
        for address in service.held.iter().filter(|a| pool.ranges.contains(**a)) {
            held.entry(*address).or_default().push(service);
        }
    }
    let (ipv4, ipv6) = counts(facts, pool);
    Pool {
        name: pool.name.clone(),
        draining: pool.draining,
        ipv4,
        ipv6,
        ports_per_address: (!pool.ports.is_empty()).then(|| pool.ports.count()),
        addresses: held.into_iter().map(row).collect(),
        reserved: reserved(facts, pool),
        waiting: waiting(facts, pool),
    }
}

fn row((address, services): (IpAddr, Vec<&Service>)) -> Held {
    let ports: BTreeSet<PortKey> = services
        .iter()
        .flat_map(|s| s.ports.iter().copied())
        .collect();
    Held {
        address,
        services: services.iter().map(|s| s.key.to_string()).collect(),
        ports: ports.iter().map(ToString::to_string).collect(),
    }
}

/// What Services hold of the pool now, and what is left, IPv4 and IPv6.
pub(crate) fn counts(facts: &Facts, pool: &model::Pool) -> (Counts, Counts) {
    let services = facts.services.values();
    let held: BTreeSet<IpAddr> = services
        .flat_map(|service| service.held.iter().copied())
        .filter(|address| pool.ranges.contains(*address))
        .collect();
    let reservations = &facts.compiled.config.reservations;
    let kept = reservations.values().flat_map(|r| r.addresses.iter());
    let kept: RangeSet = kept.copied().collect();
    let waiting = waiting(facts, pool);
    let waiting: BTreeSet<IpAddr> = waiting
        .into_iter()
        .map(|waiting| waiting.address)
        .filter(|address| !kept.contains(*address) && !held.contains(address))
        .collect();
    let unusable = &facts.compiled.config.unusable;
    let of = |family| family_counts(pool, family, &held, &kept, &waiting, unusable);
    (of(Family::V4), of(Family::V6))
}

fn family_counts(
    pool: &model::Pool,
    family: Family,
    held: &BTreeSet<IpAddr>,
    kept: &RangeSet,
    waiting: &BTreeSet<IpAddr>,
    unusable: &Unusable,
) -> Counts {
    let mine = held
        .iter()
        .filter(|address| Family::of(**address) == family);
    let number = |n: usize| Count::new(n as u128);
    let assigned = number(mine.clone().count());
    let (barred, mine): (Vec<&IpAddr>, Vec<&IpAddr>) =
        mine.partition(|address| unusable.owner(**address).is_some());
    let (barred, open_held) = (number(barred.len()), mine.into_iter());
    let kept_held = number(open_held.filter(|address| kept.contains(**address)).count());
    let mut whole = pool.clone();
    whole.ranges = pool.usable();
    whole.ranges = whole
        .ranges
        .iter()
        .flat_map(|r| unusable.usable(*r))
        .collect();
    let mut open = whole.clone();
    open.excluded = pool.excluded.iter().chain(kept.iter()).copied().collect();
    let (capacity, open) = (whole.capacity(family), open.capacity(family));
    let retained = waiting
        .iter()
        .filter(|address| Family::of(**address) == family);
    let retained = number(retained.count());
    Counts {
        capacity: capacity.plus(barred).to_i64(),
        assigned: assigned.to_i64(),
        retained: retained.to_i64(),
        reserved: capacity.minus(open).minus(kept_held).to_i64(),
        available: open
            .minus(assigned.minus(kept_held).minus(barred))
            .minus(retained)
            .to_i64(),
    }
}

fn reserved(facts: &Facts, pool: &model::Pool) -> Vec<Reserved> {
    let mut rows = Vec::new();
    for (name, reservation) in &facts.compiled.config.reservations {
        for range in reservation.addresses.iter() {
            let common = pool.ranges.iter().filter_map(|own| own.intersection(range));
            rows.extend(common.map(|common| Reserved {
                addresses: common.to_string(),
                reservation: name.clone(),
                service: reservation.service.as_ref().map(ToString::to_string),
            }));
        }
    }
    rows
}

/// What of the pool waits still: nobody holds it, and its time is not over.
fn waiting(facts: &Facts, pool: &model::Pool) -> Vec<Waiting> {
    let given_up = facts.cluster.given_up.iter();
    let here = given_up.filter(|(address, _)| {
        pool.ranges.contains(**address)
            && pool.forbidden(**address).is_none()
            && facts.compiled.config.unusable.owner(**address).is_none()
            && !facts.plan.expired.contains(*address)
    });
    let row = |(address, freed): (&IpAddr, &Freed)| {
        let at = Timestamp::from_second(freed.at).unwrap_or_default();
        let how = if freed.deleted { "deleted" } else { "moved" };
        Waiting {
            address: *address,
            service: freed.holder.to_string(),
            since: format!("{how} {at}"),
        }
    };
    here.map(row).collect()
}

/// For people.
pub(crate) fn text(pools: &Pools) -> String {
    if pools.pools.is_empty() {
        return "POOL  none\n".to_owned();
    }
    let summary: Vec<[String; 7]> = pools.pools.iter().flat_map(summary_rows).collect();
    let mut text = table(
        [
            "POOL", "FAMILY", "CAPACITY", "USED", "RETAINED", "RESERVED", "FREE",
        ],
        &summary,
    );
    let holders: Vec<[String; 4]> = pools.pools.iter().flat_map(holder_rows).collect();
    if !holders.is_empty() {
        text += "\n";
        text += &table(["POOL", "ADDRESS", "HELD BY", "PORTS"], &holders);
    }
    let reserved: Vec<[String; 4]> = pools.pools.iter().flat_map(reserved_rows).collect();
    if !reserved.is_empty() {
        text += "\n";
        text += &table(["POOL", "RESERVED", "FOR", "IPRESERVATION"], &reserved);
    }
    let waiting: Vec<[String; 4]> = pools.pools.iter().flat_map(waiting_rows).collect();
    if !waiting.is_empty() {
        text += "\n";
        text += &table(["POOL", "RETAINED", "FOR", "SINCE"], &waiting);
    }
    text
}

fn waiting_rows(pool: &Pool) -> Vec<[String; 4]> {
    let row = |waiting: &Waiting| {
        [
            pool.name.clone(),
            waiting.address.to_string(),
            waiting.service.clone(),
            waiting.since.clone(),
        ]
    };
    pool.waiting.iter().map(row).collect()
}

fn summary_rows(pool: &Pool) -> Vec<[String; 7]> {
    let families = [("IPv4", &pool.ipv4), ("IPv6", &pool.ipv6)];
    let present = families
        .into_iter()
        .filter(|(_, counts)| counts.capacity > 0);
    let number = |n: i64| match n {
        i64::MAX => "many".to_owned(),
        n => n.to_string(),
    };
    let row = |(family, counts): (&str, &Counts)| {
        let free = match (counts.available, pool.draining) {
            (_, true) => "draining".to_owned(),
            (0, false) => "full".to_owned(),
            (n, false) => number(n),
        };
        [
            pool.name.clone(),
            family.to_owned(),
            number(counts.capacity),
            number(counts.assigned),
            number(counts.retained),
            number(counts.reserved),
            free,
        ]
    };
    present.map(row).collect()
}

fn holder_rows(pool: &Pool) -> Vec<[String; 4]> {
    let row = |held: &Held| {
        let ports = match pool.ports_per_address {
            Some(most) => format!("{} ({} of {most})", held.ports.join(","), held.ports.len()),
            None => held.ports.join(","),
        };
        [
            pool.name.clone(),
            held.address.to_string(),
            held.services.join(", "),
            ports,
        ]
    };
    pool.addresses.iter().map(row).collect()
}

fn reserved_rows(pool: &Pool) -> Vec<[String; 4]> {
    let row = |reserved: &Reserved| {
        let whom = reserved.service.clone();
        [
            pool.name.clone(),
            reserved.addresses.clone(),
            whom.unwrap_or_else(|| "nobody".to_owned()),
            reserved.reservation.clone(),
        ]
    };
    pool.reserved.iter().map(row).collect()
}
