//! The door: one router that is spoken to.
//!
//! The shell tells what happens by `handle_…`, then does what [`Peer::poll_action`] says, writes what
//! [`Peer::poll_transmit`] gives, reads [`Peer::poll_event`], and sleeps until [`Peer::poll_timeout`]
//! or the next thing to tell. Early or repeated calls do nothing, and what is said about a connection
//! that is closed is ignored.

mod account;
mod collide;
mod drive;
mod hear;
mod lane;
mod received;
mod send;
mod terms;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use account::Account;
use lane::Lane;
use received::Received;
pub use terms::{
    Action, BfdState, ConnectionId, Event, LastError, Messages, Negotiated, Obstacle, Reason,
    Snapshot, State, Stop, Transmit, Waiting,
};

use crate::rib::AdjRibOut;
use crate::session::collision::Side;
use crate::session::damping::Damping;
use crate::session::fsm::Input;
use crate::session::timers::Jitter;
use crate::{
    BfdMode, Cease, Config, ConfigError, Local, Notification, Opening, Time, Wish, reopens,
};

/// One router, and everything that is between it and this speaker.
#[derive(Debug)]
pub struct Peer {
    config: Config,
    /// This life of the speaker continues an earlier one whose routes the peer may have kept.
    restarted: bool,
    /// The peer knows no capabilities.
    bare: bool,
    /// Sessions are to be opened.
    wanted: bool,
    bfd: BfdState,
    ours: Lane,
    theirs: Lane,
    /// When the next attempt begins.
    retry_at: Option<Time>,
    damping: Damping,
    rib: AdjRibOut,
    received: Received,
    drain: Option<Drain>,
    jitter: Jitter,
    connections: u64,
    actions: VecDeque<Action>,
    account: Account,
}

/// Routes on their way out (R3).
#[derive(Debug)]
struct Drain {
    /// When they are withdrawn.
    until: Time,
    text: String,
}

