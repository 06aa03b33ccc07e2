//! The annotations Herald reads, in three spellings of which its own wins.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;

/// Annotation prefixes, the first one found wins: Herald's, MetalLB's, MetalLB's old one.
pub const PREFIXES: [&str; 3] = ["heraldlb.io", "metallb.io", "metallb.universe.tf"];
/// `<prefix>/address-pool`: the pool to take addresses from.
pub const ADDRESS_POOL: &str = "address-pool";
/// `<prefix>/loadBalancerIPs`: the addresses wanted, comma separated, one per family.
pub const LOAD_BALANCER_IPS: &str = "loadBalancerIPs";
/// `<prefix>/allow-shared-ip`: Services with the same key may share an address.
pub const ALLOW_SHARED_IP: &str = "allow-shared-ip";
/// `heraldlb.io/ip-allocated-from-pool`: written by Herald, names the pool (or the pools, comma
/// separated, in the order of the addresses).
pub const ALLOCATED_FROM_POOL: &str = "heraldlb.io/ip-allocated-from-pool";

/// `heraldlb.io/last-addresses`: written by Herald when a Service stops being of type LoadBalancer, names
/// the addresses it had, comma separated. It gets them again where they are free.
pub const LAST_ADDRESSES: &str = "heraldlb.io/last-addresses";

/// The annotations of one Service.
pub(super) struct Annotations<'a>(Option<&'a BTreeMap<String, String>>);

/// One annotation that has a value.
pub(super) struct Annotation {
    /// The key as the user wrote it.
    pub(super) key: String,
    /// The value without surrounding spaces, not empty.
    pub(super) value: String,
}

impl Annotation {
    /// How problems name it.
    pub(super) fn field(&self) -> String {
        format!("metadata.annotations[{}]", self.key)
    }
}

impl<'a> Annotations<'a> {
    pub(super) fn of(service: &'a Service) -> Self {
        Self(service.metadata.annotations.as_ref())
    }

    /// The annotation under the best prefix that has it; an empty value is as good as none.
    pub(super) fn find(&self, suffix: &str) -> Option<Annotation> {
        let annotations = self.0?;
        PREFIXES.iter().find_map(|prefix| {
            let key = format!("{prefix}/{suffix}");
            let value = annotations.get(&key)?.trim().to_owned();
            (!value.is_empty()).then_some(Annotation { key, value })
        })
    }

    /// The pools that Herald gave the held addresses from. What another load balancer says of its own
    /// pools does not count.
    pub(super) fn held_pools(&self) -> Vec<String> {
        self.list(ALLOCATED_FROM_POOL).map(str::to_owned).collect()
    }

    /// The addresses that the Service had before.
    pub(super) fn last_addresses(&self) -> Vec<IpAddr> {
        let texts = self.list(LAST_ADDRESSES);
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    /// The parts of a value that Herald writes as a list.
    fn list(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let value = self.0.and_then(|annotations| annotations.get(key));
        let parts = value.into_iter().flat_map(|value| value.split(','));
        parts.map(str::trim).filter(|part| !part.is_empty())
    }
}
