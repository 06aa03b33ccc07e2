//! Asking gateways until they answer (A6).
//!
//! "Who has the gateway? Tell the address" announces the address to the gateway, and its answer
//! proves that it took notice. Each gateway is asked five times, then given up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// From each question to the next: at 20, 60, 200 and 600 ms after the first. The last is the time
/// that is left to answer the last question.
const GAPS: [Duration; 5] = [
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(140),
    Duration::from_millis(400),
    Duration::from_millis(400),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Open,
    Answered,
    Silent,
}

#[derive(Debug, Clone, Copy)]
struct Climb {
    /// When the first question left.
    first: Instant,
    /// Questions that left.
    asked: usize,
    outcome: Outcome,
}

/// What is due for a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Another question.
    Question,
    /// It is silent.
    End,
    /// Nothing: it answered, or another question is on its way.
    Nothing,
}

/// Questions asked on behalf of the addresses of one interface.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    climbs: BTreeMap<(IpAddr, IpAddr), Climb>,
}

impl Ladder {
    /// A question left: when to look again, and how many have left until then.
    pub(super) fn asked(
        &mut self,
        address: IpAddr,
        gateway: IpAddr,
        now: Instant,
    ) -> Option<(Instant, usize)> {
        let climb = self.climbs.entry((address, gateway)).or_insert(Climb {
            first: now,
            asked: 0,
            outcome: Outcome::Open,
        });
        let gap = GAPS.get(climb.asked)?;
        climb.asked += 1;
        (climb.outcome == Outcome::Open).then_some((now + *gap, climb.asked))
    }

    /// What is due after `asked` questions.
    pub(super) fn due(&mut self, address: IpAddr, gateway: IpAddr, asked: usize) -> Due {
        let Some(climb) = self.climbs.get_mut(&(address, gateway)) else {
            return if asked == 0 {
                Due::Question
            } else {
                Due::Nothing
            };
        };
        if climb.asked != asked || climb.outcome != Outcome::Open {
            return Due::Nothing;
        }
        if asked < GAPS.len() {
            return Due::Question;
        }
        climb.outcome = Outcome::Silent;
        Due::End
    }

    /// `gateway` answered at `at`: how long after the first question, if that is news.
    pub(super) fn answered(
        &mut self,
        address: IpAddr,
        gateway: IpAddr,
        at: Instant,
    ) -> Option<Duration> {
        let climb = self.climbs.get_mut(&(address, gateway))?;
        if climb.outcome == Outcome::Answered {
            return None;
        }
        climb.outcome = Outcome::Answered;
        Some(at.saturating_duration_since(climb.first))
    }

    /// Forgets what was asked on behalf of an address.
    pub(super) fn forget(&mut self, address: IpAddr, gateways: &BTreeSet<IpAddr>) {
        for gateway in gateways {
            self.climbs.remove(&(address, *gateway));
        }
    }

    /// Keeps only what was asked of these gateways.
    pub(super) fn retain(&mut self, gateways: &BTreeSet<IpAddr>) {
        self.climbs
            .retain(|(_, gateway), _| gateways.contains(gateway));
    }
}
