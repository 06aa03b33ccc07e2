//! Who was asked a moment ago: what is heard of them is an answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// An answer belongs to a question if it comes within this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// When each address was asked last.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<IpAddr, Instant>);

impl Asked {
    /// A question leaves; those whose answers would come too late are forgotten.
    pub(super) fn note(&mut self, address: IpAddr, now: Instant) {
        self.0.retain(|_, asked| is_recent(*asked, now));
        self.0.insert(address, now);
    }

    /// Whether something heard at `at` can be an answer.
    pub(super) fn lately(&self, address: IpAddr, at: Instant) -> bool {
        self.0
            .get(&address)
            .is_some_and(|asked| is_recent(*asked, at))
    }
}

fn is_recent(asked: Instant, at: Instant) -> bool {
    at.saturating_duration_since(asked) < ANSWERED_WITHIN
}
