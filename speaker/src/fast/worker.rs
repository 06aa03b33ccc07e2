//! The thread's loop: datagrams, orders, frames, decisions, deadlines; then wait.
//!
//! Sockets are drained before deadlines are judged: what arrived in time counts, however late this
//! thread was woken.

mod hear;
mod say;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use herald_beacon::{LinkId, Node, Question, Time, Timers};
use herald_l2::{Owned, Station};
use herald_runtime::clock;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::duty::{self, Duty, Say};
use super::restraint::{PAUSE, Restraint};
use super::timeline::Timeline;
use super::{Cluster, News, Notice, Orders, Settings, Telling, Wish};
use crate::io::{BeaconSocket, Class, Port, best, lock_memory, wait_readable};
use crate::links::Link;
use crate::metrics::Metrics;
use say::{TELL_EVERY, this_second};

/// Orders that could not be taken at once are tried again after this.
const AGAIN: Duration = Duration::from_millis(1);
/// A message cannot be older than that: sockets are drained at every beacon.
const OLDEST: Duration = Duration::from_secs(60);

/// Where the thread's words go.
pub(super) struct Outlets {
    pub(super) news: mpsc::Sender<News>,
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) telling: watch::Sender<Arc<Telling>>,
    pub(super) metrics: Metrics,
}

pub(super) struct Worker {
    orders: Arc<Mutex<Orders>>,
    woken: UnixDatagram,
    socket: BeaconSocket,
    settings: Settings,
    outlets: Outlets,
    timeline: Timeline,
    class: Class,
    node: Option<Node>,
    cluster: Option<Cluster>,
    station: Station,
    duty: Duty,
    ports: BTreeMap<u32, Arc<Port>>,
    with_gateway: BTreeSet<u32>,
    /// The interfaces this node would announce on, by the names beacons have for them.
    links: BTreeMap<LinkId, u32>,
    /// When a peer's kernel last said that nobody listens there.
    refusals: BTreeMap<SocketAddr, Time>,
    since: BTreeMap<IpAddr, Timestamp>,
    acknowledged: BTreeMap<IpAddr, Timestamp>,
    told: Arc<Telling>,
    tell_next: Time,
    /// Whether this round has read or sent something.
    worked: bool,
    restraint: Restraint,
}

impl Worker {
    pub(super) fn new(
        orders: Arc<Mutex<Orders>>,
        woken: UnixDatagram,
        socket: BeaconSocket,
        settings: Settings,
        outlets: Outlets,
    ) -> Self {
        let mut station = Station::new();
        station.set_limits(settings.limits);
        Self {
            orders,
            woken,
            socket,
            settings,
            outlets,
            timeline: Timeline::start(),
            class: Class::Normal,
            node: None,
            cluster: None,
            station,
            duty: Duty::default(),
            ports: BTreeMap::new(),
            with_gateway: BTreeSet::new(),
            links: BTreeMap::new(),
            refusals: BTreeMap::new(),
            since: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            told: Arc::default(),
            tell_next: Time::ZERO,
            worked: false,
            restraint: Restraint::default(),
        }
    }

    /// Runs until waiting fails, which only a programming error makes it do.
    pub(super) fn run(mut self) -> io::Error {
        self.class = best();
        if let Err(error) = lock_memory() {
            tracing::debug!(%error, "memory is not locked");
        }
        tracing::info!(scheduling = %self.class, "the announcing thread runs");
        self.widen_suspicion();
        loop {
            self.read_beacons();
            let waiting = !self.take_orders();
            self.review();
            self.read_copies();
            let more = self.read_ports();
            self.inquire();
            self.send_due();
            self.pass_events();
            self.tell();
            let mut limit = self.idle_for();
            if waiting {
                limit = limit.min(AGAIN);
            }
            if more {
                limit = Duration::ZERO;
            }
            if let Err(error) = self.wait(limit) {
                return error;
            }
        }
    }

    /// Who may be kept waiting for a processor does not hurry others, and without any priority waits
    /// one beacon longer for them.
    fn widen_suspicion(&mut self) {
        let timers = &mut self.settings.beacon.timers;
        let ordinary = Timers::default();
        if self.class != Class::RoundRobin && timers.suspect < ordinary.suspect {
            tracing::warn!(
                scheduling = %self.class,
                "the fast failover profile is not in force: SCHED_RR is not granted, add SYS_NICE"
            );
            *timers = ordinary;
        }
        if self.class == Class::Normal {
            timers.suspect += timers.interval;
        }
    }

