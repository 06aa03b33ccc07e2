//! Which of its candidates announces an address.
//!
//! Not here: who may (`announce`), and how nodes agree on the live set and the previous owners,
//! which are arguments. Equal arguments give equal answers on every node.
//!
//! 1. Of the live candidates only the least reluctant come into question, of those only the ones with
//!    the highest preference weight.
//! 2. The previous owner stays if it is among them: a node that returns takes nothing back, unless
//!    the user prefers it.
//! 3. The others go, address by address, to the first node in the order of a hash of address and
//!    node (rendezvous hashing) that has not yet its fair share; when all have, to the one with
//!    the fewest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::announce::{Announcement, Candidate};

/// The owner of each address that has a live candidate. From scratch, when every address has the
/// same candidates, no node owns more than the number of addresses divided by the number of nodes,
/// rounded up.
#[must_use]
pub fn place(
    addresses: &BTreeMap<IpAddr, Announcement>,
    previous: &BTreeMap<IpAddr, String>,
    live: &BTreeSet<String>,
) -> BTreeMap<IpAddr, String> {
    let eligible: BTreeMap<IpAddr, Vec<&str>> = addresses
        .iter()
        .map(|(address, announcement)| (*address, preferred(announcement, live)))
        .filter(|(_, nodes)| !nodes.is_empty())
        .collect();
    let nodes: BTreeSet<&str> = eligible.values().flatten().copied().collect();
    let share = eligible.len().div_ceil(nodes.len().max(1));
    let mut load: BTreeMap<&str, usize> = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for (address, nodes) in &eligible {
        let owner = previous.get(address).map(String::as_str);
        if let Some(owner) = owner.filter(|owner| nodes.contains(owner)) {
            *load.entry(owner).or_default() += 1;
            owners.insert(*address, owner.to_owned());
        }
    }
    for (address, nodes) in &eligible {
        if owners.contains_key(address) {
            continue;
        }
        let ranked = nodes.iter().map(|node| {
            let carried = load.get(node).copied().unwrap_or(0);
            let over = (carried + 1).saturating_sub(share);
            (over, Reverse(score(*address, node)), *node)
        });
        if let Some((_, _, owner)) = ranked.min() {
            *load.entry(owner).or_default() += 1;
            owners.insert(*address, owner.to_owned());
        }
    }
    owners
}

/// The best of the live candidates: the least reluctant, of those the ones with the highest weight.
fn preferred<'a>(announcement: &'a Announcement, live: &BTreeSet<String>) -> Vec<&'a str> {
    let rank = |candidate: &Candidate| (candidate.reluctance, Reverse(candidate.weight));
    let alive = || {
        let candidates = announcement.candidates.iter();
        candidates.filter(|(node, _)| live.contains(*node))
    };
    let best = alive().map(|(_, candidate)| rank(candidate)).min();
    let of_the_best = alive().filter(|(_, candidate)| Some(rank(candidate)) == best);
    of_the_best.map(|(node, _)| node.as_str()).collect()
}

/// The rendezvous hash: the first eight bytes of SHA-256 over the address's bytes and the node's
/// name.
fn score(address: IpAddr, node: &str) -> u64 {
    let mut hash = Sha256::new();
    match address {
        IpAddr::V4(a) => hash.update(a.octets()),
        IpAddr::V6(a) => hash.update(a.octets()),
    }
    hash.update(node.as_bytes());
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |score, byte| score << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
