//! Watches routers by BFD, on a thread of its own.
//!
//! ```text
//! round ─► wish (whom, how) ─► worker (sockets, sessions) ─► Paths ─► session, states
//! ```
//! The thread runs in the best scheduling class the kernel grants, like the announcing one and apart from
//! it: three times 50 ms must not wait for a busy runtime, nor for frames. It is given whole wishes, the
//! latest wins, and tells how every path is whenever that changes.
//!
//! Not here: packets and states (`herald_bfd`), and what a failure means to a session (`herald_bgp`).

mod seen;
mod wish;
mod worker;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context as _;
use tokio::sync::{oneshot, watch};

use super::metrics::BfdMetrics;
pub(crate) use seen::{Paths, Seen};
pub(super) use wish::{Watch, watch};

/// Whom to watch, by BGPPeer.
pub(super) type Wish = BTreeMap<String, Watch>;

#[derive(Debug, Default)]
struct Orders {
    wish: Option<Wish>,
    /// Tell every router that this end goes, and end.
    end: bool,
}

/// Hands orders to the thread and hears from it.
pub(super) struct Bfd {
    orders: Arc<Mutex<Orders>>,
    wake: UnixDatagram,
    paths: watch::Receiver<Paths>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Bfd {
    /// Starts the thread. It holds no socket before it is to watch somebody.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(metrics: BfdMetrics) -> anyhow::Result<Self> {
        let (wake, woken) = UnixDatagram::pair().context("the BFD thread cannot be woken")?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let orders = Arc::new(Mutex::new(Orders::default()));
        let (tell, paths) = watch::channel(Paths::new());
        let worker = worker::Worker::new(Arc::clone(&orders), woken, tell, metrics);
        let (told, ended) = oneshot::channel();
        thread::Builder::new()
            .name("bfd".to_owned())
            .spawn(move || {
                // The receiver is gone only when the process is ending anyway.
                let _ = told.send(worker.run());
            })
            .context("the BFD thread cannot be started")?;
        Ok(Self {
            orders,
            wake,
            paths,
            ended,
        })
    }

    /// Replaces the wish.
    pub(super) fn set(&self, wish: Wish) {
        self.order(|orders| orders.wish = Some(wish));
    }

    /// How every path is.
    pub(super) fn paths(&self) -> watch::Receiver<Paths> {
        self.paths.clone()
    }

    /// Waits for the end of the thread, which nobody asked for.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.ended).await {
            Ok(Err(error)) => anyhow::Error::new(error).context("the BFD thread failed"),
            Ok(Ok(())) | Err(_) => anyhow::anyhow!("the BFD thread ended"),
        }
    }

    /// Tells every router that this end goes (RFC 5880 section 6.8.16), and waits until they know or a
    /// second has passed.
    pub(super) async fn end(self) {
        self.order(|orders| orders.end = true);
        let _ended = self.ended.await;
    }

    fn order(&self, how: impl FnOnce(&mut Orders)) {
        how(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        // A full socket buffer means that the thread has a reason to wake up already.
        let _ = self.wake.send(&[1]);
    }
}
