//! The prefixes one node announces, peer by peer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::bandwidth::Scales;
use super::{Advertisement, Attributes, Policy};
use crate::address::{Family, FewAddresses};
use crate::announce::{Node, World};
use crate::labels::any_or_all;
use crate::service::{Service, ServiceKey, TrafficPolicy};
use crate::unusable::Owner;

/// Everything one node announces, and what it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// For every peer the node is to speak to, what it is told.
    pub peers: BTreeMap<String, BTreeMap<IpNet, Attributes>>,
    /// For every address of every Service that holds one.
    pub verdicts: BTreeMap<ServiceKey, FewAddresses<Verdict>>,
}

/// To whom an address is announced, or why to nobody.
pub type Verdict = Result<BTreeSet<String>, Obstacle>;

/// Why a node does not announce an address for a Service. Shown as what follows the node's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The address is a node's own, or no host can have it.
    AddressUnusable { owner: Owner },
    /// The address is in no pool.
    NoPool,
    /// No advertisement for the pool selects the node.
    NoAdvertisement { pool: String },
    /// Those that do are not for this Service.
    ServiceNotSelected { advertisements: Vec<String> },
    /// No peer that they name is one the node speaks to, of the address's family.
    NoPeer { advertisements: Vec<String> },
    /// It carries the exclude label.
    Excluded,
    /// Its condition NetworkUnavailable is true.
    NetworkUnavailable,
    /// Policy Local and no endpoint of the Service there that serves, of the address's family.
    NoLocalEndpoint { family: Family },
    /// No endpoint of the address's family serves, anywhere.
    NoEndpoints { family: Family },
}

impl Obstacle {
    /// The reason as one CamelCase word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::AddressUnusable { .. } => "AddressUnusable",
            Self::NoPool => "NoPool",
            Self::NoAdvertisement { .. } => "NoAdvertisement",
            Self::ServiceNotSelected { .. } => "ServiceNotSelected",
            Self::NoPeer { .. } => "NoPeer",
            Self::Excluded => "NodeExcluded",
            Self::NetworkUnavailable => "NodeNetworkUnavailable",
            Self::NoLocalEndpoint { .. } => "NoLocalEndpoint",
            Self::NoEndpoints { .. } => "NoEndpoints",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressUnusable { owner } => write!(
                f,
                "does not announce it: it is {owner}; request another address for the Service, or \
                 take it off its owner"
            ),
            Self::NoPool => write!(
                f,
                "does not announce an address that is in no IPAddressPool"
            ),
            Self::NoAdvertisement { pool } => {
                write!(f, "is selected by no BGPAdvertisement for pool {pool}")
            }
            Self::ServiceNotSelected { advertisements } => write!(
                f,
                "is selected by BGPAdvertisement {}, whose serviceSelectors do not match the Service",
                advertisements.join(", ")
            ),
            Self::NoPeer { advertisements } => write!(
                f,
                "speaks to no BGPPeer that BGPAdvertisement {} is for and that carries its family: see \
                 spec.peers, the nodeSelectors of the peers and dualStackAddressFamily",
                advertisements.join(", ")
            ),
            Self::Excluded => write!(
                f,
                "is labelled node.kubernetes.io/exclude-from-external-load-balancers"
            ),
            Self::NetworkUnavailable => write!(f, "has condition NetworkUnavailable"),
            Self::NoLocalEndpoint { family } => write!(
                f,
                "has no ready {family} endpoint, which externalTrafficPolicy Local needs"
            ),
            Self::NoEndpoints { family } => {
                write!(f, "waits for a ready {family} endpoint of the Service")
            }
        }
    }
}

