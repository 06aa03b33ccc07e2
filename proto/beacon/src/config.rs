//! What a node is made of and what it is asked for. Values only; they are checked where the node
//! is made.

use std::time::Duration;

use thiserror::Error;

use crate::{Keys, Life, NodeId, Time};

/// Nodes of one cluster may have different timers, while a user changes them one by one. None may
/// count on a promise for longer than this.
pub const LONGEST_GRANT: Duration = Duration::from_millis(200);

/// The times of protocol section 2.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Between two beacons, when nothing changes.
    pub interval: Duration,
    /// How long an acknowledged beacon holds up its sender's ownership, from when it was sent.
    pub grant: Duration,
    /// The silence after which an owner is replaced.
    pub suspect: Duration,
    /// Between the claims of candidates of neighbouring ranks (`suspect`, for an address that nobody
    /// ever owned); five times that, until a claim that a rival's is in the way of is withdrawn.
    pub pause: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(50),
            grant: Duration::from_millis(200),
            suspect: Duration::from_millis(250),
            pause: Duration::from_millis(20),
        }
    }
}

impl Timers {
    /// After which time whatever this node promised, to a node with whatever timers, has ended.
    pub(crate) fn quiet(&self) -> Duration {
        self.suspect.max(LONGEST_GRANT * 5 / 4)
    }

    /// # Errors
    /// The times could not be safe.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let sound = self.grant >= self.interval * 3
            && self.grant * 5 <= self.suspect * 4
            && self.grant <= LONGEST_GRANT;
        if sound {
            Ok(())
        } else {
            Err(ConfigError::Timers)
        }
    }
}

/// What a node does while it has no majority (protocol section 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// It asks the LAN, and holds an address that nobody else answers for while the gateway does.
    #[default]
    Available,
    /// It is silent.
    Exclusive,
    /// It is silent, unless it is one of two and holds what breaks the tie ([`Tie`]).
    Witnessed,
}

/// A thing outside that only one of two nodes can have at a time, such as a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// The view it was taken in, which is the last one: nobody writes the next while it is held.
    pub view: u64,
    /// Not from then on; before that nobody else has it.
    pub until: Time,
}

/// What does not change while a node lives, except for the keys.
#[derive(Debug, Clone)]
pub struct Config {
    /// The same for all members, and another one when the chain of views begins anew.
    pub cluster: u64,
    /// This node.
    pub me: NodeId,
    /// Greater than in every earlier life of this node.
    pub life: Life,
    /// The shared secrets.
    pub keys: Keys,
    /// The same for all members.
    pub timers: Timers,
    /// The same for all members.
    pub policy: Policy,
}

/// Why a node cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// GRANT above 0.8 of SUSPECT would not survive clocks of different rates; an interval above a
    /// third of GRANT would let one lost beacon end ownership.
    #[error(
        "a grant must last at least three intervals, at most 200 ms, and at most 0.8 of the time until suspicion"
    )]
    Timers,
}

/// An address this node is to own, unless somebody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How many candidates are to try before this one.
    pub rank: u32,
}
