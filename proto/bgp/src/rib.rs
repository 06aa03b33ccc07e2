//! What a peer is told: the wish, what was sent, and the messages that make the second the first
//! (Adj-RIB-Out).
//!
//! Nothing is queued but what differs between the two, so a peer that does not read costs no more
//! than one that does, and finds the latest wish when it reads again.

mod diff;
mod pace;
mod pack;
mod queue;
mod terms;
mod wish;

pub(crate) use diff::AdjRibOut;
pub(crate) use terms::Terms;
pub use wish::{Route, Wish};
