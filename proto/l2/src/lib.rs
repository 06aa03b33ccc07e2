//! Announcing service addresses on a LAN: ARP (RFC 826, 5227, 5944) and NDP (RFC 4861, 4862).
//!
//! One door, [`Station`]: frames and time go in, frames and events come out. It holds no socket, no
//! clock and no task, and knows nothing of Services or of who else is alive: it is told which
//! addresses this node owns, on which interfaces, until when.
//!
//! ```text
//! set_interfaces, set_owned ──► Station ──► poll_transmit, poll_event, poll_timeout
//!              handle_frame ──►
//! ```
//!
//! A second door, [`discovery`], finds the routers of a link; neither knows of the other.
//!
//! Inside: [`arp`] and [`ndp`] are codecs, `responder` answers who asks, `announcer` tells who did
//! not ask, `requesters` remembers who asked, `conflict` notices who else claims an address.

mod announcer;
pub mod arp;
mod conflict;
mod discard;
pub mod discovery;
mod event;
mod frame;
mod limits;
mod mac;
pub mod ndp;
mod requesters;
mod responder;
mod station;
mod terms;

pub use conflict::{Claim, ClaimKind};
pub use discard::Discard;
pub use event::Event;
pub use frame::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Frame};
pub use limits::Limits;
pub use mac::Mac;
pub use station::Station;
pub use terms::{Addressed, Interface, Owned, Received, Transmit};
