//! Octets to messages and back (RFC 4271 section 4). No state, no allocation by a length that the
//! peer claims: what is read is never longer than what came.

mod attribute;
mod bytes;
mod capability;
mod community;
mod fault;
pub(crate) mod header;
mod nlri;
mod notification;
mod open;
mod reach;
mod refresh;
mod update;

pub use attribute::{Aggregator, Attribute, Context, Origin, Segment};
pub use capability::{Capability, GracefulFamily, NextHopFamily};
pub use community::{Community, ExtendedCommunity, LargeCommunity};
pub use fault::{Approach, Fault, Flaw};
pub use header::{Frame, HEADER, Kind, MAX_EXTENDED, MAX_MESSAGE, TooLong, frame};
pub(crate) use nlri::size;
pub use notification::{Cease, Notification, SHUTDOWN_TEXT};
pub use open::Open;
pub use reach::{NextHop, Reach, Unreach};
pub use refresh::{RouteRefresh, Subtype};
pub(crate) use update::EMPTY;
pub use update::Update;
