//! The speaker of one node: observe, decide, wish, report.
//!
//! ```text
//! watches ─► world ─► announce::desired ─► placement ─► intent ─► fast (the wire)
//! netlink ─► ports ──────────────────────────────────────┘  └──► report ─► publish (status)
//! ```
//!
//! Every round starts from whole snapshots. Nothing is announced before every watch has synced, and
//! nothing is withdrawn because the API server is away: the copies stay as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use herald_l2::Event;
use herald_model::announce::{self, Desired};
use herald_model::placement;
use herald_runtime::clock;
use herald_runtime::supervise::Stop;
use herald_runtime::watch::Watches;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::chronicle::Chronicle;
use crate::fast::{Fast, Wish};
use crate::inspect::Running;
use crate::intent::{self, Holding, Intent, Situation};
use crate::io::Groups;
use crate::links::Links;
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::ports::{self, GROUPS_PER_INTERFACE, Ports, Usage};
use crate::publish::Report;
use crate::report::{self, Tenure};
use crate::strict_arp;
use crate::world::{Copies, View};

/// How long another node gets to take an address before it is given up here regardless.
const HANDOVER: Duration = Duration::from_secs(10);
/// How long a speaker that was asked to end waits for others to take its addresses.
const FAREWELL: Duration = Duration::from_secs(3);
/// Ports that could not be opened are tried again this often.
const RETRY: Duration = Duration::from_secs(10);

/// What the node is made of.
pub(crate) struct Node {
    pub name: String,
    pub class: String,
    pub excluded: Vec<String>,
    pub watches: Watches,
    pub copies: Copies,
    pub links: watch::Receiver<Links>,
    pub fast: Fast,
    pub l2_events: mpsc::Receiver<Event>,
    pub reports: watch::Sender<Report>,
    pub chronicle: Chronicle,
    pub metrics: Metrics,
    pub running: Arc<RwLock<Running>>,
}

/// What a round leaves for the next.
#[derive(Debug, Default)]
struct Memory {
    liveness: Liveness,
    ports: Ports,
    groups: Groups,
    held: BTreeMap<IpAddr, Holding>,
    tenures: BTreeMap<IpAddr, Tenure>,
    leaving_since: BTreeMap<IpAddr, Instant>,
    view: View,
    links: Links,
}

