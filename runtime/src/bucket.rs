//! A token bucket: so many at once, so many in the long run. Pure.

use std::time::{Duration, Instant};

/// Starts full.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Time in which one token comes back.
    refill: Duration,
    /// Tokens at `since`; more than the capacity means full.
    tokens: f64,
    since: Option<Instant>,
}

impl Bucket {
    /// A full one that gets a token back each `refill`, which is not zero.
    #[must_use]
    pub fn new(refill: Duration) -> Self {
        Self {
            refill,
            tokens: f64::INFINITY,
            since: None,
        }
    }

    /// Takes a token out of a bucket that holds `capacity` of them.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub fn take(&mut self, capacity: usize, now: Instant) -> Result<(), Duration> {
        let capacity = f64::from(u32::try_from(capacity).unwrap_or(u32::MAX));
        let passed = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let back = passed.as_secs_f64() / self.refill.as_secs_f64();
        self.tokens = (self.tokens + back).min(capacity);
        self.since = Some(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(self.refill.mul_f64(1.0 - self.tokens))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::clock;

    use super::*;

    #[test]
    fn a_burst_is_given_at_once_and_the_rest_as_tokens_come_back() {
        let mut bucket = Bucket::new(Duration::from_secs(10));
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(bucket.take(2, at(0)), Ok(()));
        assert_eq!(bucket.take(2, at(0)), Ok(()));
        assert_eq!(bucket.take(2, at(0)), Err(Duration::from_secs(10)));
        assert_eq!(bucket.take(2, at(5)), Err(Duration::from_secs(5)));
        assert_eq!(bucket.take(2, at(10)), Ok(()));
        // A long rest fills it, and no further.
        assert_eq!(bucket.take(2, at(1000)), Ok(()));
        assert_eq!(bucket.take(2, at(1000)), Ok(()));
        assert!(bucket.take(2, at(1000)).is_err());
    }
}
