//! The witness path (protocol section 2.4, "No quorum"): which addresses are asked for on the LAN,
//! what was answered, and which are held on that word. It knows the answers and the times; who may
//! ask for an address, and what a claim is, is `node`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::lot::mix;
use crate::{Question, Time};

/// Between two questions of a round of three, and from the last one to the verdict.
const SPACING: Duration = Duration::from_millis(20);
const QUESTIONS: u32 = 3;
/// Between two looks at what is held, and until what was answered for is asked for again.
const ROUND: Duration = Duration::from_secs(1);
/// The most different times by which rivals ask again.
const SPREAD: u32 = 400;
/// How long a gateway that was asked may be silent while something is held.
const GATEWAY_PATIENCE: Duration = Duration::from_millis(200);
/// The most addresses in a first round at once: with this, no more than 1 600 questions a second.
const ASKED_AT_ONCE: usize = 32;
/// The most looks a second at what is held.
const LOOKS_PER_SECOND: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody answered so far.
    Asking { since: Time, asked: u32, last: Time },
    /// Nobody answered, and the gateway did.
    Held { looked: Time },
    /// Somebody answered, or the gateway did not.
    Refused { until: Time },
}

#[derive(Debug, Default)]
pub(crate) struct Witness {
    stages: BTreeMap<IpAddr, Stage>,
    /// When what is held was last confirmed to be.
    renewed: Time,
    gateway: Gateway,
    questions: BTreeSet<Question>,
    refusals: u32,
    /// Between two looks at the same address.
    look: Duration,
}

#[derive(Debug, Default)]
struct Gateway {
    heard: Option<Time>,
    /// The first question since then.
    asked: Option<Time>,
    last: Option<Time>,
}

