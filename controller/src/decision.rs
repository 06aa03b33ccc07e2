//! What was decided on one look at everything, and who may announce what follows from it. Pure.
//!
//! Not here: deciding (`book`), and turning it into writes (`assign`, `announcements`, `accepted`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use herald_config::{Compiled, Problem};
use herald_model::alloc::Plan;
use herald_model::announce::World;
use herald_model::service::{Endpoint, Service, ServiceKey};

use crate::observed::Observed;

/// The outcome of one look at everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decision {
    /// The configuration in force, and what is wrong with the rest.
    pub(crate) compiled: Arc<Compiled>,
    /// What is wrong with Services.
    pub(crate) service_problems: Vec<Problem>,
    /// Who gets which address.
    pub(crate) plan: Plan,
}

/// What may be announced follows from this: what the Services' status says now, and where they run.
pub(crate) fn world(observed: &Observed, decision: &Decision) -> World {
    let nodes = observed.objects.nodes.iter().flatten();
    World {
        services: ours(observed),
        pools: decision.compiled.config.pools.clone(),
        advertisements: decision.compiled.config.l2_advertisements.clone(),
        nodes: nodes
            .map(|(name, facts)| (name.clone(), facts.to_model()))
            .collect(),
        unusable: Arc::clone(&decision.compiled.config.unusable),
    }
}

/// The Services that are ours, with their endpoints.
fn ours(observed: &Observed) -> BTreeMap<ServiceKey, Arc<Service>> {
    let all = observed.services.iter();
    let ours = all.filter_map(|(key, object)| Some((key, object.ours.as_ref()?)));
    ours.map(|(key, service)| {
        let slices = observed.slices.get(key).into_iter().flatten();
        let endpoints: BTreeSet<&Endpoint> = slices.flat_map(|slice| &slice.endpoints).collect();
        let mut service = Arc::clone(service);
        if !endpoints.is_empty() {
            Arc::make_mut(&mut service).endpoints = endpoints.into_iter().cloned().collect();
        }
        (key.clone(), service)
    })
    .collect()
}

impl Decision {
    /// The pool an address that a Service holds is from, as far as anybody knows.
    pub(crate) fn pool_of(&self, service: &Service, address: IpAddr) -> String {
        let planned = self
            .plan
            .places(&service.key)
            .iter()
            .find(|p| p.address == address);
        if let Some(place) = planned {
            return place.pool.clone();
        }
        let pools = &self.compiled.config.pools;
        let containing = pools.values().find(|pool| pool.ranges.contains(address));
        let name = containing
            .map(|pool| &pool.name)
            .or(service.held_pools.first());
        name.cloned().unwrap_or_default()
    }
}
