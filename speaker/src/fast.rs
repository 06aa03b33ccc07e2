//! The announcing thread: sockets on one side, [`Station`] on the other, nothing else in between.
//!
//! It runs on its own OS thread so that nothing the API server or a busy runtime does delays an
//! answer. It is given a whole [`Wish`] at a time, latest wins; it gives back events and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use herald_l2::{Event, Interface, Mac, Owned, Received, Station, Transmit};
use herald_runtime::clock;
use herald_runtime::supervise::Tasks;
use tokio::sync::{mpsc, oneshot};

use crate::io::{Port, wait_readable};
use crate::metrics::Metrics;

/// Events waiting for the async side. Full: the newest is dropped; a standing claim comes again.
const EVENTS: usize = 1024;
/// Frames read from one port before the others, and the timers, have their turn.
const BATCH: usize = 64;
/// Octets read of a frame; the kernel's filter hands up no more.
const BUFFER: usize = 512;

/// Everything the thread should do, as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// Open sockets by interface index.
    pub ports: BTreeMap<u32, Arc<Port>>,
    /// The same interfaces as the station sees them.
    pub interfaces: BTreeMap<u32, Interface>,
    /// What is announced where.
    pub owned: BTreeMap<IpAddr, Owned>,
    /// What this node may come to own.
    pub watched: BTreeSet<IpAddr>,
    /// Ethernet addresses of the other nodes.
    pub peers: BTreeSet<Mac>,
}

/// Hands wishes to the thread.
#[derive(Debug)]
pub(crate) struct Fast {
    slot: Arc<Mutex<Option<Wish>>>,
    wake: UnixDatagram,
}

impl Fast {
    /// Starts the thread; its end is the end of the process.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        tasks: &mut Tasks,
        metrics: Metrics,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Event>)> {
        let (wake, woken) =
            UnixDatagram::pair().context("the announcing thread cannot be woken")?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let slot = Arc::new(Mutex::new(None));
        let (events, receiver) = mpsc::channel(EVENTS);
        let worker = Worker {
            slot: Arc::clone(&slot),
            woken,
            events,
            metrics,
            station: Station::new(),
            ports: BTreeMap::new(),
        };
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
        Ok((Self { slot, wake }, receiver))
    }

    /// Replaces the wish.
    pub(crate) fn set(&self, wish: Wish) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(wish);
        // A full socket buffer means that the thread has a reason to wake up already.
        let _ = self.wake.send(&[1]);
    }
}

struct Worker {
    slot: Arc<Mutex<Option<Wish>>>,
    woken: UnixDatagram,
    events: mpsc::Sender<Event>,
    metrics: Metrics,
    station: Station,
    ports: BTreeMap<u32, Arc<Port>>,
}

impl Worker {
    /// Runs until waiting fails, which only a programming error makes it do.
    fn run(mut self) -> io::Error {
        loop {
            self.take_wish();
            let more = self.read_ports();
            self.send_due();
            self.pass_events();
            let limit = if more {
                Some(Duration::ZERO)
            } else {
                self.idle_for()
            };
            if let Err(error) = self.wait(limit) {
                return error;
            }
        }
    }

    fn take_wish(&mut self) {
        let mut ignored = [0; 8];
        while self.woken.recv(&mut ignored).is_ok() {}
        let wish = self
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Wish {
            ports,
            interfaces,
            owned,
            watched,
            peers,
        }) = wish
        {
            self.ports = ports;
            self.station.set_peers(peers);
            self.station.set_watched(watched);
            self.station.set_interfaces(interfaces);
            self.station.set_owned(owned);
        }
    }

    /// Reads up to a batch from every port; true when one of them may have more.
    fn read_ports(&mut self) -> bool {
        let mut buffer = [0; BUFFER];
        let mut more = false;
        for (index, port) in &self.ports {
            let mut left = BATCH;
            while left > 0 {
                match port.receive(&mut buffer) {
                    Ok(Some(heard)) => {
                        let received = Received {
                            interface: *index,
                            addressed: heard.addressed,
                            tagged: heard.tagged,
                            age: age(heard.taken),
                            bytes: &buffer[..heard.length],
                        };
                        match self.station.handle_frame(&received, clock::now()) {
                            Ok(answer) => {
                                if send(&self.ports, &answer, &self.metrics) {
                                    self.metrics.answered.inc();
                                }
                            }
                            Err(reason) => self.metrics.discarded(reason),
                        }
                    }
                    Ok(None) => break,
                    Err(_) => {
                        self.metrics.receive_errors.inc();
                        break;
                    }
                }
                left -= 1;
            }
            more |= left == 0;
        }
        more
    }

    fn send_due(&mut self) {
        while let Some(transmit) = self.station.poll_transmit(clock::now()) {
            if send(&self.ports, &transmit, &self.metrics) {
                self.metrics.announced.inc();
            }
        }
    }

    fn pass_events(&mut self) {
        while let Some(event) = self.station.poll_event() {
            // Full: dropped, as EVENTS says.
            let _ = self.events.try_send(event);
        }
    }

    fn idle_for(&self) -> Option<Duration> {
        let due: Option<Instant> = self.station.poll_timeout();
        due.map(|due| due.saturating_duration_since(clock::now()))
    }

    fn wait(&self, limit: Option<Duration>) -> io::Result<()> {
        let mut descriptors = vec![self.woken.as_fd()];
        descriptors.extend(self.ports.values().flat_map(|port| port.descriptors()));
        wait_readable(&descriptors, limit)
    }
}

/// Sends a frame; false when the kernel refuses it. An interface that went down refuses every one;
/// the next wish leaves it out.
fn send(ports: &BTreeMap<u32, Arc<Port>>, transmit: &Transmit, metrics: &Metrics) -> bool {
    let Some(port) = ports.get(&transmit.interface) else {
        return false;
    };
    let sent = port.send(transmit.frame.bytes()).is_ok();
    if !sent {
        metrics.send_errors.inc();
    }
    sent
}

/// How long ago the kernel took a frame. A wall clock that was set back makes it zero.
fn age(taken: Option<Duration>) -> Duration {
    let Some(taken) = taken else {
        return Duration::ZERO;
    };
    let now = u128::try_from(clock::wall().as_nanosecond()).unwrap_or(0);
    let age = now.saturating_sub(taken.as_nanos());
    Duration::from_nanos(u64::try_from(age).unwrap_or(u64::MAX))
}
