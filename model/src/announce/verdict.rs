//! Why an address is not announced: closed lists, each a sentence.

use std::fmt;
use std::net::IpAddr;

use super::NodeObstacles;
use crate::address::Family;
use crate::service::{Service, ServiceKey};
use crate::unusable::Owner;

/// Whether one address of one Service may be announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why no node may announce it; `None` when some may.
    pub obstacle: Option<Obstacle>,
    /// Why these nodes may not, whatever the others may.
    pub nodes: NodeObstacles,
}

/// Why no node may announce an address for a Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It is a node's own, or no host can have it.
    AddressUnusable {
        service: ServiceKey,
        address: IpAddr,
        owner: Owner,
    },
    /// No endpoint of the address's family is ready, or terminating and still serving.
    NoEndpoints {
        service: ServiceKey,
        family: Family,
        /// Whether one of the other family is.
        has_others: bool,
    },
    /// No pool contains the address.
    NoPool { address: IpAddr },
    /// No L2Advertisement is for its pool.
    NoAdvertisement { address: IpAddr, pool: String },
    /// The L2Advertisements for its pool are not for this Service.
    ServiceNotSelected {
        service: ServiceKey,
        pool: String,
        advertisements: Vec<String>,
    },
    /// There are no nodes at all.
    NoNodes,
    /// Every node has its own obstacle.
    EveryNode {
        address: IpAddr,
        nodes: NodeObstacles,
    },
    /// It shares the address with a Service that is announced by other nodes.
    SharedElsewhere { address: IpAddr, with: ServiceKey },
}

impl Obstacle {
    /// [`NoEndpoints`](Self::NoEndpoints), if it is so, whoever is to announce the address.
    #[must_use]
    pub fn no_endpoints(service: &Service, family: Family) -> Option<Self> {
        service.usable(family).is_none().then(|| Self::NoEndpoints {
            service: service.key.clone(),
            family,
            has_others: service.usable(family.other()).is_some(),
        })
    }

    /// The reason as one CamelCase word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::AddressUnusable { .. } => "AddressUnusable",
            Self::NoEndpoints { .. } => "NoEndpoints",
            Self::NoPool { .. } => "NoPool",
            Self::NoAdvertisement { .. } => "NoAdvertisement",
            Self::ServiceNotSelected { .. } => "ServiceNotSelected",
            Self::NoNodes => "NoNodes",
            Self::EveryNode { .. } => "NoEligibleNode",
            Self::SharedElsewhere { .. } => "SharedElsewhere",
        }
    }
}

/// How many nodes a sentence names.
const NAMED: usize = 3;

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressUnusable {
                service,
                address,
                owner,
            } => write!(
                f,
                "{address} is {owner}: request another address for Service {service}, or take it \
                 off its owner"
            ),
            Self::NoEndpoints {
                service,
                family,
                has_others: false,
            } => write!(
                f,
                "Service {service} has no ready {family} endpoint: see its pods and its selector"
            ),
            Self::NoEndpoints {
                service,
                family,
                has_others: true,
            } => write!(
                f,
                "Service {service} has ready {} endpoints and no {family} endpoint: give its pods \
                 {family} addresses, or take {family} out of spec.ipFamilies",
                family.other()
            ),
            Self::NoPool { address } => write!(f, "{address} is in no IPAddressPool"),
            Self::NoAdvertisement { address, pool } => write!(
                f,
                "no L2Advertisement is for pool {pool} of {address}: create one, or add the pool \
                 to spec.ipAddressPools of one"
            ),
            Self::ServiceNotSelected {
                service,
                pool,
                advertisements,
            } => write!(
                f,
                "the spec.serviceSelectors of L2Advertisement {} for pool {pool} do not match the \
                 labels of Service {service}",
                advertisements.join(", ")
            ),
            Self::NoNodes => write!(f, "there are no nodes"),
            Self::EveryNode { address, nodes } => {
                write!(f, "no node may announce {address}: ")?;
                for (i, (node, obstacle)) in nodes.iter().take(NAMED).enumerate() {
                    write!(f, "{}{node} {obstacle}", if i == 0 { "" } else { "; " })?;
                }
                match nodes.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more nodes"),
                }
            }
            Self::SharedElsewhere { address, with } => write!(
                f,
                "{address} is announced for Service {with} by nodes that may not announce it for \
                 this one: make their endpoints or advertisements overlap, or give this one its \
                 own address"
            ),
        }
    }
}

/// Why one node may not announce an address. Shown as what follows the node's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeObstacle {
    /// No advertisement's node selectors match it.
    NotSelected,
    /// It carries the exclude label.
    Excluded,
    /// Its condition NetworkUnavailable is true.
    NetworkUnavailable,
    /// Its speaker reports no interface, or there is no speaker.
    NoSpeaker,
    /// None of its interfaces fits the advertisements.
    NoInterface { wanted: Vec<String> },
    /// Policy Local and no endpoint of the Service there that serves, of the address's family.
    NoLocalEndpoint { family: Family },
}

impl NodeObstacle {
    /// The reason as one CamelCase word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotSelected => "NodeNotSelected",
            Self::Excluded => "NodeExcluded",
            Self::NetworkUnavailable => "NodeNetworkUnavailable",
            Self::NoSpeaker => "NoSpeaker",
            Self::NoInterface { .. } => "NoInterface",
            Self::NoLocalEndpoint { .. } => "NoLocalEndpoint",
        }
    }
}

impl fmt::Display for NodeObstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected => write!(f, "is not selected by the nodeSelectors"),
            Self::Excluded => {
                write!(
                    f,
                    "is labelled node.kubernetes.io/exclude-from-external-load-balancers"
                )
            }
            Self::NetworkUnavailable => write!(f, "has condition NetworkUnavailable"),
            Self::NoSpeaker => write!(f, "has no speaker that reports an interface"),
            Self::NoInterface { wanted } => {
                write!(f, "has no interface that fits {}", wanted.join(", "))
            }
            Self::NoLocalEndpoint { family } => {
                write!(
                    f,
                    "has no ready {family} endpoint, which externalTrafficPolicy Local needs"
                )
            }
        }
    }
}
