//! The door: one router that is spoken to.

mod terms;

pub use terms::{
    Action, BfdState, ConnectionId, Event, Messages, Negotiated, Obstacle, Reason, Snapshot, State,
    Stop, Transmit, Waiting,
};
