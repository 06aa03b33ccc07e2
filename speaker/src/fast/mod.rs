//! The announcing thread: sockets on one side, the beacon's `Node` and the LAN's `Station` on the
//! other, nothing else in between.
//!
//! ```text
//! Cluster (keys, view, peers) ─► Node ─ owns until ─► duty ─► Station ─► frames
//! Wish (what this node may own) ──┴───────────────────┘
//! ```
//! It runs on its own OS thread, in the best scheduling class the kernel grants, so that nothing the
//! API server or a busy runtime does delays an answer or a beacon. It is given whole values, latest
//! wins; it tells what it does ([`Telling`]), what happened ([`News`]) and counts.

mod duty;
mod restraint;
mod timeline;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use herald_beacon::{Config, Keys, Life, LinkId, NodeId, Tie, View};
use herald_l2::{Event, Interface, Limits, Mac};
use herald_runtime::supervise::Tasks;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::io::{BeaconSocket, Class, Port};
use crate::metrics::Metrics;

/// News waiting for the async side. Full: the newest is dropped; a standing claim comes again.
const NEWS: usize = 1024;

/// Everything the thread should do on the LAN, as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// Open sockets by interface index.
    pub ports: BTreeMap<u32, Arc<Port>>,
    /// The same interfaces as the station sees them.
    pub interfaces: BTreeMap<u32, Interface>,
    /// What this node may own.
    pub candidacies: BTreeMap<IpAddr, Candidacy>,
    /// Addresses whose requesters are remembered.
    pub watched: BTreeSet<IpAddr>,
    /// Ethernet addresses of the other nodes.
    pub peers: BTreeSet<Mac>,
}

/// How this node would own an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Candidacy {
    /// Indexes of the interfaces it would be announced on.
    pub interfaces: BTreeSet<u32>,
    /// How many candidates go first.
    pub rank: u32,
    /// Somebody else is to have it: handed over while it is owned here, and taken back when nobody
    /// takes it.
    pub gives_away: bool,
    /// No node ever announced it: ask the LAN first whether somebody uses it.
    pub probe_first: bool,
}

/// What the thread needs to know of the other speakers, as a whole.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// The same for every speaker of the cluster.
    pub id: u64,
    /// Greater than in every earlier life of this node.
    pub life: Life,
    /// The shared secrets.
    pub keys: Keys,
    /// The newest set of members this node has written down.
    pub view: Option<View>,
    /// Where to send beacons.
    pub peers: BTreeMap<NodeId, SocketAddr>,
    /// Members whose node does not exist any more.
    pub gone: BTreeSet<NodeId>,
}

/// What does not change while the process lives.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Everything of the beacon's configuration but `cluster`, `life` and `keys`.
    pub beacon: Template,
    /// UDP port of beacons.
    pub port: u16,
    /// How many frames may leave.
    pub limits: Limits,
}

/// A beacon configuration that lacks what only the API server or the disk knows.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub me: NodeId,
    pub timers: herald_beacon::Timers,
    pub policy: herald_beacon::Policy,
}

impl Template {
    fn complete(&self, cluster: &Cluster) -> Config {
        Config {
            cluster: cluster.id,
            me: self.me,
            life: cluster.life,
            keys: cluster.keys.clone(),
            timers: self.timers,
            policy: self.policy,
        }
    }
}

/// What the thread does and knows now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Telling {
    /// The scheduling class it got.
    pub class: Class,
    /// It speaks beacons: key and view are known, and the view names this node.
    pub member: bool,
    /// Number of the view in force, and who is in it.
    pub view: u64,
    pub members: BTreeSet<NodeId>,
    /// Those of them that vote.
    pub voters: BTreeSet<NodeId>,
    /// A majority of the view has settled in it: the next may be written.
    pub may_step: bool,
    /// Who is no member, is heard and hears a majority: it may join.
    pub knocking: BTreeSet<NodeId>,
    /// Members that are heard, this node included.
    pub live: BTreeSet<NodeId>,
    /// Members that are not heard, and whose host said lately that no speaker runs on it. Nobody
    /// vouches for that (ICMP): it decides nothing about ownership.
    pub refusing: BTreeSet<NodeId>,
    /// The view in which this node, one of two, needs what breaks the tie.
    pub wants_tie: Option<u64>,
    /// Whether those that are heard are a majority.
    pub quorum: bool,
    /// The links on which a node announces in vain, by node: it is not heard there, others are.
    pub unheard: BTreeMap<NodeId, BTreeSet<LinkId>>,
    /// Who owns what, as far as this node knows.
    pub records: BTreeMap<IpAddr, (NodeId, u64)>,
    /// What this node owns.
    pub held: BTreeMap<IpAddr, Held>,
}

