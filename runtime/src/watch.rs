//! A live copy of what the API server says, one kind at a time.
//!
//! A pump per kind feeds a [`Replica`]; readers take whole snapshots and are told *that* something
//! changed, never what. A relist replaces the whole copy at once, so a reader never sees half of
//! one. When the API server goes away the last copy stays; when it comes back with other data, the
//! relist brings exactly that.
//!
//! `Apply` before `Init` cannot happen; a failing watch is retried for ever, slower each time, and
//! says why in [`Reports`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;

use crate::client;
use crate::supervise::{Stop, Tasks};

mod keepsake;
mod replica;

pub use keepsake::Keepsake;
pub use replica::{ObjectName, Replica};

/// Waits between attempts of a failing watch; the last one repeats.
const RETRY: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Failures in a row after which a watch lists again instead of going on where it stopped, 3.8 s:
/// an API server that was away for that long may come back with older data, and a watch from a
/// version it has not reached yet would be silent until it does.
const RELIST: usize = 5;

/// How long an API server may take to say everything before a watch goes by what an earlier life of
/// the process wrote down.
const PATIENCE: Duration = Duration::from_secs(3);

/// A whole object once more, as an annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

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

struct Pump<K, V> {
    name: &'static str,
    keep: Box<dyn Fn(K) -> (ObjectName, V) + Send>,
    replica: Arc<RwLock<Replica<V>>>,
    reports: Reports,
    changed: channel::Sender<()>,
    /// What an earlier life wrote down; none where nothing ever was.
    recalled: Option<Vec<(ObjectName, V)>>,
}

impl<K, V> Pump<K, V> {
    fn new(
        name: &'static str,
        watches: &Watches,
        watched: &Watched<V>,
        keep: impl Fn(K) -> (ObjectName, V) + Send + 'static,
        recalled: Option<Vec<(ObjectName, V)>>,
    ) -> Self {
        Self {
            name,
            keep: Box::new(keep),
            replica: Arc::clone(&watched.replica),
            reports: watches.reports.clone(),
            changed: watches.changed.clone(),
            recalled,
        }
    }

    async fn run(mut self, api: Api<K>, config: watcher::Config) -> anyhow::Result<()>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let watch = || watcher::watcher(api.clone(), config.clone());
        let mut stream = pin!(watch());
        let mut failures = 0;
        let mut patience = pin!(tokio::time::sleep(PATIENCE));
        loop {
            let step = tokio::select! {
                step = stream.next() => step,
                () = &mut patience, if self.recalled.is_some() => {
                    self.recall();
                    continue;
                }
            };
            let Some(step) = step else { break };
            match step {
                Ok(event) => {
                    failures = 0;
                    self.apply(event);
                }
                Err(error) => {
                    self.report(self.was_synced(), Some(describe(&error)));
                    tokio::time::sleep(RETRY[failures.min(RETRY.len() - 1)]).await;
                    failures += 1;
                    if failures == RELIST {
                        stream.set(watch());
                    }
                }
            }
        }
        anyhow::bail!("the watch of {} ended", self.name)
    }

    /// Stands on what an earlier life wrote down until the API server has said everything.
    fn recall(&mut self) {
        let Some(objects) = self.recalled.take().filter(|_| !self.was_synced()) else {
            return;
        };
        let count = objects.len();
        self.replica
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .recall(objects);
        if let Some(report) = self.reports.locked().get_mut(self.name) {
            report.recalled = true;
        }
        tracing::warn!(
            watch = self.name,
            count,
            "the API server does not answer: going by what was last known"
        );
        self.changed.send_replace(());
    }

    fn apply(&self, event: Event<K>) {
        let changed = {
            let mut replica = self.replica.write().unwrap_or_else(PoisonError::into_inner);
            replica.apply(event, &self.keep)
        };
        let synced = self
            .replica
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_complete();
        self.report(synced, None);
        if changed {
            self.changed.send_replace(());
        }
    }

    fn was_synced(&self) -> bool {
        self.reports
            .locked()
            .get(self.name)
            .is_some_and(|report| report.synced)
    }

    fn report(&self, synced: bool, error: Option<String>) {
        let mut locked = self.reports.locked();
        let recalled = locked.get(self.name).is_some_and(|report| report.recalled);
        let report = Report {
            name: self.name,
            synced,
            recalled: recalled && !synced,
            error,
        };
        let before = locked.insert(self.name, report.clone());
        drop(locked);
        if before.as_ref() == Some(&report) {
            return;
        }
        match (&report.error, before.and_then(|before| before.error)) {
            (Some(error), _) => tracing::warn!(watch = self.name, %error, "watch fails, retrying"),
            (None, Some(_)) => tracing::info!(watch = self.name, "watch runs again"),
            (None, None) => {}
        }
        self.changed.send_replace(());
    }
}

/// Leaves out what nobody here reads and what makes most of many objects: who wrote which field, what
/// kubectl applied last, and the room for more that lists have while they are read.
fn trim<K: Resource + Clone>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
    *object = object.clone();
}

fn name_of<K: Resource>(object: &K) -> ObjectName {
    let meta = object.meta();
    let name = meta.name.as_deref().unwrap_or_default();
    ObjectName::new(meta.namespace.as_deref().unwrap_or_default(), name)
}

fn describe(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => client::describe(cause),
        watcher::Error::WatchError(status) => format!("{} ({})", status.message, status.code),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}
