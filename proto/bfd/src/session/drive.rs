//! What a packet, a state and a configuration make of a session (RFC 5880 sections 6.8.3 to 6.8.6).
//!
//! Not here: when something is due (`due`), and what the door tells of it all.

use super::echo::Echo;
use super::timing::Pair;
use super::{Cause, Event, Session, fsm};
use crate::{Config, Diagnostic, Discard, Hops, Packet, SLOW, State, TTL, Time};

impl Session {
    /// RFC 5880 section 6.8.6, in its order; lengths and numbers are checked by [`Packet::decode`].
    pub(super) fn hear(&mut self, datagram: &[u8], ttl: u8, now: Time) -> Result<(), Discard> {
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
        // A neighbour that began anew is to know at once that it is heard.
        self.news |= self.neighbor.discriminator() != packet.my_discriminator;
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

    pub(super) fn change(&mut self, state: State, diagnostic: Diagnostic, cause: Cause, now: Time) {
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
    pub(super) fn tend(&mut self, now: Time) {
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
            Some(echo) => echo.set_interval(interval, now),
            None => self.echo = Some(Echo::new(interval, self.jitter.draw(), now)),
        }
    }
}

/// What is offered in a state: slow while it is not Up (RFC 5880 section 6.8.3), and slow control
/// packets where echo watches the path.
pub(super) fn wanted(config: &Config, state: State, echo: bool) -> Pair {
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
