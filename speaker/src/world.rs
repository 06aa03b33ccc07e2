//! Everything a decision is made from: one snapshot of the watched objects, translated.
//!
//! After this file nobody sees a raw object.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use herald_config::service::Class;
use herald_config::{Config, InfrastructureCache, NodeFacts, Objects, compile};
use herald_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement,
    ServiceAnnouncement, Speaker,
};
use herald_l2::Mac;
use herald_model::announce::World;
use herald_model::bgp::Policy;
use herald_model::service::{Service as ModelService, ServiceKey};
use herald_model::unusable::Unusable;
use herald_runtime::supervise::Tasks;
use herald_runtime::watch::{ObjectName, Watched, Watches};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client};
use services::Services;

use crate::intent::Claim;

mod services;

/// Type of the condition by which a speaker says whether it works.
pub(crate) const READY: &str = "Ready";
/// Reason of [`READY`] when a speaker is about to end.
pub(crate) const STOPPING: &str = "Stopping";

/// Live copies of all that matters to a speaker.
#[derive(Debug)]
pub(crate) struct Copies {
    services: Watched<Service>,
    slices: Watched<EndpointSlice>,
    pub nodes: Watched<Node>,
    pools: Watched<IPAddressPool>,
    advertisements: Watched<L2Advertisement>,
    pub speakers: Watched<Speaker>,
    announcements: Watched<ServiceAnnouncement>,
    bgp_peers: Watched<BGPPeer>,
    bgp_advertisements: Watched<BGPAdvertisement>,
    bfd_profiles: Watched<BFDProfile>,
    communities: Watched<Community>,
    translated: Mutex<Services>,
    infrastructure: Mutex<InfrastructureCache>,
}

/// One snapshot, translated.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// What the model decides from.
    pub world: World,
    /// Who says that it announces an address.
    pub claims: BTreeMap<IpAddr, Claim>,
    /// Ethernet addresses of the other speakers.
    pub peers: BTreeSet<Mac>,
    /// What is written about Services, by Service.
    pub announcements: BTreeMap<ServiceKey, Arc<ServiceAnnouncement>>,
    /// This node's Node object.
    pub node: Option<Arc<Node>>,
    /// This node's Speaker object.
    pub speaker: Option<Arc<Speaker>>,
    /// Every Service as it is written, by now.
    services: Watched<Service>,
}

impl View {
    /// The UID of a Service, for Events.
    pub(crate) fn uid(&self, service: &ServiceKey) -> Option<String> {
        let name = ObjectName::new(service.namespace(), service.name());
        self.services
            .read(|all| all.get(&name)?.metadata.uid.clone())
    }
}

impl Copies {
    pub(crate) fn watch(watches: &Watches, tasks: &mut Tasks, client: &Client) -> Self {
        Self {
            services: watches.watch(tasks, "services", Api::all(client.clone())),
            slices: watches.watch(tasks, "endpointslices", Api::all(client.clone())),
            nodes: watches.watch(tasks, "nodes", Api::all(client.clone())),
            pools: watches.watch(tasks, "ipaddresspools", Api::all(client.clone())),
            advertisements: watches.watch(tasks, "l2advertisements", Api::all(client.clone())),
            speakers: watches.watch(tasks, "speakers", Api::all(client.clone())),
            announcements: watches.watch(tasks, "serviceannouncements", Api::all(client.clone())),
            bgp_peers: watches.watch(tasks, "bgppeers", Api::all(client.clone())),
            bgp_advertisements: watches.watch(tasks, "bgpadvertisements", Api::all(client.clone())),
            bfd_profiles: watches.watch(tasks, "bfdprofiles", Api::all(client.clone())),
            communities: watches.watch(tasks, "communities", Api::all(client.clone())),
            translated: Mutex::default(),
            infrastructure: Mutex::default(),
        }
    }

