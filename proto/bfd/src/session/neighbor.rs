//! What the neighbour last said of itself.

use std::time::Duration;

use crate::{Diagnostic, Packet, State};

/// The neighbour, or nothing while it is not heard (the initial values of RFC 5880 section 6.8.1).
#[derive(Debug, Clone, Default)]
pub(crate) struct Neighbor(Option<Said>);

#[derive(Debug, Clone, Copy)]
struct Said {
    discriminator: u32,
    state: State,
    diagnostic: Diagnostic,
    multiplier: u8,
    demand: bool,
    transmit: Duration,
    receive: Duration,
    echo: Duration,
}

impl Neighbor {
    pub(crate) const fn hear(&mut self, packet: &Packet<'_>) {
        self.0 = Some(Said {
            discriminator: packet.my_discriminator,
            state: packet.state,
            diagnostic: packet.diagnostic,
            multiplier: packet.multiplier,
            demand: packet.flags.demand,
            transmit: micros(packet.desired_transmit),
            receive: micros(packet.required_receive),
            echo: micros(packet.required_echo),
        });
    }

    /// Zero while it is not heard.
    pub(crate) fn discriminator(&self) -> u32 {
        self.0.map_or(0, |said| said.discriminator)
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.0.map(|said| said.state)
    }

    pub(crate) fn said(&self) -> Option<(State, Diagnostic)> {
        self.0.map(|said| (said.state, said.diagnostic))
    }

    /// At which interval it wishes to send, and how many may be missing.
    pub(crate) fn pace(&self) -> Option<(Duration, u8)> {
        self.0.map(|said| (said.transmit, said.multiplier))
    }

    /// The shortest interval it supports; zero also while it is not heard.
    pub(crate) fn receive(&self) -> Duration {
        self.0.map_or(Duration::ZERO, |said| said.receive)
    }

    /// It wants no periodic packets at all.
    pub(crate) fn wants_none(&self) -> bool {
        self.0.is_some_and(|said| said.receive.is_zero())
    }

    /// It is up and wants no periodic packets meanwhile (demand mode, RFC 5880 section 6.6).
    pub(crate) fn demands(&self) -> bool {
        self.0
            .is_some_and(|said| said.demand && said.state == State::Up)
    }

    /// The shortest interval of echo packets it loops back; none: it does not.
    pub(crate) fn echo(&self) -> Option<Duration> {
        let echo = self.0.map(|said| said.echo);
        echo.filter(|echo| !echo.is_zero())
    }
}

const fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros as u64)
}
