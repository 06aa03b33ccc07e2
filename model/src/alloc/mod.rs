//! Which Service gets which address: one decision for all of them on one snapshot.
//!
//! 1. Whoever holds an address and may keep it, keeps it (`settle`). An address that Herald did not
//!    give and may not adopt is left alone.
//! 2. Holders whose user now asks for something else move, if what they ask for can be had;
//!    otherwise they keep what they have and are told why (`moves`).
//! 3. The others are served, oldest first (`choose`, `take`).
//!
//! [`plan`] is the definition; a [`Planner`] gives the same answer and remembers what has not changed.
//!
//! Not here: reading or writing Services. A plan that is applied and planned again changes nothing,
//! but that a Service may join another on the address this one got by it.

mod cause;
mod choose;
mod disputes;
mod heldback;
mod intervals;
mod ledger;
mod moves;
mod named;
mod plan;
mod planner;
mod refusal;
mod reserved;
mod settle;
mod sharing;
mod shelf;
mod take;
mod tenancy;

use std::collections::BTreeSet;

pub use cause::Cause;
pub use heldback::Freed;
pub use plan::{Assignment, Change, Lost, Place, Plan, PoolCounts, Release, Snapshot};
pub use planner::Planner;
pub use refusal::Refusal;
pub use sharing::{Conflict, ConflictKind};

use crate::address::Family;

/// What one Service has while the plan is being made.
#[derive(Debug, Clone, Default)]
struct Tally {
    places: Vec<Place>,
    lost: Vec<Lost>,
    /// What it has, Herald did not give and may not adopt, and why not.
    alone: Vec<Lost>,
    refusal: Option<Refusal>,
}

/// Decides for every Service of the snapshot.
#[must_use]
pub fn plan(snapshot: &Snapshot) -> Plan {
    let mut planner = Planner::default();
    planner.plan(snapshot);
    planner.into_plan()
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
