//! What a ServiceAnnouncement says: the addresses, whether the Service has what it asked for, and
//! whether somebody answers for it. Pure.
//!
//! Not here: the entries of the speakers, which stand in the same object and are only read.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use herald_crds::{
    ALLOCATED, ANNOUNCED, AllocatedAddress, BgpAnnouncement, GROUP, Layer2Announcement,
    ServiceAnnouncement, VERSION,
};
use herald_model::address::{Family, FewAddresses};
use herald_model::announce::{Desired, Obstacle, Verdict};
use herald_model::labels::any_or_all;
use herald_model::service::{Service, ServiceKey};
use herald_runtime::events::{Happening, Kind};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::allocated;
use crate::condition::{Wanted, find, is_news, merged};
use crate::facts::Facts;
use crate::kept::{self, Announcement};
use crate::observed::Observed;
use crate::report::{Report, Sent, Target};

const KIND: &str = "ServiceAnnouncement";

/// How reports name the announcement of a Service.
pub(crate) fn target(key: &ServiceKey) -> Target {
    Target {
        kind: KIND,
        namespace: key.namespace().to_owned(),
        name: key.name().to_owned(),
    }
}

/// The announcements whose Service is gone or not ours any more, with their UIDs.
pub(crate) fn orphans(observed: &Observed) -> Vec<(ServiceKey, String)> {
    let is_ours = |key| {
        observed
            .services
            .get(key)
            .is_some_and(|service| service.ours.is_some())
    };
    let orphans = observed
        .announcements
        .iter()
        .filter(|(key, _)| !is_ours(key));
    orphans
        .map(|(key, object)| (key.clone(), object.uid.to_string()))
        .collect()
}

/// The reports that say something new, each made when it is asked for; first those about Services that
/// do not get what they ask for.
pub(crate) fn reports<'a>(
    facts: &'a Facts<'_>,
    sent: &'a mut Sent,
    now: Timestamp,
) -> impl Iterator<Item = Report> + 'a {
    let unmet = |service: &&Arc<Service>| {
        facts.decision.plan.refuse.contains_key(&service.key)
            || facts.failed.contains_key(&service.key)
    };
    let (first, then): (Vec<_>, Vec<_>) = facts.services.values().partition(unmet);
    let each = first.into_iter().chain(then).flat_map(move |service| {
        let Some(object) = facts.observed.services.get(&service.key) else {
            return [None, None];
        };
        let announcement = facts.observed.announcements.get(&service.key);
        let announcement = announcement.map(AsRef::as_ref);
        [
            allocated::report(facts, service, object, sent, now),
            report(facts, service, object, announcement, sent, now),
        ]
    });
    each.flatten()
}

fn report(
    facts: &Facts<'_>,
    service: &Service,
    object: &kept::Service,
    announcement: Option<&Announcement>,
    sent: &mut Sent,
    now: Timestamp,
) -> Option<Report> {
    let none = Announcement::default();
    let shown = announcement.unwrap_or(&none);
    let target = target(&service.key);
    let fields_shown = fields(&shown.addresses, &shown.conditions());
    let standing = sent.standing(&target, shown.version, fields_shown);
    let current: Vec<Condition> =
        serde_json::from_value(standing["conditions"].clone()).unwrap_or_default();

    let addresses: Vec<AllocatedAddress> = service
        .held
        .iter()
        .filter(|address| !facts.decision.plan.leaves_alone(&service.key, **address))
        .map(|address| AllocatedAddress {
            address: address.to_string(),
            pool: facts.decision.pool_of(service, *address),
        })
        .collect();
    let allocated = allocated::judged(facts, service, ALLOCATED);
    let verdicts = facts.desired.verdicts.get(&service.key);
    let announced = announced(facts, service, verdicts, shown);
    let (allocated_reason, announced_reason) = (allocated.reason, announced.reason);
    let allocated = merged(&current, allocated, None, now);
    let announced = merged(&current, announced, None, now);

    let mut happenings = Vec::new();
    let unmet = facts.decision.plan.refuse.contains_key(&service.key)
        || facts.failed.contains_key(&service.key);
    if unmet && is_news(&current, &allocated) {
        happenings.push(warning(
            object.reference(&service.key),
            allocated_reason,
            "Allocate",
            &allocated.message,
        ));
    }
    let before = find(&current, ANNOUNCED).map(|before| before.reason.as_str());
    let routed = |address: &IpAddr| is_routed(facts, service, *address);
    let unrouted = !service.held.iter().any(routed);
    if verdicts.is_some_and(|v| is_silenced(v) || unrouted && is_misconfigured(v))
        && before != Some(announced_reason)
    {
        happenings.push(warning(
            object.reference(&service.key),
            announced_reason,
            "Announce",
            &announced.message,
        ));
    }

    let wanted = fields(&addresses, &[allocated, announced]);
    let owned = shown.owners.contains(&object.uid);
    if owned && wanted == standing {
        return None;
    }
    Some(Report {
        target,
        resource: ApiResource::erase::<ServiceAnnouncement>(&()),
        version: shown.version,
        object: (!owned).then(|| owned_by(&service.key, &object.uid)),
        status: wanted,
        happenings,
    })
}

