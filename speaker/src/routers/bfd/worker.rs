//! The thread's loop: orders, datagrams, deadlines, packets; then wait.
//!
//! Sockets are drained before deadlines are judged: what arrived in time counts, however late this thread
//! was woken.

mod echoes;
mod frame;
mod gates;
mod mirrors;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use herald_bfd::{Config, Discriminator, Path, Time};
use herald_runtime::clock;
use tokio::sync::watch;

use super::wish::{Route, Watch};
use super::{Orders, Paths, Seen, Wish};
use crate::io::{best, wait_readable};
use crate::routers::metrics::BfdMetrics;
use echoes::Echoes;
use gates::Gates;
use mirrors::Mirrors;
use watched::Watched;

/// Orders that could not be taken at once are tried again after this.
const AGAIN: Duration = Duration::from_millis(1);
/// Sockets that could not be opened are tried again after this.
const RETRY: Duration = Duration::from_secs(1);
/// How long a router may take to notice that this end goes.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    orders: Arc<Mutex<Orders>>,
    woken: UnixDatagram,
    tell: watch::Sender<Paths>,
    metrics: BfdMetrics,
    gates: Gates,
    echoes: Echoes,
    mirrors: Mirrors,
    watched: BTreeMap<Route, Watched>,
    /// Those that are not wished for any more, until the router knows.
    leaving: Vec<(Watched, Time)>,
    retry_at: Time,
    ending: bool,
}

impl Worker {
    pub(super) fn new(
        orders: Arc<Mutex<Orders>>,
        woken: UnixDatagram,
        tell: watch::Sender<Paths>,
        metrics: BfdMetrics,
    ) -> Self {
        Self {
            orders,
            woken,
            tell,
            metrics,
            gates: Gates::default(),
            echoes: Echoes::default(),
            mirrors: Mirrors::default(),
            watched: BTreeMap::new(),
            leaving: Vec::new(),
            retry_at: Time::ZERO,
            ending: false,
        }
    }

    /// Runs until asked to end and every router knows, or until waiting fails, which only a programming
    /// error makes it do.
    pub(super) fn run(mut self) -> io::Result<()> {
        tracing::info!(scheduling = %best(), "the BFD thread runs");
        loop {
            let again = !self.take_orders();
            self.equip();
            let more = self.read();
            self.step();
            self.tell();
            if self.ending && self.leaving.is_empty() {
                return Ok(());
            }
            let limit = if more {
                Some(Duration::ZERO)
            } else if again {
                Some(AGAIN)
            } else {
                self.idle_for()
            };
            let mut descriptors = vec![self.woken.as_fd()];
            descriptors.extend(self.gates.descriptors());
            descriptors.extend(self.echoes.descriptors());
            descriptors.extend(self.mirrors.descriptors());
            wait_readable(&descriptors, limit)?;
        }
    }

