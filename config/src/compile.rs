//! The whole of what users wrote, compiled at once.
//!
//! Not here: the kinds (`pools`, `reservations`, `l2`, `bgp`). Same objects in any order, same result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herald_model::announce;
use herald_model::bgp::Policy;
use herald_model::pool::{Pool, Reservation};
use herald_model::unusable::Unusable;

use crate::objects::Objects;
use crate::problem::{ObjectRef, Problem, Verdict};
use crate::{bgp, l2, pools, reservations, usable};

/// What is left when everything wrong is set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The pools in force; no two hold the same address.
    pub pools: BTreeMap<String, Pool>,
    /// Pools that exist and are set aside: who holds an address from one keeps it.
    pub quarantined_pools: BTreeSet<String>,
    /// The reservations in force; no two hold the same address.
    pub reservations: BTreeMap<String, Reservation>,
    /// Addresses that no Service is given, whatever the pools say.
    pub unusable: Arc<Unusable>,
    /// The advertisements in force, by name.
    pub l2_advertisements: Vec<announce::L2Advertisement>,
    /// Routers and what they are told.
    pub bgp: Policy,
}

/// The outcome of [`compile`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// What is in force.
    pub config: Config,
    /// What is wrong, ordered by object, quarantining problems first.
    pub problems: Vec<Problem>,
}

impl Compiled {
    /// Condition `Accepted` of an object that was compiled.
    #[must_use]
    pub fn verdict(&self, object: &ObjectRef) -> Verdict {
        let about: Vec<&Problem> = self
            .problems
            .iter()
            .filter(|p| p.object == *object)
            .collect();
        Verdict::of(&about)
    }
}

/// Compiles everything. Never fails: what cannot be used becomes a problem.
#[must_use]
pub fn compile(objects: &Objects) -> Compiled {
    let mut problems = Vec::new();
    let in_force = pools::compile(objects, &mut problems);
    let reservations = reservations::compile(objects, &in_force, &mut problems);
    let l2_advertisements = l2::compile(objects, &mut problems);
    let bgp = bgp::compile(objects, &mut problems);

    let selects = |pools: &Option<BTreeSet<String>>, pool: &str| {
        pools.as_ref().is_none_or(|pools| pools.contains(pool))
    };
    let on_lan = |pool: &str| l2_advertisements.iter().any(|ad| selects(&ad.pools, pool));
    let to_routers = |pool: &str| {
        let mut advertisements = bgp.advertisements.iter();
        advertisements.any(|ad| selects(&ad.pools, pool))
    };
    let covered = |pool: &str| on_lan(pool) || to_routers(pool);
    pools::note_not_advertised(&in_force, &covered, &mut problems);
    let unusable = usable::unusable(objects);
    usable::note_unusable(&in_force, &unusable, &mut problems);
    usable::note_external(&in_force, &objects.external_ips, &mut problems);
    if let Some(infrastructure) = &objects.infrastructure {
        let only_on_lan = in_force.values();
        let only_on_lan = only_on_lan.filter(|pool| on_lan(&pool.name) && !to_routers(&pool.name));
        usable::note_off_subnet(only_on_lan, infrastructure, &mut problems);
    }

    let quarantined_pools = objects
        .pools
        .iter()
        .filter_map(|pool| pool.metadata.name.clone())
        .filter(|name| !in_force.contains_key(name))
        .collect();
    problems.sort();
    problems.dedup();
    Compiled {
        config: Config {
            pools: in_force,
            quarantined_pools,
            reservations,
            unusable,
            l2_advertisements,
            bgp,
        },
        problems,
    }
}
