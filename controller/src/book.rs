//! What is planned on, kept from round to round: the configuration in force, and the Services as the
//! planner sees them. Pure.
//!
//! A round brings in what changed; the plan is always the one that the whole would give.
//!
//! Not here: which Services changed (`fresh`), and what else is known of them (`observed`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use herald_config::{Compiled, Objects, Problem, compile};
use herald_model::alloc::{Freed, Plan, Planner, Snapshot};
use herald_model::service::ServiceKey;

use crate::decision::Decision;
use crate::kept::Service;

/// Configuration, Services, and the plan for them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    compiled: Arc<Compiled>,
    snapshot: Snapshot,
    /// What is wrong with Services; only those with something wrong.
    problems: BTreeMap<ServiceKey, Vec<Problem>>,
    /// `spec.externalIPs`; only of Services that have some.
    external: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Whether `external` has changed since the configuration was taken in.
    external_changed: bool,
    planner: Planner,
}

impl Book {
    /// Takes in the configuration as it is written now.
    pub(crate) fn configure(&mut self, mut objects: Objects) {
        objects.external_ips.clone_from(&self.external);
        self.external_changed = false;
        let compiled = compile(&objects);
        let config = &compiled.config;
        self.snapshot.pools.clone_from(&config.pools);
        self.snapshot
            .quarantined_pools
            .clone_from(&config.quarantined_pools);
        self.snapshot.reservations.clone_from(&config.reservations);
        self.snapshot.unusable = Arc::clone(&config.unusable);
        self.snapshot.namespaces = objects.namespaces.unwrap_or_default();
        self.compiled = Arc::new(compiled);
    }

    /// Whether the configuration is to be taken in again, for the sake of a Service.
    pub(crate) fn is_outdated(&self) -> bool {
        self.external_changed
    }

    /// Takes in a Service as it is now; none when it is gone.
    pub(crate) fn enter(&mut self, key: &ServiceKey, object: Option<&Service>) {
        self.enter_external(key, object.map_or(&[], |object| &object.external));
        self.problems.remove(key);
        let ours = object.and_then(|object| Some((object, object.ours.as_ref()?)));
        let Some((object, service)) = ours else {
            self.snapshot.services.remove(key);
            return;
        };
        self.snapshot
            .services
            .insert(key.clone(), Arc::clone(service));
        if !object.problems.is_empty() {
            self.problems.insert(key.clone(), object.problems.clone());
        }
    }

    fn enter_external(&mut self, key: &ServiceKey, addresses: &[IpAddr]) {
        if self.external.get(key).map_or(&[][..], Vec::as_slice) == addresses {
            return;
        }
        self.external_changed = true;
        match addresses {
            [] => self.external.remove(key),
            some => self.external.insert(key.clone(), some.to_vec()),
        };
    }

    /// The Services in it.
    #[cfg(test)]
    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.snapshot.services.keys()
    }

    /// Takes in which addresses were given up lately.
    pub(crate) fn free(&mut self, freed: BTreeMap<IpAddr, Freed>) {
        self.snapshot.freed = freed;
    }

    /// The addresses a Service holds from pools that remember their holders, and whether it is a
    /// Service that may hold any.
    pub(crate) fn remembered(&self, key: &ServiceKey) -> (BTreeSet<IpAddr>, bool) {
        let Some(service) = self.snapshot.services.get(key) else {
            return (BTreeSet::new(), false);
        };
        let remembers = |address: &&IpAddr| {
            self.snapshot.pools.values().any(|pool| {
                let remembers = pool.retain.max(pool.reuse_delay) > Duration::ZERO;
                remembers && pool.ranges.contains(**address)
            })
        };
        let held = service.held.iter().filter(remembers).copied().collect();
        (held, true)
    }

    /// The plan at a time, in seconds since 1970.
    pub(crate) fn plan(&mut self, now: i64) -> &Plan {
        self.snapshot.now = now;
        self.planner.plan(&self.snapshot)
    }

    /// The configuration, the plan that was made last, and what is wrong.
    pub(crate) fn decision(&mut self) -> Decision {
        Decision {
            compiled: Arc::clone(&self.compiled),
            service_problems: self.problems.values().flatten().cloned().collect(),
            plan: self.planner.plan(&self.snapshot).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::assign::tests::{kept, pool};

    #[test]
    fn external_ips_of_any_service_are_told_once_they_change_and_only_then() {
        let objects = || Objects {
            pools: vec![pool("lan", "192.0.2.0/30")],
            ..Objects::default()
        };
        let told = |book: &mut Book| {
            book.configure(objects());
            let decision = book.decision();
            let problems = decision.compiled.problems.iter();
            problems
                .map(|problem| problem.reason.label())
                .collect::<Vec<_>>()
        };
        let key = ServiceKey::new("shop", "inner");
        let inner = |external: &[&str], version: &str| {
            kept(&json!({
                "metadata": {"namespace": "shop", "name": "inner", "resourceVersion": version},
                "spec": {"type": "ClusterIP", "externalIPs": external},
            }))
        };
        let mut book = Book::default();
        book.enter(&key, Some(&inner(&[], "1")));
        assert!(!book.is_outdated());
        assert_eq!(told(&mut book), ["NotAdvertised"]);
        book.enter(&key, Some(&inner(&["192.0.2.2"], "2")));
        assert!(book.is_outdated());
        assert_eq!(told(&mut book), ["NotAdvertised", "ExternalIP"]);
        book.enter(&key, Some(&inner(&["192.0.2.2"], "3")));
        assert!(!book.is_outdated());
        book.enter(&key, None);
        assert!(book.is_outdated());
        assert_eq!(told(&mut book), ["NotAdvertised"]);
    }
}
