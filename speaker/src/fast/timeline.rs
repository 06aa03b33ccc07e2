//! One time for beacons and frames.
//!
//! Ownership is held by the time since the machine started (`CLOCK_BOOTTIME`), which runs on while
//! the machine is suspended. The station's instants are that time, counted from the thread's start,
//! so that a deadline means the same to both.

use std::time::{Duration, Instant};

use herald_beacon::Time;
use herald_runtime::clock;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    started: Time,
    origin: Instant,
}

impl Timeline {
    pub(super) fn start() -> Self {
        Self {
            started: clock::boot(),
            origin: clock::now(),
        }
    }

    pub(super) fn instant(&self, time: Time) -> Instant {
        self.origin + time.saturating_sub(self.started)
    }
}

/// How long ago the kernel took a message. A wall clock that was set back makes it zero; one that was
/// set forward cannot make it longer than `longest`.
pub(super) fn age(taken: Option<Duration>, longest: Duration) -> Duration {
    let Some(taken) = taken else {
        return Duration::ZERO;
    };
    let now = u128::try_from(clock::wall().as_nanosecond()).unwrap_or(0);
    let age = now.saturating_sub(taken.as_nanos());
    Duration::from_nanos(u64::try_from(age).unwrap_or(u64::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_as_far_apart_as_the_times_they_stand_for() {
        let line = Timeline::start();
        let time = line.started + Duration::from_secs(5);
        let later = time + Duration::from_millis(7);
        let apart = line.instant(later).duration_since(line.instant(time));
        assert_eq!(apart, Duration::from_millis(7));
    }

    #[test]
    fn a_clock_that_jumps_makes_no_message_older_than_it_can_be() {
        assert_eq!(age(None, Duration::from_secs(1)), Duration::ZERO);
        let in_the_future = Duration::from_secs(1 << 40);
        assert_eq!(
            age(Some(in_the_future), Duration::from_secs(1)),
            Duration::ZERO
        );
        let limit = Duration::from_secs(1);
        assert_eq!(age(Some(Duration::ZERO), limit), limit);
    }
}
