//! Takes the connections that routers open, for peers that ask for that.
//!
//! ```text
//! round ─► callers (whose connections, with which keys) ─► doors (a socket for each family and VRF) ─► session
//! ```
//! No socket listens before some peer wants it to, and what cannot be listened on is told to the sessions
//! that wait for it, and tried again. Keys change without another session noticing.
//!
//! Not here: which of two connections is kept (`herald_bgp`), and what a socket is told before it is read
//! from (`dial`).

mod callers;
mod door;
mod metrics;
mod pace;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use herald_bgp::Time;
use herald_runtime::clock;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub(super) use callers::{Caller, Callers};
use callers::{Realm, realms, whose};
use door::Door;
pub(super) use metrics::{ListenMetrics, Refusal};

/// Between attempts to listen where that fails.
const AGAIN: Duration = Duration::from_secs(2);

/// Between lines of the log about connections that nobody waits for.
const QUIET: Duration = Duration::from_secs(10);

/// How many connections may wait for one session to look at them.
const WAITING: usize = 4;

/// Why connections of a peer's router are not taken, by BGPPeer.
pub(super) type Troubles = BTreeMap<String, String>;

/// Hands connections to sessions.
pub(super) struct Listening {
    callers: watch::Sender<Callers>,
    troubles: watch::Receiver<Troubles>,
    desk: JoinSet<()>,
}

impl Listening {
    /// Ready to listen on this TCP port.
    pub(super) fn start(port: u16, metrics: ListenMetrics) -> Self {
        let (callers, to_follow) = watch::channel(Callers::new());
        let (tell, troubles) = watch::channel(Troubles::new());
        let mut desk = JoinSet::new();
        desk.spawn(
            Desk {
                port,
                callers: to_follow,
                troubles: tell,
                metrics,
                doors: BTreeMap::new(),
                again: None,
                told: None,
            }
            .run(),
        );
        Self {
            callers,
            troubles,
            desk,
        }
    }

    /// Replaces those whose connections are taken.
    pub(super) fn set(&self, callers: Callers) {
        self.callers.send_if_modified(|before| {
            let changed = *before != callers;
            *before = callers;
            changed
        });
    }

    /// Why connections are not taken.
    pub(super) fn troubles(&self) -> watch::Receiver<Troubles> {
        self.troubles.clone()
    }

    /// Waits for the end of the task, which nobody asked for.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.desk.join_next().await {
            Some(Err(error)) => anyhow::Error::new(error).context("listening for routers failed"),
            Some(Ok(())) | None => anyhow::anyhow!("listening for routers ended"),
        }
    }
}

/// How connections reach a session.
pub(super) fn calls() -> (mpsc::Sender<TcpStream>, mpsc::Receiver<TcpStream>) {
    mpsc::channel(WAITING)
}

/// Closes a connection that nobody wants, and remembers nothing of it.
pub(super) fn refuse(stream: TcpStream) {
    // Without this the kernel would, for a minute.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// The one task.
struct Desk {
    port: u16,
    callers: watch::Receiver<Callers>,
    troubles: watch::Sender<Troubles>,
    metrics: ListenMetrics,
    doors: BTreeMap<Realm, Door>,
    /// When to try again what failed.
    again: Option<Time>,
    /// When a refusal was last logged.
    told: Option<Time>,
}

impl Desk {
    async fn run(mut self) {
        loop {
            let again = self.again;
            let wait = again.map(|at| at.saturating_sub(clock::boot()));
            tokio::select! {
                changed = self.callers.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.settle();
                }
                taken = door::accept(&mut self.doors) => {
                    if let Some((realm, taken)) = taken {
                        self.take(&realm, taken);
                    }
                }
                () = clock::after(wait) => self.settle(),
            }
        }
    }

    /// Opens, closes and changes doors as the callers want them.
    fn settle(&mut self) {
        let callers = self.callers.borrow_and_update();
        let wanted = realms(&callers);
        let mut failed = BTreeMap::new();
        let Self { doors, port, .. } = self;
        // Closed first: a door may stand where another is wanted.
        doors.retain(|realm, _| wanted.contains_key(realm));
        for (realm, terms) in &wanted {
            let outcome = match doors.remove(realm) {
                Some(mut door) => door.set(terms).map(|()| door),
                None => Door::open(realm, *port, terms),
            };
            match outcome {
                Ok(door) => drop(doors.insert(realm.clone(), door)),
                Err(error) => drop(failed.insert(realm, door::describe(&error, realm, *port))),
            }
        }
        self.again = (!failed.is_empty()).then(|| clock::boot() + AGAIN);
        let open = wanted.keys().map(|realm| {
            let open = !failed.contains_key(realm);
            (realm.label(), open)
        });
        self.metrics.show(open);
        let told = callers.iter().filter_map(|(peer, caller)| {
            let trouble = failed.get(&Realm::of(&caller.dial))?;
            Some((peer.clone(), trouble.clone()))
        });
        let troubles: Troubles = told.collect();
        self.troubles.send_if_modified(|before| {
            let changed = *before != troubles;
            *before = troubles;
            changed
        });
    }

    /// Hands a connection to the session it is for.
    fn take(&mut self, realm: &Realm, taken: io::Result<(TcpStream, SocketAddr)>) {
        let local = |stream: &TcpStream| stream.local_addr().map(|address| address.ip());
        let taken = taken.and_then(|(stream, remote)| Ok((local(&stream)?, remote, stream)));
        let (local, remote, stream) = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::debug!(%error, "a connection is gone before it was taken");
                return;
            }
        };
        let callers = self.callers.borrow();
        let Some(caller) = whose(&callers, realm, remote, local) else {
            drop(callers);
            self.metrics.refused(Refusal::UnknownRouter);
            refuse(stream);
            let now = clock::boot();
            if self.told.is_none_or(|told| told + QUIET <= now) {
                self.told = Some(now);
                tracing::info!(%remote, %local, "refused a connection: no BGPPeer of this node waits for it");
            }
            return;
        };
        if let Err(error) = caller.calls.try_send(stream) {
            self.metrics.refused(Refusal::Crowded);
            refuse(error.into_inner());
        }
    }
}

#[cfg(test)]
mod tests;
