//! Why a received frame got no answer. One closed list: logs, metrics and tests read it.

use std::fmt;

/// Why a frame was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// The frame is shorter than its headers say.
    TooShort,
    /// Neither ARP nor an NDP solicitation or advertisement.
    OtherProtocol,
    /// A field has a value its RFC forbids.
    Malformed,
    /// The frame carries a VLAN tag; it belongs to a sub-interface.
    Tagged,
    /// The frame is for another host.
    OtherHost,
    /// The frame came in on an interface that nothing is announced on.
    UnknownInterface,
    /// The sender's address is ours, a group or nobody's.
    BadSender,
    /// An ARP reply or advertisement; nothing to answer.
    NotARequest,
    /// The question is about an address this node does not own.
    NotOwned,
    /// This node owns the address, on other interfaces.
    WrongInterface,
    /// This node does not know yet that nobody else uses the address.
    Unproven,
    /// Ownership ran out before the frame was looked at.
    OwnershipExpired,
    /// The question is so old that its answer could be wrong.
    Stale,
    /// Somebody else claims an address this node owns.
    Conflict,
}

impl Discard {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 14] = [
        Self::TooShort,
        Self::OtherProtocol,
        Self::Malformed,
        Self::Tagged,
        Self::OtherHost,
        Self::UnknownInterface,
        Self::BadSender,
        Self::NotARequest,
        Self::NotOwned,
        Self::WrongInterface,
        Self::Unproven,
        Self::OwnershipExpired,
        Self::Stale,
        Self::Conflict,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::OtherProtocol => "other_protocol",
            Self::Malformed => "malformed",
            Self::Tagged => "tagged",
            Self::OtherHost => "other_host",
            Self::UnknownInterface => "unknown_interface",
            Self::BadSender => "bad_sender",
            Self::NotARequest => "not_a_request",
            Self::NotOwned => "not_owned",
            Self::WrongInterface => "wrong_interface",
            Self::Unproven => "unproven",
            Self::OwnershipExpired => "ownership_expired",
            Self::Stale => "stale",
            Self::Conflict => "conflict",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
