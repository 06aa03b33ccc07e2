//! How often an address changed its owner lately. Pure.
//!
//! Fabrics freeze an address that moves too often (A18, protocol section 1.4): what moved twice
//! within a minute is not handed over again for better placement. A failing owner is always replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Changes of owner per [`PERIOD`] that are no reason to worry.
const FREE: usize = 2;
const PERIOD: Duration = Duration::from_secs(60);

/// The owners of late.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    owners: BTreeMap<IpAddr, String>,
    recent: BTreeMap<IpAddr, Vec<Instant>>,
    latest: Option<Instant>,
}

impl Moves {
    /// Takes note of who owns what now.
    pub(crate) fn note(&mut self, owners: &BTreeMap<IpAddr, String>, now: Instant) {
        for (address, owner) in owners {
            let before = self.owners.insert(*address, owner.clone());
            if before.is_some_and(|before| before != *owner) {
                self.recent.entry(*address).or_default().push(now);
                self.latest = Some(now);
            }
        }
        self.recent.retain(|_, moves| {
            moves.retain(|at| now.saturating_duration_since(*at) < PERIOD);
            !moves.is_empty()
        });
    }

    /// When any address moved last.
    pub(crate) fn latest(&self) -> Option<Instant> {
        self.latest
    }

    /// What moved so often that it should stay.
    pub(crate) fn damped(&self) -> BTreeSet<IpAddr> {
        let often = self.recent.iter().filter(|(_, moves)| moves.len() >= FREE);
        often.map(|(address, _)| *address).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_moves_within_a_minute_are_enough() {
        let vip: IpAddr = "192.0.2.1".parse().expect("an address");
        let t = herald_runtime::clock::now();
        let mut moves = Moves::default();
        let mut owner = |name: &str, second| {
            let now = t + Duration::from_secs(second);
            moves.note(&[(vip, name.to_owned())].into(), now);
            moves.damped().contains(&vip)
        };
        assert!(!owner("a", 0), "the first owner is no move");
        assert!(!owner("b", 1));
        assert!(!owner("b", 2));
        assert!(owner("a", 3));
        assert!(owner("a", 60));
        assert!(!owner("a", 61), "the first of the two is a minute ago");
    }
}
