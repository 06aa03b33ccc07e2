//! One connection with the peer: its state, its timers, and what waits at its two ends.

use super::{ConnectionId, Negotiated, State};
use crate::session::timers::Timers;
use crate::{Local, Time};

/// A connection, or the attempt at one. The peer has two: what this speaker opens and what the router
/// opens.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) state: State,
    pub(super) connection: Option<ConnectionId>,
    pub(super) local: Option<Local>,
    pub(super) timers: Timers,
    /// The beginning of a message; less than the longest one.
    pub(super) inbox: Vec<u8>,
    /// An OPEN that waits to be handed out.
    pub(super) open: Vec<u8>,
    /// A KEEPALIVE is to be handed out.
    pub(super) keepalive: bool,
    /// Octets were handed out and the socket has not taken them all.
    pub(super) flying: bool,
    pub(super) negotiated: Option<Negotiated>,
    pub(super) established: Option<Time>,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            state: State::Idle,
            connection: None,
            local: None,
            timers: Timers::default(),
            inbox: Vec::new(),
            open: Vec::new(),
            keepalive: false,
            flying: false,
            negotiated: None,
            established: None,
        }
    }
}
