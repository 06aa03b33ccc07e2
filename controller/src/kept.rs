//! What is kept of the objects that are many: Services, their EndpointSlices and their
//! ServiceAnnouncements, each understood once, where it comes in. Pure.
//!
//! Ten thousand objects as the API server has them take more memory than everything else that the
//! controller knows of them, and nearly all of it is never read.
//!
//! Not here: what a Service means (`herald_config::service`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use herald_config::{Problem, ServiceRange, service};
use herald_crds::{
    ALLOCATED, ANNOUNCED, AllocatedAddress, BgpAnnouncement, Layer2Announcement,
    ServiceAnnouncement,
};
use herald_model::service::{Endpoint, Service as Meaning, ServiceKey};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, ObjectReference, Service as KubeService};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::condition::{ADDRESS_ALLOCATED, Standing};
use crate::standing::version;

/// A Service, ours or not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    pub(crate) version: u64,
    pub(crate) uid: Box<str>,
    /// Whether it is of type LoadBalancer, whoever serves it.
    pub(crate) balanced: bool,
    /// What it asks for and holds, without its endpoints; none of a Service that is not ours.
    pub(crate) ours: Option<Arc<Meaning>>,
    /// What cannot be understood of a Service that is ours.
    pub(crate) problems: Vec<Problem>,
    pub(crate) ingress: Ingress,
    /// `spec.externalIPs`, whoever serves it, without those that stand in `ingress`.
    pub(crate) external: Box<[IpAddr]>,
    /// Annotation `heraldlb.io/ip-allocated-from-pool`.
    pub(crate) pools: Option<Box<str>>,
    /// Condition `heraldlb.io/AddressAllocated`.
    pub(crate) condition: Option<Standing>,
}

impl Service {
    /// What is kept where Services of `class` are served.
    pub(crate) fn of(object: &KubeService, class: &service::Class) -> Self {
        let (meaning, problems) = class
            .serves(object)
            .then(|| service::from_service(object))
            .unzip();
        let annotations = object.metadata.annotations.as_ref();
        let pools = annotations.and_then(|all| all.get(service::ALLOCATED_FROM_POOL));
        let status = object.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let ingress = Ingress::of(object);
        Self {
            version: version(object),
            uid: object.metadata.uid.as_deref().unwrap_or_default().into(),
            balanced: object.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("LoadBalancer"),
            // A copy has no room for more in its lists.
            ours: meaning.map(|meaning| Arc::new(Meaning::clone(&meaning))),
            problems: problems.unwrap_or_default(),
            external: service::external_ips(object).into(),
            ingress,
            pools: pools.map(|pools| pools.as_str().into()),
            condition: Standing::find(conditions.unwrap_or_default(), ADDRESS_ALLOCATED),
        }
    }

    /// Whether it is ours and has an address, or a name.
    pub(crate) fn holds(&self) -> bool {
        self.ours.is_some() && !self.ingress.is_empty()
    }

    /// The addresses that our condition says it has from Herald. A user cannot write it.
    pub(crate) fn named(&self) -> Vec<IpAddr> {
        let said = self
            .condition
            .iter()
            .filter_map(|condition| condition.said());
        let words = said.flat_map(|message| message.split([' ', ',', ';']));
        let words = words.map(|word| word.trim_end_matches(['.', ':']));
        words.filter_map(|word| word.parse().ok()).collect()
    }

    /// The condition of ours that stands there, if any.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let standing = self.condition.iter();
        standing
            .map(|one| one.condition(ADDRESS_ALLOCATED))
            .collect()
    }

    /// How Events and owner references name it.
    pub(crate) fn reference(&self, key: &ServiceKey) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(key.namespace().to_owned()),
            name: Some(key.name().to_owned()),
            uid: Some(self.uid.to_string()),
            ..ObjectReference::default()
        }
    }
}

/// The ranges of a ServiceCIDR.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranges {
    pub(crate) version: u64,
    pub(crate) ranges: Box<[ServiceRange]>,
}

impl Ranges {
    pub(crate) fn of(object: &ServiceCIDR) -> Self {
        Self {
            version: version(object),
            ranges: ServiceRange::of(object).into(),
        }
    }
}

