//! observe -> decide -> assign: the controller's one loop.
//!
//! Each round looks at everything and decides for everything; what a round could not write, the
//! next one decides again. Nothing is decided before every watch has synced, and nothing by a
//! replica that does not hold the Lease. A round writes addresses and nothing else: `reporter` says
//! behind it, at its own pace, what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use herald_model::service::ServiceKey;
use herald_runtime::bucket::Bucket;
use herald_runtime::clock;
use herald_runtime::lease::Leadership;
use herald_runtime::watch::Watches;

use crate::agreed;
use crate::apply::{Refused, Writer};
use crate::assign::{self, Patch};
use crate::book::Book;
use crate::desk::{Desk, Pages, Told};
use crate::fresh::Fresh;
use crate::holders::{Holders, Page};
use crate::kept::Service;
use crate::metrics::Metrics;
use crate::noted::Noted;
use crate::refusals::Refusals;
use crate::rush::Rush;
use crate::sources::Sources;
use crate::view::View;

/// Changes come in bursts: a round waits this long for the rest of one, and as long as the last one
/// thought if that was longer.
const SETTLE: Duration = Duration::from_millis(2);

/// Addresses that are taken from Services whose users did not ask for it go one by one, this far apart: a
/// mistake in a pool can be taken back before it has moved everybody.
const MOVES: Duration = Duration::from_secs(1);

/// How many requests are under way at once.
const CONCURRENT: usize = 16;

/// Doubts about more than one Service in this many, and about more than [`DOUBTS`], are settled by a list
/// of all instead of one question each.
const SHARE: usize = 16;
const DOUBTS: usize = 32;

/// The loop and what it remembers between rounds.
pub(crate) struct Rounds {
    sources: Arc<Sources>,
    watches: Arc<Watches>,
    writer: Writer,
    metrics: Metrics,
    view: Arc<View>,
    desk: Arc<Desk>,
    grace: Duration,
    memory: Memory,
    /// The newest version of anything that was ever shown.
    newest: u64,
    /// Whether the reporter waits to be told.
    asked: bool,
    rush: Rush,
    /// How long others than addresses have to wait.
    rushing: Option<Duration>,
    /// Counts how often this replica began to lead.
    term: u64,
}

/// What is known beyond what the watches show; worthless once another replica has led.
struct Memory {
    leading: bool,
    fresh: Fresh,
    book: Book,
    holders: Holders,
    /// The revision of the configuration that is in the book.
    configured: Option<u64>,
    /// Services whose status may not be as planned.
    unsettled: BTreeSet<ServiceKey>,
    /// Services whose addresses could not be written.
    refusals: Refusals,
    noted: Noted,
    /// How long the last round thought.
    thought: Duration,
    /// When something is free again though nothing changes, in seconds since 1970.
    next: Option<i64>,
    /// When the grace of a pool that does not exist ends.
    grace_ends: Option<Instant>,
    /// Paces what [`MOVES`] is about.
    moves: Bucket,
    /// How long the next of them has to wait.
    held_back: Option<Duration>,
}

impl Memory {
    /// Holders of a pool that is deleted keep their addresses for the grace.
    fn new(grace: Duration) -> Self {
        Self {
            leading: false,
            fresh: Fresh::default(),
            book: Book::new(grace),
            holders: Holders::default(),
            configured: None,
            unsettled: BTreeSet::new(),
            refusals: Refusals::default(),
            noted: Noted::default(),
            thought: Duration::ZERO,
            next: None,
            grace_ends: None,
            moves: Bucket::new(MOVES),
            held_back: None,
        }
    }
}

