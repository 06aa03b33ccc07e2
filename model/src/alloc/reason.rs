//! Why a Service does not get an address, and why one loses it: closed lists, each a sentence.

use std::fmt;
use std::net::IpAddr;

use super::ledger::Conflict;
use crate::address::Family;
use crate::pool::{Forbidden, Restriction};
use crate::service::ServiceKey;

/// Why a Service does not get (all of) the addresses it asks for. Shown as one sentence naming the
/// Service, the field and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Its annotations or fields cannot be understood.
    UnreadableRequest {
        service: ServiceKey,
        problem: String,
    },
    /// It has no cluster address (headless, or not yet given one).
    NoClusterAddress { service: ServiceKey },
    /// RequireDualStack with cluster addresses of one family.
    NotDualStack { service: ServiceKey, family: Family },
    /// Two requested addresses of one family.
    TwoOfOneFamily {
        service: ServiceKey,
        first: IpAddr,
        second: IpAddr,
    },
    /// A requested address of a family its cluster addresses do not have.
    FamilyNotOfService {
        service: ServiceKey,
        address: IpAddr,
    },
    /// A requested address no pool contains.
    OutsideEveryPool {
        service: ServiceKey,
        address: IpAddr,
        pools: Vec<String>,
    },
    /// A requested address its pool gives to nobody.
    AddressForbidden {
        service: ServiceKey,
        address: IpAddr,
        pool: String,
        why: Forbidden,
    },
    /// A requested address somebody else holds.
    AddressTaken {
        service: ServiceKey,
        address: IpAddr,
        conflict: Conflict,
    },
    /// Both an address and a pool requested, and the address is in another pool.
    AddressNotInRequestedPool {
        service: ServiceKey,
        address: IpAddr,
        pool: String,
        wanted: String,
    },
    /// A requested pool that does not exist.
    UnknownPool {
        service: ServiceKey,
        pool: String,
        pools: Vec<String>,
    },
    /// A requested pool that is set aside for a mistake in it.
    PoolQuarantined { service: ServiceKey, pool: String },
    /// A requested pool, or the pool of a requested address, that gives no more.
    PoolDraining { service: ServiceKey, pool: String },
    /// A requested pool, or the pool of a requested address, that does not admit the Service.
    PoolRestricted {
        service: ServiceKey,
        pool: String,
        why: Restriction,
    },
    /// A requested pool without any address of the family.
    PoolHasNoFamily {
        service: ServiceKey,
        pool: String,
        family: Family,
    },
    /// A requested pool all of whose addresses of the family are taken.
    PoolExhausted {
        service: ServiceKey,
        pool: String,
        family: Family,
    },
    /// No pool gives addresses of the family to this Service by itself.
    NoPool {
        service: ServiceKey,
        family: Family,
        pools: Vec<String>,
    },
    /// The pools that would are full.
    Exhausted {
        service: ServiceKey,
        family: Family,
        pools: Vec<String>,
    },
}

impl Refusal {
    /// The reason as one CamelCase word, for Events, conditions and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnreadableRequest { .. } => "UnreadableRequest",
            Self::NoClusterAddress { .. } => "NoClusterAddress",
            Self::NotDualStack { .. } => "NotDualStack",
            Self::TwoOfOneFamily { .. } => "TwoOfOneFamily",
            Self::FamilyNotOfService { .. } => "FamilyNotOfService",
            Self::OutsideEveryPool { .. } => "OutsideEveryPool",
            Self::AddressForbidden { .. } => "AddressForbidden",
            Self::AddressTaken { .. } => "AddressTaken",
            Self::AddressNotInRequestedPool { .. } => "AddressNotInRequestedPool",
            Self::UnknownPool { .. } => "UnknownPool",
            Self::PoolQuarantined { .. } => "PoolQuarantined",
            Self::PoolDraining { .. } => "PoolDraining",
            Self::PoolRestricted { .. } => "PoolRestricted",
            Self::PoolHasNoFamily { .. } => "PoolHasNoFamily",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::NoPool { .. } => "NoPool",
            Self::Exhausted { .. } => "Exhausted",
        }
    }
}

