//! A speaker without a cluster: the doors and sockets of a speaker's sessions, and wishes from outside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use herald_bgp::{
    Action, Asn, Community, Config, ConnectionId, Families, Family, Local, Peer, Prefix, RemoteAs,
    Route, State, Wish,
};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::routers::{NODE_AS, ROUTER_AS};

/// The last octet of an UPDATE's header says its type (RFC 4271 section 4.1).
const HEADER: usize = 19;
const UPDATE: u8 = 2;

/// Sessions with some routers, on one thread.
pub(super) struct Sender {
    wishes: watch::Sender<Arc<Wish>>,
    sessions: Vec<Arc<Session>>,
    thread: JoinHandle<Result<Duration>>,
}

/// What is known of one.
#[derive(Debug, Default)]
struct Session {
    established: AtomicBool,
    updates: AtomicU64,
}

impl Sender {
    /// Opens a session with each of these addresses from a namespace.
    pub(super) fn start(from: &Netns, routers: &[IpAddr]) -> Self {
        let (wishes, to_follow) = watch::channel(Arc::new(Wish::new()));
        let sessions: Vec<Arc<Session>> = routers.iter().map(|_| Arc::default()).collect();
        let each: Vec<_> = routers.iter().copied().zip(sessions.clone()).collect();
        let from = from.clone();
        let thread = thread::spawn(move || {
            from.enter()?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for (router, session) in each {
                    tasks.spawn(speak(router, to_follow.clone(), session));
                }
                while let Some(ended) = tasks.join_next().await {
                    ended??;
                }
                anyhow::Ok(())
            })?;
            let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
            let spent = |time: nix::sys::time::TimeVal| {
                let micros = u32::try_from(time.tv_usec()).unwrap_or_default();
                Duration::new(
                    u64::try_from(time.tv_sec()).unwrap_or_default(),
                    micros * 1000,
                )
            };
            Ok(spent(usage.user_time()) + spent(usage.system_time()))
        });
        Self {
            wishes,
            sessions,
            thread,
        }
    }

    /// Whether every session is established.
    pub(super) fn established(&self) -> bool {
        let mut sessions = self.sessions.iter();
        sessions.all(|session| session.established.load(Ordering::Relaxed))
    }

    /// Tells every router this from now on.
    pub(super) fn wish(&self, wish: Arc<Wish>) {
        self.wishes.send_replace(wish);
    }

    /// How many UPDATEs each router was sent so far.
    pub(super) fn updates(&self) -> Vec<u64> {
        let sessions = self.sessions.iter();
        sessions
            .map(|session| session.updates.load(Ordering::Relaxed))
            .collect()
    }

    /// Hangs up; the processor time that was spent.
    pub(super) fn finish(self) -> Result<Duration> {
        drop(self.wishes);
        let ended = self.thread.join();
        ended.map_err(|_| anyhow!("the sender panicked"))?
    }
}

/// So many prefixes of one length from 10.200.0.0 on, all alike.
pub(super) fn wish(count: usize) -> Result<Wish> {
    let route = Arc::new(Route {
        communities: [Community(NODE_AS << 16 | 100)].into(),
        ..Route::default()
    });
    (0..u32::try_from(count)?)
        .map(|n| {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 200, 0, 0).to_bits() + n);
            Ok((Prefix::new(address.into(), 32)?, Arc::clone(&route)))
        })
        .collect()
}

/// One session, as the speaker's: whoever waits is woken by wishes, octets and time.
async fn speak(
    router: IpAddr,
    mut wishes: watch::Receiver<Arc<Wish>>,
    seen: Arc<Session>,
) -> Result<()> {
    let watch = Stopwatch::start();
    let config = Config {
        families: Families::only(Family::Ipv4),
        connect_time: Duration::from_secs(1),
        ..Config::new(
            Asn(NODE_AS),
            RemoteAs::Exactly(Asn(ROUTER_AS)),
            Ipv4Addr::new(10, 73, 0, 11),
        )
    };
    let mut peer = Peer::new(config, false, 1, watch.elapsed())?;
    peer.set_wish(wishes.borrow_and_update().clone(), watch.elapsed());
    let mut wire: Option<(ConnectionId, TcpStream)> = None;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some(action) = peer.poll_action() {
            match action {
                Action::Connect(id) => match connect(router).await {
                    Ok((stream, local)) => {
                        wire = Some((id, stream));
                        peer.handle_connected(id, local, watch.elapsed());
                    }
                    Err(error) => peer.handle_closed(id, &error.to_string(), watch.elapsed()),
                },
                Action::Close { .. } => wire = None,
            }
        }
        if let Some((id, stream)) = &mut wire
            && let Some(transmit) = peer.poll_transmit(watch.elapsed())
        {
            let updates = updates(&transmit.bytes)?;
            stream.write_all(&transmit.bytes).await?;
            seen.updates.fetch_add(updates, Ordering::Relaxed);
            peer.handle_sent(*id, watch.elapsed());
            continue;
        }
        while peer.poll_event().is_some() {}
        let established = peer.snapshot().state == State::Established;
        seen.established.store(established, Ordering::Relaxed);
        let due = peer.poll_timeout();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep(at.saturating_sub(watch.elapsed())).await,
                None => std::future::pending().await,
            }
        };
        let read = async {
            match &mut wire {
                Some((id, stream)) => (*id, stream.read(&mut buffer).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = wishes.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                peer.set_wish(wishes.borrow_and_update().clone(), watch.elapsed());
            }
            (id, read) = read => match read {
                Ok(length) if length > 0 => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    peer.handle_bytes(id, bytes, watch.elapsed());
                }
                Ok(_) | Err(_) => {
                    wire = None;
                    peer.handle_closed(id, "the router closed the connection", watch.elapsed());
                }
            },
            () = timer => peer.handle_timeout(watch.elapsed()),
        }
    }
}

async fn connect(router: IpAddr) -> Result<(TcpStream, Local)> {
    let stream = TcpStream::connect(SocketAddr::new(router, 179)).await?;
    stream.set_nodelay(true)?;
    let local = Local::of(stream.local_addr()?.ip());
    Ok((stream, local))
}

/// How many UPDATEs whole messages are, by their headers.
fn updates(mut octets: &[u8]) -> Result<u64> {
    let mut count = 0;
    while let Some(header) = octets.get(..HEADER) {
        count += u64::from(header[18] == UPDATE);
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        octets = octets
            .get(length.max(HEADER)..)
            .context("a message is longer than what was sent")?;
    }
    Ok(count)
}
