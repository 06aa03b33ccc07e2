//! What the admin port shows: wish, running and verdicts of the last decision.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use herald_runtime::admin::Inspect;
use herald_runtime::watch;
use serde::Serialize;

use crate::decision::Decision;
use crate::links::NotUsed;
use crate::ports::Usage;

/// The last decision, for people.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Running {
    node: String,
    node_exists: bool,
    interfaces: BTreeMap<String, String>,
    /// Why an interface that qualifies has no socket.
    refused: Option<String>,
    scheduling: String,
    /// Number of the view in force, and whether a majority of it is heard.
    view: u64,
    quorum: bool,
    live_nodes: BTreeSet<String>,
    announced: BTreeMap<IpAddr, Announced>,
    standby: BTreeSet<IpAddr>,
    /// Who should announce, in this order.
    lines: BTreeMap<IpAddr, Vec<String>>,
    /// Who does, as the speakers agreed.
    owners: BTreeMap<IpAddr, String>,
    /// Who does, as the API server knows.
    claims: BTreeMap<IpAddr, String>,
    verdicts: BTreeMap<String, BTreeMap<IpAddr, String>>,
}

#[derive(Debug, Clone, Serialize)]
struct Announced {
    interfaces: BTreeSet<String>,
    services: BTreeSet<String>,
    leaving: bool,
    /// Held without a majority.
    degraded: bool,
}

impl Running {
    pub(crate) fn of(node: &str, decision: &Decision<'_>) -> Self {
        let Decision {
            view,
            desired,
            telling,
            usages,
            ..
        } = decision;
        let verdicts = desired.verdicts.iter().map(|(service, addresses)| {
            let obstacles = addresses.iter().filter_map(|(address, verdict)| {
                Some((address, verdict.obstacle.as_ref()?.to_string()))
            });
            (service.to_string(), obstacles.collect::<BTreeMap<_, _>>())
        });
        Self {
            node: node.to_owned(),
            node_exists: view.world.nodes.contains_key(node),
            interfaces: usages.iter().map(usage_in_words).collect(),
            refused: usages.iter().find_map(refusal),
            scheduling: telling.class.to_string(),
            view: telling.view,
            quorum: telling.quorum,
            announced: decision
                .held
                .iter()
                .map(|(address, holding)| {
                    let held = telling.held.get(address);
                    let announced = Announced {
                        interfaces: holding.interfaces.clone(),
                        services: holding.services.iter().map(ToString::to_string).collect(),
                        leaving: holding.leaving,
                        degraded: held.is_some_and(|held| held.degraded),
                    };
                    (*address, announced)
                })
                .collect(),
            standby: decision.bids.keys().copied().collect(),
            lines: decision.lines.clone(),
            owners: decision.owners.clone(),
            claims: view
                .claims
                .iter()
                .map(|(a, claim)| (*a, claim.node.clone()))
                .collect(),
            live_nodes: decision.live.clone(),
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
