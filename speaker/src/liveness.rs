//! Which nodes are alive, as the API server tells: Node condition Ready and the node's Lease.
//!
//! A Lease counts as silent by the local monotonic clock since it was last *seen to change*; its
//! own times are not believed. Time does not pass for this purpose while no Lease changes at all:
//! then it is the API server that is silent, and nobody is declared dead for that.
//!
//! Condition Ready `Unknown` is the node controller's own inference from the same Lease. It counts
//! until the Lease is seen to be renewed here; a controller that lost sight of everybody declares
//! nobody dead. And when nobody at all seems alive, everybody counts: an address that somebody
//! announces is better than a dark one.
//!
//! This makes a takeover a matter of tens of seconds (a Lease lasts 40 s). The live set is one
//! argument of placement; whatever knows better can replace this file.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Longest time between two renewals by anybody that is taken at face value: kubelet renews every
/// ten seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a Lease is assumed to last when it does not say.
const DEFAULT_DURATION: Duration = Duration::from_secs(40);

/// Condition Ready of a Node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Its kubelet says so.
    True,
    /// Its kubelet says that it is not.
    False,
    /// The node controller has not heard from its kubelet.
    Unknown,
    /// There is no such condition.
    Absent,
}

/// What the API says about a node at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Condition Ready.
    pub ready: Ready,
    /// The Lease's resourceVersion and duration, if there is a Lease.
    pub lease: Option<(String, Option<Duration>)>,
}

#[derive(Debug)]
struct Heard {
    version: String,
    at: Duration,
    lasts: Duration,
    /// Seen to change, not only found.
    renewed: bool,
}

/// Remembers when each node's Lease was last seen to change.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    heard: BTreeMap<String, Heard>,
    /// Time that passed while the API server was telling.
    elapsed: Duration,
    last_change: Option<Instant>,
}

impl Liveness {
    /// Takes what the API says now; returns who is alive.
    pub(crate) fn observe(
        &mut self,
        nodes: &BTreeMap<String, Seen>,
        now: Instant,
    ) -> BTreeSet<String> {
        let changed = nodes.iter().any(|(name, seen)| {
            let version = seen.lease.as_ref().map(|(version, _)| version);
            version != self.heard.get(name).map(|heard| &heard.version)
        });
        if changed || self.last_change.is_none() {
            self.elapsed = self.told(now);
            self.last_change = Some(now);
        }
        let told = self.told(now);
        self.heard
            .retain(|name, _| nodes.get(name).is_some_and(|seen| seen.lease.is_some()));
        for (name, seen) in nodes {
            let Some((version, lasts)) = &seen.lease else {
                continue;
            };
            let lasts = lasts.unwrap_or(DEFAULT_DURATION);
            let heard = self.heard.entry(name.clone()).or_insert_with(|| Heard {
                version: version.clone(),
                at: told,
                lasts,
                renewed: false,
            });
            if heard.version != *version {
                *heard = Heard {
                    version: version.clone(),
                    at: told,
                    lasts,
                    renewed: true,
                };
            }
        }
        let alive = |(name, seen): (&String, &Seen)| {
            let heard = self.heard.get(name);
            let silent = heard.is_some_and(|heard| told.saturating_sub(heard.at) >= heard.lasts);
            let said = match seen.ready {
                Ready::True | Ready::Absent => true,
                Ready::False => false,
                Ready::Unknown => heard.is_some_and(|heard| heard.renewed),
            };
            (said && !silent).then(|| name.clone())
        };
        let live: BTreeSet<String> = nodes.iter().filter_map(alive).collect();
        if live.is_empty() {
            return nodes.keys().cloned().collect();
        }
        live
    }

    /// How long until the next Lease runs out if nothing changes.
    pub(crate) fn next_expiry(&self, now: Instant) -> Option<Duration> {
        let told = self.told(now);
        self.heard
            .values()
            .map(|heard| (heard.at + heard.lasts).saturating_sub(told))
            .filter(|left| !left.is_zero())
            .min()
    }

