//! The whole of what users wrote, compiled at once.
//!
//! Not here: the kinds (`pools`, `l2`, `unbuilt`). Same objects in any order, same result.

use std::collections::{BTreeMap, BTreeSet};

use herald_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, IPReservation, L2Advertisement,
};
use herald_model::announce;
use herald_model::labels::Labels;
use herald_model::pool::Pool;
use kube::Resource;

use crate::node::NodeFacts;
use crate::problem::{ObjectRef, Problem, Reason, Report, Verdict};
use crate::{l2, pools, unbuilt};

/// Every object a configuration is made of, in any order.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// IPAddressPools.
    pub pools: Vec<IPAddressPool>,
    /// IPReservations.
    pub reservations: Vec<IPReservation>,
    /// L2Advertisements.
    pub l2_advertisements: Vec<L2Advertisement>,
    /// BGPAdvertisements.
    pub bgp_advertisements: Vec<BGPAdvertisement>,
    /// BGPPeers.
    pub bgp_peers: Vec<BGPPeer>,
    /// BFDProfiles.
    pub bfd_profiles: Vec<BFDProfile>,
    /// Communities.
    pub communities: Vec<Community>,
    /// The labels of every namespace; `None` when unknown, as in an offline check.
    pub namespaces: Option<BTreeMap<String, Labels>>,
    /// What is known of every node; `None` when unknown.
    pub nodes: Option<BTreeMap<String, NodeFacts>>,
}

/// What is left when everything wrong is set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The pools in force; no two hold the same address.
    pub pools: BTreeMap<String, Pool>,
    /// Pools that exist and are set aside: who holds an address from one keeps it.
    pub quarantined_pools: BTreeSet<String>,
    /// The advertisements in force, by name.
    pub l2_advertisements: Vec<announce::L2Advertisement>,
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
    let l2_advertisements = l2::compile(objects, &mut problems);
    unbuilt::compile(objects, &mut problems);

    let covered = |pool: &str| {
        l2_advertisements
            .iter()
            .any(|ad| ad.pools.as_ref().is_none_or(|pools| pools.contains(pool)))
    };
    pools::note_not_advertised(&in_force, &covered, &mut problems);

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
            l2_advertisements,
        },
        problems,
    }
}

/// The objects by name. Objects without a name, and all of those that share one, are quarantined:
/// which one is meant is unknown. A cluster has neither; a directory of manifests can.
pub(crate) fn unique<'a, K: Resource>(
    kind: &'static str,
    objects: &'a [K],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, &'a K> {
    let mut named: BTreeMap<String, Vec<&K>> = BTreeMap::new();
    for object in objects {
        let name = object.meta().name.clone().unwrap_or_default();
        named.entry(name).or_default().push(object);
    }
    let mut unique = BTreeMap::new();
    for (name, objects) in named {
        let mut report = Report::new(ObjectRef::new(kind, &name), problems);
        match objects.as_slice() {
            [object] if !name.is_empty() => {
                unique.insert(name, *object);
            }
            _ if name.is_empty() => {
                let message = "the object has no name; write one".to_owned();
                report.reject("metadata.name", Reason::NameMissing, message);
            }
            several => {
                let message = format!(
                    "{} objects have this name; rename all but one",
                    several.len()
                );
                report.reject("metadata.name", Reason::NameDuplicate, message);
            }
        }
    }
    unique
}

/// Oldest first; those of the same second, and those that were never in a cluster, by name.
pub(crate) fn by_age<K: Resource>(objects: BTreeMap<String, &K>) -> Vec<(String, &K)> {
    let mut objects: Vec<_> = objects.into_iter().collect();
    objects.sort_by_key(|(_, object)| {
        let created = object.meta().creation_timestamp.as_ref();
        created.map_or(i64::MAX, |time| time.0.as_second())
    });
    objects
}
