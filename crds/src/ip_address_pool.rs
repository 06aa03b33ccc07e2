//! IPAddressPool: addresses that Services may get.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Addresses that Services may get.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "IPAddressPool",
    plural = "ipaddresspools",
    shortname = "ipap",
    category = "herald",
    status = "IPAddressPoolStatus",
    derive = "PartialEq",
    doc = "A pool of addresses for Services of type LoadBalancer.",
    printcolumn(
        name = "Auto Assign",
        type_ = "boolean",
        json_path = ".spec.autoAssign"
    ),
    printcolumn(
        name = "Avoid Buggy IPs",
        type_ = "boolean",
        json_path = ".spec.avoidBuggyIPs",
        priority = 1
    ),
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses"),
    printcolumn(
        name = "Assigned v4",
        type_ = "integer",
        json_path = ".status.assignedIPv4"
    ),
    printcolumn(
        name = "Available v4",
        type_ = "integer",
        json_path = ".status.availableIPv4"
    ),
    printcolumn(
        name = "Assigned v6",
        type_ = "integer",
        json_path = ".status.assignedIPv6"
    ),
    printcolumn(
        name = "Available v6",
        type_ = "integer",
        json_path = ".status.availableIPv6"
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
pub struct IPAddressPoolSpec {
    /// The pool's addresses: networks (192.0.2.0/24), ranges (192.0.2.10-192.0.2.20) or single
    /// addresses (192.0.2.10), IPv4 and IPv6. They are given out in the order written here. No
    /// address may stand in two pools. Addresses of nodes, of Service and pod ranges, and those that
    /// no host can have are left out.
    #[schemars(schema_with = "schema::pool_addresses")]
    pub addresses: Vec<String>,

    /// Addresses inside this pool that are never given out, written as addresses are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::excluded_addresses")]
    pub excluded_addresses: Vec<String>,

    /// Whether a Service that asks for no pool and no address may get one from here.
    #[serde(default = "yes")]
    pub auto_assign: bool,

    /// Whether to keep IPv4 addresses ending in .0 and .255 back, which some old devices drop.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,

    /// Which Services may use the pool, and how early automatic allocation tries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,

    /// Limits on how many addresses the Services of a namespace hold. Services that hold more keep
    /// them and get no further ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub quotas: Vec<Quota>,

    /// How long an address stays bound to the namespace and name of a deleted Service, for example
    /// 24h. A Service that is created again with that name gets it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub retain: Option<String>,

    /// How long an address that was given up waits before another Service may get it, for example
    /// 5m. Who had it may have it back at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub reuse_delay: Option<String>,

    /// When two Services may hold the same address: ByKey, if they have the same allow-shared-ip
    /// annotation; Automatic, also if neither has one; Never. Their ports must differ, and with
    /// externalTrafficPolicy Local they must select the same pods.
    #[serde(default)]
    pub sharing: Sharing,

    /// Whether Services of different namespaces may hold the same address: Namespace or Cluster.
    /// Absent, those with the same allow-shared-ip annotation may, and those that share
    /// automatically may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing_scope: Option<SharingScope>,

    /// The ports the pool's addresses carry, as 443, 443/TCP, 1000-3000 or 1000-3000/UDP; without a
    /// protocol all three are meant. A Service with another port gets no address of the pool. Empty
    /// means every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::ports")]
    pub ports: Vec<String>,

    /// Keep the addresses that Services hold and give no more.
    #[serde(default)]
    pub draining: bool,
}

fn yes() -> bool {
    true
}

/// Which Services may use a pool, and how early automatic allocation tries it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// Order among the pools that match a Service: 1 is tried first; 0 or absent is tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub priority: Option<i32>,

    /// Namespaces whose Services may use the pool. Joined with namespaceSelectors; both empty
    /// means every namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub namespaces: Vec<String>,

    /// Selectors over the labels of namespaces whose Services may use the pool; one must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub namespace_selectors: Vec<LabelSelector>,

    /// Selectors over the labels of Services that may use the pool; one must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub service_selectors: Vec<LabelSelector>,
}

/// A limit on the addresses that the Services of a namespace hold together.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Namespaces the limit counts, each on its own. Joined with namespaceSelectors; both empty
    /// means every namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub namespaces: Vec<String>,

    /// Selectors over the labels of namespaces the limit counts, each namespace on its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::selectors")]
    pub namespace_selectors: Vec<LabelSelector>,

    /// The most addresses of this pool that one such namespace may hold; an address that several
    /// of its Services share counts once.
    #[schemars(range(min = 1))]
    pub max_addresses: i64,
}

/// When two Services may hold the same address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Sharing {
    /// Services with the same allow-shared-ip annotation and different ports.
    #[default]
    ByKey,
    /// Those, and Services without the annotation and with different ports.
    Automatic,
    /// No Services.
    Never,
    /// A value that a later version of the CRD knows; it is read so that one such object does not
    /// stop the others.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Whether Services of different namespaces may hold the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SharingScope {
    /// Only Services of one namespace.
    Namespace,
    /// Services of any namespaces.
    Cluster,
    /// A value that a later version of the CRD knows.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What the controller reports about a pool.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolStatus {
    /// IPv4 addresses that Services hold; a shared address counts once.
    #[serde(
        default,
        rename = "assignedIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub assigned_ipv4: Option<i64>,
    /// IPv6 addresses that Services hold; a shared address counts once.
    #[serde(
        default,
        rename = "assignedIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub assigned_ipv6: Option<i64>,
    /// IPv4 addresses that the next Service may have.
    #[serde(
        default,
        rename = "availableIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub available_ipv4: Option<i64>,
    /// IPv6 addresses that the next Service may have; 9223372036854775807 stands for that many or more.
    #[serde(
        default,
        rename = "availableIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub available_ipv6: Option<i64>,
    /// IPv4 addresses held back for the Service that had them last, by retain or reuseDelay.
    #[serde(
        default,
        rename = "retainedIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub retained_ipv4: Option<i64>,
    /// IPv4 addresses that an IPReservation keeps and no Service holds.
    #[serde(
        default,
        rename = "reservedIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub reserved_ipv4: Option<i64>,
    /// IPv6 addresses held back for the Service that had them last, by retain or reuseDelay.
    #[serde(
        default,
        rename = "retainedIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub retained_ipv6: Option<i64>,
    /// IPv6 addresses that an IPReservation keeps and no Service holds.
    #[serde(
        default,
        rename = "reservedIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub reserved_ipv6: Option<i64>,
    /// IPv4 addresses the pool can give out in all.
    #[serde(
        default,
        rename = "capacityIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub capacity_ipv4: Option<i64>,
    /// IPv6 addresses the pool can give out in all; 9223372036854775807 stands for that many or
    /// more.
    #[serde(
        default,
        rename = "capacityIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub capacity_ipv6: Option<i64>,
    /// Ports that Services use on the pool's addresses; 0 when the pool names no ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports_taken: Option<i64>,
    /// Ports that all of the pool's addresses carry together; 0 when the pool names no ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports_capacity: Option<i64>,

    /// Whether Herald uses the pool, and if not, what to change: condition Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
