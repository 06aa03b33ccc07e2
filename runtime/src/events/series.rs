//! Which happenings are one Event that goes on, and when that is written. Pure.
//!
//! The same that happens again to the same object within [`WINDOW`] is one Event whose count grows, so that
//! whatever goes to and fro does not bury the rest. Its newest note counts.
//!
//! Not here: the objects and writing them (`events`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Happening, Kind};

/// For so long after the last time the same is the same Event; client-go does likewise.
const WINDOW: Duration = Duration::from_secs(360);

/// A series that goes on is written so often at most.
const PACE: Duration = Duration::from_secs(10);

/// So many Events are remembered; of more the one that was seen longest ago is forgotten.
pub(super) const REMEMBERED: usize = 1_024;

/// What has to be the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    object: [Option<String>; 4],
    about: Option<String>,
    is_warning: bool,
    reason: &'static str,
    action: &'static str,
}

impl Key {
    fn of(happening: &Happening) -> Self {
        let object = &happening.regarding;
        Self {
            object: [&object.kind, &object.namespace, &object.name, &object.uid].map(Clone::clone),
            about: happening.about.clone(),
            is_warning: happening.kind == Kind::Warning,
            reason: happening.reason,
            action: happening.action,
        }
    }
}

/// One Event.
#[derive(Debug)]
struct Entry {
    number: u64,
    count: i32,
    happening: Happening,
    seen: Instant,
    written: Instant,
    /// Whether the count grew since it was written.
    is_pending: bool,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// An Event, which has this number from now on.
    Create { number: u64, happening: Happening },
    /// The Event of this number happened so often, this time like this.
    Update {
        number: u64,
        count: i32,
        happening: Happening,
    },
}

/// All Events that may go on.
#[derive(Debug, Default)]
pub(super) struct Series {
    entries: BTreeMap<Key, Entry>,
    created: u64,
}

impl Series {
    /// Something happened: what is to be written of it now, if anything.
    pub(super) fn observe(&mut self, happening: Happening, now: Instant) -> Option<Act> {
        let key = Key::of(&happening);
        if let Some(entry) = self.entries.get_mut(&key)
            && now.saturating_duration_since(entry.seen) < WINDOW
        {
            entry.count = entry.count.saturating_add(1);
            entry.happening = happening;
            entry.seen = now;
            entry.is_pending = true;
            return entry.due(now);
        }
        self.make_room();
        self.created += 1;
        let (number, count) = (self.created, 1);
        let entry = Entry {
            number,
            count,
            happening: happening.clone(),
            seen: now,
            written: now,
            is_pending: false,
        };
        self.entries.insert(key, entry);
        Some(Act::Create { number, happening })
    }

    /// What is to be written though nothing happens.
    pub(super) fn due(&mut self, now: Instant) -> Option<Act> {
        self.entries.values_mut().find_map(|entry| entry.due(now))
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        let pending = self.entries.values().filter(|entry| entry.is_pending);
        pending.map(|entry| entry.written + PACE).min()
    }

    /// The numbers of the Events that may go on.
    pub(super) fn numbers(&self) -> BTreeSet<u64> {
        self.entries.values().map(|entry| entry.number).collect()
    }

    /// The Event of this number could not be written: it is due again after a while.
    pub(super) fn fail(&mut self, number: u64) {
        let mut entries = self.entries.values_mut();
        if let Some(entry) = entries.find(|entry| entry.number == number) {
            entry.is_pending = true;
        }
    }

    /// There is no such Event any more: the next time is a new one.
    pub(super) fn forget(&mut self, number: u64) {
        self.entries.retain(|_, entry| entry.number != number);
    }

    fn make_room(&mut self) {
        if self.entries.len() < REMEMBERED {
            return;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.seen);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            self.entries.remove(&oldest);
        }
    }
}

