//! Why a Service loses an address: a closed list, each the end of a sentence.
//!
//! Not here: why one does not get an address (`refusal`).

use std::fmt;
use std::net::IpAddr;

use super::sharing::Conflict;
use crate::address::Family;
use crate::pool::{Forbidden, Restriction};
use crate::service::ServiceKey;

/// Why a Service may not keep an address. Shown as the end of the sentence "web lost 192.0.2.1: ".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The pool it came from is gone.
    PoolDeleted { pool: String },
    /// The pool it came from no longer contains it.
    PoolShrunk { pool: String },
    /// No pool contains it, and nothing says where it came from.
    NoPool,
    /// The pool gives it to nobody any more.
    Forbidden { pool: String, why: Forbidden },
    /// The pool does not admit the Service any more.
    Restricted { pool: String, why: Restriction },
    /// It is reserved for another Service, or from everybody.
    Reserved {
        reservation: String,
        owner: Option<ServiceKey>,
    },
    /// The Service no longer has this family.
    FamilyGone { family: Family },
    /// It has two addresses of this family.
    SecondOfFamily { kept: IpAddr },
    /// Somebody else has it and cannot share it.
    Taken { conflict: Conflict },
    /// The user asked for something else.
    Requested,
}

impl Cause {
    /// The cause as one CamelCase word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::PoolDeleted { .. } => "PoolDeleted",
            Self::PoolShrunk { .. } => "PoolShrunk",
            Self::NoPool => "NoPool",
            Self::Forbidden { .. } => "AddressForbidden",
            Self::Restricted { .. } => "PoolRestricted",
            Self::Reserved { .. } => "AddressReserved",
            Self::FamilyGone { .. } => "FamilyGone",
            Self::SecondOfFamily { .. } => "SecondOfFamily",
            Self::Taken { .. } => "AddressTaken",
            Self::Requested => "Requested",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoolDeleted { pool } => write!(f, "pool {pool} no longer exists"),
            Self::PoolShrunk { pool } => write!(f, "pool {pool} no longer contains it"),
            Self::NoPool => write!(f, "no pool contains it"),
            Self::Forbidden { pool, why } => write!(f, "pool {pool} {why}"),
            Self::Restricted { pool, why } => write!(f, "pool {pool}'s {why}"),
            Self::Reserved {
                reservation,
                owner: Some(owner),
            } => write!(f, "IPReservation {reservation} keeps it for {owner}"),
            Self::Reserved {
                reservation,
                owner: None,
            } => write!(f, "IPReservation {reservation} keeps it from every Service"),
            Self::FamilyGone { family } => write!(f, "the Service no longer has {family}"),
            Self::SecondOfFamily { kept } => {
                write!(f, "the Service already has {kept} of the same family")
            }
            Self::Taken { conflict } => write!(f, "{conflict}"),
            Self::Requested => write!(f, "the Service asks for another address or pool"),
        }
    }
}