/// What `node` announces. A node that is about to go announces everything as the last choice of the
/// routers; one that does not exist announces nothing.
#[must_use]
pub fn routes(world: &World, policy: &Policy, node: &str) -> Routes {
    let mut routes = Routes::default();
    let Some(this) = world.nodes.get(node) else {
        return routes;
    };
    for peer in policy.peers.values() {
        if any_or_all(&peer.node_selectors, &this.labels) {
            routes.peers.insert(peer.name.clone(), BTreeMap::new());
        }
    }
    let weighs = |ad: &Advertisement| ad.link_bandwidth.is_some();
    let is_weighed = policy.advertisements.iter().any(weighs);
    let mut scales = Scales::default();
    for service in world.services.values() {
        for address in &service.held {
            let verdict = judge(world, policy, node, this, service, *address);
            let verdict = verdict.and_then(|advertisements| {
                let announced = |peer: &str, prefix, advertisement: &Advertisement| {
                    if is_weighed {
                        scales.put((peer, prefix), service, node, advertisement.link_bandwidth);
                    }
                };
                let told = routes.announce(policy, &advertisements, this, *address, announced);
                if told.is_empty() {
                    let advertisements = names(&advertisements);
                    return Err(Obstacle::NoPeer { advertisements });
                }
                Ok(told)
            });
            let verdicts = routes.verdicts.entry(service.key.clone()).or_default();
            verdicts.insert(*address, verdict);
        }
    }
    scales.apply(&mut routes.peers);
    routes
}

impl Routes {
    /// Adds the prefixes of an address, each of which is `announced`; gives the peers that are told.
    fn announce(
        &mut self,
        policy: &Policy,
        advertisements: &[&Advertisement],
        node: &Node,
        address: IpAddr,
        mut announced: impl FnMut(&str, IpNet, &Advertisement),
    ) -> BTreeSet<String> {
        let mut told = BTreeSet::new();
        for advertisement in advertisements {
            let Some(prefix) = prefix(advertisement, address) else {
                continue;
            };
            let attributes = Attributes {
                leaving: node.stopping,
                ..advertisement.attributes.clone()
            };
            let is_for = |name: &str| {
                let peers = advertisement.peers.as_ref();
                let peer = policy.peers.get(name);
                peers.is_none_or(|peers| peers.contains(name))
                    && peer.is_some_and(|peer| peer.carries(address))
            };
            for (name, prefixes) in self.peers.iter_mut().filter(|(name, _)| is_for(name)) {
                told.insert(name.clone());
                announced(name, prefix, advertisement);
                prefixes
                    .entry(prefix)
                    .and_modify(|before| before.join(&attributes))
                    .or_insert_with(|| attributes.clone());
            }
        }
        told
    }
}

/// The prefix an address is announced as; none for a length its family does not have.
fn prefix(advertisement: &Advertisement, address: IpAddr) -> Option<IpNet> {
    let length = match address {
        IpAddr::V4(_) => advertisement.aggregation_v4,
        IpAddr::V6(_) => advertisement.aggregation_v6,
    };
    IpNet::new(address, length).ok().map(|net| net.trunc())
}

/// The advertisements that announce an address for a Service from this node.
fn judge<'a>(
    world: &World,
    policy: &'a Policy,
    name: &str,
    node: &Node,
    service: &Service,
    address: IpAddr,
) -> Result<Vec<&'a Advertisement>, Obstacle> {
    if let Some(owner) = world.unusable.is_answered_elsewhere(address) {
        let owner = owner.clone();
        return Err(Obstacle::AddressUnusable { owner });
    }
    let pool = world.pool_of(service, address).ok_or(Obstacle::NoPool)?;
    let here: Vec<_> = policy
        .advertisements
        .iter()
        .filter(|ad| ad.pools.as_ref().is_none_or(|pools| pools.contains(pool)))
        .filter(|ad| any_or_all(&ad.node_selectors, &node.labels))
        .collect();
    if here.is_empty() {
        let pool = pool.to_owned();
        return Err(Obstacle::NoAdvertisement { pool });
    }
    let matching: Vec<_> = here
        .iter()
        .filter(|ad| any_or_all(&ad.service_selectors, &service.labels))
        .copied()
        .collect();
    if matching.is_empty() {
        let advertisements = names(&here);
        return Err(Obstacle::ServiceNotSelected { advertisements });
    }
    if node.network_unavailable {
        return Err(Obstacle::NetworkUnavailable);
    }
    if node.excluded {
        return Err(Obstacle::Excluded);
    }
    let family = Family::of(address);
    if service.usable_from(family, name).is_some() {
        return Ok(matching);
    }
    Err(match service.traffic_policy {
        TrafficPolicy::Cluster => Obstacle::NoEndpoints { family },
        TrafficPolicy::Local => Obstacle::NoLocalEndpoint { family },
    })
}

fn names(advertisements: &[&Advertisement]) -> Vec<String> {
    advertisements.iter().map(|ad| ad.name.clone()).collect()
}
