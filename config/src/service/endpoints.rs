//! EndpointSlices: where a Service's traffic can go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_model::address::Family;
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
    let all = each(slices).map(|(family, object)| endpoint(family, object));
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The addresses of those endpoints of all slices that kube-proxy may use, by their node. An endpoint may
/// be in two slices for a while and counts once; of its addresses the first one stands for it.
#[must_use]
pub fn serving<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> BTreeMap<String, BTreeSet<IpAddr>> {
    let mut serving: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for (address, endpoint) in addressed(slices) {
        if let (Some(_), Some(node)) = (endpoint.usable(), endpoint.node) {
            serving.entry(node).or_default().insert(address);
        }
    }
    serving
}

/// Every endpoint of all slices by its first address, which stands for it. Of two with the same address
/// the one that takes more traffic counts: an endpoint may be in two slices for a while, and the address of
/// a pod that goes may be another's already.
#[must_use]
pub fn by_address<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> BTreeMap<IpAddr, Endpoint> {
    let mut all: BTreeMap<IpAddr, Endpoint> = BTreeMap::new();
    for (address, endpoint) in addressed(slices) {
        match all.get(&address) {
            Some(known) if known.usable() >= endpoint.usable() => {}
            Some(_) | None => drop(all.insert(address, endpoint)),
        }
    }
    all
}

fn addressed<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> impl Iterator<Item = (IpAddr, Endpoint)> {
    each(slices).filter_map(|(family, object)| {
        let address = object.addresses.first()?.parse().ok()?;
        Some((address, endpoint(family, object)))
    })
}

/// The endpoints of the slices that have addresses, with the family of their slice.
fn each<'a>(
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> impl Iterator<Item = (Family, &'a KubeEndpoint)> {
    slices.into_iter().flat_map(|slice| {
        let family = family(slice);
        let endpoints = slice.endpoints.iter();
        endpoints.filter_map(move |endpoint| Some((family?, endpoint)))
    })
}

/// The family of a slice; none of one of names (FQDN), which no proxy uses.
fn family(slice: &EndpointSlice) -> Option<Family> {
    match slice.address_type.as_str() {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        _ => None,
    }
}

/// Conditions default as the API documents and kube-proxy does: ready and serving to true, terminating to
/// false.
fn endpoint(family: Family, endpoint: &KubeEndpoint) -> Endpoint {
    let conditions = endpoint.conditions.as_ref();
    Endpoint {
        family,
        node: endpoint.node_name.clone(),
        ready: conditions.and_then(|c| c.ready).unwrap_or(true),
        serving: conditions.and_then(|c| c.serving).unwrap_or(true),
        terminating: conditions.and_then(|c| c.terminating).unwrap_or(false),
    }
}
