//! The words of the door.

use std::fmt;
use std::time::Duration;

use crate::{Diagnostic, State, Time};

/// A packet to send to the neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// To the neighbour's port for control packets.
    Control(Vec<u8>),
    /// To [`crate::ECHO_PORT`], with an address of this node as destination, by way of the neighbour.
    Echo(Vec<u8>),
}

/// What is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Both ends hear each other.
    Up,
    /// They did, and do not any more.
    Down(Cause),
    /// The ends go by other intervals than before.
    Negotiated(Negotiated),
}

/// Why a session left the state Up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No packet within the detection time.
    Expired,
    /// Echo packets did not come back.
    EchoFailed,
    /// The neighbour says that it is down, and why.
    Neighbor(Diagnostic),
    /// The neighbour was switched off: no failure (RFC 5882 section 3.2).
    NeighborAdminDown,
    /// This end was switched off.
    AdminDown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("no packet came within the detection time"),
            Self::EchoFailed => f.write_str("echo packets did not come back"),
            Self::Neighbor(diagnostic) => write!(f, "the neighbor is down: {diagnostic}"),
            Self::NeighborAdminDown => f.write_str("the neighbor was switched off"),
            Self::AdminDown => f.write_str("switched off here"),
        }
    }
}

/// What BFD says of the path, for those who rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// It fails, or nothing is known.
    Down,
    /// Either end was switched off: no failure (RFC 5882 section 3.2).
    AdminDown,
    /// It works.
    Up,
}

/// What both ends make of their intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Between packets that are sent, before jitter.
    pub transmit: Duration,
    /// Between packets that are expected, before jitter.
    pub receive: Duration,
    /// How long none of them may come.
    pub detection: Duration,
    /// Between echo packets, where they come back.
    pub echo: Option<Duration>,
}

/// Packets since the session was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Packets {
    /// Control packets sent.
    pub sent: u64,
    /// Control packets received and not dropped.
    pub received: u64,
    /// Control packets dropped.
    pub discarded: u64,
    /// Echo packets sent.
    pub echo_sent: u64,
    /// Echo packets that came back.
    pub echo_received: u64,
}

/// How things are, for status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The state of this end.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// Why this end last left Up.
    pub diagnostic: Diagnostic,
    /// The neighbour's state and why it left Up; none while it is not heard.
    pub neighbor: Option<(State, Diagnostic)>,
    /// What is negotiated; none while the neighbour is not heard.
    pub negotiated: Option<Negotiated>,
    /// A poll sequence runs.
    pub polls: bool,
    /// Packets so far.
    pub packets: Packets,
    /// How often the session came up.
    pub ups: u64,
    /// How often it left Up.
    pub downs: u64,
}