impl Rounds {
    pub(crate) fn new(
        sources: Arc<Sources>,
        watches: Arc<Watches>,
        writer: Writer,
        metrics: Metrics,
        view: Arc<View>,
        desk: Arc<Desk>,
        grace: Duration,
    ) -> Self {
        Self {
            sources,
            watches,
            writer,
            metrics,
            view,
            desk,
            grace,
            memory: Memory::new(grace),
            newest: 0,
            asked: false,
            rush: Rush::default(),
            rushing: None,
            term: 0,
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self, mut leadership: Leadership) -> anyhow::Result<()> {
        let mut changed = self.watches.subscribe();
        let mut retry = None;
        loop {
            let next = self.memory.next.map(until);
            let grace_ends = self.memory.grace_ends;
            let grace_ends = grace_ends.map(|end| end.saturating_duration_since(clock::now()));
            let desk = Arc::clone(&self.desk);
            tokio::select! {
                told = changed.changed() => told.context("the watches ended")?,
                () = leadership.changed() => {}
                () = clock::after(retry) => {}
                () = clock::after(next) => {}
                () = clock::after(grace_ends) => {}
                () = clock::after(self.memory.held_back) => {}
                () = clock::after(self.rushing) => {}
                () = desk.asked() => self.asked = true,
            }
            tokio::time::sleep(SETTLE.max(self.memory.thought)).await;
            changed.mark_unchanged();
            retry = match self.look().await {
                Ok(()) => {
                    self.memory.noted.note(BTreeMap::new());
                    self.memory.refusals.next(clock::now())
                }
                Err(refused @ Refused::WentBack { .. }) => anyhow::bail!("{refused}"),
                Err(refused) => {
                    let refused = BTreeMap::from([("this round".to_owned(), refused)]);
                    self.memory.noted.note(refused)
                }
            };
        }
    }

    /// One round, if this replica leads and has seen everything. What was refused is remembered; the
    /// rest is done.
    async fn look(&mut self) -> Result<(), Refused> {
        let leads = self.writer.leads();
        self.metrics.leads(leads);
        self.view.leads(leads);
        if !leads {
            self.memory = Memory::new(self.grace);
            self.desk.rest();
            self.rush = Rush::default();
            self.give_way(false);
            return Ok(());
        }
        if !self.watches.synced() {
            return Ok(());
        }
        if !self.memory.leading {
            // The replica that led before may have written what our watches do not show yet.
            self.newest = self.newest.max(self.sources.newest());
            self.memory
                .fresh
                .confirm_all(self.writer.services(self.newest).await?);
            let pages = self.writer.holders().await?;
            self.memory.holders = Holders::recall(&pages);
            self.memory.book.free(self.memory.holders.freed());
            self.memory.book.recall(agreed::recall(&pages));
            self.memory.leading = true;
            self.term += 1;
        }
        self.round().await
    }

    async fn round(&mut self) -> Result<(), Refused> {
        self.give_way(false);
        let fresh = &mut self.memory.fresh;
        let doubted = self.sources.look_at_services(|shown| fresh.observe(shown));
        let seen = self.memory.fresh.newest().max(self.desk.made());
        self.newest = self.newest.max(seen);
        self.ask(doubted).await?;

        let started = clock::now();
        let patches = self.decide();
        self.memory.thought = clock::now().duration_since(started);
        let (patches, stuck) = self.hold_back(patches);
        // What was refused last time and is tried again takes no time from anybody.
        let known = &self.memory.refusals;
        let gives = patches.iter().any(|patch| !known.contains(&patch.key));
        self.give_way(gives);
        let done = self.assign(patches, stuck).await;
        self.give_way(gives);
        done?;
        let round = self.desk.round();
        self.tell(round);
        Ok(())
    }

    /// Has everything else wait while addresses are given.
    fn give_way(&mut self, gives: bool) {
        let now = clock::now();
        if gives {
            self.rush.gives(now);
        }
        self.rushing = self.rush.lasts(now);
        self.desk.rush(self.rushing.is_some());
        self.writer.hold_events(self.rushing.is_some());
    }

    /// Settles doubts about Services with the API server itself.
    async fn ask(&mut self, doubted: BTreeSet<ServiceKey>) -> Result<(), Refused> {
        let many = |doubts: usize| doubts > self.memory.fresh.keys().count() / SHARE;
        if doubted.len() > DOUBTS && many(doubted.len()) {
            let all = self.writer.services(self.newest).await?;
            self.memory.fresh.confirm_all(all);
            return Ok(());
        }
        if !doubted.is_empty() {
            self.writer.check_history(self.newest).await?;
        }
        let question = |key: ServiceKey| async {
            let answer = self.writer.service(&key).await?;
            Ok::<_, Refused>((key, answer))
        };
        let answers: Vec<_> = futures::stream::iter(doubted)
            .map(question)
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;
        for (key, answer) in answers {
            self.memory.fresh.confirm(key, answer);
        }
        Ok(())
    }

    /// Brings the book up to date and gives the writes that its plan needs.
    fn decide(&mut self) -> Vec<Patch> {
        let now = clock::wall();
        self.enter(now.as_second());
        let memory = &mut self.memory;
        let (plan, aside) = memory.book.plan(clock::now(), now);
        self.metrics.planned();
        memory.grace_ends = aside.next;
        for happening in aside.happenings {
            self.writer.tell(happening);
        }
        memory.next = plan.next;
        memory.holders.forget(&plan.expired);
        let changes = plan.assign.keys().chain(plan.release.keys());
        memory.unsettled.extend(changes.cloned());
        let mut patches = Vec::new();
        memory.unsettled.retain(|key| {
            let patch = memory.fresh.get(key).and_then(|object| {
                let listed = || self.sources.listed(key, object);
                assign::patch(key, object, plan, listed, now)
            });
            let settled = patch.is_none();
            patches.extend(patch);
            !settled
        });
        memory.refusals.retain(&memory.unsettled);
        self.write_down();
        patches
    }

    /// Enters what changed since the last round.
    fn enter(&mut self, now: i64) {
        let memory = &mut self.memory;
        let mut changed = memory.fresh.take_changed();
        for key in &changed {
            let object = memory.fresh.get(key).map(AsRef::as_ref);
            let listed = || object.map_or_else(Vec::new, |one| self.sources.listed(key, one));
            memory.book.enter(key, object, listed);
        }
        let revision = self.sources.configuration();
        if memory.configured != Some(revision) || memory.book.is_outdated() {
            memory.configured = Some(revision);
            memory.book.configure(self.sources.objects());
            changed.extend(memory.fresh.keys().cloned());
            changed.extend(memory.holders.services());
        }
        for key in &changed {
            let (remembered, ours) = memory.book.remembered(key);
            memory.holders.enter(key, remembered, ours, now);
        }
        memory.unsettled.extend(changed);
        self.write_down();
    }

    /// Has what changed about holders written down, and the planner know it.
    fn write_down(&mut self) {
        let memory = &mut self.memory;
        let stale = memory.holders.take_stale();
        if !stale.is_empty() {
            memory.book.free(memory.holders.freed());
        }
        let stale = &stale | &memory.book.take_stale();
        if stale.is_empty() {
            return;
        }
        let mut pages: Pages = stale.into_iter().map(|page| (page, Page::new())).collect();
        memory.holders.write_on(&mut pages);
        memory.book.write_on(&mut pages);
        self.desk.write_down(pages);
    }

    /// Writes addresses, first where that makes some free, and remembers what the API server refuses. An
    /// address that was not taken from its holder, as those that are `stuck`, is not given away.
    async fn assign(
        &mut self,
        patches: Vec<Patch>,
        mut stuck: BTreeSet<IpAddr>,
    ) -> Result<(), Refused> {
        let (freeing, taking): (Vec<_>, Vec<_>) = patches.into_iter().partition(Patch::frees);
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
                        self.memory.refusals.forget(&patch.key);
                        self.memory.fresh.confirm(patch.key, Some(service));
                        continue;
                    }
                    Err(Refused::Rejected(error) | Refused::Error(error)) => {
                        let refusals = &mut self.memory.refusals;
                        refusals.note(patch.key.clone(), patch.version, error, clock::now());
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
        conflict.map_or(Ok(()), Err)
    }

    /// Leaves out what was refused a moment ago, and what takes addresses from Services unasked, but for as
    /// many as are due; gives what is left, and the addresses that are held on to meanwhile.
    fn hold_back(&mut self, patches: Vec<Patch>) -> (Vec<Patch>, BTreeSet<IpAddr>) {
        let mut stuck = BTreeSet::new();
        let memory = &mut self.memory;
        memory.held_back = None;
        let now = clock::now();
        let due = |patch: &Patch| {
            let refused = memory.refusals.waits(patch, now);
            let waits = refused
                || patch.unasked && {
                    match memory.held_back {
                        Some(_) => true,
                        None => {
                            memory.held_back = memory.moves.take(1, now).err();
                            memory.held_back.is_some()
                        }
                    }
                };
            if waits {
                stuck.extend(patch.holds.difference(&patch.wants));
            }
            !waits
        };
        (patches.into_iter().filter(due).collect(), stuck)
    }

    async fn send(&self, patches: Vec<Patch>) -> Vec<(Patch, Result<Service, Refused>)> {
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

    /// Tells the reporter, if it asked, once nothing more urgent is to be done.
    fn tell(&mut self, round: u64) {
        if self.asked && self.rushing.is_none() {
            self.asked = false;
            self.desk.tell(Told {
                round,
                term: self.term,
                services: self.memory.fresh.services(),
                decision: self.memory.book.decision(),
                failed: self.memory.refusals.errors(),
            });
        }
    }
}

/// How long from now until a time in seconds since 1970.
fn until(second: i64) -> Duration {
    let seconds = second.saturating_sub(clock::wall().as_second());
    // Not at once again, should the clocks disagree about a fraction of a second.
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1))
}
