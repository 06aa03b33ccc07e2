//! BGPPeer: a router that nodes keep a BGP session with.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConditionsStatus, schema};

/// A router that nodes keep a BGP session with.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "BGPPeer",
    plural = "bgppeers",
    shortname = "bgpp",
    category = "herald",
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "A router that nodes keep a BGP session with.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.peerAddress"),
    printcolumn(name = "Interface", type_ = "string", json_path = ".spec.interface"),
    printcolumn(name = "My ASN", type_ = "integer", json_path = ".spec.myASN"),
    printcolumn(name = "Peer ASN", type_ = "integer", json_path = ".spec.peerASN"),
    printcolumn(
        name = "Dynamic ASN",
        type_ = "string",
        json_path = ".spec.dynamicASN",
        priority = 1
    ),
    printcolumn(name = "BFD Profile", type_ = "string", json_path = ".spec.bfdProfile"),
    printcolumn(name = "VRF", type_ = "string", json_path = ".spec.vrf", priority = 1),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("has(self.peerASN) != has(self.dynamicASN)", "set exactly one of peerASN and dynamicASN"),
    validation = ("has(self.peerAddress) != has(self.interface)", "set exactly one of peerAddress and interface"),
    validation = (
        "!has(self.holdTime) || !has(self.keepaliveTime) || duration(self.keepaliveTime) <= duration(self.holdTime)",
        "keepaliveTime must not be longer than holdTime"
    ),
    validation = (
        "!self.ebgpMultiHop || !has(self.peerASN) || self.peerASN != self.myASN",
        "ebgpMultiHop is for external peers: peerASN must differ from myASN"
    ),
    validation = (
        "!self.ebgpMultiHop || !has(self.dynamicASN) || self.dynamicASN != 'internal'",
        "ebgpMultiHop is for external peers: dynamicASN must not be internal"
    ),
    validation = (
        "!self.ebgpMultiHop || !has(self.interface)",
        "set only one of ebgpMultiHop and interface; a router on an interface is one hop away"
    ),
    validation = (
        "!self.ebgpMultiHop || !has(self.ttlSecurity)",
        "set only one of ebgpMultiHop and ttlSecurity; ttlSecurity counts the hops it allows"
    ),
    validation = ("!has(self.passwordSecret) || !has(self.tcpAO)", "set only one of passwordSecret and tcpAO"),
    validation = ("!self.bfdStrict || has(self.bfdProfile)", "bfdStrict needs a bfdProfile")
)]
pub struct BGPPeerSpec {
    /// The AS number of the nodes.
    #[serde(rename = "myASN")]
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub my_asn: i64,

    /// The AS number of the router.
    #[serde(default, rename = "peerASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub peer_asn: Option<i64>,

