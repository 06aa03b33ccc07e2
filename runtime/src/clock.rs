//! The one file that reads a clock.
//!
//! Everything else is given the time, so that it can be stepped in a test.

use std::time::Instant;

use k8s_openapi::jiff::Timestamp;

/// Monotonic time, for deadlines and ages.
#[must_use]
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    Instant::now()
}

/// Wall-clock time in UTC, for what people read. It may jump: nothing is decided by it.
#[must_use]
pub fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    Timestamp::now()
}
