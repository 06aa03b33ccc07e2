//! The newest version of every Service that this process has seen.
//!
//! A watch may lag behind what the controller itself wrote, or fall back behind what it showed
//! before (a relist from a restored or lagging API server). Planning on that could give an address
//! to a second Service. So the newest version seen is kept, and whoever vanishes while it holds an
//! address of ours, or falls back, is doubted until the API server has been asked directly.
//!
//! A look costs a comparison of pointers for each Service that did not change.
//!
//! Not here: asking (`apply`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herald_model::service::ServiceKey;
use herald_runtime::watch::ObjectName;

use crate::kept::Service;
use crate::observed;

#[derive(Debug)]
struct Entry {
    newest: Arc<Service>,
    /// The newest version the watch has shown.
    shown: u64,
    /// What the watch showed last, when nothing is open about it.
    seen: Option<Arc<Service>>,
}

impl Entry {
    /// Takes in what the watch shows; whether it is to be doubted.
    fn observe(&mut self, object: &Arc<Service>) -> Seen {
        if self
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, object))
        {
            return Seen::Same;
        }
        let new = object.version;
        let seen = if new >= self.newest.version {
            self.newest = Arc::clone(object);
            Seen::Newer(new)
        } else if new >= self.shown {
            Seen::Same
        } else {
            return Seen::Doubted;
        };
        self.shown = new;
        self.seen = Some(Arc::clone(object));
        seen
    }
}

/// What a look at one Service found.
enum Seen {
    Same,
    Newer(u64),
    Doubted,
}

/// The newest Services.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    entries: BTreeMap<ServiceKey, Entry>,
    /// Those that are not as they were when somebody last asked.
    changed: BTreeSet<ServiceKey>,
    newest: u64,
}