/// An address this node owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its claim's number.
    pub epoch: u64,
    /// Since when, to the second.
    pub since: Timestamp,
    /// Held without a majority.
    pub degraded: bool,
    /// When a gateway last acknowledged it, to the second.
    pub acknowledged: Option<Timestamp>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// On the LAN.
    Lan(Event),
    /// This node replaced an owner that had fallen silent.
    TookOver {
        /// What.
        address: IpAddr,
        /// From the last beacon heard of it to this node's claim.
        suspected: Duration,
        /// From the last beacon heard of it to ownership.
        owned: Duration,
    },
}

/// What concerns the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A peer knows a later view.
    View(View),
    /// Peers know a later life of this node.
    Outlived(Life),
}

/// What the thread tells.
#[derive(Debug)]
pub(crate) struct Ends {
    pub news: mpsc::Receiver<News>,
    pub notices: mpsc::Receiver<Notice>,
    pub telling: watch::Receiver<Arc<Telling>>,
}

#[derive(Debug, Default)]
struct Orders {
    wish: Option<Wish>,
    cluster: Option<Cluster>,
    tie: Option<Option<Tie>>,
}

/// Hands orders to the thread. Cloning gives another handle.
#[derive(Debug, Clone)]
pub(crate) struct Fast {
    orders: Arc<Mutex<Orders>>,
    wake: Arc<UnixDatagram>,
}

impl Fast {
    /// Starts the thread; its end is the end of the process.
    ///
    /// # Errors
    /// When the thread cannot be started or the beacons' port cannot be had.
    pub(crate) fn start(
        tasks: &mut Tasks,
        metrics: Metrics,
        settings: Settings,
    ) -> anyhow::Result<(Self, Ends)> {
        let (wake, woken) =
            UnixDatagram::pair().context("the announcing thread cannot be woken")?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let socket = BeaconSocket::open(settings.port).with_context(|| {
            let port = settings.port;
            format!("UDP port {port} cannot be had for beacons: choose another with --beacon-port, the same on every node")
        })?;
        let orders = Arc::new(Mutex::new(Orders::default()));
        let (news, news_end) = mpsc::channel(NEWS);
        let (notices, notices_end) = mpsc::channel(NEWS);
        let (telling, telling_end) = watch::channel(Arc::<Telling>::default());
        let outlets = worker::Outlets {
            news,
            notices,
            telling,
            metrics,
        };
        let worker = worker::Worker::new(Arc::clone(&orders), woken, socket, settings, outlets);
        let (ended, end) = oneshot::channel();
        thread::Builder::new()
            .name("announce".to_owned())
            .spawn(move || {
                // The receiver is gone only when the process is ending anyway.
                let _ = ended.send(worker.run());
            })
            .context("the announcing thread cannot be started")?;
        tasks.spawn_service("announce", async move {
            match end.await {
                Ok(error) => Err(anyhow::Error::new(error).context("the announcing thread failed")),
                Err(_) => anyhow::bail!("the announcing thread panicked"),
            }
        });
        let ends = Ends {
            news: news_end,
            notices: notices_end,
            telling: telling_end,
        };
        let wake = Arc::new(wake);
        Ok((Self { orders, wake }, ends))
    }

    /// Replaces the wish.
    pub(crate) fn set(&self, wish: Wish) {
        drop(self.order(|orders| orders.wish.replace(wish)));
    }

    /// Replaces what is known of the other speakers.
    pub(crate) fn set_cluster(&self, cluster: Cluster) {
        drop(self.order(|orders| orders.cluster.replace(cluster)));
    }

    /// Tells until when the tie is broken in favour of this node.
    pub(crate) fn set_tie(&self, tie: Option<Tie>) {
        self.order(|orders| orders.tie = Some(tie));
    }

    /// What is replaced is given back, to be dropped when the thread need not wait for it.
    fn order<T>(&self, how: impl FnOnce(&mut Orders) -> T) -> T {
        let replaced = how(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        // A full socket buffer means that the thread has a reason to wake up already.
        let _ = self.wake.send(&[1]);
        replaced
    }
}
