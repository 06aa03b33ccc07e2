//! observe -> decide -> assign -> report: the controller's one loop.
//!
//! Each round looks at everything and decides for everything; what a round could not write, the
//! next one decides again. Nothing is decided before every watch has synced, and nothing by a
//! replica that does not hold the Lease. Addresses are written first; reports say what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use herald_config::service;
use herald_model::service::ServiceKey;
use herald_runtime::clock;
use herald_runtime::lease::Leadership;
use herald_runtime::watch::Watches;

use crate::apply::{Refused, Writer};
use crate::assign::{Patch, patches};
use crate::decision::{Decision, announceable, decide};
use crate::fresh::{Fresh, number};
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::report::{Report, Sent, Target};
use crate::sources::Sources;
use crate::view::{Shown, View};
use crate::{accepted, announcements, members};

/// Changes come in bursts; a round waits this long for the rest of one.
const SETTLE: Duration = Duration::from_millis(20);

/// Waits after rounds in a row that could not write everything; the last one repeats.
const RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// How many requests are under way at once.
const CONCURRENT: usize = 16;

/// The loop and what it remembers between rounds.
pub(crate) struct Rounds {
    pub(crate) sources: Sources,
    pub(crate) watches: Arc<Watches>,
    pub(crate) writer: Writer,
    pub(crate) metrics: Metrics,
    pub(crate) view: Arc<View>,
    /// The loadBalancerClass that is served.
    pub(crate) class: String,
    pub(crate) memory: Memory,
    /// The newest version of anything that was ever shown.
    pub(crate) newest: u64,
}

/// What is known beyond what the watches show; worthless once another replica has led.
#[derive(Default)]
pub(crate) struct Memory {
    leading: bool,
    fresh: Fresh,
    sent: Sent,
    /// What could not be written in the last round, and why.
    failed: BTreeMap<String, String>,
    failures: usize,
}

/// How far a round came.
enum Outcome {
    /// Everything stands as decided, or there was nothing to do.
    Complete,
    /// Some writes were refused and noted; the rest is done.
    Partial,
}

