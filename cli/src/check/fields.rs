//! Fields that no kind of Herald has: misspelt ones, which the API server would refuse.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::Value;

/// Paths of the fields under `spec` that the kind's schema does not have. Kinds without a schema
/// of ours have none.
pub(super) fn unknown(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let ours = object["apiVersion"]
        .as_str()
        .is_some_and(|v| v.starts_with(herald_crds::GROUP));
    let crd = herald_crds::all()
        .into_iter()
        .find(|crd| ours && crd.spec.names.kind == kind);
    let schema = crd
        .and_then(|crd| crd.spec.versions.into_iter().next())
        .and_then(|version| version.schema?.open_api_v3_schema)
        .and_then(|mut schema| schema.properties.as_mut()?.remove("spec"));
    let mut unknown = Vec::new();
    if let (Some(schema), Some(spec)) = (schema, object.get("spec")) {
        walk("spec", spec, &schema, &mut unknown);
    }
    unknown
}

/// What to write instead of a field that there is not.
pub(super) fn advice(object: &Value, field: &str) -> &'static str {
    match (object["kind"].as_str(), field) {
        (Some("BGPPeer"), "spec.password") => {
            "put it into a Secret of type kubernetes.io/basic-auth and name that in spec.passwordSecret"
        }
        (Some("BGPPeer"), "spec.disableMP") => {
            "remove it: routes of the session's own family go over it, of both with dualStackAddressFamily"
        }
        _ => "see kubectl explain",
    }
}

fn walk(path: &str, value: &Value, schema: &JSONSchemaProps, unknown: &mut Vec<String>) {
    match (value, &schema.properties, &schema.items) {
        (Value::Object(map), Some(properties), _) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                match properties.get(key) {
                    Some(schema) => walk(&path, value, schema, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(items), _, Some(JSONSchemaPropsOrArray::Schema(schema))) => {
            for (i, item) in items.iter().enumerate() {
                walk(&format!("{path}[{i}]"), item, schema, unknown);
            }
        }
        _ => {}
    }
}
