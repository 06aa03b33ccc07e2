//! When changes may be sent (R5): at once as a rule, gathered when they come without end.
//!
//! Withdrawals and prefixes that the peer does not have are sent at once: [`BURST`] batches in a row,
//! and from then on one in each `gather`. Other changes are sent at once after as much silence, else
//! when `gather` has passed since the last batch. Without that a thousand flaps a second would be a
//! thousand messages a second.

use std::time::Duration;

use crate::Time;

/// How many urgent batches may leave without a pause.
const BURST: u32 = 10;

/// The pace of one session.
#[derive(Debug)]
pub(crate) struct Pace {
    gather: Duration,
    /// Urgent batches that may leave at once, as of `counted`.
    credit: u32,
    counted: Time,
    last: Option<Time>,
}

impl Pace {
    pub(crate) const fn new(gather: Duration) -> Self {
        Self {
            gather,
            credit: BURST,
            counted: Duration::ZERO,
            last: None,
        }
    }

    pub(crate) const fn set_gather(&mut self, gather: Duration) {
        self.gather = gather;
    }

    /// A session begins.
    pub(crate) const fn reset(&mut self, now: Time) {
        self.credit = BURST;
        self.counted = now;
        self.last = None;
    }

    /// The earliest time at which the next batch may leave.
    pub(crate) fn due(&self, urgent: bool) -> Time {
        let Some(last) = self.last else {
            return Duration::ZERO;
        };
        if !urgent {
            last + self.gather
        } else if self.credit > 0 {
            Duration::ZERO
        } else {
            self.counted + self.gather
        }
    }

    /// A batch left.
    pub(crate) fn left(&mut self, now: Time) {
        self.refill(now);
        self.credit = self.credit.saturating_sub(1);
        self.last = Some(now);
    }

    /// Time passed.
    pub(crate) fn refill(&mut self, now: Time) {
        while self.credit < BURST && self.counted + self.gather <= now {
            self.credit += 1;
            self.counted += self.gather;
        }
        if self.credit == BURST {
            self.counted = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What leaves of urgent batches that are wanted every millisecond.
    fn flood(pace: &mut Pace, from: Time, millis: u32) -> Vec<Time> {
        let times = (0..millis).map(|ms| from + MS * ms);
        times
            .filter(|now| {
                pace.refill(*now);
                let may = pace.due(true) <= *now;
                if may {
                    pace.left(*now);
                }
                may
            })
            .collect()
    }

    #[test]
    fn urgent_batches_leave_at_once_and_a_flood_of_them_fifty_times_a_second() {
        let mut pace = Pace::new(MS * 20);
        let start = MS * 1000;
        pace.reset(start);
        let left = flood(&mut pace, start, 3000);
        assert_eq!(
            left[..10],
            std::array::from_fn::<_, 10, _>(|n| start + MS * n as u32)
        );
        assert!(
            left.windows(2)
                .skip(10)
                .all(|pair| pair[1] - pair[0] == MS * 20)
        );
        assert!((158..=162).contains(&left.len()), "{}", left.len());
        let after_silence = flood(&mut pace, start + MS * 10_000, 10);
        assert_eq!(after_silence.len(), 10);
    }

    #[test]
    fn other_changes_wait_for_silence_and_never_longer_than_the_window() {
        let mut pace = Pace::new(MS * 20);
        pace.reset(MS);
        assert!(pace.due(false) <= MS);
        pace.left(MS * 5);
        assert_eq!(pace.due(false), MS * 25);
        assert!(pace.due(true) <= MS * 5);
    }
}
