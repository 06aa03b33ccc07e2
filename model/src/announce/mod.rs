//! Which nodes may announce which address on the LAN, and why the others may not.
//!
//! Not here: which of them does (`placement`), or how it is said on the wire.

mod world;

pub use world::{L2Advertisement, Node, World};
