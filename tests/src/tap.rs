//! Listening to a namespace's interfaces: each frame that means something, and when it came.
//!
//! A packet socket sees what the kernel sees, whatever that makes of it. [`crate::capture`] keeps
//! frames for tshark; this keeps meanings.

use std::io::{ErrorKind, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::urgency;

/// `ETH_P_ALL` in network byte order, as packet(7) wants it.
const ALL_PROTOCOLS: i32 = (0x0003_u16.to_be()) as i32;
/// What the kernel keeps while this thread does not run, in octets; it gives what it may.
const BUFFER: usize = 4 << 20;

/// A running tap. What it heard carries the time since `watch` was started.
#[derive(Debug)]
pub struct Tap<T> {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<(Duration, T)>>>,
}

impl<T: Send + 'static> Tap<T> {
    /// Gives every frame of a namespace to `meaning` until it is finished.
    pub fn start(
        netns: &Netns,
        watch: Stopwatch,
        mut meaning: impl FnMut(Duration, &[u8]) -> Option<T> + Send + 'static,
    ) -> Result<Self> {
        let mut socket = netns.within(|| -> std::io::Result<Socket> {
            let socket = Socket::new(
                Domain::PACKET,
                Type::RAW,
                Some(Protocol::from(ALL_PROTOCOLS)),
            )?;
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            socket.set_recv_buffer_size(BUFFER)?;
            Ok(socket)
        })??;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                urgency::raise();
                let mut heard = Vec::new();
                let mut frame = [0_u8; 2048];
                while !stop.load(Ordering::Relaxed) {
                    match socket.read(&mut frame) {
                        Ok(length) => {
                            let at = watch.elapsed();
                            heard.extend(meaning(at, &frame[..length]).map(|one| (at, one)));
                        }
                        Err(error)
                            if matches!(
                                error.kind(),
                                ErrorKind::WouldBlock
                                    | ErrorKind::TimedOut
                                    | ErrorKind::Interrupted
                            ) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(heard)
            }
        });
        Ok(Self { stop, thread })
    }

    /// Ends it; what was heard, in order.
    pub fn finish(self) -> Result<Vec<(Duration, T)>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the tap panicked"))?
    }
}
