//! What follows from a mistake in an UPDATE (RFC 7606 section 2), as a type.

use std::fmt;

use crate::Notification;

/// What is to be done; later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Approach {
    /// The attribute is left out, the rest counts.
    AttributeDiscard,
    /// What the UPDATE announces counts as withdrawn.
    TreatAsWithdraw,
}

/// A mistake that the session survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Type of the attribute.
    pub attribute: u8,
    /// What is wrong with it.
    pub flaw: Flaw,
    /// What follows.
    pub approach: Approach,
}

/// What can be wrong with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Optional or transitive where it must not be, or the other way round.
    Flags,
    /// Too short, too long, or no multiple of what it is a list of.
    Length,
    /// The length fits and the content does not.
    Value,
    /// AS 0 is in it (RFC 7607).
    AsZero,
    /// An unordered set of AS numbers (RFC 9774).
    AsSet,
    /// It is there twice.
    Repeated,
    /// It ought to be there.
    Missing,
    /// It has no place between these two peers.
    Misplaced,
    /// The list of attributes ends within it.
    Cut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flaw = match self.flaw {
            Flaw::Flags => "has wrong flags",
            Flaw::Length => "has a wrong length",
            Flaw::Value => "has an invalid value",
            Flaw::AsZero => "contains AS 0",
            Flaw::AsSet => "contains an AS_SET",
            Flaw::Repeated => "is there twice",
            Flaw::Missing => "is missing",
            Flaw::Misplaced => "has no place on this session",
            Flaw::Cut => "is cut off",
        };
        let so = match self.approach {
            Approach::AttributeDiscard => "it was left out",
            Approach::TreatAsWithdraw => "the routes count as withdrawn",
        };
        write!(f, "attribute {} {flaw}: {so}", self.attribute)
    }
}

/// A mistake, with or without consequences for the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// The session goes on.
    Mend(Fault),
    /// It ends with this.
    SessionReset(Notification),
}

impl From<Fault> for Consequence {
    fn from(fault: Fault) -> Self {
        Self::Mend(fault)
    }
}

impl From<Notification> for Consequence {
    fn from(notification: Notification) -> Self {
        Self::SessionReset(notification)
    }
}
