//! The echo function (RFC 5880 sections 6.4 and 6.8.8): packets that the neighbour's forwarding sends
//! back unread; and how many of the neighbour's go back where that is not left to forwarding.
//!
//! Not by the letter: echo packets that do not come back count as a failure only after one of them did.
//! Many a neighbour offers to loop packets back and does not.

use std::time::Duration;

use super::jitter::Jitter;
use crate::{Discard, Discriminator, Time};

/// Discriminator, number, and a word that only the sender knows.
const LENGTH: usize = 16;

#[derive(Debug, Clone)]
pub(crate) struct Echo {
    /// Between packets.
    interval: Duration,
    next_at: Time,
    /// Of the next packet.
    number: u32,
    /// Makes packets hard to guess.
    word: u64,
    /// When the last one came back, if one did, or the interval was shortened after that.
    back_at: Option<Time>,
}

impl Echo {
    pub(crate) const fn new(interval: Duration, word: u64, now: Time) -> Self {
        Self {
            interval,
            next_at: now,
            number: 0,
            word,
            back_at: None,
        }
    }

    pub(crate) const fn interval(&self) -> Duration {
        self.interval
    }

    /// What was in order by a longer interval is not late by the new one.
    pub(crate) fn set_interval(&mut self, interval: Duration, now: Time) {
        if interval < self.interval {
            self.next_at = self.next_at.min(now);
            self.back_at = self.back_at.map(|at| at.max(now));
        }
        self.interval = interval;
    }

    /// A packet came back: the path is watched by echo.
    pub(crate) const fn is_proven(&self) -> bool {
        self.back_at.is_some()
    }

    pub(crate) const fn next_at(&self) -> Time {
        self.next_at
    }

    /// When too many are missing.
    pub(crate) fn deadline(&self, multiplier: u8) -> Option<Time> {
        Some(self.back_at? + self.interval * u32::from(multiplier))
    }

    pub(crate) fn send(
        &mut self,
        session: Discriminator,
        multiplier: u8,
        jitter: &mut Jitter,
        now: Time,
    ) -> Vec<u8> {
        self.next_at = now + jitter.spread(self.interval, multiplier);
        let mut octets = Vec::with_capacity(LENGTH);
        octets.extend(session.get().to_be_bytes());
        octets.extend(self.number.to_be_bytes());
        octets.extend(self.seal(self.number).to_be_bytes());
        self.number = self.number.wrapping_add(1);
        octets
    }

    pub(crate) fn handle(
        &mut self,
        octets: &[u8],
        multiplier: u8,
        now: Time,
    ) -> Result<(), Discard> {
        let (words, []) = octets.as_chunks::<4>() else {
            return Err(Discard::Echo);
        };
        let [_session, number, high, low] = words else {
            return Err(Discard::Echo);
        };
        let number = u32::from_be_bytes(*number);
        let seal = u64::from(u32::from_be_bytes(*high)) << 32 | u64::from(u32::from_be_bytes(*low));
        let age = self.number.wrapping_sub(number);
        // What is older than would be waited for says nothing about the path.
        let fresh = (1..=u32::from(multiplier) * 2).contains(&age);
        if !fresh || seal != self.seal(number) {
            return Err(Discard::Echo);
        }
        self.back_at = Some(now);
        Ok(())
    }

    /// A word for each number that others cannot foretell.
    fn seal(&self, number: u32) -> u64 {
        Jitter::new(self.word ^ u64::from(number) << 16).draw()
    }
}

/// The neighbour's echo packets that are sent back: no more than it was told to send.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Returned {
    /// When the next one would come of a neighbour that never was early.
    next_at: Time,
}

impl Returned {
    /// One more goes back now, `interval` being what the neighbour was told (RFC 5880 section 6.8.9). It
    /// may take a quarter off, and those that waited for a busy reader come all at once.
    pub(crate) fn take(
        &mut self,
        interval: Duration,
        multiplier: u8,
        now: Time,
    ) -> Result<(), Discard> {
        let least = interval * 3 / 4;
        let at = self.next_at.max(now);
        // What is older than would be waited for is of no use to the neighbour.
        if at - now > least * u32::from(multiplier) * 2 {
            return Err(Discard::EchoOffer);
        }
        self.next_at = at + least;
        Ok(())
    }
}
