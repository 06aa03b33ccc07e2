//! How much may be said on an interface (A8).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many frames may leave unasked on each interface. Answers to questions are not counted: a
/// question left open is an address gone dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Frames a second of every kind; at least 1.
    pub burst_per_second: u32,
    /// Of these, frames a second that refresh what is known already; 0: nothing is refreshed.
    pub refresh_per_second: u32,
}

/// Below this many frames a second, broadcasts come last: gateways and remembered clients are told
/// first, one by one (A8).
const SMALL: u32 = 100;

impl Default for Limits {
    /// 2 000 frames a second, 5 of them refreshing.
    fn default() -> Self {
        Self {
            burst_per_second: 2_000,
            refresh_per_second: 5,
        }
    }
}

impl Limits {
    /// 10 frames a second, 2 of them refreshing: for switches that shut a port which says more than
    /// 15 ARP frames in a second, as Cisco's dynamic ARP inspection does.
    #[must_use]
    pub const fn cautious() -> Self {
        Self {
            burst_per_second: 10,
            refresh_per_second: 2,
        }
    }

    /// Whether every frame is precious.
    pub(crate) const fn are_small(self) -> bool {
        self.burst_per_second < SMALL
    }
}

/// Frames that may leave at once.
const BURST: u32 = 64;

/// A sliding window: so many frames in any stretch of so long, counted exactly.
#[derive(Debug)]
pub(crate) struct Window {
    frames: usize,
    period: Duration,
    /// When the last frames left, oldest first; never more than `frames`.
    left: VecDeque<Instant>,
}

impl Window {
    /// At most `per_second` frames in any second, and at most 64 at once.
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        let burst = per_second.min(BURST);
        Self {
            frames: usize::try_from(burst).unwrap_or(1),
            period: Duration::from_secs(1) * burst / per_second,
            left: VecDeque::new(),
        }
    }

    /// Whether a frame may leave now.
    pub(crate) fn is_free(&self, now: Instant) -> bool {
        self.next().is_none_or(|next| next <= now)
    }

    /// A frame leaves now.
    pub(crate) fn take(&mut self, now: Instant) {
        if self.left.len() >= self.frames {
            self.left.pop_front();
        }
        self.left.push_back(now);
    }

    /// When a frame may leave; None: whenever it likes.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.left.len() < self.frames {
            return None;
        }
        self.left.front().map(|oldest| *oldest + self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin for virtual time"
        )]
        Instant::now()
    }

    /// Takes a frame whenever one may leave, for `length`.
    fn greedy(per_second: u32, length: Duration) -> Vec<Duration> {
        let start = clock();
        let mut window = Window::new(per_second);
        let mut now = start;
        let mut left = vec![];
        while now < start + length {
            if window.is_free(now) {
                window.take(now);
                left.push(now - start);
            } else {
                now = window.next().expect("a full window has a next time");
            }
        }
        left
    }

    #[test]
    fn no_second_holds_more_frames_than_allowed_wherever_it_begins() {
        for per_second in [1, 2, 5, 10, 15, 64] {
            let left = greedy(per_second, Duration::from_secs(20));
            for (index, from) in left.iter().enumerate() {
                let within = left[index..]
                    .iter()
                    .filter(|at| **at - *from < Duration::from_secs(1));
                assert!(
                    within.count() <= per_second as usize,
                    "{per_second} a second"
                );
            }
            assert_eq!(left.len(), 20 * per_second as usize, "and none is wasted");
        }
    }

    #[test]
    fn two_thousand_a_second_leave_64_at_a_time() {
        let left = greedy(2_000, Duration::from_secs(10));
        assert_eq!(left.len(), 20_032);
        for (index, at) in left.iter().enumerate() {
            assert!(index as u128 <= 64 + at.as_micros() / 500, "frame {index}");
        }
    }
}
