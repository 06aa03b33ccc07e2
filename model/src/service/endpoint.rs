//! Endpoints, and which of them kube-proxy sends traffic for an address to.
//!
//! kube-proxy has one table for each IP family and fills it from the EndpointSlices of that family
//! alone. It takes the endpoints that are ready; where none is, those that terminate and still serve.
//! With policy Local it does so among the endpoints of its node.
//!
//! Not here: which nodes may announce an address (`announce`, `bgp`).

use std::collections::BTreeMap;

use super::{Service, TrafficPolicy};
use crate::address::Family;

/// One endpoint as its EndpointSlice says it, conditions defaulted as Kubernetes documents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The family of its addresses.
    pub family: Family,
    /// The node it runs on, when known.
    pub node: Option<String>,
    /// Takes new traffic.
    pub ready: bool,
    /// Would answer, terminating or not.
    pub serving: bool,
    /// Is being deleted.
    pub terminating: bool,
}

/// As what kube-proxy uses an endpoint. Where one is `Ready`, those that are `Terminating` get nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usable {
    /// It is being deleted and still serves.
    Terminating,
    /// It takes new traffic.
    Ready,
}

impl Endpoint {
    /// As what kube-proxy uses it; none when it does not.
    #[must_use]
    pub fn usable(&self) -> Option<Usable> {
        if self.ready {
            Some(Usable::Ready)
        } else if self.serving && self.terminating {
            Some(Usable::Terminating)
        } else {
            None
        }
    }
}

impl Service {
    /// What traffic for an address of this family reaches, wherever it enters.
    #[must_use]
    pub fn usable(&self, family: Family) -> Option<Usable> {
        best(self.endpoints_of(family))
    }

    /// What it reaches when it enters at a node.
    #[must_use]
    pub fn usable_from(&self, family: Family, node: &str) -> Option<Usable> {
        match self.traffic_policy {
            TrafficPolicy::Cluster => self.usable(family),
            TrafficPolicy::Local => self.usable_on(family, node),
        }
    }

    /// What it reaches on a node.
    fn usable_on(&self, family: Family, node: &str) -> Option<Usable> {
        let here = self
            .endpoints_of(family)
            .filter(|endpoint| endpoint.node.as_deref() == Some(node));
        best(here)
    }

    /// What it reaches on each node, where it reaches anything.
    #[must_use]
    pub fn usable_by_node(&self, family: Family) -> BTreeMap<&str, Usable> {
        let mut nodes: BTreeMap<&str, Usable> = BTreeMap::new();
        for endpoint in self.endpoints_of(family) {
            if let (Some(node), Some(usable)) = (&endpoint.node, endpoint.usable()) {
                let best = nodes.entry(node).or_insert(usable);
                *best = usable.max(*best);
            }
        }
        nodes
    }

    fn endpoints_of(&self, family: Family) -> impl Iterator<Item = &Endpoint> {
        let endpoints = self.endpoints.iter();
        endpoints.filter(move |endpoint| endpoint.family == family)
    }
}

/// The best that any of them is, which one that is ready decides.
fn best<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> Option<Usable> {
    let mut best = None;
    for usable in endpoints.filter_map(Endpoint::usable) {
        if usable == Usable::Ready {
            return Some(usable);
        }
        best = Some(usable);
    }
    best
}
