//! Times of a session, and chance in them (RFC 4271 section 10).

use std::time::Duration;

use crate::Time;

/// While an OPEN is waited for.
pub(crate) const LARGE_HOLD: Duration = Duration::from_mins(4);
/// The least time a peer may read nothing (RFC 9687 section 3.2).
const LEAST_SEND_HOLD: Duration = Duration::from_mins(8);
/// The longest wait after refusals, unless the user wants longer.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The longest wait after a session that stood.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long the peer may take to say which of two connections it keeps.
pub(crate) const VERDICT: Duration = Duration::from_secs(3);
/// A session that stood for so long was no refusal, however it ended.
pub(crate) const STABLE: Duration = Duration::from_mins(1);

/// How long a peer may leave what it is sent unread.
pub(crate) fn send_hold(hold_time: Duration) -> Duration {
    LEAST_SEND_HOLD.max(hold_time * 2)
}

/// How long to wait before a session is tried again, after so many refusals in a row.
pub(crate) fn wait(connect_time: Duration, refusals: u32) -> Duration {
    match refusals.checked_sub(1) {
        None => connect_time.min(FIRST_WAIT),
        Some(doublings) => {
            let longest = connect_time.max(LONGEST_WAIT);
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            connect_time.saturating_mul(factor).min(longest)
        }
    }
}

/// The timers of one connection: when each expires, if it runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timers {
    pub(crate) retry: Option<Time>,
    pub(crate) hold: Option<Time>,
    pub(crate) keepalive: Option<Time>,
    pub(crate) send_hold: Option<Time>,
    /// Until then the connection is let be, since the peer may keep it in place of an established one.
    pub(crate) verdict: Option<Time>,
}

impl Timers {
    /// The first to expire.
    pub(crate) fn next(&self) -> Option<Time> {
        let Self {
            retry,
            hold,
            keepalive,
            send_hold,
            verdict,
        } = self;
        [retry, hold, keepalive, send_hold, verdict]
            .into_iter()
            .copied()
            .flatten()
            .min()
    }
}

/// Numbers without pattern, from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0.75 to 1.0 of `time`.
    pub(crate) fn spread(&mut self, time: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let part = u32::try_from(mixed >> 54).unwrap_or_default();
        // Ten bits of chance: 3072 to 4095 of 4096.
        time.saturating_mul(3072 + part) / 4096
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn refusals_are_answered_by_longer_waits_up_to_a_minute() {
        let waits: Vec<u64> = (0..8).map(|n| wait(SECOND * 5, n).as_secs()).collect();
        assert_eq!(waits, [1, 5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(wait(SECOND * 90, u32::MAX), SECOND * 90);
        assert_eq!(wait(SECOND * 5, u32::MAX), SECOND * 60);
    }

    /// RFC 4271 section 10.
    #[test]
    fn jitter_is_between_three_quarters_and_one() {
        let mut jitter = Jitter::new(7);
        let drawn: Vec<Duration> = (0..10_000).map(|_| jitter.spread(SECOND)).collect();
        let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*least >= SECOND * 3 / 4 && *least < SECOND * 76 / 100);
        assert!(*most <= SECOND && *most > SECOND * 99 / 100);
        let mean = drawn.iter().sum::<Duration>() / 10_000;
        assert!(mean > SECOND * 87 / 100 && mean < SECOND * 88 / 100);
    }

    /// RFC 9687 section 3.2.
    #[test]
    fn send_hold_is_eight_minutes_or_twice_the_hold_time() {
        assert_eq!(send_hold(SECOND * 90), SECOND * 480);
        assert_eq!(send_hold(SECOND * 300), SECOND * 600);
        assert_eq!(send_hold(Duration::ZERO), SECOND * 480);
    }
}
