//! The one file that reads a clock.
//!
//! Everything else is given the time, so that it can be stepped in a test.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Monotonic time, for deadlines and ages.
#[must_use]
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    Instant::now()
}

/// Wall-clock time in UTC, for what people read and what has to outlive a restart. It may jump: whoever
/// decides by it bears that.
#[must_use]
pub fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    Timestamp::now()
}

/// Time since the machine started, suspended or not: what ownership is held by.
#[must_use]
pub fn boot() -> Duration {
    #[expect(
        clippy::expect_used,
        reason = "CLOCK_BOOTTIME exists since Linux 2.6.39"
    )]
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("the kernel knows the clock");
    time.into()
}

/// Waits so long, or for ever.
pub async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
