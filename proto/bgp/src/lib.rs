//! BGP-4 as an announcer speaks it (RFC 4271): codec, session state machine, Adj-RIB-Out.
//!
//! One door for each router, `Peer`: octets, connections, wishes and time go in, octets, actions and
//! deadlines come out. It holds no socket, no clock, no source of randomness and no task, and knows
//! nothing of Services.
//!
//! ```text
//! Peer::new(config, restarted, seed, now)
//! set_config(config, now), set_wish(Arc<Wish>, now), start, stop(Stop, now), drain(time, text, now)
//! handle_connected(id, Local, now), handle_accepted(Local, now) -> Option<id>
//! handle_closed(id, words, now), handle_bytes(id, bytes, now), handle_sent(id, now)
//! handle_bfd(BfdState, now), handle_timeout(now)
//! poll_action() -> Option<Action>, poll_transmit(now) -> Option<Transmit>, poll_event() -> Option<Event>
//! poll_timeout() -> Option<Time>, snapshot() -> Snapshot
//! ```
//!
//! Time is the time since any fixed moment, by a clock that never goes back.

mod asn;
pub mod codec;
mod config;
mod peer;
mod prefix;
mod rib;
mod session;

use std::time::Duration;

pub use asn::{Asn, AsnError};
pub use codec::{
    AnyCommunity, Cease, Community, CommunityError, ExtendedCommunity, LargeCommunity, Notification,
};
pub use config::{
    BfdMode, Config, ConfigError, GracefulRestart, Local, Opening, RemoteAs, Role, RoleConfig,
    reopens,
};
pub use peer::{
    Action, BfdState, ConnectionId, Event, Messages, Negotiated, Obstacle, Peer, Reason, Snapshot,
    State, Stop, Transmit, Waiting,
};
pub use prefix::{Families, Family, Prefix, PrefixError};
pub use rib::{Route, Wish};

/// Time since any fixed moment.
pub type Time = Duration;
