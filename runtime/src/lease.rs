//! Holding a Lease: at most one of several replicas acts.
//!
//! [`election`] decides, from what the Lease says and how long it has said so by the local
//! monotonic clock; this file asks the API server. As in client-go, another's clock is never
//! believed, every write carries the resourceVersion it was decided on, and whoever cannot renew in
//! time stops acting before somebody else may start.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch as channel;

use crate::supervise::{Stop, Tasks};
use crate::{client, clock};

pub mod election;

use election::{Election, Move, Record, Timing};

/// Whether this replica holds the Lease. Readers look before every write.
#[derive(Debug, Clone)]
pub struct Leadership(channel::Receiver<bool>);

impl Leadership {
    /// Whether this replica may act now.
    #[must_use]
    pub fn held(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for a change of [`Self::held`]. Never returns once the process is stopping.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Starts to compete for the Lease `namespace/name` as `identity`.
#[must_use]
pub fn compete(
    tasks: &mut Tasks,
    client: Client,
    namespace: &str,
    name: &'static str,
    identity: &str,
    timing: Timing,
) -> Leadership {
    let (held, leadership) = channel::channel(false);
    let candidate = Candidate {
        api: Api::namespaced(client, namespace),
        name,
        election: Election::new(identity.to_owned(), timing),
        held,
        last_error: None,
    };
    let stop = tasks.stop();
    tasks.spawn("lease", candidate.run(stop));
    Leadership(leadership)
}

struct Candidate {
    api: Api<Lease>,
    name: &'static str,
    election: Election,
    held: channel::Sender<bool>,
    last_error: Option<String>,
}

impl Candidate {
    async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        loop {
            self.round().await;
            self.publish();
            let pause = self.election.pause(clock::now());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.wait() => break,
            }
            self.publish();
        }
        self.release().await;
        Ok(())
    }

    /// Reads the Lease and makes the one move the election wants.
    async fn round(&mut self) {
        let limit = self.election.request_limit(clock::now());
        let outcome = tokio::time::timeout(limit, self.try_round()).await;
        let error = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(client::describe(&error)),
            Err(_) => Some(format!("no answer within {} ms", limit.as_millis())),
        };
        if error != self.last_error {
            match &error {
                Some(error) => tracing::warn!(lease = self.name, %error, "Lease not renewed"),
                None => tracing::info!(lease = self.name, "Lease reachable"),
            }
            self.last_error = error;
        }
    }

    async fn try_round(&mut self) -> kube::Result<()> {
        let lease = self.api.get_opt(self.name).await?;
        let record = lease.as_ref().map(record_of);
        self.election.observe(record, clock::now());
        match self.election.next_move(clock::now()) {
            Move::Wait => Ok(()),
            Move::Create { .. } | Move::Write { .. } => self.write(lease).await,
        }
    }

    async fn write(&mut self, lease: Option<Lease>) -> kube::Result<()> {
        let asked_at = clock::now();
        let transitions = match self.election.next_move(asked_at) {
            Move::Wait => return Ok(()),
            Move::Create { transitions } | Move::Write { transitions } => transitions,
        };
        let spec = self.spec(self.election.identity(), transitions, lease.as_ref());
        let written = match lease {
            None => {
                let new = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.to_owned()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec),
                };
                self.api.create(&PostParams::default(), &new).await
            }
            Some(mut lease) => {
                lease.spec = Some(spec);
                self.api
                    .replace(self.name, &PostParams::default(), &lease)
                    .await
            }
        };
        match written {
            Ok(lease) => {
                self.election.written(record_of(&lease), asked_at);
                Ok(())
            }
            Err(error) if client::status_code(&error) == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// On the way out, lets the next replica start at once.
    async fn release(&mut self) {
        let held = self.election.holds(clock::now());
        self.held.send_replace(false);
        if !held {
            return;
        }
        let released = tokio::time::timeout(Duration::from_secs(2), async {
            let Some(mut lease) = self.api.get_opt(self.name).await? else {
                return Ok(());
            };
            if !record_of(&lease).is_held_by(self.election.identity()) {
                return Ok(());
            }
            let transitions = record_of(&lease).transitions;
            let mut spec = self.spec("", transitions, Some(&lease));
            spec.lease_duration_seconds = Some(1);
            lease.spec = Some(spec);
            self.api
                .replace(self.name, &PostParams::default(), &lease)
                .await
                .map(|_| ())
        })
        .await;
        if !matches!(released, Ok(Ok(()))) {
            tracing::warn!(
                lease = self.name,
                "Lease could not be released; it will expire"
            );
        }
    }

    fn spec(&self, holder: &str, transitions: i32, lease: Option<&Lease>) -> LeaseSpec {
        let now = MicroTime(clock::wall());
        let before = lease.and_then(|lease| lease.spec.as_ref());
        let same_holder =
            before.is_some_and(|spec| spec.holder_identity.as_deref() == Some(holder));
        let acquired = before
            .and_then(|spec| spec.acquire_time.clone())
            .filter(|_| same_holder);
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(self.election.duration_seconds()),
            acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    fn publish(&mut self) {
        let holds = self.election.holds(clock::now());
        let changed = self.held.send_if_modified(|held| {
            let changed = *held != holds;
            *held = holds;
            changed
        });
        if changed {
            let identity = self.election.identity();
            if holds {
                tracing::info!(lease = self.name, identity, "leading");
            } else {
                tracing::warn!(lease = self.name, identity, "not leading any more");
            }
        }
    }
}

fn record_of(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(
            spec.lease_duration_seconds
                .and_then(|s| u64::try_from(s).ok())
                .unwrap_or(0),
        ),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}
