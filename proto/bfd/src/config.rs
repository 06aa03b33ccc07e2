//! What one session is to be like.

use std::time::Duration;

use crate::Authentication;

/// The shortest interval of packets while a session is not up (RFC 5880 section 6.8.3).
pub const SLOW: Duration = Duration::from_secs(1);

/// How far away the neighbour may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hops {
    /// On the link (RFC 5881): packets arrive with a TTL of 255.
    Single,
    /// Anywhere (RFC 5883).
    Multi {
        /// Packets with a lower TTL are dropped.
        minimum_ttl: u8,
    },
}

/// What one session is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How far away the neighbour may be.
    pub hops: Hops,
    /// Shortest interval of sent packets that is wished for.
    pub transmit: Duration,
    /// Shortest interval of received packets that is supported.
    pub receive: Duration,
    /// After how many intervals without a packet the neighbour is to give this end up.
    pub multiplier: u8,
    /// Say nothing before the neighbour does (RFC 5880 section 6.1).
    pub passive: bool,
    /// Interval of echo packets, sent and looped back; none: no echo either way.
    pub echo: Option<Duration>,
    /// How packets are proved to be genuine.
    pub authentication: Option<Authentication>,
    /// The session goes on while the control plane restarts (the C bit).
    pub independent: bool,
}

impl Default for Config {
    /// 300 ms and 3, as MetalLB and FRR have it.
    fn default() -> Self {
        Self {
            hops: Hops::Single,
            transmit: Duration::from_millis(300),
            receive: Duration::from_millis(300),
            multiplier: 3,
            passive: false,
            echo: None,
            authentication: None,
            independent: false,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The wire has 32 bits of microseconds.
    #[error("an interval is at least 1 microsecond and at most 4294 seconds")]
    Interval,
    /// Never a packet would be expected.
    #[error("the detection multiplier is at least 1")]
    Multiplier,
    /// RFC 5883 section 3.
    #[error("echo packets are for neighbours on the link, not for multihop sessions")]
    EchoOverHops,
    /// RFC 5880 sections 4.2 to 4.4.
    #[error("a key has 1 to 16 octets, for SHA-1 up to 20")]
    Key,
}

impl Config {
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fits = |interval: &Duration| {
            let micros = interval.as_micros();
            micros > 0 && micros <= u128::from(u32::MAX)
        };
        let intervals = [Some(self.transmit), Some(self.receive), self.echo];
        if !intervals.iter().flatten().all(fits) {
            return Err(ConfigError::Interval);
        }
        if self.multiplier == 0 {
            return Err(ConfigError::Multiplier);
        }
        if self.echo.is_some() && self.hops != Hops::Single {
            return Err(ConfigError::EchoOverHops);
        }
        match &self.authentication {
            Some(authentication) if !authentication.has_fitting_key() => Err(ConfigError::Key),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method;

    fn fault(change: impl FnOnce(&mut Config)) -> Option<ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.check().err()
    }

    fn key(method: Method, key: &[u8]) -> Option<Authentication> {
        let key = key.to_vec();
        Some(Authentication { method, id: 1, key })
    }

    #[test]
    fn what_the_wire_cannot_carry_is_refused() {
        assert_eq!(fault(|_| {}), None);
        let longest = Duration::from_micros(u32::MAX.into());
        assert_eq!(fault(|c| c.transmit = longest), None);
        let interval = Some(ConfigError::Interval);
        assert_eq!(fault(|c| c.transmit = Duration::ZERO), interval);
        assert_eq!(fault(|c| c.receive = Duration::from_nanos(999)), interval);
        let beyond = longest + Duration::from_micros(1);
        assert_eq!(fault(|c| c.receive = beyond), interval);
        assert_eq!(fault(|c| c.echo = Some(Duration::ZERO)), interval);
        assert_eq!(fault(|c| c.multiplier = 0), Some(ConfigError::Multiplier));
    }

    /// RFC 5883 section 3.
    #[test]
    fn there_is_no_echo_over_several_hops() {
        let over_hops = |c: &mut Config| {
            c.hops = Hops::Multi { minimum_ttl: 250 };
            c.echo = Some(Duration::from_millis(50));
        };
        assert_eq!(fault(over_hops), Some(ConfigError::EchoOverHops));
    }

    /// RFC 5880 sections 4.2 to 4.4.
    #[test]
    fn keys_have_the_lengths_of_their_method() {
        let none = Some(ConfigError::Key);
        for method in Method::ALL {
            let longest = if method.is_sha1() { 20 } else { 16 };
            let with = |length: usize| fault(|c| c.authentication = key(method, &vec![7; length]));
            assert_eq!(with(0), none);
            assert_eq!(with(1), None);
            assert_eq!(with(longest), None);
            assert_eq!(with(longest + 1), none);
        }
    }
}
