//! What stands in the status of Herald's configuration objects: condition `Accepted`, the counts of a
//! pool, and who holds what a reservation keeps. Pure.
//!
//! Not here: finding out what is wrong (`config`).

use std::collections::BTreeMap;

use herald_config::{Compiled, ObjectRef, Objects};
use herald_crds::{ACCEPTED, GROUP, VERSION};
use herald_model::alloc::PoolCounts;
use herald_model::pool::Reservation;
use herald_model::service::ServiceKey;
use herald_runtime::events::{Happening, Kind};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::core::ApiResource;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::condition::{Wanted, is_news, merged};
use crate::decision::Decision;
use crate::observed::Observed;
use crate::report::{Report, Sent, Target};
use crate::standing::version;

/// The reports that say something new.
pub(crate) fn reports(
    observed: &Observed,
    decision: &Decision,
    sent: &mut Sent,
    now: Timestamp,
) -> Vec<Report> {
    let Objects {
        pools,
        reservations,
        l2_advertisements,
        bgp_advertisements,
        bgp_peers,
        bfd_profiles,
        communities,
        namespaces: _,
        nodes: _,
        infrastructure: _,
        external_ips: _,
    } = &observed.objects;
    let mut reporter = Reporter {
        compiled: &decision.compiled,
        sent,
        now,
    };
    let counts = |name: &str| decision.plan.counts.get(name).map(counted);
    let bound = bound(observed, decision);
    let bound = |name: &str| bound.get(name).map(bound_to);
    let mut reports = Vec::new();
    reports.extend(
        pools
            .iter()
            .filter_map(|o| reporter.report("IPAddressPool", o, counts)),
    );
    reports.extend(
        reservations
            .iter()
            .filter_map(|o| reporter.report("IPReservation", o, bound)),
    );
    reports.extend(
        l2_advertisements
            .iter()
            .filter_map(|o| reporter.plain("L2Advertisement", o)),
    );
    reports.extend(
        bgp_advertisements
            .iter()
            .filter_map(|o| reporter.plain("BGPAdvertisement", o)),
    );
    reports.extend(
        bgp_peers
            .iter()
            .filter_map(|o| reporter.plain("BGPPeer", o)),
    );
    reports.extend(
        bfd_profiles
            .iter()
            .filter_map(|o| reporter.plain("BFDProfile", o)),
    );
    reports.extend(
        communities
            .iter()
            .filter_map(|o| reporter.plain("Community", o)),
    );
    reports
}

/// The status fields this report owns; others on the object are somebody else's.
const OWNED: [&str; 14] = [
    "conditions",
    "boundService",
    "assignedIPv4",
    "availableIPv4",
    "retainedIPv4",
    "reservedIPv4",
    "capacityIPv4",
    "assignedIPv6",
    "availableIPv6",
    "retainedIPv6",
    "reservedIPv6",
    "capacityIPv6",
    "portsTaken",
    "portsCapacity",
];

fn counted(counts: &PoolCounts) -> Map<String, Value> {
    let PoolCounts {
        assigned_ipv4,
        available_ipv4,
        retained_ipv4,
        reserved_ipv4,
        capacity_ipv4,
        assigned_ipv6,
        available_ipv6,
        retained_ipv6,
        reserved_ipv6,
        capacity_ipv6,
        ports_taken,
        ports_capacity,
    } = counts;
    [
        ("assignedIPv4", assigned_ipv4),
        ("availableIPv4", available_ipv4),
        ("retainedIPv4", retained_ipv4),
        ("reservedIPv4", reserved_ipv4),
        ("capacityIPv4", capacity_ipv4),
        ("assignedIPv6", assigned_ipv6),
        ("availableIPv6", available_ipv6),
        ("retainedIPv6", retained_ipv6),
        ("reservedIPv6", reserved_ipv6),
        ("capacityIPv6", capacity_ipv6),
        ("portsTaken", ports_taken),
        ("portsCapacity", ports_capacity),
    ]
    .map(|(name, value)| (name.to_owned(), json!(value)))
    .into_iter()
    .collect()
}