impl Fresh {
    /// Takes in what the watch shows; gives the Services that have to be asked for directly before
    /// anything is planned.
    pub(crate) fn observe(
        &mut self,
        snapshot: &BTreeMap<ObjectName, Arc<Service>>,
    ) -> BTreeSet<ServiceKey> {
        let mut doubted = BTreeSet::new();
        let (mut added, mut vanished) = (Vec::new(), Vec::new());
        let mut shown = snapshot.iter().peekable();
        let mut known = self.entries.iter_mut().peekable();
        loop {
            let order = match (shown.peek(), known.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((name, _)), Some((key, _))) => {
                    name.parts().cmp(&(key.namespace(), key.name()))
                }
            };
            let (object, entry) = match order {
                Ordering::Less => (shown.next(), None),
                Ordering::Greater => (None, known.next()),
                Ordering::Equal => (shown.next(), known.next()),
            };
            match (object, entry) {
                (Some((_, object)), Some((key, entry))) => match entry.observe(object) {
                    Seen::Same => {}
                    Seen::Newer(version) => {
                        self.newest = self.newest.max(version);
                        self.changed.insert(key.clone());
                    }
                    Seen::Doubted => {
                        doubted.insert(key.clone());
                    }
                },
                (Some((name, object)), None) => {
                    added.push((observed::key(name), Arc::clone(object)));
                }
                (None, Some((key, entry))) if entry.newest.holds() => {
                    doubted.insert(key.clone());
                }
                (None, Some((key, _))) => vanished.push(key.clone()),
                (None, None) => {}
            }
        }
        for key in vanished {
            self.entries.remove(&key);
            self.changed.insert(key);
        }
        for (key, object) in added {
            let entry = Entry {
                newest: Arc::clone(&object),
                shown: object.version,
                seen: Some(object),
            };
            self.set(key, entry);
        }
        doubted
    }

    /// Takes in what the API server answered when it was asked directly, or to a write: the truth,
    /// also when it is older.
    pub(crate) fn confirm(&mut self, key: ServiceKey, object: Option<Service>) {
        if let Some(object) = object {
            let entry = Entry {
                newest: Arc::new(object),
                shown: 0,
                seen: None,
            };
            self.set(key, entry);
        } else {
            self.entries.remove(&key);
            self.changed.insert(key);
        }
    }

    /// Takes in a complete list that the API server answered.
    pub(crate) fn confirm_all(&mut self, objects: Vec<(ServiceKey, Service)>) {
        self.changed
            .extend(std::mem::take(&mut self.entries).into_keys());
        for (key, object) in objects {
            self.confirm(key, Some(object));
        }
    }

    fn set(&mut self, key: ServiceKey, entry: Entry) {
        self.newest = self.newest.max(entry.newest.version);
        self.changed.insert(key.clone());
        self.entries.insert(key, entry);
    }

    /// The newest version of any Service, ever.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The newest version of a Service; none when it is gone.
    pub(crate) fn get(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.entries.get(key).map(|entry| &entry.newest)
    }

    /// The newest version of every Service.
    pub(crate) fn services(&self) -> BTreeMap<ServiceKey, Arc<Service>> {
        self.entries
            .iter()
            .map(|(key, entry)| (key.clone(), Arc::clone(&entry.newest)))
            .collect()
    }

    /// The names of all Services.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ServiceKey> {
        self.entries.keys()
    }

    /// The Services that came, changed or went since this was last asked.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use herald_config::service::{Class, DEFAULT_CLASS};
    use serde_json::json;

    use super::*;

    fn object(version: u64, address: Option<&str>) -> Service {
        of_class(DEFAULT_CLASS, version, address)
    }

    fn of_class(class: &str, version: u64, address: Option<&str>) -> Service {
        let ingress: Vec<_> = address.iter().map(|ip| json!({"ip": ip})).collect();
        let object = serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "s", "resourceVersion": version.to_string()},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": class},
            "status": {"loadBalancer": {"ingress": ingress}},
        }));
        Service::of(&object.unwrap(), &Class::default())
    }

    fn shown(objects: &[Service]) -> BTreeMap<ObjectName, Arc<Service>> {
        let name = || ObjectName::new("n", "s");
        objects
            .iter()
            .map(|s| (name(), Arc::new(s.clone())))
            .collect()
    }

    fn key() -> ServiceKey {
        ServiceKey::new("n", "s")
    }

    fn newest(fresh: &Fresh) -> Option<u64> {
        fresh.services().get(&key()).map(|s| s.version)
    }

    #[test]
    fn what_was_written_counts_until_the_watch_catches_up() {
        let mut fresh = Fresh::default();
        assert!(fresh.observe(&shown(&[object(5, None)])).is_empty());
        fresh.confirm(key(), Some(object(9, Some("192.0.2.1"))));
        for (watch, expected) in [(5, 9), (7, 9), (9, 9), (12, 12)] {
            assert!(
                fresh.observe(&shown(&[object(watch, None)])).is_empty(),
                "{watch}"
            );
            assert_eq!(newest(&fresh), Some(expected), "{watch}");
        }
    }

    #[test]
    fn a_watch_that_falls_back_is_doubted_and_the_answer_counts_whatever_its_age() {
        let mut fresh = Fresh::default();
        fresh.observe(&shown(&[object(12, Some("192.0.2.1"))]));
        let old = shown(&[object(7, None)]);
        assert_eq!(fresh.observe(&old), [key()].into());
        assert_eq!(newest(&fresh), Some(12));
        fresh.confirm(key(), Some(object(7, None)));
        assert!(fresh.observe(&old).is_empty());
        assert_eq!(newest(&fresh), Some(7));
    }

    #[test]
    fn who_vanishes_with_an_address_is_doubted_and_without_one_forgotten() {
        for (address, doubted) in [(Some("192.0.2.1"), true), (None, false)] {
            let mut fresh = Fresh::default();
            fresh.observe(&shown(&[object(5, address)]));
            assert_eq!(!fresh.observe(&shown(&[])).is_empty(), doubted);
            assert_eq!(newest(&fresh).is_some(), doubted);
            fresh.confirm(key(), None);
            assert!(fresh.observe(&shown(&[])).is_empty());
            assert_eq!(newest(&fresh), None);
        }
    }

    #[test]
    fn who_is_not_ours_is_forgotten_whatever_it_has() {
        let mut fresh = Fresh::default();
        let theirs = of_class("example.com/lb", 5, Some("192.0.2.1"));
        fresh.observe(&shown(&[theirs]));
        assert!(fresh.observe(&shown(&[])).is_empty());
        assert_eq!(newest(&fresh), None);
    }

    #[test]
    fn a_complete_list_replaces_everything() {
        let mut fresh = Fresh::default();
        fresh.observe(&shown(&[object(5, Some("192.0.2.1"))]));
        fresh.confirm_all(vec![(key(), object(8, Some("192.0.2.2")))]);
        assert!(
            fresh
                .observe(&shown(&[object(5, Some("192.0.2.1"))]))
                .is_empty()
        );
        assert_eq!(newest(&fresh), Some(8));
        fresh.confirm_all(vec![]);
        assert_eq!(newest(&fresh), None);
    }
}
