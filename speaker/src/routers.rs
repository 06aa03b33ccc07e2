//! Speaks BGP to routers: what is to be told to whom, one session each, and how each of them is doing.
//!
//! ```text
//! watches ─► world ─► routes ─► order ─► session (door, socket) ─► states ─► status, metrics
//!                         │       ▲ place ◄─ neighbours (discovery) ─┤
//!                         ├──► bfd (a thread: sockets, paths) ───────┤
//!                         └──► listen (connections of routers) ──────┘
//! ```
//!
//! Apart from the LAN's side: nothing here waits for beacons, and a withdrawal goes out when its cause is
//! seen. Nothing is told before every watch has synced, and nothing is withdrawn because the API server is
//! away.
//!
//! Not here: messages and states (`herald_bgp`, `herald_bfd`), and which prefixes (`herald_model::bgp`).

mod bfd;
mod dial;
mod keys;
mod listen;
mod metrics;
mod neighbours;
mod order;
mod passwords;
mod place;
mod session;
mod states;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use herald_config::service::Class;
use herald_model::announce::World;
use herald_model::bgp::{Peer, Routes, Target, routes as decide};
use herald_runtime::clock;
use herald_runtime::supervise::Stop;
use herald_runtime::watch::Watches;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::links::Links;
use crate::world::Copies;
use bfd::Bfd;
use listen::{Caller, Listening};
pub(crate) use metrics::Metrics;
use neighbours::Neighbours;
use order::Order;
use passwords::Passwords;
pub(crate) use passwords::Secrets;
pub(crate) use states::{States, announcements, sessions};

/// How long sessions may take to end well.
const FAREWELL: Duration = Duration::from_secs(9);

/// What speaking to routers needs.
pub(crate) struct Routers {
    pub name: String,
    pub class: Class,
    pub watches: Arc<Watches>,
    pub copies: Arc<Copies>,
    pub links: watch::Receiver<Links>,
    pub secrets: Secrets,
    pub states: Arc<watch::Sender<States>>,
    pub routes: Arc<RwLock<Routes>>,
    pub metrics: Metrics,
    /// The TCP port that routers connect to, where a peer asks for that.
    pub port: u16,
    /// The kernel has TCP-AO.
    pub has_tcp_ao: bool,
}

/// Those who know what an order says beside the wish.
struct Helpers<'a> {
    bfd: &'a Bfd,
    neighbours: &'a mut Neighbours,
    passwords: &'a mut Passwords,
    listening: &'a Listening,
}

/// One session and its task.
struct Running {
    orders: watch::Sender<Order>,
    calls: mpsc::Sender<TcpStream>,
}

