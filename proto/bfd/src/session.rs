//! The door: one watched path to a neighbour.
//!
//! The shell tells what happens by `handle_…`, sends what [`Session::poll_transmit`] gives, reads
//! [`Session::poll_event`], and sleeps until [`Session::poll_timeout`] or the next thing to tell. Early
//! or repeated calls do nothing.

mod drive;
mod due;
mod echo;
mod fsm;
mod jitter;
mod neighbor;
mod terms;
mod timing;

use std::collections::VecDeque;
use std::time::Duration;

use drive::wanted;
use echo::{Echo, Returned};
use jitter::Jitter;
use neighbor::Neighbor;
pub use terms::{Cause, Event, Negotiated, Packets, Path, Snapshot, Transmit};
use timing::Timing;

use crate::auth::Sequence;
use crate::{Config, ConfigError, Diagnostic, Discard, Discriminator, State, TTL, Time};

/// A watched path, and the neighbour at its other end.
#[derive(Debug)]
pub struct Session {
    config: Config,
    discriminator: Discriminator,
    state: State,
    since: Time,
    diagnostic: Diagnostic,
    neighbor: Neighbor,
    timing: Timing,
    jitter: Jitter,
    sequence: Sequence,
    echo: Option<Echo>,
    returned: Returned,
    /// When the last packet that counted was received.
    heard_at: Option<Time>,
    /// When the neighbour's sequence numbers are forgotten, once it is silent.
    stale_at: Option<Time>,
    /// When the last packet was sent, and the interval the next was fixed by.
    sent_at: Option<(Time, Duration)>,
    /// When the next periodic packet is due.
    next_at: Time,
    /// The last packet sent says something else than the next would.
    news: bool,
    /// P was received, F is to be sent.
    asked: bool,
    /// What was last told as negotiated.
    told: Option<Negotiated>,
    packets: Packets,
    ups: u64,
    downs: u64,
    events: VecDeque<Event>,
}

