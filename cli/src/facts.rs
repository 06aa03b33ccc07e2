//! Live objects as the controller and the speakers would see them at this moment.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use herald_config::service::{self, Class};
use herald_config::{
    Compiled, Config, Infrastructure, InfrastructureCache, NodeFacts, Objects, Problem,
    ServiceRange, compile,
};
use herald_crds::{BgpAnnouncement, ServiceAnnouncement, Speaker};
use herald_model::alloc::{Plan, Snapshot, plan};
use herald_model::announce::{Desired, Obstacle, World, desired};
use herald_model::bgp::{self, Routes};
use herald_model::labels::Labels;
use herald_model::service::{Service, ServiceKey};
use k8s_openapi::api::core::v1::{Node, Service as KubeService};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Resource, ResourceExt as _};

use crate::cluster::Cluster;

/// What was read, and what follows from it.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What is read but not compiled.
    pub(crate) cluster: Cluster,
    /// Which Services this installation serves.
    pub(crate) class: Class,
    /// Pools and advertisements in force, and what is wrong with the others.
    pub(crate) compiled: Compiled,
    /// Every Service, ours or not.
    pub(crate) all_services: BTreeMap<ServiceKey, KubeService>,
    /// Ours, translated.
    pub(crate) services: BTreeMap<ServiceKey, Arc<Service>>,
    /// What is wrong with Services' requests.
    pub(crate) service_problems: Vec<Problem>,
    /// What the controller would do now.
    pub(crate) plan: Plan,
    /// Which nodes may announce what on the LAN.
    pub(crate) desired: Desired,
    /// What each node announces to routers, by node.
    pub(crate) routes: BTreeMap<String, Routes>,
    /// By node.
    pub(crate) speakers: BTreeMap<String, Speaker>,
    /// By Service.
    pub(crate) announcements: BTreeMap<ServiceKey, ServiceAnnouncement>,
}

impl Facts {
    /// Computes everything; `class` says which Services are ours.
    pub(crate) fn new(cluster: Cluster, class: &Class) -> Self {
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
        let external_ips = all_services.iter().filter_map(|(key, service)| {
            let external = service::external_ips(service);
            (!external.is_empty()).then(|| (key.clone(), external))
        });
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
            infrastructure: Some(infrastructure(&cluster, &speakers)),
            external_ips: external_ips.collect(),
        });

        let (services, service_problems) = translate(&all_services, &cluster.slices, class);
        let snapshot = Snapshot {
            pools: compiled.config.pools.clone(),
            quarantined_pools: compiled.config.quarantined_pools.clone(),
            namespaces,
            services: services.clone(),
            reservations: compiled.config.reservations.clone(),
            unusable: Arc::clone(&compiled.config.unusable),
            // For how long they stay so is the controller's affair.
            suspended_pools: absent_pools(&services, &compiled.config),
            foreign: foreign(&services, &announcements),
            agreed: cluster.agreed.clone(),
            freed: cluster.given_up.clone(),
            now: cluster.now,
        };
        let world = World {
            services: services.clone(),
            pools: compiled.config.pools.clone(),
            advertisements: compiled.config.l2_advertisements.clone(),
            nodes: nodes
                .iter()
                .map(|(name, facts)| (name.clone(), facts.to_model()))
                .collect(),
            unusable: Arc::clone(&compiled.config.unusable),
        };
        let policy = &compiled.config.bgp;
        let is_used = *policy != bgp::Policy::default();
        let routes = world.nodes.keys().map(|node| {
            // Where nobody uses BGP, a verdict for each address and node says nothing new.
            let routes = is_used.then(|| bgp::routes(&world, policy, node));
            (node.clone(), routes.unwrap_or_default())
        });
        let routes = routes.collect();
        Self {
            plan: plan(&snapshot),
            desired: desired(&world),
            routes,
            class: class.clone(),
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

    /// Whether the node's kubelet says that all is well, as far as the API server knows.
    pub(crate) fn is_node_ready(&self, node: &str) -> bool {
        let mut nodes = self.cluster.nodes.iter();
        let node = nodes.find(|object| object.name_any() == node);
        let status = node.and_then(|node| node.status.as_ref());
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    }

    /// Why an address is not announced on the LAN, if it is not.
    pub(crate) fn obstacle(&self, key: &ServiceKey, address: IpAddr) -> Option<&Obstacle> {
        let verdict = self.desired.verdicts.get(key)?.get(address)?;
        verdict.obstacle.as_ref()
    }

    /// Whether some BGPAdvertisement is for the address of a Service.
    pub(crate) fn is_routed(&self, key: &ServiceKey, address: IpAddr) -> bool {
        self.route_verdicts(key, address).any(|(_, verdict)| {
            !matches!(
                verdict,
                Err(bgp::Obstacle::AddressUnusable { .. }
                    | bgp::Obstacle::NoPool
                    | bgp::Obstacle::NoAdvertisement { .. }
                    | bgp::Obstacle::ServiceNotSelected { .. })
            )
        })
    }

    /// Whether an address is for routers alone: no L2Advertisement is for it, and a BGPAdvertisement is.
    pub(crate) fn is_only_routed(&self, key: &ServiceKey, address: IpAddr) -> bool {
        let unwanted = matches!(
            self.obstacle(key, address),
            Some(Obstacle::NoAdvertisement { .. } | Obstacle::ServiceNotSelected { .. })
        );
        unwanted && self.is_routed(key, address)
    }

    /// What each node makes of announcing an address of a Service to routers, by node.
    pub(crate) fn route_verdicts(
        &self,
        key: &ServiceKey,
        address: IpAddr,
    ) -> impl Iterator<Item = (&str, &bgp::Verdict)> {
        self.routes.iter().filter_map(move |(node, routes)| {
            let verdict = routes.verdicts.get(key)?.get(address)?;
            Some((node.as_str(), verdict))
        })
    }

    /// Why no node announces an address of a Service to a router, in the words of the first; none when
    /// some node does.
    pub(crate) fn unrouted(&self, key: &ServiceKey, address: IpAddr) -> Option<String> {
        let mut first = None;
        for (node, verdict) in self.route_verdicts(key, address) {
            match verdict {
                Ok(_) => return None,
                Err(obstacle) => first = first.or(Some(format!("node {node} {obstacle}"))),
            }
        }
        first
    }

    /// The nodes that report to announce an address of a Service to routers, with the BGPPeers. An
    /// entry counts while its node exists and may announce the address to those peers.
    pub(crate) fn announcers(
        &self,
        key: &ServiceKey,
        address: IpAddr,
    ) -> BTreeMap<&str, BTreeSet<&str>> {
        let status = self.announcements.get(key).and_then(|a| a.status.as_ref());
        let entries: &[BgpAnnouncement] = status.map_or(&[], |status| &status.bgp);
        let announcers = self
            .route_verdicts(key, address)
            .filter_map(|(node, verdict)| {
                let wished = verdict.as_ref().ok()?;
                let entry = entries.iter().find(|entry| entry.node == node)?;
                let told = entry.peers.iter().filter(|peer| wished.contains(*peer));
                let told: BTreeSet<&str> = told.map(String::as_str).collect();
                (!told.is_empty()).then_some((node, told))
            });
        announcers.collect()
    }
}