    /// Takes what was ordered; false when the other side is about to order something. It is not
    /// waited for: it may itself wait for a processor that this thread does not let it have.
    fn take_orders(&mut self) -> bool {
        let mut ignored = [0; 8];
        while self.woken.recv(&mut ignored).is_ok() {
            self.worked = true;
        }
        let orders = match self.orders.try_lock() {
            Ok(mut orders) => std::mem::take(&mut *orders),
            Err(TryLockError::Poisoned(poisoned)) => std::mem::take(&mut *poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        };
        if let Some(cluster) = orders.cluster {
            self.join(cluster);
        }
        if let Some(wish) = orders.wish {
            self.wish(wish);
        }
        if let (Some(tie), Some(node)) = (orders.tie, &mut self.node) {
            node.set_tie(tie, clock::boot());
        }
        true
    }

    fn join(&mut self, cluster: Cluster) {
        let now = clock::boot();
        let peers: BTreeSet<&SocketAddr> = cluster.peers.values().collect();
        self.refusals.retain(|address, _| peers.contains(address));
        let same_life = self
            .cluster
            .as_ref()
            .is_some_and(|old| (old.id, old.life) == (cluster.id, cluster.life));
        if !same_life {
            let config = self.settings.beacon.complete(&cluster);
            self.node = Node::new(config, now)
                .inspect_err(|error| tracing::error!(%error, "no beacons are sent"))
                .ok();
        }
        if let Some(node) = &mut self.node {
            node.set_keys(cluster.keys.clone());
            node.set_peers(&cluster.peers);
            if let Some(view) = &cluster.view {
                node.set_view(view.clone(), now);
            }
            if !same_life {
                node.set_links(&with_gateways(&self.links, &self.with_gateway), now);
                node.set_wish(&ranks(&self.duty), now);
            }
        }
        self.cluster = Some(cluster);
        self.tell_next = Time::ZERO;
    }

    fn wish(&mut self, wish: Wish) {
        let now = clock::boot();
        self.ports = wish.ports;
        self.station.set_peers(wish.peers);
        self.station.set_watched(wish.watched);
        let with_gateway = |(index, interface): (&u32, &herald_l2::Interface)| {
            (!interface.gateways.is_empty()).then_some(*index)
        };
        self.with_gateway = wish.interfaces.iter().filter_map(with_gateway).collect();
        let candidacies = wish.candidacies.values();
        let used: BTreeSet<u32> = candidacies
            .flat_map(|one| one.interfaces.iter().copied())
            .collect();
        let interfaces = wish.interfaces.iter();
        let interfaces = interfaces.filter(|(index, _)| used.contains(*index));
        self.links = interfaces
            .map(|(index, interface)| (Link::id(&interface.name), *index))
            .collect();
        self.station.set_interfaces(wish.interfaces);
        let places = |duty: &Duty| {
            let wished = duty.wished().iter();
            wished
                .map(|(address, one)| (*address, one.interfaces.clone()))
                .collect::<BTreeMap<_, _>>()
        };
        let before = places(&self.duty);
        self.duty.set(wish.candidacies);
        if before != places(&self.duty) {
            self.station.set_owned(self.owned());
        }
        if let Some(node) = &mut self.node {
            node.set_links(&with_gateways(&self.links, &self.with_gateway), now);
            node.set_wish(&ranks(&self.duty), now);
        }
    }

    /// Asks the lease what this node may answer for, and tells the station.
    fn review(&mut self) {
        let Some(node) = &mut self.node else { return };
        let now = clock::boot();
        let say = |address| {
            let hold = node.owns(address, now);
            let lapsed = hold.is_none() && node.lapsed(address, now);
            Say { hold, lapsed }
        };
        let duty::Orders {
            taken,
            lost,
            resumed,
            renewed,
            hand_over,
        } = self.duty.review(say, now);
        for address in &hand_over {
            node.hand_over(*address, now);
        }
        for address in &taken {
            if let Some(takeover) = node.takeover(*address) {
                let news = News::TookOver {
                    address: *address,
                    suspected: takeover.claimed.saturating_sub(takeover.silent_since),
                    owned: takeover.won.saturating_sub(takeover.silent_since),
                };
                let _ = self.outlets.news.try_send(news);
            }
        }
        if !taken.is_empty() || !lost.is_empty() {
            let second = this_second();
            for address in &taken {
                self.since.insert(*address, second);
            }
            for address in &lost {
                self.since.remove(address);
                self.acknowledged.remove(address);
            }
            self.station.set_owned(self.owned());
            self.tell_next = Time::ZERO;
        }
        for (address, until) in renewed {
            self.station.renew(address, self.timeline.instant(until));
        }
        for address in resumed {
            self.station.announce_again(address);
        }
        if !hand_over.is_empty() {
            self.review();
        }
    }

    fn owned(&self) -> BTreeMap<IpAddr, Owned> {
        let posts = self.duty.posts().iter();
        let owned = posts.filter_map(|(address, post)| {
            let candidacy = self.duty.wished().get(address)?;
            let owned = Owned {
                interfaces: candidacy.interfaces.clone(),
                until: Some(self.timeline.instant(post.until)),
                probe_first: candidacy.probe_first,
            };
            Some((*address, owned))
        });
        owned.collect()
    }

    /// What is to be asked on the LAN: by the lease, when there is no majority, and about a link in
    /// doubt.
    fn inquire(&mut self) {
        let Some(node) = &mut self.node else { return };
        while let Some(question) = node.poll_question() {
            match question {
                Question::Gateway => {
                    let wished = self.duty.wished().values();
                    let used: BTreeSet<u32> = wished
                        .flat_map(|one| one.interfaces.iter().copied())
                        .collect();
                    let mut asked = used.intersection(&self.with_gateway).peekable();
                    if asked.peek().is_none() {
                        // Nobody to ask: that the cable is in has to do.
                        node.note_gateway(clock::boot());
                    }
                    for index in asked {
                        self.station.ask_gateways(*index);
                    }
                }
                Question::GatewayOn(link) => {
                    if let Some(index) = self.links.get(&link) {
                        self.station.ask_gateways(*index);
                    }
                }
                Question::Address(address) => {
                    let candidacy = self.duty.wished().get(&address);
                    for index in candidacy.into_iter().flat_map(|one| &one.interfaces) {
                        self.station.ask(address, *index);
                    }
                }
            }
        }
    }

    fn idle_for(&self) -> Duration {
        let now = clock::boot();
        let instant = self.timeline.instant(now);
        let station = self.station.poll_timeout();
        let station = station.map(|due| due.saturating_duration_since(instant));
        let node = self.node.as_ref().map(Node::poll_timeout);
        let node = node.map(|due| due.saturating_sub(now));
        let told = self.node.as_ref().map(|_| TELL_EVERY * 5);
        [station, node, told]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(OLDEST)
    }

    /// Waits for a message or until `limit` has passed, and counts how often that took too long.
    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let begun = clock::boot();
        let due = begun + limit;
        let mut descriptors = vec![self.woken.as_fd(), self.socket.as_fd()];
        descriptors.extend(self.ports.values().flat_map(|port| port.descriptors()));
        wait_readable(&descriptors, Some(limit))?;
        let now = clock::boot();
        self.outlets.metrics.wakeups.inc();
        if now > due + self.settings.beacon.timers.interval {
            self.outlets.metrics.late_wakeups.inc();
        }
        let worked = std::mem::take(&mut self.worked);
        if self.restraint.holds_back(worked, now.saturating_sub(begun)) {
            self.outlets.metrics.fruitless_wakeups.inc();
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// The links, and whether there is a gateway on each.
fn with_gateways(
    links: &BTreeMap<LinkId, u32>,
    with_gateway: &BTreeSet<u32>,
) -> BTreeMap<LinkId, bool> {
    let links = links.iter();
    links
        .map(|(link, index)| (*link, with_gateway.contains(index)))
        .collect()
}

fn ranks(duty: &Duty) -> BTreeMap<IpAddr, herald_beacon::Wish> {
    let wished = duty.wished().iter();
    wished
        .map(|(address, one)| (*address, herald_beacon::Wish { rank: one.rank }))
        .collect()
}
