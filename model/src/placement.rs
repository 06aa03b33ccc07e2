//! Which of its candidates announces an address, and who does so next when that one fails.
//!
//! Not here: who may (`announce`), and how nodes agree on the live set and the previous owners,
//! which are arguments. Equal arguments give equal answers on every node.
//!
//! 1. Of the live candidates only the least reluctant come into question, of those only the ones with
//!    the highest preference weight.
//! 2. The previous owner stays if it is among them: a node that returns takes nothing back, unless
//!    the user prefers it.
//! 3. The others go, address by address, to the first node in the order of a hash of address and
//!    node (rendezvous hashing) that has not yet its fair share, nor its zone; when all have, to the
//!    one with the fewest.
//! 4. What a failing node had goes to another zone than its own, if there is one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::announce::{Announcement, Candidate};

/// The live candidates of each address that has one, in the order in which they should announce it:
/// the owner, who follows when the owner fails, then the rest, better ones first. From scratch, when
/// every address has the same candidates, no node owns more than the number of addresses divided by
/// the number of nodes, rounded up, and no zone more than that share of its nodes, rounded up.
#[must_use]
pub fn line_up(
    addresses: &BTreeMap<IpAddr, Announcement>,
    previous: &BTreeMap<IpAddr, String>,
    live: &BTreeSet<String>,
) -> BTreeMap<IpAddr, Vec<String>> {
    let hall = Hall::new(addresses, live);
    let everything: Vec<IpAddr> = hall.addresses.keys().copied().collect();
    let previous = previous
        .iter()
        .filter_map(|(address, owner)| Some((*address, *hall.names.get(owner.as_str())?)))
        .collect();
    let owners = hall.place(&everything, &previous, None);
    let mut of_owner: BTreeMap<&str, Vec<IpAddr>> = BTreeMap::new();
    for (address, owner) in &owners {
        of_owner.entry(owner).or_default().push(*address);
    }
    let mut followers = BTreeMap::new();
    for (owner, orphans) in of_owner {
        followers.extend(hall.place(&orphans, &owners, Some(owner)));
    }
    let order = |(address, owner): (IpAddr, &str)| {
        let follower = followers.get(&address).copied();
        let rest = hall.by_merit(address);
        let rest = rest.filter(|node| *node != owner && Some(*node) != follower);
        let line = [owner].into_iter().chain(follower).chain(rest);
        (address, line.map(str::to_owned).collect())
    };
    owners.into_iter().map(order).collect()
}

/// A live candidate of an address.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    node: &'a str,
    candidate: &'a Candidate,
    score: u64,
}

impl Standing<'_> {
    /// Nodes of equal class share addresses evenly; less is better.
    fn class(&self) -> impl Ord + use<> {
        (self.candidate.reluctance, Reverse(self.candidate.weight))
    }
}

/// Every address with its live candidates.
struct Hall<'a> {
    addresses: BTreeMap<IpAddr, Vec<Standing<'a>>>,
    names: BTreeMap<&'a str, &'a str>,
}

impl<'a> Hall<'a> {
    fn new(addresses: &'a BTreeMap<IpAddr, Announcement>, live: &BTreeSet<String>) -> Self {
        let mut names = BTreeMap::new();
        let mut hall = BTreeMap::new();
        for (address, announcement) in addresses {
            let alive = announcement
                .candidates
                .iter()
                .filter(|(node, _)| live.contains(*node));
            let standings: Vec<Standing<'_>> = alive
                .map(|(node, candidate)| Standing {
                    node,
                    candidate,
                    score: score(*address, node),
                })
                .collect();
            names.extend(standings.iter().map(|one| (one.node, one.node)));
            if !standings.is_empty() {
                hall.insert(*address, standings);
            }
        }
        Self {
            addresses: hall,
            names,
        }
    }

