//! The difference between what the plan gives a Service and what its status and annotation say.
//! Pure.
//!
//! Not here: sending it (`apply`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_config::service::{self, ALLOCATED_FROM_POOL};
use herald_model::alloc::{Assignment, Change, Lost, Place, Plan, Release};
use herald_model::service::ServiceKey;
use herald_runtime::events::{Happening, Kind};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::allocated::{self, ADDRESS_ALLOCATED, named};
use crate::condition::{find, merged};
use crate::standing::{conditions, ingress, reference};

/// One write to a Service: a strategic merge patch of its status subresource that the API server takes only
/// while the Service is still the version it was decided on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patch {
    pub(crate) key: ServiceKey,
    /// The version it was decided on.
    pub(crate) version: String,
    pub(crate) body: Value,
    /// The addresses the Service has in its status now.
    pub(crate) holds: BTreeSet<IpAddr>,
    /// The addresses it shall have.
    pub(crate) wants: BTreeSet<IpAddr>,
    /// What to say once it is written.
    pub(crate) happening: Option<Happening>,
}

impl Patch {
    /// Whether it makes an address free for others. Those go first.
    pub(crate) fn frees(&self) -> bool {
        !self.holds.is_subset(&self.wants)
    }
}

/// The write that a Service needs to be as planned, if any. `given` are the addresses that its
/// ServiceAnnouncement lists, as far as it matters.
pub(crate) fn patch(
    key: &ServiceKey,
    object: &Service,
    plan: &Plan,
    class: &str,
    given: impl FnOnce() -> Vec<String>,
    now: Timestamp,
) -> Option<Patch> {
    if service::is_ours(object, class) {
        ours(key, object, plan, now)
    } else {
        formerly_ours(key, object, given)
    }
}

fn ours(key: &ServiceKey, object: &Service, plan: &Plan, now: Timestamp) -> Option<Patch> {
    let places = plan.places(key);
    let happening = if let Some(assignment) = plan.assign.get(key) {
        Some(assigned(object, assignment))
    } else {
        plan.release
            .get(key)
            .map(|release| released(object, release))
    };
    let wanted: Vec<LoadBalancerIngress> = places
        .iter()
        .map(|place| vip(&place.address.to_string()))
        .collect();
    let condition = allocated::wanted(ADDRESS_ALLOCATED, places, plan.refuse.get(key));
    let condition = merged(conditions(object), condition, None, now);
    let pools = pools_of(places);
    if ingress(object) == wanted && annotation(object) == pools.as_deref() {
        return None;
    }
    let condition = json!(condition);
    Some(write(key, object, &wanted, pools, condition, happening))
}

/// A Service that carries our mark but is not ours any more. Addresses that another controller
/// gave it stay: ours are those its ServiceAnnouncement lists, and all of them when it is of
/// another type.
fn formerly_ours(
    key: &ServiceKey,
    object: &Service,
    given: impl FnOnce() -> Vec<String>,
) -> Option<Patch> {
    let marked = annotation(object).is_some();
    if !marked && find(conditions(object), ADDRESS_ALLOCATED).is_none() {
        return None;
    }
    let balanced = object.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("LoadBalancer");
    let given = given();
    let given: BTreeSet<&str> = given.iter().map(String::as_str).collect();
    let is_given =
        |ingress: &&LoadBalancerIngress| ingress.ip.as_deref().is_some_and(|ip| given.contains(ip));
    let kept: Vec<LoadBalancerIngress> = ingress(object)
        .iter()
        .filter(|i| balanced && !is_given(i))
        .cloned()
        .collect();
    let addresses = match given.is_empty() {
        true => "its address".to_owned(),
        false => given.into_iter().collect::<Vec<_>>().join(" and "),
    };
    let why = match balanced {
        true => "its loadBalancerClass is not Herald's",
        false => "it is not of type LoadBalancer any more",
    };
    let note = format!("Released {addresses}: {why}.");
    let happening = happening(object, Kind::Normal, "IPReleased", "Release", note);
    let condition = json!({"$patch": "delete", "type": ADDRESS_ALLOCATED});
    let happening = marked.then_some(happening);
    Some(write(key, object, &kept, None, condition, happening))
}

fn write(
    key: &ServiceKey,
    object: &Service,
    wanted: &[LoadBalancerIngress],
    pools: Option<String>,
    condition: Value,
    happening: Option<Happening>,
) -> Patch {
    let version = object.metadata.resource_version.clone().unwrap_or_default();
    let list = (!wanted.is_empty()).then_some(wanted);
    let body = json!({
        "metadata": {"resourceVersion": version, "annotations": {ALLOCATED_FROM_POOL: pools}},
        "status": {"loadBalancer": {"ingress": list}, "conditions": [condition]},
    });
    Patch {
        key: key.clone(),
        version,
        body,
        holds: addresses(ingress(object)),
        wants: addresses(wanted),
        happening,
    }
}

fn annotation(object: &Service) -> Option<&str> {
    let annotations = object.metadata.annotations.as_ref()?;
    annotations.get(ALLOCATED_FROM_POOL).map(String::as_str)
}

fn vip(address: &str) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: Some(address.to_owned()),
        ip_mode: Some("VIP".to_owned()),
        ..LoadBalancerIngress::default()
    }
}

fn addresses(ingress: &[LoadBalancerIngress]) -> BTreeSet<IpAddr> {
    ingress
        .iter()
        .filter_map(|ingress| ingress.ip.as_deref()?.parse().ok())
        .collect()
}

/// The pools in the order of the addresses, each once.
fn pools_of(places: &[Place]) -> Option<String> {
    let mut pools: Vec<&str> = Vec::new();
    for place in places {
        if !pools.contains(&place.pool.as_str()) {
            pools.push(&place.pool);
        }
    }
    (!pools.is_empty()).then(|| pools.join(","))
}

fn assigned(object: &Service, assignment: &Assignment) -> Happening {
    let has = named(&assignment.places);
    match &assignment.change {
        Change::New => {
            let note = format!("Assigned {has}.");
            happening(object, Kind::Normal, "IPAllocated", "Allocate", note)
        }
        Change::Added(added) => {
            let new = assignment
                .places
                .iter()
                .filter(|place| added.contains(&place.address));
            let new = named(&new.cloned().collect::<Vec<_>>());
            let note = format!("Assigned {new} besides what the Service had.");
            happening(object, Kind::Normal, "IPAllocated", "Allocate", note)
        }
        Change::Moved(lost) => {
            let note = format!("Took {} away. The Service now has {has}.", causes(lost));
            happening(object, Kind::Warning, "IPMoved", "Move", note)
        }
    }
}

fn released(object: &Service, release: &Release) -> Happening {
    let note = format!(
        "Took {} away. The Service has no address now.",
        causes(&release.lost)
    );
    happening(object, Kind::Warning, "IPReleased", "Release", note)
}

fn causes(lost: &[Lost]) -> String {
    let name = |lost: &Lost| format!("{} ({}: {})", lost.address, lost.cause.label(), lost.cause);
    lost.iter().map(name).collect::<Vec<_>>().join(" and ")
}

fn happening(
    object: &Service,
    kind: Kind,
    reason: &'static str,
    action: &'static str,
    note: String,
) -> Happening {
    Happening {
        regarding: reference(object),
        kind,
        reason,
        action,
        note,
    }
}

#[cfg(test)]
pub(crate) mod tests;
