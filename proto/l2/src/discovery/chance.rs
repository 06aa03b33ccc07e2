//! Delays that differ between nodes (splitmix64): nothing depends on nobody foreseeing them.

use std::time::Duration;

#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From nothing to nearly `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        let thousandths = u32::try_from(self.next() % 1000).unwrap_or_default();
        most * thousandths / 1000
    }

    /// Within a tenth of `time` (RFC 7559 §2: RAND).
    pub(super) fn around(&mut self, time: Duration) -> Duration {
        time * 9 / 10 + self.up_to(time / 5)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