/// `a, b and c`, or what to say when there are none.
fn list(names: &[String], none: &str) -> String {
    match names {
        [] => none.to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnreadableRequest { service, problem } => {
                write!(f, "Service {service} gets no new address: {problem}")
            }
            Self::NoClusterAddress { service } => write!(
                f,
                "Service {service} has no spec.clusterIP: a headless Service cannot have a load \
                 balancer address"
            ),
            Self::NotDualStack { service, family } => write!(
                f,
                "Service {service} has ipFamilyPolicy RequireDualStack but only {family} in \
                 spec.clusterIPs: use PreferDualStack or a dual-stack cluster"
            ),
            Self::TwoOfOneFamily {
                service,
                first,
                second,
            } => write!(
                f,
                "Service {service} requests {first} and {second}, two addresses of one family: \
                 request at most one IPv4 and one IPv6 address"
            ),
            Self::FamilyNotOfService { service, address } => write!(
                f,
                "Service {service} requests {address} but has no {} in spec.ipFamilies: request an \
                 address of a family the Service has",
                Family::of(*address)
            ),
            Self::OutsideEveryPool {
                service,
                address,
                pools,
            } => write!(
                f,
                "Service {service} requests {address}, which is in no pool: {}",
                match pools.as_slice() {
                    [] => "there are none; create an IPAddressPool that contains it".to_owned(),
                    pools => format!(
                        "choose an address of {} or add it to one of them",
                        list(pools, "none")
                    ),
                }
            ),
            Self::AddressForbidden {
                service,
                address,
                pool,
                why,
            } => write!(
                f,
                "Service {service} requests {address}, but pool {pool} {why}: request another \
                 address or change the pool"
            ),
            Self::AddressTaken {
                service,
                address,
                conflict,
            } => {
                write!(f, "Service {service} cannot have {address}: {conflict}")
            }
            Self::AddressNotInRequestedPool {
                service,
                address,
                pool,
                wanted,
            } => write!(
                f,
                "Service {service} requests {address} and pool {wanted}, but the address is in \
                 pool {pool}: change one of the two annotations"
            ),
            Self::UnknownPool {
                service,
                pool,
                pools,
            } => write!(
                f,
                "Service {service} requests pool {pool}, which does not exist: the pools are {}",
                list(pools, "none")
            ),
            Self::PoolQuarantined { service, pool } => write!(
                f,
                "Service {service} needs pool {pool}, which has a mistake in it: see the \
                 conditions of IPAddressPool {pool}"
            ),
            Self::PoolDraining { service, pool } => write!(
                f,
                "Service {service} requests an address of pool {pool}, which is draining: request \
                 another pool or set draining to false"
            ),
            Self::PoolRestricted { service, pool, why } => {
                write!(f, "Service {service} may not use pool {pool}: its {why}")
            }
            Self::PoolHasNoFamily {
                service,
                pool,
                family,
            } => write!(
                f,
                "Service {service} requests pool {pool}, which has no {family} addresses: request \
                 another pool or add some"
            ),
            Self::PoolExhausted {
                service,
                pool,
                family,
            } => write!(
                f,
                "Service {service} requests pool {pool}, whose {family} addresses are all taken: \
                 add addresses to it or request another pool"
            ),
            Self::NoPool {
                service,
                family,
                pools,
            } => write!(
                f,
                "Service {service} gets no {family} address: {}",
                match pools.as_slice() {
                    [] => "there is no IPAddressPool; create one".to_owned(),
                    pools => format!(
                        "none of the pools ({}) has {family} addresses, autoAssign, and a \
                         serviceAllocation that admits it",
                        list(pools, "none")
                    ),
                }
            ),
            Self::Exhausted {
                service,
                family,
                pools,
            } => write!(
                f,
                "Service {service} gets no {family} address: all of {} are taken; add addresses or \
                 another pool",
                list(pools, "none")
            ),
        }
    }
}

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
            Self::FamilyGone { family } => write!(f, "the Service no longer has {family}"),
            Self::SecondOfFamily { kept } => {
                write!(f, "the Service already has {kept} of the same family")
            }
            Self::Taken { conflict } => write!(f, "{conflict}"),
            Self::Requested => write!(f, "the Service asks for another address or pool"),
        }
    }
}
