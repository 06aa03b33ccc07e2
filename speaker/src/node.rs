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

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use herald_beacon::NodeId;
use herald_l2::Event;
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
use crate::fast::{Candidacy, Fast, News, Telling, Wish};
use crate::flaps::Flaps;
use crate::inspect::Running;
use crate::intent::{self, Bid, Holding, Situation};
use crate::io::Groups;
use crate::links::Links;
use crate::metrics::Metrics;
use crate::moves::Moves;
use crate::ports::{self, GROUPS_PER_INTERFACE, Ports};
use crate::publish::Report;
use crate::rebalance::{Loads, Rebalance};
use crate::report::{self, Facts};
use crate::routers;
use crate::strict_arp;
use crate::world::{Copies, View};

/// How long a speaker that was asked to end waits for others to take its addresses.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long it then waits until it has told its peers that it owns nothing any more.
const RELEASE: Duration = Duration::from_millis(200);
/// Ports that could not be opened are tried again this often.
const RETRY: Duration = Duration::from_secs(10);

/// What the node is made of.
pub(crate) struct Node {
    pub name: String,
    pub class: String,
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
            self.round(&mut memory, farewell.is_some());
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
            // News changes no decision: it is passed on.
            while let Some(news) = tokio::select! {
                _ = changes.changed() => None,
                changed = self.links.changed() => {
                    anyhow::ensure!(changed.is_ok(), "the view of the interfaces ended");
                    None
                }
                changed = self.telling.changed() => {
                    anyhow::ensure!(changed.is_ok(), "the announcing thread ended");
                    None
                }
                changed = self.sessions.changed() => {
                    anyhow::ensure!(changed.is_ok(), "speaking to routers ended");
                    None
                }
                news = self.news.recv() => {
                    anyhow::ensure!(news.is_some(), "the announcing thread ended");
                    news
                }
                () = &mut pause => None,
                () = stop.wait(), if farewell.is_none() => {
                    farewell = Some(clock::now() + FAREWELL);
                    None
                }
            } {
                self.hear(&memory, &news);
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

    /// Tells of what the announcing thread noticed.
    fn hear(&self, memory: &Memory, news: &News) {
        let name = |interface: u32| {
            let link = memory.links.get(&interface);
            link.map_or("?", |link| link.name.as_str())
        };
        let holding = |address: IpAddr| {
            let bid = memory.bids.get(&address)?;
            Some(&bid.holding)
        };
        match news {
            News::TookOver {
                address,
                suspected,
                owned,
            } => {
                self.metrics.took_over(*suspected, *owned);
                tracing::info!(%address, ?suspected, ?owned, "took over from a silent owner");
            }
            News::Lan(Event::Claimed(claim)) => {
                self.metrics.claimed(claim);
                if let Some(holding) = holding(claim.address) {
                    let interface = name(claim.interface);
                    self.chronicle
                        .claimed(claim, holding, interface, &memory.view);
                }
            }
            News::Lan(Event::Acknowledged { after, .. }) => self.metrics.acknowledged(*after),
            News::Lan(Event::Unacknowledged {
                address,
                interface,
                gateway,
            }) => {
                self.metrics.unacknowledged.inc();
                if let Some(holding) = holding(*address) {
                    let interface = name(*interface);
                    let view = &memory.view;
                    self.chronicle
                        .unacknowledged(*address, *gateway, holding, interface, view);
                }
            }
            News::Lan(
                Event::Announced { .. } | Event::Answered { .. } | Event::GatewayAnswered { .. },
            ) => {}
        }
    }

    /// Hands the wish to the announcing thread and joins the groups it needs.
    fn announce(&self, memory: &mut Memory, decision: &Decision<'_>) {
        let usages = decision.usages.iter();
        let indexes: BTreeMap<&str, u32> = usages
            .filter(|usage| usage.used.is_ok())
            .map(|usage| (usage.link.name.as_str(), usage.index))
            .collect();
        let on = |names: &BTreeSet<String>| -> BTreeSet<u32> {
            let names = names.iter();
            names
                .filter_map(|name| indexes.get(name.as_str()).copied())
                .collect()
        };
        let candidacies: BTreeMap<IpAddr, Candidacy> = decision
            .bids
            .iter()
            .map(|(address, bid)| {
                let candidacy = Candidacy {
                    interfaces: on(&bid.holding.interfaces),
                    rank: bid.rank,
                    gives_away: bid.gives_away,
                    probe_first: bid.untried,
                };
                (*address, candidacy)
            })
            .filter(|(_, candidacy)| !candidacy.interfaces.is_empty())
            .collect();
        let groups = groups(&candidacies);
        let interface = |index: &u32| Some((*index, ports::interface(decision.links.get(index)?)?));
        self.fast.set(Wish {
            ports: memory.ports.sockets(),
            interfaces: indexes.values().filter_map(interface).collect(),
            watched: candidacies.keys().copied().collect(),
            candidacies,
            peers: decision.view.peers.clone(),
        });
        self.join(memory, decision.links, groups);
    }

    /// Owned and standby addresses are listened for alike: nothing has to converge on failover.
    fn join(&self, memory: &mut Memory, links: &Links, wanted: BTreeMap<u32, BTreeSet<Ipv6Addr>>) {
        let mut memberships = BTreeSet::new();
        for (index, groups) in wanted {
            let Some(link) = links.get(&index) else {
                continue;
            };
            if groups.len() > GROUPS_PER_INTERFACE {
                memory.ports.hear_all_groups(index, &link.name);
            } else {
                memberships.extend(groups.into_iter().map(|group| (index, link.epoch, group)));
            }
        }
        for ((index, _, group), error) in memory.groups.set(&memberships) {
            tracing::warn!(index, %group, %error, "a multicast group cannot be joined, trying again");
        }
        self.metrics
            .groups
            .set(i64::try_from(memory.groups.count()).unwrap_or(i64::MAX));
    }

    /// Tells of addresses that came and went, and of Services that joined them.
    fn tell_changes(&self, before: &BTreeMap<IpAddr, Holding>, decision: &Decision<'_>) {
        let view = decision.view;
        for (address, holding) in decision.held {
            let known = before.get(address);
            let services = holding.services.iter();
            let new = services
                .filter(|service| known.is_none_or(|known| !known.services.contains(*service)));
            let news = Holding {
                services: new.cloned().collect(),
                ..holding.clone()
            };
            if !news.services.is_empty() {
                let claim = view.claims.get(address);
                let resumed = known.is_none() && claim.is_some_and(|c| c.node == self.name);
                self.chronicle.taken(*address, &news, resumed, view);
            }
        }
        for (address, holding) in before {
            if !decision.held.contains_key(address) {
                let next = decision.owners.get(address).map(String::as_str);
                self.chronicle.given_up(*address, holding, next);
            }
        }
    }

    fn report(&mut self, decision: &Decision<'_>) {
        let Decision {
            view, bids, held, ..
        } = decision;
        let announced = bids
            .iter()
            .map(|(address, bid)| (address, &bid.holding.interfaces));
        let answered = strict_arp::answered_by_kernel(
            announced,
            decision.links,
            strict_arp::effective_arp_ignore,
        );
        self.chronicle.answered_by_kernel(&answered, view);
        let status = view
            .speaker
            .as_ref()
            .and_then(|speaker| speaker.status.as_ref());
        let Beacons { address, port } = self.beacons;
        let own = view.node.as_ref();
        let status = report::speaker_status(&Facts {
            usages: decision.usages,
            answered: &answered,
            stopping: decision.stopping,
            before: status,
            beacon_address: own.and_then(|node| cluster::beacon_address(node, address, port)),
            telling: decision.telling,
            names: decision.names,
            me: &self.name,
            sessions: &self.sessions.borrow_and_update(),
            boot: clock::boot(),
            now: clock::wall(),
        });
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let routed = routers::announcements(&self.name, &routes, &self.sessions.borrow());
        drop(routes);
        self.reports.send_replace(Report {
            routed,
            speaker: Some(status),
            speaker_exists: view.speaker.is_some(),
            announcements: report::announcements(&self.name, held, decision.telling),
            existing: view.announcements.clone(),
        });
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let leaving = held.values().filter(|holding| holding.leaving).count();
        self.metrics.owned.set(count(held.len()));
        self.metrics.leaving.set(count(leaving));
        self.metrics
            .standby
            .set(count(bids.len() - held.len().min(bids.len())));
        self.metrics
            .interfaces
            .set(count(used(decision.usages).len()));
        self.metrics.live_nodes.set(count(decision.live.len()));
        self.metrics.quorum.set(decision.telling.quorum.into());
        let running = Running::of(&self.name, decision);
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = running;
    }
}

/// The solicited-node groups by interface.
fn groups(candidacies: &BTreeMap<IpAddr, Candidacy>) -> BTreeMap<u32, BTreeSet<Ipv6Addr>> {
    let mut groups: BTreeMap<u32, BTreeSet<Ipv6Addr>> = BTreeMap::new();
    for (address, candidacy) in candidacies {
        if let IpAddr::V6(address) = address {
            for index in &candidacy.interfaces {
                let group = herald_l2::ndp::solicited_node(*address);
                groups.entry(*index).or_default().insert(group);
            }
        }
    }
    groups
}