    #[serde(
        default,
        rename = "dynamicASN",
        skip_serializing_if = "Option::is_none"
    )]
    pub dynamic_asn: Option<DynamicASN>,

    /// AS number shown to this router in place of myASN.
    #[serde(default, rename = "localASN", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub local_asn: Option<i64>,

    /// The router's address; a link-local one with its interface, as fe80::1%eth0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::router_address")]
    pub peer_address: Option<String>,

    /// The interface to find the router on by its router advertisements (unnumbered BGP). The session
    /// carries IPv4 and IPv6 routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[^\s/:]+$"))]
    pub interface: Option<String>,

    /// The router's TCP port.
    #[serde(default = "bgp_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub peer_port: i32,

    /// Who opens the TCP connection: the node (Active), the router (Passive), or whichever is first
    /// (Both). With Passive and Both the speaker listens on the node's port 179.
    #[serde(default)]
    pub connection_mode: ConnectionMode,

    /// The local address of the session; absent leaves the choice to the kernel, and takes connections
    /// of the router to any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ip_address")]
    pub source_address: Option<String>,

    /// How long the session survives without a message; 0s turns the timer off. Absent means 90s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::hold_time")]
    pub hold_time: Option<String>,

    /// Interval of KEEPALIVE messages. Absent means a third of the hold time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub keepalive_time: Option<String>,

    /// Time between attempts to connect. Absent means 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::connect_time")]
    pub connect_time: Option<String>,

    /// BGP identifier of the nodes towards this router, an IPv4 address. Absent means one per node.
    #[serde(default, rename = "routerID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ipv4_address")]
    pub router_id: Option<String>,

    /// Nodes that keep the session, by their labels; one selector must match. Empty means every
    /// node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub node_selectors: Vec<LabelSelector>,

    /// Secret of type kubernetes.io/basic-auth whose key password holds the TCP MD5 password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretReference>,

    /// TCP-AO keys (RFC 5925), for nodes whose kernel has TCP-AO (Linux 6.7 or later); on others the
    /// session is not opened.
    #[serde(default, rename = "tcpAO", skip_serializing_if = "Option::is_none")]
    pub tcp_ao: Option<TcpAo>,

    /// The BFDProfile that watches the router; absent means no BFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub bfd_profile: Option<String>,

    /// Whether the session is established only once BFD is up.
    #[serde(default)]
    pub bfd_strict: bool,

    /// Whether the router keeps the routes while a speaker restarts (RFC 4724).
    #[serde(default)]
    pub enable_graceful_restart: bool,

    /// Whether the router may be more than one hop away.
    #[serde(default)]
    pub ebgp_multi_hop: bool,

    /// Largest number of hops to the router; packets that came further are dropped (RFC 5082).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 254))]
    pub ttl_security: Option<i32>,

    /// How long routes stay announced with the graceful shutdown community (RFC 8326) before they
    /// are withdrawn. Absent means 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub drain_time: Option<String>,

    /// The VRF of the session on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[^\s/:]+$"))]
    pub vrf: Option<String>,

    /// Whether IPv4 and IPv6 routes go over this one session.
    #[serde(default)]
    pub dual_stack_address_family: bool,
}

fn bgp_port() -> i32 {
    179
}

/// Takes the router's AS number from its OPEN: internal demands our own, external another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DynamicASN {
    /// Our own AS number.
    Internal,
    /// Any other AS number.
    External,
    /// A value that a later version of the CRD knows.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Who opens the TCP connection of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionMode {
    /// The node; it does not listen.
    #[default]
    Active,
    /// The router; the node waits for it.
    Passive,
    /// Both try; of two connections one is kept (RFC 4271 section 6.8).
    Both,
    /// A value that a later version of the CRD knows.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// A Secret by name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The Secret's namespace; absent means Herald's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// TCP-AO keys (RFC 5925).
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TcpAo {
    /// The keys, all of which are accepted. The first is preferred: it is used to send until the router
    /// asks for another, and the router is asked to send by it.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub keys: Vec<TcpAoKey>,
}

/// One TCP-AO key.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TcpAoKey {
    /// SendID: names the key in segments we send.
    #[serde(rename = "sendID")]
    #[schemars(range(min = 0, max = 255))]
    pub send_id: i32,

    /// RecvID: names the key in segments we receive.
    #[serde(rename = "receiveID")]
    #[schemars(range(min = 0, max = 255))]
    pub receive_id: i32,

    /// The authentication algorithm (RFC 5926).
    #[serde(default)]
    pub algorithm: TcpAoAlgorithm,

    /// Secret of type kubernetes.io/basic-auth whose key password holds the key.
    pub secret: SecretReference,
}

/// Authentication algorithm of a TCP-AO key (RFC 5926).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TcpAoAlgorithm {
    /// HMAC-SHA-1-96.
    #[default]
    #[serde(rename = "HMAC-SHA-1-96")]
    HmacSha1,
    /// AES-128-CMAC-96.
    #[serde(rename = "AES-128-CMAC-96")]
    AesCmac,
    /// A value that a later version of the CRD knows.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
