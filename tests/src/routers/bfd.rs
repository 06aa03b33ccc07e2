//! BFD on routers: how they watch nodes, and what they say of it.

use std::time::Duration;

/// How a router watches a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bfd {
    /// Between packets, in each direction; whole milliseconds.
    pub interval: Duration,
    /// How many packets in a row may be missing.
    pub multiplier: u8,
}

/// What a router says of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Whether the session is up.
    pub up: bool,
    /// Between the packets that the router sends.
    pub interval: Duration,
    /// Changes when the session goes down, and with nothing else.
    pub mark: String,
    /// Everything it says.
    pub said: String,
}
