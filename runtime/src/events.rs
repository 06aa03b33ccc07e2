//! Kubernetes Events: one for a change, never one for a look, and one for the same again and again.
//!
//! The caller says what changed; a bounded queue and one task bring it to the API server behind
//! everything else, a few at once and then at a steady pace, so that ten thousand of them do not take
//! the API server from those who wait for it. When the queue is full the newest Event is dropped and
//! counted: an Event is a courtesy, the status is the truth.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event as CoreEvent, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{mpsc, watch as channel};

mod series;

use self::series::{Act, Series};
use crate::bucket::Bucket;
use crate::supervise::Tasks;
use crate::{client, clock};

/// Events waiting to be written. Full: the newest is dropped and counted.
const QUEUE: usize = 12_288;

/// So many are written at once after a rest, and one each so often in the long run.
const BURST: usize = 25;
const PACE: Duration = Duration::from_millis(50);

/// The longest note the API server accepts, in bytes.
const NOTE_LIMIT: usize = 1024;

/// Whether the reader should worry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something happened as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The object it happened to.
    pub regarding: ObjectReference,
    /// Which part of the object it is about, such as one of its addresses; what is said of one part does
    /// not replace what is said of another.
    pub about: Option<String>,
    /// Whether the reader should worry.
    pub kind: Kind,
    /// CamelCase word for machines.
    pub reason: &'static str,
    /// CamelCase word: what was being done.
    pub action: &'static str,
    /// One sentence for people.
    pub note: String,
}

/// Hands Events to the task that writes them. Never waits.
#[derive(Debug, Clone)]
pub struct Events {
    queue: mpsc::Sender<Happening>,
    hold: Arc<channel::Sender<bool>>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Starts the writing task. `controller` and `instance` name who reports.
    #[must_use]
    pub fn start(tasks: &mut Tasks, client: Client, controller: &str, instance: &str) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (hold, held) = channel::channel(false);
        let writer = Writer {
            held,
            client,
            controller: controller.to_owned(),
            instance: instance.to_owned(),
            series: Series::default(),
            names: BTreeMap::new(),
        };
        tasks.spawn_service("events", writer.run(waiting));
        Self {
            queue,
            hold: Arc::new(hold),
            dropped: Arc::default(),
        }
    }

    /// Queues one Event.
    pub fn publish(&self, happening: Happening) {
        tracing::info!(
            object = happening.regarding.name.as_deref().unwrap_or_default(),
            namespace = happening.regarding.namespace.as_deref().unwrap_or_default(),
            reason = happening.reason,
            "{}",
            happening.note
        );
        if self.queue.try_send(happening).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has Events wait, or no more, for writes that are more urgent.
    pub fn hold(&self, hold: bool) {
        self.hold
            .send_if_modified(|held| std::mem::replace(held, hold) != hold);
    }

    /// How many Events were dropped because the queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

struct Writer {
    held: channel::Receiver<bool>,
    client: Client,
    controller: String,
    instance: String,
    series: Series,
    /// The objects of the Events that may go on, by their numbers.
    names: BTreeMap<u64, String>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Happening>) -> anyhow::Result<()> {
        let mut bucket = Bucket::new(PACE);
        loop {
            let now = clock::now();
            let next = self.series.next();
            let next = next.map(|next| next.saturating_duration_since(now));
            let act = tokio::select! {
                happening = waiting.recv() => match happening {
                    Some(happening) => self.series.observe(happening, clock::now()),
                    None => return Ok(()),
                },
                () = clock::after(next) => self.series.due(clock::now()),
            };
            let Some(act) = act else { continue };
            while let Err(later) = bucket.take(BURST, clock::now()) {
                tokio::time::sleep(later).await;
            }
            // Nobody is left who could hold them: then they do not wait.
            let _ = self.held.wait_for(|held| !held).await;
            if let Err(error) = self.write(act).await {
                let error = client::describe(&error);
                tracing::warn!(%error, "an Event could not be written");
            }
        }
    }

    async fn write(&mut self, act: Act) -> kube::Result<()> {
        match act {
            Act::Create { number, happening } => {
                let event = self.event(number, happening);
                let namespace = event.metadata.namespace.clone().unwrap_or_default();
                let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
                if let Err(error) = api.create(&PostParams::default(), &event).await {
                    self.series.forget(number);
                    return Err(error);
                }
                let name = event.metadata.name.unwrap_or_default();
                self.names.insert(number, name);
                if self.names.len() > 2 * series::REMEMBERED {
                    let live = self.series.numbers();
                    self.names.retain(|number, _| live.contains(number));
                }
            }
            Act::Update {
                number,
                count,
                happening,
            } => {
                let Some(name) = self.names.get(&number) else {
                    self.series.forget(number);
                    return Ok(());
                };
                let namespace = namespace_of(&happening.regarding);
                // The note of an Event may be changed through the older API alone.
                let api: Api<CoreEvent> = Api::namespaced(self.client.clone(), &namespace);
                let body = json!({
                    "message": shortened(happening.note),
                    "series": {"count": count, "lastObservedTime": MicroTime(clock::wall())},
                });
                let body = Patch::Merge(body);
                match api.patch(name, &PatchParams::default(), &body).await {
                    Ok(_) => {}
                    Err(error) if client::status_code(&error) == Some(404) => {
                        self.series.forget(number);
                    }
                    Err(error) => {
                        self.series.fail(number);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    fn event(&self, number: u64, happening: Happening) -> Event {
        let now = clock::wall();
        let object = happening.regarding.name.clone().unwrap_or_default();
        Event {
            metadata: ObjectMeta {
                namespace: Some(namespace_of(&happening.regarding)),
                name: Some(format!("{object}.{:x}.{number:x}", now.as_nanosecond())),
                ..ObjectMeta::default()
            },
            type_: Some(
                match happening.kind {
                    Kind::Normal => "Normal",
                    Kind::Warning => "Warning",
                }
                .to_owned(),
            ),
            reason: Some(happening.reason.to_owned()),
            action: Some(happening.action.to_owned()),
            note: Some(shortened(happening.note)),
            regarding: Some(happening.regarding),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// Events about cluster-scoped objects live in `default`, as kubectl expects.
fn namespace_of(regarding: &ObjectReference) -> String {
    match regarding.namespace.as_deref() {
        None | Some("") => "default".to_owned(),
        Some(namespace) => namespace.to_owned(),
    }
}

fn shortened(mut note: String) -> String {
    if note.len() > NOTE_LIMIT {
        let mut end = NOTE_LIMIT - '…'.len_utf8();
        while !note.is_char_boundary(end) {
            end -= 1;
        }
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let short = shortened("é".repeat(600));
        assert!(short.len() <= NOTE_LIMIT && short.ends_with("é…"));
        assert_eq!(shortened("fine".to_owned()), "fine");
    }

    #[test]
    fn events_about_cluster_scoped_objects_live_in_default() {
        assert_eq!(namespace_of(&ObjectReference::default()), "default");
    }
}
