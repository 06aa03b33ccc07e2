//! What a connection is given to write: OPEN, then KEEPALIVE, then routes; a bounded chunk at a time.

use super::{Peer, State, Transmit};
use crate::codec::{HEADER, Kind, MAX_MESSAGE, header};
use crate::session::collision::Side;
use crate::session::timers;
use crate::{Event, Time};

impl Peer {
    /// The next chunk for one connection.
    pub(super) fn send(&mut self, side: Side, now: Time) -> Option<Transmit> {
        let lane = self.lane_mut(side);
        let connection = lane.connection?;
        if lane.flying || lane.state < State::OpenSent {
            return None;
        }
        let established = lane.state == State::Established;
        let mut bytes = std::mem::take(&mut lane.open);
        let opens = u64::from(!bytes.is_empty());
        let keepalives = u64::from(std::mem::take(&mut lane.keepalive));
        if keepalives != 0 {
            // A header alone fits.
            let written = header::write(&mut bytes, Kind::Keepalive, HEADER, |_| {});
            debug_assert_eq!(written, Ok(()));
        }
        let sent = &mut self.account.sent;
        (sent.open, sent.keepalive) = (sent.open + opens, sent.keepalive + keepalives);
        if established {
            self.send_routes(&mut bytes, now);
        }
        if bytes.is_empty() {
            return None;
        }
        self.account.sent.octets += u64::try_from(bytes.len()).unwrap_or_default();
        let lane = self.lane_mut(side);
        let hold_time = lane.negotiated.as_ref().map(|n| n.hold_time);
        lane.flying = true;
        lane.timers.send_hold = Some(now + timers::send_hold(hold_time.unwrap_or_default()));
        Some(Transmit { connection, bytes })
    }

    fn send_routes(&mut self, bytes: &mut Vec<u8>, now: Time) {
        let before = self.rib.is_synchronized();
        let routes = self.rib.fill(bytes, now);
        self.account.sent.update += routes.updates;
        self.account.sent.refresh += routes.refreshes;
        if !before && self.rib.is_synchronized() {
            // The peer has the routes of this life: it does not follow a restart any more.
            self.restarted = false;
            self.account.tell(Event::Synchronized);
        }
    }

    /// The longest message of a connection.
    pub(super) const fn longest(extended: bool) -> usize {
        if extended {
            crate::codec::MAX_EXTENDED
        } else {
            MAX_MESSAGE
        }
    }
}
