//! Addresses that belong to the cluster itself: those of nodes and their interfaces, Service and pod
//! ranges, and what a subnet keeps for itself.
//!
//! Not here: what follows for pools (`usable`), and for Services (`model`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use herald_crds::{Speaker, SpeakerInterface};
use herald_model::address::{AddressRange, Family, parse_address};
use herald_model::unusable::{NeverHost, Owner, Unusable};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::networking::v1::ServiceCIDR;

/// What belongs to the cluster, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Infrastructure {
    /// Addresses that no Service is given, those that no host can have among them.
    pub unusable: Arc<Unusable>,
    /// The subnets of the interfaces that speakers use, joined where they overlap, in ascending order;
    /// empty while none has reported any.
    pub subnets: Vec<AddressRange>,
}

impl Infrastructure {
    /// Whether some address of the range is in a subnet.
    pub(crate) fn is_near(&self, range: AddressRange) -> bool {
        let before = |subnet: &AddressRange| subnet.last() < range.first();
        let at = self.subnets.partition_point(before);
        let next = self.subnets.get(at);
        next.is_some_and(|subnet| subnet.intersection(&range).is_some())
    }
}

/// A range that the API server gives cluster addresses from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceRange {
    /// The ServiceCIDR's name.
    pub name: String,
    /// One of its ranges.
    pub range: AddressRange,
}

impl ServiceRange {
    /// The ranges of a ServiceCIDR.
    #[must_use]
    pub fn of(object: &ServiceCIDR) -> Vec<Self> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let texts = object.spec.iter().flat_map(|spec| &spec.cidrs).flatten();
        let ranges = texts.filter_map(|text| text.parse().ok());
        ranges
            .map(|range| Self {
                name: name.clone(),
                range,
            })
            .collect()
    }
}

/// Addresses that no host can have, and whose they are.
pub(crate) fn never_hosts() -> impl Iterator<Item = (AddressRange, Owner)> {
    NeverHost::ALL.into_iter().flat_map(|kind| {
        let ranges = kind.ranges().into_iter();
        ranges.map(move |range| (range, Owner::NeverHost(kind)))
    })
}

/// What one node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    claims: Vec<(AddressRange, Owner)>,
    subnets: BTreeSet<AddressRange>,
}

impl Part {
    fn of(node: &Node, speaker: Option<&Speaker>) -> Self {
        let name = node.metadata.name.clone().unwrap_or_default();
        let mut part = Self::default();
        let status = node.status.as_ref();
        for address in status.iter().flat_map(|s| &s.addresses).flatten() {
            let owner = Owner::Node {
                name: name.clone(),
                kind: address.type_.clone(),
            };
            part.claim(parse_address(&address.address).ok(), owner);
        }
        let spec = node.spec.as_ref();
        let several = spec.iter().flat_map(|spec| &spec.pod_cidrs).flatten();
        let pods: BTreeSet<&String> = several
            .chain(spec.and_then(|spec| spec.pod_cidr.as_ref()))
            .collect();
        for range in pods.into_iter().filter_map(|text| text.parse().ok()) {
            let node = name.clone();
            part.claims.push((range, Owner::PodRange { node }));
        }
        let status = speaker.and_then(|speaker| speaker.status.as_ref());
        let interfaces = status.iter().flat_map(|status| &status.interfaces);
        for interface in interfaces.filter(|one| one.reason_not_used.is_none()) {
            part.connect(&name, interface);
        }
        part
    }

    fn claim(&mut self, address: Option<IpAddr>, owner: Owner) {
        let range = address.map(AddressRange::single);
        self.claims.extend(range.map(|range| (range, owner)));
    }

    /// Takes in an interface that is announced on. Its link-local addresses mean nothing elsewhere.
    fn connect(&mut self, node: &str, interface: &SpeakerInterface) {
        for text in &interface.addresses {
            let (address, length) = text.split_once('/').unwrap_or((text, ""));
            let Ok(address) = parse_address(address) else {
                continue;
            };
            if NeverHost::of(address).is_some() {
                continue;
            }
            let owner = Owner::Interface {
                node: node.to_owned(),
                interface: interface.name.clone(),
            };
            self.claim(Some(address), owner);
            let length = length.parse().ok();
            let subnet = length.and_then(|length| AddressRange::network(address, length));
            self.subnets.extend(subnet.filter(has_several_hosts));
        }
    }
}

/// Not a /32, /128, nor a link between two hosts (RFC 3021, RFC 6164).
fn has_several_hosts(subnet: &AddressRange) -> bool {
    subnet.count().get() > 2
}

