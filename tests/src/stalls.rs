//! How long the machine itself stood still: a thread that sleeps for a moment and sees how long that took.
//!
//! It runs as urgently as the probers do, so what it misses is what nobody on this machine was given: a
//! virtual machine whose host is busy, a debugger, a laptop that slept. What a scenario saw meanwhile
//! says little about Herald.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::urgency;

/// How long it means to sleep.
const NAP: Duration = Duration::from_millis(5);

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Stalls {
    longest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Stalls {
    /// Looks from now on.
    pub fn watch() -> Self {
        let longest = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        thread::spawn({
            let (longest, stop) = (Arc::clone(&longest), Arc::clone(&stop));
            move || {
                urgency::raise();
                while !stop.load(Ordering::Relaxed) {
                    let nap = Stopwatch::start();
                    thread::sleep(NAP);
                    let stall = nap.elapsed().saturating_sub(NAP);
                    let micros = u64::try_from(stall.as_micros()).unwrap_or(u64::MAX);
                    longest.fetch_max(micros, Ordering::Relaxed);
                }
            }
        });
        Self { longest, stop }
    }

    /// The longest stall since this was asked last.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
