//! What is shown with each router, and who cannot do what.

use super::Kind;

/// A column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// IPv4 routes over IPv4.
    Ipv4,
    /// IPv6 routes over IPv6.
    Ipv6,
    /// IPv4 routes with next hops of IPv6 (RFC 8950).
    ExtendedNextHop,
    /// Routes of both families over one session of IPv4.
    DualStack,
    /// TCP MD5 (RFC 2385).
    Password,
    /// RFC 5082 over IPv4.
    TtlSecurity,
    /// RFC 5082 over IPv6.
    HopLimitSecurity,
    /// A router behind another hop.
    Multihop,
    /// The routes of a speaker that restarts are kept (RFC 4724).
    GracefulRestart,
    /// RFC 2918.
    RouteRefresh,
    /// The text of RFC 9003 reaches the operator there.
    ShutdownText,
    /// Standard, well-known, large and extended ones.
    Communities,
    /// RFC 5880 to 5883, and sessions that end by it (RFC 5882).
    Bfd,
    /// The router's operator switches one BFD session off.
    BfdSwitchedOff,
    /// BFD packets over several hops are sent with TTL 255.
    BfdTtl,
    /// The routes of a speaker that restarts are kept though BFD ends with it.
    BfdRestart,
    /// The router is killed and starts again.
    RouterRestart,
    /// The speaker is killed and starts again.
    SpeakerRestart,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Ipv4,
        Self::Ipv6,
        Self::ExtendedNextHop,
        Self::DualStack,
        Self::Password,
        Self::TtlSecurity,
        Self::HopLimitSecurity,
        Self::Multihop,
        Self::GracefulRestart,
        Self::RouteRefresh,
        Self::ShutdownText,
        Self::Communities,
        Self::Bfd,
        Self::BfdSwitchedOff,
        Self::BfdTtl,
        Self::BfdRestart,
        Self::RouterRestart,
        Self::SpeakerRestart,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::ExtendedNextHop => "extended next hop",
            Self::DualStack => "dual-stack",
            Self::Password => "MD5",
            Self::TtlSecurity => "GTSM over IPv4",
            Self::HopLimitSecurity => "GTSM over IPv6",
            Self::Multihop => "multihop",
            Self::GracefulRestart => "graceful restart",
            Self::RouteRefresh => "route refresh",
            Self::ShutdownText => "shutdown text",
            Self::Communities => "communities",
            Self::Bfd => "BFD",
            Self::BfdSwitchedOff => "BFD switched off there",
            Self::BfdTtl => "BFD over several hops with TTL 255",
            Self::BfdRestart => "graceful restart with BFD",
            Self::RouterRestart => "restart of the router",
            Self::SpeakerRestart => "restart of the speaker",
        }
    }
}

impl Kind {
    /// Why it cannot take part in something.
    pub fn cannot(self, feature: Feature) -> Option<&'static str> {
        match (self, feature) {
            (Self::Openbgpd, Feature::ExtendedNextHop) => {
                Some("OpenBGPD 7.7 does not have RFC 8950")
            }
            (Self::Openbgpd, Feature::Password) => {
                Some("OpenBGPD 7.7 sets no key for connections that it accepts on Linux")
            }
            (Self::Gobgp, Feature::RouteRefresh) => {
                Some("GoBGP 3.10 answers ROUTE-REFRESH and never sends one")
            }
            (Self::Exabgp, Feature::HopLimitSecurity) => {
                Some("ExaBGP 4.2 sets the TTL of IPv4 on sockets of IPv6 that listen")
            }
            (Self::Exabgp, Feature::ShutdownText) => {
                Some("ExaBGP 4.2 fails while it reads a text: it mixes octets and characters")
            }
            (Self::Gobgp, Feature::Bfd) => Some("GoBGP 3.10 has none"),
            (Self::Openbgpd, Feature::Bfd) => Some("OpenBGPD 7.7 has none"),
            (Self::Exabgp, Feature::Bfd) => Some("ExaBGP 4.2 has none"),
            (Self::Bird, Feature::BfdSwitchedOff) => Some("BIRD 2.0.12 has no command for it"),
            (Self::Bird, Feature::BfdRestart) => {
                Some("BIRD 2.0.12 drops the routes when BFD ends, whatever for")
            }
            (Self::Bird, Feature::BfdTtl) => Some("BIRD 2.0.12 sends TTL 64"),
            (Self::Exabgp, Feature::GracefulRestart) => Some("ExaBGP 4.2 keeps no routes"),
            _ => None,
        }
    }

    /// Whether it can.
    pub fn can(self, feature: Feature) -> bool {
        self.cannot(feature).is_none()
    }
}
