//! ServiceAnnouncement: which addresses a Service holds and who announces them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::schema;

/// A Service's announcement has nothing to configure; the object is all status.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "ServiceAnnouncement",
    plural = "serviceannouncements",
    shortname = "svcann",
    category = "herald",
    namespaced,
    no_spec,
    status = "ServiceAnnouncementStatus",
    derive = "PartialEq",
    doc = "The addresses a Service holds and the nodes that announce them; named as the Service and owned by it.",
    printcolumn(
        name = "Address",
        type_ = "string",
        json_path = ".status.addresses[0].address"
    ),
    printcolumn(
        name = "Second Address",
        type_ = "string",
        json_path = ".status.addresses[1].address"
    ),
    printcolumn(
        name = "Pool",
        type_ = "string",
        json_path = ".status.addresses[0].pool"
    ),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.layer2[0].node"),
    printcolumn(
        name = "Second Node",
        type_ = "string",
        json_path = ".status.layer2[1].node",
        priority = 1
    ),
    printcolumn(
        name = "Allocated",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Allocated\")].status"
    ),
    printcolumn(
        name = "Announced",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Announced\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Announced\")].reason",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct ServiceAnnouncementSpec {}

/// The addresses a Service holds and who announces them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAnnouncementStatus {
    /// The addresses the Service holds. Written by the controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["address".into()]))]
    pub addresses: Vec<AllocatedAddress>,

    /// Who answers for each address on the local network. Each entry is written by the owner's
    /// speaker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["address".into()]))]
    pub layer2: Vec<Layer2Announcement>,

    /// Which nodes announce the addresses to which routers. Each entry is written by the node's
    /// speaker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["node".into()]))]
    pub bgp: Vec<BgpAnnouncement>,

    /// Whether the Service has its addresses and whether they are announced: conditions Allocated
    /// and Announced. Written by the controller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One address a Service holds.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AllocatedAddress {
    /// The address.
    #[schemars(length(min = 2, max = 45))]
    pub address: String,

    /// The pool it comes from.
    #[schemars(length(max = 253))]
    pub pool: String,
}

/// Who answers for one address on the local network.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer2Announcement {
    /// The address.
    #[schemars(length(min = 2, max = 45))]
    pub address: String,

    /// The node whose speaker answers for the address.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,

    /// The interfaces it answers on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::reported_strings")]
    pub interfaces: Vec<String>,

    /// Since when this node answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// Counts the changes of owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,

    /// When a gateway last acknowledged that it knows this node as the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_acknowledged: Option<Time>,
}

/// A node that announces a Service's addresses to routers.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BgpAnnouncement {
    /// The node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,

    /// The BGPPeers it announces to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub peers: Vec<String>,
}
