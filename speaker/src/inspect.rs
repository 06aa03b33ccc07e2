//! What the admin port shows: wish, running and verdicts of the last decision.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use herald_model::announce::Desired;
use herald_runtime::admin::Inspect;
use herald_runtime::watch;
use serde::Serialize;

use crate::intent::Intent;
use crate::links::NotUsed;
use crate::ports::Usage;
use crate::world::View;

/// The last decision, for people.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Running {
    node: String,
    node_exists: bool,
    interfaces: BTreeMap<String, String>,
    /// Why an interface that qualifies has no socket.
    refused: Option<String>,
    announced: BTreeMap<IpAddr, Announced>,
    standby: BTreeSet<IpAddr>,
    owners: BTreeMap<IpAddr, String>,
    claims: BTreeMap<IpAddr, String>,
    live_nodes: BTreeSet<String>,
    verdicts: BTreeMap<String, BTreeMap<IpAddr, String>>,
}

#[derive(Debug, Clone, Serialize)]
struct Announced {
    interfaces: BTreeSet<String>,
    services: BTreeSet<String>,
    leaving: bool,
}

impl Running {
    pub(crate) fn of(
        node: &str,
        view: &View,
        desired: &Desired,
        owners: &BTreeMap<IpAddr, String>,
        live: &BTreeSet<String>,
        intent: &Intent,
        usages: &[Usage],
    ) -> Self {
        let verdicts = desired.verdicts.iter().map(|(service, addresses)| {
            let obstacles = addresses.iter().filter_map(|(address, verdict)| {
                Some((*address, verdict.obstacle.as_ref()?.to_string()))
            });
            (service.to_string(), obstacles.collect::<BTreeMap<_, _>>())
        });
        Self {
            node: node.to_owned(),
            node_exists: view.world.nodes.contains_key(node),
            interfaces: usages.iter().map(usage_in_words).collect(),
            refused: usages.iter().find_map(refusal),
            announced: intent
                .owned
                .iter()
                .map(|(address, holding)| {
                    let announced = Announced {
                        interfaces: holding.interfaces.clone(),
                        services: holding.services.iter().map(ToString::to_string).collect(),
                        leaving: holding.leaving,
                    };
                    (*address, announced)
                })
                .collect(),
            standby: intent.standby.keys().copied().collect(),
            owners: owners.clone(),
            claims: view
                .claims
                .iter()
                .map(|(a, claim)| (*a, claim.node.clone()))
                .collect(),
            live_nodes: live.clone(),
            verdicts: verdicts
                .filter(|(_, obstacles)| !obstacles.is_empty())
                .collect(),
        }
    }
}

fn usage_in_words(usage: &Usage) -> (String, String) {
    let words = match &usage.used {
        Ok(()) => "used".to_owned(),
        Err(reason) => format!("not used: {reason}"),
    };
    (usage.link.name.clone(), words)
}

fn refusal(usage: &Usage) -> Option<String> {
    if let Err(NotUsed::NoSocket { error }) = &usage.used {
        Some(format!("{}: {error}", usage.link.name))
    } else {
        None
    }
}

/// The speaker as the admin port sees it.
pub(crate) struct SpeakerState {
    pub watches: watch::Reports,
    pub running: Arc<RwLock<Running>>,
}

impl Inspect for SpeakerState {
    fn waiting_for(&self) -> Vec<String> {
        let mut waiting = self.watches.waiting_for();
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() && !running.node_exists {
            waiting.push(format!(
                "there is no Node {:?}: --node-name must be the name of this host's Node",
                running.node
            ));
        }
        waiting.extend(running.refused.clone());
        waiting
    }

    fn state(&self) -> serde_json::Value {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({"running": &*running, "watches": self.watches.all()})
    }
}
