//! Which Service gets which address: one decision for all of them on one snapshot.
//!
//! 1. Whoever holds an address and may keep it, keeps it (`settle`).
//! 2. Holders whose user now asks for something else move, if what they ask for can be had;
//!    otherwise they keep what they have and are told why.
//! 3. The others are served, oldest first (`choose`).
//!
//! Not here: reading or writing Services. A plan that is applied and planned again changes
//! nothing.

mod choose;
mod intervals;
mod ledger;
mod plan;
mod reason;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use choose::Chooser;
use ledger::Ledger;
pub use ledger::{Conflict, ConflictKind};
pub use plan::{Assignment, Change, Freed, Lost, Place, Plan, PoolCounts, Release, Snapshot};
pub use reason::{Cause, Refusal};

use crate::address::Family;
use crate::service::{Service, ServiceKey};

/// What one Service has while the plan is being made.
#[derive(Debug, Clone, Default)]
struct Tally {
    places: Vec<Place>,
    lost: Vec<Lost>,
    refusal: Option<Refusal>,
}

/// Decides for every Service of the snapshot.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut ledger = Ledger::new(&snapshot.pools);
    let mut tallies = settle::settle(snapshot, &mut ledger);
    move_those_who_ask(snapshot, &mut ledger, &mut tallies);
    serve(snapshot, &mut ledger, &mut tallies);
    let mut plan = Plan {
        counts: plan::counts(snapshot, &ledger),
        ..Plan::default()
    };
    for (key, tally) in tallies {
        if let Some(service) = snapshot.services.get(&key) {
            plan.record(service, tally);
        }
    }
    plan
}

/// Decides as [`plan`] does, and remembers what it decided: what has not changed is not judged
/// again.
#[derive(Debug, Default)]
pub struct Planner {
    plan: Plan,
}

impl Planner {
    /// The same as [`plan`] of this snapshot, whatever the snapshots before.
    pub fn plan(&mut self, snapshot: &Snapshot) -> &Plan {
        self.plan = plan(snapshot);
        &self.plan
    }
}

/// Oldest first; among equals by name.
fn by_age(services: &BTreeMap<ServiceKey, Arc<Service>>) -> Vec<&Service> {
    let mut sorted: Vec<_> = services.values().map(AsRef::as_ref).collect();
    sorted.sort_by_key(|s| (s.created, &s.key));
    sorted
}

/// A holder whose request contradicts what it holds, and the addresses it would leave.
struct Mover<'a> {
    service: &'a Service,
    leaving: BTreeSet<IpAddr>,
}

/// Movers let go together and try together, so that two may swap. Those who do not get what they
/// ask for are put back and the rest tries again without them; at last each of those tries alone.
/// Nobody loses an address to a wish that cannot be met.
fn move_those_who_ask(
    snapshot: &Snapshot,
    ledger: &mut Ledger<'_>,
    tallies: &mut BTreeMap<ServiceKey, Tally>,
) {
    let chooser = Chooser { snapshot };
    let mut movers: Vec<Mover<'_>> = by_age(&snapshot.services)
        .into_iter()
        .filter_map(|service| {
            let leaving = chooser.leaving(service, &tallies.get(&service.key)?.places);
            (!leaving.is_empty()).then_some(Mover { service, leaving })
        })
        .collect();
    let mut refused = Vec::new();
    while !movers.is_empty() {
        let mut attempt = ledger.clone();
        movers.iter().for_each(|mover| mover.leave(&mut attempt));
        let outcomes: Vec<_> = movers
            .iter()
            .map(|mover| mover.arrive(&chooser, tallies, &mut attempt))
            .collect();
        if outcomes.iter().all(Result::is_ok) {
            *ledger = attempt;
            for (mover, places) in movers.iter().zip(outcomes.into_iter().flatten()) {
                mover.record(places, tallies);
            }
            break;
        }
        let (going, staying): (Vec<_>, Vec<_>) = movers
            .into_iter()
            .zip(outcomes)
            .partition(|(_, outcome)| outcome.is_ok());
        movers = going.into_iter().map(|(mover, _)| mover).collect();
        refused.extend(staying.into_iter().map(|(mover, _)| mover));
    }
    for mover in refused {
        mover.leave(ledger);
        match mover.arrive(&chooser, tallies, ledger) {
            Ok(places) => mover.record(places, tallies),
            Err(refusal) => {
                for address in &mover.leaving {
                    let back = ledger.hold(mover.service, *address);
                    debug_assert!(back.is_ok(), "nobody else was served meanwhile");
                }
                tallies
                    .entry(mover.service.key.clone())
                    .or_default()
                    .refusal = Some(refusal);
            }
        }
    }
}

impl Mover<'_> {
    fn leave(&self, ledger: &mut Ledger<'_>) {
        self.leaving
            .iter()
            .for_each(|address| ledger.release(self.service, *address));
    }

    /// What it has beside what it leaves, completed by what it asks for.
    fn arrive(
        &self,
        chooser: &Chooser<'_>,
        tallies: &BTreeMap<ServiceKey, Tally>,
        ledger: &mut Ledger<'_>,
    ) -> Result<Vec<Place>, Refusal> {
        let places = tallies
            .get(&self.service.key)
            .map(|tally| tally.places.clone());
        let mut staying = places.unwrap_or_default();
        staying.retain(|place| !self.leaving.contains(&place.address));
        chooser.complete(self.service, staying, ledger)
    }

    fn record(&self, places: Vec<Place>, tallies: &mut BTreeMap<ServiceKey, Tally>) {
        let tally = tallies.entry(self.service.key.clone()).or_default();
        tally
            .lost
            .extend(self.leaving.iter().map(|a| Lost::new(*a, Cause::Requested)));
        tally.places = places;
    }
}

/// Gives the others what they lack.
fn serve(snapshot: &Snapshot, ledger: &mut Ledger<'_>, tallies: &mut BTreeMap<ServiceKey, Tally>) {
    let chooser = Chooser { snapshot };
    for service in by_age(&snapshot.services) {
        let tally = tallies.entry(service.key.clone()).or_default();
        if tally.refusal.is_some() {
            continue;
        }
        match chooser.complete(service, tally.places.clone(), ledger) {
            Ok(places) => tally.places = places,
            Err(refusal) => tally.refusal = Some(refusal),
        }
    }
}

/// Which families the places cover.
fn families_of(places: &[Place]) -> BTreeSet<Family> {
    places
        .iter()
        .map(|place| Family::of(place.address))
        .collect()
}

#[cfg(test)]
mod tests;