impl Entry {
    fn due(&mut self, now: Instant) -> Option<Act> {
        let is_due = self.is_pending && now >= self.written + PACE;
        is_due.then(|| {
            self.is_pending = false;
            self.written = now;
            Act::Update {
                number: self.number,
                count: self.count,
                happening: self.happening.clone(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    fn happening(name: &str, about: &str, note: &str) -> Happening {
        Happening {
            regarding: ObjectReference {
                name: Some(name.to_owned()),
                ..ObjectReference::default()
            },
            about: Some(about.to_owned()),
            kind: Kind::Normal,
            reason: "Announced",
            action: "Announce",
            note: note.to_owned(),
        }
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_is_one_event_that_is_written_now_and_then_and_at_last() {
        let start = clock::now();
        let mut series = Series::default();
        let first = series.observe(happening("web", "192.0.2.1", "0"), start);
        assert!(matches!(first, Some(Act::Create { number: 1, .. })));
        let mut updates = Vec::new();
        for second in 1..45 {
            let note = second.to_string();
            let act = series.observe(happening("web", "192.0.2.1", &note), at(start, second));
            updates.extend(act);
        }
        assert_eq!(series.next(), Some(at(start, 50)));
        updates.extend(series.due(at(start, 49)));
        updates.extend(series.due(at(start, 50)));
        let counts: Vec<_> = updates
            .iter()
            .map(|act| match act {
                Act::Update {
                    count, happening, ..
                } => (*count, happening.note.as_str()),
                Act::Create { .. } => (0, "another Event"),
            })
            .collect();
        let expected = [(11, "10"), (21, "20"), (31, "30"), (41, "40"), (45, "44")];
        assert_eq!(counts, expected);
        assert_eq!(series.next(), None);
    }

    #[test]
    fn another_address_object_or_time_is_another_event() {
        let start = clock::now();
        let mut series = Series::default();
        let mut creates = |name: &str, about: &str, second| {
            let act = series.observe(happening(name, about, ""), at(start, second));
            matches!(act, Some(Act::Create { .. }))
        };
        assert!(creates("web", "192.0.2.1", 0));
        assert!(creates("web", "192.0.2.2", 0));
        assert!(creates("api", "192.0.2.1", 0));
        assert!(!creates("web", "192.0.2.1", 359));
        assert!(!creates("web", "192.0.2.1", 700), "it went on");
        assert!(creates("web", "192.0.2.1", 1_060));
    }

    #[test]
    fn an_event_is_written_again_or_made_anew_when_that_failed_and_few_are_remembered() {
        let start = clock::now();
        let mut series = Series::default();
        series.observe(happening("web", "a", ""), start);
        let later = at(start, 10);
        series.observe(happening("web", "a", ""), at(start, 1));
        let update = series.due(later);
        assert!(matches!(update, Some(Act::Update { count: 2, .. })));
        assert_eq!(series.due(at(start, 90)), None, "it is written");
        series.fail(1);
        assert_eq!(series.due(later), None, "not at once again");
        assert_eq!(series.due(at(start, 20)), update);
        series.forget(1);
        let again = series.observe(happening("web", "a", ""), start);
        assert!(matches!(again, Some(Act::Create { number: 2, .. })));
        for number in 0..2 * REMEMBERED {
            series.observe(happening("web", &number.to_string(), ""), at(start, 1));
        }
        assert_eq!(series.entries.len(), REMEMBERED);
    }

    proptest! {
        #[test]
        fn everything_is_counted_once(steps in prop::collection::vec((0u8..4, 0u64..200), 1..200)) {
            let start = clock::now();
            let (mut series, mut now) = (Series::default(), start);
            let mut counts: BTreeMap<u64, i32> = BTreeMap::new();
            let mut note = |act: Act| match act {
                Act::Create { number, .. } => counts.insert(number, 1).is_none(),
                Act::Update { number, count, .. } => {
                    counts.insert(number, count).is_some_and(|before| before < count)
                }
            };
            for (which, wait) in &steps {
                let until = now + Duration::from_secs(*wait);
                while let Some(next) = series.next().filter(|next| *next <= until) {
                    now = now.max(next);
                    let act = series.due(now);
                    prop_assert!(act.is_some_and(&mut note));
                }
                now = until;
                let act = series.observe(happening("web", &which.to_string(), ""), now);
                prop_assert!(act.is_none_or(&mut note));
            }
            while let Some(next) = series.next() {
                now = now.max(next);
                let act = series.due(now);
                prop_assert!(act.is_some_and(&mut note));
            }
            prop_assert_eq!(counts.values().sum::<i32>(), i32::try_from(steps.len()).unwrap());
        }
    }
}
