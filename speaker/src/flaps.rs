//! Which nodes came back too often lately to be given anything (A18). Pure.
//!
//! A node that returns once is welcome. One that falls silent again and again is passed over for
//! longer each time it returns, up to a minute: what it is given it would lose again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a node is passed over after its second return; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
/// After so long without a silence what was before is forgotten.
const STEADY: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
struct History {
    returns: u32,
    /// Since it returned.
    since: Instant,
    silent: bool,
}

impl History {
    /// How long it is passed over from its last return on.
    fn penalty(&self) -> Duration {
        let Some(doublings) = self.returns.checked_sub(2) else {
            return Duration::ZERO;
        };
        let times = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        FIRST.saturating_mul(times).min(LONGEST)
    }
}

/// What is remembered of each node that was silent.
#[derive(Debug, Default)]
pub(crate) struct Flaps {
    present: BTreeSet<String>,
    histories: BTreeMap<String, History>,
}

impl Flaps {
    /// Takes note of who is heard, by a node that hears a majority: whoever does not would take its
    /// own silence for that of others.
    pub(crate) fn note(&mut self, live: &BTreeSet<String>, now: Instant) {
        for name in self.present.difference(live) {
            let fresh = History {
                returns: 0,
                since: now,
                silent: true,
            };
            self.histories.entry(name.clone()).or_insert(fresh).silent = true;
        }
        for name in live.difference(&self.present) {
            if let Some(history) = self.histories.get_mut(name) {
                history.returns = history.returns.saturating_add(1);
                history.since = now;
                history.silent = false;
            }
        }
        self.histories
            .retain(|_, history| now < history.since + STEADY);
        self.present.clone_from(live);
    }

    /// Who is to be passed over at this moment.
    pub(crate) fn held_down(&self, now: Instant) -> BTreeSet<String> {
        let held = |history: &History| !history.silent && now < history.since + history.penalty();
        let histories = self.histories.iter();
        let held = histories.filter(|(_, history)| held(history));
        held.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use herald_runtime::clock;

    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Node `b` falls silent and returns a second later, at each of these seconds.
    fn returning(at: &[u64]) -> (Flaps, Instant) {
        let start = clock::now();
        let mut flaps = Flaps::default();
        flaps.note(&names(&["a", "b"]), start);
        for second in at {
            let second = start + Duration::from_secs(*second);
            flaps.note(&names(&["a"]), second - Duration::from_secs(1));
            flaps.note(&names(&["a", "b"]), second);
        }
        (flaps, start)
    }

    #[test]
    fn a_node_that_returns_again_and_again_is_passed_over_twice_as_long_each_time() {
        let cases: [(&[u64], u64); 6] = [
            (&[], 0),
            (&[10], 0),
            (&[10, 20], 2),
            (&[10, 20, 30], 4),
            (&[10, 20, 30, 40, 50], 16),
            (&[10, 20, 30, 40, 50, 60, 70, 80, 90], 60),
        ];
        for (at, expected) in cases {
            let (flaps, start) = returning(at);
            let last = start + Duration::from_secs(at.last().copied().unwrap_or(0));
            let after = |seconds| flaps.held_down(last + Duration::from_secs(seconds));
            assert!(after(expected).is_empty(), "{at:?}");
            if let Some(before) = expected.checked_sub(1) {
                assert_eq!(after(before), names(&["b"]), "{at:?}");
            }
        }
    }

    #[test]
    fn ten_minutes_without_a_silence_make_it_welcome_again() {
        let (flaps, start) = returning(&[10, 20, 630]);
        assert!(flaps.held_down(start + Duration::from_secs(630)).is_empty());
        let (flaps, start) = returning(&[10, 20, 610]);
        assert_eq!(
            flaps.held_down(start + Duration::from_secs(611)),
            names(&["b"])
        );
    }

    #[test]
    fn who_is_new_did_not_return() {
        let (mut flaps, start) = returning(&[]);
        flaps.note(&names(&["a", "b", "c"]), start);
        assert!(flaps.held_down(start).is_empty());
    }
}
