//! Finds the routers that are known by their interfaces: one task for each interface, a socket, and
//! `herald_l2::discovery`.
//!
//! ```text
//! round ─► want (interfaces) ─► tasks (socket, discovery) ─► Found ─► place ─► order, bfd
//! ```
//!
//! Not here: what a router advertisement says and when one is sent (`herald_l2::discovery`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_l2::discovery::{Discovery, Own};
use herald_runtime::clock;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::metrics::DiscoveryMetrics;
use super::place::{Found, Seen, absent};
use crate::io::DiscoverySocket;
use crate::links::{Link, Links};

/// A socket that could not be opened is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// More than any advertisement needs; options behind it do not matter.
const LONGEST: usize = 1500;

/// Every interface on which a router is looked for.
pub(super) struct Neighbours {
    links: watch::Receiver<Links>,
    metrics: DiscoveryMetrics,
    tasks: JoinSet<()>,
    running: BTreeMap<String, AbortHandle>,
    found: Arc<watch::Sender<Found>>,
}

impl Neighbours {
    pub(super) fn new(links: watch::Receiver<Links>, metrics: DiscoveryMetrics) -> Self {
        Self {
            links,
            metrics,
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            found: Arc::new(watch::Sender::new(Found::new())),
        }
    }

    /// Looks for routers on these interfaces and no others.
    pub(super) fn want(&mut self, interfaces: &BTreeSet<String>) {
        self.running.retain(|name, task| {
            let stays = interfaces.contains(name);
            if !stays {
                task.abort();
                self.metrics.forget(name);
                self.found
                    .send_if_modified(|found| found.remove(name).is_some());
            }
            stays
        });
        for name in interfaces {
            if self.running.contains_key(name) {
                continue;
            }
            let mut seed = [0; 8];
            // Without chance, nodes that start together ask together.
            let _ = getrandom::fill(&mut seed);
            let lookout = Lookout {
                name: name.clone(),
                links: self.links.clone(),
                discovery: Discovery::new(u64::from_ne_bytes(seed)),
                place: None,
                socket: None,
                trouble: None,
                metrics: self.metrics.clone(),
                found: Arc::clone(&self.found),
            };
            let task = self.tasks.spawn(lookout.run());
            self.running.insert(name.clone(), task);
        }
    }

    /// What is known of every router.
    pub(super) fn found(&self) -> watch::Receiver<Found> {
        self.found.subscribe()
    }

    /// Waits for the end of a task that nobody asked for.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                None => std::future::pending().await,
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Ok(())) => return anyhow::anyhow!("the search for a router ended"),
                Some(Err(error)) => {
                    return anyhow::Error::new(error).context("the search for a router failed");
                }
            }
        }
    }
}

/// What a socket is opened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    index: u32,
    epoch: u64,
    own: Own,
}

/// The task of one interface.
struct Lookout {
    name: String,
    links: watch::Receiver<Links>,
    discovery: Discovery,
    /// Where discovery takes place.
    place: Option<Place>,
    socket: Option<DiscoverySocket>,
    /// Why there is no socket, or why nothing leaves by it, since when.
    trouble: Option<(String, Instant)>,
    metrics: DiscoveryMetrics,
    found: Arc<watch::Sender<Found>>,
}

