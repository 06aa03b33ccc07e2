//! Two connections with one peer: which is closed, and when (RFC 4271 section 6.8).
//!
//! Ends that heard things in another order may each close the connection that the other keeps. It happens
//! where one connection is established here, the other is the one that the identifiers are for, and the
//! peer hears our OPEN there before our KEEPALIVE here. So that other connection is put by until the peer
//! has closed one of the two, as it must, or a while has passed.

use super::{Negotiated, Peer, State};
use crate::session::collision::{Side, kept};
use crate::session::fsm::Input;
use crate::{Cease, Notification, Time};

/// How many octets may wait on a connection that is put by: an OPEN and what follows it.
const PUT_BY: usize = 8192;

impl Peer {
    /// Closes a connection because the other one is kept.
    pub(super) fn collide(&mut self, side: Side, now: Time) {
        let notification = Notification::cease(Cease::CollisionResolution);
        self.refuse(side, Input::CollisionDump, notification, now);
    }

    /// Which of two connections with this peer is to be kept, while neither is established.
    pub(super) fn kept(&self, agreed: &Negotiated) -> Side {
        let ours = (self.config.router_id, self.config.local_as);
        kept(ours, (agreed.peer_id, agreed.peer_as))
    }

    /// The peer may keep this connection though the other one is established here: it has our OPEN, and the
    /// identifiers are for it.
    pub(super) fn may_be_kept(&self, side: Side) -> bool {
        let lane = self.lane(side);
        let agreed = self.lane(side.other()).negotiated.as_ref();
        let told = lane.state == State::OpenSent && lane.open.is_empty();
        told && agreed.is_some_and(|agreed| self.kept(agreed) == side)
    }

    /// Leaves what a connection says for later.
    pub(super) fn put_by(&mut self, side: Side, inbox: Vec<u8>, now: Time) {
        if inbox.len() > PUT_BY {
            return self.collide(side, now);
        }
        self.lane_mut(side).inbox = inbox;
    }

    /// Goes on with a connection that was put by, if it was: the other one ended.
    pub(super) fn resume(&mut self, side: Side, now: Time) {
        if self.lane_mut(side).timers.verdict.take().is_some() {
            self.hear(side, &[], now);
        }
    }
}
