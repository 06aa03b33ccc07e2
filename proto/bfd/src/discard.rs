//! Why a packet is dropped: one word for each condition of RFC 5880 section 6.8.6, 5881 and 5883.

use std::fmt;

/// Why a packet counts as not received. The session is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// Its TTL or hop limit says that it came from further away than the session allows.
    Ttl,
    /// It came to the port of the other kind of session.
    Port,
    /// Version other than 1.
    Version,
    /// Its length is less than its sections need, or more than the datagram holds.
    Length,
    /// Detection multiplier zero.
    Multiplier,
    /// The multipoint bit is set.
    Multipoint,
    /// My Discriminator is zero.
    NoDiscriminator,
    /// Nobody here has that discriminator, or watches that neighbour.
    UnknownSession,
    /// No discriminator of ours, and yet the state of one that knows it.
    State,
    /// Its authentication is missing, of another kind or not asked for.
    AuthenticationKind,
    /// It has the wrong password or digest, or a key that is not known.
    AuthenticationKey,
    /// Its sequence number was seen before, or is too far ahead.
    AuthenticationSequence,
    /// This end is switched off: only the neighbour's state was noted.
    AdminDown,
    /// An echo that this session did not send, or no longer waits for.
    Echo,
    /// An echo of the neighbour beyond what it was offered: none, or not as often.
    EchoOffer,
}

impl Discard {
    /// All of them, for metrics.
    pub const ALL: [Self; 15] = [
        Self::Ttl,
        Self::Port,
        Self::Version,
        Self::Length,
        Self::Multiplier,
        Self::Multipoint,
        Self::NoDiscriminator,
        Self::UnknownSession,
        Self::State,
        Self::AuthenticationKind,
        Self::AuthenticationKey,
        Self::AuthenticationSequence,
        Self::AdminDown,
        Self::Echo,
        Self::EchoOffer,
    ];

    /// A name for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Port => "port",
            Self::Version => "version",
            Self::Length => "length",
            Self::Multiplier => "multiplier",
            Self::Multipoint => "multipoint",
            Self::NoDiscriminator => "no_discriminator",
            Self::UnknownSession => "unknown_session",
            Self::State => "state",
            Self::AuthenticationKind => "authentication_kind",
            Self::AuthenticationKey => "authentication_key",
            Self::AuthenticationSequence => "authentication_sequence",
            Self::AdminDown => "admin_down",
            Self::Echo => "echo",
            Self::EchoOffer => "echo_offer",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
