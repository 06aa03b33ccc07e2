//! L2Advertisement: pools whose addresses are announced on the local network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{ConditionsStatus, schema};

/// Pools whose addresses are announced on the local network.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "L2Advertisement",
    plural = "l2advertisements",
    shortname = "l2adv",
    category = "herald",
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "Announces the addresses of pools on the local network by ARP and NDP, from one node at a time.",
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
    printcolumn(name = "Interfaces", type_ = "string", json_path = ".spec.interfaces"),
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
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].reason",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct L2AdvertisementSpec {
    /// Pools by name. Joined with ipAddressPoolSelectors; both empty means every pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub ip_address_pools: Vec<String>,

    /// Pools by their labels; one selector must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,

    /// Nodes that may announce, by their labels; one selector must match. Empty means every node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub node_selectors: Vec<LabelSelector>,

    /// Nodes that should announce when they can. The weights of all matching selectors add up and
    /// the node with the highest sum wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub preferred_node_selectors: Vec<PreferredNodeSelector>,

    /// Interfaces to announce on, by name or glob (eth0, bond*). Empty means every interface that
    /// qualifies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::interfaces")]
    pub interfaces: Vec<String>,

    /// Services to announce, by their labels; one selector must match. Empty means every Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub service_selectors: Vec<LabelSelector>,
}

/// Nodes that should announce when they can.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PreferredNodeSelector {
    /// How much a matching node is preferred, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i32,

    /// The nodes, by their labels; an empty selector matches every node.
    #[schemars(schema_with = "schema::selector")]
    pub preference: LabelSelector,
}
