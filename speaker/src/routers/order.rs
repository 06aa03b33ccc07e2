//! What one session is to do: the model's peer and prefixes in the words of BGP. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use herald_bgp::{
    Asn, BfdMode, Community, Config, ExtendedCommunity, Families, Family, GracefulRestart,
    LargeCommunity, Opening, Prefix, RemoteAs, Route, Wish,
};
use herald_model::bgp::{self, Attributes, Bandwidth, Dialing, Peer, Target};
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};

use super::keys::Keys;
use super::place::{Found, Place, Zone, doubt, place};
use crate::links::Links;

/// How long a router keeps the routes of a speaker that restarts.
const RESTART_TIME: Duration = Duration::from_secs(120);

/// Link bandwidth is in octets per second.
const OCTETS_IN_MEGABIT: f64 = 125_000.0;

/// The TTL of packets that may come from any distance.
const ANY_DISTANCE: u8 = 255;

/// Why a session that asks for TCP-AO is not opened.
const NO_TCP_AO: &str = "the kernel of this node has no TCP-AO (Linux 6.7 or later, built with CONFIG_TCP_AO), \
                         and without it the session is not opened; write passwordSecret in place of tcpAO, \
                         or let nodes with TCP-AO keep the session";

/// What one session is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) config: Config,
    pub(super) dial: Dial,
    pub(super) wish: Arc<Wish>,
    /// How long routes stay, least preferred, before they are withdrawn on purpose.
    pub(super) drain_time: Duration,
    /// Everything is to be withdrawn, with this text for the operator there.
    pub(super) leaving: Option<String>,
    /// Why no session can be opened at the moment.
    pub(super) obstacle: Option<String>,
    /// What may be the matter where there is no session.
    pub(super) doubt: Option<String>,
    /// Why the router is not watched by BFD although it is to be.
    pub(super) unwatched: Option<String>,
}

/// How a connection is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    pub(super) router: IpAddr,
    /// The link that the router's address is on, where it does not say enough.
    pub(super) zone: Option<Zone>,
    pub(super) port: u16,
    pub(super) source: Option<IpAddr>,
    /// The device of a VRF.
    pub(super) device: Option<String>,
    /// What packets are sent with.
    pub(super) ttl: u8,
    /// Packets that arrive with less are dropped (RFC 5082).
    pub(super) least_ttl: Option<u8>,
    /// How segments are signed.
    pub(super) keys: Keys,
}

impl Dial {
    /// Where the router is; [`Place::NOWHERE`] while there is an obstacle.
    pub(super) fn place(&self) -> Place {
        Place {
            router: self.router,
            zone: self.zone.clone(),
        }
    }

    /// Whether the two differ in nothing but the keys.
    pub(super) fn reaches_as(&self, other: &Self) -> bool {
        let plain = |dial: &Self| Self {
            keys: Keys::None,
            ..dial.clone()
        };
        plain(self) == plain(other)
    }
}

/// What is known of this node.
pub(super) struct Facts<'a> {
    pub(super) node: &'a str,
    /// Its first internal IPv4 address.
    pub(super) address: Option<Ipv4Addr>,
    /// Its kernel has TCP-AO.
    pub(super) has_tcp_ao: bool,
    /// Its sessions are to be drained, and why.
    pub(super) leaving: Option<&'a str>,
    pub(super) links: &'a Links,
    /// Routers that were looked for.
    pub(super) found: &'a Found,
}

/// The order for a peer. `keys` are what its Secrets hold, or why that is not known.
pub(super) fn order(
    peer: &Peer,
    prefixes: &BTreeMap<IpNet, Attributes>,
    keys: Result<Keys, String>,
    facts: &Facts<'_>,
) -> Order {
    let target = &peer.dialing.target;
    let (place, unfound) = match place(target, facts.links, facts.found) {
        Ok(place) => (place, None),
        Err(why) => (Place::NOWHERE, Some(why)),
    };
    let unsigned =
        (!facts.has_tcp_ao && !peer.security.tcp_ao.is_empty()).then(|| NO_TCP_AO.to_owned());
    let (keys, unknown) = match keys {
        Ok(keys) => (keys, None),
        Err(why) => (Keys::None, Some(why)),
    };
    Order {
        config: config(peer, facts),
        dial: dial(peer, place, keys),
        wish: Arc::new(wish(peer, prefixes)),
        drain_time: peer.drain_time,
        leaving: facts.leaving.map(str::to_owned),
        obstacle: unfound.or(unsigned).or(unknown),
        doubt: doubt(target, facts.found),
        unwatched: None,
    }
}

/// The AS number that the router sees.
fn local_as(peer: &Peer) -> Asn {
    Asn(peer.local_asn.unwrap_or(peer.my_asn))
}

/// Whether the router is of another AS.
fn is_external(peer: &Peer) -> bool {
    match peer.remote_as {
        bgp::RemoteAs::Exactly(asn) => Asn(asn) != local_as(peer),
        bgp::RemoteAs::Internal => false,
        bgp::RemoteAs::External => true,
    }
}

