//! One router: the door, the socket, and the order to follow.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use herald_bgp::{Action, BfdState, ConnectionId, Event, Peer, State, Stop as Ending, Waiting};
use herald_runtime::clock;
use herald_runtime::supervise::Stop;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::bfd::{self, Paths};
use super::dial;
use super::listen::{self, ListenMetrics, Refusal, Troubles};
use super::order::Order;
use super::states::{Session as Seen, States};
use super::wire::{Traffic, Wires};
use crate::links::Links;

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// How long a process may have to drain its routes when it ends; the default grace of a pod is longer.
const LAST_DRAIN: Duration = Duration::from_secs(8);

/// How long last words may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A session and its task.
pub(super) struct Session {
    pub(super) name: String,
    pub(super) orders: watch::Receiver<Order>,
    /// Connections that the router opened.
    pub(super) calls: mpsc::Receiver<TcpStream>,
    pub(super) links: watch::Receiver<Links>,
    pub(super) paths: watch::Receiver<Paths>,
    /// Why the router's connections are not taken.
    pub(super) troubles: watch::Receiver<Troubles>,
    pub(super) states: Arc<watch::Sender<States>>,
    pub(super) metrics: ListenMetrics,
    pub(super) stop: Stop,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// The door and what it is connected to.
struct Line {
    peer: Peer,
    wires: Wires,
    connecting: Option<(ConnectionId, Connecting)>,
    /// Connections that are being closed, with their last words.
    parting: tokio::task::JoinSet<()>,
    order: Order,
    /// What BFD last said.
    path: BfdState,
}

/// What woke the session.
enum Woken {
    Ordered(bool),
    Connected(io::Result<TcpStream>),
    Called(TcpStream),
    Traffic(ConnectionId, Traffic),
    Time,
    Path,
    Listening,
    Stop,
}

impl Session {
    /// Runs until the order ends, or until asked to end and everything is withdrawn.
    pub(super) async fn run(mut self) {
        let order = self.orders.borrow_and_update().clone();
        let seed = clock::boot().as_nanos();
        let seed = u64::try_from(seed % u128::from(u64::MAX)).unwrap_or_default();
        let peer = Peer::new(order.config.clone(), true, seed, clock::boot());
        let mut line = match peer {
            Ok(peer) => Line {
                peer,
                wires: Wires::default(),
                connecting: None,
                parting: tokio::task::JoinSet::new(),
                order: order.clone(),
                path: BfdState::default(),
            },
            Err(error) => {
                self.show(Seen::impossible(error.to_string()));
                // Until the order is another: then the session is made anew.
                let _changed = self.orders.changed().await;
                self.forget();
                return;
            }
        };
        line.follow(order, true);
        self.look(&mut line);
        let mut ending = false;
        let mut buffer = vec![0; CHUNK];
        loop {
            line.settle(&self.name);
            let trouble = self.troubles.borrow().get(&self.name).cloned();
            let bfd = self.paths.borrow().get(&self.name).cloned();
            self.show(Seen::of(&line.peer, &line.order, bfd, trouble));
            let idle = line.wires.is_empty() && line.connecting.is_none();
            let stopped = line.peer.snapshot().waiting == Some(Waiting::Stopped);
            if ending && idle && stopped {
                break;
            }
            match self.wait(&mut line, &mut buffer, ending).await {
                Woken::Ordered(true) => {
                    let order = self.orders.borrow_and_update().clone();
                    if !ending {
                        line.follow(order, false);
                    }
                }
                Woken::Ordered(false) => {
                    line.peer.stop(&Ending::Deconfigured, clock::boot());
                    ending = true;
                }
                Woken::Called(stream) => match line.called(stream, &self.links.borrow()) {
                    true => self.metrics.accepted(),
                    false => self.metrics.refused(Refusal::NotWanted),
                },
                Woken::Connected(outcome) => line.connected(outcome, &self.links.borrow()),
                Woken::Traffic(id, Traffic::Read(outcome)) => line.read(id, outcome, &buffer),
                Woken::Traffic(id, Traffic::Wrote(outcome)) => line.wrote(id, outcome),
                Woken::Time => line.peer.handle_timeout(clock::boot()),
                Woken::Path => self.look(&mut line),
                Woken::Listening => {}
                Woken::Stop => {
                    ending = true;
                    line.end(&self.name);
                }
            }
        }
        let parted = async { while line.parting.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(LAST_WORDS, parted).await;
        self.forget();
    }

    async fn wait(&mut self, line: &mut Line, buffer: &mut [u8], ending: bool) -> Woken {
        let due = line.peer.poll_timeout();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep(at.saturating_sub(clock::boot())).await,
                None => pending().await,
            }
        };
        let connecting = async {
            match &mut line.connecting {
                Some((_, connecting)) => connecting.as_mut().await,
                None => pending().await,
            }
        };
        tokio::select! {
            ordered = self.orders.changed(), if !ending => Woken::Ordered(ordered.is_ok()),
            outcome = connecting => Woken::Connected(outcome),
            Some(stream) = self.calls.recv() => Woken::Called(stream),
            (id, traffic) = line.wires.traffic(buffer) => Woken::Traffic(id, traffic),
            () = timer => Woken::Time,
            Ok(()) = self.paths.changed() => Woken::Path,
            Ok(()) = self.troubles.changed() => Woken::Listening,
            () = self.stop.wait(), if !ending => Woken::Stop,
        }
    }