fn infrastructure(cluster: &Cluster, speakers: &BTreeMap<String, Speaker>) -> Arc<Infrastructure> {
    let shared = |node: &Node| {
        let speaker = speakers.get(&node.name_any()).cloned();
        (Arc::new(node.clone()), speaker.map(Arc::new))
    };
    let nodes: Vec<_> = cluster.nodes.iter().map(shared).collect();
    let nodes = nodes.iter().map(|(node, speaker)| (node, speaker.as_ref()));
    let ranges = cluster.service_cidrs.iter().flat_map(ServiceRange::of);
    InfrastructureCache::default().look(nodes, ranges.collect())
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

/// The pools that Services say to have addresses from and that do not exist.
fn absent_pools(
    services: &BTreeMap<ServiceKey, Arc<Service>>,
    config: &Config,
) -> BTreeSet<String> {
    let exists = |name: &&String| {
        config.pools.contains_key(*name) || config.quarantined_pools.contains(*name)
    };
    let named = services.values().flat_map(|service| &service.held_pools);
    named.filter(|name| !exists(name)).cloned().collect()
}

/// The addresses that Herald neither gave nor adopted: no ServiceAnnouncement lists them.
fn foreign(
    services: &BTreeMap<ServiceKey, Arc<Service>>,
    announcements: &BTreeMap<ServiceKey, ServiceAnnouncement>,
) -> BTreeMap<ServiceKey, BTreeSet<IpAddr>> {
    let of = |(key, service): (&ServiceKey, &Arc<Service>)| {
        let announcement = announcements.get(key);
        let status = announcement.and_then(|announcement| announcement.status.as_ref());
        let listed = status.into_iter().flat_map(|status| &status.addresses);
        let listed: BTreeSet<IpAddr> = listed.filter_map(|one| one.address.parse().ok()).collect();
        let held = service.held.iter().copied();
        let foreign: BTreeSet<IpAddr> = held.filter(|address| !listed.contains(address)).collect();
        (!foreign.is_empty()).then(|| (key.clone(), foreign))
    };
    services.iter().filter_map(of).collect()
}

fn translate(
    all: &BTreeMap<ServiceKey, KubeService>,
    slices: &[EndpointSlice],
    class: &Class,
) -> (BTreeMap<ServiceKey, Arc<Service>>, Vec<Problem>) {
    let mut by_owner: BTreeMap<ServiceKey, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if let Some(owner) = service::owner(slice) {
            by_owner.entry(owner).or_default().push(slice);
        }
    }
    let mut services = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, kube_service) in all.iter().filter(|(_, s)| class.serves(s)) {
        let slices = by_owner.get(key).into_iter().flatten().copied();
        let (mut service, faults) = service::from_service(kube_service);
        service.endpoints = service::endpoints(slices.clone());
        service.serving = service::serving(slices);
        services.insert(key.clone(), Arc::new(service));
        problems.extend(faults);
    }
    (services, problems)
}
