//! Which nodes' endpoints are to be taken out, which given back, and which not and why. Pure.
//!
//! ```text
//!            silent, within share and rate                 heard for STEADY, Node Ready
//!   (none) ───────────────────────────────► taken, open ─┐
//!   found marked by an earlier leader ────► taken, open ─┴─► taken, done ─────► (none)
//! ```
//!
//! A node is taken once, at the moment it falls silent. A kubelet that lives writes its own word over
//! it, within 10 s; it is not contradicted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::hearing::{Hearing, Standing};
use herald_runtime::bucket::Bucket;

/// A node is given back when it was heard for this long without a break, so that one that comes and
/// goes does not make its endpoints do so.
pub(crate) const STEADY: Duration = Duration::from_secs(1);

/// A node is silent when a majority says so for this long: where many are cut off at once, some still
/// count as a majority about the first for the moment in which they lose each other.
const CONFIRMED: Duration = Duration::from_millis(150);

/// A majority counts when it has been one for this long in this leader's sight. One that comes together
/// just now, after a partition or a power failure, has not heard everybody yet.
const SETTLED: Duration = Duration::from_secs(3);

/// In the long run one node is taken in this time, as by the node lifecycle controller (its
/// `--node-eviction-rate`).
const REFILL: Duration = Duration::from_secs(10);

/// So many may fall one after the other without waiting for that, and as many as the share allows.
const BURST: usize = 5;

/// Why the endpoints of a node that somebody calls silent are left as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// Those who call it silent are no majority.
    NoMajority,
    /// It has been silent, or those who call it so have been a majority, for a moment only.
    Unsettled,
    /// Its speaker had said that it was about to end.
    SpeakerEnded,
    /// As many nodes as are allowed are taken already.
    ShareExceeded,
    /// Too many nodes were taken a short while ago.
    RateLimited,
    /// The controller may not change pods.
    NotPermitted,
}

impl Refusal {
    pub(crate) const ALL: [Self; 6] = [
        Self::NoMajority,
        Self::Unsettled,
        Self::SpeakerEnded,
        Self::ShareExceeded,
        Self::RateLimited,
        Self::NotPermitted,
    ];

    /// For metrics and logs.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NoMajority => "no_majority",
            Self::Unsettled => "unsettled",
            Self::SpeakerEnded => "speaker_ended",
            Self::ShareExceeded => "share_exceeded",
            Self::RateLimited => "rate_limited",
            Self::NotPermitted => "not_permitted",
        }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Nodes whose ready pods are to be called unready, until [`Ledger::evicted`] is told.
    pub(crate) evict: Vec<String>,
    /// Nodes whose pods get the word back, until [`Ledger::restored`] is told.
    pub(crate) restore: Vec<String>,
    /// Nodes that are left as they are although somebody calls them silent.
    pub(crate) refused: BTreeMap<String, Refusal>,
    /// When to decide again although nothing changes.
    pub(crate) again: Option<Duration>,
}

/// What is remembered. All that must not be lost stands in the pods' own conditions.
#[derive(Debug)]
pub(crate) struct Ledger {
    max_share: f64,
    /// Nodes that are taken, and whether that was done wholly.
    taken: BTreeMap<String, bool>,
    /// Taken nodes that are heard, and since when.
    speaking: BTreeMap<String, Instant>,
    /// Nodes that are silent, and since when.
    silent: BTreeMap<String, Instant>,
    /// Since when there is a majority.
    majority: Option<Instant>,
    rate: Bucket,
}

impl Ledger {
    /// An empty one. `max_share` is of the nodes that have a voice, above 0 and at most 1; it allows
    /// one node at least.
    pub(crate) fn new(max_share: f64) -> Self {
        Self {
            max_share,
            taken: BTreeMap::new(),
            speaking: BTreeMap::new(),
            silent: BTreeMap::new(),
            majority: None,
            rate: Bucket::new(REFILL),
        }
    }

    /// How many nodes are taken.
    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    /// These nodes have pods that an earlier leader called unready.
    pub(crate) fn found(&mut self, nodes: impl IntoIterator<Item = String>) {
        for node in nodes {
            self.taken.entry(node).or_insert(false);
        }
    }

    /// Every ready pod of the node was called unready.
    pub(crate) fn evicted(&mut self, node: &str) {
        if let Some(done) = self.taken.get_mut(node) {
            *done = true;
        }
    }

