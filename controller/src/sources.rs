//! What the controller watches.
//!
//! Not here: how a watch is kept (`herald_runtime::watch`) or what the objects mean (`decision`).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use herald_config::service::Class;
use herald_config::{InfrastructureCache, Objects};
use herald_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, IPReservation,
    L2Advertisement, Speaker,
};
use herald_model::service::ServiceKey;
use herald_runtime::supervise::Tasks;
use herald_runtime::watch::{ObjectName, Watched, Watches};
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kept::{Announcement, Ranges, Service, Slice};
use crate::observed::{self, Observed};
use crate::standing;

/// One copy of every kind that matters.
pub(crate) struct Sources {
    services: Watched<Service>,
    slices: Watched<Slice>,
    namespaces: Watched<Namespace>,
    nodes: Watched<Node>,
    speakers: Watched<Speaker>,
    announcements: Watched<Announcement>,
    pools: Watched<IPAddressPool>,
    reservations: Watched<IPReservation>,
    l2_advertisements: Watched<L2Advertisement>,
    bgp_advertisements: Watched<BGPAdvertisement>,
    bgp_peers: Watched<BGPPeer>,
    bfd_profiles: Watched<BFDProfile>,
    communities: Watched<Community>,
    service_cidrs: Watched<Ranges>,
    infrastructure: Mutex<InfrastructureCache>,
}

impl Sources {
    /// Starts every watch. `class` says which Services are served.
    pub(crate) fn start(
        watches: &Watches,
        tasks: &mut Tasks,
        client: &Client,
        class: &Class,
    ) -> Self {
        let class = class.clone();
        let mut start = Starter {
            watches,
            tasks,
            client,
        };
        Self {
            services: start.keep("services", move |object| Service::of(object, &class)),
            slices: start.keep("endpointslices", Slice::of),
            namespaces: start.watch("namespaces"),
            nodes: start.watch("nodes"),
            speakers: start.watch("speakers"),
            announcements: start.keep("serviceannouncements", Announcement::of),
            pools: start.watch("ipaddresspools"),
            reservations: start.watch("ipreservations"),
            l2_advertisements: start.watch("l2advertisements"),
            bgp_advertisements: start.watch("bgpadvertisements"),
            bgp_peers: start.watch("bgppeers"),
            bfd_profiles: start.watch("bfdprofiles"),
            communities: start.watch("communities"),
            service_cidrs: watches.watch_where_served(
                start.tasks,
                "servicecidrs",
                Api::all(client.clone()),
                Ranges::of,
            ),
            infrastructure: Mutex::default(),
        }
    }

    /// The copies of what says who is silent.
    pub(crate) fn witnesses(&self) -> (Watched<Speaker>, Watched<Node>) {
        (self.speakers.clone(), self.nodes.clone())
    }

    /// Looks at the Services as the watch shows them.
    pub(crate) fn look_at_services<R>(
        &self,
        look: impl FnOnce(&BTreeMap<ObjectName, Arc<Service>>) -> R,
    ) -> R {
        self.services.read(look)
    }

    /// The addresses that the ServiceAnnouncement of this very Service lists: those that Herald gave or
    /// adopted.
    pub(crate) fn listed(&self, key: &ServiceKey, service: &Service) -> Vec<IpAddr> {
        let name = ObjectName::new(key.namespace(), key.name());
        self.announcements.read(|announcements| {
            let announcement = announcements.get(&name);
            announcement.map_or_else(Vec::new, |one| one.listed(service))
        })
    }

    /// A number that grows when anything changes that a configuration is compiled from.
    pub(crate) fn configuration(&self) -> u64 {
        [
            self.namespaces.revision(),
            self.nodes.revision(),
            self.speakers.revision(),
            self.pools.revision(),
            self.reservations.revision(),
            self.l2_advertisements.revision(),
            self.bgp_advertisements.revision(),
            self.bgp_peers.revision(),
            self.bfd_profiles.revision(),
            self.communities.revision(),
            self.service_cidrs.revision(),
        ]
        .into_iter()
        .sum()
    }

