//! What breaks the tie between two nodes that do not hear each other, where that is asked for: Lease
//! `herald-witness`, and a mark on the chain of views.
//!
//! Nobody asks for it while there is a majority. Whoever takes the Lease marks the ConfigMap of the
//! chain with its name: a next view that was asked for before is refused then, and later ones are not
//! written past the mark (`chain`). Holding ends, by the clock that runs while a machine is suspended,
//! before anybody else may take the Lease.

use std::time::{Duration, Instant};

use herald_beacon::{Tie, Time};
use herald_runtime::lease::election::{Election, Move, Record, Timing};
use herald_runtime::{client, clock};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};

use super::view::{self, NamedView};

/// Name of the Lease.
const NAME: &str = "herald-witness";
/// Another may have it that long after it was renewed; its holder stops that long after it asked.
const TIMING: Timing = Timing {
    duration: Duration::from_secs(6),
    renew_deadline: Duration::from_secs(4),
    retry: Duration::from_secs(1),
};
/// How long all requests of one round may take.
const LIMIT: Duration = Duration::from_millis(1500);

/// This node's way to the Lease.
pub(super) struct TieBreaker {
    me: String,
    leases: Api<Lease>,
    views: Api<ConfigMap>,
    election: Election,
    held: Option<Tie>,
    /// What the last round was for, and when the next one for the same may be.
    wanted: Option<u64>,
    next: Instant,
}

impl TieBreaker {
    pub(super) fn new(me: &str, client: &Client, namespace: &str) -> Self {
        Self {
            me: me.to_owned(),
            leases: Api::namespaced(client.clone(), namespace),
            views: Api::namespaced(client.clone(), namespace),
            election: Election::new(me.to_owned(), TIMING),
            held: None,
            wanted: None,
            next: clock::now(),
        }
    }

    /// Between two rounds while it is wanted.
    pub(super) const PAUSE: Duration = TIMING.retry;

    /// Whether the tie is broken in favour of this node.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some_and(|tie| clock::boot() < tie.until)
    }

    /// Takes, renews or gives back, as view number `wanted` says; what the announcing thread is to know.
    pub(super) async fn round(&mut self, wanted: Option<u64>) -> Option<Tie> {
        let now = clock::now();
        if wanted == self.wanted && (wanted.is_none() || now < self.next) {
            return self.held;
        }
        (self.wanted, self.next) = (wanted, now + TIMING.retry);
        let outcome = tokio::time::timeout(LIMIT, async {
            match wanted {
                Some(view) => self.take(view).await,
                None => self.give_back().await,
            }
        });
        match outcome.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = client::describe(&error);
                tracing::warn!(error, "Lease {NAME} cannot be had, trying again");
            }
            Err(_) => tracing::warn!("Lease {NAME}: no answer, trying again"),
        }
        self.held
    }

    async fn take(&mut self, view: u64) -> kube::Result<()> {
        let (asked, asked_at) = (clock::boot(), clock::now());
        let lease = self.leases.get_opt(NAME).await?;
        self.election
            .observe(lease.as_ref().map(record_of), clock::now());
        let transitions = match self.election.next_move(clock::now()) {
            Move::Wait => return Ok(()),
            Move::Create { transitions } | Move::Write { transitions } => transitions,
        };
        if !self.write(lease, &self.me.clone(), transitions).await? {
            return Ok(());
        }
        let goes_on = self.held.is_some_and(|tie| tie.view == view) && self.is_held();
        if goes_on || self.mark(view).await? {
            self.held = Some(hold(view, asked));
            if !goes_on {
                let waited = clock::now().saturating_duration_since(asked_at);
                tracing::warn!(
                    view,
                    ?waited,
                    "holds Lease {NAME}: the other node is not heard"
                );
            }
        }
        Ok(())
    }

    /// Writes the Lease as it was read; false when somebody else was first.
    async fn write(
        &mut self,
        lease: Option<Lease>,
        holder: &str,
        transitions: i32,
    ) -> kube::Result<bool> {
        let asked_at = clock::now();
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(self.election.duration_seconds()),
            renew_time: Some(MicroTime(clock::wall())),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        };
        let parameters = PostParams::default();
        let written = match lease {
            None => {
                let new = Lease {
                    metadata: ObjectMeta {
                        name: Some(NAME.to_owned()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec),
                };
                self.leases.create(&parameters, &new).await
            }
            Some(mut lease) => {
                lease.spec = Some(spec);
                self.leases.replace(NAME, &parameters, &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.election.written(record_of(&lease), asked_at);
                Ok(true)
            }
            Err(error) if client::status_code(&error) == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Marks the chain, if `view` is still its last; whether that was done.
    async fn mark(&mut self, view: u64) -> kube::Result<bool> {
        let Some(mut object) = self.views.get_opt(view::NAME).await? else {
            return Ok(false);
        };
        if NamedView::read(&object).is_none_or(|last| last.number != view) {
            return Ok(false);
        }
        view::mark(&mut object, Some(&self.me));
        let parameters = PostParams::default();
        let replaced = self.views.replace(view::NAME, &parameters, &object);
        match replaced.await {
            Ok(_) => Ok(true),
            Err(error) if client::status_code(&error) == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Nothing is held any more, whatever comes of the request.
    async fn give_back(&mut self) -> kube::Result<()> {
        if self.held.take().is_none() {
            return Ok(());
        }
        let lease = self.leases.get_opt(NAME).await?;
        let record = lease.as_ref().map(record_of);
        let Some(record) = record.filter(|record| record.is_held_by(&self.me)) else {
            return Ok(());
        };
        self.write(lease, "", record.transitions).await.map(drop)
    }
}

/// What was asked for at `asked` is held that long.
fn hold(view: u64, asked: Time) -> Tie {
    Tie {
        view,
        until: asked + TIMING.renew_deadline,
    }
}

fn record_of(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(0);
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_stops_before_another_may_have_it_by_clocks_that_differ() {
        let asked = Duration::from_secs(100);
        let held = hold(3, asked).until - asked;
        // Clock rates differ by a quarter at most, as beacons assume too.
        assert!(held * 5 / 4 < TIMING.duration);
        assert!(
            TIMING.retry + LIMIT < held,
            "a round that fails is made good"
        );
    }
}
