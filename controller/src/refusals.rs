//! Services whose addresses could not be written: why, and when they are tried again. Pure.
//!
//! Each has a pace of its own: rounds come with every change in the cluster, and what is refused for a
//! reason that lasts, as a missing right, is not asked for again in each of them. A Service that
//! changed is tried at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use herald_model::service::ServiceKey;

use crate::assign::Patch;
use crate::noted::RETRY;

/// Those whose last write was refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<ServiceKey, Refusal>);

#[derive(Debug)]
struct Refusal {
    error: String,
    /// The version of the Service that was to be changed.
    version: u64,
    attempts: usize,
    due: Instant,
}

impl Refusals {
    /// Whether this write has to wait, since it was refused a moment ago.
    pub(crate) fn waits(&self, patch: &Patch, now: Instant) -> bool {
        let refusal = self.0.get(&patch.key);
        refusal.is_some_and(|refusal| refusal.version == patch.version && now < refusal.due)
    }

    /// Whether a write of this Service was refused last time.
    pub(crate) fn contains(&self, key: &ServiceKey) -> bool {
        self.0.contains_key(key)
    }

    /// A write of this version of a Service was refused; logs why, once per change.
    pub(crate) fn note(&mut self, key: ServiceKey, version: u64, error: String, now: Instant) {
        let before = self.0.get(&key);
        if before.is_none_or(|before| before.error != error) {
            tracing::warn!(service = %key, %error, "addresses are not written, trying again");
        }
        let attempts = before.map_or(0, |before| before.attempts);
        let wait = RETRY.get(attempts).or(RETRY.last()).copied();
        let refusal = Refusal {
            error,
            version,
            attempts: attempts + 1,
            due: now + wait.unwrap_or_default(),
        };
        self.0.insert(key, refusal);
    }

    /// A Service was written.
    pub(crate) fn forget(&mut self, key: &ServiceKey) {
        self.0.remove(key);
    }

    /// Forgets those that need no write any more.
    pub(crate) fn retain(&mut self, unsettled: &BTreeSet<ServiceKey>) {
        self.0.retain(|key, _| unsettled.contains(key));
    }

    /// Why they were refused.
    pub(crate) fn errors(&self) -> BTreeMap<ServiceKey, String> {
        let each = self.0.iter();
        each.map(|(key, refusal)| (key.clone(), refusal.error.clone()))
            .collect()
    }

    /// How long until the next of them is due. One that is due and was not tried waits for something
    /// else.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        let waits = self.0.values().map(|refusal| refusal.due);
        let next = waits.filter(|due| *due > now).min()?;
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::Value;

    use super::*;

    fn key() -> ServiceKey {
        ServiceKey::new("shop", "web")
    }

    fn patch(version: u64) -> Patch {
        let address: IpAddr = [192, 0, 2, 1].into();
        Patch {
            key: key(),
            version,
            body: Value::Null,
            holds: BTreeSet::new(),
            wants: [address].into(),
            unasked: false,
            happening: None,
        }
    }

    #[test]
    fn a_refused_service_keeps_its_pace_however_many_rounds_there_are() {
        let start = herald_runtime::clock::now();
        let mut refusals = Refusals::default();
        let mut attempts = Vec::new();
        for ms in (0..80_000).step_by(50) {
            let now = start + Duration::from_millis(ms);
            if !refusals.waits(&patch(7), now) {
                attempts.push(ms);
                refusals.note(key(), 7, "forbidden (403)".to_owned(), now);
            }
        }
        assert_eq!(attempts, [0, 100, 600, 2_600, 12_600, 42_600, 72_600]);
        let now = start + Duration::from_millis(72_600);
        assert_eq!(refusals.next(now), Some(Duration::from_secs(30)));
        assert_eq!(refusals.next(now + Duration::from_secs(30)), None);
        assert_eq!(
            refusals.errors(),
            [(key(), "forbidden (403)".to_owned())].into()
        );
    }

    #[test]
    fn a_refused_service_that_changed_is_tried_at_once_and_one_that_was_written_begins_anew() {
        let now = herald_runtime::clock::now();
        let mut refusals = Refusals::default();
        for _ in 0..5 {
            refusals.note(key(), 7, String::new(), now);
        }
        assert!(refusals.waits(&patch(7), now));
        assert!(!refusals.waits(&patch(8), now));
        refusals.forget(&key());
        assert!(!refusals.waits(&patch(7), now) && !refusals.contains(&key()));
        refusals.note(key(), 7, String::new(), now);
        assert_eq!(refusals.next(now), Some(RETRY[0]));
        refusals.retain(&BTreeSet::new());
        assert_eq!(refusals.next(now), None);
    }
}
