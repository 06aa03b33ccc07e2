//! What the admin port shows: the last decision, and whether this replica is ready.
//!
//! Not here: serving it (`herald_runtime::admin`).

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use herald_model::address::FewAddresses;
use herald_model::announce::{Desired, Verdict, desired};
use herald_model::service::ServiceKey;
use herald_runtime::admin::Inspect;
use herald_runtime::watch::Watches;
use serde_json::{Map, Value, json};

use crate::decision::{Decision, world};
use crate::desk::Told;
use crate::sources::Sources;

/// What the admin port reads.
pub(crate) struct View {
    watches: Arc<Watches>,
    sources: Arc<Sources>,
    leads: AtomicBool,
    told: Mutex<Option<Arc<Told>>>,
}

impl View {
    pub(crate) fn new(watches: Arc<Watches>, sources: Arc<Sources>) -> Self {
        Self {
            watches,
            sources,
            leads: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// A replica that does not lead shows no decision.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
        if !leads {
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Replaces the decision that is shown.
    pub(crate) fn show(&self, told: Arc<Told>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// The last decision and what follows from it now. Worked out for whoever asks: of many Services it
    /// would take more memory than all that is kept.
    fn decision(&self) -> Option<Value> {
        let last = || {
            self.told
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        let told = last()?;
        let observed = self.sources.observe(told.services.clone());
        let world = world(&observed, &told.decision);
        let desired = desired(&world);
        Some(shown(&Shown {
            services: world.services.keys().collect(),
            decision: &told.decision,
            desired: &desired,
        }))
    }
}

/// What is shown of a decision.
struct Shown<'a> {
    /// The Services that are ours.
    services: Vec<&'a ServiceKey>,
    decision: &'a Decision,
    desired: &'a Desired,
}

impl Inspect for View {
    fn waiting_for(&self) -> Vec<String> {
        self.watches.reports().waiting_for()
    }

    fn state(&self) -> Value {
        json!({
            "leader": self.leads.load(Ordering::Relaxed),
            "watches": self.watches.reports().all(),
            "decision": self.decision(),
        })
    }
}

fn shown(shown: &Shown<'_>) -> Value {
    let Decision {
        compiled,
        service_problems,
        plan,
    } = shown.decision;
    let pools: Map<String, Value> = plan
        .counts
        .iter()
        .map(|(name, c)| {
            let counts = json!({
                "assignedIPv4": c.assigned_ipv4, "availableIPv4": c.available_ipv4,
                "assignedIPv6": c.assigned_ipv6, "availableIPv6": c.available_ipv6,
            });
            (name.clone(), counts)
        })
        .collect();
    let services: Map<String, Value> = shown
        .services
        .iter()
        .map(|key| (key.to_string(), service(shown, key)))
        .collect();
    let problems: Vec<Value> = compiled
        .problems
        .iter()
        .chain(service_problems)
        .map(|p| {
            json!({
                "object": p.object.to_string(), "field": p.field, "reason": p.reason.label(),
                "message": p.message, "quarantined": p.quarantined,
            })
        })
        .collect();
    json!({
        "pools": pools,
        "quarantinedPools": compiled.config.quarantined_pools,
        "services": services,
        "problems": problems,
    })
}

fn service(shown: &Shown<'_>, key: &ServiceKey) -> Value {
    let places = shown.decision.plan.places(key).iter();
    let wish: Vec<Value> = places
        .map(|p| json!({"address": p.address, "pool": p.pool}))
        .collect();
    let refusal = shown.decision.plan.refuse.get(key);
    let verdicts = shown.desired.verdicts.get(key);
    let verdicts = verdicts.into_iter().flat_map(FewAddresses::iter);
    let verdicts: Map<String, Value> = verdicts
        .map(|(address, v)| (address.to_string(), verdict(shown, &address, v)))
        .collect();
    json!({
        "wish": wish,
        "refusal": refusal.map(|r| json!({"reason": r.label(), "message": r.to_string()})),
        "announcement": verdicts,
    })
}

fn verdict(shown: &Shown<'_>, address: &IpAddr, verdict: &Verdict) -> Value {
    let candidates = shown.desired.addresses.get(address).map(|a| {
        let one = |(node, c): (&String, &herald_model::announce::Candidate)| {
            (
                node.clone(),
                json!({"interfaces": c.interfaces, "weight": c.weight}),
            )
        };
        a.candidates.iter().map(one).collect::<Map<_, _>>()
    });
    let obstacle = verdict.obstacle.as_ref();
    let nodes: Map<String, Value> = verdict
        .nodes
        .iter()
        .map(|(node, o)| (node.clone(), json!(o.label())))
        .collect();
    json!({
        "candidates": candidates,
        "obstacle": obstacle.map(|o| json!({"reason": o.label(), "message": o.to_string()})),
        "otherNodes": nodes,
    })
}
