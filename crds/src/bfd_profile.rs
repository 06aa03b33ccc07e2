//! BFDProfile: how fast a BGP peer's failure is noticed.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConditionsStatus, SecretReference};

/// How fast a BGP peer's failure is noticed.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "BFDProfile",
    plural = "bfdprofiles",
    shortname = "bfdp",
    category = "herald",
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "How fast the failure of BGP peers is noticed (BFD).",
    printcolumn(
        name = "Transmit ms",
        type_ = "integer",
        json_path = ".spec.transmitInterval"
    ),
    printcolumn(
        name = "Receive ms",
        type_ = "integer",
        json_path = ".spec.receiveInterval"
    ),
    printcolumn(
        name = "Multiplier",
        type_ = "integer",
        json_path = ".spec.detectMultiplier"
    ),
    printcolumn(
        name = "Passive",
        type_ = "boolean",
        json_path = ".spec.passiveMode",
        priority = 1
    ),
    printcolumn(
        name = "Echo",
        type_ = "boolean",
        json_path = ".spec.echoMode",
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
pub struct BFDProfileSpec {
    /// Shortest interval between received control packets that is supported, in milliseconds.
    #[serde(default = "interval")]
    #[schemars(range(min = 10, max = 60000))]
    pub receive_interval: i32,

    /// Shortest interval between sent control packets that is wished for, in milliseconds.
    #[serde(default = "interval")]
    #[schemars(range(min = 10, max = 60000))]
    pub transmit_interval: i32,

    /// How many intervals without a packet mean that the peer is down.
    #[serde(default = "multiplier")]
    #[schemars(range(min = 2, max = 255))]
    pub detect_multiplier: i32,

    /// Interval of echo packets in milliseconds, used when echoMode is true.
    #[serde(default = "echo_interval")]
    #[schemars(range(min = 10, max = 60000))]
    pub echo_interval: i32,

    /// Whether to send echo packets (RFC 5880 section 6.4), and to loop back those of the peer: over one hop
    /// only. The nodes and the peer need to forward packets of the session's family.
    #[serde(default)]
    pub echo_mode: bool,

    /// Whether to wait for the peer's first packet before sending (RFC 5880 section 6.1).
    #[serde(default)]
    pub passive_mode: bool,

    /// Lowest TTL accepted on multihop sessions.
    #[serde(default = "ttl")]
    #[schemars(range(min = 1, max = 254))]
    pub minimum_ttl: i32,

    /// Proves who sent a packet; absent means that nobody does. Both ends need the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<BFDAuthentication>,
}

/// Authentication of BFD packets (RFC 5880 section 6.7).
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BFDAuthentication {
    /// How packets are proved.
    #[serde(rename = "type")]
    pub kind: BFDAuthenticationType,

    /// By which number both ends know the password.
    #[serde(rename = "keyID")]
    #[schemars(range(min = 0, max = 255))]
    pub key_id: i32,

    /// Secret of type kubernetes.io/basic-auth whose key password holds the password: up to 16 octets,
    /// with SHA-1 up to 20.
    pub password_secret: SecretReference,
}

/// How BFD packets are proved (RFC 5880 section 4.1). Only with a meticulous type does a packet that
/// somebody repeats never count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BFDAuthenticationType {
    /// The password itself, which anybody on the path can read.
    Simple,
    /// Keyed MD5.
    KeyedMD5,
    /// Meticulous keyed MD5.
    MeticulousKeyedMD5,
    /// Keyed SHA-1.
    KeyedSHA1,
    /// Meticulous keyed SHA-1.
    MeticulousKeyedSHA1,
    /// A value that a later version of the CRD knows.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

fn interval() -> i32 {
    300
}

fn multiplier() -> i32 {
    3
}

fn echo_interval() -> i32 {
    50
}

fn ttl() -> i32 {
    254
}
