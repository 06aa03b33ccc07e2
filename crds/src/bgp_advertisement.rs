//! BGPAdvertisement: pools whose addresses are announced to routers, and with what attributes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
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
