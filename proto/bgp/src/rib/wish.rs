//! What a peer is to be told: prefixes and how they are to look.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::{Community, ExtendedCommunity, LargeCommunity, Prefix};

/// Everything a peer is to be told. Whole: what is not in it is withdrawn.
pub type Wish = BTreeMap<Prefix, Arc<Route>>;

/// How a prefix is to be announced. ORIGIN is IGP, and AS_PATH the own AS, or empty to an internal
/// peer (R1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Route {
    /// Told to internal peers only; none: 100.
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC; none: not told.
    pub med: Option<u32>,
    /// How many more times the own AS is in the path; told to external peers only.
    pub prepend: u8,
    /// Next hop; none: the local address of the session of the route's family.
    pub next_hop: Option<IpAddr>,
    /// Communities of four octets.
    pub communities: BTreeSet<Community>,
    /// Communities of eight octets.
    pub extended_communities: BTreeSet<ExtendedCommunity>,
    /// Communities of twelve octets.
    pub large_communities: BTreeSet<LargeCommunity>,
}
