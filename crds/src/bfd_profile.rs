//! BFDProfile: how fast a BGP peer's failure is noticed.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::ConditionsStatus;

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
    doc = "How fast the failure of BGP peers is noticed (BFD). Echo is not built in this version.",
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

    /// Whether to send echo packets (RFC 5880 section 6.4).
    #[serde(default)]
    pub echo_mode: bool,

    /// Whether to wait for the peer's first packet before sending (RFC 5880 section 6.1).
    #[serde(default)]
    pub passive_mode: bool,

    /// Lowest TTL accepted on multihop sessions.
    #[serde(default = "ttl")]
    #[schemars(range(min = 1, max = 254))]
    pub minimum_ttl: i32,
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