    /// False when somebody holds the orders just now.
    fn take_orders(&mut self) -> bool {
        let mut ignored = [0; 8];
        while self.woken.recv(&mut ignored).is_ok() {}
        let orders = match self.orders.try_lock() {
            Ok(mut orders) => std::mem::take(&mut *orders),
            Err(TryLockError::Poisoned(poisoned)) => std::mem::take(&mut *poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => return false,
        };
        self.ending |= orders.end;
        let wish = if self.ending {
            Some(Wish::new())
        } else {
            orders.wish
        };
        if let Some(wish) = wish {
            self.follow(wish);
        }
        true
    }

    /// Watches these and nobody else. Two peers with the same route share a session, which is as the first
    /// of them wants it.
    fn follow(&mut self, wish: Wish) {
        let now = clock::boot();
        let mut routes: BTreeMap<Route, (Config, BTreeSet<String>)> = BTreeMap::new();
        for (peer, Watch { config, route }) in wish {
            let entry = routes.entry(route).or_insert((config, BTreeSet::new()));
            entry.1.insert(peer);
        }
        let stays = |route: &Route| routes.contains_key(route);
        let gone: Vec<Route> = self.watched.keys().filter(|r| !stays(r)).cloned().collect();
        for route in gone {
            if let Some(mut watched) = self.watched.remove(&route) {
                watched.leave(now, &self.metrics);
                self.leaving.push((watched, now + PATIENCE));
            }
        }
        for (route, (config, peers)) in routes {
            match self.watched.get_mut(&route) {
                Some(watched) => watched.follow(config, peers, &self.metrics, now),
                None => self.begin(route, config, peers, now),
            }
        }
        self.retry_at = now;
    }

    fn begin(&mut self, route: Route, config: Config, peers: BTreeSet<String>, now: Time) {
        // One that leaves the same router would speak between.
        self.leaving.retain_mut(|(watched, _)| {
            let same = watched.route().origin() == route.origin();
            if same {
                watched.step(now);
                self.gates.forget(watched);
            }
            !same
        });
        let known = self.watched.values().map(Watched::discriminator);
        let known: BTreeSet<Discriminator> = known.collect();
        let drawn = std::iter::from_fn(random).find(|number| !known.contains(number));
        let watched = drawn.and_then(|number| {
            let seed = random().map_or(0, Discriminator::get).into();
            Watched::new(route.clone(), config, number, seed, now)
        });
        let Some(mut watched) = watched else {
            tracing::warn!(router = %route.place, "a router cannot be watched by BFD");
            return;
        };
        watched.name(peers, &self.metrics);
        self.gates.expect(&watched);
        self.watched.insert(route, watched);
    }

    /// Opens what is to be open and is not.
    fn equip(&mut self) {
        let now = clock::boot();
        if self.retry_at > now {
            return;
        }
        self.reflect(now);
        let wanted = self.watched.values().filter_map(Watched::echo_on);
        self.echoes.set(&wanted.collect());
        for watched in self.watched.values_mut() {
            let socket = watched.echo_on().and_then(|on| self.echoes.get(on));
            watched.echo_by(socket);
        }
        self.retry_at = now + RETRY;
        let routes = self
            .watched
            .keys()
            .chain(self.leaving.iter().map(|(w, _)| w.route()));
        self.gates.retain(routes);
        for watched in self.watched.values_mut() {
            let trouble = self.gates.open(watched.route());
            watched.equip(trouble);
        }
    }

    /// Opens the ports that echo packets of routers come to, and no others.
    fn reflect(&mut self, now: Time) {
        let wanted = self.watched.values().filter(|w| w.wants_mirror());
        let devices = wanted.map(|watched| watched.route().device.clone());
        self.mirrors.retain(&devices.collect());
        for watched in self.watched.values_mut() {
            let wanted = watched.wants_mirror();
            let device = watched.route().device.as_deref();
            let dull = wanted.then(|| self.mirrors.open(device).err()).flatten();
            watched.mirror(dull, now);
        }
    }

    /// Reads what has arrived; true when there may be more.
    fn read(&mut self) -> bool {
        let Self {
            gates,
            echoes,
            mirrors,
            watched,
            leaving,
            ..
        } = self;
        let more = gates.read(&mut |session, datagram, from| {
            let leaving = leaving.iter_mut().map(|(watched, _)| watched);
            let mut every = watched.values_mut().chain(leaving);
            if let Some(watched) = every.find(|watched| watched.discriminator() == session) {
                watched.hear(datagram, from, clock::boot());
            }
        });
        let more_echoes = echoes.read(&mut |wire, said| {
            for watched in watched.values_mut() {
                watched.hear_frame(wire, said, clock::boot());
            }
        });
        let more_foreign = mirrors.read(&mut |device, echoed| {
            let mut every = watched.values_mut();
            let its =
                |w: &&mut Watched| w.route().device.as_deref() == device && w.is_echoed(echoed);
            let watched = every.find(its);
            watched.is_some_and(|watched| watched.loops_back(echoed, clock::boot()))
        });
        more || more_echoes || more_foreign
    }

    fn step(&mut self) {
        let now = clock::boot();
        let leaving = self.leaving.iter_mut().map(|(watched, _)| watched);
        for watched in self.watched.values_mut().chain(leaving) {
            watched.step(now);
        }
        let gates = &mut self.gates;
        self.leaving.retain(|(watched, until)| {
            let stays = !watched.is_heeded() && *until > now;
            if !stays {
                gates.forget(watched);
            }
            stays
        });
    }

    fn tell(&self) {
        let mut paths = Paths::new();
        for watched in self.watched.values() {
            let seen: Seen = watched.seen();
            for (peer, up) in watched.peers() {
                up.set(i64::from(seen.path() == Path::Up));
                paths.insert(peer.clone(), seen.clone());
            }
        }
        // Those that leave on purpose are no failure, until the wish of BGP says the same.
        for (watched, _) in &self.leaving {
            for (peer, _) in watched.peers() {
                paths.entry(peer.clone()).or_insert_with(|| watched.seen());
            }
        }
        self.tell.send_if_modified(|told| {
            let changed = *told != paths;
            if changed {
                *told = paths;
            }
            changed
        });
    }

    fn idle_for(&self) -> Option<Duration> {
        let leaving = self.leaving.iter().map(|(watched, _)| watched);
        let due = self
            .watched
            .values()
            .chain(leaving)
            .filter_map(Watched::due);
        let until = self.leaving.iter().map(|(_, until)| *until);
        let troubled = |watched: &Watched| watched.is_troubled() || watched.lacks_echo();
        let troubled = self.watched.values().any(troubled);
        let retry = troubled.then_some(self.retry_at);
        let next = due.chain(until).chain(retry).min()?;
        Some(next.saturating_sub(clock::boot()))
    }
}

/// A number nobody foresees; none where the kernel has none, which it has.
fn random() -> Option<Discriminator> {
    let mut octets = [0; 4];
    getrandom::fill(&mut octets).ok()?;
    Discriminator::new(u32::from_ne_bytes(octets).max(1))
}
