//! Steps of the state machine put into effect: timers, actions, the beginning and end of a session.

use super::{Action, BfdMode, ConnectionId, Event, Lane, Opening, Peer, Reason, State, Stop};
use crate::codec::{Kind, Notification};
use crate::rib::Terms;
use crate::session::collision::Side;
use crate::session::damping::Ended;
use crate::session::fsm::{self, Act, Input};
use crate::session::{negotiate, timers};
use crate::{Cease, Config, Time};

impl Peer {
    pub(super) const fn lane(&self, side: Side) -> &Lane {
        match side {
            Side::Ours => &self.ours,
            Side::Theirs => &self.theirs,
        }
    }

    pub(super) const fn lane_mut(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }

    /// Which of the two a connection is; none: it is closed.
    pub(super) fn side(&self, connection: ConnectionId) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| self.lane(*side).connection == Some(connection))
    }

    pub(super) const fn number(&mut self) -> ConnectionId {
        self.connections += 1;
        ConnectionId(self.connections)
    }

    /// Begins to open a session, if one may be opened and none is.
    pub(super) fn begin(&mut self, now: Time) {
        if self.wanted && self.may_open() && self.ours.state == State::Idle {
            let input = match self.config.opening {
                Opening::Active | Opening::Both => Input::Start,
                Opening::Passive => Input::StartPassive,
            };
            if self.theirs.state < State::OpenConfirm {
                self.retry_at = None;
                self.step(Side::Ours, input, None, now);
            }
        }
    }

    /// Sees to it that another attempt is made, when none is under way.
    pub(super) fn tend(&mut self, now: Time) {
        let idle = self.ours.state == State::Idle && self.theirs.state < State::OpenConfirm;
        if !self.wanted || !self.may_open() {
            self.retry_at = None;
        } else if idle && self.retry_at.is_none() {
            let wait = self.damping.wait(self.config.connect_time);
            self.retry_at = Some(now + self.jitter.spread(wait));
        }
    }

    /// Ends what there is with what [`Stop`] says.
    pub(super) fn halt(&mut self, stop: &Stop, now: Time) {
        for side in Side::BOTH {
            let reason = match Self::farewell(stop) {
                None => Reason::Restart,
                Some(notification) => {
                    let lane = self.lane(side);
                    let covered = lane.negotiated.as_ref().is_some_and(|n| n.notification);
                    let flush = matches!(stop, Stop::Shutdown(_) | Stop::Deconfigured);
                    Reason::Sent(if covered && flush {
                        notification.hardened()
                    } else {
                        notification
                    })
                }
            };
            self.step(side, Input::Stop, Some(reason), now);
        }
        self.retry_at = None;
    }

    /// BFD says that the path is broken.
    pub(super) fn fail_path(&mut self, now: Time) {
        for side in Side::BOTH {
            let lane = self.lane(side);
            let covered = lane.negotiated.as_ref().is_some_and(|n| n.notification);
            let notification = Notification::cease(Cease::BfdDown);
            let reason = Reason::Sent(if covered {
                notification.hardened()
            } else {
                notification
            });
            // A connection that is being opened may go on, unless BFD has to be up for that.
            if lane.state >= State::OpenSent || self.config.bfd == BfdMode::Strict {
                self.step(side, Input::BfdDown, Some(reason), now);
            }
        }
    }

    /// Ends a connection without a word.
    pub(super) fn cut(&mut self, side: Side, reason: Reason, now: Time) {
        self.step(side, Input::Stop, Some(reason), now);
    }

    /// Ends a connection with a NOTIFICATION.
    pub(super) fn refuse(&mut self, side: Side, input: Input, why: Notification, now: Time) {
        self.step(side, input, Some(Reason::Sent(why)), now);
    }

    /// Lets due timers of a connection expire.
    pub(super) fn expire(&mut self, side: Side, now: Time) {
        let due = |timer: Option<Time>| timer.is_some_and(|at| at <= now);
        let timers = &self.lane(side).timers;
        let (hold, send_hold) = (due(timers.hold), due(timers.send_hold));
        if hold {
            self.refuse(side, Input::HoldExpires, Notification::hold_expired(), now);
        } else if send_hold {
            let notification = Notification::send_hold_expired();
            self.refuse(side, Input::SendHoldExpires, notification, now);
        }
        if due(self.lane(side).timers.verdict) {
            self.collide(side, now);
        }
        if due(self.lane(side).timers.keepalive) {
            self.step(side, Input::KeepaliveExpires, None, now);
        }
        if due(self.lane(side).timers.retry) {
            let reason =
                (self.lane(side).state == State::Connect).then_some(Reason::ConnectTimeout);
            self.step(side, Input::ConnectRetryExpires, reason, now);
        }
    }

    /// What of a new configuration takes effect at once.
    pub(super) fn adjust(&mut self, old: &Config, now: Time) {
        if old.keepalive_time != self.config.keepalive_time {
            let wanted = self.config.keepalive_time;
            for side in Side::BOTH {
                if let Some(agreed) = &mut self.lane_mut(side).negotiated {
                    let third = agreed.hold_time / 3;
                    agreed.keepalive_time = wanted.map_or(third, |time| time.min(third));
                    self.arm_keepalive(side, now);
                }
            }
        }
        if old.opening != self.config.opening && self.ours.state <= State::Active {
            let reason = Some(Reason::Sent(Notification::cease(
                Cease::ConfigurationChange,
            )));
            self.step(Side::Ours, Input::Stop, reason, now);
            self.begin(now);
        }
        if !self.may_open() {
            for side in Side::BOTH {
                if self.lane(side).state < State::Established {
                    self.cut(side, Reason::Sent(Notification::cease(Cease::BfdDown)), now);
                }
            }
        }
        self.tend(now);
    }

    /// Ends a drain when everything is withdrawn, or nothing was ever told.
    pub(super) fn check_drained(&mut self, now: Time) {
        let Some(drain) = &self.drain else {
            return;
        };
        let session = Side::BOTH
            .into_iter()
            .find(|side| self.lane(*side).state == State::Established);
        let written = session.is_none_or(|side| {
            self.rib.is_gone() && self.rib.is_settled() && !self.lane(side).flying
        });
        if written {
            let stop = Stop::Shutdown(drain.text.clone());
            self.stop(&stop, now);
            self.account.tell(Event::Drained);
        }
    }

    /// One step of the machine of one connection, with why it is taken where that is to be told.
    pub(super) fn step(&mut self, side: Side, input: Input, reason: Option<Reason>, now: Time) {
        let before = (self.state(), self.lane(side).state);
        let (next, acts) = fsm::step(before.1, input);
        let ends = before.1 >= State::OpenSent && next < State::OpenSent;
        let reason = reason.or_else(|| {
            let subcode = match before.1 {
                State::OpenSent => 1,
                State::OpenConfirm => 2,
                State::Established => 3,
                State::Idle | State::Connect | State::Active => return None,
            };
            let unexpected = acts.contains(&Act::Unexpected);
            unexpected.then(|| Reason::Sent(Notification::unexpected(subcode, kind(input))))
        });
        self.lane_mut(side).state = next;
        let stood = self.lane(side).established;
        let leaves = before.1 == State::Established && next != State::Established;
        for act in acts {
            self.act(side, *act, reason.as_ref(), now);
        }
        if leaves {
            self.leave(stood, now);
        }
        let gave_up = before.1 == State::Connect
            && matches!(input, Input::TcpDown | Input::ConnectRetryExpires);
        if let Some(reason) = reason.filter(|_| ends || gave_up) {
            self.tell_end(side, input, reason, stood.is_some(), now);
        }
        if next < State::OpenSent {
            self.clean(side);
        }
        if self.state() != before.0 {
            self.account.since = now;
        }
        if ends {
            self.check_drained(now);
            self.tend(now);
        }
        if leaves {
            self.resume(side.other(), now);
        }
    }

    /// Tells the end of a session or attempt, unless the other connection lives on in its place.
    fn tell_end(&mut self, side: Side, input: Input, reason: Reason, stood: bool, now: Time) {
        let spare = self.lane(side.other()).state >= State::OpenSent && !stood;
        if input != Input::CollisionDump && !spare {
            let asked = input == Input::Stop && reason != Reason::Replaced;
            self.account.ended(reason, stood, asked, now);
        }
    }

    fn act(&mut self, side: Side, act: Act, reason: Option<&Reason>, now: Time) {
        match act {
            Act::Connect => {
                let connection = self.number();
                self.lane_mut(side).connection = Some(connection);
                self.actions.push_back(Action::Connect(connection));
            }
            Act::ArmRetry => {
                let time = self.damping.attempt(self.config.connect_time);
                let at = now + self.jitter.spread(time);
                self.lane_mut(side).timers.retry = Some(at);
            }
            Act::DisarmRetry => self.lane_mut(side).timers.retry = None,
            Act::SendOpen => {
                let open = negotiate::propose(&self.config, self.restarted, self.bare);
                let mut bytes = Vec::new();
                // A handful of capabilities fits.
                let written = open.encode(&mut bytes);
                debug_assert_eq!(written, Ok(()));
                self.lane_mut(side).open = bytes;
            }
            Act::ArmLargeHold => self.lane_mut(side).timers.hold = Some(now + timers::LARGE_HOLD),
            Act::ArmHold => {
                let lane = self.lane_mut(side);
                let agreed = lane.negotiated.as_ref().map(|n| n.hold_time);
                let running = agreed.filter(|time| !time.is_zero());
                lane.timers.hold = running.map(|time| now + time);
            }
            Act::SendKeepalive => {
                self.lane_mut(side).keepalive = true;
                self.arm_keepalive(side, now);
            }
            Act::Establish => self.establish(side, now),
            Act::Notify | Act::Unexpected => {
                let words = match reason {
                    Some(Reason::Sent(notification)) => Some(notification),
                    _ => None,
                };
                self.close(side, words);
            }
            Act::Drop => self.close(side, None),
            Act::Count => {
                let lane = self.lane(side);
                let ended = Ended {
                    agreed: lane.negotiated.is_some(),
                    stood: lane.established.is_some(),
                    spare: self.lane(side.other()).state >= State::OpenSent,
                };
                self.damping.count(reason, ended);
            }
        }
    }

    fn arm_keepalive(&mut self, side: Side, now: Time) {
        let agreed = self.lane(side).negotiated.as_ref();
        let running = agreed
            .map(|n| n.keepalive_time)
            .filter(|time| !time.is_zero());
        let at = running.map(|time| now + self.jitter.spread(time));
        self.lane_mut(side).timers.keepalive = at;
    }

    /// The shell is told to close; what the peer is told goes along.
    fn close(&mut self, side: Side, words: Option<&Notification>) {
        let lane = self.lane_mut(side);
        let Some(connection) = lane.connection.take() else {
            return;
        };
        let extended = lane
            .negotiated
            .as_ref()
            .is_some_and(|n| n.extended_messages);
        let mut last_words = std::mem::take(&mut lane.open);
        if let Some(notification) = words {
            notification.encode(Self::longest(extended), &mut last_words);
            self.account.sent.notification += 1;
            self.account.sent.octets += u64::try_from(last_words.len()).unwrap_or_default();
        } else {
            last_words.clear();
        }
        self.actions.push_back(Action::Close {
            connection,
            last_words,
        });
    }

    fn establish(&mut self, side: Side, now: Time) {
        let lane = self.lane_mut(side);
        lane.established = Some(now);
        // The machine gets here only by an OPEN on a connection.
        if let (Some(agreed), Some(local)) = (lane.negotiated.clone(), lane.local) {
            let longest = Self::longest(agreed.extended_messages);
            let terms = Terms::new(&agreed, &self.config, local, longest);
            self.rib.open(terms, now);
        }
        self.account.established();
        self.retry_at = None;
        let other = side.other();
        if self.may_be_kept(other) {
            self.lane_mut(other).timers.verdict = Some(now + timers::VERDICT);
        } else if self.lane(other).state != State::Idle {
            self.collide(other, now);
        }
    }

    /// An established session ended.
    fn leave(&mut self, stood: Option<Time>, now: Time) {
        self.rib.close();
        self.received.clear();
        if stood.is_some_and(|since| now.saturating_sub(since) >= timers::STABLE) {
            self.damping.forgive();
        }
    }

    /// Nothing is left of a connection; of the router's, not even the wish for one.
    fn clean(&mut self, side: Side) {
        let lane = self.lane_mut(side);
        let (mut state, mut retry) = (lane.state, lane.timers.retry);
        let connection = lane.connection.filter(|_| state == State::Connect);
        if side == Side::Theirs {
            (state, retry) = (State::Idle, None);
        }
        *lane = Lane {
            state,
            connection,
            ..Lane::default()
        };
        lane.timers.retry = retry.filter(|_| state != State::Idle);
    }
}

/// The type of the message that an input stands for.
const fn kind(input: Input) -> u8 {
    let kind = match input {
        Input::Open | Input::OpenError => Kind::Open,
        Input::Update | Input::UpdateError => Kind::Update,
        Input::Notification | Input::VersionError => Kind::Notification,
        Input::Keepalive => Kind::Keepalive,
        Input::Refresh => Kind::RouteRefresh,
        Input::Start
        | Input::StartPassive
        | Input::Stop
        | Input::ConnectRetryExpires
        | Input::HoldExpires
        | Input::KeepaliveExpires
        | Input::TcpUp
        | Input::TcpDown
        | Input::HeaderError
        | Input::CollisionDump
        | Input::SendHoldExpires
        | Input::BfdDown => return 0,
    };
    kind as u8
}
