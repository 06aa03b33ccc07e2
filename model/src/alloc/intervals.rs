//! Numbers taken, as maximal runs: finding the first free one does not depend on how many are
//! taken.
//!
//! Not here: what the numbers are (`ledger`).

use std::collections::BTreeMap;

/// A set of numbers kept as disjoint runs that never touch each other: first -> last, inclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intervals(BTreeMap<u128, u128>);

/// The answer of a search and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    /// The smallest number that qualifies.
    pub(super) at: Option<u128>,
    /// Runs looked at.
    pub(super) steps: usize,
}

impl Intervals {
    /// The run that holds `n`.
    fn run(&self, n: u128) -> Option<(u128, u128)> {
        let (&first, &last) = self.0.range(..=n).next_back()?;
        (n <= last).then_some((first, last))
    }

    /// Adds `n`; nothing happens when it is there.
    pub(super) fn insert(&mut self, n: u128) {
        self.insert_all(n, n);
    }

    /// Adds `first ..= last`, some of which may be there.
    pub(super) fn insert_all(&mut self, first: u128, last: u128) {
        let below = self.run(first.saturating_sub(1));
        let above = self.run(last.saturating_add(1));
        let first = below.map_or(first, |(start, _)| start.min(first));
        let last = above.map_or(last, |(_, end)| end.max(last));
        let inside: Vec<u128> = self
            .0
            .range(first..=last)
            .map(|(start, _)| *start)
            .collect();
        for start in inside {
            self.0.remove(&start);
        }
        self.0.insert(first, last);
    }

    /// Takes `n` out; nothing happens when it is not there.
    pub(super) fn remove(&mut self, n: u128) {
        let Some((first, last)) = self.run(n) else {
            return;
        };
        self.0.remove(&first);
        if first < n {
            self.0.insert(first, n - 1);
        }
        if n < last {
            self.0.insert(n + 1, last);
        }
    }

    /// The smallest number in `first ..= last` that is neither in the set nor `barred`. As runs
    /// never touch, each step either ends the search or meets a barred number.
    pub(super) fn first_gap(&self, first: u128, last: u128, barred: impl Fn(u128) -> bool) -> Gap {
        let mut steps = 0;
        let mut next = Some(first);
        while let Some(n) = next.filter(|n| *n <= last) {
            steps += 1;
            next = match self.run(n) {
                Some((_, end)) => end.checked_add(1),
                None if barred(n) => n.checked_add(1),
                None => return Gap { at: Some(n), steps },
            };
        }
        Gap { at: None, steps }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_plain_set(
            operations in prop::collection::vec((0u8..5, 0u128..40, 0u128..9), 0..120),
            first in 0u128..40,
            span in 0u128..40,
            barred in 0u128..5,
        ) {
            let (mut runs, mut plain) = (Intervals::default(), BTreeSet::new());
            for (what, n, more) in operations {
                match what {
                    0 | 1 => {
                        runs.insert(n);
                        plain.insert(n);
                    }
                    2 => {
                        runs.insert_all(n, n + more);
                        plain.extend(n..=n + more);
                    }
                    _ => {
                        runs.remove(n);
                        plain.remove(&n);
                    }
                }
            }
            let bar = |n: u128| barred > 0 && n.is_multiple_of(barred + 1);
            let expected = (first..=first + span).find(|n| !plain.contains(n) && !bar(*n));
            prop_assert_eq!(runs.first_gap(first, first + span, bar).at, expected);
            for n in 0..50 {
                prop_assert_eq!(runs.run(n).is_some(), plain.contains(&n));
            }
            let ends: Vec<_> = runs.0.iter().map(|(a, b)| (*a, *b)).collect();
            prop_assert!(ends.windows(2).all(|w| w[0].1 + 1 < w[1].0), "runs touch: {:?}", ends);
        }
    }

    #[test]
    fn the_last_number_of_all_can_be_taken_and_given_back() {
        let mut runs = Intervals::default();
        runs.insert(u128::MAX);
        runs.insert(u128::MAX - 1);
        assert_eq!(runs.first_gap(u128::MAX - 1, u128::MAX, |_| false).at, None);
        runs.remove(u128::MAX);
        assert_eq!(runs.first_gap(0, u128::MAX, |_| false).at, Some(0));
        assert_eq!(
            runs.first_gap(u128::MAX - 1, u128::MAX, |_| false).at,
            Some(u128::MAX)
        );
    }
}
