//! Whether an address should go to a node that carries less, for no other reason. Pure; off unless
//! asked for, since a move that nobody needs is a risk that nobody needs.
//!
//! One address at a time and rarely (protocol section 2.4): the node that carries most hands it to the
//! one that follows in line, where that carries at least two less and is no worse a choice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use herald_model::announce::Desired;

/// From any move in the cluster to such a one.
const PAUSE: Duration = Duration::from_secs(10);
/// Loads that differ by less are even.
const UNEVEN: usize = 2;

/// When this node last gave an address away for this.
#[derive(Debug, Default)]
pub(crate) struct Rebalance {
    last: Option<Instant>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loads<'a> {
    pub me: &'a str,
    pub desired: &'a Desired,
    pub lines: &'a BTreeMap<IpAddr, Vec<String>>,
    pub owners: &'a BTreeMap<IpAddr, String>,
    /// What moved often enough lately.
    pub damped: &'a BTreeSet<IpAddr>,
    /// When any address moved last.
    pub moved: Option<Instant>,
}

impl Rebalance {
    /// An address of this node that another should have now.
    pub(crate) fn choose(&mut self, loads: &Loads<'_>, now: Instant) -> Option<IpAddr> {
        let recently = |last: Instant| now.saturating_duration_since(last) < PAUSE;
        if self.last.is_some_and(recently) || loads.moved.is_some_and(recently) {
            return None;
        }
        let chosen = loads.surplus()?;
        self.last = Some(now);
        Some(chosen)
    }
}

impl Loads<'_> {
    fn surplus(&self) -> Option<IpAddr> {
        let mut carried: BTreeMap<&str, usize> = BTreeMap::new();
        for owner in self.owners.values() {
            *carried.entry(owner).or_default() += 1;
        }
        let of = |node: &str| carried.get(node).copied().unwrap_or(0);
        let most = carried
            .iter()
            .max_by_key(|(node, count)| (**count, **node))?;
        if *most.0 != self.me {
            return None;
        }
        let mut lines = self.lines.iter();
        let (address, _) = lines.find(|(address, line)| {
            let [first, next, ..] = line.as_slice() else {
                return false;
            };
            first == self.me
                && self.owners.get(address) == Some(first)
                && !self.damped.contains(address)
                && of(first) >= of(next) + UNEVEN
                && self.as_good(**address, next)
        })?;
        Some(*address)
    }

    /// Whether the user prefers this node no more than the other.
    fn as_good(&self, address: IpAddr, other: &str) -> bool {
        let announcement = self.desired.addresses.get(&address);
        let candidate = |node| announcement?.candidates.get(node);
        match (candidate(self.me), candidate(other)) {
            (Some(mine), Some(other)) => {
                (mine.reluctance, mine.weight) == (other.reluctance, other.weight)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herald_model::announce::{Announcement, Candidate};

    use super::*;

    /// Addresses owned by a, b, c in these numbers; all may announce all, `a` with this weight.
    fn with<T>(
        counts: [usize; 3],
        weight: u32,
        me: &str,
        check: impl FnOnce(&Loads<'_>) -> T,
    ) -> T {
        let nodes = ["a", "b", "c"];
        let of_nodes = nodes.iter().zip(counts);
        let of_nodes = of_nodes.flat_map(|(node, n)| vec![*node; n]);
        let (mut desired, mut lines) = (Desired::default(), BTreeMap::new());
        let mut owners = BTreeMap::new();
        for (number, owner) in (1u8..).zip(of_nodes) {
            let address = IpAddr::from([192, 0, 2, number]);
            let candidate = |node: &&str| {
                let weight = if *node == "a" { weight } else { 0 };
                let candidate = Candidate {
                    weight,
                    ..Candidate::default()
                };
                ((*node).to_owned(), candidate)
            };
            let announcement = Announcement {
                candidates: Arc::new(nodes.iter().map(candidate).collect()),
                ..Announcement::default()
            };
            desired.addresses.insert(address, announcement);
            let others = nodes.iter().rev().filter(|node| **node != owner);
            let line = [owner].into_iter().chain(others.copied());
            lines.insert(address, line.map(str::to_owned).collect());
            owners.insert(address, owner.to_owned());
        }
        check(&Loads {
            me,
            desired: &desired,
            lines: &lines,
            owners: &owners,
            damped: &BTreeSet::new(),
            moved: None,
        })
    }

    #[test]
    fn only_the_fullest_node_gives_and_only_to_one_that_has_two_less() {
        let gives =
            |counts, weight, me| with(counts, weight, me, |loads| loads.surplus()).is_some();
        assert!(gives([4, 2, 2], 0, "a"));
        assert!(!gives([4, 2, 2], 0, "b"));
        assert!(!gives([3, 2, 2], 0, "a"), "even enough");
        assert!(!gives([0, 0, 0], 0, "a"));
        assert!(
            !gives([4, 4, 0], 0, "a"),
            "of two equal ones the last by name"
        );
        assert!(gives([4, 4, 0], 0, "b"));
        assert!(!gives([4, 2, 2], 7, "a"), "the user prefers it");
    }

    #[test]
    fn one_address_in_ten_seconds_of_the_whole_cluster() {
        let t = herald_runtime::clock::now();
        with([4, 2, 2], 0, "a", |loads| {
            let mut rebalance = Rebalance::default();
            assert!(rebalance.choose(loads, t).is_some());
            assert_eq!(rebalance.choose(loads, t + PAUSE / 2), None);
            assert!(rebalance.choose(loads, t + PAUSE).is_some());
            let elsewhere = Loads {
                moved: Some(t + PAUSE),
                ..*loads
            };
            assert_eq!(rebalance.choose(&elsewhere, t + PAUSE * 3 / 2), None);
        });
    }
}
