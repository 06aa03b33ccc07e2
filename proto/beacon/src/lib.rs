//! Who is alive and who owns an address, without the API server: authenticated beacons between
//! speakers and the quorum lease they carry.
//!
//! One door, [`Node`]: datagrams, views, wishes and time go in, datagrams and deadlines come out. It
//! holds no socket, no clock, no source of randomness and no task, and knows nothing of Services or
//! ARP.
//!
//! ```text
//! set_view, set_peers, set_wish ──► Node ──► poll_transmit, poll_timeout, poll_event
//! handle_datagram ────────────────►      ──► owns(address), live, record
//! ```
//!
//! Time is the time since the machine started, by a clock that also runs while it is suspended
//! (`CLOCK_BOOTTIME`); nothing else is safe to hold a lease by.
//!
//! Inside: `wire` is the codec, `seal` the authentication, `view` the set of members, `table` one
//! node's votes and when they may change (R2 to R4), `peer` what is known of one other node,
//! `limit` how many datagrams are read, `agenda` which addresses are to be judged when, `claims` its
//! own part in an address, `witness` what it asks on the LAN without a majority, `lot` numbers
//! that differ from node to node, `node` the door. The rules are model-checked in `tests/quorum_lease`, these very
//! machines run against each other in `tests/cluster`.
//!
//! Not here: who writes the chain of views and where a node keeps the number it adopted (the
//! caller), who votes in a large cluster (the caller; `docs/adr/0010`), digests and pulls (tables travel as deltas that each peer
//! acknowledges), key derivation, placement and the damping of moves
//! (ranks come with the wishes). What was changed of the written design is in `docs/adr/0007` and
//! `0008`.

mod agenda;
mod claims;
mod config;
mod discard;
mod lan;
mod limit;
mod lot;
mod node;
mod peer;
mod seal;
mod table;
mod view;
mod wire;
mod witness;

use std::time::Duration;

pub use claims::{Hold, Takeover};
pub use config::{Config, ConfigError, LONGEST_GRANT, Policy, Tie, Timers, Wish};
pub use discard::Discard;
pub use lan::{LinkId, LinkWord};
pub use node::{Event, HANDOVER_PATIENCE, Node, Question, Transmit};
pub use seal::{Key, Keys};
pub use table::Claim;
pub use view::{MAX_VOTERS, View};
pub use wire::{Beacon, Body, Entry, Heard, MAX_DATAGRAM, Message, Nonce, decode, encode};

/// Time since the machine started.
pub type Time = Duration;

/// A speaker, the same through all its lives.
pub type NodeId = u64;

/// One life of a speaker, from a start to the next; later lives are greater.
pub type Life = u64;

/// The most members of a view.
pub const MAX_MEMBERS: usize = 128;
