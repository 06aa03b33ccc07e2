//! Community: names for BGP communities.

use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::ConditionsStatus;

/// A community in numbers: standard (RFC 1997), large (RFC 8092), route target or site of origin
/// (RFC 4360).
const NUMBERS: &str = r"[0-9]{1,5}:[0-9]{1,5}|large:[0-9]{1,10}:[0-9]{1,10}:[0-9]{1,10}|(rt|soo):([0-9]{1,10}|[0-9]{1,3}(\.[0-9]{1,3}){3}):[0-9]{1,10}";
/// Numbers, a well-known name or an alias; what a BGPAdvertisement may write.
pub(crate) const REFERENCE: &str = r"^([0-9]{1,5}:[0-9]{1,5}|large:[0-9]{1,10}:[0-9]{1,10}:[0-9]{1,10}|(rt|soo):([0-9]{1,10}|[0-9]{1,3}(\.[0-9]{1,3}){3}):[0-9]{1,10}|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)$";
const WELL_KNOWN: &str = "graceful-shutdown|accept-own|llgr-stale|no-llgr|blackhole|no-export|no-advertise|no-export-subconfed|no-peer";

/// Names for BGP communities.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "Community",
    plural = "communities",
    shortname = "bgpcomm",
    category = "herald",
    status = "ConditionsStatus",
    derive = "PartialEq",
    doc = "Names for BGP communities, for use in BGPAdvertisements.",
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
pub struct CommunitySpec {
    /// The names and what they stand for. A name may be defined once in all Community objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub communities: Vec<CommunityAlias>,
}

/// One name for one community.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CommunityAlias {
    /// The name that BGPAdvertisements write.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    )]
    pub name: String,

    /// The community: standard (64512:100), large (large:64512:1:2), extended (rt:64512:100) or a
    /// well-known name (no-export).
    #[schemars(schema_with = "value")]
    pub value: String,
}

fn value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 64,
        "x-kubernetes-validations": [{
            "rule": format!("self.matches(r'^({NUMBERS}|{WELL_KNOWN})$')"),
            "message": "write numbers (64512:100, large:64512:1:2, rt:64512:100) or a well-known name (no-export)",
        }],
    })
}