    /// The snapshot of this moment, for the speaker of node `me`.
    pub(crate) fn view(&self, me: &str, class: &Class) -> View {
        let speakers = self.speakers.snapshot();
        let raw = self.nodes.snapshot();
        let own = |name: &ObjectName| name.name() == me;
        let node = raw.iter().find(|(name, _)| own(name));
        let node = node.map(|(_, node)| Arc::clone(node));
        let nodes = facts(raw, &speakers);
        let announcements = by_service(self.announcements.snapshot());
        View {
            claims: claims(announcements.values()),
            peers: peers(&speakers, me),
            node,
            speaker: speakers
                .iter()
                .find(|(name, _)| own(name))
                .map(|(_, speaker)| Arc::clone(speaker)),
            world: self.world(nodes, class).0,
            announcements,
            services: self.services.clone(),
        }
    }

    /// A number that grows when anything changes that routes are decided from.
    pub(crate) fn routing_revision(&self) -> u64 {
        [
            self.services.revision(),
            self.slices.revision(),
            self.nodes.revision(),
            self.speakers.revision(),
            self.pools.revision(),
            self.bgp_peers.revision(),
            self.bgp_advertisements.revision(),
            self.bfd_profiles.revision(),
            self.communities.revision(),
        ]
        .into_iter()
        .sum()
    }

    /// What routes are decided from, and the first internal IPv4 address of node `me`.
    pub(crate) fn routing(&self, me: &str, class: &Class) -> (World, Policy, Option<Ipv4Addr>) {
        let raw = self.nodes.snapshot();
        let own = raw.iter().find(|(name, _)| name.name() == me);
        let address = own.and_then(|(_, node)| internal_ipv4(node));
        let nodes = facts(raw, &self.speakers.snapshot());
        let (world, policy) = self.world(nodes, class);
        (world, policy, address)
    }

    /// The Services that are ours, translated. What changes while it looks is seen the next time.
    fn services(&self, class: &Class, counted: bool) -> BTreeMap<ServiceKey, Arc<ModelService>> {
        let mut translated = self
            .translated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let revisions = (self.services.revision(), self.slices.revision());
        self.services.read(|services| {
            self.slices.read(|slices| {
                let (services, slices) = ((revisions.0, services), (revisions.1, slices));
                translated.look(services, slices, class, counted)
            })
        })
    }

    /// Addresses that no Service is given. Service ranges silence nothing, and are not watched for it.
    fn unusable(&self) -> Arc<Unusable> {
        let mut infrastructure = self
            .infrastructure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.nodes.read(|nodes| {
            self.speakers.read(|speakers| {
                let nodes = nodes.iter().map(|(name, node)| (node, speakers.get(name)));
                let infrastructure = infrastructure.look(nodes, BTreeSet::new());
                Arc::clone(&infrastructure.unusable)
            })
        })
    }

    fn world(&self, nodes: BTreeMap<String, NodeFacts>, class: &Class) -> (World, Policy) {
        let model_nodes = nodes
            .iter()
            .map(|(name, facts)| (name.clone(), facts.to_model()))
            .collect();
        let objects = Objects {
            pools: values(&self.pools),
            l2_advertisements: values(&self.advertisements),
            bgp_peers: values(&self.bgp_peers),
            bgp_advertisements: values(&self.bgp_advertisements),
            bfd_profiles: values(&self.bfd_profiles),
            communities: values(&self.communities),
            nodes: Some(nodes),
            ..Objects::default()
        };
        let Config {
            pools,
            quarantined_pools: _,
            l2_advertisements,
            // What is held is announced, whoever else may have wished for it.
            reservations: _,
            unusable: _,
            bgp,
        } = compile(&objects).config;
        let services = self.services(class, bgp.counts_endpoints());
        let world = World {
            services,
            pools,
            advertisements: l2_advertisements,
            nodes: model_nodes,
            unusable: self.unusable(),
        };
        (world, bgp)
    }
}

/// What is known of every node.
fn facts(
    nodes: BTreeMap<ObjectName, Arc<Node>>,
    speakers: &BTreeMap<ObjectName, Arc<Speaker>>,
) -> BTreeMap<String, NodeFacts> {
    nodes
        .into_iter()
        .map(|(name, node)| {
            let speaker = speakers.get(&name).map(AsRef::as_ref);
            let mut facts = NodeFacts::new(&node, speaker);
            facts.stopping |= speaker.is_some_and(is_stopping);
            (name.name().to_owned(), facts)
        })
        .collect()
}

fn internal_ipv4(node: &Node) -> Option<Ipv4Addr> {
    let status = node.status.as_ref()?;
    let addresses = status.addresses.iter().flatten();
    addresses
        .filter(|address| address.type_ == "InternalIP")
        .find_map(|address| address.address.parse().ok())
}