/// The object as it has to exist: it goes when its Service goes.
fn owned_by(key: &ServiceKey, uid: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": KIND,
        "metadata": {
            "namespace": key.namespace(),
            "name": key.name(),
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "Service",
                "name": key.name(),
                "uid": uid,
                "controller": true,
            }],
        },
    })
}

/// The status fields the controller owns.
fn fields(addresses: &[AllocatedAddress], conditions: &[Condition]) -> Value {
    json!({"addresses": addresses, "conditions": conditions})
}

/// A speaker's entry counts while its node exists and the Service holds the address.
fn announced(
    facts: &Facts<'_>,
    service: &Service,
    verdicts: Option<&FewAddresses<Verdict>>,
    shown: &Announcement,
) -> Wanted {
    let wanted = |status, reason, message| Wanted {
        type_: ANNOUNCED,
        status,
        reason,
        message,
    };
    if service.held.is_empty() {
        let message = "The Service has no address to announce.".to_owned();
        return wanted(false, "NotAllocated", message);
    }
    let nodes = facts.observed.objects.nodes.as_ref();
    let exists = |node: &str| nodes.is_none_or(|nodes| nodes.contains_key(node));
    let entry = |address: &IpAddr| {
        let mut layer2 = shown.layer2.iter();
        layer2.find(|entry| entry.address.parse() == Ok(*address) && exists(&entry.node))
    };
    let routed: Vec<&BgpAnnouncement> = shown
        .bgp
        .iter()
        .filter(|entry| exists(&entry.node))
        .collect();
    let mut reason = None;
    let mut sentences = Vec::new();
    for address in &service.held {
        let obstacle = verdicts.and_then(|v| v.get(*address)?.obstacle.as_ref());
        let is_routed = is_routed(facts, service, *address);
        let mut said = false;
        if let Some(entry) = entry(address) {
            sentences.push(answers(entry));
            said = true;
        }
        // A speaker's entry is for all addresses of the Service that it announces to these peers.
        let family = Family::of(*address);
        let mut announcing = routed.clone();
        announcing.retain(|entry| service.usable_from(family, &entry.node).is_some());
        if is_routed && !announcing.is_empty() && !obstacle.is_some_and(is_unusable) {
            sentences.push(routers_know(address, &announcing));
            said = true;
        }
        if said {
            continue;
        }
        let mut unannounced = |obstacle: &Obstacle| {
            reason = reason.or(Some(obstacle.label()));
            sentences.push(format!("{address} is not announced: {obstacle}."));
        };
        match obstacle {
            Some(Obstacle::NoAdvertisement { .. }) if is_routed => {
                if let Some(obstacle) = Obstacle::no_endpoints(service, family) {
                    unannounced(&obstacle);
                    continue;
                }
                reason = reason.or(Some("WaitingForRouter"));
                sentences.push(format!(
                    "No router knows {address} yet; heraldctl sessions shows why."
                ));
            }
            Some(obstacle) => unannounced(obstacle),
            None => {
                reason = reason.or(Some("WaitingForSpeaker"));
                sentences.push(waiting(facts.desired, address));
            }
        }
    }
    wanted(
        reason.is_none(),
        reason.unwrap_or("Announced"),
        sentences.join(" "),
    )
}

