//! What a configuration is compiled from, and in which order its kinds are looked at.
//!
//! Not here: what the objects say (`pools`, `reservations`, `l2`, `bgp`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use herald_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, IPReservation, L2Advertisement,
};
use herald_model::labels::Labels;
use herald_model::service::ServiceKey;
use kube::Resource;

use crate::infrastructure::Infrastructure;
use crate::node::NodeFacts;
use crate::problem::{ObjectRef, Problem, Reason, Report};

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
    /// What belongs to the cluster itself; `None` when unknown.
    pub infrastructure: Option<Arc<Infrastructure>>,
    /// `spec.externalIPs` of the Services that have some and do not hold them, by Service.
    pub external_ips: BTreeMap<ServiceKey, Vec<IpAddr>>,
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