/// Whether a speaker says that it is about to end.
fn is_stopping(speaker: &Speaker) -> bool {
    let conditions = speaker.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == READY);
    ready.any(|condition| condition.status == "False" && condition.reason == STOPPING)
}

/// Who announces each address. Where Services share one and disagree, the latest change counts.
fn claims<'a>(
    announcements: impl Iterator<Item = &'a Arc<ServiceAnnouncement>>,
) -> BTreeMap<IpAddr, Claim> {
    let mut claims: BTreeMap<IpAddr, Claim> = BTreeMap::new();
    let entries = announcements
        .flat_map(|object| &object.status)
        .flat_map(|status| &status.layer2);
    for entry in entries {
        let Ok(address) = entry.address.parse() else {
            continue;
        };
        let claim = Claim {
            node: entry.node.clone(),
            epoch: entry.epoch.unwrap_or(0),
        };
        let known = claims.entry(address).or_insert_with(|| claim.clone());
        if (known.epoch, &known.node) < (claim.epoch, &claim.node) {
            *known = claim;
        }
    }
    claims
}

fn peers(speakers: &BTreeMap<ObjectName, Arc<Speaker>>, me: &str) -> BTreeSet<Mac> {
    speakers
        .iter()
        .filter(|(name, _)| name.name() != me)
        .filter_map(|(_, speaker)| speaker.status.as_ref())
        .flat_map(|status| &status.interfaces)
        .filter_map(|interface| parse_mac(interface.mac.as_deref()?))
        .collect()
}

fn parse_mac(text: &str) -> Option<Mac> {
    let octets: Option<Vec<u8>> = text
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16).ok())
        .collect();
    octets?.try_into().ok().map(Mac)
}

fn by_service(
    announcements: BTreeMap<ObjectName, Arc<ServiceAnnouncement>>,
) -> BTreeMap<ServiceKey, Arc<ServiceAnnouncement>> {
    announcements
        .into_iter()
        .map(|(name, object)| {
            let (namespace, name) = name.parts();
            (ServiceKey::new(namespace, name), object)
        })
        .collect()
}

fn values<K: Clone>(watched: &Watched<K>) -> Vec<K> {
    watched
        .snapshot()
        .into_values()
        .map(|object| (*object).clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn announcement(address: &str, node: &str, epoch: i64) -> Arc<ServiceAnnouncement> {
        let object = json!({
            "metadata": {"name": "web", "namespace": "default"},
            "status": {"layer2": [{"address": address, "node": node, "epoch": epoch}]},
        });
        Arc::new(serde_json::from_value(object).expect("a ServiceAnnouncement"))
    }

    #[test]
    fn the_latest_change_of_owner_counts() {
        let said = [
            announcement("192.0.2.1", "old", 1),
            announcement("192.0.2.1", "new", 2),
            announcement("nonsense", "new", 2),
        ];
        let claims = claims(said.iter());
        assert_eq!(claims.len(), 1);
        let claim = &claims[&"192.0.2.1".parse::<IpAddr>().expect("address")];
        assert_eq!((claim.node.as_str(), claim.epoch), ("new", 2));
    }

    #[test]
    fn hardware_addresses_of_peers_are_read_as_they_are_written() {
        let mac = Mac([2, 0xab, 0, 0, 0, 0x1f]);
        assert_eq!(parse_mac(&mac.to_string()), Some(mac));
        assert_eq!(parse_mac("02:00"), None);
        assert_eq!(parse_mac("zz:00:00:00:00:00"), None);
    }

    #[test]
    fn a_speaker_is_stopping_only_when_it_says_so() {
        let speaker = |status: &str, reason: &str| -> Speaker {
            serde_json::from_value(json!({
                "metadata": {"name": "a"},
                "status": {"conditions": [{
                    "type": "Ready", "status": status, "reason": reason, "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }]},
            }))
            .expect("a Speaker")
        };
        assert!(is_stopping(&speaker("False", STOPPING)));
        assert!(!is_stopping(&speaker("False", "NoInterface")));
        assert!(!is_stopping(&speaker("True", "Ready")));
    }
}
