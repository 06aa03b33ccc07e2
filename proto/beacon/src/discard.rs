//! Why a received datagram was dropped. One closed list: logs, metrics and tests read it.

use std::fmt;

/// Why a datagram was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// More in the name of its sender than any sender sends.
    Flood,
    /// Too short, too long, or not a beacon at all.
    NotABeacon,
    /// Another version of the format.
    OtherVersion,
    /// Sealed with a key this node does not have.
    UnknownKey,
    /// The seal is wrong.
    BadSeal,
    /// Well sealed, and yet not of the format.
    Malformed,
    /// Of another cluster.
    OtherCluster,
    /// For another node, or from this one.
    OtherReceiver,
    /// The sender is neither a member nor one whose address is known.
    Stranger,
    /// Heard before, or older than what was heard.
    Replayed,
    /// A life that was not proven yet; its sender is asked to.
    Unproven,
    /// An answer to no question.
    NotAsked,
}

impl Discard {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 12] = [
        Self::Flood,
        Self::NotABeacon,
        Self::OtherVersion,
        Self::UnknownKey,
        Self::BadSeal,
        Self::Malformed,
        Self::OtherCluster,
        Self::OtherReceiver,
        Self::Stranger,
        Self::Replayed,
        Self::Unproven,
        Self::NotAsked,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::NotABeacon => "not_a_beacon",
            Self::OtherVersion => "other_version",
            Self::UnknownKey => "unknown_key",
            Self::BadSeal => "bad_seal",
            Self::Malformed => "malformed",
            Self::OtherCluster => "other_cluster",
            Self::OtherReceiver => "other_receiver",
            Self::Stranger => "stranger",
            Self::Replayed => "replayed",
            Self::Unproven => "unproven",
            Self::NotAsked => "not_asked",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
