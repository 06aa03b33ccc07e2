//! Time in the lab: the only file of this crate that reads a clock.
//!
//! The lab measures real programs, so its time is real. Nothing here is virtual.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic now.
#[expect(
    clippy::disallowed_methods,
    reason = "the lab's one reading of the monotonic clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since the Unix epoch, for API objects and capture files.
#[expect(
    clippy::disallowed_methods,
    reason = "the lab's one reading of the wall clock"
)]
pub fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Wall time as a Kubernetes `MicroTime` (RFC 3339, microseconds, UTC).
pub fn micro_time(since_epoch: Duration) -> String {
    let (date, time) = civil(since_epoch.as_secs());
    format!("{date}T{time}.{:06}Z", since_epoch.subsec_micros())
}

/// Wall time as a Kubernetes `Time` (RFC 3339, whole seconds, UTC).
pub fn seconds_time(since_epoch: Duration) -> String {
    let (date, time) = civil(since_epoch.as_secs());
    format!("{date}T{time}Z")
}

/// Proleptic Gregorian date and time of day of `seconds` after the epoch
/// (days-to-civil after Howard Hinnant's public-domain derivation).
fn civil(seconds: u64) -> (String, String) {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60),
    )
}

/// Measures from its making.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        now().duration_since(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_year_ends_are_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(seconds_time(Duration::from_secs(seconds)), text);
        }
        assert_eq!(
            micro_time(Duration::from_micros(1_000_042)),
            "1970-01-01T00:00:01.000042Z"
        );
    }
}
