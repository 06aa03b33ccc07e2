//! What eligibility is decided from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::labels::{Labels, Selector};
use crate::pool::Pool;
use crate::service::{Service, ServiceKey};
use crate::unusable::Unusable;

/// Everything at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// Services with the addresses they hold.
    pub services: BTreeMap<ServiceKey, Arc<Service>>,
    /// The pools in force, by name.
    pub pools: BTreeMap<String, Pool>,
    /// The advertisements in force.
    pub advertisements: Vec<L2Advertisement>,
    /// The nodes, by name.
    pub nodes: BTreeMap<String, Node>,
    /// Addresses that no Service is given; nobody announces those that somebody else answers for.
    pub unusable: Arc<Unusable>,
}

/// One `L2Advertisement`, its pool selectors resolved to names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct L2Advertisement {
    /// The object's name.
    pub name: String,
    /// The pools it is for; `None` means all.
    pub pools: Option<BTreeSet<String>>,
    /// The nodes it is for, any of them; empty means all.
    pub node_selectors: Vec<Selector>,
    /// Weight (1 to 100) for nodes the selector matches; weights of all matches add up.
    pub preferred: Vec<(u32, Selector)>,
    /// Interface names, `*` standing for any characters; empty means all.
    pub interfaces: Vec<String>,
    /// The Services it is for, any of them; empty means all.
    pub service_selectors: Vec<Selector>,
}

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its labels.
    pub labels: Labels,
    /// Condition `NetworkUnavailable` is true.
    pub network_unavailable: bool,
    /// Labelled `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded: bool,
    /// About to go: cordoned, being drained or shutting down.
    pub stopping: bool,
    /// Its failure zone (`topology.kubernetes.io/zone`).
    pub zone: Option<String>,
    /// The interfaces its speaker can announce on; empty until the speaker has said so.
    pub interfaces: Vec<String>,
}