/// Whether a BGPAdvertisement is for the address.
fn is_routed(facts: &Facts<'_>, service: &Service, address: IpAddr) -> bool {
    let pool = facts.decision.pool_of(service, address);
    let advertisements = &facts.decision.compiled.config.bgp.advertisements;
    advertisements.iter().any(|ad| {
        ad.pools.as_ref().is_none_or(|pools| pools.contains(&pool))
            && any_or_all(&ad.service_selectors, &service.labels)
    })
}

fn routers_know(address: &IpAddr, routed: &[&BgpAnnouncement]) -> String {
    let nodes: Vec<&str> = routed.iter().map(|entry| entry.node.as_str()).collect();
    let peers: BTreeSet<&str> = routed
        .iter()
        .flat_map(|entry| entry.peers.iter().map(String::as_str))
        .collect();
    let peers: Vec<&str> = peers.into_iter().collect();
    let announce = if nodes.len() == 1 {
        "announces"
    } else {
        "announce"
    };
    let nodes = match nodes.as_slice() {
        [one, two, three, _, ..] => format!("{one}, {two}, {three} and {} more", nodes.len() - 3),
        few => few.join(", "),
    };
    format!("{nodes} {announce} {address} to {}.", peers.join(", "))
}

fn answers(entry: &Layer2Announcement) -> String {
    match entry.interfaces.is_empty() {
        true => format!("{} answers for {}.", entry.node, entry.address),
        false => {
            let interfaces = entry.interfaces.join(", ");
            format!(
                "{} answers for {} on {interfaces}.",
                entry.node, entry.address
            )
        }
    }
}

fn waiting(desired: &Desired, address: &IpAddr) -> String {
    let candidates = desired.addresses.get(address).map(|a| &a.candidates);
    let names: Vec<&str> = candidates
        .into_iter()
        .flat_map(|candidates| candidates.keys().map(String::as_str))
        .collect();
    let mut shown = names.clone();
    shown.truncate(3);
    if names.len() > shown.len() {
        shown.push("others");
    }
    format!(
        "No speaker answers for {address} yet; {} may.",
        shown.join(", ")
    )
}

/// Whether an address is announced neither on the LAN nor to routers, because it is not the Service's.
fn is_silenced(verdicts: &FewAddresses<Verdict>) -> bool {
    let mut obstacles = verdicts.values().filter_map(|v| v.obstacle.as_ref());
    obstacles.any(is_unusable)
}

fn is_unusable(obstacle: &Obstacle) -> bool {
    matches!(obstacle, Obstacle::AddressUnusable { .. })
}

/// Whether the configuration keeps an address from being announced. That there are no endpoints
/// yet is nothing to be warned of.
fn is_misconfigured(verdicts: &FewAddresses<Verdict>) -> bool {
    verdicts
        .values()
        .filter_map(|verdict| verdict.obstacle.as_ref())
        .any(|obstacle| match obstacle {
            Obstacle::NoEndpoints { .. } | Obstacle::NoNodes => false,
            Obstacle::AddressUnusable { .. }
            | Obstacle::NoPool { .. }
            | Obstacle::NoAdvertisement { .. }
            | Obstacle::ServiceNotSelected { .. }
            | Obstacle::EveryNode { .. }
            | Obstacle::SharedElsewhere { .. } => true,
        })
}

fn warning(
    regarding: ObjectReference,
    reason: &'static str,
    action: &'static str,
    note: &str,
) -> Happening {
    Happening {
        regarding,
        about: None,
        kind: Kind::Warning,
        reason,
        action,
        note: note.to_owned(),
    }
}

#[cfg(test)]
mod tests;
