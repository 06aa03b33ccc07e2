//! Chance in the times of packets (RFC 5880 section 6.8.7).

use std::time::Duration;

/// Numbers without pattern, from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 75 to 100 % of an interval; at most 90 % where the first packet that is lost counts.
    pub(crate) fn spread(&mut self, interval: Duration, multiplier: u8) -> Duration {
        let span = if multiplier == 1 { 150 } else { 250 };
        // Ten bits of chance, 0 to 1023 of 1023.
        let part = u32::try_from(self.draw() >> 54).unwrap_or_default();
        let share = 750 * 1023 + span * part;
        interval.saturating_mul(share) / (1000 * 1023)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_shortened_by_up_to_a_quarter_and_by_a_tenth_at_least_for_multiplier_one() {
        let second = Duration::from_secs(1);
        for (multiplier, most) in [(1, 900), (2, 1000), (3, 1000), (255, 1000)] {
            let mut jitter = Jitter::new(3);
            let draw = |_| jitter.spread(second, multiplier).as_micros();
            let drawn: Vec<u128> = (0..10_000).map(draw).collect();
            let (least, greatest) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
            assert!((750_000..755_000).contains(least), "{multiplier}: {least}");
            let end = most * 1000;
            assert!(
                (end - 5000..=end).contains(greatest),
                "{multiplier}: {greatest}"
            );
        }
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let longest = Duration::from_micros(u32::MAX.into());
        let drawn = Jitter::new(0).spread(longest, 3);
        assert!(drawn >= longest * 3 / 4 && drawn <= longest);
    }
}
