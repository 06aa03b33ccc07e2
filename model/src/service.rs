//! What planning and announcing need to know about one Service of type LoadBalancer.
//!
//! Not here: how it is read from Kubernetes (`config::service`), or what happens to it (`alloc`,
//! `announce`).

mod endpoint;
#[cfg(test)]
pub(crate) mod kube_proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::address::Family;
use crate::labels::Labels;

pub use endpoint::{Endpoint, Usable};

/// Names one Service; shown as `namespace/name` and ordered by namespace, then name.
///
/// It is kept in many places for each Service: a copy is another pointer to the same text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey(Arc<str>);

/// Between namespace and name; before everything that either may contain, so that texts are ordered
/// as the pairs are.
const BETWEEN: char = '\0';

impl ServiceKey {
    /// `namespace/name`.
    #[must_use]
    pub fn new(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        let (namespace, name) = (namespace.as_ref(), name.as_ref());
        Self(format!("{namespace}{BETWEEN}{name}").into())
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.parts().0
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(BETWEEN).unwrap_or_default()
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = self.parts();
        write!(f, "{namespace}/{name}")
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `spec.ipFamilyPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FamilyPolicy {
    /// One family.
    #[default]
    Single,
    /// Both when the Service has both, else one.
    PreferDual,
    /// Both or nothing.
    RequireDual,
}

/// `spec.externalTrafficPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrafficPolicy {
    /// Any node forwards to any endpoint.
    #[default]
    Cluster,
    /// A node serves its own endpoints only.
    Local,
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// What two Services on one address may not have in common; shown as `TCP/80`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortKey {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The Service's port (not its target or node port).
    pub port: u16,
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.port)
    }
}

/// A text that names no port; [`PortKey`] is shown as `TCP/80`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a port: write a protocol and a number such as TCP/80")]
pub struct NotAPort(String);

impl FromStr for PortKey {
    type Err = NotAPort;

    fn from_str(text: &str) -> Result<Self, NotAPort> {
        let parse = || {
            let (protocol, port) = text.split_once('/')?;
            let protocol = match protocol {
                "TCP" => Protocol::Tcp,
                "UDP" => Protocol::Udp,
                "SCTP" => Protocol::Sctp,
                _ => return None,
            };
            let port = port.parse().ok()?;
            Some(Self { protocol, port })
        };
        parse().ok_or_else(|| NotAPort(text.to_owned()))
    }
}

/// One Service of type LoadBalancer that is ours (class checked).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub key: ServiceKey,
    /// Its labels.
    pub labels: Labels,
    /// When it was created, seconds since 1970: the older one is served first.
    pub created: i64,
    /// One family or two.
    pub family_policy: FamilyPolicy,
    /// The families of its cluster addresses, primary first; empty for a headless Service, which
    /// cannot have an address.
    pub families: Vec<Family>,
    /// The addresses the user asked for.
    pub requested_addresses: Vec<IpAddr>,
    /// The pool the user asked for.
    pub requested_pool: Option<String>,
    /// Why the request cannot be understood, as one sentence naming the annotation or field. Such
    /// a Service keeps what it holds and is given nothing.
    pub unreadable_request: Option<String>,
    /// Services with equal keys may share an address; never empty.
    pub sharing_key: Option<String>,
    /// Further condition for sharing: empty for policy Cluster, the pod selector for Local.
    pub backend_key: String,
    /// Its ports.
    pub ports: BTreeSet<PortKey>,
    /// The addresses its status says it has.
    pub held: Vec<IpAddr>,
    /// The pools it says they came from (annotation `heraldlb.io/ip-allocated-from-pool`).
    pub held_pools: Vec<String>,
    /// The addresses it had before it stopped being of type LoadBalancer. It gets them again where
    /// they are free and its request allows it.
    pub last_addresses: Vec<IpAddr>,
    /// Where traffic may enter.
    pub traffic_policy: TrafficPolicy,
    /// Its endpoints, of both families.
    pub endpoints: Vec<Endpoint>,
    /// The addresses of those that are ready, or terminate and still serve, by their node: how many there are. Empty
    /// where nobody counts them ([`Policy::counts_endpoints`](crate::bgp::Policy::counts_endpoints)).
    pub serving: BTreeMap<String, BTreeSet<IpAddr>>,
}

impl Service {
    /// A single-stack IPv4 Service that asks for nothing, holds nothing and has no endpoints.
    #[must_use]
    pub fn new(key: ServiceKey) -> Self {
        Self {
            key,
            labels: Labels::new(),
            created: 0,
            family_policy: FamilyPolicy::Single,
            families: vec![Family::V4],
            requested_addresses: Vec::new(),
            requested_pool: None,
            unreadable_request: None,
            sharing_key: None,
            backend_key: String::new(),
            ports: BTreeSet::new(),
            held: Vec::new(),
            held_pools: Vec::new(),
            last_addresses: Vec::new(),
            traffic_policy: TrafficPolicy::Cluster,
            endpoints: Vec::new(),
            serving: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_are_ordered_as_their_parts_and_give_them_back(
            one in ("[a-c./-]{0,4}", "[a-c./-]{0,4}"),
            other in ("[a-c./-]{0,4}", "[a-c./-]{0,4}"),
        ) {
            let key = |(namespace, name): &(String, String)| ServiceKey::new(namespace, name);
            let (a, b) = (key(&one), key(&other));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
            prop_assert_eq!((a.namespace(), a.name()), (&*one.0, &*one.1));
            prop_assert_eq!(a.to_string(), format!("{}/{}", one.0, one.1));
        }
    }
}
