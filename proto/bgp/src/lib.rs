//! BGP-4 as an announcer speaks it (RFC 4271): codec, session state machine, Adj-RIB-Out.
//!
//! One door for each router, [`Peer`]: octets, connections, wishes and time go in, octets, actions and
//! deadlines come out. It holds no socket, no clock, no source of randomness and no task, and knows
//! nothing of Services.
//!
//! ```text
//! set_config, set_wish, start, stop, drain ──► Peer ──► poll_action: connect, close
//! handle_connected, handle_accepted,       ──►      ──► poll_transmit: at most one chunk under way
//! handle_closed, handle_bytes, handle_sent ──►      ──► poll_event, poll_timeout
//! handle_bfd, handle_timeout               ──►      ──► snapshot
//! ```
//!
//! Time is the time since any fixed moment, by a clock that never goes back.
//!
//! Inside: [`codec`] is octets to messages and back, with what follows from malformed ones; `session`
//! the rules of opening and ending, among them the state machine as a table; `rib` the wish, what was
//! sent, and messages that make the second the first; `peer` the door, which puts them together for
//! up to two connections. What each clause of the RFCs comes to is in `docs/conformance/bgp.md`.
//!
//! Not here: sockets and their options (TTL, MD5, VRF), router advertisements of unnumbered peers,
//! BFD itself, aggregation (the wish names what is announced), and any use of received routes.

mod asn;
pub mod codec;
mod config;
mod peer;
mod prefix;
mod rib;
mod session;

use std::time::Duration;

pub use asn::{Asn, AsnError};
pub use codec::{Cease, Community, ExtendedCommunity, LargeCommunity, Notification};
pub use config::{
    BfdMode, Config, ConfigError, GracefulRestart, Local, Opening, RemoteAs, Role, RoleConfig,
    reopens,
};
pub use peer::{
    Action, BfdState, ConnectionId, Event, LastError, Messages, Negotiated, Obstacle, Peer, Reason,
    Snapshot, State, Stop, Transmit, Waiting,
};
pub use prefix::{Families, Family, Prefix, PrefixError};
pub use rib::{Route, Wish};
pub use session::collision::Side;

/// Time since any fixed moment.
pub type Time = Duration;
