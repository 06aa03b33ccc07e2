//! How fast connections are taken: a flood of them costs little, and waits in the kernel. Pure.

use std::time::Duration;

use herald_bgp::Time;

/// So many at once, then one in each interval.
const BURST: u32 = 32;
const INTERVAL: Duration = Duration::from_millis(10);

/// How long nothing is taken when the kernel has none to give, for want of descriptors perhaps.
const REST: Duration = Duration::from_millis(100);

/// Since when connections would be taken if each took an interval.
#[derive(Debug, Default)]
pub(super) struct Pace(Time);

impl Pace {
    /// How long to wait for the next; none: it may be taken.
    pub(super) fn wait(&self, now: Time) -> Option<Duration> {
        let free = self.0.saturating_sub(INTERVAL * (BURST - 1));
        free.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// One was taken.
    pub(super) fn spend(&mut self, now: Time) {
        self.0 = self.0.max(now) + INTERVAL;
    }

    /// None is taken for a while.
    pub(super) fn rest(&mut self, now: Time) {
        self.0 = now + INTERVAL * (BURST - 1) + REST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_taken_at_a_hundred_a_second_after_its_first() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        let mut taken = 0;
        for now in (1_000_000..1_010_000).map(ms) {
            while pace.wait(now).is_none() {
                pace.spend(now);
                taken += 1;
            }
        }
        assert_eq!(taken, 32 + 999);
        assert_eq!(pace.wait(ms(1_009_999)), Some(ms(1)));
        pace.rest(ms(1_020_000));
        assert_eq!(pace.wait(ms(1_020_000)), Some(ms(100)));
        assert_eq!(pace.wait(ms(1_020_100)), None);
    }
}