    /// The newest version of anything the watches show.
    pub(crate) fn newest(&self) -> u64 {
        let versions = [
            self.services.read(|all| newest(all, |one| one.version)),
            self.slices.read(|all| newest(all, |one| one.version)),
            self.namespaces.read(|all| newest(all, standing::version)),
            self.nodes.read(|all| newest(all, standing::version)),
            self.speakers.read(|all| newest(all, standing::version)),
            self.announcements
                .read(|all| newest(all, |one| one.version)),
            self.pools.read(|all| newest(all, standing::version)),
            self.reservations.read(|all| newest(all, standing::version)),
            self.l2_advertisements
                .read(|all| newest(all, standing::version)),
            self.bgp_advertisements
                .read(|all| newest(all, standing::version)),
            self.bgp_peers.read(|all| newest(all, standing::version)),
            self.bfd_profiles.read(|all| newest(all, standing::version)),
            self.communities.read(|all| newest(all, standing::version)),
            self.service_cidrs
                .read(|all| newest(all, |one| one.version)),
        ];
        versions.into_iter().max().unwrap_or(0)
    }

    /// Everything as of now, with these Services.
    pub(crate) fn observe(&self, services: BTreeMap<ServiceKey, Arc<Service>>) -> Observed {
        Observed {
            services,
            slices: observed::by_service(&self.slices.snapshot()),
            speakers: observed::by_name(self.speakers.snapshot()),
            announcements: observed::by_key(self.announcements.snapshot()),
            objects: self.objects(),
        }
    }

    /// What a configuration is compiled from, as of now.
    pub(crate) fn objects(&self) -> Objects {
        let speakers = observed::by_name(self.speakers.snapshot());
        let nodes = self.nodes.snapshot();
        let with_speakers = nodes.iter();
        let with_speakers = with_speakers.map(|(name, node)| (node, speakers.get(name.name())));
        let ranges = self.service_cidrs.snapshot();
        let ranges = ranges.values().flat_map(|one| one.ranges.iter().cloned());
        let mut infrastructure = self
            .infrastructure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let infrastructure = infrastructure.look(with_speakers, ranges.collect());
        let nodes = observed::node_facts(&nodes, &speakers);
        Objects {
            pools: all(&self.pools),
            reservations: all(&self.reservations),
            l2_advertisements: all(&self.l2_advertisements),
            bgp_advertisements: all(&self.bgp_advertisements),
            bgp_peers: all(&self.bgp_peers),
            bfd_profiles: all(&self.bfd_profiles),
            communities: all(&self.communities),
            namespaces: Some(observed::namespace_labels(&self.namespaces.snapshot())),
            nodes: Some(nodes),
            infrastructure: Some(infrastructure),
            external_ips: BTreeMap::new(),
        }
    }
}

struct Starter<'a> {
    watches: &'a Watches,
    tasks: &'a mut Tasks,
    client: &'a Client,
}

impl Starter<'_> {
    fn watch<K>(&mut self, name: &'static str) -> Watched<K>
    where
        K: Resource<DynamicType = ()>
            + Serialize
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        self.watches
            .watch(self.tasks, name, Api::all(self.client.clone()))
    }

    /// Keeps of each object only what `keep` makes of it.
    fn keep<K, V>(
        &mut self,
        name: &'static str,
        keep: impl Fn(&K) -> V + Send + 'static,
    ) -> Watched<V>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        self.watches
            .watch_as(self.tasks, name, Api::all(self.client.clone()), keep)
    }
}

fn all<K: Clone>(watched: &Watched<K>) -> Vec<K> {
    watched
        .snapshot()
        .values()
        .map(|object| K::clone(object))
        .collect()
}

fn newest<V>(all: &BTreeMap<ObjectName, Arc<V>>, version: impl Fn(&V) -> u64) -> u64 {
    all.values().map(|one| version(one)).max().unwrap_or(0)
}
