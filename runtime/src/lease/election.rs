//! Who may act, decided from what a Lease says. Pure: records and time come in.
//!
//! The rules are client-go's: a Lease held by another is free once its record has not changed for
//! its duration *as measured here*; its own times are never compared with the local clock. A holder
//! that could not renew for [`Timing::renew_deadline`] (shorter than the duration, and counted from
//! when the last successful request was *sent*) no longer holds.

use std::time::{Duration, Instant};

/// How long a Lease lasts and how often it is renewed.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// What the Lease promises others, in whole seconds.
    pub duration: Duration,
    /// Without a successful renewal for this long, the holder stops.
    pub renew_deadline: Duration,
    /// Pause between two looks.
    pub retry: Duration,
}

impl Timing {
    /// A Lease of another length, divided as the default one is. The shortest is 3 s.
    #[must_use]
    pub fn lasting(duration: Duration) -> Self {
        let duration = duration.max(Duration::from_secs(3));
        Self {
            duration,
            renew_deadline: duration * 2 / 3,
            retry: duration * 2 / 15,
        }
    }
}

impl Default for Timing {
    /// client-go's defaults: 15 s, 10 s, 2 s.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a Lease object said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// resourceVersion it was read at.
    pub version: String,
    /// Identity of the holder, empty when released.
    pub holder: String,
    /// What the holder promised.
    pub duration: Duration,
    /// How often the holder changed.
    pub transitions: i32,
}

impl Record {
    /// Whether `identity` is the holder.
    #[must_use]
    pub fn is_held_by(&self, identity: &str) -> bool {
        self.holder == identity
    }
}

/// What to ask of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Nothing: somebody else holds the Lease.
    Wait,
    /// There is no Lease: create it.
    Create {
        /// Count of holder changes to write.
        transitions: i32,
    },
    /// Take or renew it, on the resourceVersion that was observed.
    Write {
        /// Count of holder changes to write.
        transitions: i32,
    },
}

/// One replica's view of the Lease.
#[derive(Debug)]
pub struct Election {
    identity: String,
    timing: Timing,
    observed: Option<(Option<Record>, Instant)>,
    renewed: Option<Instant>,
}

impl Election {
    /// Knows nothing yet, holds nothing.
    #[must_use]
    pub fn new(identity: String, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            observed: None,
            renewed: None,
        }
    }

    /// Name this replica writes into the Lease.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The promise written into the Lease, in seconds.
    #[must_use]
    pub fn duration_seconds(&self) -> i32 {
        i32::try_from(self.timing.duration.as_secs()).unwrap_or(i32::MAX)
    }

    /// The Lease was read. The age of a record counts from when it was first seen in this form.
    pub fn observe(&mut self, record: Option<Record>, now: Instant) {
        if !record
            .as_ref()
            .is_some_and(|record| record.is_held_by(&self.identity))
        {
            self.renewed = None;
        }
        let unchanged = self
            .observed
            .as_ref()
            .is_some_and(|(before, _)| *before == record);
        if !unchanged {
            self.observed = Some((record, now));
        }
    }

    /// Our write was accepted; it was asked for at `asked_at`.
    pub fn written(&mut self, record: Record, asked_at: Instant) {
        self.observed = Some((Some(record), asked_at));
        self.renewed = Some(asked_at);
    }

    /// What to do on what was last observed.
    #[must_use]
    pub fn next_move(&self, now: Instant) -> Move {
        let Some((record, since)) = &self.observed else {
            return Move::Wait;
        };
        let Some(record) = record else {
            return Move::Create { transitions: 0 };
        };
        if record.is_held_by(&self.identity) {
            return Move::Write {
                transitions: record.transitions,
            };
        }
        let expired = now.saturating_duration_since(*since) >= record.duration;
        if record.holder.is_empty() || expired {
            Move::Write {
                transitions: record.transitions.saturating_add(1),
            }
        } else {
            Move::Wait
        }
    }

    /// Whether this replica may act.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        self.renewed.is_some_and(|renewed| {
            now.saturating_duration_since(renewed) < self.timing.renew_deadline
        })
    }

    /// How long to pause before the next look; never past the moment we would stop holding.
    #[must_use]
    pub fn pause(&self, now: Instant) -> Duration {
        match self.renewed {
            Some(renewed) if self.holds(now) => {
                let left = (renewed + self.timing.renew_deadline).saturating_duration_since(now);
                left.min(self.timing.retry)
            }
            _ => self.timing.retry,
        }
    }

    /// How long one round of requests may take: no longer than we may go on holding.
    #[must_use]
    pub fn request_limit(&self, now: Instant) -> Duration {
        match self.renewed {
            Some(renewed) if self.holds(now) => {
                (renewed + self.timing.renew_deadline).saturating_duration_since(now)
            }
            _ => self.timing.renew_deadline,
        }
    }
}

#[cfg(test)]
mod tests;
