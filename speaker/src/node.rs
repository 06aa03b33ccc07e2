//! The speaker of one node: observe, decide, wish, report.
//!
//! ```text
//! watches ─► world ─► announce::desired ─► placement ─► intent ─► fast (beacons, the wire)
//! netlink ─► ports ──────────────────────────────────────┘         │ who lives, who owns
//! snapshot (publish, inspect) ◄─ report ◄──────────────────────────┘
//! ```
//!
//! Every round starts from whole snapshots. Nothing is announced before every watch has synced, and
//! nothing is withdrawn because the API server is away: the copies stay as they were. A node's death
//! needs no round: the others' announcing threads have their wishes already.
//!
//! Not here: how the wish is put (`wish`), and what is told of a round (`tell`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use herald_beacon::NodeId;
use herald_config::service::Class;
use herald_model::announce;
use herald_model::bgp::Routes;
use herald_model::placement;
use herald_runtime::clock;
use herald_runtime::supervise::Stop;
use herald_runtime::watch::Watches;
use tokio::sync::{mpsc, watch};

use crate::chronicle::Chronicle;
use crate::cluster;
use crate::decision::{self, Decision, held, owners, used};
use crate::fast::{Fast, News, Telling, Wish};
use crate::flaps::Flaps;
use crate::inspect::Running;
use crate::intent::{self, Bid, Holding, Situation};
use crate::io::Groups;
use crate::links::Links;
use crate::metrics::Metrics;
use crate::moves::Moves;
use crate::ports::Ports;
use crate::publish::Report;
use crate::rebalance::{Loads, Rebalance};
use crate::routers;
use crate::world::{Copies, View};

mod tell;
mod wish;

/// How long a speaker that was asked to end waits for others to take its addresses.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long it then waits until it has told its peers that it owns nothing any more.
const RELEASE: Duration = Duration::from_millis(200);
/// Ports that could not be opened are tried again this often.
const RETRY: Duration = Duration::from_secs(10);
/// Changes of objects come in bursts: a round waits this long for the rest of one, and as long as the last
/// round took if that was longer, so that at most half of the time goes into rounds. Interfaces and
/// ownership wait for nothing.
const SETTLE: Duration = Duration::from_millis(2);
const SETTLE_LIMIT: Duration = Duration::from_millis(100);

/// What the node is made of.
pub(crate) struct Node {
    pub name: String,
    pub class: Class,
    pub excluded: Vec<String>,
    pub rebalances: bool,
    pub beacons: Beacons,
    pub watches: Arc<Watches>,
    pub copies: Arc<Copies>,
    pub links: watch::Receiver<Links>,
    pub fast: Fast,
    pub news: mpsc::Receiver<News>,
    pub telling: watch::Receiver<Arc<Telling>>,
    /// The sessions with routers, and what they are to be told.
    pub sessions: watch::Receiver<routers::States>,
    pub routes: Arc<RwLock<Routes>>,
    pub reports: watch::Sender<Report>,
    pub chronicle: Chronicle,
    pub metrics: Metrics,
    pub running: Arc<RwLock<Running>>,
}

/// Where beacons are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beacons {
    pub address: Option<IpAddr>,
    pub port: u16,
}

/// What a round leaves for the next.
#[derive(Debug, Default)]
struct Memory {
    ports: Ports,
    groups: Groups,
    moves: Moves,
    flaps: Flaps,
    rebalance: Rebalance,
    held: BTreeMap<IpAddr, Holding>,
    bids: BTreeMap<IpAddr, Bid>,
    view: View,
    links: Links,
}