    fn told(&self, now: Instant) -> Duration {
        let since = self.last_change.map_or(Duration::ZERO, |last| {
            now.saturating_duration_since(last).min(LONGEST_PAUSE)
        });
        self.elapsed + since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn origin() -> Instant {
        herald_runtime::clock::now()
    }

    fn seen(version: u64) -> Seen {
        let lease = Some((version.to_string(), Some(40 * SECOND)));
        Seen {
            ready: Ready::True,
            lease,
        }
    }

    /// Two nodes; `a` renews every ten seconds, `b` until `b_stops`.
    fn world(second: u64, b_stops: u64) -> BTreeMap<String, Seen> {
        let renewal = |second: u64| second / 10;
        BTreeMap::from([
            ("a".to_owned(), seen(renewal(second))),
            ("b".to_owned(), seen(renewal(second.min(b_stops)))),
        ])
    }

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_node_whose_lease_stops_is_dead_after_its_duration() {
        let t = origin();
        let mut liveness = Liveness::default();
        let mut died = None;
        for second in 0..200 {
            let now = t + Duration::from_secs(second);
            let alive = liveness.observe(&world(second, 100), now);
            if died.is_none() && alive == names(&["a"]) {
                died = Some(second);
            }
            assert!(alive.contains("a"));
        }
        assert_eq!(died, Some(140), "last renewal at 100 s, duration 40 s");
    }

    #[test]
    fn nobody_dies_of_a_silent_api_server_nor_of_its_return() {
        let t = origin();
        let mut liveness = Liveness::default();
        for second in 0..100 {
            liveness.observe(&world(second, 1000), t + Duration::from_secs(second));
        }
        let frozen = world(99, 1000);
        for second in 100..3700 {
            let alive = liveness.observe(&frozen, t + Duration::from_secs(second));
            assert_eq!(
                alive,
                names(&["a", "b"]),
                "second {second} without the API server"
            );
        }
        let mut back = world(99, 1000);
        back.insert("a".to_owned(), seen(500));
        let now = t + Duration::from_secs(3700);
        assert_eq!(
            liveness.observe(&back, now),
            names(&["a", "b"]),
            "a renews first"
        );
        back.insert("b".to_owned(), seen(501));
        let later = now + 9 * SECOND;
        assert_eq!(liveness.observe(&back, later), names(&["a", "b"]));
    }

    #[test]
    fn a_node_that_says_not_ready_is_not_alive_and_one_without_lease_is() {
        let t = origin();
        let mut liveness = Liveness::default();
        let nodes = BTreeMap::from([
            (
                "down".to_owned(),
                Seen {
                    ready: Ready::False,
                    lease: seen(1).lease,
                },
            ),
            (
                "plain".to_owned(),
                Seen {
                    ready: Ready::Absent,
                    lease: None,
                },
            ),
        ]);
        assert_eq!(liveness.observe(&nodes, t), names(&["plain"]));
    }

    #[test]
    fn the_next_expiry_is_when_the_first_lease_runs_out() {
        let t = origin();
        let mut liveness = Liveness::default();
        liveness.observe(&world(0, 0), t);
        assert_eq!(liveness.next_expiry(t + 10 * SECOND), Some(30 * SECOND));
    }

    fn unknown(version: u64) -> Seen {
        Seen {
            ready: Ready::Unknown,
            ..seen(version)
        }
    }

    #[test]
    fn an_unknown_node_counts_as_dead_until_its_lease_is_seen_to_be_renewed() {
        let t = origin();
        let mut liveness = Liveness::default();
        let world = |b| BTreeMap::from([("a".to_owned(), seen(1)), ("b".to_owned(), unknown(b))]);
        assert_eq!(liveness.observe(&world(1), t), names(&["a"]));
        assert_eq!(liveness.observe(&world(2), t + SECOND), names(&["a", "b"]));
    }

    #[test]
    fn when_nobody_seems_alive_everybody_counts() {
        let t = origin();
        let nodes = BTreeMap::from([("a".to_owned(), unknown(1)), ("b".to_owned(), unknown(1))]);
        let live = Liveness::default().observe(&nodes, t);
        assert_eq!(live, names(&["a", "b"]));
    }
}
