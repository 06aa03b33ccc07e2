//! What should be true: which Service holds which address, which nodes may announce it, and which
//! one of them does.
//!
//! Everything here is a pure function of whole values: no Kubernetes types, no clock, no sockets,
//! no randomness. The same input gives the same answer on every node, which is why every map is
//! ordered. `config` translates what users wrote into these types; `controller` and `speaker` act
//! on the answers.

pub mod address;
pub mod alloc;
pub mod announce;
pub mod bgp;
pub mod labels;
pub mod placement;
pub mod pool;
pub mod ports;
pub mod service;
pub mod unusable;
