//! Octets from the peer: messages out of them, and what each means to the state machine.

use super::{Peer, Reason, State};
use crate::codec::{Context, Frame, Kind, Open, RouteRefresh, Subtype, Update, frame};
use crate::session::collision::Side;
use crate::session::fsm::Input;
use crate::session::negotiate;
use crate::{Family, Notification, Time};

impl Peer {
    /// Takes octets of a connection in; the rest of a message that is not all there is kept.
    pub(super) fn hear(&mut self, side: Side, bytes: &[u8], now: Time) {
        let lane = self.lane_mut(side);
        let connection = lane.connection;
        let mut inbox = std::mem::take(&mut lane.inbox);
        inbox.extend(bytes);
        if self.lane(side).timers.verdict.is_some() {
            return self.put_by(side, inbox, now);
        }
        let mut rest = inbox.as_slice();
        let extended = self.config.extended_messages && !self.bare;
        loop {
            match frame(rest, extended) {
                Ok(Some(message)) => {
                    rest = rest.get(message.length()..).unwrap_or_default();
                    self.take(side, &message, now);
                }
                Ok(None) => break,
                Err(notification) => {
                    self.refuse(side, Input::HeaderError, notification, now);
                    return;
                }
            }
            if self.lane(side).connection != connection {
                return;
            }
        }
        let rest = rest.to_vec();
        self.lane_mut(side).inbox = rest;
    }

    fn take(&mut self, side: Side, message: &Frame<'_>, now: Time) {
        let octets = u64::try_from(message.length()).unwrap_or_default();
        self.account.heard(message.kind, octets);
        match message.kind {
            Kind::Open => self.take_open(side, message.body, now),
            Kind::Update => self.take_update(side, message.body, now),
            Kind::Notification => self.take_notification(side, message.body, now),
            Kind::Keepalive => self.step(side, Input::Keepalive, None, now),
            Kind::RouteRefresh => self.take_refresh(side, message.body, now),
        }
    }

    fn take_open(&mut self, side: Side, body: &[u8], now: Time) {
        if self.lane(side).state != State::OpenSent {
            // A second one; what it says does not matter.
            return self.step(side, Input::Open, None, now);
        }
        let read = Open::decode(body).and_then(|open| {
            let negotiated = negotiate::negotiate(&self.config, self.bare, &open)?;
            Ok(negotiated)
        });
        let negotiated = match read {
            Ok(negotiated) => negotiated,
            Err(notification) => {
                return self.refuse(side, Input::OpenError, notification, now);
            }
        };
        let keep = match self.lane(side.other()).state {
            State::Established => Some(side.other()),
            State::OpenConfirm => Some(self.kept(&negotiated)),
            State::Idle | State::Connect | State::Active | State::OpenSent => None,
        };
        if keep == Some(side.other()) {
            return self.collide(side, now);
        }
        if keep == Some(side) {
            self.collide(side.other(), now);
        }
        self.lane_mut(side).negotiated = Some(negotiated);
        self.step(side, Input::Open, None, now);
    }

    fn take_update(&mut self, side: Side, body: &[u8], now: Time) {
        let context = match &self.lane(side).negotiated {
            Some(agreed) if self.lane(side).state == State::Established => Context {
                four_octet_as: agreed.four_octet_as,
                internal: agreed.internal,
                families: agreed.families,
                extended_next_hop: agreed.extended_next_hop,
            },
            // Not now, whatever it says.
            Some(_) | None => return self.step(side, Input::Update, None, now),
        };
        let taken = Update::decode(body, &context).and_then(|update| {
            self.account.mended(&update);
            self.received.take(&update, &self.config)
        });
        match taken {
            Ok(()) => self.step(side, Input::Update, None, now),
            Err(notification) => self.refuse(side, Input::UpdateError, notification, now),
        }
    }

    fn take_notification(&mut self, side: Side, body: &[u8], now: Time) {
        // RFC 4271 section 6.4: one that cannot be read is not answered.
        let notification = Notification::decode(body).unwrap_or_else(|wrong| wrong);
        if notification.asks_for_no_parameters() {
            self.bare = true;
        }
        let input = if notification.is_version_error() {
            Input::VersionError
        } else {
            Input::Notification
        };
        let reason = Reason::Received(notification);
        self.step(side, input, Some(reason), now);
    }

    fn take_refresh(&mut self, side: Side, body: &[u8], now: Time) {
        if self.lane(side).state != State::Established {
            return self.step(side, Input::Refresh, None, now);
        }
        let refresh = match RouteRefresh::decode(body) {
            Ok(refresh) => refresh,
            Err(notification) => {
                return self.refuse(side, Input::UpdateError, notification, now);
            }
        };
        match (refresh.subtype, Family::of(refresh.afi, refresh.safi)) {
            (Subtype::Request, Some(family)) => self.rib.refresh(family),
            // Brackets of answers to questions that were never asked, and what nobody knows.
            (Subtype::Request, None) | (Subtype::Begin | Subtype::End | Subtype::Unknown(_), _) => {
            }
        }
        self.step(side, Input::Refresh, None, now);
    }
}
