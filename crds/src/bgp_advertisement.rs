//! BGPAdvertisement: pools whose addresses are announced to routers, and with what attributes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{ConditionsStatus, schema};

/// Pools whose addresses are announced to routers, and with what attributes.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "BGPAdvertisement",
    plural = "bgpadvertisements",
    shortname = "bgpadv",
    category = "herald",
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "Announces the addresses of pools to BGP peers.",
    printcolumn(
        name = "IPAddressPools",
        type_ = "string",
        json_path = ".spec.ipAddressPools"
    ),
    printcolumn(
        name = "IPAddressPool Selectors",
        type_ = "string",
        json_path = ".spec.ipAddressPoolSelectors",
        priority = 1
    ),
    printcolumn(name = "Peers", type_ = "string", json_path = ".spec.peers"),
    printcolumn(
        name = "Node Selectors",
        type_ = "string",
        json_path = ".spec.nodeSelectors",
        priority = 1
    ),
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
    validation = (
        "!has(self.serviceSelectors) || size(self.serviceSelectors) == 0 || (self.aggregationLength == 32 && self.aggregationLengthV6 == 128)",
        "serviceSelectors need aggregationLength 32 and aggregationLengthV6 128: an aggregate cannot be announced for some of its Services"
    )
)]
pub struct BGPAdvertisementSpec {
    /// Length of the announced IPv4 prefix; 32 announces each address on its own.
    #[serde(default = "ipv4_host")]
    #[schemars(range(min = 1, max = 32))]
    pub aggregation_length: i32,

    /// Length of the announced IPv6 prefix; 128 announces each address on its own.
    #[serde(default = "ipv6_host", rename = "aggregationLengthV6")]
    #[schemars(range(min = 1, max = 128))]
    pub aggregation_length_v6: i32,

    /// LOCAL_PREF, sent to internal peers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub local_pref: Option<i64>,

    /// MULTI_EXIT_DISC; absent sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub med: Option<i64>,

    /// How many more times external peers see the own AS in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub prepend: Option<i32>,

    /// Communities: standard (64512:100), large (large:64512:1:2), extended (rt:64512:100,
    /// soo:64512:100), well-known names (no-export) or names from a Community object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "communities")]
    pub communities: Vec<String>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_bandwidth: Option<LinkBandwidth>,

    /// Pools by name. Joined with ipAddressPoolSelectors; both empty means every pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub ip_address_pools: Vec<String>,

    /// Pools by their labels; one selector must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,

    /// Nodes that announce, by their labels; one selector must match. Empty means every node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub node_selectors: Vec<LabelSelector>,

    /// Services to announce, by their labels; one selector must match. Empty means every Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub service_selectors: Vec<LabelSelector>,

    /// BGPPeers to announce to, by name. Empty means every peer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub peers: Vec<String>,
}

/// Tells routers how much of the traffic each node is to get (link bandwidth extended community, RFC 10005): a
/// router that weighs by it, and has it from all nodes, sends each its part. {} is by endpoints. Absent tells
/// none.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkBandwidth {
    /// Endpoint: for each endpoint on the node that is ready, or still serving while it terminates. A Service
    /// with externalTrafficPolicy Cluster counts as one endpoint on every node; of an aggregate, and of
    /// Services that share an address, the sum is told. Node: for the node, whatever runs on it.
    #[serde(default)]
    pub per: BandwidthPer,

    /// Megabits per second for each, told in bytes per second. Nothing is measured or limited: what counts is
    /// how the nodes' numbers compare.
    #[serde(default = "one_megabit")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub megabits_per_second: i32,

    /// Whether the router may pass it on to another AS. Absent: true to a router of another AS, since some
    /// ignore it otherwise (FRR 10.3 to 10.5.1), and false within the AS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transitive: Option<bool>,
}

/// What a bandwidth is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BandwidthPer {
    /// An endpoint that takes traffic.
    #[default]
    Endpoint,
    /// The node.
    Node,
    /// A value that a later version of the CRD knows.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

fn one_megabit() -> i32 {
    1
}

fn ipv4_host() -> i32 {
    32
}

fn ipv6_host() -> i32 {
    128
}

fn communities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 128,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 253,
            "x-kubernetes-validations": [{
                "rule": format!("self.matches(r'{}')", crate::community::REFERENCE),
                "message": "write numbers (64512:100, large:64512:1:2, rt:64512:100), a well-known name (no-export) or a name from a Community",
            }],
        },
    })
}
