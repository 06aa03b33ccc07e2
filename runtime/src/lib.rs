//! Effects that the controller, the speaker and heraldctl share.
//!
//! Not here: anything that knows a Herald object, an address or a protocol. Each module is one
//! effect: reading the clock, pacing, owning tasks, keeping a copy of what the API server says, holding a
//! Lease, writing objects, recording Events, answering the admin port.

pub mod admin;
pub mod apply;
pub mod args;
pub mod bucket;
pub mod client;
pub mod clock;
pub mod events;
pub mod lease;
pub mod logging;
pub mod rejections;
pub mod supervise;
pub mod watch;