impl Rounds {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, mut leadership: Leadership) -> anyhow::Result<()> {
        let mut changed = self.watches.subscribe();
        let mut retry = None;
        loop {
            tokio::select! {
                told = changed.changed() => told.context("the watches ended")?,
                () = leadership.changed() => {}
                () = after(retry) => {}
            }
            tokio::time::sleep(SETTLE).await;
            changed.mark_unchanged();
            retry = match self.look().await {
                Ok(Outcome::Complete) => {
                    self.memory.failures = 0;
                    None
                }
                Ok(Outcome::Partial) => Some(self.later()),
                Err(refused @ Refused::WentBack { .. }) => anyhow::bail!("{refused}"),
                Err(refused) => {
                    self.note(BTreeMap::from([("this round".to_owned(), refused)]));
                    Some(self.later())
                }
            };
        }
    }

    /// How long to wait after one more round in a row that could not write everything.
    fn later(&mut self) -> Duration {
        let wait = RETRY[self.memory.failures.min(RETRY.len() - 1)];
        self.memory.failures += 1;
        wait
    }

    /// One round, if this replica leads and has seen everything.
    async fn look(&mut self) -> Result<Outcome, Refused> {
        let leads = self.writer.leads();
        self.metrics.leads(leads);
        self.view.leads(leads);
        if !leads {
            self.memory = Memory::default();
            return Ok(Outcome::Complete);
        }
        if !self.watches.synced() {
            return Ok(Outcome::Complete);
        }
        if !self.memory.leading {
            // The replica that led before may have written what our watches do not show yet.
            self.newest = self.newest.max(self.sources.newest());
            self.memory
                .fresh
                .confirm_all(self.writer.services(self.newest).await?);
            self.memory.sent.clear();
            self.memory.leading = true;
        }
        self.round().await
    }

    async fn round(&mut self) -> Result<Outcome, Refused> {
        let doubted = self.memory.fresh.observe(&self.sources.services());
        self.newest = self.newest.max(self.memory.fresh.newest());
        if !doubted.is_empty() {
            self.writer.check_history(self.newest).await?;
        }
        for key in doubted {
            let answer = self.writer.service(&key).await?;
            self.memory.fresh.confirm(key, answer);
        }
        let mut observed = self.sources.observe(self.memory.fresh.services());
        let decision = decide(&observed, &self.class);
        self.metrics.planned(&decision);

        let failed = self
            .assign(patches(&observed, &decision, &self.class))
            .await?;
        observed.services = self.memory.fresh.services();
        let desired = announceable(&observed, &decision, &self.class);
        let facts = announcements::Facts {
            observed: &observed,
            decision: &decision,
            desired: &desired,
            failed: &failed,
            class: &self.class,
        };
        let now = clock::wall();
        let mut reports = announcements::reports(&facts, &self.memory.sent, now);
        reports.extend(accepted::reports(
            &observed.objects,
            &decision,
            &self.memory.sent,
            now,
        ));
        let mut problems: BTreeMap<String, Refused> = failed
            .iter()
            .map(|(key, error)| (format!("Service {key}"), Refused::Error(error.clone())))
            .collect();
        problems.extend(self.report(reports).await);
        problems.extend(self.remove(&observed).await);
        self.metrics.events_dropped(self.writer.events_dropped());
        self.show(&observed, decision, desired);
        let outcome = if problems.is_empty() {
            Outcome::Complete
        } else {
            Outcome::Partial
        };
        self.note(problems);
        Ok(outcome)
    }

    /// Writes addresses, first where that makes some free; gives the Services the API server
    /// refused and why. An address that could not be taken from its holder is not given away.
    async fn assign(
        &mut self,
        patches: Vec<Patch>,
    ) -> Result<BTreeMap<ServiceKey, String>, Refused> {
        let (freeing, taking): (Vec<_>, Vec<_>) = patches.into_iter().partition(Patch::frees);
        let mut failed = BTreeMap::new();
        let mut stuck: BTreeSet<IpAddr> = BTreeSet::new();
        let mut conflict = None;
        for batch in [freeing, taking] {
            let free = batch
                .into_iter()
                .filter(|patch| patch.wants.is_disjoint(&stuck));
            let free: Vec<Patch> = free.collect();
            for (patch, outcome) in self.send(free).await {
                self.metrics.wrote("Service", outcome.as_ref().err());
                match outcome {
                    Ok(service) => {
                        self.memory.fresh.confirm(patch.key, Some(service));
                        continue;
                    }
                    Err(Refused::Error(error)) => {
                        failed.insert(patch.key.clone(), error);
                    }
                    Err(refused @ (Refused::NotLeading | Refused::WentBack { .. })) => {
                        return Err(refused);
                    }
                    Err(refused @ Refused::Conflict) => {
                        let answer = self.writer.service(&patch.key).await?;
                        self.memory.fresh.confirm(patch.key.clone(), answer);
                        conflict = Some(refused);
                    }
                }
                stuck.extend(patch.holds.difference(&patch.wants));
            }
        }
        if conflict.is_some() {
            self.writer.check_history(self.newest).await?;
        }
        conflict.map_or(Ok(failed), Err)
    }

    async fn send(
        &self,
        patches: Vec<Patch>,
    ) -> Vec<(Patch, Result<k8s_openapi::api::core::v1::Service, Refused>)> {
        let send = |patch: Patch| async move {
            let outcome = self.writer.assign(&patch).await;
            (patch, outcome)
        };
        futures::stream::iter(patches)
            .map(send)
            .buffer_unordered(CONCURRENT)
            .collect()
            .await
    }

    /// Writes reports; gives those that were refused. One whose object went meanwhile needs no
    /// report any more.
    async fn report(&mut self, reports: Vec<Report>) -> BTreeMap<String, Refused> {
        let send = |report: Report| {
            let writer = self.writer.clone();
            async move {
                let outcome = writer.report(&report).await;
                (report, outcome)
            }
        };
        let sending = futures::stream::iter(reports)
            .map(send)
            .buffer_unordered(CONCURRENT);
        let outcomes: Vec<_> = sending.collect().await;
        let mut refused = BTreeMap::new();
        for (report, outcome) in outcomes {
            let Target {
                kind,
                namespace,
                name,
            } = &report.target;
            self.metrics.wrote(kind, outcome.as_ref().err());
            match outcome {
                Ok(version) => {
                    self.newest = self.newest.max(number(&version));
                    self.memory.sent.remember(&report, &version);
                }
                Err(Refused::Conflict) => self.memory.sent.forget(&report.target),
                Err(
                    error @ (Refused::NotLeading | Refused::WentBack { .. } | Refused::Error(_)),
                ) => {
                    refused.insert(format!("{kind} {namespace}/{name}"), error);
                }
            }
        }
        refused
    }

    /// Removes what belongs to nobody any more.
    async fn remove(&mut self, observed: &Observed) -> BTreeMap<String, Refused> {
        let mut refused = BTreeMap::new();
        for (key, uid) in announcements::orphans(observed, &self.class) {
            self.memory.sent.forget(&announcements::target(&key));
            if let Err(error) = self.writer.remove_announcement(&key, &uid).await {
                refused.insert(format!("ServiceAnnouncement {key}"), error);
            }
        }
        for leaver in members::leavers(observed) {
            if let Err(error) = self.writer.remove_speaker(&leaver).await {
                refused.insert(format!("Speaker {}", leaver.node), error);
            }
        }
        refused
    }

    fn show(
        &self,
        observed: &Observed,
        decision: Decision,
        desired: herald_model::announce::Desired,
    ) {
        let ours = observed
            .services
            .iter()
            .filter(|(_, s)| service::is_ours(s, &self.class));
        let services = ours.map(|(key, _)| key.clone()).collect();
        self.view.show(Shown {
            services,
            decision,
            desired,
        });
    }

    /// Logs what is refused, once per change.
    fn note(&mut self, problems: BTreeMap<String, Refused>) {
        let mut now = BTreeMap::new();
        for (what, refused) in problems {
            if let Refused::Error(error) = refused {
                if self.memory.failed.get(&what) != Some(&error) {
                    tracing::warn!(%what, %error, "not written, trying again");
                }
                now.insert(what, error);
            }
        }
        self.memory.failed = now;
    }
}

/// Waits so long, or for ever.
pub(crate) async fn after(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
