//! Live objects as the controller and the speakers would see them at this moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_config::{Compiled, NodeFacts, Objects, Problem, compile, service};
use herald_crds::{ServiceAnnouncement, Speaker};
use herald_model::alloc::{Plan, Snapshot, plan};
use herald_model::announce::{Desired, World, desired};
use herald_model::labels::Labels;
use herald_model::service::{Service, ServiceKey};
use k8s_openapi::api::core::v1::Service as KubeService;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Resource, ResourceExt as _};

use crate::cluster::Cluster;

/// What was read, and what follows from it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What is read but not compiled.
    pub(crate) cluster: Cluster,
    /// The class this installation serves.
    pub(crate) class: String,
    /// Pools and advertisements in force, and what is wrong with the others.
    pub(crate) compiled: Compiled,
    /// Every Service, ours or not.
    pub(crate) all_services: BTreeMap<ServiceKey, KubeService>,
    /// Ours, translated.
    pub(crate) services: BTreeMap<ServiceKey, Service>,
    /// What is wrong with Services' requests.
    pub(crate) service_problems: Vec<Problem>,
    /// What the controller would do now.
    pub(crate) plan: Plan,
    /// Which nodes may announce what.
    pub(crate) desired: Desired,
    /// By node.
    pub(crate) speakers: BTreeMap<String, Speaker>,
    /// By Service.
    pub(crate) announcements: BTreeMap<ServiceKey, ServiceAnnouncement>,
}

impl Facts {
    /// Computes everything; `class` is the loadBalancerClass that is ours.
    pub(crate) fn new(cluster: Cluster, class: &str) -> Self {
        let speakers = named(&cluster.speakers, |speaker| speaker.name_any());
        let announcements = named(&cluster.announcements, object_key);
        let all_services = named(&cluster.services, service::key);

        let namespaces = named(&cluster.namespaces, |namespace| namespace.name_any());
        let namespaces: BTreeMap<String, Labels> = namespaces
            .into_iter()
            .map(|(name, namespace)| (name, namespace.metadata.labels.unwrap_or_default()))
            .collect();
        let nodes: BTreeMap<String, NodeFacts> = cluster
            .nodes
            .iter()
            .map(|node| {
                (
                    node.name_any(),
                    NodeFacts::new(node, speakers.get(&node.name_any())),
                )
            })
            .collect();
        let compiled = compile(&Objects {
            pools: cluster.pools.clone(),
            reservations: cluster.reservations.clone(),
            l2_advertisements: cluster.l2_advertisements.clone(),
            bgp_advertisements: cluster.bgp_advertisements.clone(),
            bgp_peers: cluster.bgp_peers.clone(),
            bfd_profiles: cluster.bfd_profiles.clone(),
            communities: cluster.communities.clone(),
            namespaces: Some(namespaces.clone()),
            nodes: Some(nodes.clone()),
        });

        let (services, service_problems) = translate(&all_services, &cluster.slices, class);
        let snapshot = Snapshot {
            pools: compiled.config.pools.clone(),
            quarantined_pools: compiled.config.quarantined_pools.clone(),
            namespaces,
            services: services
                .iter()
                .map(|(key, service)| (key.clone(), Arc::new(service.clone())))
                .collect(),
            reservations: compiled.config.reservations.clone(),
            freed: cluster.given_up.clone(),
            now: cluster.now,
        };
        let desired = desired(&World {
            services: services.clone(),
            pools: compiled.config.pools.clone(),
            quarantined_pools: compiled.config.quarantined_pools.clone(),
            advertisements: compiled.config.l2_advertisements.clone(),
            nodes: nodes
                .iter()
                .map(|(name, facts)| (name.clone(), facts.to_model()))
                .collect(),
        });
        Self {
            plan: plan(&snapshot),
            desired,
            class: class.to_owned(),
            compiled,
            all_services,
            services,
            service_problems,
            speakers,
            announcements,
            cluster,
        }
    }

    /// The controller replica that holds the Lease.
    pub(crate) fn leader(&self) -> Option<&str> {
        let spec = self.cluster.controller_lease.as_ref()?.spec.as_ref()?;
        spec.holder_identity
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }

    /// The node that reports to answer for an address of a Service, and on which interfaces.
    pub(crate) fn owner(&self, key: &ServiceKey, address: &str) -> Option<(&str, &[String])> {
        let layer2 = &self.announcements.get(key)?.status.as_ref()?.layer2;
        let entry = layer2.iter().find(|entry| entry.address == address)?;
        Some((&entry.node, &entry.interfaces))
    }
}

fn named<K: Clone, N: Ord>(objects: &[K], name: impl Fn(&K) -> N) -> BTreeMap<N, K> {
    objects
        .iter()
        .map(|object| (name(object), object.clone()))
        .collect()
}

fn object_key<K: Resource>(object: &K) -> ServiceKey {
    ServiceKey::new(object.namespace().unwrap_or_default(), object.name_any())
}

fn translate(
    all: &BTreeMap<ServiceKey, KubeService>,
    slices: &[EndpointSlice],
    class: &str,
) -> (BTreeMap<ServiceKey, Service>, Vec<Problem>) {
    let mut by_owner: BTreeMap<ServiceKey, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if let Some(owner) = service::owner(slice) {
            by_owner.entry(owner).or_default().push(slice);
        }
    }
    let mut services = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, kube_service) in all.iter().filter(|(_, s)| service::is_ours(s, class)) {
        let slices = by_owner.get(key).into_iter().flatten().copied();
        let (service, faults) = service::from_service(kube_service, slices);
        services.insert(key.clone(), service);
        problems.extend(faults);
    }
    (services, problems)
}