    /// Everybody who lives, better ones first.
    fn by_merit(&self, address: IpAddr) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut standings = self.addresses.get(&address).cloned().unwrap_or_default();
        standings.sort_by_key(|one| (one.class(), Reverse(one.score), one.node));
        standings.into_iter().map(|one| one.node)
    }

    /// An owner for each of `wanted`, when all others stay with their `previous` owner and `failing`
    /// counts no more.
    fn place(
        &self,
        wanted: &[IpAddr],
        previous: &BTreeMap<IpAddr, &'a str>,
        failing: Option<&str>,
    ) -> BTreeMap<IpAddr, &'a str> {
        let mut eligible: BTreeMap<IpAddr, Vec<Standing<'a>>> = BTreeMap::new();
        for (address, standings) in &self.addresses {
            let able = || {
                let standings = standings.iter();
                standings.filter(|one| Some(one.node) != failing)
            };
            if let Some(best) = able().map(Standing::class).min() {
                let best = able().filter(|one| one.class() == best).copied().collect();
                eligible.insert(*address, best);
            }
        }
        let mut loads = Loads::of(&eligible);
        let mut stay = BTreeMap::new();
        for (address, standings) in &eligible {
            let owner = previous.get(address);
            let stays = owner.and_then(|owner| standings.iter().find(|one| one.node == *owner));
            if let Some(one) = stays {
                loads.add(one);
                stay.insert(*address, one.node);
            }
        }
        let zone_of_failing = |address: &IpAddr| {
            let mut standings = self.addresses.get(address)?.iter();
            let failing = standings.find(|one| Some(one.node) == failing)?;
            failing.candidate.zone.as_deref()
        };
        let mut owners = BTreeMap::new();
        for address in wanted {
            if let Some(owner) = stay.get(address) {
                owners.insert(*address, *owner);
                continue;
            }
            let avoided = zone_of_failing(address);
            let standings = eligible.get(address).into_iter().flatten();
            let ranked = standings.min_by_key(|one| {
                let zone = one.candidate.zone.as_deref();
                let avoided = avoided.is_some() && zone == avoided;
                (avoided, loads.excess(one), Reverse(one.score), one.node)
            });
            if let Some(owner) = ranked {
                loads.add(owner);
                owners.insert(*address, owner.node);
            }
        }
        owners
    }
}

/// Who carries how much, and who should.
struct Loads<'a> {
    share_of_node: usize,
    share_of_zone: BTreeMap<&'a str, usize>,
    nodes: BTreeMap<&'a str, usize>,
    zones: BTreeMap<&'a str, usize>,
}

impl<'a> Loads<'a> {
    fn of(eligible: &BTreeMap<IpAddr, Vec<Standing<'a>>>) -> Self {
        let mut nodes: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for one in eligible.values().flatten() {
            nodes.insert(one.node, one.candidate.zone.as_deref());
        }
        let mut in_zone: BTreeMap<&str, usize> = BTreeMap::new();
        for zone in nodes.values().flatten() {
            *in_zone.entry(zone).or_default() += 1;
        }
        let count = nodes.len().max(1);
        let zones = in_zone.into_iter();
        Self {
            share_of_node: eligible.len().div_ceil(count),
            share_of_zone: zones
                .map(|(zone, nodes)| (zone, (eligible.len() * nodes).div_ceil(count)))
                .collect(),
            nodes: BTreeMap::new(),
            zones: BTreeMap::new(),
        }
    }

    fn add(&mut self, one: &Standing<'a>) {
        *self.nodes.entry(one.node).or_default() += 1;
        if let Some(zone) = one.candidate.zone.as_deref() {
            *self.zones.entry(zone).or_default() += 1;
        }
    }

    /// By how much the node, and its zone, would carry more than they should.
    fn excess(&self, one: &Standing<'a>) -> (usize, usize) {
        let carried = self.nodes.get(one.node).copied().unwrap_or(0);
        let zone = one.candidate.zone.as_deref();
        let of_zone = zone.and_then(|zone| {
            let share = self.share_of_zone.get(zone)?;
            let carried = self.zones.get(zone).copied().unwrap_or(0);
            Some((carried + 1).saturating_sub(*share))
        });
        (
            (carried + 1).saturating_sub(self.share_of_node),
            of_zone.unwrap_or(0),
        )
    }
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
