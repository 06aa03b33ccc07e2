//! The dead node's endpoints: does at once what the node lifecycle controller does after about 50 s.
//!
//! ```text
//! Speakers ─► hearing (who is silent?) ─► ledger (who, within which bounds?) ─► hands ─► pods' status
//! ```
//!
//! A task of its own, woken by the watches, so that it waits for nothing that `rounds` writes. Only
//! where it is asked for: it needs rights to pods that Herald does not have otherwise. What was done
//! stands in the pods' conditions (`pods`), so the next leader knows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use herald_crds::Speaker;
use herald_runtime::clock;
use herald_runtime::events::{Happening, Kind};
use herald_runtime::lease::Leadership;
use herald_runtime::watch::{Watched, Watches};
use k8s_openapi::api::core::v1::{Node, ObjectReference};

use crate::apply::Refused;
use crate::observed;

mod hands;
mod hearing;
mod ledger;
mod metrics;
mod pods;

pub(crate) use hands::Hands;
pub(crate) use metrics::Metrics;

use hands::Outcome;
use hearing::{Hearing, Standing, hear};
use ledger::{Ledger, Refusal};

/// Waits after looks in a row that could not write everything; the last one repeats.
const RETRY: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
];

/// Rights that are missing are asked for again this often.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The task.
pub(crate) struct Eviction {
    pub(crate) speakers: Watched<Speaker>,
    pub(crate) nodes: Watched<Node>,
    pub(crate) watches: Arc<Watches>,
    pub(crate) hands: Hands,
    pub(crate) metrics: Metrics,
    /// Where Herald is installed.
    pub(crate) namespace: String,
    pub(crate) memory: Memory,
}

/// What is known beyond what the watches show; worthless once another replica has led.
pub(crate) struct Memory {
    max_share: f64,
    ledger: Ledger,
    /// Whether the ledger knows what earlier leaders have done.
    taken_stock: bool,
    failures: usize,
    /// What was logged last, by what it is about.
    said: BTreeMap<String, String>,
}

impl Memory {
    /// Nothing yet. `max_share` as for [`Ledger::new`].
    pub(crate) fn new(max_share: f64) -> Self {
        Self {
            max_share,
            ledger: Ledger::new(max_share),
            taken_stock: false,
            failures: 0,
            said: BTreeMap::new(),
        }
    }
}

