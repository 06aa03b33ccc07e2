//! Speaker: what one node's speaker reports about itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::schema;

/// A node's speaker has nothing to configure; the object is all status.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "Speaker",
    plural = "speakers",
    shortname = "spk",
    category = "herald",
    no_spec,
    status = "SpeakerStatus",
    derive = "PartialEq",
    doc = "The state of the speaker on one node, written by that speaker and named as the node.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "Scheduling",
        type_ = "string",
        json_path = ".status.scheduling",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct SpeakerSpec {}

/// What a speaker reports about itself.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatus {
    /// The interfaces the speaker sees, and why it does not use the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub interfaces: Vec<SpeakerInterface>,

    /// Where the speaker takes beacons, as IP:port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub beacon_address: Option<String>,

    /// The membership the speaker is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,

    /// The other speakers as this one hears them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["node".into()]))]
    pub peers: Vec<MemberPeer>,

    /// The BGP sessions of the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["peer".into()]))]
    pub bgp_sessions: Vec<BgpSession>,

    /// The scheduling class the announcing thread got from the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub scheduling: Option<String>,

    /// The version of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,

    /// Whether the speaker can do its work: condition Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One network interface of the node.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerInterface {
    /// The interface's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,

    /// The kernel's index of the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,

    /// The hardware address, as 02:00:00:00:00:01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub mac: Option<String>,

    /// The addresses of the interface, with prefix lengths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::reported_strings")]
    pub addresses: Vec<String>,

    /// Why nothing is announced here; absent when the interface is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason_not_used: Option<String>,
}

/// The numbered set of speakers among which majorities are counted.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// The number of the set; it grows with every change.
    pub view: i64,

    /// The nodes in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub members: Vec<String>,

    /// Whether the speaker hears a majority of them.
    pub quorum: bool,
}

/// Another speaker as this one hears it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberPeer {
    /// The other speaker's node.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,

    /// Whether it is heard: Alive; Silent; or Refusing, when it is not heard and its host says that
    /// no speaker runs there.
    #[schemars(length(max = 64))]
    pub state: String,

    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One BGP session of the node.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BgpSession {
    /// The BGPPeer's name.
    #[schemars(length(min = 1, max = 253))]
    pub peer: String,

    /// The router's address; of one that is found by its interface, the one it was found at. A link-local
    /// one has the interface behind it, as fe80::1%eth0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub router: Option<String>,

    /// The session's state as RFC 4271 names it: Idle, Connect, Active, OpenSent, OpenConfirm or
    /// Established.
    #[schemars(length(max = 64))]
    pub state: String,

    /// Who opened the connection: Node or Router; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub opened_by: Option<String>,

    /// Since when the session is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,

    /// Why there is no session, or why the last one ended, as one sentence. Attempts to connect that come to
    /// nothing afterwards do not replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_error: Option<String>,

    /// When it was; absent where lastError says how things are just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_time: Option<Time>,

    /// What the last attempt to connect since lastErrorTime came to, as one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub last_attempt: Option<String>,

    /// The text the router sent when it closed the session (RFC 9003).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub shutdown_text: Option<String>,

    /// Prefixes that should be announced to the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes_wished: Option<i64>,

    /// Prefixes that were sent to the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes_sent: Option<i64>,

    /// The BFD session that watches the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<BfdSession>,
}

/// The BFD session that watches a router.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BfdSession {
    /// The state as RFC 5880 names it: AdminDown, Down, Init or Up.
    #[schemars(length(max = 64))]
    pub state: String,

    /// Negotiated interval of sent control packets, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transmit_interval: Option<i64>,

    /// Negotiated interval of received control packets, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_interval: Option<i64>,

    /// Negotiated interval of echo packets, in microseconds; absent while none comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo_interval: Option<i64>,

    /// Time without a packet after which the peer is down, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detection_time: Option<i64>,
}
