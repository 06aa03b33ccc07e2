//! Services and their EndpointSlices as planning and announcing see them.
//!
//! Used by the controller, the speaker and heraldctl, so that all three understand a Service in
//! the same way. Not here: deciding anything about it (`model`).

mod annotations;
mod endpoints;
mod request;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_model::address::Family;
use herald_model::service::{FamilyPolicy, PortKey, Protocol, Service, ServiceKey, TrafficPolicy};
use k8s_openapi::api::core::v1::{Service as KubeService, ServicePort, ServiceSpec};

use crate::problem::{ObjectRef, Problem, Reason};

pub use annotations::{
    ADDRESS_POOL, ALLOCATED_FROM_POOL, ALLOW_SHARED_IP, LAST_ADDRESSES, LOAD_BALANCER_IPS, PREFIXES,
};
pub use endpoints::{by_address, endpoints, owner, serving};

/// The class Herald serves unless told otherwise, next to Services without a class.
pub const DEFAULT_CLASS: &str = "heraldlb.io/herald";

/// Which Services of type LoadBalancer Herald serves, by `spec.loadBalancerClass`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The class it serves.
    pub name: String,
    /// Whether it serves Services without a class, too.
    pub classless: bool,
}

impl Default for Class {
    fn default() -> Self {
        Self {
            name: DEFAULT_CLASS.to_owned(),
            classless: true,
        }
    }
}

impl Class {
    /// Whether a Service is of type LoadBalancer and of a class that is served.
    #[must_use]
    pub fn serves(&self, service: &KubeService) -> bool {
        let Some(spec) = &service.spec else {
            return false;
        };
        let is_served = match spec.load_balancer_class.as_deref() {
            Some(class) => class == self.name,
            None => self.classless,
        };
        spec.type_.as_deref() == Some("LoadBalancer") && is_served
    }
}

/// The addresses in `spec.externalIPs` but those that the Service has in its status, too. Whoever serves
/// the Service, kube-proxy takes their traffic for it on every node.
#[must_use]
pub fn external_ips(service: &KubeService) -> Vec<IpAddr> {
    let status = service.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.into_iter().flat_map(|b| &b.ingress).flatten();
    let held: Vec<IpAddr> = ingress
        .filter_map(|one| one.ip.as_deref()?.parse().ok())
        .collect();
    let spec = service.spec.as_ref();
    let texts = spec
        .into_iter()
        .flat_map(|spec| &spec.external_ips)
        .flatten();
    let external = texts.filter_map(|text| text.parse().ok());
    external.filter(|address| !held.contains(address)).collect()
}

/// Namespace and name.
#[must_use]
pub fn key(service: &KubeService) -> ServiceKey {
    let meta = &service.metadata;
    ServiceKey::new(
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}

/// How problems name the Service.
#[must_use]
pub fn object_ref(key: &ServiceKey) -> ObjectRef {
    ObjectRef {
        kind: "Service",
        namespace: Some(key.namespace().to_owned()),
        name: key.name().to_owned(),
    }
}

/// The Service (which [`Class::serves`]), without its [`endpoints`]. A request that cannot be
/// understood is a problem and also stands in the result, so that the Service keeps what it holds
/// and is given nothing it did not ask for.
#[must_use]
pub fn from_service(service: &KubeService) -> (Service, Vec<Problem>) {
    let default = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&default);
    let meta = &service.metadata;
    let key = key(service);
    let annotations = annotations::Annotations::of(service);
    let (request, faults) = request::read(&annotations, spec);

    let traffic_policy = match spec.external_traffic_policy.as_deref() {
        Some("Local") => TrafficPolicy::Local,
        Some(_) | None => TrafficPolicy::Cluster,
    };
    let backend_key = match traffic_policy {
        TrafficPolicy::Local => pod_selector(spec),
        TrafficPolicy::Cluster => String::new(),
    };
    let unreadable_request = (!faults.is_empty()).then(|| {
        let sentences: Vec<String> = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.field, fault.message))
            .collect();
        sentences.join("; ")
    });
    let problems = faults.into_iter().map(|fault| Problem {
        object: object_ref(&key),
        quarantined: false,
        reason: Reason::InvalidRequest,
        field: fault.field,
        message: fault.message,
    });
    let problems = problems.collect();
    let service = Service {
        labels: meta.labels.clone().unwrap_or_default(),
        created: meta
            .creation_timestamp
            .as_ref()
            .map_or(0, |time| time.0.as_second()),
        family_policy: match spec.ip_family_policy.as_deref() {
            Some("PreferDualStack") => FamilyPolicy::PreferDual,
            Some("RequireDualStack") => FamilyPolicy::RequireDual,
            Some(_) | None => FamilyPolicy::Single,
        },
        families: families(spec),
        requested_addresses: request.addresses,
        requested_pool: request.pool,
        unreadable_request,
        sharing_key: request.sharing_key,
        backend_key,
        ports: spec.ports.iter().flatten().filter_map(port).collect(),
        held: held(service),
        held_pools: annotations.held_pools(),
        last_addresses: annotations.last_addresses(),
        traffic_policy,
        ..Service::new(key)
    };
    (service, problems)
}

/// The families of the cluster addresses, primary first; a headless Service has none.
fn families(spec: &ServiceSpec) -> Vec<Family> {
    let several = spec.cluster_ips.iter().flatten();
    let addresses: Vec<IpAddr> = several
        .chain(&spec.cluster_ip)
        .filter_map(|text| text.parse().ok())
        .collect();
    let mut families = Vec::new();
    for family in addresses.into_iter().map(Family::of) {
        if !families.contains(&family) {
            families.push(family);
        }
    }
    families
}

/// The pod selector as text; Services with equal texts have the same endpoints.
fn pod_selector(spec: &ServiceSpec) -> String {
    let pairs = spec
        .selector
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

fn port(port: &ServicePort) -> Option<PortKey> {
    let protocol = match port.protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(_) => return None,
    };
    let port = u16::try_from(port.port).ok()?;
    Some(PortKey { protocol, port })
}

/// The addresses in status, in the order they stand there; an IPv4 address in IPv6's form is one.
#[must_use]
pub fn held(service: &KubeService) -> Vec<IpAddr> {
    let status = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let ingress = status
        .and_then(|status| status.ingress.as_ref())
        .into_iter()
        .flatten();
    let mut seen = BTreeSet::new();
    ingress
        .filter_map(|ingress| ingress.ip.as_deref()?.parse().ok())
        .map(|address: IpAddr| address.to_canonical())
        .filter(|address| seen.insert(*address))
        .collect()
}
