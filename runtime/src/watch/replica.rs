//! The copy itself: watch events in, a map out. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::runtime::watcher::Event;

/// What identifies an object of one kind, ordered by namespace, then name. Cluster-scoped objects
/// have an empty namespace. A copy is another pointer to the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(Arc<str>);

/// Between namespace and name; before everything that either may contain, so that texts are ordered
/// as the pairs are.
const BETWEEN: char = '\0';

impl ObjectName {
    /// The object of this name in a namespace.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}{BETWEEN}{name}").into())
    }

    /// Namespace, empty for a cluster-scoped kind, and name.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once(BETWEEN).unwrap_or_default()
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.parts().1
    }
}

/// What is kept of every object of one kind.
#[derive(Debug)]
pub struct Replica<V> {
    objects: BTreeMap<ObjectName, Arc<V>>,
    relist: Option<BTreeMap<ObjectName, Arc<V>>>,
    complete: bool,
    revision: u64,
}

impl<V> Default for Replica<V> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            relist: None,
            complete: false,
            revision: 0,
        }
    }
}

impl<V> Replica<V> {
    /// Every object known, as of the last complete list and the changes since.
    #[must_use]
    pub fn objects(&self) -> &BTreeMap<ObjectName, Arc<V>> {
        &self.objects
    }

    /// Whether a complete list was ever received.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How often what readers see has changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Shows `objects` until the first list is complete. Changes nothing after that.
    pub fn recall(&mut self, objects: impl IntoIterator<Item = (ObjectName, V)>) {
        if !self.complete {
            let shared = |(name, object)| (name, Arc::new(object));
            self.objects = objects.into_iter().map(shared).collect();
            self.revision += 1;
        }
    }

    /// Takes one event, of whose object is kept what `keep` makes of it; true when readers see
    /// something else than before.
    pub fn apply<K>(&mut self, event: Event<K>, keep: impl Fn(K) -> (ObjectName, V)) -> bool {
        let changed = match event {
            Event::Apply(object) => {
                let (name, object) = keep(object);
                self.objects.insert(name, Arc::new(object));
                true
            }
            Event::Delete(object) => self.objects.remove(&keep(object).0).is_some(),
            Event::Init => {
                self.relist = Some(BTreeMap::new());
                false
            }
            Event::InitApply(object) => {
                let (name, object) = keep(object);
                let relist = self.relist.get_or_insert_default();
                relist.insert(name, Arc::new(object));
                false
            }
            Event::InitDone => {
                self.objects = self.relist.take().unwrap_or_default();
                self.complete = true;
                true
            }
        };
        self.revision += u64::from(changed);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (&'static str, u32);

    fn named(pair: Pair) -> (ObjectName, Pair) {
        (ObjectName::new("", pair.0), pair)
    }

    fn seen(replica: &Replica<Pair>) -> Vec<Pair> {
        replica.objects().values().map(|object| **object).collect()
    }

    fn replica(events: Vec<Event<Pair>>) -> Replica<Pair> {
        let mut replica = Replica::default();
        for event in events {
            replica.apply(event, named);
        }
        replica
    }

    #[test]
    fn nothing_is_seen_of_the_first_list_before_it_is_complete() {
        let half = replica(vec![Event::Init, Event::InitApply(("a", 1))]);
        assert_eq!((seen(&half), half.is_complete()), (vec![], false));
        let whole = replica(vec![
            Event::Init,
            Event::InitApply(("a", 1)),
            Event::InitDone,
        ]);
        assert_eq!((seen(&whole), whole.is_complete()), (vec![("a", 1)], true));
    }

    #[test]
    fn a_relist_removes_what_it_does_not_name_and_only_when_it_is_done() {
        let mut copy = replica(vec![
            Event::Init,
            Event::InitApply(("a", 1)),
            Event::InitApply(("b", 1)),
            Event::InitDone,
            Event::Init,
            Event::InitApply(("b", 2)),
        ]);
        assert_eq!(seen(&copy), vec![("a", 1), ("b", 1)]);
        assert!(copy.apply(Event::InitDone, named));
        assert_eq!(seen(&copy), vec![("b", 2)]);
    }

    #[test]
    fn what_is_recalled_is_shown_until_the_first_list_is_complete() {
        let mut copy = Replica::default();
        copy.recall([named(("old", 1))]);
        assert_eq!((seen(&copy), copy.is_complete()), (vec![("old", 1)], false));
        copy.apply(Event::Init, named);
        copy.apply(Event::InitApply(("new", 2)), named);
        assert_eq!(seen(&copy), vec![("old", 1)]);
        copy.apply(Event::InitDone, named);
        copy.recall([named(("old", 1))]);
        assert_eq!(seen(&copy), vec![("new", 2)]);
    }

    #[test]
    fn a_deleted_object_that_was_never_seen_changes_nothing() {
        let mut copy = replica(vec![Event::Init, Event::InitDone]);
        let before = copy.revision();
        assert!(!copy.apply(Event::Delete(("ghost", 1)), named));
        assert_eq!(copy.revision(), before);
        assert!(copy.apply(Event::Apply(("a", 1)), named));
        assert_eq!(copy.revision(), before + 1);
    }
}
