//! IPReservation: addresses that one Service gets, or nobody.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::schema;

/// Addresses that one Service gets, or nobody.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "heraldlb.io",
    version = "v1beta1",
    kind = "IPReservation",
    plural = "ipreservations",
    shortname = "ipres",
    category = "herald",
    status = "IPReservationStatus",
    derive = "PartialEq",
    doc = "Addresses kept for one Service, or held back from every Service.",
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses"),
    printcolumn(
        name = "Namespace",
        type_ = "string",
        json_path = ".spec.service.namespace"
    ),
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.service.name"),
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
pub struct IPReservationSpec {
    /// The reserved addresses: networks, ranges or single addresses, as in an IPAddressPool.
    #[schemars(schema_with = "schema::addresses")]
    pub addresses: Vec<String>,

    /// The Service that gets them; absent holds them back from every Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceReference>,
}

/// A Service by namespace and name. It need not exist.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceReference {
    /// The Service's namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What the controller reports about a reservation.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IPReservationStatus {
    /// The Service that holds a reserved address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_service: Option<ServiceReference>,

    /// Whether Herald uses the reservation, and if not, what to change: condition Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