impl Node {
    /// Runs until asked to end, then until others have taken over or [`FAREWELL`] has passed.
    pub(crate) async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let mut memory = Memory::default();
        let mut changes = self.watches.subscribe();
        let mut farewell: Option<Instant> = None;
        loop {
            changes.borrow_and_update();
            let next = self.round(&mut memory, farewell.is_some());
            if let Some(until) = farewell
                && (memory.held.is_empty() || clock::now() >= until)
            {
                return Ok(());
            }
            let pause = if farewell.is_some() {
                next.min(FAREWELL / 10)
            } else {
                next
            };
            tokio::select! {
                _ = changes.changed() => {}
                changed = self.links.changed() => {
                    anyhow::ensure!(changed.is_ok(), "the view of the interfaces ended");
                }
                event = self.l2_events.recv() => match event {
                    Some(event) => self.hear(&memory, event),
                    None => anyhow::bail!("the announcing thread ended"),
                },
                () = tokio::time::sleep(pause) => {}
                () = stop.wait(), if farewell.is_none() => {
                    farewell = Some(clock::now() + FAREWELL);
                }
            }
        }
    }

    /// One decision on one snapshot; returns after how long the next is due at the latest.
    fn round(&mut self, memory: &mut Memory, stopping: bool) -> Duration {
        let now = clock::now();
        let links = self.links.borrow_and_update().clone();
        let usages = memory.ports.update(&links, &self.excluded);
        if !self.watches.synced() {
            return RETRY;
        }
        let mut view = self.copies.view(&self.name, &self.class);
        if let Some(me) = view.world.nodes.get_mut(&self.name) {
            me.stopping |= stopping;
            me.interfaces = used(&usages);
        }
        let desired = announce::desired(&view.world);
        let live = memory.liveness.observe(&view.seen, now);
        let previous = view
            .claims
            .iter()
            .map(|(a, claim)| (*a, claim.node.clone()))
            .collect();
        let lines = placement::line_up(&desired.addresses, &previous, &live);
        let owners = lines
            .into_iter()
            .filter_map(|(address, line)| Some((address, line.into_iter().next()?)))
            .collect();
        let intent = intent::decide(&Situation {
            me: &self.name,
            desired: &desired,
            owners: &owners,
            claims: &view.claims,
            held: &memory.held,
            overdue: &overdue(&memory.leaving_since, now),
        });
        self.announce(memory, &links, &usages, &view, &intent);
        self.keep_books(memory, &view, &intent, now);
        self.report(memory, &links, &usages, &view, &intent, stopping);
        self.show(&view, &desired, &owners, &live, &intent, &usages);
        memory.view = view;
        memory.links = links;
        let expiry = memory.liveness.next_expiry(now).unwrap_or(RETRY);
        expiry.min(RETRY)
    }

    /// Tells of what the announcing thread noticed.
    fn hear(&self, memory: &Memory, event: Event) {
        let Event::Claimed(claim) = event else { return };
        self.metrics.claimed(&claim);
        let name = memory
            .links
            .get(&claim.interface)
            .map_or("?", |link| &link.name);
        if let Some(holding) = memory.held.get(&claim.address) {
            self.chronicle.claimed(&claim, holding, name, &memory.view);
        }
    }

    /// Hands the wish to the announcing thread and joins the groups it needs.
    fn announce(
        &self,
        memory: &mut Memory,
        links: &Links,
        usages: &[Usage],
        view: &View,
        intent: &Intent,
    ) {
        let indexes: BTreeMap<&str, u32> = usages
            .iter()
            .filter(|usage| usage.used.is_ok())
            .map(|usage| (usage.link.name.as_str(), usage.index))
            .collect();
        let on = |names: &BTreeSet<String>| -> BTreeSet<u32> {
            names
                .iter()
                .filter_map(|name| indexes.get(name.as_str()).copied())
                .collect()
        };
        let owned = intent.owned.iter().map(|(address, holding)| {
            let interfaces = on(&holding.interfaces);
            let owned = herald_l2::Owned {
                interfaces,
                until: None,
                yields: holding.leaving,
                probe_first: false,
            };
            (*address, owned)
        });
        self.fast.set(Wish {
            ports: memory.ports.sockets(),
            interfaces: indexes
                .values()
                .filter_map(|index| Some((*index, ports::interface(links.get(index)?)?)))
                .collect(),
            owned: owned.collect(),
            watched: intent.standby.keys().copied().collect(),
            peers: view.peers.clone(),
        });
        self.join_groups(memory, links, intent, on);
    }

    /// Owned and standby addresses are listened for alike: nothing has to converge on failover.
    fn join_groups(
        &self,
        memory: &mut Memory,
        links: &Links,
        intent: &Intent,
        on: impl Fn(&BTreeSet<String>) -> BTreeSet<u32>,
    ) {
        let owned = intent
            .owned
            .iter()
            .map(|(address, held)| (address, &held.interfaces));
        let mut wanted: BTreeMap<u32, BTreeSet<std::net::Ipv6Addr>> = BTreeMap::new();
        for (address, interfaces) in owned.chain(&intent.standby) {
            if let IpAddr::V6(address) = address {
                for index in on(interfaces) {
                    let group = herald_l2::ndp::solicited_node(*address);
                    wanted.entry(index).or_default().insert(group);
                }
            }
        }
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

    /// Remembers since when what is held, and tells of changes.
    fn keep_books(&self, memory: &mut Memory, view: &View, intent: &Intent, now: Instant) {
        for (address, holding) in &intent.owned {
            let before = memory.held.get(address);
            let resumed = view
                .claims
                .get(address)
                .filter(|claim| claim.node == self.name);
            if before.is_none() {
                let epoch = view.claims.get(address).map_or(0, |claim| claim.epoch);
                let tenure = match resumed {
                    Some(claim) => Tenure {
                        since: since(view, holding, *address).unwrap_or_else(this_second),
                        epoch: claim.epoch,
                    },
                    None => Tenure {
                        since: this_second(),
                        epoch: epoch.saturating_add(1),
                    },
                };
                memory.tenures.insert(*address, tenure);
            }
            let known = before.map(|before| &before.services);
            let new = holding
                .services
                .iter()
                .filter(|service| known.is_none_or(|known| !known.contains(*service)));
            let news = Holding {
                services: new.cloned().collect(),
                ..holding.clone()
            };
            if !news.services.is_empty() {
                let resumed = before.is_none() && resumed.is_some();
                self.chronicle.taken(*address, &news, resumed, view);
            }
        }
        for (address, holding) in &memory.held {
            if !intent.owned.contains_key(address) {
                self.chronicle.given_up(*address, holding, view);
            }
        }
        memory
            .tenures
            .retain(|address, _| intent.owned.contains_key(address));
        memory.leaving_since.retain(|address, _| {
            intent
                .owned
                .get(address)
                .is_some_and(|holding| holding.leaving)
        });
        for (address, holding) in &intent.owned {
            if holding.leaving {
                memory.leaving_since.entry(*address).or_insert(now);
            }
        }
        memory.held.clone_from(&intent.owned);
    }

    fn report(
        &mut self,
        memory: &Memory,
        links: &Links,
        usages: &[Usage],
        view: &View,
        intent: &Intent,
        stopping: bool,
    ) {
        let announced = intent
            .owned
            .iter()
            .map(|(address, holding)| (address, &holding.interfaces))
            .chain(&intent.standby);
        let answered =
            strict_arp::answered_by_kernel(announced, links, strict_arp::effective_arp_ignore);
        self.chronicle.answered_by_kernel(&answered, view);
        let before = view
            .speaker
            .as_ref()
            .and_then(|speaker| speaker.status.as_ref());
        let status = report::speaker_status(usages, &answered, stopping, before, clock::wall());
        self.reports.send_replace(Report {
            speaker: Some(status),
            speaker_exists: view.speaker.is_some(),
            announcements: report::announcements(&self.name, &intent.owned, &memory.tenures),
            existing: view.announcements.clone(),
        });
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let leaving = intent
            .owned
            .values()
            .filter(|holding| holding.leaving)
            .count();
        self.metrics.owned.set(count(intent.owned.len()));
        self.metrics.leaving.set(count(leaving));
        self.metrics.standby.set(count(intent.standby.len()));
        self.metrics.interfaces.set(count(used(usages).len()));
    }

    fn show(
        &self,
        view: &View,
        desired: &Desired,
        owners: &BTreeMap<IpAddr, String>,
        live: &BTreeSet<String>,
        intent: &Intent,
        usages: &[Usage],
    ) {
        self.metrics
            .live_nodes
            .set(i64::try_from(live.len()).unwrap_or(i64::MAX));
        let running = Running::of(&self.name, view, desired, owners, live, intent, usages);
        *self
            .running
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = running;
    }
}

/// Addresses whose next owner has had time enough.
fn overdue(leaving_since: &BTreeMap<IpAddr, Instant>, now: Instant) -> BTreeSet<IpAddr> {
    leaving_since
        .iter()
        .filter(|(_, since)| now.saturating_duration_since(**since) >= HANDOVER)
        .map(|(address, _)| *address)
        .collect()
}

fn used(usages: &[Usage]) -> Vec<String> {
    let used = usages.iter().filter(|usage| usage.used.is_ok());
    used.map(|usage| usage.link.name.clone()).collect()
}

/// Now, as precisely as the API keeps times.
fn this_second() -> Timestamp {
    Timestamp::from_second(clock::wall().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Since when this node says that it announces an address.
fn since(view: &View, holding: &Holding, address: IpAddr) -> Option<Timestamp> {
    let statuses = holding
        .services
        .iter()
        .filter_map(|service| view.announcements.get(service)?.status.as_ref());
    let mut entries = statuses.flat_map(|status| &status.layer2);
    let text = address.to_string();
    entries
        .find(|entry| entry.address == text)?
        .since
        .as_ref()
        .map(|since| since.0)
}