impl Session {
    /// Begins to watch at once. `discriminator` is unique on this node and better not foreseeable;
    /// `seed` makes the times of this session differ from those of others.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(
        config: Config,
        discriminator: Discriminator,
        seed: u64,
        now: Time,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let mut jitter = Jitter::new(seed);
        let first = jitter.draw() >> 32;
        Ok(Self {
            timing: Timing::new(wanted(&config, State::Down, false)),
            sequence: Sequence::new(u32::try_from(first).unwrap_or_default()),
            config,
            discriminator,
            state: State::Down,
            since: now,
            diagnostic: Diagnostic::NONE,
            neighbor: Neighbor::default(),
            jitter,
            echo: None,
            returned: Returned::default(),
            heard_at: None,
            stale_at: None,
            sent_at: None,
            next_at: now,
            news: false,
            asked: false,
            told: None,
            packets: Packets::default(),
            ups: 0,
            downs: 0,
            events: VecDeque::new(),
        })
    }

    /// Watches by this configuration from now on. A session that is up stays up: the neighbour is told
    /// by a poll sequence, and what would make either end give up too early waits for its answer.
    ///
    /// # Errors
    /// What is wrong with the configuration; the old one stays.
    pub fn set_config(&mut self, config: Config, now: Time) -> Result<(), ConfigError> {
        config.check()?;
        if config != self.config {
            if config.authentication != self.config.authentication {
                self.sequence.forget();
            }
            if config.echo != self.config.echo {
                self.returned = Returned::default();
            }
            self.config = config;
            self.news = true;
            self.tend(now);
        }
        Ok(())
    }

    /// What is configured.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Its number on this node.
    #[must_use]
    pub const fn discriminator(&self) -> Discriminator {
        self.discriminator
    }

    /// Switches this end off and tells the neighbour, for whom that is no failure (RFC 5880 section
    /// 6.8.16, RFC 5882 section 3.2). The neighbour knows when [`Self::is_heeded`] says so.
    pub fn admin_down(&mut self, now: Time) {
        if self.state != State::AdminDown {
            self.change(
                State::AdminDown,
                Diagnostic::ADMIN_DOWN,
                Cause::AdminDown,
                now,
            );
            self.tend(now);
        }
    }

    /// Ends [`Self::admin_down`].
    pub fn admin_up(&mut self, now: Time) {
        if self.state == State::AdminDown {
            self.change(State::Down, self.diagnostic, Cause::AdminDown, now);
            self.tend(now);
        }
    }

    /// The neighbour does not take this end for up.
    #[must_use]
    pub fn is_heeded(&self) -> bool {
        self.neighbor.state() != Some(State::Up)
    }

    /// The neighbour sent this datagram, which arrived with that TTL or hop limit.
    ///
    /// # Errors
    /// Why it was dropped; the session is unchanged.
    pub fn handle_packet(&mut self, datagram: &[u8], ttl: u8, now: Time) -> Result<(), Discard> {
        let outcome = self.hear(datagram, ttl, now);
        let count = match outcome {
            Ok(()) => &mut self.packets.received,
            Err(_) => &mut self.packets.discarded,
        };
        *count += 1;
        outcome
    }

    /// An echo packet came back.
    ///
    /// # Errors
    /// It is not one of ours that is waited for.
    pub fn handle_echo(&mut self, payload: &[u8], now: Time) -> Result<(), Discard> {
        let echo = self.echo.as_mut().ok_or(Discard::Echo)?;
        echo.handle(payload, self.config.multiplier, now)?;
        self.packets.echo_received += 1;
        self.tend(now);
        Ok(())
    }

    /// An echo packet of the neighbour arrived with that TTL or hop limit at this node instead of being
    /// forwarded by it. It is to be sent back as it is, one hop less: that is what was offered.
    ///
    /// # Errors
    /// Why it is not: it was forwarded before, the session is not up, no echo is offered, or not so many.
    pub fn loop_back(&mut self, ttl: u8, now: Time) -> Result<(), Discard> {
        if ttl != TTL {
            return Err(Discard::Ttl);
        }
        if self.state != State::Up {
            return Err(Discard::State);
        }
        let interval = self.config.echo.ok_or(Discard::EchoOffer)?;
        self.returned.take(interval, self.config.multiplier, now)
    }

    /// Lets due timers expire.
    pub fn handle_timeout(&mut self, now: Time) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        // Echo first: with it ends the patience for slow control packets. Silence explains missing echo.
        if due(self.echo_missing_at()) && !due(self.silent_at()) {
            self.change(State::Down, Diagnostic::ECHO_FAILED, Cause::EchoFailed, now);
        }
        if due(self.silent_at()) {
            // RFC 5880 section 6.8.1: twice the detection time.
            let detection = self.negotiated().map(|negotiated| negotiated.detection);
            self.stale_at = self.silent_at().zip(detection).map(|(at, more)| at + more);
            if matches!(self.state, State::Init | State::Up) {
                self.change(State::Down, Diagnostic::EXPIRED, Cause::Expired, now);
            }
            self.neighbor = Neighbor::default();
            self.heard_at = None;
        }
        if due(self.stale_at) {
            self.sequence.forget();
            self.stale_at = None;
        }
        self.tend(now);
    }

    /// The next packet to send.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit> {
        if std::mem::take(&mut self.asked) {
            return Some(Transmit::Control(self.packet(true)));
        }
        let periodic = self.is_periodic() && self.next_at <= now;
        if periodic || (self.news && !self.waits()) {
            let octets = self.packet(false);
            self.timing.handle_sent();
            let interval = self.transmit_interval();
            self.sent_at = Some((now, interval));
            self.next_at = now + self.jitter.spread(interval, self.config.multiplier);
            self.news = false;
            return Some(Transmit::Control(octets));
        }
        let echo = self.echo.as_mut().filter(|echo| echo.next_at() <= now)?;
        self.packets.echo_sent += 1;
        let multiplier = self.config.multiplier;
        let octets = echo.send(self.discriminator, multiplier, &mut self.jitter, now);
        Some(Transmit::Echo(octets))
    }

    /// The next thing worth telling.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] and [`Self::poll_transmit`] have something to do next, if ever.
    /// Meant to be called after `poll_transmit` yielded nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let send = self.is_periodic().then_some(self.next_at);
        let echo = self.echo.as_ref().map(Echo::next_at);
        let deadlines = [self.silent_at(), self.echo_missing_at(), self.stale_at];
        deadlines.into_iter().chain([send, echo]).flatten().min()
    }

    /// What BFD says of the path.
    #[must_use]
    pub fn path(&self) -> Path {
        match (self.state, self.neighbor.state()) {
            (State::Up, _) => Path::Up,
            (State::AdminDown, _) | (State::Down, Some(State::AdminDown)) => Path::AdminDown,
            (State::Down | State::Init, _) => Path::Down,
        }
    }

    /// How things are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.state,
            since: self.since,
            diagnostic: self.diagnostic,
            neighbor: self.neighbor.said(),
            negotiated: self.negotiated(),
            polls: self.timing.polls(),
            packets: self.packets,
            ups: self.ups,
            downs: self.downs,
        }
    }
}

#[cfg(test)]
mod tests;
