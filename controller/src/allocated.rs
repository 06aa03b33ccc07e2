//! Whether a Service has what it asks for: condition `heraldlb.io/AddressAllocated` of the Service,
//! and the same in its ServiceAnnouncement. Pure.
//!
//! A Service that gets its addresses gets the condition in the same write (`assign`); what comes
//! without a write to the addresses, as a refusal, is reported behind.

use herald_model::alloc::{Place, Refusal};
use herald_model::service::Service;
use k8s_openapi::api::core::v1::Service as KubeService;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::core::ApiResource;
use serde_json::json;

use crate::condition::{ADDRESS_ALLOCATED, Wanted, merged};
use crate::facts::Facts;
use crate::kept;
use crate::report::{Report, Sent, Target};

/// What the condition says of a Service that has these addresses and is refused something.
pub(crate) fn wanted(type_: &'static str, has: &[Place], refusal: Option<&Refusal>) -> Wanted {
    let wanted = |status, reason, message| Wanted {
        type_,
        status,
        reason,
        message,
    };
    let named = named(has);
    match (refusal, has.is_empty()) {
        (Some(refusal), true) => wanted(false, refusal.label(), format!("{refusal}.")),
        (Some(refusal), false) => wanted(
            false,
            refusal.label(),
            format!("{refusal}. It keeps {named}."),
        ),
        (None, false) => wanted(true, "Allocated", format!("The Service has {named}.")),
        (None, true) => {
            let message = "The Service gets its addresses now.".to_owned();
            wanted(false, "Pending", message)
        }
    }
}

/// `192.0.2.1 from pool lan and 2001:db8::1 from pool lan`.
pub(crate) fn named(places: &[Place]) -> String {
    let name = |place: &Place| format!("{} from pool {}", place.address, place.pool);
    places.iter().map(name).collect::<Vec<_>>().join(" and ")
}

/// The condition for a Service, with the addresses its status names.
pub(crate) fn judged(facts: &Facts<'_>, service: &Service, type_: &'static str) -> Wanted {
    if let Some(error) = facts.failed.get(&service.key) {
        let message = format!("The status of the Service could not be written: {error}.");
        return Wanted {
            type_,
            status: false,
            reason: "NotWritten",
            message,
        };
    }
    let plan = &facts.decision.plan;
    let places: Vec<Place> = service
        .held
        .iter()
        .filter(|address| !plan.leaves_alone(&service.key, **address))
        .map(|address| Place {
            address: *address,
            pool: facts.decision.pool_of(service, *address),
        })
        .collect();
    wanted(type_, &places, plan.refuse.get(&service.key))
}

/// The report on a Service, when its condition says something else.
pub(crate) fn report(
    facts: &Facts<'_>,
    service: &Service,
    object: &kept::Service,
    sent: &mut Sent,
    now: Timestamp,
) -> Option<Report> {
    let target = Target {
        kind: "Service",
        namespace: service.key.namespace().to_owned(),
        name: service.key.name().to_owned(),
    };
    let shown = json!({"conditions": object.conditions()});
    let standing = sent.standing(&target, object.version, shown);
    let current: Vec<Condition> =
        serde_json::from_value(standing["conditions"].clone()).unwrap_or_default();
    let wanted = judged(facts, service, ADDRESS_ALLOCATED);
    let status = json!({"conditions": [merged(&current, wanted, None, now)]});
    (status != standing).then(|| Report {
        target,
        resource: ApiResource::erase::<KubeService>(&()),
        version: object.version,
        object: None,
        status,
        happenings: Vec::new(),
    })
}