impl Peer {
    /// Begins to open a session at once. `restarted`: the speaker was closed by [`Stop::Restart`], or
    /// crashed, not long ago, so that the peer may have kept its routes (the R bit of RFC 4724).
    /// `seed` makes the times of this peer differ from those of others.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, restarted: bool, seed: u64, now: Time) -> Result<Self, ConfigError> {
        config.check()?;
        let mut peer = Self {
            restarted,
            bare: false,
            wanted: true,
            bfd: BfdState::Down,
            ours: Lane::default(),
            theirs: Lane::default(),
            retry_at: None,
            damping: Damping::default(),
            rib: AdjRibOut::new(config.gather),
            received: Received::default(),
            drain: None,
            jitter: Jitter::new(seed),
            connections: 0,
            actions: VecDeque::new(),
            account: Account::new(now),
            config,
        };
        peer.begin(now);
        Ok(peer)
    }

    /// Speaks by this configuration from now on. The session is opened anew when [`reopens`] says so
    /// of the old and the new one, and stays otherwise.
    ///
    /// # Errors
    /// What is wrong with the configuration; the old one stays.
    pub fn set_config(&mut self, config: Config, now: Time) -> Result<(), ConfigError> {
        config.check()?;
        let old = std::mem::replace(&mut self.config, config);
        self.rib.set_gather(self.config.gather);
        if reopens(&old, &self.config) {
            self.bare = false;
            self.damping.forgive();
            self.halt(&Stop::ConfigurationChange, now);
            self.begin(now);
        } else {
            self.adjust(&old, now);
        }
        Ok(())
    }

    /// What is configured.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Everything the peer is to be told: all of it. Before the first call it is told nothing, not
    /// even that there is nothing, so that a restart keeps routes until this speaker knows them.
    pub fn set_wish(&mut self, wish: Arc<Wish>, now: Time) {
        self.rib.set_wish(wish);
        self.check_drained(now);
    }

    /// Ends a stop or a drain. Does nothing while sessions are wanted.
    pub fn start(&mut self, now: Time) {
        self.drain = None;
        self.rib.set_leaving(false, false);
        if !self.wanted {
            self.wanted = true;
            self.damping.forgive();
            self.begin(now);
        }
    }

    /// Ends the session and opens none until [`Self::start`].
    pub fn stop(&mut self, stop: &Stop, now: Time) {
        self.wanted = false;
        self.drain = None;
        self.halt(stop, now);
    }

    /// Says that the routes are about to go (RFC 8326), withdraws them after `time`, and then ends the
    /// session with `text` for the operator there; [`Event::Drained`] tells. A wish still counts
    /// meanwhile. Ends at once where there is no session.
    pub fn drain(&mut self, time: Duration, text: impl Into<String>, now: Time) {
        let (until, text) = (now + time, text.into());
        self.drain = Some(Drain { until, text });
        self.rib.set_leaving(true, time.is_zero());
        self.check_drained(now);
    }

    /// The shell opened what [`Action::Connect`] asked for.
    pub fn handle_connected(&mut self, connection: ConnectionId, local: Local, now: Time) {
        if self.ours.connection == Some(connection) && self.ours.state == State::Connect {
            self.ours.local = Some(local);
            self.step(Side::Ours, Input::TcpUp, None, now);
        }
    }

    /// The peer opened a connection; none: it is refused and to be closed.
    pub fn handle_accepted(&mut self, local: Local, now: Time) -> Option<ConnectionId> {
        let open = match self.config.opening {
            Opening::Active => false,
            Opening::Both | Opening::Passive => self.wanted && self.may_open(),
        };
        let shut = self.damping.shuts() && self.ours.state == State::Idle;
        if !open || shut {
            return None;
        }
        for side in Side::BOTH {
            let lane = self.lane(side);
            let restarts = lane.negotiated.as_ref().is_some_and(|n| n.peer_restarts);
            match lane.state {
                // RFC 4724 section 5.
                State::Established if restarts => self.cut(side, Reason::Replaced, now),
                State::Established => return None,
                State::OpenSent | State::OpenConfirm if side == Side::Theirs => {
                    self.cut(side, Reason::Replaced, now);
                }
                State::OpenSent
                | State::OpenConfirm
                | State::Idle
                | State::Connect
                | State::Active => {}
            }
        }
        let connection = self.number();
        self.theirs = Lane {
            state: State::Active,
            connection: Some(connection),
            local: Some(local),
            ..Lane::default()
        };
        self.step(Side::Theirs, Input::TcpUp, None, now);
        Some(connection)
    }

    /// A connection could not be opened, or is gone; `why` is for the operator.
    pub fn handle_closed(&mut self, connection: ConnectionId, why: &str, now: Time) {
        if let Some(side) = self.side(connection) {
            let input = match self.lane(side).timers.verdict {
                // The peer keeps the other one, and no further attempt is wanted.
                Some(_) => Input::CollisionDump,
                None => Input::TcpDown,
            };
            let reason = Reason::Transport(why.to_owned());
            self.step(side, input, Some(reason), now);
        }
    }

    /// The peer sent these octets, cut anywhere.
    pub fn handle_bytes(&mut self, connection: ConnectionId, bytes: &[u8], now: Time) {
        if let Some(side) = self.side(connection) {
            self.hear(side, bytes, now);
        }
    }

    /// The socket took all octets of the last [`Transmit`].
    pub fn handle_sent(&mut self, connection: ConnectionId, now: Time) {
        if let Some(side) = self.side(connection) {
            let lane = self.lane_mut(side);
            lane.flying = false;
            lane.timers.send_hold = None;
            self.check_drained(now);
        }
    }

    /// BFD says this of the path. Down after up ends the session (RFC 9384).
    pub fn handle_bfd(&mut self, state: BfdState, now: Time) {
        let waited = !self.may_open();
        let before = std::mem::replace(&mut self.bfd, state);
        let fell = before == BfdState::Up && state == BfdState::Down;
        if fell && self.config.bfd != BfdMode::Off {
            self.fail_path(now);
        }
        if waited && self.retry_at.is_none() {
            self.begin(now);
        }
        self.tend(now);
    }

    /// Lets due timers expire.
    pub fn handle_timeout(&mut self, now: Time) {
        for side in Side::BOTH {
            self.expire(side, now);
        }
        if self.drain.as_ref().is_some_and(|drain| drain.until <= now) {
            self.rib.set_leaving(true, true);
            self.check_drained(now);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.begin(now);
        }
        self.tend(now);
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next octets to write, of a connection that has none under way.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit> {
        Side::BOTH.into_iter().find_map(|side| self.send(side, now))
    }

    /// The next thing worth telling.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.account.events.pop_front()
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_transmit`] have something to do next, if ever.
    /// Meant to be called after `poll_transmit` yielded nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let session = Side::BOTH.map(|side| self.lane(side)).into_iter();
        let writable = |lane: &&Lane| lane.state == State::Established && !lane.flying;
        let routes = session.clone().find(writable).and_then(|_| self.rib.due());
        let drain = self.drain.as_ref().map(|drain| drain.until);
        session
            .filter_map(|lane| lane.timers.next())
            .chain(routes)
            .chain(self.retry_at)
            .chain(drain.filter(|_| !self.rib.is_gone()))
            .min()
    }

    /// How things are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let lanes = Side::BOTH.map(|side| (side, self.lane(side)));
        let lane = lanes.into_iter().max_by_key(|(_, lane)| lane.state);
        let opened = lane.filter(|(_, lane)| lane.state >= State::OpenSent);
        let waiting = if !self.wanted {
            Some(Waiting::Stopped)
        } else if self.may_open() {
            let active = self.ours.state == State::Active;
            let again = self.ours.timers.retry.filter(|_| active);
            self.retry_at.or(again).map(Waiting::Retry)
        } else {
            Some(Waiting::Bfd)
        };
        Snapshot {
            state: self.state(),
            since: self.account.since,
            waiting: waiting.filter(|_| self.state() <= State::Active),
            last_error: self.account.last_error.clone(),
            shutdown_text: self.account.shutdown_text.clone(),
            opened_by: opened.map(|(side, _)| side),
            local: opened
                .and_then(|(_, lane)| lane.local)
                .map(|local| local.session),
            negotiated: opened.and_then(|(_, lane)| lane.negotiated.clone()),
            draining: self.drain.as_ref().map(|drain| drain.until),
            wished: self.rib.wished(),
            sent: self.rib.told(),
            untold: self.rib.untold(),
            synchronized: self.rib.is_synchronized(),
            received: self.received.count(),
            received_default: self.received.defaults(),
            messages_sent: self.account.sent,
            messages_received: self.account.heard,
            established: self.account.established,
            malformed: self.account.malformed,
        }
    }

    fn state(&self) -> State {
        self.ours.state.max(self.theirs.state)
    }

    /// Nothing but time stands in the way of a session.
    const fn may_open(&self) -> bool {
        match (self.config.bfd, self.bfd) {
            (BfdMode::Strict, BfdState::Down) => false,
            (BfdMode::Strict, BfdState::Up | BfdState::AdminDown)
            | (BfdMode::Off | BfdMode::Watch, _) => true,
        }
    }

    /// What [`Stop`] says to the peer; none: nothing.
    fn farewell(stop: &Stop) -> Option<Notification> {
        Some(match stop {
            Stop::Shutdown(text) => Notification::shutdown(Cease::AdministrativeShutdown, text),
            Stop::Deconfigured => Notification::cease(Cease::PeerDeconfigured),
            Stop::Reset(text) => Notification::shutdown(Cease::AdministrativeReset, text),
            Stop::ConfigurationChange => Notification::cease(Cease::ConfigurationChange),
            Stop::OutOfResources => Notification::cease(Cease::OutOfResources),
            Stop::Restart => return None,
        })
    }
}

#[cfg(test)]
mod tests;