impl Witness {
    pub(crate) fn stage(&self, address: IpAddr) -> Option<Stage> {
        self.stages.get(&address).copied()
    }

    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        matches!(self.stage(address), Some(Stage::Held { .. }))
    }

    /// Until when what is held is, unless it is confirmed again.
    pub(crate) fn held_until(&self, grant: Time) -> Time {
        self.renewed + grant
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.stages.keys().copied().collect()
    }

    pub(crate) fn forget(&mut self, address: IpAddr) {
        self.stages.remove(&address);
        self.questions.remove(&Question::Address(address));
    }

    /// Nothing is held or asked for any more; what is known of the gateway stays.
    pub(crate) fn forget_all(&mut self) {
        self.stages.clear();
        self.questions.retain(|one| *one == Question::Gateway);
    }

    pub(crate) fn gateway_heard(&self) -> Option<Time> {
        self.gateway.heard
    }

    /// Asks for a gateway where none was heard of lately; when to come back.
    pub(crate) fn seek_gateway(&mut self, now: Time) -> Time {
        let gateway = &mut self.gateway;
        let fresh = gateway.heard.map(|heard| heard + ROUND / 2);
        if let Some(fresh) = fresh.filter(|fresh| now < *fresh) {
            return fresh;
        }
        if gateway.last.is_none_or(|last| now >= last + SPACING) {
            gateway.last = Some(now);
            self.questions.insert(Question::Gateway);
        }
        gateway.last.map_or(now, |last| last) + SPACING
    }

    /// A majority is back, or this node slept: nothing is held any more.
    pub(crate) fn reset(&mut self) {
        self.stages.clear();
        self.questions.clear();
        self.gateway.asked = None;
    }

    /// Begins to ask for an address; whether there was room to.
    pub(crate) fn begin(&mut self, address: IpAddr, now: Time) -> bool {
        let asking = |stage: &&Stage| matches!(stage, Stage::Asking { .. });
        if self.stages.values().filter(asking).count() >= ASKED_AT_ONCE {
            return false;
        }
        self.stages.insert(
            address,
            Stage::Asking {
                since: now,
                asked: 0,
                last: now,
            },
        );
        true
    }

    pub(crate) fn note_gateway(&mut self, now: Time) {
        self.gateway.heard = Some(now);
        self.gateway.asked = None;
    }

    /// Whether that ended something.
    pub(crate) fn note_answer(&mut self, address: IpAddr, lot: u64, now: Time) -> bool {
        let concerned = matches!(
            self.stage(address),
            Some(Stage::Asking { .. } | Stage::Held { .. })
        );
        if concerned {
            self.refuse(address, lot, now);
        }
        concerned
    }

    /// Asks again after a second and a part of it that differs from node to node and time to time.
    fn refuse(&mut self, address: IpAddr, lot: u64, now: Time) {
        self.refusals = self.refusals.wrapping_add(1);
        let more = mix(lot ^ u64::from(self.refusals)) % u64::from(SPREAD);
        let until = now + ROUND + Duration::from_millis(more);
        self.stages.insert(address, Stage::Refused { until });
        self.questions.remove(&Question::Address(address));
    }

    pub(crate) fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_first()
    }

    /// Goes on with `address`: asks, looks again. True when it may be held now and was not.
    pub(crate) fn advance(&mut self, address: IpAddr, lot: u64, now: Time) -> bool {
        match self.stage(address) {
            Some(Stage::Asking { since, asked, last }) => {
                if asked > 0 && now < last + SPACING {
                    return false;
                }
                let answered = self.gateway.heard.is_some_and(|heard| heard >= since);
                if asked < QUESTIONS {
                    let asked = asked + 1;
                    let stage = Stage::Asking {
                        since,
                        asked,
                        last: now,
                    };
                    self.stages.insert(address, stage);
                    self.questions.insert(Question::Address(address));
                    if !answered {
                        self.questions.insert(Question::Gateway);
                    }
                    return false;
                }
                if !answered {
                    self.refuse(address, lot, now);
                }
                answered
            }
            Some(Stage::Held { looked }) => {
                if now >= looked + self.look.max(ROUND) {
                    self.questions.insert(Question::Address(address));
                    self.stages.insert(address, Stage::Held { looked: now });
                }
                false
            }
            Some(Stage::Refused { until }) => {
                if now >= until {
                    self.stages.remove(&address);
                }
                false
            }
            None => false,
        }
    }

    pub(crate) fn hold(&mut self, address: IpAddr, now: Time) {
        self.stages.insert(address, Stage::Held { looked: now });
        self.renewed = self.renewed.max(now);
    }

    /// What was held ran out before this node came back to it.
    pub(crate) fn overslept(&self, grant: Time, now: Time) -> bool {
        self.stages.values().any(is_held) && now >= self.held_until(grant)
    }

    /// Confirms what is held and looks after the gateway; without it nothing is held.
    pub(crate) fn renew(&mut self, lot: u64, now: Time) {
        self.renewed = now;
        let held = self.stages.values().filter(|stage| is_held(stage)).count();
        self.look = ROUND * u32::try_from(held).unwrap_or(u32::MAX) / LOOKS_PER_SECOND;
        if held == 0 {
            self.gateway.asked = None;
            return;
        }
        let gateway = &mut self.gateway;
        match gateway.asked {
            None if gateway.heard.is_none_or(|heard| now >= heard + ROUND) => {
                gateway.asked = Some(now);
                gateway.last = Some(now);
                self.questions.insert(Question::Gateway);
            }
            None => {}
            Some(asked) if now >= asked + GATEWAY_PATIENCE => {
                gateway.asked = None;
                let held = self.stages.iter().filter(|(_, stage)| is_held(stage));
                let held: Vec<IpAddr> = held.map(|(address, _)| *address).collect();
                for address in held {
                    self.refuse(address, lot, now);
                }
            }
            Some(_) if gateway.last.is_none_or(|last| now >= last + SPACING) => {
                gateway.last = Some(now);
                self.questions.insert(Question::Gateway);
            }
            Some(_) => {}
        }
    }

    /// When to come back, if there is anything to do.
    pub(crate) fn next(&self, interval: Time) -> Option<Time> {
        let stages = self.stages.values().map(|stage| match stage {
            Stage::Asking { asked: 0, last, .. } => *last,
            Stage::Asking { last, .. } => *last + SPACING,
            Stage::Held { .. } if self.gateway.asked.is_some() => self.renewed + SPACING,
            Stage::Held { .. } => self.renewed + interval,
            Stage::Refused { until } => *until,
        });
        stages.min()
    }
}

fn is_held(stage: &Stage) -> bool {
    matches!(stage, Stage::Held { .. })
}
