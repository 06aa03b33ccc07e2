//! Peers and advertisements as a user means them: values only.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::bandwidth::{Bandwidth, LinkBandwidth};
use crate::labels::Selector;

/// One `BGPPeer`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The object's name.
    pub name: String,
    /// The nodes that keep the session, any of them; empty means all.
    pub node_selectors: Vec<Selector>,
    /// The AS number of the nodes.
    pub my_asn: u32,
    /// The AS number shown to this router in place of `my_asn`.
    pub local_asn: Option<u32>,
    /// The router's AS number.
    pub remote_as: RemoteAs,
    /// How the router is reached.
    pub dialing: Dialing,
    /// How the session is protected.
    pub security: Security,
    /// Zero turns the timer off.
    pub hold_time: Duration,
    /// None: a third of the hold time.
    pub keepalive_time: Option<Duration>,
    /// Between attempts to connect.
    pub connect_time: Duration,
    /// None: one per node.
    pub router_id: Option<Ipv4Addr>,
    /// The `BFDProfile` that watches the router; it may not exist.
    pub bfd_profile: Option<String>,
    /// There is no session while BFD is not up.
    pub bfd_strict: bool,
    /// The router keeps the routes while a speaker restarts.
    pub graceful_restart: bool,
    /// How long routes stay, least preferred, before they are withdrawn on purpose.
    pub drain_time: Duration,
    /// Routes of both families go over this session.
    pub dual_stack: bool,
}

impl Peer {
    /// Whether routes of this address's family go over the session: those of its own, and of both
    /// where that is asked for or the session is on a link.
    #[must_use]
    pub fn carries(&self, address: IpAddr) -> bool {
        match self.dialing.target {
            Target::Address(router) => self.dual_stack || router.is_ipv4() == address.is_ipv4(),
            Target::LinkLocal { .. } => self.dual_stack || address.is_ipv6(),
            Target::Interface(_) => true,
        }
    }
}

/// Which AS number a router is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one.
    Exactly(u32),
    /// The one it is shown.
    Internal,
    /// Any other.
    External,
}

/// How a router is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialing {
    /// Where it is.
    pub target: Target,
    /// Its TCP port.
    pub port: u16,
    /// Who opens the connection.
    pub opening: Opening,
    /// The local address of the session; none leaves the choice to the kernel.
    pub source: Option<IpAddr>,
    /// The VRF of the session on the node.
    pub vrf: Option<String>,
    /// An external router may be more than one hop away.
    pub multihop: bool,
}

/// Who opens the connection of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opening {
    /// The node.
    #[default]
    Active,
    /// The router.
    Passive,
    /// Whichever is first.
    Both,
}

/// Where a router is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// At an address.
    Address(IpAddr),
    /// At an address that means something on one link only.
    LinkLocal {
        /// The address, of fe80::/10.
        address: Ipv6Addr,
        /// The link, by the interface on the node.
        interface: String,
    },
    /// On a link, found by its router advertisements.
    Interface(String),
}

/// One `BFDProfile`, checked: how fast a router's failure is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BfdProfile {
    /// Shortest interval of packets that is supported.
    pub receive: Duration,
    /// Shortest interval of packets that is wished for.
    pub transmit: Duration,
    /// How many of them may be missing, less one.
    pub multiplier: u8,
    /// The router is to speak first.
    pub passive: bool,
    /// The lowest TTL of packets of a router that is more than one hop away.
    pub minimum_ttl: u8,
    /// Interval of echo packets, sent and looped back; none: no echo either way.
    pub echo: Option<Duration>,
    /// How packets are proved to be the router's.
    pub authentication: Option<BfdAuthentication>,
}

/// How BFD packets are proved to be the router's (RFC 5880 section 6.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BfdAuthentication {
    /// What is done with the password.
    pub method: BfdMethod,
    /// By which number both ends know the password.
    pub key_id: u8,
    /// Where the password is.
    pub password: Password,
}

/// What is done with the password of BFD packets (RFC 5880 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BfdMethod {
    /// It is sent.
    Simple,
    /// MD5.
    KeyedMd5,
    /// MD5, each packet counts once.
    MeticulousMd5,
    /// SHA-1.
    KeyedSha1,
    /// SHA-1, each packet counts once.
    MeticulousSha1,
}

/// How a session is protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// The Secret with the TCP MD5 password (RFC 2385).
    pub password: Option<Password>,
    /// TCP-AO keys (RFC 5925), the preferred one first; not beside a password.
    pub tcp_ao: Vec<TcpAoKey>,
    /// The most hops to the router (RFC 5082).
    pub ttl_security: Option<u8>,
}

/// One TCP-AO key (RFC 5925).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpAoKey {
    /// SendID.
    pub send_id: u8,
    /// RecvID.
    pub receive_id: u8,
    /// How segments are signed.
    pub algorithm: TcpAoAlgorithm,
    /// The Secret with the key.
    pub secret: Password,
}

/// An algorithm of RFC 5926.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpAoAlgorithm {
    /// HMAC-SHA-1-96.
    HmacSha1,
    /// AES-128-CMAC-96.
    AesCmac,
}

/// A Secret by name; its key `password` counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Password {
    /// None: Herald's own namespace.
    pub namespace: Option<String>,
    /// The Secret's name.
    pub name: String,
}

/// One `BGPAdvertisement`, its pool selectors resolved to names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertisement {
    /// The object's name.
    pub name: String,
    /// The pools it is for; `None` means all.
    pub pools: Option<BTreeSet<String>>,
    /// The nodes it is for, any of them; empty means all.
    pub node_selectors: Vec<Selector>,
    /// The Services it is for, any of them; empty means all.
    pub service_selectors: Vec<Selector>,
    /// The peers it is for, by name; `None` means all.
    pub peers: Option<BTreeSet<String>>,
    /// Length of the announced IPv4 prefix, at most 32.
    pub aggregation_v4: u8,
    /// Length of the announced IPv6 prefix, at most 128.
    pub aggregation_v6: u8,
    /// How the prefix looks.
    pub attributes: Attributes,
    /// How the nodes' shares of the traffic are reckoned; none: they are not told.
    pub link_bandwidth: Option<LinkBandwidth>,
}

/// How a prefix looks to a router.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// LOCAL_PREF, told to internal peers only.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// How many more times the own AS is in the path.
    pub prepend: u8,
    /// Communities of every kind.
    pub communities: BTreeSet<Community>,
    /// The share of the traffic that this node is to get. Not written, but reckoned.
    pub link_bandwidth: Option<Bandwidth>,
    /// About to be withdrawn: every other path is better (RFC 8326).
    pub leaving: bool,
}

/// A community as its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Community {
    /// RFC 1997.
    Standard(u32),
    /// RFC 4360.
    Extended([u8; 8]),
    /// RFC 8092: global administrator and two values.
    Large([u32; 3]),
}

impl Attributes {
    /// What is said of a prefix that two advertisements announce: all communities, and of each number
    /// the one that makes the prefix preferred.
    pub(super) fn join(&mut self, other: &Self) {
        let Self {
            local_pref,
            med,
            prepend,
            communities,
            // Reckoned when all that announces the prefix is known.
            link_bandwidth: _,
            leaving,
        } = other;
        self.local_pref = self.local_pref.max(*local_pref);
        self.med = match (self.med, *med) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.prepend = self.prepend.min(*prepend);
        self.communities.extend(communities);
        self.leaving &= leaving;
    }
}
