//! The door: one watched path to a neighbour.
//!
//! The shell tells what happens by `handle_…`, sends what [`Session::poll_transmit`] gives, reads
//! [`Session::poll_event`], and sleeps until [`Session::poll_timeout`] or the next thing to tell. Early
//! or repeated calls do nothing.

mod echo;
mod fsm;
mod jitter;
mod neighbor;
mod terms;
mod timing;

use std::collections::VecDeque;
use std::time::Duration;

use echo::Echo;
use jitter::Jitter;
use neighbor::Neighbor;
pub use terms::{Cause, Event, Negotiated, Packets, Path, Snapshot, Transmit};
use timing::{Pair, Timing};

use crate::auth::Sequence;
use crate::{
    Config, ConfigError, Diagnostic, Discard, Discriminator, Flags, Hops, Packet, SLOW, State, TTL,
    Time,
};

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

    /// Lets due timers expire.
    pub fn handle_timeout(&mut self, now: Time) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
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
        if due(self.echo_missing_at()) {
            self.change(State::Down, Diagnostic::ECHO_FAILED, Cause::EchoFailed, now);
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

    /// RFC 5880 section 6.8.6, in its order; lengths and numbers are checked by [`Packet::decode`].
    fn hear(&mut self, datagram: &[u8], ttl: u8, now: Time) -> Result<(), Discard> {
        let packet = Packet::decode(datagram)?;
        let least = match self.config.hops {
            Hops::Single => TTL,
            Hops::Multi { minimum_ttl } => minimum_ttl,
        };
        if ttl < least {
            return Err(Discard::Ttl);
        }
        match packet.your_discriminator {
            0 if packet.claims_too_much() => return Err(Discard::State),
            0 => {}
            yours if yours != self.discriminator.get() => return Err(Discard::UnknownSession),
            _ => {}
        }
        let authentication = self.config.authentication.as_ref();
        self.sequence.check(&packet, datagram, authentication)?;
        self.neighbor.hear(&packet);
        self.heard_at = Some(now);
        self.stale_at = None;
        if packet.flags.final_ {
            self.timing.handle_final();
        }
        if self.state == State::AdminDown {
            self.tend(now);
            return Err(Discard::AdminDown);
        }
        let next = fsm::next(self.state, packet.state);
        let (diagnostic, cause) = match (next, packet.state) {
            (State::Down, State::AdminDown) => {
                (Diagnostic::NEIGHBOR_DOWN, Cause::NeighborAdminDown)
            }
            (State::Down, _) => (
                Diagnostic::NEIGHBOR_DOWN,
                Cause::Neighbor(packet.diagnostic),
            ),
            (State::Up | State::Init | State::AdminDown, _) => {
                (self.diagnostic, Cause::Neighbor(packet.diagnostic))
            }
        };
        if next != self.state {
            self.change(next, diagnostic, cause, now);
        }
        self.asked |= packet.flags.poll;
        self.tend(now);
        Ok(())
    }

    fn change(&mut self, state: State, diagnostic: Diagnostic, cause: Cause, now: Time) {
        if self.state == State::Up {
            self.downs += 1;
            self.events.push_back(Event::Down(cause));
        }
        if state == State::Up {
            self.ups += 1;
            self.events.push_back(Event::Up);
        }
        self.state = state;
        self.since = now;
        self.diagnostic = if state == State::Up {
            Diagnostic::NONE
        } else {
            diagnostic
        };
        self.news = true;
        self.echo = None;
        let wanted = wanted(&self.config, state, false);
        if state == State::Up {
            self.timing.offer(wanted);
            self.timing.poll();
        } else {
            self.timing.reset(wanted);
        }
    }

    /// Brings echo, intervals and the time of the next packet in line with all the rest.
    fn tend(&mut self, now: Time) {
        self.tend_echo(now);
        let proven = self.echo.as_ref().is_some_and(Echo::is_proven);
        let wanted = wanted(&self.config, self.state, proven);
        if self.state == State::Up {
            self.timing.offer(wanted);
        } else if self.timing.offered() != wanted {
            self.timing.reset(wanted);
        }
        let interval = self.transmit_interval();
        if let Some((sent_at, by)) = self.sent_at
            && by != interval
        {
            self.sent_at = Some((sent_at, interval));
            self.next_at = sent_at + self.jitter.spread(interval, self.config.multiplier);
        }
        let negotiated = self.negotiated().filter(|_| self.state == State::Up);
        if negotiated != self.told {
            self.told = negotiated;
            self.events.extend(negotiated.map(Event::Negotiated));
        }
    }

    /// Echo runs while the session is up and both ends want it.
    fn tend_echo(&mut self, now: Time) {
        let theirs = self.neighbor.echo();
        let interval = match (self.config.echo, theirs, self.state) {
            (Some(ours), Some(theirs), State::Up) => ours.max(theirs),
            (_, _, State::AdminDown | State::Down | State::Init | State::Up) => {
                self.echo = None;
                return;
            }
        };
        match &mut self.echo {
            Some(echo) => echo.set_interval(interval),
            None => self.echo = Some(Echo::new(interval, self.jitter.draw(), now)),
        }
    }

    fn packet(&mut self, final_: bool) -> Vec<u8> {
        let offered = self.timing.offered();
        let packet = Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            flags: Flags {
                poll: !final_ && self.timing.polls(),
                final_,
                independent: self.config.independent,
                demand: false,
            },
            multiplier: self.config.multiplier,
            my_discriminator: self.discriminator.get(),
            your_discriminator: self.neighbor.discriminator(),
            desired_transmit: micros(offered.transmit),
            required_receive: micros(offered.receive),
            required_echo: self.config.echo.map_or(0, micros),
            authentication: None,
        };
        self.packets.sent += 1;
        let authentication = self.config.authentication.as_ref();
        self.sequence.seal(&packet, authentication)
    }

    /// The neighbour is to speak first (RFC 5880 section 6.1).
    fn waits(&self) -> bool {
        self.config.passive && self.neighbor.discriminator() == 0
    }

    /// Packets are sent in intervals (RFC 5880 section 6.8.7).
    fn is_periodic(&self) -> bool {
        let demand = self.neighbor.demands() && self.state == State::Up && !self.timing.polls();
        !self.waits() && !self.neighbor.wants_none() && !demand
    }

    fn transmit_interval(&self) -> Duration {
        self.timing.in_use().transmit.max(self.neighbor.receive())
    }

    fn negotiated(&self) -> Option<Negotiated> {
        let (theirs, multiplier) = self.neighbor.pace()?;
        let receive = self.timing.in_use().receive.max(theirs);
        let echo = self.echo.as_ref().filter(|echo| echo.is_proven());
        Some(Negotiated {
            transmit: self.transmit_interval(),
            receive,
            detection: receive * u32::from(multiplier),
            echo: echo.map(Echo::interval),
        })
    }

    /// When the neighbour counts as silent (RFC 5880 section 6.8.4).
    fn silent_at(&self) -> Option<Time> {
        Some(self.heard_at? + self.negotiated()?.detection)
    }

    fn echo_missing_at(&self) -> Option<Time> {
        self.echo.as_ref()?.deadline(self.config.multiplier)
    }
}

/// What is offered in a state: slow while it is not Up (RFC 5880 section 6.8.3), and slow control
/// packets where echo watches the path.
fn wanted(config: &Config, state: State, echo: bool) -> Pair {
    Pair {
        transmit: if state == State::Up {
            config.transmit
        } else {
            config.transmit.max(SLOW)
        },
        receive: if echo {
            config.receive.max(SLOW)
        } else {
            config.receive
        },
    }
}

/// As the wire has it; [`Config::check`] keeps it in bounds.
fn micros(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
