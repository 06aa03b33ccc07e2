//! Which prefixes a node announces to which router, how they look, and why others are not announced.
//!
//! Unlike on a LAN, every node that may announce an address does; no node has to know of another. What
//! counts and in which order is MetalLB's: an advertisement for the pool and the node, one for the
//! Service, the node itself, endpoints.
//!
//! Not here: sessions and messages (`proto/bgp`).

mod bandwidth;
mod routes;
mod terms;

pub use bandwidth::{Bandwidth, LinkBandwidth, Per};
pub use routes::{Obstacle, Routes, Verdict, routes};
pub use terms::{
    Advertisement, Attributes, BfdAuthentication, BfdMethod, BfdProfile, Community, Dialing,
    Opening, Password, Peer, RemoteAs, Security, Target, TcpAoAlgorithm, TcpAoKey,
};

use std::collections::BTreeMap;

/// The peers and advertisements in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The peers, by name.
    pub peers: BTreeMap<String, Peer>,
    /// How routers are watched, by the name of the profile.
    pub bfd_profiles: BTreeMap<String, BfdProfile>,
    /// The advertisements, by name.
    pub advertisements: Vec<Advertisement>,
}

impl Policy {
    /// Whether [`Service::serving`](crate::service::Service::serving) matters.
    #[must_use]
    pub fn counts_endpoints(&self) -> bool {
        let mut terms = self
            .advertisements
            .iter()
            .filter_map(|ad| ad.link_bandwidth);
        terms.any(|terms| terms.per == Per::Endpoint)
    }
}

#[cfg(test)]
mod tests;
