//! Whether addresses are being given, so that what may wait does wait. Pure.
//!
//! Whatever is written takes the API server from those who wait for an address.

use std::time::{Duration, Instant};

/// No address was given for so long: that was all.
const CALM: Duration = Duration::from_millis(250);

/// In a rush that does not end addresses go alone for so long, and together with the rest for a tenth
/// of it.
const ALONE: Duration = Duration::from_secs(60);
const TOGETHER: Duration = Duration::from_secs(6);

/// When addresses were given lately.
#[derive(Debug, Default)]
pub(crate) struct Rush(Option<Course>);

#[derive(Debug)]
struct Course {
    began: Instant,
    last: Instant,
}

impl Rush {
    /// Addresses are given now.
    pub(crate) fn gives(&mut self, now: Instant) {
        let began = self.0.as_ref().map_or(now, |course| course.began);
        self.0 = Some(Course { began, last: now });
    }

    /// How long addresses go alone if no more are given; nothing when the rest may be written.
    pub(crate) fn lasts(&mut self, now: Instant) -> Option<Duration> {
        let course = self.0.as_ref()?;
        let calm = course.last + CALM;
        if calm <= now {
            self.0 = None;
            return None;
        }
        let mut turn = now.saturating_duration_since(course.began);
        while turn >= ALONE + TOGETHER {
            turn -= ALONE + TOGETHER;
        }
        (turn < ALONE).then(|| calm.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    #[test]
    fn the_rest_waits_until_no_address_was_given_for_a_while() {
        let start = herald_runtime::clock::now() + START;
        let at = |ms| start + Duration::from_millis(ms);
        let mut rush = Rush::default();
        assert_eq!(rush.lasts(at(0)), None);
        rush.gives(at(0));
        assert_eq!(rush.lasts(at(0)), Some(CALM));
        assert_eq!(rush.lasts(at(100)), Some(Duration::from_millis(150)));
        rush.gives(at(200));
        assert_eq!(rush.lasts(at(260)), Some(Duration::from_millis(190)));
        assert_eq!(rush.lasts(at(450)), None);
        rush.gives(at(500));
        assert_eq!(rush.lasts(at(500)), Some(CALM));
    }

    #[test]
    fn a_rush_that_does_not_end_leaves_the_rest_a_tenth_of_the_time() {
        let start = herald_runtime::clock::now() + START;
        let mut rush = Rush::default();
        let mut together = Duration::ZERO;
        let step = Duration::from_millis(100);
        for n in 0..6_600 {
            let now = start + step * n;
            rush.gives(now);
            if rush.lasts(now).is_none() {
                together += step;
            }
        }
        assert_eq!(together, TOGETHER * 10);
    }
}