/// `status.loadBalancer.ingress`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ingress {
    /// Exactly as Herald writes these addresses.
    Plain(Box<[IpAddr]>),
    /// As it stands: names, ports, another mode, or addresses in another spelling.
    Other(Box<[LoadBalancerIngress]>),
}

impl Ingress {
    fn of(object: &KubeService) -> Self {
        let balancer = object
            .status
            .as_ref()
            .and_then(|s| s.load_balancer.as_ref());
        let standing = balancer
            .and_then(|balancer| balancer.ingress.as_deref())
            .unwrap_or_default();
        let address = |one: &LoadBalancerIngress| {
            let address = one.ip.as_deref()?.parse().ok()?;
            (written(address) == *one).then_some(address)
        };
        let plain: Option<Box<[IpAddr]>> = standing.iter().map(address).collect();
        plain.map_or_else(|| Self::Other(standing.into()), Self::Plain)
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Plain(addresses) => addresses.is_empty(),
            Self::Other(standing) => standing.is_empty(),
        }
    }

    /// As it stands.
    pub(crate) fn standing(&self) -> Vec<LoadBalancerIngress> {
        match self {
            Self::Plain(addresses) => addresses.iter().copied().map(written).collect(),
            Self::Other(standing) => standing.to_vec(),
        }
    }

    /// The addresses in it.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        match self {
            Self::Plain(addresses) => addresses.iter().copied().collect(),
            Self::Other(standing) => standing
                .iter()
                .filter_map(|one| one.ip.as_deref()?.parse().ok())
                .collect(),
        }
    }
}

/// How an address is written.
fn written(address: IpAddr) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: Some(address.to_string()),
        ip_mode: Some("VIP".to_owned()),
        ..LoadBalancerIngress::default()
    }
}

/// An EndpointSlice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slice {
    pub(crate) version: u64,
    /// The Service it belongs to.
    pub(crate) owner: Option<ServiceKey>,
    pub(crate) endpoints: Box<[Endpoint]>,
}

impl Slice {
    pub(crate) fn of(object: &EndpointSlice) -> Self {
        Self {
            version: version(object),
            owner: service::owner(object),
            endpoints: service::endpoints([object]).into(),
        }
    }
}

/// A ServiceAnnouncement.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Announcement {
    pub(crate) version: u64,
    pub(crate) uid: Box<str>,
    /// The UIDs of its owners.
    pub(crate) owners: Box<[Box<str>]>,
    /// The addresses it lists.
    pub(crate) addresses: Box<[AllocatedAddress]>,
    /// What the speakers say.
    pub(crate) layer2: Box<[Layer2Announcement]>,
    pub(crate) bgp: Box<[BgpAnnouncement]>,
    allocated: Option<Standing>,
    announced: Option<Standing>,
}

impl Announcement {
    pub(crate) fn of(object: &ServiceAnnouncement) -> Self {
        let owners = object.metadata.owner_references.iter().flatten();
        let status = object.status.clone().unwrap_or_default();
        Self {
            version: version(object),
            uid: object.metadata.uid.as_deref().unwrap_or_default().into(),
            owners: owners.map(|owner| owner.uid.as_str().into()).collect(),
            addresses: status.addresses.into(),
            layer2: status.layer2.into(),
            bgp: status.bgp.into(),
            allocated: Standing::find(&status.conditions, ALLOCATED),
            announced: Standing::find(&status.conditions, ANNOUNCED),
        }
    }

    /// The addresses it lists, if it belongs to this very Service.
    pub(crate) fn listed(&self, service: &Service) -> Vec<IpAddr> {
        let addresses = self
            .addresses
            .iter()
            .filter_map(|one| one.address.parse().ok());
        match self.owners.contains(&service.uid) {
            true => addresses.collect(),
            false => Vec::new(),
        }
    }

