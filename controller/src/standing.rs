//! What stands in objects as the API server has them: addresses, conditions, versions. Pure.

use k8s_openapi::api::core::v1::{LoadBalancerIngress, ObjectReference, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;

/// The addresses in status as they stand there.
pub(crate) fn ingress(service: &Service) -> &[LoadBalancerIngress] {
    let status = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    status
        .and_then(|status| status.ingress.as_deref())
        .unwrap_or_default()
}

/// How Events and owner references name a Service.
pub(crate) fn reference(service: &Service) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: service.metadata.namespace.clone(),
        name: service.metadata.name.clone(),
        uid: service.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// The conditions of a Service as they stand.
pub(crate) fn conditions(object: &Service) -> &[Condition] {
    let status = object.status.as_ref();
    status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default()
}

/// The version of an object.
pub(crate) fn version(object: &impl Resource) -> u64 {
    number(
        object
            .meta()
            .resource_version
            .as_deref()
            .unwrap_or_default(),
    )
}

/// Resource versions are numbers that grow (KEP-5504).
pub(crate) fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}
