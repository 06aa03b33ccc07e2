//! What a peer is told: the wish, what was sent, and messages that make the second the first.

mod wish;

pub use wish::{Route, Wish};
