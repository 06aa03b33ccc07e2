//! Why a Service does not get an address: a closed list, each a sentence.
//!
//! Not here: why one loses an address (`cause`).

use std::fmt;
use std::net::IpAddr;

use super::Cause;
use super::sharing::Conflict;
use crate::address::{AddressRange, Family};
use crate::pool::{Forbidden, Restriction};
use crate::service::ServiceKey;
use crate::unusable::Owner;

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
    /// It has an address that Herald did not give and may not adopt.
    NotAdopted {
        service: ServiceKey,
        address: IpAddr,
        why: Box<Cause>,
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
    /// A requested address that no Service is given.
    AddressUnusable {
        service: ServiceKey,
        address: IpAddr,
        pool: String,
        owner: Box<Owner>,
    },
    /// A requested address somebody else holds.
    AddressTaken {
        service: ServiceKey,
        address: IpAddr,
        conflict: Box<Conflict>,
    },
    /// A requested address that is reserved, for another Service or from everybody.
    AddressReserved {
        service: ServiceKey,
        address: IpAddr,
        reservation: String,
        owner: Option<Box<ServiceKey>>,
    },
    /// A requested address that waits for the Service that had it last: by `retain`, or else by
    /// `reuseDelay`.
    AddressHeldBack {
        service: ServiceKey,
        address: IpAddr,
        pool: String,
        holder: Box<ServiceKey>,
        retained: bool,
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
    /// A pool none of whose addresses of the family any Service is given: the first of them.
    PoolUnusable {
        service: ServiceKey,
        pool: String,
        family: Family,
        first: AddressRange,
        owner: Box<Owner>,
    },
    /// A requested pool all of whose addresses of the family are taken.
    PoolExhausted {
        service: ServiceKey,
        pool: String,
        family: Family,
    },
    /// A quota of a pool allows the Service's namespace no more: `quotas[index]`.
    QuotaReached {
        service: ServiceKey,
        pool: String,
        index: usize,
        used: u64,
        max: u64,
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
            Self::NotAdopted { .. } => "NotAdopted",
            Self::OutsideEveryPool { .. } => "OutsideEveryPool",
            Self::AddressForbidden { .. } => "AddressForbidden",
            Self::AddressUnusable { .. } => "AddressUnusable",
            Self::AddressTaken { .. } => "AddressTaken",
            Self::AddressReserved { .. } => "AddressReserved",
            Self::AddressHeldBack { .. } => "AddressHeldBack",
            Self::AddressNotInRequestedPool { .. } => "AddressNotInRequestedPool",
            Self::UnknownPool { .. } => "UnknownPool",
            Self::PoolQuarantined { .. } => "PoolQuarantined",
            Self::PoolDraining { .. } => "PoolDraining",
            Self::PoolRestricted { .. } => "PoolRestricted",
            Self::PoolHasNoFamily { .. } => "PoolHasNoFamily",
            Self::PoolUnusable { .. } => "PoolUnusable",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::QuotaReached { .. } => "QuotaReached",
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
            Self::NotAdopted {
                service,
                address,
                why,
            } => write!(
                f,
                "Service {service} has {address} from somebody else, and Herald leaves it alone: \
                 {why}; let an IPAddressPool hold it, or request another address with \
                 heraldlb.io/loadBalancerIPs"
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
            Self::AddressUnusable {
                service,
                address,
                pool,
                owner,
            } => write!(
                f,
                "Service {service} cannot have {address} of pool {pool}, which is {owner}: request \
                 another address"
            ),
            Self::AddressTaken {
                service,
                address,
                conflict,
            } => {
                write!(f, "Service {service} cannot have {address}: {conflict}")
            }
            Self::AddressReserved {
                service,
                address,
                reservation,
                owner,
            } => {
                let whom = match owner {
                    Some(owner) => format!("for {owner}"),
                    None => "from every Service".to_owned(),
                };
                write!(
                    f,
                    "Service {service} cannot have {address}: IPReservation {reservation} keeps it \
                     {whom}"
                )
            }
            Self::AddressHeldBack {
                service,
                address,
                pool,
                holder,
                retained,
            } => {
                let field = if *retained { "retain" } else { "reuseDelay" };
                write!(
                    f,
                    "Service {service} cannot have {address} yet: {holder} had it last, and \
                     {field} of pool {pool} keeps it from others for a while"
                )
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
            Self::PoolUnusable {
                service,
                pool,
                family,
                first,
                owner,
            } => write!(
                f,
                "Service {service} gets no {family} address of pool {pool}, none of whose {family} \
                 addresses can be given to a Service: {first} is {owner}; request another pool or \
                 add addresses"
            ),
            Self::PoolExhausted {
                service,
                pool,
                family,
            } => write!(
                f,
                "Service {service} requests pool {pool}, whose {family} addresses are all taken: \
                 add addresses to it or request another pool (heraldctl pools shows who has them)"
            ),
            Self::QuotaReached {
                service,
                pool,
                index,
                used,
                max,
            } => write!(
                f,
                "Service {service} gets no further address of pool {pool}: quotas[{index}] allows \
                 namespace {} {max}, and it has {used}; release one or raise maxAddresses",
                service.namespace()
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
                 another pool (heraldctl pools shows who has them)",
                list(pools, "none")
            ),
        }
    }
}