impl Node {
    /// Runs until asked to end, then until others have taken over or [`FAREWELL`] has passed.
    pub(crate) async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let mut memory = Memory {
            ports: Ports::new(self.beacons.port),
            ..Memory::default()
        };
        let mut changes = self.watches.subscribe();
        let mut farewell: Option<Instant> = None;
        loop {
            changes.borrow_and_update();
            let began = clock::now();
            self.round(&mut memory, farewell.is_some());
            let took = clock::now().saturating_duration_since(began);
            if let Some(until) = farewell
                && (memory.held.is_empty() || clock::now() >= until)
            {
                self.release().await;
                return Ok(());
            }
            let pause = if farewell.is_some() {
                FAREWELL / 10
            } else {
                RETRY
            };
            let mut pause = pin!(tokio::time::sleep(pause));
            let mut settling = false;
            loop {
                tokio::select! {
                    changed = changes.changed(), if !settling => {
                        anyhow::ensure!(changed.is_ok(), "the watches ended");
                        settling = true;
                        let settled = clock::now() + took.clamp(SETTLE, SETTLE_LIMIT);
                        pause.as_mut().reset(settled.into());
                    }
                    changed = self.links.changed() => {
                        anyhow::ensure!(changed.is_ok(), "the view of the interfaces ended");
                        break;
                    }
                    changed = self.telling.changed() => {
                        anyhow::ensure!(changed.is_ok(), "the announcing thread ended");
                        break;
                    }
                    changed = self.sessions.changed() => {
                        anyhow::ensure!(changed.is_ok(), "speaking to routers ended");
                        break;
                    }
                    news = self.news.recv() => match news {
                        // It changes no decision: it is passed on.
                        Some(news) => self.hear(&memory, &news),
                        None => anyhow::bail!("the announcing thread ended"),
                    },
                    () = &mut pause => break,
                    () = stop.wait(), if farewell.is_none() => {
                        farewell = Some(clock::now() + FAREWELL);
                        break;
                    }
                }
            }
        }
    }

    /// Owns nothing from now on, and says so to the peers, that nobody has to wait for a silence.
    async fn release(&mut self) {
        self.fast.set(Wish::default());
        let released = self.telling.wait_for(|telling| telling.held.is_empty());
        // Nobody to tell: then they find out by the silence.
        let _ = tokio::time::timeout(RELEASE, released).await;
        tokio::time::sleep(RELEASE / 4).await;
    }

    /// One decision on one snapshot.
    fn round(&mut self, memory: &mut Memory, stopping: bool) {
        let now = clock::now();
        let links = self.links.borrow_and_update().clone();
        let telling = Arc::clone(&self.telling.borrow_and_update());
        let usages = memory.ports.update(&links, &self.excluded);
        if !self.watches.usable() {
            return;
        }
        let mut view = self.copies.view(&self.name, &self.class);
        if let Some(me) = view.world.nodes.get_mut(&self.name) {
            me.stopping |= stopping;
            me.interfaces = used(&usages);
        }
        let mut desired = announce::desired(&view.world);
        let names: BTreeMap<NodeId, String> = view
            .world
            .nodes
            .keys()
            .map(|name| (cluster::id(name), name.clone()))
            .collect();
        let flapping = memory.flaps.held_down(now);
        decision::pass_over(&mut desired, &flapping, &telling.unheard, &names);
        let lost = decision::lost(&usages);
        decision::let_go(&mut desired, &self.name, &lost, &view.world.nodes);
        let live = if telling.member {
            let live = telling.live.iter();
            live.filter_map(|id| names.get(id).cloned()).collect()
        } else {
            names.values().cloned().collect()
        };
        if telling.member && telling.quorum {
            memory.flaps.note(&live, now);
        }
        let owners = owners(&telling, &names);
        memory.moves.note(&owners, now);
        let mut previous = owners.clone();
        for (address, claim) in &view.claims {
            previous
                .entry(*address)
                .or_insert_with(|| claim.node.clone());
        }
        let lines = placement::line_up(&desired.addresses, &previous, &live);
        let damped = memory.moves.damped();
        let mut bids = intent::bids(&Situation {
            me: &self.name,
            desired: &desired,
            lines: &lines,
            owners: &owners,
            claims: &view.claims,
            held: &telling.held.keys().copied().collect(),
            before: &memory.held,
            damped: &damped,
        });
        let loads = Loads {
            me: &self.name,
            desired: &desired,
            lines: &lines,
            owners: &owners,
            damped: &damped,
            moved: memory.moves.latest(),
        };
        if self.rebalances
            && telling.quorum
            && let Some(address) = memory.rebalance.choose(&loads, now)
            && let Some(bid) = bids.get_mut(&address)
        {
            tracing::info!(%address, "handed to a node that carries fewer");
            bid.gives_away = true;
        }
        let held = held(&telling, &bids);
        let decision = Decision {
            view: &view,
            links: &links,
            usages: &usages,
            desired: &desired,
            lines: &lines,
            owners: &owners,
            live: &live,
            bids: &bids,
            held: &held,
            telling: &telling,
            names: &names,
            stopping,
        };
        self.announce(memory, &decision);
        self.tell_changes(&memory.held, &decision);
        self.report(&decision);
        memory.held = held;
        memory.bids = bids;
        memory.view = view;
        memory.links = links;
    }
}
