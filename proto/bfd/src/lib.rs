//! Bidirectional Forwarding Detection (RFC 5880, 5881, 5883).
//!
//! One door for each watched path, [`Session`]: packets, wishes and time go in, packets, events and
//! deadlines come out. It holds no socket, no clock, no source of randomness and no task, and knows
//! nothing of BGP.
//!
//! ```text
//! set_config, admin_down, admin_up ──► Session ──► poll_transmit: control and echo packets
//! handle_packet, handle_echo       ──►         ──► poll_event, poll_timeout
//! loop_back, handle_timeout        ──►         ──► snapshot, path
//! ```
//!
//! Which session a packet is for is told by [`Demultiplexer`]. Time is the time since any fixed moment,
//! by a clock that never goes back. Packets that wait are to be handled before
//! [`Session::handle_timeout`], or a busy reader is taken for a silent neighbour.
//!
//! Inside: `packet` is octets to fields and back, `auth` the section that proves who sent them, `session`
//! the door with the state machine as a table, the negotiation of intervals and the echo function. What
//! each clause of the RFCs comes to is in `docs/conformance/bfd.md`.
//!
//! Not here: sockets, ports, TTLs that are sent, who wants a path watched and what follows from its
//! failure.

mod auth;
mod config;
mod demultiplexer;
mod discard;
mod packet;
mod session;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

pub use auth::{Authentication, Method};
pub use config::{Config, ConfigError, Hops, SLOW};
pub use demultiplexer::{Demultiplexer, Origin};
pub use discard::Discard;
pub use packet::{AuthSection, Diagnostic, Flags, Packet, State};
pub use session::{Cause, Event, Negotiated, Packets, Path, Session, Snapshot, Transmit};

/// Time since any fixed moment.
pub type Time = Duration;

/// The UDP port of control packets over one hop (RFC 5881 section 4).
pub const SINGLE_HOP_PORT: u16 = 3784;
/// The UDP port of echo packets (RFC 5881 section 4).
pub const ECHO_PORT: u16 = 3785;
/// The UDP port of control packets over several hops (RFC 5883 section 5).
pub const MULTIHOP_PORT: u16 = 4784;
/// The TTL or hop limit every packet is sent with (RFC 5881 section 5).
pub const TTL: u8 = 255;

/// A session, as one end calls it: never zero, and unique on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Discriminator(pub NonZeroU32);

impl Discriminator {
    /// None for zero, which on the wire stands for "not known".
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// As the wire has it.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
