//! How much of the traffic for a prefix a node is to get (link bandwidth, RFC 10005).
//!
//! Routers compare the numbers of the nodes, so what counts is their proportion. A node says its own
//! number and needs no other node for that.
//!
//! Not here: octets (`proto/bgp`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Attributes;
use crate::address::Family;
use crate::service::{Service, ServiceKey, TrafficPolicy};

/// How an advertisement has the nodes' shares reckoned. Of two that announce one prefix the greater
/// counts: more megabits, then endpoints before nodes, then transitive ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkBandwidth {
    /// Megabits per second for each, at least one.
    pub megabits: u32,
    /// For each of what.
    pub per: Per,
    /// Whether routers may pass it on to another AS; none: as fits the session.
    pub transitive: Option<bool>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// The node, once.
    Node,
    /// The endpoints on the node.
    Endpoint,
}

/// What a node says of one prefix; shown as `3 Mbit/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth {
    /// Megabits per second, at least one.
    pub megabits: u64,
    /// See [`LinkBandwidth::transitive`].
    pub transitive: Option<bool>,
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Mbit/s", self.megabits)
    }
}

/// What one peer is told of one prefix, while it is collected.
#[derive(Debug, Default)]
struct Scale<'a> {
    terms: Option<LinkBandwidth>,
    endpoints: u64,
    /// The Service that was counted last: several addresses of it may be in the prefix.
    counted: Option<&'a ServiceKey>,
}

/// What the prefixes of a node carry, by peer and prefix.
#[derive(Debug, Default)]
pub(super) struct Scales<'a>(BTreeMap<(String, IpNet), Scale<'a>>);

impl<'a> Scales<'a> {
    /// Counts a Service that `node` announces to a peer with a prefix; one after another.
    pub(super) fn put(
        &mut self,
        (peer, prefix): (&str, IpNet),
        service: &'a Service,
        node: &str,
        terms: Option<LinkBandwidth>,
    ) {
        let scale = self.0.entry((peer.to_owned(), prefix)).or_default();
        scale.terms = scale.terms.max(terms);
        if scale.counted != Some(&service.key) {
            scale.counted = Some(&service.key);
            let endpoints = endpoints(service, node, prefix);
            scale.endpoints = scale.endpoints.saturating_add(endpoints);
        }
    }

    /// Writes what was counted where an advertisement asks for it.
    pub(super) fn apply(self, peers: &mut BTreeMap<String, BTreeMap<IpNet, Attributes>>) {
        for ((peer, prefix), scale) in self.0 {
            let told = peers.get_mut(&peer).and_then(|told| told.get_mut(&prefix));
            let (Some(attributes), Some(terms)) = (told, scale.terms) else {
                continue;
            };
            let count = match terms.per {
                Per::Node => 1,
                Per::Endpoint => scale.endpoints,
            };
            attributes.link_bandwidth = Some(Bandwidth {
                megabits: u64::from(terms.megabits).saturating_mul(count),
                transitive: terms.transitive,
            });
        }
    }
}

/// The endpoints that traffic for a Service reaches by way of a node that announces it. With policy
/// Cluster those are all of them from every node, which weigh the same; one stands for them, so that
/// nothing is told anew when they come and go. Those of the prefix's family count, which is that of every
/// address in it. At least one: routers take a share of zero for none told.
fn endpoints(service: &Service, node: &str, prefix: IpNet) -> u64 {
    let serving = match service.traffic_policy {
        TrafficPolicy::Cluster => None,
        TrafficPolicy::Local => service.serving.get(node),
    };
    let family = Family::of(prefix.addr());
    let of_family = |address: &&IpAddr| Family::of(**address) == family;
    let count = serving.map_or(0, |all| all.iter().filter(of_family).count());
    u64::try_from(count).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests;
