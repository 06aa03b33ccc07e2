//! One kind's watch: events go into its copy, failures into its report, and are tried again for ever.
//!
//! `Apply` before `Init` cannot happen.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;

use super::{ObjectName, Replica, Report, Reports, Watched, Watches};
use crate::client;

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

/// How long until an API server that does not serve a kind is asked again.
const NOT_SERVED: Duration = Duration::from_mins(1);

/// How long an API server may take to say everything before a watch goes by what an earlier life of
/// the process wrote down.
const PATIENCE: Duration = Duration::from_secs(3);

/// A whole object once more, as an annotation.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Feeds the copy of one kind.
pub(super) struct Pump<K, V> {
    pub(super) name: &'static str,
    keep: Box<dyn Fn(K) -> (ObjectName, V) + Send>,
    replica: Arc<RwLock<Replica<V>>>,
    reports: Reports,
    changed: channel::Sender<()>,
    /// What an earlier life wrote down; none where nothing ever was.
    recalled: Option<Vec<(ObjectName, V)>>,
    /// Whether an API server that does not know the kind is taken to have none of it.
    where_served: bool,
}

impl<K, V> Pump<K, V> {
    pub(super) fn new(
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
            where_served: false,
        }
    }

    /// Takes an API server that does not know the kind to have none of it.
    pub(super) fn where_served(self) -> Self {
        Self {
            where_served: true,
            ..self
        }
    }

    pub(super) async fn run(mut self, api: Api<K>, config: watcher::Config) -> anyhow::Result<()>
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
                Err(error) if self.where_served && is_unknown(&error) => {
                    self.show_none(&error);
                    tokio::time::sleep(NOT_SERVED).await;
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

    /// There are none, as far as this API server says; what another said before stays.
    fn show_none(&self, error: &watcher::Error) {
        if !self.was_synced() {
            let error = describe(error);
            tracing::warn!(watch = self.name, %error, "going on as if there were none");
            self.apply(Event::Init);
            self.apply(Event::InitDone);
        }
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

    pub(super) fn report(&self, synced: bool, error: Option<String>) {
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
pub(super) fn trim<K: Resource + Clone>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
    *object = object.clone();
}

pub(super) fn name_of<K: Resource>(object: &K) -> ObjectName {
    let meta = object.meta();
    let name = meta.name.as_deref().unwrap_or_default();
    ObjectName::new(meta.namespace.as_deref().unwrap_or_default(), name)
}

/// Whether the API server does not know the kind, or does not let it be read.
fn is_unknown(error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => client::status_code(cause),
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    };
    matches!(code, Some(403 | 404))
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

#[cfg(test)]
mod tests {
    use axum::Json;
    use k8s_openapi::api::networking::v1::ServiceCIDR;
    use kube::{Client, Config};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::supervise::Tasks;

    /// A client of an API server that answers everything with this code.
    async fn refuses_all(tasks: &mut Tasks, code: u16) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": "no", "reason": "No"});
        let answer = move || {
            let code = http::StatusCode::from_u16(code).expect("a status code");
            let answer = (code, Json(status.clone()));
            async move { answer }
        };
        tasks.spawn_service("api server", async move {
            axum::serve(listener, axum::Router::new().fallback(answer)).await?;
            Ok(())
        });
        let uri = format!("http://{address}").parse().expect("a URI");
        Client::try_from(Config::new(uri)).expect("a client")
    }

    #[tokio::test]
    async fn a_kind_that_is_not_served_is_none_where_that_may_be_and_waited_for_otherwise() {
        for code in [404, 403] {
            is_none_or_waited_for(code).await;
        }
    }

    async fn is_none_or_waited_for(code: u16) {
        let mut tasks = Tasks::new();
        let client = refuses_all(&mut tasks, code).await;
        let watches = Watches::new();
        let mut changes = watches.subscribe();
        let api: Api<ServiceCIDR> = Api::all(client);
        let keep = |_: &ServiceCIDR| ();
        let lenient = watches.watch_where_served(&mut tasks, "lenient", api.clone(), keep);
        watches.watch_as(&mut tasks, "strict", api, keep);
        let said = |name: &str| {
            let reports = watches.reports().all().into_iter();
            let report = reports.into_iter().find(|report| report.name == name);
            report.map(|report| (report.synced, report.error.is_some()))
        };
        while said("lenient") != Some((true, false)) || said("strict") != Some((false, true)) {
            changes.changed().await.expect("the watches live");
        }
        assert!(lenient.snapshot().is_empty());
        assert!(!watches.synced());
    }
}
