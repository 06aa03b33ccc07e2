//! kube-proxy's own rule, for tests: `CategorizeEndpoints` of Kubernetes' `pkg/proxy/topology.go`, without
//! topology hints, which never leave a node without endpoints that others have.
//!
//! Written from that source and from nothing of ours.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Endpoint, TrafficPolicy};
use crate::address::Family;

/// What the table of one family on one node holds for an external address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// How many endpoints take traffic that enters here.
    pub(crate) reachable: usize,
    /// Whether they are taken for want of ready ones.
    pub(crate) uses_serving_terminating: bool,
}

/// What kube-proxy on `node` makes of the EndpointSlices of an address's family.
pub(crate) fn table(
    endpoints: &[Endpoint],
    family: Family,
    policy: TrafficPolicy,
    node: &str,
) -> Table {
    let mut seen = Vec::new();
    for endpoint in endpoints {
        let is_local = endpoint.node.as_deref() == Some(node);
        if endpoint.family == family && (policy == TrafficPolicy::Cluster || is_local) {
            seen.push(endpoint);
        }
    }
    let ready = seen.iter().filter(|e| e.ready).count();
    let serving_terminating = seen.iter().filter(|e| e.serving && e.terminating).count();
    match (ready, serving_terminating) {
        (0, 0) => Table {
            reachable: 0,
            uses_serving_terminating: false,
        },
        (0, some) => Table {
            reachable: some,
            uses_serving_terminating: true,
        },
        (some, _) => Table {
            reachable: some,
            uses_serving_terminating: false,
        },
    }
}

/// Endpoints of any kind on some of these nodes, on others and on none.
pub(crate) fn some_endpoints(
    nodes: &'static [&'static str],
) -> impl Strategy<Value = Vec<Endpoint>> {
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    let one = (family, of(select(nodes)), any::<[bool; 3]>());
    let one = one.prop_map(|(family, node, [ready, serving, terminating])| Endpoint {
        family,
        node: node.map(str::to_owned),
        ready,
        serving,
        terminating,
    });
    vec(one, 0..5)
}

/// Both policies.
pub(crate) fn some_policy() -> impl Strategy<Value = TrafficPolicy> {
    prop_oneof![Just(TrafficPolicy::Cluster), Just(TrafficPolicy::Local)]
}
