//! One decision of a speaker: what was decided, and what it was decided from. Values only; `node`
//! makes it, `report` and `inspect` tell of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_beacon::NodeId;
use herald_model::announce;

use crate::fast::Telling;
use crate::intent::{Bid, Holding};
use crate::links::Links;
use crate::ports::Usage;
use crate::world::View;

/// What was decided, and what it was decided from.
pub(crate) struct Decision<'a> {
    pub view: &'a View,
    pub links: &'a Links,
    pub usages: &'a [Usage],
    pub desired: &'a announce::Desired,
    pub lines: &'a BTreeMap<IpAddr, Vec<String>>,
    /// As the speakers agreed.
    pub owners: &'a BTreeMap<IpAddr, String>,
    pub live: &'a BTreeSet<String>,
    pub bids: &'a BTreeMap<IpAddr, Bid>,
    /// What this node owns.
    pub held: &'a BTreeMap<IpAddr, Holding>,
    pub telling: &'a Telling,
    pub names: &'a BTreeMap<NodeId, String>,
    pub stopping: bool,
}

/// Who owns what, by name.
pub(crate) fn owners(
    telling: &Telling,
    names: &BTreeMap<NodeId, String>,
) -> BTreeMap<IpAddr, String> {
    let records = telling.records.iter();
    records
        .filter_map(|(address, (owner, _))| Some((*address, names.get(owner)?.clone())))
        .collect()
}

/// What this node owns, with what is known about it.
pub(crate) fn held(telling: &Telling, bids: &BTreeMap<IpAddr, Bid>) -> BTreeMap<IpAddr, Holding> {
    let holding = |address: &IpAddr| Some((*address, bids.get(address)?.holding.clone()));
    telling.held.keys().filter_map(holding).collect()
}

/// Names of the interfaces that are announced on.
pub(crate) fn used(usages: &[Usage]) -> Vec<String> {
    let used = usages.iter().filter(|usage| usage.used.is_ok());
    used.map(|usage| usage.link.name.clone()).collect()
}
