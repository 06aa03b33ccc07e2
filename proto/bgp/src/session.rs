//! How a session with a peer is opened, held and ended: rules without state.

pub(crate) mod collision;
pub(crate) mod damping;
pub(crate) mod fsm;
pub(crate) mod negotiate;
pub(crate) mod timers;