/// What a subnet keeps for itself.
fn kept_by(subnet: AddressRange) -> Vec<(AddressRange, Owner)> {
    let first = AddressRange::single(subnet.first());
    match subnet.family() {
        Family::V4 => {
            let last = AddressRange::single(subnet.last());
            vec![
                (first, Owner::NetworkAddress { subnet }),
                (last, Owner::BroadcastAddress { subnet }),
            ]
        }
        Family::V6 => vec![(first, Owner::SubnetRouter { subnet })],
    }
}

/// These ranges, those that overlap as one.
fn joined(ranges: BTreeSet<AddressRange>) -> Vec<AddressRange> {
    let mut joined: Vec<AddressRange> = Vec::new();
    for range in ranges {
        let before = joined.last_mut();
        match before.filter(|before| before.intersection(&range).is_some()) {
            // Of two networks that overlap, the one that begins first holds the other, or is held.
            Some(before) if before.last() < range.last() => *before = range,
            Some(_) => {}
            None => joined.push(range),
        }
    }
    joined
}

/// One node as it was looked at.
#[derive(Debug)]
struct Looked {
    node: Arc<Node>,
    speaker: Option<Arc<Speaker>>,
    part: Part,
}

impl Looked {
    fn at(node: &Arc<Node>, speaker: Option<&Arc<Speaker>>) -> Self {
        Self {
            node: Arc::clone(node),
            speaker: speaker.map(Arc::clone),
            part: Part::of(node, speaker.map(AsRef::as_ref)),
        }
    }

    /// Whether the objects are the very same.
    fn is_of(&self, node: &Arc<Node>, speaker: Option<&Arc<Speaker>>) -> bool {
        let same_speaker = match (&self.speaker, speaker) {
            (Some(was), Some(is)) => Arc::ptr_eq(was, is),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_speaker && Arc::ptr_eq(&self.node, node)
    }
}

/// What belongs to the cluster, kept from look to look: a node is read again when its objects are not the
/// same pointers, and the outcome is the same pointer while nothing of it has changed.
#[derive(Debug, Default)]
pub struct InfrastructureCache {
    nodes: BTreeMap<String, Looked>,
    service_ranges: BTreeSet<ServiceRange>,
    outcome: Option<Arc<Infrastructure>>,
}

impl InfrastructureCache {
    /// From every Node with its Speaker, and all Service ranges.
    pub fn look<'a>(
        &mut self,
        nodes: impl IntoIterator<Item = (&'a Arc<Node>, Option<&'a Arc<Speaker>>)>,
        service_ranges: BTreeSet<ServiceRange>,
    ) -> Arc<Infrastructure> {
        let mut changed = self.service_ranges != service_ranges;
        self.service_ranges = service_ranges;
        let mut before = std::mem::take(&mut self.nodes);
        for (node, speaker) in nodes {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            let (name, looked) = match before.remove_entry(name) {
                Some((name, looked)) if looked.is_of(node, speaker) => (name, looked),
                known => {
                    let fresh = Looked::at(node, speaker);
                    changed |= known.is_none_or(|(_, looked)| looked.part != fresh.part);
                    (name.to_owned(), fresh)
                }
            };
            self.nodes.insert(name, looked);
        }
        changed |= !before.is_empty();
        match &self.outcome {
            Some(outcome) if !changed => Arc::clone(outcome),
            Some(_) | None => self.renew(),
        }
    }

    fn renew(&mut self) -> Arc<Infrastructure> {
        let parts = || self.nodes.values().map(|looked| &looked.part);
        let subnets: BTreeSet<AddressRange> =
            parts().flat_map(|part| &part.subnets).copied().collect();
        let services = self.service_ranges.iter().map(|one| {
            let name = one.name.clone();
            (one.range, Owner::ServiceRange { name })
        });
        let unusable = never_hosts()
            .chain(services)
            .chain(subnets.iter().copied().flat_map(kept_by))
            .chain(parts().flat_map(|part| part.claims.iter().cloned()));
        let unusable = Unusable::new(unusable);
        let known = self.outcome.as_ref().map(|before| &before.unusable);
        let unusable = match known.filter(|known| ***known == unusable) {
            Some(known) => Arc::clone(known),
            None => Arc::new(unusable),
        };
        let outcome = Arc::new(Infrastructure {
            unusable,
            subnets: joined(subnets),
        });
        self.outcome = Some(Arc::clone(&outcome));
        outcome
    }
}

#[cfg(test)]
mod tests;
