//! Which session a packet is for (RFC 5880 section 6.3, RFC 5881 section 3, RFC 5883 section 4).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{Discard, Discriminator, Packet};

/// Where packets of a neighbour come from while it does not know our discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The neighbour's address, not mapped into IPv6.
    pub address: IpAddr,
    /// Index of the interface they arrive on; none: on any.
    pub interface: Option<u32>,
    /// They come to [`crate::MULTIHOP_PORT`].
    pub multihop: bool,
}

/// Finds sessions by discriminator, and by origin as long as the neighbour knows none.
#[derive(Debug, Clone, Default)]
pub struct Demultiplexer {
    origins: BTreeMap<Origin, Discriminator>,
    sessions: BTreeMap<Discriminator, Origin>,
}

impl Demultiplexer {
    /// Packets of `origin` are for this session from now on.
    pub fn insert(&mut self, origin: Origin, session: Discriminator) {
        self.remove(session);
        if let Some(before) = self.origins.insert(origin, session) {
            self.sessions.remove(&before);
        }
        self.sessions.insert(session, origin);
    }

    /// The session is gone.
    pub fn remove(&mut self, session: Discriminator) {
        if let Some(origin) = self.sessions.remove(&session) {
            self.origins.remove(&origin);
        }
    }

    /// Whose packet this is, that came from `origin` with the interface it arrived on.
    ///
    /// # Errors
    /// Why it is nobody's: it is malformed, came to the other port, or is of an unknown session.
    pub fn select(&self, datagram: &[u8], origin: Origin) -> Result<Discriminator, Discard> {
        let packet = Packet::decode(datagram)?;
        if let Some(yours) = Discriminator::new(packet.your_discriminator) {
            let known = self.sessions.get(&yours).ok_or(Discard::UnknownSession)?;
            return if known.multihop == origin.multihop {
                Ok(yours)
            } else {
                Err(Discard::Port)
            };
        }
        if packet.claims_too_much() {
            return Err(Discard::State);
        }
        let anywhere = Origin {
            interface: None,
            ..origin
        };
        let here = self.origins.get(&origin);
        let session = here.or_else(|| self.origins.get(&anywhere));
        session.copied().ok_or(Discard::UnknownSession)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Diagnostic, Flags, State};

    fn number(number: u32) -> Discriminator {
        Discriminator::new(number).unwrap()
    }

    fn origin(address: &str, interface: u32, multihop: bool) -> Origin {
        Origin {
            address: address.parse().unwrap(),
            interface: (interface != 0).then_some(interface),
            multihop,
        }
    }

    fn packet(your_discriminator: u32, state: State) -> Vec<u8> {
        Packet {
            diagnostic: Diagnostic::NONE,
            state,
            flags: Flags::default(),
            multiplier: 3,
            my_discriminator: 99,
            your_discriminator,
            desired_transmit: 1_000_000,
            required_receive: 1_000_000,
            required_echo: 0,
            authentication: None,
        }
        .encode()
    }

    /// RFC 5880 section 6.3: the discriminator alone, from wherever.
    #[test]
    fn a_packet_with_our_discriminator_is_found_by_it_alone() {
        let mut all = Demultiplexer::default();
        all.insert(origin("192.0.2.1", 0, false), number(7));
        let elsewhere = origin("198.51.100.1", 3, false);
        assert_eq!(all.select(&packet(7, State::Up), elsewhere), Ok(number(7)));
        let unknown = all.select(&packet(8, State::Up), origin("192.0.2.1", 3, false));
        assert_eq!(unknown, Err(Discard::UnknownSession));
        let far = origin("192.0.2.1", 3, true);
        assert_eq!(all.select(&packet(7, State::Up), far), Err(Discard::Port));
    }

    /// RFC 5881 section 3: by interface and source otherwise.
    #[test]
    fn a_packet_without_is_found_by_where_it_comes_from() {
        let mut all = Demultiplexer::default();
        all.insert(origin("fe80::1", 3, false), number(1));
        all.insert(origin("fe80::1", 4, false), number(2));
        all.insert(origin("192.0.2.1", 0, false), number(3));
        all.insert(origin("192.0.2.1", 0, true), number(4));
        let down = packet(0, State::Down);
        let cases = [
            (origin("fe80::1", 3, false), Ok(number(1))),
            (origin("fe80::1", 4, false), Ok(number(2))),
            (origin("fe80::1", 5, false), Err(Discard::UnknownSession)),
            (origin("192.0.2.1", 9, false), Ok(number(3))),
            (origin("192.0.2.1", 9, true), Ok(number(4))),
            (origin("192.0.2.2", 9, true), Err(Discard::UnknownSession)),
        ];
        for (from, session) in cases {
            assert_eq!(all.select(&down, from), session, "{from:?}");
        }
    }

    /// RFC 5880 section 6.8.6.
    #[test]
    fn who_knows_no_discriminator_of_ours_cannot_be_up() {
        let mut all = Demultiplexer::default();
        let from = origin("192.0.2.1", 0, false);
        all.insert(from, number(7));
        for state in State::ALL {
            let fits = matches!(state, State::Down | State::AdminDown);
            let expected = if fits {
                Ok(number(7))
            } else {
                Err(Discard::State)
            };
            assert_eq!(all.select(&packet(0, state), from), expected, "{state}");
        }
    }

    #[test]
    fn a_session_that_is_gone_or_replaced_gets_nothing() {
        let mut all = Demultiplexer::default();
        let (one, other) = (origin("192.0.2.1", 0, false), origin("192.0.2.2", 0, false));
        all.insert(one, number(7));
        all.insert(other, number(7));
        let gone = Err(Discard::UnknownSession);
        let down = packet(0, State::Down);
        assert_eq!(all.select(&down, one), gone);
        all.insert(other, number(8));
        assert_eq!(all.select(&down, other), Ok(number(8)));
        assert_eq!(all.select(&packet(7, State::Up), other), gone);
        all.remove(number(8));
        assert_eq!(all.select(&down, other), gone);
        assert_eq!(all.select(&packet(8, State::Up), other), gone);
    }
}
