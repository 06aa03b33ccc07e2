//! Says what was written: conditions, ServiceAnnouncements, counts of pools, metrics, the admin port,
//! and who holds which address for the next life of the controller.
//!
//! It runs behind the rounds and never delays them: it looks when they are idle, rests ten times as
//! long as a look took, and writes at a bounded rate. What it could not write in one look, or what
//! changed meanwhile, is in the next.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use herald_model::announce::desired;
use herald_model::service::ServiceKey;
use herald_runtime::bucket::Bucket;
use herald_runtime::clock;
use herald_runtime::rejections::content;

use crate::apply::{Refused, Writer};
use crate::decision::world;
use crate::desk::{Desk, Told};
use crate::facts::Facts;
use crate::members::Leaver;
use crate::metrics::Metrics;
use crate::noted::Noted;
use crate::outcomes::Outcomes;
use crate::report::{Report, Sent, Subject};
use crate::sources::Sources;
use crate::view::View;
use crate::{accepted, announcements, members};

/// One report each, in the long run.
const PACE: Duration = Duration::from_millis(10);

/// So many at once after a rest.
const BURST: usize = 200;

/// How many requests are under way at once.
const CONCURRENT: usize = 4;

/// A look is followed by a rest of so many times its length, and at least [`REST`].
const SHARE: u32 = 10;
const REST: Duration = Duration::from_millis(10);

/// The loop and what it remembers between looks.
pub(crate) struct Reporter {
    pub(crate) sources: Arc<Sources>,
    pub(crate) writer: Writer,
    pub(crate) metrics: Metrics,
    pub(crate) view: Arc<View>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) memory: Memory,
}

/// What is known beyond what the watches show; worthless once another replica has led.
pub(crate) struct Memory {
    sent: Sent,
    noted: Noted,
    outcomes: Outcomes,
    bucket: Bucket,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            sent: Sent::default(),
            noted: Noted::default(),
            outcomes: Outcomes::default(),
            bucket: Bucket::new(PACE),
        }
    }
}

impl Reporter {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut rounds = self.desk.rounds();
        let (mut seen, mut term) = (0, 0);
        let mut again = None;
        loop {
            tokio::select! {
                round = rounds.wait_for(|round| *round > seen) => {
                    round.context("the rounds ended")?;
                }
                () = clock::after(again) => {}
            }
            let Some(told) = self.desk.ask().await else {
                continue;
            };
            seen = told.round;
            if told.term != term {
                self.memory = Memory::default();
                term = told.term;
            }
            let started = clock::now();
            let writes = self.look(&told);
            self.view.show(told);
            let rest = REST.max(clock::now().duration_since(started) * SHARE);
            again = self.write(writes).await;
            tokio::time::sleep(rest).await;
        }
    }

    /// Works out what is to be said, and shows what needs no writing.
    fn look(&mut self, told: &Told) -> Writes {
        let observed = self.sources.observe(told.services.clone());
        let decision = &told.decision;
        self.metrics.decided(decision);
        self.metrics.events_dropped(self.writer.events_dropped());
        let world = world(&observed, decision);
        let desired = desired(&world);
        let facts = Facts {
            observed: &observed,
            services: &world.services,
            decision,
            desired: &desired,
            failed: &told.failed,
        };
        let now = clock::wall();
        let Memory {
            sent,
            bucket,
            outcomes,
            ..
        } = &mut self.memory;
        let objects = accepted::reports(&observed, decision, sent, now);
        let due = objects
            .into_iter()
            .chain(announcements::reports(&facts, sent, now));
        let place = || {
            let place = bucket.take(BURST, clock::now());
            place.map_err(|later| later * u32::try_from(BURST / 4).unwrap_or(1))
        };
        let (reports, wait) = outcomes.admit(due, place, clock::now());
        Writes {
            reports,
            wait,
            orphans: announcements::orphans(&observed),
            leavers: members::leavers(&observed),
        }
    }

    /// Writes what the pace allows; gives when to look again though no round was made.
    async fn write(&mut self, writes: Writes) -> Option<Duration> {
        let Writes {
            reports,
            mut wait,
            orphans,
            leavers,
        } = writes;
        self.write_down_holders().await;
        self.report(reports).await;
        self.memory.outcomes.retain(&orphans, &leavers);
        for (key, uid) in orphans {
            if self.desk.rushing() {
                break;
            }
            let (subject, content) = (Subject::Orphan(key.clone()), content(&uid));
            if self.memory.outcomes.waits(&subject, content, clock::now()) {
                continue;
            }
            if let Err(later) = self.memory.bucket.take(BURST, clock::now()) {
                wait = Some(later);
                break;
            }
            self.memory.sent.forget(&announcements::target(&key));
            let outcome = self.writer.remove_announcement(&key, &uid).await;
            self.note(subject, content, outcome);
        }
        for leaver in leavers {
            let (subject, content) = (Subject::Leaver(leaver.node.clone()), content(&leaver.uid));
            if !self.memory.outcomes.waits(&subject, content, clock::now()) {
                let outcome = self.writer.remove_speaker(&leaver).await;
                self.note(subject, content, outcome);
            }
        }
        let rejected = self.memory.outcomes.next(clock::now());
        let stopped = self.memory.outcomes.take_stopped();
        let again = self.memory.noted.note(stopped).or(wait);
        [again, rejected].into_iter().flatten().min()
    }

    /// Writes down who holds which address; what cannot be written waits at the desk.
    async fn write_down_holders(&mut self) {
        let pages = self.desk.take_pages();
        let content = content(&pages);
        let waits = self
            .memory
            .outcomes
            .waits(&Subject::Holders, content, clock::now());
        let is_written = !waits && {
            let outcome = self.writer.write_down(&pages).await;
            self.note(Subject::Holders, content, outcome).is_some()
        };
        if !is_written {
            self.desk.give_back(pages);
        }
    }

    /// Writes reports. One whose object went meanwhile needs no report any more, and one that has to wait is
    /// made again by the next look.
    async fn report(&mut self, reports: Vec<Report>) {
        let send = |report: Report| {
            let (writer, desk) = (self.writer.clone(), Arc::clone(&self.desk));
            async move {
                if desk.rushing() {
                    return None;
                }
                let outcome = writer.report(&report).await;
                Some((report, outcome))
            }
        };
        let sending = futures::stream::iter(reports)
            .map(send)
            .buffer_unordered(CONCURRENT);
        let outcomes: Vec<_> = sending.collect().await;
        for (report, outcome) in outcomes.into_iter().flatten() {
            let target = &report.target;
            self.metrics.wrote(target.kind, outcome.as_ref().err());
            if outcome == Err(Refused::Conflict) {
                self.memory.sent.forget(target);
            }
            let subject = Subject::Status(target.clone());
            if let Some(version) = self.note(subject, report.content(), outcome) {
                self.desk.make(version);
                self.memory.sent.remember(&report, version);
            }
        }
    }

    fn note<T>(
        &mut self,
        subject: Subject,
        content: u64,
        outcome: Result<T, Refused>,
    ) -> Option<T> {
        let outcomes = &mut self.memory.outcomes;
        outcomes.note(subject, content, outcome, clock::now())
    }
}

/// What one look found to be written.
struct Writes {
    /// As many as the pace allows.
    reports: Vec<Report>,
    /// When more may be made, if there are more.
    wait: Option<Duration>,
    orphans: Vec<(ServiceKey, String)>,
    leavers: Vec<Leaver>,
}
