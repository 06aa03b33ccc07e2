//! The CRD manifests: every kind's derived definition, made fit for `kubectl apply`.
//!
//! Not here: the kinds' own schemas. What the derive cannot say is added here, the same way for
//! every kind: no `nullable` (null is the same as absent), no formats the API server warns about,
//! descriptions without line breaks.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Number, Value};

use crate::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, IPReservation,
    L2Advertisement, ServiceAnnouncement, Speaker,
};

/// Every CRD of this version, in the order a reader of the design meets them.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![
        IPAddressPool::crd(),
        IPReservation::crd(),
        L2Advertisement::crd(),
        BGPAdvertisement::crd(),
        BGPPeer::crd(),
        BFDProfile::crd(),
        Community::crd(),
        Speaker::crd(),
        ServiceAnnouncement::crd(),
    ];
    for version in crds.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        let schema = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            tidy(schema);
            allow_no_spec(schema);
        }
    }
    crds
}

/// An object of a kind that demands no field may leave out `spec`, as MetalLB's examples do.
fn allow_no_spec(schema: &mut JSONSchemaProps) {
    let properties = schema.properties.as_mut();
    let Some(spec) = properties.and_then(|properties| properties.get_mut("spec")) else {
        return;
    };
    if spec.required.as_ref().is_none_or(Vec::is_empty) {
        spec.default = Some(JSON(Value::Object(serde_json::Map::new())));
        if let Some(required) = &mut schema.required {
            required.retain(|field| field != "spec");
        }
    }
}

/// `<plural>.heraldlb.io.yaml`, the manifest's file name.
#[must_use]
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}.{}.yaml", crd.spec.names.plural, crd.spec.group)
}

/// The manifest as YAML, ending in a newline.
///
/// # Errors
/// Only when the definition cannot be represented as YAML, which no kind of this crate causes.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    let mut value =
        serde_json::to_value(crd).map_err(<serde_yaml::Error as serde::ser::Error>::custom)?;
    whole_numbers(&mut value);
    serde_yaml::to_string(&value)
}

/// Bounds are floats in the API type; people and `kubectl diff` expect 65535, not 65535.0.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|f| f.fract() == 0.0 && f.abs() < 2_f64.powi(53));
            if let Some(whole) = whole {
                *number = Number::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(map) => map.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if schema
        .format
        .as_deref()
        .is_some_and(|format| format.starts_with("uint"))
    {
        schema.format = None;
    }
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for property in schema.properties.iter_mut().flat_map(|p| p.values_mut()) {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => tidy(values),
        Some(JSONSchemaPropsOrBool::Bool(_)) | None => {}
    }
}