    /// Passes on what BFD says of the path. A path that is not watched any more is no failure.
    fn look(&mut self, line: &mut Line) {
        let seen = self
            .paths
            .borrow_and_update()
            .get(&self.name)
            .map(bfd::Seen::bgp);
        let state = match (seen, line.path) {
            (Some(state), _) => state,
            (None, BfdState::Up) => BfdState::AdminDown,
            (None, BfdState::Down | BfdState::AdminDown) => return,
        };
        if state != line.path {
            line.path = state;
            line.peer.handle_bfd(state, clock::boot());
        }
    }

    fn show(&self, seen: Seen) {
        self.states.send_if_modified(|states| {
            let changed = states.get(&self.name) != Some(&seen);
            if changed {
                states.insert(self.name.clone(), seen);
            }
            changed
        });
    }

    fn forget(&self) {
        self.states
            .send_if_modified(|states| states.remove(&self.name).is_some());
    }
}

impl Line {
    /// Does as ordered from now on.
    fn follow(&mut self, order: Order, first: bool) {
        let now = clock::boot();
        let before = std::mem::replace(&mut self.order, order);
        let order = &self.order;
        if !first && let Err(error) = self.peer.set_config(order.config.clone(), now) {
            tracing::warn!(%error, "a session goes on with its old configuration");
        }
        match (&order.obstacle, &order.leaving) {
            (Some(_), _) => {
                self.peer.stop(&Ending::ConfigurationChange, now);
                return;
            }
            (None, Some(text)) => {
                if first || before.leaving.is_none() {
                    self.peer.drain(order.drain_time, text.clone(), now);
                }
            }
            (None, None) if !first => self.peer.start(now),
            (None, None) => {}
        }
        if !first && before.dial != order.dial {
            let only_keys = before.dial.reaches_as(&order.dial);
            let (old, new) = (&before.dial.keys, &order.dial.keys);
            let set = |stream| dial::rekey(stream, order.dial.router, old, new);
            let changed = only_keys && !self.wires.is_empty() && self.wires.streams().all(set);
            if !changed {
                self.peer.stop(&Ending::ConfigurationChange, now);
                self.peer.start(now);
            }
        }
        self.peer.set_wish(Arc::clone(&order.wish), now);
    }

    /// Does what the door wants until it wants nothing more just now.
    fn settle(&mut self, name: &str) {
        let now = clock::boot();
        loop {
            while let Some(action) = self.peer.poll_action() {
                match action {
                    Action::Connect(id) => {
                        let (dial, hold) = (self.order.dial.clone(), self.order.config.hold_time);
                        let connecting = async move { dial::connect(&dial, hold).await };
                        self.connecting = Some((id, Box::pin(connecting)));
                    }
                    Action::Close {
                        connection,
                        last_words,
                    } => self.close(connection, last_words),
                }
            }
            let Some(transmit) = self.peer.poll_transmit(now) else {
                break;
            };
            if let Some(wire) = self.wires.get_mut(transmit.connection) {
                wire.out.extend(transmit.bytes);
            }
        }
        while let Some(event) = self.peer.poll_event() {
            match event {
                Event::Established => tracing::info!(peer = name, "the session is established"),
                Event::Lost(reason) => tracing::warn!(peer = name, %reason, "the session ended"),
                Event::Failed(reason) => tracing::info!(peer = name, %reason, "no session"),
                Event::Synchronized => tracing::info!(peer = name, "every route is told"),
                Event::Malformed(fault) => {
                    tracing::warn!(peer = name, ?fault, "the peer sent a malformed UPDATE");
                }
                Event::Drained => tracing::info!(peer = name, "every route is withdrawn"),
            }
        }
    }

