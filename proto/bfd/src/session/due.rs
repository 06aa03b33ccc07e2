//! What a session sends, how often, and when silence counts (RFC 5880 sections 6.8.4 and 6.8.7).

use std::time::Duration;

use super::echo::Echo;
use super::{Negotiated, Session};
use crate::{Flags, Packet, State, Time};

impl Session {
    pub(super) fn packet(&mut self, final_: bool) -> Vec<u8> {
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
    pub(super) fn waits(&self) -> bool {
        self.config.passive && self.neighbor.discriminator() == 0
    }

    /// Packets are sent in intervals (RFC 5880 section 6.8.7).
    pub(super) fn is_periodic(&self) -> bool {
        let demand = self.neighbor.demands() && self.state == State::Up && !self.timing.polls();
        !self.waits() && !self.neighbor.wants_none() && !demand
    }

    pub(super) fn transmit_interval(&self) -> Duration {
        self.timing.in_use().transmit.max(self.neighbor.receive())
    }

    pub(super) fn negotiated(&self) -> Option<Negotiated> {
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
    pub(super) fn silent_at(&self) -> Option<Time> {
        Some(self.heard_at? + self.negotiated()?.detection)
    }

    pub(super) fn echo_missing_at(&self) -> Option<Time> {
        self.echo.as_ref()?.deadline(self.config.multiplier)
    }
}

/// As the wire has it; [`Config::check`] keeps it in bounds.
fn micros(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}
