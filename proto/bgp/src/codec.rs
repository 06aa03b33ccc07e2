//! Octets to messages and back (RFC 4271 section 4). No state, no allocation by a length that the
//! peer claims: what is read is never longer than what came.

mod community;
mod fault;
mod notification;

pub use community::{
    Administrator, AnyCommunity, Community, CommunityError, ExtendedCommunity, LargeCommunity,
};
pub use fault::{Approach, Fault, Flaw};
pub use notification::{Cease, Notification, SHUTDOWN_TEXT};
