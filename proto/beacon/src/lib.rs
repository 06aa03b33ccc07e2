//! Who is alive and who owns an address, without the API server: authenticated beacons between
//! speakers and the quorum lease they carry.
//!
//! One door, [`Node`]: datagrams, wishes and time go in, datagrams and deadlines come out. It holds
//! no socket, no clock, no source of randomness and no task, and knows nothing of Services or ARP.
//!
//! ```text
//! set_wish ────────► Node ──► poll_transmit, poll_timeout
//! handle_datagram ──►     ──► owns(address), live, record
//! ```
//!
//! Time is the time since the machine started, by a clock that also runs while it is suspended
//! (`CLOCK_BOOTTIME`); nothing else is safe to hold a lease by.
//!
//! Inside: `wire` is the codec, `seal` the authentication, `table` one node's votes and when they
//! may change (R2 to R4), `peer` what is known of one other node, `node` the door. The rules are
//! model-checked in `tests/quorum_lease`, these very machines run against each other in
//! `tests/cluster`.
//!
//! Not here: changes of the membership (a `Node` lives and dies with one set of members), witness
//! sets above 32 nodes, the witness path without a majority and with it both partition policies
//! (what is here behaves as `exclusive`), digests and pulls (tables travel as deltas that each peer
//! acknowledges), a transfer to a named node that is taken back when unconfirmed, the flags of a
//! beacon other than `QUIET`, beacons on the announced LAN, jitter, key derivation, a limit of
//! datagrams per source, forgetting votes of addresses that are gone, placement and the damping of
//! moves (ranks come with the wishes). Nothing of the speaker uses this crate yet. What was changed
//! of the written design is in `docs/adr/0010` and `0011`.

mod discard;
mod node;
mod peer;
mod seal;
mod table;
mod wire;

use std::time::Duration;

pub use discard::Discard;
pub use node::{Config, ConfigError, Member, Node, Timers, Transmit, Wish};
pub use seal::{Key, Keys};
pub use table::Claim;
pub use wire::{Beacon, Body, Entry, Heard, MAX_DATAGRAM, Message, Nonce};

/// Time since the machine started.
pub type Time = Duration;

/// A speaker, the same through all its lives.
pub type NodeId = u64;

/// One life of a speaker, from a start to the next; later lives are greater.
pub type Life = u64;

/// The most members of a cluster.
pub const MAX_MEMBERS: usize = 32;
