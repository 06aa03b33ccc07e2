//! The connections of one session, two at most while it is settled which is kept: what is read from them
//! and written to them.
//!
//! Not here: what octets mean, and which connection is kept (`herald_bgp`).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use herald_bgp::ConnectionId;
use tokio::net::TcpStream;

/// One connection.
pub(super) struct Wire {
    pub(super) id: ConnectionId,
    pub(super) stream: TcpStream,
    /// What is still to be written.
    pub(super) out: VecDeque<u8>,
}

/// All there are.
#[derive(Default)]
pub(super) struct Wires(Vec<Wire>);

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum Traffic {
    /// So many octets are in the buffer; none: the other end closed.
    Read(io::Result<usize>),
    /// So many of the first octets to write are gone.
    Wrote(io::Result<usize>),
}

impl Wires {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, id: ConnectionId, stream: TcpStream) {
        let out = VecDeque::new();
        self.0.push(Wire { id, stream, out });
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Wire> {
        self.0.iter_mut().find(|wire| wire.id == id)
    }

    pub(super) fn take(&mut self, id: ConnectionId) -> Option<Wire> {
        let at = self.0.iter().position(|wire| wire.id == id)?;
        Some(self.0.remove(at))
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &TcpStream> {
        self.0.iter().map(|wire| &wire.stream)
    }

    /// Waits until something was read or written; for ever where there is no connection.
    pub(super) async fn traffic(&mut self, buffer: &mut [u8]) -> (ConnectionId, Traffic) {
        poll_fn(|cx| {
            let mut wires = self.0.iter_mut();
            let ready = wires.find_map(|wire| match wire.poll(cx, buffer) {
                Poll::Ready(traffic) => Some((wire.id, traffic)),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Wire {
    /// Writes first: a router that never stops talking gets answers.
    fn poll(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Traffic> {
        while !self.out.is_empty() {
            let Poll::Ready(ready) = self.stream.poll_write_ready(cx) else {
                break;
            };
            let (head, _) = self.out.as_slices();
            match ready.and_then(|()| self.stream.try_write(head)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(Traffic::Wrote(outcome)),
            }
        }
        loop {
            let Poll::Ready(ready) = self.stream.poll_read_ready(cx) else {
                return Poll::Pending;
            };
            match ready.and_then(|()| self.stream.try_read(buffer)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(Traffic::Read(outcome)),
            }
        }
    }
}
