//! What follows from what was observed: configuration, plan, and who may announce. Pure.
//!
//! Not here: turning it into writes (`assign`, `announcements`, `accepted`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use herald_config::{Compiled, Problem, compile, service};
use herald_model::alloc::{Plan, Snapshot, plan};
use herald_model::announce::{Desired, World, desired};
use herald_model::service::{Service, ServiceKey};

use crate::observed::Observed;

/// The outcome of one look at everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decision {
    /// The configuration in force, and what is wrong with the rest.
    pub(crate) compiled: Compiled,
    /// What is wrong with Services.
    pub(crate) service_problems: Vec<Problem>,
    /// Who gets which address.
    pub(crate) plan: Plan,
}

/// Decides for everything observed. `class` is the loadBalancerClass that is served.
pub(crate) fn decide(observed: &Observed, class: &str) -> Decision {
    let compiled = compile(&observed.objects);
    let (services, service_problems) = ours(observed, class);
    let plan = plan(&Snapshot {
        pools: compiled.config.pools.clone(),
        quarantined_pools: compiled.config.quarantined_pools.clone(),
        namespaces: observed.objects.namespaces.clone().unwrap_or_default(),
        services: services
            .into_iter()
            .map(|(k, s)| (k, Arc::new(s)))
            .collect(),
        reservations: compiled.config.reservations.clone(),
        ..Snapshot::default()
    });
    Decision {
        compiled,
        service_problems,
        plan,
    }
}

/// Who may announce what, on what the Services' status says now.
pub(crate) fn announceable(observed: &Observed, decision: &Decision, class: &str) -> Desired {
    let nodes = observed.objects.nodes.iter().flatten();
    desired(&World {
        services: ours(observed, class).0,
        pools: decision.compiled.config.pools.clone(),
        quarantined_pools: decision.compiled.config.quarantined_pools.clone(),
        advertisements: decision.compiled.config.l2_advertisements.clone(),
        nodes: nodes
            .map(|(name, facts)| (name.clone(), facts.to_model()))
            .collect(),
    })
}

/// The Services that are ours, translated.
pub(crate) fn ours(
    observed: &Observed,
    class: &str,
) -> (BTreeMap<ServiceKey, Service>, Vec<Problem>) {
    let mut services = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, object) in observed
        .services
        .iter()
        .filter(|(_, s)| service::is_ours(s, class))
    {
        let slices = observed
            .slices
            .get(key)
            .into_iter()
            .flatten()
            .map(AsRef::as_ref);
        let (service, found) = service::from_service(object, slices);
        services.insert(key.clone(), service);
        problems.extend(found);
    }
    (services, problems)
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