    /// Closes a connection behind its last words.
    fn close(&mut self, connection: ConnectionId, last_words: Vec<u8>) {
        if self
            .connecting
            .as_ref()
            .is_some_and(|(id, _)| *id == connection)
        {
            self.connecting = None;
        }
        let Some(mut wire) = self.wires.take(connection) else {
            return;
        };
        if last_words.is_empty() && wire.out.is_empty() {
            return;
        }
        wire.out.extend(last_words);
        self.parting.spawn(async move {
            let words: Vec<u8> = wire.out.into();
            let say = async {
                wire.stream.write_all(&words).await?;
                wire.stream.shutdown().await
            };
            // A peer that takes nothing does not get to hear it.
            let _heard = tokio::time::timeout(LAST_WORDS, say).await;
        });
    }

    fn connected(&mut self, outcome: io::Result<TcpStream>, links: &Links) {
        let Some((id, _)) = self.connecting.take() else {
            return;
        };
        let now = clock::boot();
        let opened = outcome.and_then(|stream| Ok((stream.local_addr()?, stream)));
        match opened {
            Ok((session, stream)) => {
                self.wires.push(id, stream);
                self.peer
                    .handle_connected(id, dial::local(session, links), now);
            }
            Err(error) => {
                let why = dial::describe(&error, &self.order.dial);
                self.peer.handle_closed(id, &why, now);
            }
        }
    }

    /// The router opened a connection. False: it is refused.
    fn called(&mut self, stream: TcpStream, links: &Links) -> bool {
        let (now, order) = (clock::boot(), &self.order);
        let hold_time = order.config.hold_time;
        let prepared = dial::prepare(&SockRef::from(&stream), &order.dial, hold_time);
        let session = match prepared.and_then(|()| Ok((stream.local_addr()?, stream.peer_addr()?)))
        {
            // The order may have become another while the connection came.
            Ok((local, remote))
                if remote.ip() == order.dial.router && dial::is_signed(&stream, &order.dial) =>
            {
                local
            }
            Ok(_) | Err(_) => {
                listen::refuse(stream);
                return false;
            }
        };
        match self.peer.handle_accepted(dial::local(session, links), now) {
            Some(id) => {
                self.wires.push(id, stream);
                true
            }
            None => {
                listen::refuse(stream);
                false
            }
        }
    }

    fn read(&mut self, id: ConnectionId, outcome: io::Result<usize>, buffer: &[u8]) {
        let now = clock::boot();
        match outcome {
            Ok(0) => self.lost(id, "the router closed the connection"),
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.peer.handle_bytes(id, bytes, now);
            }
            Err(error) => self.lost(id, &dial::describe(&error, &self.order.dial)),
        }
    }

    fn wrote(&mut self, id: ConnectionId, outcome: io::Result<usize>) {
        let Some(wire) = self.wires.get_mut(id) else {
            return;
        };
        match outcome {
            Ok(length) => {
                wire.out.drain(..length.min(wire.out.len()));
                if wire.out.is_empty() {
                    self.peer.handle_sent(id, clock::boot());
                }
            }
            Err(error) => self.lost(id, &dial::describe(&error, &self.order.dial)),
        }
    }

    fn lost(&mut self, id: ConnectionId, why: &str) {
        self.wires.take(id);
        self.peer.handle_closed(id, why, clock::boot());
    }

    /// The process is asked to end: one that a router waits for is gone without a word, another takes its
    /// routes away first.
    fn end(&mut self, name: &str) {
        let now = clock::boot();
        let snapshot = self.peer.snapshot();
        let agreed = snapshot
            .negotiated
            .is_some_and(|agreed| agreed.graceful_restart);
        if snapshot.state == State::Established && agreed && self.order.leaving.is_none() {
            self.peer.stop(&Ending::Restart, now);
        } else if self.order.leaving.is_none() {
            let time = self.order.drain_time.min(LAST_DRAIN);
            let text = format!("herald-speaker ends (peer {name})");
            self.peer.drain(time, text, now);
        }
    }
}
