//! What a peer is made of: values only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use thiserror::Error;

use crate::{Asn, Families};

/// Which AS number the peer is to have (B26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one.
    Exactly(Asn),
    /// The one it is shown.
    Internal,
    /// Any but the one it is shown.
    External,
}

/// What the two ends are to each other (RFC 9234): our part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// We sell transit to the peer.
    Provider = 0,
    /// We are a route server, the peer is its client.
    RouteServer = 1,
    /// The peer is a route server.
    RouteServerClient = 2,
    /// We buy transit from the peer; what a cluster is to its routers.
    Customer = 3,
    /// Neither.
    Peer = 4,
}

/// Our role, and how much we insist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleConfig {
    /// Told to the peer.
    pub role: Role,
    /// A peer that tells no role is refused.
    pub strict: bool,
}

/// Graceful restart, restarting side (RFC 4724, 8538).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GracefulRestart {
    /// How long the peer keeps the routes after the session ended; at most 4 095 s, in whole seconds.
    pub restart_time: Duration,
}

/// How much BFD has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BfdMode {
    /// Nothing.
    #[default]
    Off,
    /// Down, after it was up, ends the session.
    Watch,
    /// As [`Self::Watch`], and without BFD there is no attempt to open one (B14).
    Strict,
}

/// Who opens connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Opening {
    /// We do; what the peer opens is refused.
    #[default]
    Active,
    /// Both may (RFC 4271 section 6.8).
    Both,
    /// The peer does.
    Passive,
}

/// One peer, as it is to be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The AS number this peer is shown, alone in the path: `localASN` where there is one (no-prepend,
    /// replace-as), else `myASN`.
    pub local_as: Asn,
    /// The peer's.
    pub remote_as: RemoteAs,
    /// BGP identifier, not 0.0.0.0 (RFC 6286).
    pub router_id: Ipv4Addr,
    /// Proposed hold time: zero (off) or at least 3 s, in whole seconds.
    pub hold_time: Duration,
    /// Between KEEPALIVEs; none: a third of the negotiated hold time, which is also the most.
    pub keepalive_time: Option<Duration>,
    /// Between attempts to connect (ConnectRetryTime).
    pub connect_time: Duration,
    /// Who opens connections.
    pub opening: Opening,
    /// Families that are proposed; not none.
    pub families: Families,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Messages above 4 096 octets are proposed (RFC 8654).
    pub extended_messages: bool,
    /// None: a peer flushes the routes when the session ends.
    pub graceful_restart: Option<GracefulRestart>,
    /// None: no role is told.
    pub role: Option<RoleConfig>,
    /// Looked at by [`crate::Peer::handle_bfd`].
    pub bfd: BfdMode,
    /// How many prefixes of a family the peer may send; they are counted and not kept. Memory for
    /// as many is used, at most.
    pub prefix_limit: u32,
    /// How long changes are gathered before they are sent (R5); at most 20 ms is sensible.
    pub gather: Duration,
}

impl Config {
    /// The defaults of the fields that a user may leave out.
    #[must_use]
    pub const fn new(local_as: Asn, remote_as: RemoteAs, router_id: Ipv4Addr) -> Self {
        Self {
            local_as,
            remote_as,
            router_id,
            hold_time: Duration::from_secs(90),
            keepalive_time: None,
            connect_time: Duration::from_secs(5),
            opening: Opening::Active,
            families: Families::both(),
            extended_next_hop: false,
            extended_messages: true,
            graceful_restart: None,
            role: None,
            bfd: BfdMode::Off,
            prefix_limit: 1000,
            gather: Duration::from_millis(20),
        }
    }

    /// # Errors
    /// What is wrong, as a sentence for the one who wrote it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let hold = self.hold_time;
        let whole = hold.subsec_nanos() == 0 && hold.as_secs() <= u64::from(u16::MAX);
        if self.local_as.0 == 0 || self.remote_as == RemoteAs::Exactly(Asn(0)) {
            return Err(ConfigError::AsZero);
        }
        if self.router_id.is_unspecified() {
            return Err(ConfigError::RouterId);
        }
        if !whole || matches!(hold.as_secs(), 1 | 2) {
            return Err(ConfigError::HoldTime);
        }
        if self.keepalive_time.is_some_and(|time| time.is_zero()) {
            return Err(ConfigError::KeepaliveTime);
        }
        if !(1..=65_535).contains(&self.connect_time.as_secs()) {
            return Err(ConfigError::ConnectTime);
        }
        if self.families.is_empty() {
            return Err(ConfigError::Families);
        }
        let too_long = |restart: GracefulRestart| restart.restart_time > Duration::from_secs(4095);
        if self.graceful_restart.is_some_and(too_long) {
            return Err(ConfigError::RestartTime);
        }
        if self.role.is_some() && self.is_internal() {
            return Err(ConfigError::Role);
        }
        Ok(())
    }

    /// The peer can only be of our own AS.
    fn is_internal(&self) -> bool {
        match self.remote_as {
            RemoteAs::Internal => true,
            RemoteAs::Exactly(asn) => asn == self.local_as,
            RemoteAs::External => false,
        }
    }
}

/// Whether a change from `old` to `new` alters what is said in an OPEN, or who may be the peer, so
/// that the session has to be opened anew. All else takes effect in place (R7).
#[must_use]
pub fn reopens(old: &Config, new: &Config) -> bool {
    let Config {
        local_as,
        remote_as,
        router_id,
        hold_time,
        keepalive_time: _,
        connect_time: _,
        opening: _,
        families,
        extended_next_hop,
        extended_messages,
        graceful_restart,
        role,
        bfd: _,
        prefix_limit: _,
        gather: _,
    } = old;
    (local_as, remote_as, router_id, hold_time)
        != (
            &new.local_as,
            &new.remote_as,
            &new.router_id,
            &new.hold_time,
        )
        || (families, extended_next_hop, extended_messages)
            != (
                &new.families,
                &new.extended_next_hop,
                &new.extended_messages,
            )
        || (graceful_restart, role) != (&new.graceful_restart, &new.role)
}