    /// The conditions that the controller writes, as they stand.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let both = [(ALLOCATED, &self.allocated), (ANNOUNCED, &self.announced)];
        let standing = both.into_iter().filter_map(|(type_, standing)| {
            let standing = standing.as_ref()?;
            Some(standing.condition(type_))
        });
        standing.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(ingress: &Value) -> Ingress {
        let object = json!({"status": {"loadBalancer": {"ingress": ingress}}});
        Ingress::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn what_stands_in_ingress_is_known_to_the_letter() {
        for (ingress, plain) in [
            (json!([]), true),
            (json!([{"ip": "192.0.2.1", "ipMode": "VIP"}]), true),
            (
                json!([{"ip": "2001:db8::1", "ipMode": "VIP"}, {"ip": "192.0.2.1", "ipMode": "VIP"}]),
                true,
            ),
            (json!([{"ip": "2001:DB8::1", "ipMode": "VIP"}]), false),
            (json!([{"ip": "192.0.2.1"}]), false),
            (json!([{"ip": "192.0.2.1", "ipMode": "Proxy"}]), false),
            (json!([{"hostname": "lb.example.com"}]), false),
            (
                json!([{"ip": "192.0.2.1", "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]}]),
                false,
            ),
            (
                json!([{"ip": "192.0.2.1", "ipMode": "VIP"}, {"hostname": "lb.example.com"}]),
                false,
            ),
        ] {
            let kept = with(&ingress);
            assert_eq!(matches!(kept, Ingress::Plain(_)), plain, "{ingress}");
            assert_eq!(json!(kept.standing()), ingress);
            assert_eq!(kept.is_empty(), ingress == json!([]));
        }
    }

    #[test]
    fn the_addresses_of_ingress_are_known_in_any_spelling() {
        let some = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        for (ingress, addresses) in [
            (json!([{"ip": "2001:DB8::1"}]), some(&["2001:db8::1"])),
            (
                json!([{"ip": "192.0.2.1", "ipMode": "VIP"}, {"ip": "192.0.2.1", "ipMode": "VIP"}]),
                some(&["192.0.2.1"]),
            ),
            (json!([{"hostname": "lb.example.com"}]), some(&[])),
        ] {
            assert_eq!(with(&ingress).addresses(), addresses, "{ingress}");
        }
    }

    #[test]
    fn of_an_announcement_the_speakers_entries_and_our_conditions_are_kept() {
        let condition = |type_: &str| {
            json!({"type": type_, "status": "True", "reason": "Fine", "message": type_,
                "lastTransitionTime": "2026-11-21T10:00:00Z"})
        };
        let object = json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "a1", "resourceVersion": "5",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "u1"}]},
            "status": {
                "addresses": [{"address": "192.0.2.1", "pool": "lan"}],
                "layer2": [{"address": "192.0.2.1", "node": "n1"}],
                "bgp": [{"node": "n2", "peers": ["tor"]}],
                "conditions": [condition("Announced"), condition("Foreign"), condition("Allocated")],
            },
        });
        let kept = Announcement::of(&serde_json::from_value(object).unwrap());
        assert_eq!((kept.version, &*kept.uid), (5, "a1"));
        assert_eq!(*kept.owners, [Box::from("u1")]);
        assert_eq!(kept.addresses[0].pool, "lan");
        assert_eq!((&*kept.layer2[0].node, &*kept.bgp[0].node), ("n1", "n2"));
        let ours = [condition("Allocated"), condition("Announced")];
        assert_eq!(json!(kept.conditions()), json!(ours));
    }

    #[test]
    fn a_service_of_somebody_else_means_nothing_and_is_known_by_what_stands_on_it() {
        let of = |spec: Value| {
            let object = json!({
                "metadata": {"namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "7",
                    "annotations": {service::ALLOCATED_FROM_POOL: "lan"}},
                "spec": spec,
                "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}},
            });
            let class = service::Class {
                name: "example.com/ours".to_owned(),
                classless: true,
            };
            Service::of(&serde_json::from_value(object).unwrap(), &class)
        };
        let ours = of(json!({"type": "LoadBalancer"}));
        assert!(ours.ours.is_some() && ours.balanced && ours.holds());
        let theirs = of(json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/theirs"}));
        assert!(theirs.ours.is_none() && theirs.balanced && !theirs.holds());
        let inner = of(json!({"type": "ClusterIP"}));
        assert!(inner.ours.is_none() && !inner.balanced);
        for one in [theirs, inner] {
            assert_eq!(
                (one.version, &*one.uid, one.pools.as_deref()),
                (7, "u1", Some("lan"))
            );
            assert_eq!(one.ingress, ours.ingress);
        }
    }
}
