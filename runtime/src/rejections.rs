//! Writes that the API server rejects for a reason that lasts, as a field that is not valid or a right that
//! is missing: none of them is sent again before what is to be written changed, or a growing pause is over.
//! Pure.
//!
//! Not here: writes that fail because the API server does not answer, which are tried again soon.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

/// The pause after the first rejection; each one after that is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// Fields that say since when something is so. What was never written has the time of whoever looks.
const TIMES: [&str; 3] = ["lastTransitionTime", "lastErrorTime", "since"];

/// Rejected writes, by what they are about. `W` is what was to be written, and on what.
#[derive(Debug)]
pub struct Rejections<K, W>(BTreeMap<K, Rejection<W>>);

#[derive(Debug)]
struct Rejection<W> {
    write: W,
    pause: Duration,
    due: Instant,
}

impl<K, W> Default for Rejections<K, W> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, W: PartialEq> Rejections<K, W> {
    /// Whether this very write was rejected and is not due again yet.
    #[must_use]
    pub fn waits(&self, about: &K, write: impl FnOnce() -> W, now: Instant) -> bool {
        let rejection = self.0.get(about).filter(|rejection| now < rejection.due);
        rejection.is_some_and(|rejection| rejection.write == write())
    }

    /// The write was rejected; whether for the first time, so that it is told once.
    pub fn note(&mut self, about: K, write: W, now: Instant) -> bool {
        let before = self.0.get(&about);
        let before = before.filter(|before| before.write == write);
        let pause = before.map_or(FIRST, |before| (before.pause * 2).min(LONGEST));
        let is_first = before.is_none();
        let due = now + pause;
        self.0.insert(about, Rejection { write, pause, due });
        is_first
    }

    /// Something about it was written.
    pub fn forget(&mut self, about: &K) {
        self.0.remove(about);
    }

    /// Whether the last write about it was rejected.
    #[must_use]
    pub fn contains(&self, about: &K) -> bool {
        self.0.contains_key(about)
    }

    /// Forgets whatever is not about one of these.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.0.retain(|about, _| keep(about));
    }

    /// How long until the next of them is due.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let due = self.0.values().map(|rejection| rejection.due);
        due.filter(|due| *due > now)
            .map(|due| due.saturating_duration_since(now))
            .min()
    }
}

/// A number for what a write says, the same whenever it is said: times do not count.
#[must_use]
pub fn content(write: &impl Serialize) -> u64 {
    let mut value = serde_json::to_value(write).unwrap_or_default();
    strip_times(&mut value);
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

fn strip_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            fields.values_mut().for_each(strip_times);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_times),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether the API server's answer says that the same write is rejected each time: 400 Bad Request,
/// 403 Forbidden, 422 Unprocessable Entity.
#[must_use]
pub fn lasts(code: u16) -> bool {
    matches!(code, 400 | 403 | 422)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock;

    #[test]
    fn since_when_something_is_so_makes_no_other_write() {
        let status = |time: &str, reason: &str| {
            content(
                &json!({"conditions": [{"reason": reason, "lastTransitionTime": time}],
                "peers": [{"node": "b", "since": time}]}),
            )
        };
        let first = status("2026-01-01T00:00:00Z", "Ready");
        assert_eq!(status("2026-01-01T00:00:09Z", "Ready"), first);
        assert_ne!(status("2026-01-01T00:00:00Z", "Stopping"), first);
    }

    #[test]
    fn a_rejected_write_is_sent_ever_more_rarely_however_often_somebody_looks() {
        let start = clock::now();
        let mut rejections = Rejections::default();
        let mut sent = Vec::new();
        for half in 0..1_400 {
            let now = start + Duration::from_millis(500) * half;
            if !rejections.waits(&"a", || 1, now) {
                sent.push(half / 2);
                rejections.note("a", 1, now);
            }
        }
        assert_eq!(sent, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
        let last = start + Duration::from_secs(511);
        assert_eq!(rejections.next(last), Some(Duration::from_secs(300)));
        assert_eq!(rejections.next(last + LONGEST), None, "it is due");
    }

    #[test]
    fn what_changed_is_sent_at_once_and_begins_anew() {
        let now = clock::now();
        let mut rejections = Rejections::default();
        assert!(rejections.note("a", 1, now));
        assert!(!rejections.note("a", 1, now), "it is told once");
        assert!(rejections.waits(&"a", || 1, now) && !rejections.waits(&"b", || 1, now));
        assert!(!rejections.waits(&"a", || 2, now));
        assert!(rejections.note("a", 2, now));
        assert_eq!(rejections.next(now), Some(FIRST));
        rejections.forget(&"a");
        assert!(!rejections.waits(&"a", || 2, now));
        rejections.note("a", 2, now);
        rejections.retain(|about| *about != "a");
        assert_eq!(rejections.next(now), None);
    }
}