/// The Service that holds an address of each reservation in force, where one does: the one it is for,
/// else the first by name.
fn bound(observed: &Observed, decision: &Decision) -> BTreeMap<String, ServiceKey> {
    let reservations = &decision.compiled.config.reservations;
    let mut bound: BTreeMap<String, ServiceKey> = BTreeMap::new();
    if reservations.is_empty() {
        return bound;
    }
    let all = observed.services.iter();
    for (key, service) in all.filter_map(|(key, object)| Some((key, object.ours.as_ref()?))) {
        for address in &service.held {
            let keeps = |(_, one): &(&String, &Reservation)| one.addresses.contains(*address);
            let Some((name, reservation)) = reservations.iter().find(keeps) else {
                continue;
            };
            if reservation.service.as_ref() == Some(key) || !bound.contains_key(name) {
                bound.insert(name.clone(), key.clone());
            }
        }
    }
    bound
}

fn bound_to(key: &ServiceKey) -> Map<String, Value> {
    let service = json!({"namespace": key.namespace(), "name": key.name()});
    Map::from_iter([("boundService".to_owned(), service)])
}

struct Reporter<'a> {
    compiled: &'a Compiled,
    sent: &'a mut Sent,
    now: Timestamp,
}

impl Reporter<'_> {
    fn plain<K>(&mut self, kind: &'static str, object: &K) -> Option<Report>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        self.report(kind, object, |_| None)
    }

    fn report<K>(
        &mut self,
        kind: &'static str,
        object: &K,
        more: impl Fn(&str) -> Option<Map<String, Value>>,
    ) -> Option<Report>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let meta = object.meta();
        let name = meta.name.clone()?;
        let target = Target {
            kind,
            namespace: String::new(),
            name: name.clone(),
        };
        let version = version(object);
        let shown = owned(serde_json::to_value(object).ok()?.get_mut("status"));
        let standing = self.sent.standing(&target, version, shown);
        let current = conditions(&standing);

        let verdict = self.compiled.verdict(&ObjectRef::new(kind, &name));
        let wanted = Wanted {
            type_: ACCEPTED,
            status: verdict.accepted,
            reason: verdict.reason,
            message: verdict.message,
        };
        let wanted = merged(&current, wanted, meta.generation, self.now);
        let mut status = more(&name).unwrap_or_default();
        status.insert("conditions".to_owned(), json!([wanted]));
        let status = Value::Object(status);
        if status == standing {
            return None;
        }
        let regarding = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(kind.to_owned()),
            name: Some(name),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        let happening = news(&current, &wanted, verdict.reason, regarding);
        Some(Report {
            target,
            resource: ApiResource::erase::<K>(&()),
            version,
            object: None,
            status,
            happenings: happening.into_iter().collect(),
        })
    }
}

/// An object that is not used as written is a Warning, one that becomes fine again a Normal Event.
/// That a new object is fine, or stored but not built, is said by the condition alone.
fn news(
    current: &[Condition],
    wanted: &Condition,
    reason: &'static str,
    regarding: ObjectReference,
) -> Option<Happening> {
    let refused = wanted.status != "True";
    let recovered = current.iter().any(|before| before.status != "True") && !refused;
    let kind = if refused { Kind::Warning } else { Kind::Normal };
    let note = wanted.message.clone();
    ((refused && is_news(current, wanted)) || recovered).then_some(Happening {
        regarding,
        about: None,
        kind,
        reason,
        action: "Compile",
        note,
    })
}

/// The owned fields of a status; of the conditions the one that is ours.
fn owned(status: Option<&mut Value>) -> Value {
    let status = status.map(Value::take);
    let mut status = status
        .and_then(|s| s.as_object().cloned())
        .unwrap_or_default();
    status.retain(|field, _| OWNED.contains(&field.as_str()));
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|condition| condition["type"] == ACCEPTED);
    }
    Value::Object(status)
}

fn conditions(status: &Value) -> Vec<Condition> {
    serde_json::from_value(status["conditions"].clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