impl Eviction {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, mut leadership: Leadership) -> anyhow::Result<()> {
        let mut changed = self.watches.subscribe();
        let mut again = None;
        loop {
            tokio::select! {
                told = changed.changed() => told.context("the watches ended")?,
                () = leadership.changed() => {}
                () = clock::after(again) => {}
            }
            again = self.look().await;
        }
    }

    /// One look, if this replica leads and has seen everything; when to look again although nothing
    /// changes.
    async fn look(&mut self) -> Option<Duration> {
        if !self.hands.leads() {
            self.memory = Memory::new(self.memory.max_share);
            self.metrics.show(0, &BTreeMap::new());
            return None;
        }
        if !self.watches.synced() {
            return None;
        }
        let speakers = observed::by_name(self.speakers.snapshot());
        let hearing = hear(&speakers);
        if !self.memory.taken_stock
            && let Err(again) = self.take_stock(&hearing).await
        {
            return Some(again);
        }
        self.act(&hearing).await
    }

    /// Looks whether the rights are there and what earlier leaders have done; when to try again if
    /// that cannot be known.
    async fn take_stock(&mut self, hearing: &Hearing) -> Result<(), Duration> {
        match self.hands.missing_rights().await {
            Ok(missing) if missing.is_empty() => {}
            Ok(missing) => {
                self.complain(&missing.join(" or "));
                let silent = |standing| standing == Standing::Silent;
                let silent = hearing
                    .nodes
                    .iter()
                    .filter(|(_, heard)| silent(heard.standing));
                let refused = silent.map(|(node, _)| (node.clone(), Refusal::NotPermitted));
                self.metrics.show(0, &refused.collect());
                return Err(ASK_AGAIN);
            }
            Err(refused) => return Err(self.failed("the controller's rights", &refused)),
        }
        match self.hands.marked_nodes().await {
            Ok(nodes) => self.memory.ledger.found(nodes),
            Err(refused) => return Err(self.failed("pods", &refused)),
        }
        self.memory.taken_stock = true;
        self.memory.failures = 0;
        self.memory.said.clear();
        tracing::info!(
            nodes = self.memory.ledger.len(),
            "fast endpoint eviction is ready; nodes whose pods were called unready before"
        );
        Ok(())
    }

    async fn act(&mut self, hearing: &Hearing) -> Option<Duration> {
        let objects = observed::by_name(self.nodes.snapshot());
        let nodes = objects
            .iter()
            .map(|(name, node)| (name.clone(), is_ready(node)));
        let steps = self
            .memory
            .ledger
            .decide(hearing, &nodes.collect(), clock::now());
        self.note(&steps.refused);
        let hands = &self.hands;
        let evict = futures::future::join_all(steps.evict.iter().map(|node| hands.evict(node)));
        let restore =
            futures::future::join_all(steps.restore.iter().map(|node| hands.restore(node)));
        let (evicted, restored) = futures::join!(evict, restore);
        let mut again = steps.again;
        let mut whole = true;
        for (node, outcome) in steps.evict.iter().zip(evicted) {
            self.metrics.called_unready(outcome.written);
            self.tell(node, objects.get(node), &outcome, Word::Taken);
            match outcome.failed {
                None => self.memory.ledger.evicted(node),
                Some(refused) => {
                    again = Some(self.failed(&format!("pods of node {node}"), &refused));
                    whole = false;
                }
            }
        }
        for (node, outcome) in steps.restore.iter().zip(restored) {
            self.metrics.gave_back(outcome.written);
            self.tell(node, objects.get(node), &outcome, Word::Given);
            match outcome.failed {
                None => self.memory.ledger.restored(node),
                Some(refused) => {
                    again = Some(self.failed(&format!("pods of node {node}"), &refused));
                    whole = false;
                }
            }
        }
        if whole {
            self.memory.failures = 0;
        }
        self.metrics.show(self.memory.ledger.len(), &steps.refused);
        again
    }

    /// One Event for a node whose pods were written to.
    fn tell(&self, name: &str, node: Option<&Arc<Node>>, outcome: &Outcome, word: Word) {
        if outcome.written == 0 {
            return;
        }
        let pods = match outcome.written {
            1 => "1 pod".to_owned(),
            several => format!("{several} pods"),
        };
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(name.to_owned()),
            uid: node.and_then(|node| node.metadata.uid.clone()),
            ..ObjectReference::default()
        };
        self.hands.publish(match word {
            Word::Taken => Happening {
                regarding,
                about: None,
                kind: Kind::Warning,
                reason: "EndpointsEvicted",
                action: "Evict",
                note: format!(
                    "Most speakers hear nothing of node {name}: {pods} called unready, so that Services \
                     send nothing there."
                ),
            },
            Word::Given => Happening {
                regarding,
                about: None,
                kind: Kind::Normal,
                reason: "EndpointsRestored",
                action: "Restore",
                note: format!("Node {name} speaks again: {pods} called ready again."),
            },
        });
    }

    /// Says once that rights are missing.
    fn complain(&mut self, missing: &str) {
        let note = format!(
            "--fast-endpoint-eviction is set and the controller may not {missing}: apply \
             deploy/addons/fast-endpoint-eviction, or remove the flag; all else works."
        );
        if !self.is_news("rights", &note) {
            return;
        }
        self.hands.publish(Happening {
            about: None,
            regarding: ObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: Some("Deployment".to_owned()),
                name: Some(crate::NAME.to_owned()),
                namespace: Some(self.namespace.clone()),
                ..ObjectReference::default()
            },
            kind: Kind::Warning,
            reason: "FastEvictionNotPermitted",
            action: "Evict",
            note,
        });
    }

    /// Logs a failure, once while it stays the same; when to try again.
    fn failed(&mut self, what: &str, refused: &Refused) -> Duration {
        let wait = RETRY[self.memory.failures.min(RETRY.len() - 1)];
        self.memory.failures += 1;
        let error = refused.to_string();
        if *refused != Refused::Conflict && self.is_news(what, &error) {
            tracing::warn!(%what, %error, "fast endpoint eviction fails, trying again");
        }
        wait
    }

    /// Logs which nodes are left as they are, once while that stays the same. That some do not hear a
    /// node is no news: it is so at every beginning and end of a silence.
    fn note(&mut self, refused: &BTreeMap<String, Refusal>) {
        let passing = [Refusal::NoMajority, Refusal::Unsettled];
        let news = |refusal: &Refusal| !passing.contains(refusal);
        self.memory.said.retain(|what, _| {
            what.strip_prefix(NODE)
                .is_none_or(|node| refused.get(node).is_some_and(news))
        });
        for (node, refusal) in refused.iter().filter(|(_, refusal)| news(refusal)) {
            let reason = refusal.label();
            if self.is_news(&format!("{NODE}{node}"), reason) {
                tracing::warn!(
                    node,
                    reason,
                    "a silent node's endpoints are left as they are"
                );
            }
        }
    }

    fn is_news(&mut self, what: &str, words: &str) -> bool {
        let before = self.memory.said.insert(what.to_owned(), words.to_owned());
        before.as_deref() != Some(words)
    }
}

/// What is said about a node in [`Memory::said`] is under its name with this before it.
const NODE: &str = "node ";

#[derive(Debug, Clone, Copy)]
enum Word {
    Taken,
    Given,
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
