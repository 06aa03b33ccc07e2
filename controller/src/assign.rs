//! The difference between what the plan gives a Service and what its status and annotation say.
//! Pure.
//!
//! Not here: sending it (`apply`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_config::service::ALLOCATED_FROM_POOL;
use herald_model::alloc::{Assignment, Cause, Change, Lost, Place, Plan, Release};
use herald_model::service::ServiceKey;
use herald_runtime::events::{Happening, Kind};
use k8s_openapi::api::core::v1::LoadBalancerIngress;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::allocated::{self, named};
use crate::condition::{ADDRESS_ALLOCATED, merged};
use crate::kept::{Ingress, Service};

/// One write to a Service: a strategic merge patch of its status subresource that the API server takes only
/// while the Service is still the version it was decided on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Patch {
    pub(crate) key: ServiceKey,
    /// The version it was decided on.
    pub(crate) version: u64,
    pub(crate) body: Value,
    /// The addresses the Service has in its status now.
    pub(crate) holds: BTreeSet<IpAddr>,
    /// The addresses it shall have.
    pub(crate) wants: BTreeSet<IpAddr>,
    /// Addresses are taken from it that its user did not ask to give up.
    pub(crate) unasked: bool,
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
    given: impl FnOnce() -> Vec<String>,
    now: Timestamp,
) -> Option<Patch> {
    if object.ours.is_some() {
        ours(key, object, plan, now)
    } else {
        formerly_ours(key, object, given)
    }
}

fn ours(key: &ServiceKey, object: &Service, plan: &Plan, now: Timestamp) -> Option<Patch> {
    let places = plan.places(key);
    let happening = if let Some(assignment) = plan.assign.get(key) {
        Some(assigned(key, object, assignment))
    } else {
        plan.release
            .get(key)
            .map(|release| released(key, object, release))
    };
    let wanted = Ingress::Plain(places.iter().map(|place| place.address).collect());
    let condition = allocated::wanted(ADDRESS_ALLOCATED, places, plan.refuse.get(key));
    let condition = merged(&object.conditions(), condition, None, now);
    let pools = pools_of(places);
    if object.ingress == wanted && object.pools == pools {
        return None;
    }
    let condition = json!(condition);
    let lost = match plan.assign.get(key).map(|assignment| &assignment.change) {
        Some(Change::Moved(lost)) => lost.as_slice(),
        Some(Change::New | Change::Added(_)) => &[][..],
        None => plan
            .release
            .get(key)
            .map_or(&[][..], |release| &release.lost),
    };
    Some(Patch {
        unasked: lost.iter().any(|lost| lost.cause != Cause::Requested),
        ..write(key, object, &wanted, pools, condition, happening)
    })
}

/// A Service that carries our mark but is not ours any more. Addresses that another controller
/// gave it stay: ours are those its ServiceAnnouncement lists, and all of them when it is of
/// another type.
fn formerly_ours(
    key: &ServiceKey,
    object: &Service,
    given: impl FnOnce() -> Vec<String>,
) -> Option<Patch> {
    let marked = object.pools.is_some();
    if !marked && object.condition.is_none() {
        return None;
    }
    let balanced = object.balanced;
    let given = given();
    let given: BTreeSet<&str> = given.iter().map(String::as_str).collect();
    let is_given =
        |ingress: &LoadBalancerIngress| ingress.ip.as_deref().is_some_and(|ip| given.contains(ip));
    let standing = object.ingress.standing().into_iter();
    let kept = Ingress::Other(standing.filter(|i| balanced && !is_given(i)).collect());
    let addresses = match given.is_empty() {
        true => "its address".to_owned(),
        false => given.into_iter().collect::<Vec<_>>().join(" and "),
    };
    let why = match balanced {
        true => "its loadBalancerClass is not Herald's",
        false => "it is not of type LoadBalancer any more",
    };
    let note = format!("Released {addresses}: {why}.");
    let happening = happening(key, object, Kind::Normal, "IPReleased", "Release", note);
    let condition = json!({"$patch": "delete", "type": ADDRESS_ALLOCATED});
    let happening = marked.then_some(happening);
    Some(write(key, object, &kept, None, condition, happening))
}

fn write(
    key: &ServiceKey,
    object: &Service,
    wanted: &Ingress,
    pools: Option<Box<str>>,
    condition: Value,
    happening: Option<Happening>,
) -> Patch {
    let list = (!wanted.is_empty()).then(|| wanted.standing());
    let body = json!({
        "metadata": {"resourceVersion": object.version.to_string(), "annotations": {ALLOCATED_FROM_POOL: pools}},
        "status": {"loadBalancer": {"ingress": list}, "conditions": [condition]},
    });
    Patch {
        key: key.clone(),
        version: object.version,
        body,
        holds: object.ingress.addresses(),
        wants: wanted.addresses(),
        unasked: false,
        happening,
    }
}

/// The pools in the order of the addresses, each once.
fn pools_of(places: &[Place]) -> Option<Box<str>> {
    let mut pools: Vec<&str> = Vec::new();
    for place in places {
        if !pools.contains(&place.pool.as_str()) {
            pools.push(&place.pool);
        }
    }
    (!pools.is_empty()).then(|| pools.join(",").into())
}

fn assigned(key: &ServiceKey, object: &Service, assignment: &Assignment) -> Happening {
    let has = named(&assignment.places);
    match &assignment.change {
        Change::New => {
            let note = format!("Assigned {has}.");
            happening(key, object, Kind::Normal, "IPAllocated", "Allocate", note)
        }
        Change::Added(added) => {
            let new = assignment
                .places
                .iter()
                .filter(|place| added.contains(&place.address));
            let new = named(&new.cloned().collect::<Vec<_>>());
            let note = format!("Assigned {new} besides what the Service had.");
            happening(key, object, Kind::Normal, "IPAllocated", "Allocate", note)
        }
        Change::Moved(lost) => {
            let note = format!("Took {} away. The Service now has {has}.", causes(lost));
            happening(key, object, Kind::Warning, "IPMoved", "Move", note)
        }
    }
}

fn released(key: &ServiceKey, object: &Service, release: &Release) -> Happening {
    let note = format!(
        "Took {} away. The Service has no address now.",
        causes(&release.lost)
    );
    happening(key, object, Kind::Warning, "IPReleased", "Release", note)
}

fn causes(lost: &[Lost]) -> String {
    let name = |lost: &Lost| format!("{} ({}: {})", lost.address, lost.cause.label(), lost.cause);
    lost.iter().map(name).collect::<Vec<_>>().join(" and ")
}

fn happening(
    key: &ServiceKey,
    object: &Service,
    kind: Kind,
    reason: &'static str,
    action: &'static str,
    note: String,
) -> Happening {
    Happening {
        regarding: object.reference(key),
        kind,
        reason,
        action,
        note,
    }
}

#[cfg(test)]
pub(crate) mod tests;
