//! The difference between what the plan gives a Service and what its status and annotation say.
//! Pure.
//!
//! Not here: sending it (`apply`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_config::service::{ALLOCATED_FROM_POOL, LAST_ADDRESSES};
use herald_model::alloc::{Assignment, Cause, Change, Lost, Place, Plan, Release};
use herald_model::service::{Service as Meaning, ServiceKey};
use herald_runtime::events::{Happening, Kind};
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

/// The write that a Service needs to be as planned, if any. `listed` gives the addresses that its
/// ServiceAnnouncement lists, as far as it matters.
pub(crate) fn patch(
    key: &ServiceKey,
    object: &Service,
    plan: &Plan,
    listed: impl FnOnce() -> Vec<IpAddr>,
    now: Timestamp,
) -> Option<Patch> {
    match &object.ours {
        // What Herald does not answer for stays as it is, whatever stands beside it.
        Some(_) if plan.alone.contains_key(key) => None,
        Some(service) => ours(key, object, service, plan, now),
        None => formerly_ours(key, object, listed),
    }
}

fn ours(
    key: &ServiceKey,
    object: &Service,
    service: &Meaning,
    plan: &Plan,
    now: Timestamp,
) -> Option<Patch> {
    let places = plan.places(key);
    let happening = match (plan.assign.get(key), plan.release.get(key)) {
        (Some(assignment), _) => Some(assigned(key, object, assignment)),
        (None, Some(release)) => Some(released(key, object, release)),
        (None, None) => kept_as_never_before(key, object, places),
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
    let has_last = !service.last_addresses.is_empty();
    let annotations = Annotations {
        pools,
        last: has_last.then_some(None),
    };
    Some(Patch {
        unasked: lost.iter().any(|lost| lost.cause != Cause::Requested),
        ..write(key, object, &wanted, annotations, condition, happening)
    })
}

/// What to say of a Service that keeps its addresses and is written all the same: Herald adopts them, or
/// somebody had taken them out of the status.
fn kept_as_never_before(key: &ServiceKey, object: &Service, places: &[Place]) -> Option<Happening> {
    let has = named(places);
    if places.is_empty() {
        None
    } else if object.ingress.is_empty() {
        let note = format!("Restored {has}: the status of the Service had lost it.");
        Some(happening(
            key,
            object,
            Kind::Normal,
            "IPRestored",
            "Allocate",
            note,
        ))
    } else if object.pools.is_none() {
        let note = format!("Adopted {has}: the Service had it already.");
        Some(happening(
            key,
            object,
            Kind::Normal,
            "IPAdopted",
            "Allocate",
            note,
        ))
    } else {
        None
    }
}

/// A Service that carries our mark but is not ours any more. Of type LoadBalancer it is somebody else's
/// now, with whatever stands in its status; of another type it has no address, and the ones it had are
/// noted for the day when it is a LoadBalancer again.
fn formerly_ours(
    key: &ServiceKey,
    object: &Service,
    listed: impl FnOnce() -> Vec<IpAddr>,
) -> Option<Patch> {
    let marked = object.pools.is_some();
    if !marked && object.condition.is_none() {
        return None;
    }
    let listed = listed();
    let texts: Vec<String> = listed.iter().map(ToString::to_string).collect();
    let addresses = match texts.is_empty() {
        true => "its address".to_owned(),
        false => texts.join(" and "),
    };
    let (kept, note) = match object.balanced {
        true => (
            object.ingress.clone(),
            format!("Left {addresses} to others: Herald does not serve its loadBalancerClass."),
        ),
        false => (
            Ingress::Plain(Box::default()),
            format!("Released {addresses}: it is not of type LoadBalancer any more."),
        ),
    };
    let happening = happening(key, object, Kind::Normal, "IPReleased", "Release", note);
    let condition = json!({"$patch": "delete", "type": ADDRESS_ALLOCATED});
    let happening = marked.then_some(happening);
    let has_had = !object.balanced && !texts.is_empty();
    let annotations = Annotations {
        pools: None,
        last: has_had.then(|| Some(texts.join(","))),
    };
    Some(write(key, object, &kept, annotations, condition, happening))
}

/// What becomes of the annotations that Herald writes.
struct Annotations {
    pools: Option<Box<str>>,
    /// None leaves it as it is.
    last: Option<Option<String>>,
}

fn write(
    key: &ServiceKey,
    object: &Service,
    wanted: &Ingress,
    annotations: Annotations,
    condition: Value,
    happening: Option<Happening>,
) -> Patch {
    let list = (!wanted.is_empty()).then(|| wanted.standing());
    let mut written = json!({ALLOCATED_FROM_POOL: annotations.pools});
    if let Some(last) = annotations.last {
        written[LAST_ADDRESSES] = json!(last);
    }
    let body = json!({
        "metadata": {"resourceVersion": object.version.to_string(), "annotations": written},
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
        if !place.pool.is_empty() && !pools.contains(&place.pool.as_str()) {
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
        about: None,
        kind,
        reason,
        action,
        note,
    }
}

#[cfg(test)]
pub(crate) mod tests;
