//! What the user meant: raw objects in, one valid configuration and a list of problems out.
//!
//! Pure and total: [`compile`] never fails and never panics. A bad object, or where that is
//! possible only its bad part, is set aside with a [`Problem`] that names the object, the field and
//! the fix; all others keep working. After this crate nobody sees a raw object: [`service`] and
//! [`node`] translate the built-in kinds for the controller, the speaker and heraldctl alike; [`holding`] and
//! [`agreement`] are how the controller writes down who holds an address, and who do together.
//!
//! Not here: reading objects, writing conditions (the controller does), allocation (`model`).

mod addresses;
pub mod agreement;
mod bgp;
mod compile;
pub mod holding;
mod infrastructure;
mod l2;
pub mod node;
mod objects;
mod policy;
mod pools;
mod problem;
mod reservations;
mod selector;
pub mod service;
mod usable;

#[cfg(test)]
mod tests;

pub use compile::{Compiled, Config, compile};
pub use infrastructure::{Infrastructure, InfrastructureCache, ServiceRange};
pub use node::NodeFacts;
pub use objects::Objects;
pub use problem::{ObjectRef, Problem, Reason, Verdict};
pub use usable::refused_addresses;