    /// Every pod of the node has the word back.
    pub(crate) fn restored(&mut self, node: &str) {
        self.taken.remove(node);
    }

    /// Decides. `nodes` says of each Node that exists whether its condition Ready is True.
    pub(crate) fn decide(
        &mut self,
        hearing: &Hearing,
        nodes: &BTreeMap<String, bool>,
        now: Instant,
    ) -> Steps {
        let mut steps = Steps::default();
        self.majority = hearing.majority.then(|| self.majority.unwrap_or(now));
        self.silent.retain(|node, _| {
            let heard = hearing.nodes.get(node);
            heard.is_some_and(|heard| heard.standing == Standing::Silent)
        });
        // The pods of a Node that is gone are removed by others.
        self.taken.retain(|node, _| nodes.contains_key(node));
        let strangers = self
            .taken
            .keys()
            .filter(|node| !hearing.nodes.contains_key(*node));
        let allowed = allowed(self.max_share, hearing.nodes.len() + strangers.count());
        for (node, heard) in &hearing.nodes {
            match heard.standing {
                Standing::Silent => {
                    if !nodes.contains_key(node) {
                        continue;
                    }
                    match self.take(node, allowed, now, &mut steps) {
                        Ok(()) => {}
                        Err(refusal) => drop(steps.refused.insert(node.clone(), refusal)),
                    }
                }
                Standing::Ended => {
                    steps.refused.insert(node.clone(), Refusal::SpeakerEnded);
                }
                Standing::Speaks | Standing::Unclear => {
                    if heard.silent > 0 {
                        steps.refused.insert(node.clone(), Refusal::NoMajority);
                    }
                }
            }
        }
        self.give_back(hearing, nodes, now, &mut steps);
        steps
    }

    fn take(
        &mut self,
        node: &str,
        allowed: usize,
        now: Instant,
        steps: &mut Steps,
    ) -> Result<(), Refusal> {
        match self.taken.get(node) {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => {
                let left = |limit: Duration, since: Instant| {
                    limit.saturating_sub(now.saturating_duration_since(since))
                };
                let since = *self.silent.entry(node.to_owned()).or_insert(now);
                let settled = left(SETTLED, self.majority.unwrap_or(now));
                let wait = left(CONFIRMED, since).max(settled);
                if !wait.is_zero() {
                    steps.wake(wait);
                    return Err(Refusal::Unsettled);
                }
                if self.taken.len() >= allowed {
                    return Err(Refusal::ShareExceeded);
                }
                if let Err(wait) = self.rate.take(allowed.max(BURST), now) {
                    steps.wake(wait);
                    return Err(Refusal::RateLimited);
                }
                self.taken.insert(node.to_owned(), false);
            }
        }
        steps.evict.push(node.to_owned());
        Ok(())
    }

    /// A node whose Node object is not Ready is the node lifecycle controller's: it has called the pods
    /// unready itself by then, and the kubelet will say when they are ready again.
    fn give_back(
        &mut self,
        hearing: &Hearing,
        nodes: &BTreeMap<String, bool>,
        now: Instant,
        steps: &mut Steps,
    ) {
        let back = |node: &String| {
            let heard = hearing.nodes.get(node);
            heard.is_some_and(|heard| heard.standing == Standing::Speaks)
                && nodes.get(node) == Some(&true)
        };
        let taken = &self.taken;
        self.speaking
            .retain(|node, _| taken.contains_key(node) && back(node));
        for node in self.taken.keys().filter(|node| back(node)) {
            let since = *self.speaking.entry(node.clone()).or_insert(now);
            let left = STEADY.saturating_sub(now.saturating_duration_since(since));
            if left.is_zero() {
                steps.restore.push(node.clone());
            } else {
                steps.wake(left);
            }
        }
    }
}

impl Steps {
    fn wake(&mut self, after: Duration) {
        self.again = Some(self.again.map_or(after, |before| before.min(after)));
    }
}

/// How many of `count` nodes may be taken: the share, rounded down, and one at least.
fn allowed(share: f64, count: usize) -> usize {
    // Searched for instead of converted: a float's conversion to an integer may lose what it likes.
    let within = |taken: &usize| {
        let part = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        part(*taken) <= share * part(count)
    };
    (1..=count).take_while(within).count().max(1)
}

#[cfg(test)]
mod tests;