/// Why a peer cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// RFC 7607.
    #[error("AS 0 is nobody's: an AS number is from 1 to 4294967295")]
    AsZero,
    /// RFC 6286.
    #[error("the router ID must not be 0.0.0.0")]
    RouterId,
    /// RFC 4271 section 4.2.
    #[error("the hold time must be 0 or from 3 to 65535 whole seconds")]
    HoldTime,
    /// It would be sent without end.
    #[error("the keepalive time must be longer than 0")]
    KeepaliveTime,
    /// As MetalLB has it.
    #[error("the connect time must be from 1 to 65535 seconds")]
    ConnectTime,
    /// There would be nothing to say.
    #[error("at least one address family is needed")]
    Families,
    /// Twelve bits (RFC 4724).
    #[error("the restart time must be at most 4095 seconds")]
    RestartTime,
    /// RFC 9234 section 4.
    #[error("a role is for external peers")]
    Role,
}

/// The addresses of this node that a connection gives next hops by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The local address of the connection itself.
    pub session: IpAddr,
    /// Next hop of IPv4 routes where the connection is not IPv4: an address of the same interface.
    pub ipv4: Option<Ipv4Addr>,
    /// Next hop of IPv6 routes where the connection is not IPv6, or is link-local.
    pub ipv6: Option<Ipv6Addr>,
    /// Told beside a global next hop; only for a peer on the same link (RFC 2545 section 3).
    pub link_local: Option<Ipv6Addr>,
}

impl Local {
    /// No address but that of the connection is known.
    #[must_use]
    pub const fn of(session: IpAddr) -> Self {
        Self {
            session,
            ipv4: None,
            ipv6: None,
            link_local: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let router_id = Ipv4Addr::new(192, 0, 2, 1);
        Config::new(Asn(64_512), RemoteAs::Exactly(Asn(64_513)), router_id)
    }

    fn with(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = config();
        change(&mut config);
        config
    }

    #[test]
    fn a_configuration_is_refused_with_a_reason() {
        let secs = Duration::from_secs;
        assert_eq!(config().check(), Ok(()));
        assert_eq!(with(|c| c.hold_time = secs(0)).check(), Ok(()));
        assert_eq!(with(|c| c.hold_time = secs(3)).check(), Ok(()));
        let restart = |time| {
            Some(GracefulRestart {
                restart_time: secs(time),
            })
        };
        for (config, error) in [
            (with(|c| c.local_as = Asn(0)), ConfigError::AsZero),
            (
                with(|c| c.remote_as = RemoteAs::Exactly(Asn(0))),
                ConfigError::AsZero,
            ),
            (
                with(|c| c.router_id = Ipv4Addr::UNSPECIFIED),
                ConfigError::RouterId,
            ),
            (with(|c| c.hold_time = secs(1)), ConfigError::HoldTime),
            (with(|c| c.hold_time = secs(2)), ConfigError::HoldTime),
            (with(|c| c.hold_time = secs(65_536)), ConfigError::HoldTime),
            (
                with(|c| c.hold_time = Duration::from_millis(3500)),
                ConfigError::HoldTime,
            ),
            (
                with(|c| c.keepalive_time = Some(secs(0))),
                ConfigError::KeepaliveTime,
            ),
            (with(|c| c.connect_time = secs(0)), ConfigError::ConnectTime),
            (
                with(|c| c.connect_time = secs(65_536)),
                ConfigError::ConnectTime,
            ),
            (
                with(|c| c.families = Families::default()),
                ConfigError::Families,
            ),
            (
                with(|c| c.graceful_restart = restart(4096)),
                ConfigError::RestartTime,
            ),
            (
                with(|c| {
                    c.remote_as = RemoteAs::Internal;
                    c.role = Some(RoleConfig {
                        role: Role::Customer,
                        strict: false,
                    });
                }),
                ConfigError::Role,
            ),
        ] {
            assert_eq!(config.check(), Err(error));
        }
    }

    #[test]
    fn only_what_an_open_says_opens_a_session_anew() {
        let secs = Duration::from_secs;
        for changed in [
            with(|c| c.local_as = Asn(1)),
            with(|c| c.remote_as = RemoteAs::External),
            with(|c| c.router_id = Ipv4Addr::new(192, 0, 2, 2)),
            with(|c| c.hold_time = secs(30)),
            with(|c| c.families = Families::only(crate::Family::Ipv4)),
            with(|c| c.extended_next_hop = true),
            with(|c| c.extended_messages = false),
            with(|c| {
                c.graceful_restart = Some(GracefulRestart {
                    restart_time: secs(120),
                })
            }),
            with(|c| {
                c.role = Some(RoleConfig {
                    role: Role::Customer,
                    strict: false,
                })
            }),
        ] {
            assert!(reopens(&config(), &changed), "{changed:?}");
        }
        for unchanged in [
            config(),
            with(|c| c.keepalive_time = Some(secs(1))),
            with(|c| c.connect_time = secs(1)),
            with(|c| c.opening = Opening::Both),
            with(|c| c.bfd = BfdMode::Strict),
            with(|c| c.prefix_limit = 1),
            with(|c| c.gather = secs(0)),
        ] {
            assert!(!reopens(&config(), &unchanged), "{unchanged:?}");
        }
    }
}
