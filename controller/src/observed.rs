//! Everything the controller sees, at one moment, indexed. Pure.
//!
//! Not here: where it comes from (`sources`) and what follows from it (`decision`).

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_config::{NodeFacts, Objects};
use herald_crds::Speaker;
use herald_model::labels::Labels;
use herald_model::service::ServiceKey;
use herald_runtime::watch::ObjectName;
use k8s_openapi::api::core::v1::{Namespace, Node};

use crate::kept::{Announcement, Service, Slice};

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// Every Service, ours or not, in its newest version.
    pub(crate) services: BTreeMap<ServiceKey, Arc<Service>>,
    /// EndpointSlices by Service.
    pub(crate) slices: BTreeMap<ServiceKey, Vec<Arc<Slice>>>,
    /// What the speakers report, by node.
    pub(crate) speakers: BTreeMap<String, Arc<Speaker>>,
    /// ServiceAnnouncements by Service.
    pub(crate) announcements: BTreeMap<ServiceKey, Arc<Announcement>>,
    /// Herald's configuration, with namespaces and nodes.
    pub(crate) objects: Objects,
}

/// Slices by the Service they belong to.
pub(crate) fn by_service(
    slices: &BTreeMap<ObjectName, Arc<Slice>>,
) -> BTreeMap<ServiceKey, Vec<Arc<Slice>>> {
    let mut by_service: BTreeMap<ServiceKey, Vec<_>> = BTreeMap::new();
    for slice in slices.values() {
        if let Some(key) = slice.owner.clone() {
            by_service.entry(key).or_default().push(Arc::clone(slice));
        }
    }
    by_service
}

/// Labels by namespace.
pub(crate) fn namespace_labels(
    namespaces: &BTreeMap<ObjectName, Arc<Namespace>>,
) -> BTreeMap<String, Labels> {
    let labels = |n: &Namespace| n.metadata.labels.clone().unwrap_or_default();
    namespaces
        .iter()
        .map(|(name, object)| (name.name().to_owned(), labels(object)))
        .collect()
}

/// Nodes with what their speakers report.
pub(crate) fn node_facts(
    nodes: &BTreeMap<ObjectName, Arc<Node>>,
    speakers: &BTreeMap<String, Arc<Speaker>>,
) -> BTreeMap<String, NodeFacts> {
    let facts = |name: &ObjectName, node: &Node| {
        NodeFacts::new(node, speakers.get(name.name()).map(AsRef::as_ref))
    };
    nodes
        .iter()
        .map(|(name, node)| (name.name().to_owned(), facts(name, node)))
        .collect()
}

/// The objects of a cluster-scoped kind by name.
pub(crate) fn by_name<K>(objects: BTreeMap<ObjectName, Arc<K>>) -> BTreeMap<String, Arc<K>> {
    objects
        .into_iter()
        .map(|(name, object)| (name.name().to_owned(), object))
        .collect()
}

/// The objects of a kind that is named as the Service it belongs to.
pub(crate) fn by_key<K>(objects: BTreeMap<ObjectName, Arc<K>>) -> BTreeMap<ServiceKey, Arc<K>> {
    objects
        .into_iter()
        .map(|(name, object)| (key(&name), object))
        .collect()
}

/// The Service that is named so, or that an object of this name belongs to.
pub(crate) fn key(name: &ObjectName) -> ServiceKey {
    let (namespace, name) = name.parts();
    ServiceKey::new(namespace, name)
}
