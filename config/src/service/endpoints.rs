//! EndpointSlices: where a Service's traffic can go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_model::service::{Endpoint, ServiceKey};
use k8s_openapi::api::discovery::v1::{Endpoint as KubeEndpoint, EndpointSlice};

/// Names the Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The Service a slice belongs to; slices without one belong to nobody.
#[must_use]
pub fn owner(slice: &EndpointSlice) -> Option<ServiceKey> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(ServiceKey::new(
        slice.metadata.namespace.clone()?,
        name.clone(),
    ))
}

/// The endpoints of all slices, each kind once, in a fixed order.
pub fn endpoints<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Vec<Endpoint> {
    let addresses = slices
        .into_iter()
        .filter(|slice| slice.address_type != "FQDN");
    let all = addresses.flat_map(|slice| &slice.endpoints).map(endpoint);
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The addresses of those endpoints of all slices that are ready or serving, by their node. An endpoint may
/// be in two slices for a while and counts once; of its addresses the first one stands for it.
#[must_use]
pub fn serving<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut serving: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for object in slices.into_iter().flat_map(|slice| &slice.endpoints) {
        let Some(address) = object.addresses.first().and_then(|text| text.parse().ok()) else {
            continue;
        };
        let Endpoint {
            node,
            ready,
            serving: answers,
            terminating: _,
        } = endpoint(object);
        if let Some(node) = node.filter(|_| ready || answers) {
            serving.entry(node).or_default().insert(address);
        }
    }
    serving
}

/// Conditions default as the API documents: ready and serving to true, terminating to false;
/// where serving is absent and ready is not, serving follows ready.
fn endpoint(endpoint: &KubeEndpoint) -> Endpoint {
    let conditions = endpoint.conditions.as_ref();
    let ready = conditions.and_then(|c| c.ready);
    Endpoint {
        node: endpoint.node_name.clone(),
        ready: ready.unwrap_or(true),
        serving: conditions.and_then(|c| c.serving).or(ready).unwrap_or(true),
        terminating: conditions.and_then(|c| c.terminating).unwrap_or(false),
    }
}