fn config(peer: &Peer, facts: &Facts<'_>) -> Config {
    let remote_as = match peer.remote_as {
        bgp::RemoteAs::Exactly(asn) => RemoteAs::Exactly(Asn(asn)),
        bgp::RemoteAs::Internal => RemoteAs::Internal,
        bgp::RemoteAs::External => RemoteAs::External,
    };
    let own = match &peer.dialing.target {
        Target::Address(IpAddr::V4(_)) => Family::Ipv4,
        Target::Address(IpAddr::V6(_)) | Target::LinkLocal { .. } | Target::Interface(_) => {
            Family::Ipv6
        }
    };
    let both = peer.dual_stack || matches!(peer.dialing.target, Target::Interface(_));
    Config {
        hold_time: peer.hold_time,
        keepalive_time: peer.keepalive_time,
        connect_time: peer.connect_time,
        opening: match peer.dialing.opening {
            bgp::Opening::Active => Opening::Active,
            bgp::Opening::Passive => Opening::Passive,
            bgp::Opening::Both => Opening::Both,
        },
        families: if both {
            Families::both()
        } else {
            Families::only(own)
        },
        extended_next_hop: both && own == Family::Ipv6,
        graceful_restart: peer.graceful_restart.then_some(GracefulRestart {
            restart_time: RESTART_TIME,
        }),
        bfd: match (&peer.bfd_profile, peer.bfd_strict) {
            (None, _) => BfdMode::Off,
            (Some(_), false) => BfdMode::Watch,
            (Some(_), true) => BfdMode::Strict,
        },
        ..Config::new(local_as(peer), remote_as, router_id(peer, facts))
    }
}

/// The BGP identifier: the one that is asked for, else the node's IPv4 address, else four octets of a
/// digest of its name (RFC 6286 asks for a number that is not zero and unique within the AS).
fn router_id(peer: &Peer, facts: &Facts<'_>) -> Ipv4Addr {
    let digest = || {
        let digest = Sha256::digest(facts.node.as_bytes());
        let first = digest.iter().take(4);
        let number = first.fold(0, |sum, octet| sum << 8 | u32::from(*octet));
        Ipv4Addr::from_bits(number.max(1))
    };
    peer.router_id.or(facts.address).unwrap_or_else(digest)
}

fn dial(peer: &Peer, place: Place, keys: Keys) -> Dial {
    let Dialing {
        target: _,
        port,
        opening: _,
        source,
        vrf,
        multihop,
    } = &peer.dialing;
    let hops = peer.security.ttl_security;
    // A router of another AS is on this link unless somebody says otherwise.
    let near = is_external(peer) && !multihop && hops.is_none();
    Dial {
        router: place.router,
        zone: place.zone,
        port: *port,
        source: *source,
        device: vrf.clone(),
        ttl: if near { 1 } else { ANY_DISTANCE },
        least_ttl: hops.map(|hops| ANY_DISTANCE - (hops - 1).min(ANY_DISTANCE - 1)),
        keys,
    }
}

fn wish(peer: &Peer, prefixes: &BTreeMap<IpNet, Attributes>) -> Wish {
    let mut known: BTreeMap<&Attributes, Arc<Route>> = BTreeMap::new();
    let mut wish = Wish::new();
    for (net, attributes) in prefixes {
        let Ok(prefix) = Prefix::new(net.addr(), net.prefix_len()) else {
            continue;
        };
        let route = known
            .entry(attributes)
            .or_insert_with(|| Arc::new(route(peer, attributes)));
        wish.insert(prefix, Arc::clone(route));
    }
    wish
}

/// A route that is about to go is no internal router's choice either (RFC 8326 section 4.1).
fn route(peer: &Peer, attributes: &Attributes) -> Route {
    let Attributes {
        local_pref,
        med,
        prepend,
        communities,
        link_bandwidth,
        leaving,
    } = attributes;
    let mut route = Route {
        local_pref: if *leaving { Some(0) } else { *local_pref },
        med: *med,
        prepend: *prepend,
        ..Route::default()
    };
    for community in communities {
        match *community {
            bgp::Community::Standard(value) => {
                route.communities.insert(Community(value));
            }
            bgp::Community::Extended(octets) => {
                route.extended_communities.insert(ExtendedCommunity(octets));
            }
            bgp::Community::Large([global, local1, local2]) => {
                route.large_communities.insert(LargeCommunity {
                    global,
                    local1,
                    local2,
                });
            }
        }
    }
    if *leaving {
        route.communities.insert(Community::GRACEFUL_SHUTDOWN);
    }
    let link_bandwidth = link_bandwidth.map(|bandwidth| told_bandwidth(peer, bandwidth));
    route.extended_communities.extend(link_bandwidth);
    route
}

/// Link bandwidth (RFC 10005). What is not transitive is not to cross the border of an AS (RFC 4360
/// section 6), so another AS is told what is, unless somebody says otherwise.
fn told_bandwidth(peer: &Peer, bandwidth: Bandwidth) -> ExtendedCommunity {
    let transitive = bandwidth.transitive.unwrap_or_else(|| is_external(peer));
    let rate = bandwidth.megabits as f64 * OCTETS_IN_MEGABIT;
    // The wire has the 24 leading bits of it.
    ExtendedCommunity::link_bandwidth(local_as(peer), rate as f32, transitive)
}

#[cfg(test)]
mod tests;