impl Lookout {
    async fn run(mut self) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let links = self.links.borrow_and_update().clone();
            let link = links.iter().find(|(_, link)| link.name == self.name);
            let place = locate(&self.name, link);
            self.settle(place.as_ref().ok().copied());
            self.step();
            self.tell(place.err());
            let wait = self.wait(clock::now());
            let heard = async {
                match &self.socket {
                    Some(socket) => socket.receive(&mut buffer).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.links.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                came = heard => match came {
                    Ok(came) => {
                        let octets = buffer.get(..came.length).unwrap_or_default();
                        let heard = self.discovery.handle_message(
                            octets,
                            came.source,
                            came.hop_limit,
                            clock::now(),
                        );
                        self.metrics.heard(&self.name, heard.is_ok());
                        if let Err(reason) = heard {
                            let (name, source) = (&self.name, came.source);
                            tracing::debug!(name, %source, %reason, "a message of router discovery dropped");
                        }
                    }
                    Err(error) => {
                        self.socket = None;
                        self.fail(&error);
                    }
                },
                () = clock::after(wait) => {}
            }
        }
    }

    /// Has the socket that the place needs.
    fn settle(&mut self, place: Option<Place>) {
        let now = clock::now();
        if self.place != place {
            self.place = None;
            self.socket = None;
            self.trouble = None;
            self.discovery.set_own(None, now);
        }
        let Some(place) = place else { return };
        let patient = self.trouble.as_ref();
        let early = patient.is_some_and(|(_, since)| *since + RETRY > now);
        if self.socket.is_some() || early {
            return;
        }
        self.place = Some(place);
        match DiscoverySocket::open(&self.name, place.index, place.own.address) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.trouble = None;
                self.discovery.set_own(Some(place.own), now);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &std::io::Error) {
        let name = &self.name;
        tracing::warn!(name, %error, "no router advertisements");
        let why = format!("router advertisements on {name} cannot be sent and heard: {error}");
        self.trouble = Some((why, clock::now()));
    }

    /// Does what is due.
    fn step(&mut self) {
        self.discovery.handle_timeout(clock::now());
        while let Some(datagram) = self.discovery.poll_transmit() {
            let Some(socket) = &self.socket else { continue };
            match socket.send(&datagram.octets, datagram.to) {
                Ok(()) => self.metrics.sent(&self.name),
                Err(error) => {
                    let (name, to) = (&self.name, datagram.to);
                    tracing::debug!(name, %to, %error, "a message of router discovery did not leave");
                }
            }
        }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let retry = self.trouble.as_ref().filter(|_| self.socket.is_none());
        let retry = retry
            .filter(|_| self.place.is_some())
            .map(|(_, since)| *since + RETRY);
        let next = [retry, self.discovery.poll_timeout()].into_iter().flatten();
        Some(next.min()?.saturating_duration_since(now))
    }

    fn tell(&self, obstacle: Option<String>) {
        let trouble = self.trouble.as_ref().map(|(why, _)| why.clone());
        let seen = match self.discovery.router() {
            // A link that is away for a moment takes no session with it.
            Some(router) => Seen::Router {
                address: router.address,
                rivals: self
                    .discovery
                    .rivals(clock::now())
                    .map(|rival| rival.address)
                    .collect(),
            },
            None => Seen::Nobody(obstacle.or(trouble).unwrap_or_else(|| unheard(&self.name))),
        };
        self.found.send_if_modified(|found| {
            let changed = found.get(&self.name) != Some(&seen);
            if changed {
                note(&self.name, &seen);
                found.insert(self.name.clone(), seen);
            }
            changed
        });
    }
}

fn note(name: &str, seen: &Seen) {
    match seen {
        Seen::Router { address, rivals } if rivals.is_empty() => {
            tracing::info!(name, %address, "a router was found");
        }
        Seen::Router { address, rivals } => {
            tracing::warn!(name, %address, ?rivals, "more than one router on an interface");
        }
        Seen::Nobody(why) => tracing::info!(name, why, "no router was found"),
    }
}

fn unheard(name: &str) -> String {
    format!(
        "no router advertisement heard on {name} yet; the router has to send them on its side of the \
         link (FRR: neighbor INTERFACE interface, BIRD: protocol radv)"
    )
}

/// Where discovery on an interface takes place, or why it cannot.
fn locate(name: &str, link: Option<(&u32, &Link)>) -> Result<Place, String> {
    let Some((index, link)) = link else {
        return Err(absent(name));
    };
    if !link.up {
        return Err(format!(
            "{name} is down: bring it up with ip link set {name} up"
        ));
    }
    if !link.carrier {
        return Err(format!("{name} has no carrier: check cable and switch"));
    }
    let Some(address) = link.link_local else {
        return Err(format!(
            "{name} has no IPv6 link-local address: switch IPv6 on there with sysctl \
             net.ipv6.conf.{name}.disable_ipv6=0"
        ));
    };
    Ok(Place {
        index: *index,
        epoch: link.epoch,
        own: Own {
            address,
            mac: link.mac.filter(|_| link.ethernet),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use herald_l2::Mac;

    use super::*;

    #[test]
    fn an_interface_on_which_no_router_can_be_heard_says_why() {
        let link = Link {
            name: "eth1".to_owned(),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            ethernet: true,
            up: true,
            carrier: true,
            link_local: Some(Ipv6Addr::LOCALHOST),
            epoch: 3,
            ..Link::default()
        };
        let place = locate("eth1", Some((&7, &link))).unwrap();
        let own = Own {
            address: Ipv6Addr::LOCALHOST,
            mac: link.mac,
        };
        let expected = Place {
            index: 7,
            epoch: 3,
            own,
        };
        assert_eq!(place, expected);
        type Change = fn(&mut Link);
        let cases: [(Change, &str); 3] = [
            (|link| link.up = false, "eth1 is down"),
            (|link| link.carrier = false, "eth1 has no carrier"),
            (|link| link.link_local = None, "eth1 has no IPv6 link-local"),
        ];
        for (change, words) in cases {
            let mut changed = link.clone();
            change(&mut changed);
            let why = locate("eth1", Some((&7, &changed))).unwrap_err();
            assert!(why.starts_with(words), "{why}");
        }
        let why = locate("eth1", None).unwrap_err();
        assert!(why.contains("no interface eth1"), "{why}");
    }
}
