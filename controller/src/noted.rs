//! What could not be written, told once per change, and when to try again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::apply::Refused;

/// Waits after attempts in a row of which something was refused; the last one repeats.
pub(crate) const RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// What was refused in the last look, and how many looks in a row something was.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    failed: BTreeMap<String, String>,
    failures: usize,
}

impl Noted {
    /// Logs what is refused, once per change; gives how long to wait before the next attempt, if one
    /// is needed.
    pub(crate) fn note(&mut self, refused: BTreeMap<String, Refused>) -> Option<Duration> {
        let complete = refused.is_empty();
        let mut now = BTreeMap::new();
        for (what, refused) in refused {
            if let Refused::Rejected(error) | Refused::Error(error) = refused {
                if self.failed.get(&what) != Some(&error) {
                    tracing::warn!(%what, %error, "not written, trying again");
                }
                now.insert(what, error);
            }
        }
        self.failed = now;
        if complete {
            self.failures = 0;
            return None;
        }
        let wait = RETRY[self.failures.min(RETRY.len() - 1)];
        self.failures += 1;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_in_a_row_waits_longer_and_success_starts_anew() {
        let mut noted = Noted::default();
        let refused = || BTreeMap::from([("Service a/b".to_owned(), Refused::Conflict)]);
        let waits: Vec<_> = (0..6).map(|_| noted.note(refused())).collect();
        let expected = [100, 500, 2_000, 10_000, 30_000, 30_000];
        assert_eq!(waits, expected.map(|ms| Some(Duration::from_millis(ms))));
        assert_eq!(noted.note(BTreeMap::new()), None);
        assert_eq!(noted.note(refused()), Some(Duration::from_millis(100)));
    }
}
