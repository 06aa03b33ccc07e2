//! A live copy of what the API server says, one kind at a time.
//!
//! A pump per kind feeds a [`Replica`]; readers take whole snapshots and are told *that* something
//! changed, never what. A relist replaces the whole copy at once, so a reader never sees half of
//! one. When the API server goes away the last copy stays; when it comes back with other data, the
//! relist brings exactly that.
//!
//! A failing watch is retried for ever, slower each time, and says why in [`Reports`].
//!
//! Not here: the watch itself (`pump`), and copies on the disk (`keepsake`).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;

use crate::supervise::{Stop, Tasks};

mod keepsake;
mod pump;
mod replica;

pub use keepsake::Keepsake;
use pump::{Pump, name_of, trim};
pub use replica::{ObjectName, Replica};

/// How one watch is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is watched, in the plural form the API uses.
    pub name: &'static str,
    /// Whether a complete list was received since the start.
    pub synced: bool,
    /// Whether the copy is what an earlier life of the process wrote down.
    pub recalled: bool,
    /// Why the watch does not run at the moment, in the API server's words.
    pub error: Option<String>,
}

/// How all watches of one process are doing. Cloning gives another handle.
#[derive(Debug, Clone, Default)]
pub struct Reports(Arc<Mutex<BTreeMap<&'static str, Report>>>);

impl Reports {
    /// Every watch, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Report> {
        self.locked().values().cloned().collect()
    }

    /// Whether every watch has received a complete list since the start.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.locked().values().all(|report| report.synced)
    }

    /// Whether every watch has received a complete list since the start, or stands on what an
    /// earlier life of the process wrote down.
    #[must_use]
    pub fn usable(&self) -> bool {
        let locked = self.locked();
        locked
            .values()
            .all(|report| report.synced || report.recalled)
    }

    /// One sentence for every watch that has not received a complete list yet.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<String> {
        let locked = self.locked();
        let missing = locked.values().filter(|report| !report.synced);
        let sentence = |report: &Report| match &report.error {
            Some(error) => format!("{} cannot be listed: {error}", report.name),
            None => format!("{} are not listed yet", report.name),
        };
        missing.map(sentence).collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<&'static str, Report>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All watches of one process.
#[derive(Debug)]
pub struct Watches {
    reports: Reports,
    changed: channel::Sender<()>,
    keepsake: Keepsake,
}

impl Default for Watches {
    fn default() -> Self {
        Self {
            reports: Reports::default(),
            changed: channel::Sender::new(()),
            keepsake: Keepsake::default(),
        }
    }
}

impl Watches {
    /// No watches yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No watches yet; those that follow may stand on what is in `keepsake` while the API server
    /// does not answer, and are written to it.
    #[must_use]
    pub fn with(keepsake: Keepsake) -> Self {
        Self {
            keepsake,
            ..Self::default()
        }
    }

    /// Starts to keep a copy of every object of one kind. `name` is the plural, for people.
    pub fn watch<K>(&self, tasks: &mut Tasks, name: &'static str, api: Api<K>) -> Watched<K>
    where
        K: Resource + Serialize + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let watched = Watched::default();
        self.keepsake.include(name, &watched);
        let config = watcher::Config::default();
        self.start(tasks, api, config, self.pump(name, &watched));
        watched
    }

    /// As [`Self::watch`], restricted by selectors. Never written down.
    pub fn watch_with<K>(
        &self,
        tasks: &mut Tasks,
        name: &'static str,
        api: Api<K>,
        config: watcher::Config,
    ) -> Watched<K>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let watched = Watched::default();
        self.start(tasks, api, config, self.pump(name, &watched));
        watched
    }

    /// As [`Self::watch`], for kinds with many objects: keeps of each only what `keep` makes of it.
    /// Never written down, nor recalled.
    pub fn watch_as<K, V>(
        &self,
        tasks: &mut Tasks,
        name: &'static str,
        api: Api<K>,
        keep: impl Fn(&K) -> V + Send + 'static,
    ) -> Watched<V>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let watched = Watched::default();
        let keep = move |object: K| (name_of(&object), keep(&object));
        let pump = Pump::new(name, self, &watched, keep, None);
        self.start(tasks, api, watcher::Config::default(), pump);
        watched
    }

    /// As [`Self::watch_as`], for a kind that not every API server serves, or lets be read: then there
    /// is none of it.
    pub fn watch_where_served<K, V>(
        &self,
        tasks: &mut Tasks,
        name: &'static str,
        api: Api<K>,
        keep: impl Fn(&K) -> V + Send + 'static,
    ) -> Watched<V>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let watched = Watched::default();
        let keep = move |object: K| (name_of(&object), keep(&object));
        let pump = Pump::new(name, self, &watched, keep, None).where_served();
        self.start(tasks, api, watcher::Config::default(), pump);
        watched
    }

    /// Keeps whole objects, and begins with those of an earlier life.
    fn pump<K>(&self, name: &'static str, watched: &Watched<K>) -> Pump<K, K>
    where
        K: Resource + Clone + DeserializeOwned,
    {
        let named = |object: K| (name_of(&object), object);
        let recalled = self.keepsake.recall(name);
        let recalled = recalled.map(|all| all.into_iter().map(named).collect());
        let keep = move |mut object: K| {
            trim(&mut object);
            named(object)
        };
        Pump::new(name, self, watched, keep, recalled)
    }

    fn start<K, V>(&self, tasks: &mut Tasks, api: Api<K>, config: watcher::Config, pump: Pump<K, V>)
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        pump.report(false, None);
        tasks.spawn_service(pump.name, pump.run(api, config));
    }

    /// A receiver that is told when any copy or report changed.
    #[must_use]
    pub fn subscribe(&self) -> channel::Receiver<()> {
        self.changed.subscribe()
    }

    /// How every watch is doing.
    #[must_use]
    pub fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Whether every watch has received a complete list since the start.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.reports.synced()
    }

    /// Whether every watch has, or stands on what an earlier life wrote down.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.reports.usable()
    }

    /// Writes the copies down now and then, and when asked to end. Runs until then.
    ///
    /// # Errors
    /// Never; a directory that cannot be written to is told of.
    pub async fn keep(self: Arc<Self>, stop: Stop) -> anyhow::Result<()> {
        self.keepsake
            .run(self.subscribe(), &self.reports, stop)
            .await
    }
}

/// The copy of one kind, or what is kept of it.
#[derive(Debug)]
pub struct Watched<V> {
    replica: Arc<RwLock<Replica<V>>>,
}

impl<V> Clone for Watched<V> {
    fn clone(&self) -> Self {
        Self {
            replica: Arc::clone(&self.replica),
        }
    }
}

impl<V> Default for Watched<V> {
    fn default() -> Self {
        Self {
            replica: Arc::default(),
        }
    }
}

impl<V> Watched<V> {
    /// Every object as of now, by namespace and name.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<ObjectName, Arc<V>> {
        self.replica
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .objects()
            .clone()
    }

    /// Looks at every object as of now, by namespace and name, without copying the map. Events wait
    /// meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&BTreeMap<ObjectName, Arc<V>>) -> R) -> R {
        let replica = self.replica.read().unwrap_or_else(PoisonError::into_inner);
        look(replica.objects())
    }

    /// A number that grows with every change of the copy.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.replica
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .revision()
    }
}