impl Routers {
    /// Runs until asked to end, then until every session has ended or [`FAREWELL`] has passed.
    pub(crate) async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut changes = self.watches.subscribe();
        let mut states = self.states.subscribe();
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        let mut sessions = JoinSet::new();
        let mut passwords = Passwords::new(self.secrets.clone());
        let mut links = self.links.clone();
        let mut neighbours = Neighbours::new(links.clone(), self.metrics.discovery.clone());
        let mut found = neighbours.found();
        let mut bfd = Bfd::start(self.metrics.bfd.clone())?;
        let mut listening = Listening::start(self.port, self.metrics.listening.clone());
        let mut due = true;
        let mut decided = None;
        loop {
            if due && self.watches.usable() {
                changes.borrow_and_update();
                // Asked first: what changes meanwhile is looked at again.
                decided = Some(self.copies.routing_revision());
                found.borrow_and_update();
                let mut helpers = Helpers {
                    bfd: &bfd,
                    neighbours: &mut neighbours,
                    passwords: &mut passwords,
                    listening: &listening,
                };
                self.round(&mut helpers, &mut running, &mut sessions, &stop);
            }
            self.metrics.show(&states.borrow_and_update());
            due = tokio::select! {
                changed = changes.changed() => {
                    anyhow::ensure!(changed.is_ok(), "the watches ended");
                    // Much of what is watched says nothing of routes.
                    decided != Some(self.copies.routing_revision())
                }
                _ = states.changed() => false,
                Ok(()) = links.changed() => true,
                Ok(()) = found.changed() => true,
                error = neighbours.ended() => return Err(error),
                error = bfd.ended() => return Err(error),
                error = listening.ended() => return Err(error),
                () = clock::after(passwords.wait(clock::now())) => {
                    passwords.look_up().await;
                    true
                }
                Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                    ended?;
                    true
                }
                () = stop.wait() => break,
            };
        }
        // Whoever connects now is refused, and finds the next life.
        drop(listening);
        let ended = async { while sessions.join_next().await.is_some() {} };
        // What has not ended by then ends with the process.
        let _in_time = tokio::time::timeout(FAREWELL, ended).await;
        // Last: a router may take it for a failure of a session that stands.
        bfd.end().await;
        Ok(())
    }

    /// One look at everything, and an order for every session.
    fn round(
        &self,
        helpers: &mut Helpers<'_>,
        running: &mut BTreeMap<String, Running>,
        sessions: &mut JoinSet<()>,
        stop: &Stop,
    ) {
        let Helpers {
            bfd,
            neighbours,
            passwords,
            listening,
        } = helpers;
        let (mut world, policy, own) = self.copies.routing(&self.name, &self.class);
        let leaving = include_excluded(&mut world, &self.name);
        let routes = decide(&world, &policy, &self.name);
        let named = routes
            .peers
            .keys()
            .filter_map(|name| policy.peers.get(name));
        neighbours.want(&named.clone().filter_map(interface).collect());
        let (links, found) = (self.links.borrow().clone(), neighbours.found());
        let found = found.borrow().clone();
        let profile = |peer: &Peer| policy.bfd_profiles.get(peer.bfd_profile.as_ref()?);
        passwords.need(named.clone(), named.clone().filter_map(profile));
        let mut watched = bfd::Wish::new();
        let mut unwatched: BTreeMap<&str, String> = BTreeMap::new();
        for peer in named {
            let Some(profile) = profile(peer) else {
                continue;
            };
            let Ok(place) = place::place(&peer.dialing.target, &links, &found) else {
                continue;
            };
            match bfd::watch(peer, profile, place, &links, passwords.of_profile(profile)) {
                Ok(watch) => {
                    watched.insert(peer.name.clone(), watch);
                }
                Err(why) => {
                    unwatched.insert(&peer.name, format!("no BFD with the router: {why}"));
                }
            }
        }
        bfd.set(watched);
        let facts = order::Facts {
            node: &self.name,
            address: own,
            has_tcp_ao: self.has_tcp_ao,
            leaving: leaving.as_deref(),
            links: &links,
            found: &found,
        };
        running.retain(|name, _| routes.peers.contains_key(name));
        let mut callers = listen::Callers::new();
        for (name, prefixes) in &routes.peers {
            let Some(peer) = policy.peers.get(name) else {
                continue;
            };
            let order = Order {
                unwatched: unwatched.remove(name.as_str()),
                ..order::order(peer, prefixes, passwords.of(peer), &facts)
            };
            let session = running.entry(name.clone()).or_insert_with(|| {
                let (orders, to_follow) = watch::channel(order.clone());
                let (calls, called) = listen::calls();
                let session = session::Session {
                    name: name.clone(),
                    orders: to_follow,
                    calls: called,
                    links: self.links.clone(),
                    paths: bfd.paths(),
                    troubles: listening.troubles(),
                    states: Arc::clone(&self.states),
                    metrics: self.metrics.listening.clone(),
                    stop: stop.clone(),
                };
                sessions.spawn(session.run());
                Running { orders, calls }
            });
            if let Some(caller) = Caller::of(&order, &session.calls) {
                callers.insert(name.clone(), caller);
            }
            session.orders.send_if_modified(|before| {
                let changed = *before != order;
                *before = order;
                changed
            });
        }
        listening.set(callers);
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }
}

/// The interface on which the router of a peer is looked for.
fn interface(peer: &Peer) -> Option<String> {
    match &peer.dialing.target {
        Target::Interface(interface) => Some(interface.clone()),
        Target::Address(_) | Target::LinkLocal { .. } => None,
    }
}

/// A node that is excluded goes on announcing while its sessions are drained; gives the text for the
/// routers' operators then.
fn include_excluded(world: &mut World, me: &str) -> Option<String> {
    let node = world.nodes.get_mut(me)?;
    std::mem::take(&mut node.excluded)
        .then(|| format!("{me} is excluded from external load balancers"))
}
