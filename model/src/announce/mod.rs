//! Which nodes may announce which address on the LAN, and why the others may not.
//!
//! Not here: which of them does (`placement`), or how it is said on the wire.
//!
//! An address is announced when at least one of the Services that hold it may be. Each such
//! Service has its own set of candidate nodes; the candidates of the address are the nodes all of
//! them accept. Where their sets have no node in common the older Services go first, and one that
//! would leave no candidate is left out and told so.

mod eligible;
mod glob;
mod verdict;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use eligible::Judge;
pub use verdict::{NodeObstacle, Obstacle, Verdict};
pub use world::{L2Advertisement, Node, World};

use crate::address::{Family, FewAddresses};
use crate::service::{Service, ServiceKey};

/// What shall be announced and by whom it may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// The addresses that have at least one candidate.
    pub addresses: BTreeMap<IpAddr, Announcement>,
    /// For every address of every Service that holds one: whether and why not.
    pub verdicts: BTreeMap<ServiceKey, FewAddresses<Verdict>>,
}

/// One address to announce.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The Services it is announced for; never empty.
    pub services: BTreeSet<ServiceKey>,
    /// The nodes that may announce it; never empty.
    pub candidates: Candidates,
}

/// Nodes that may announce, by name. Most addresses have the same ones, and share them.
pub type Candidates = Arc<BTreeMap<String, Candidate>>;

/// Why nodes may not announce, by name; shared as [`Candidates`] are.
pub type NodeObstacles = Arc<BTreeMap<String, NodeObstacle>>;

/// How a node may announce an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The interfaces to announce it on; never empty.
    pub interfaces: BTreeSet<String>,
    /// Why it should do so only where no better node is alive.
    pub reluctance: Reluctance,
    /// How much the advertisements prefer this node; more is better.
    pub weight: u32,
    /// Where it stands, as far as failures are concerned (`topology.kubernetes.io/zone`).
    pub zone: Option<String>,
}

/// Why a node should announce an address only where no better one is alive; less is better. Such a
/// node is still better than none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reluctance {
    /// Others are heard on a network it announces the address on, and it is not.
    pub unheard: bool,
    /// Policy Local, and its endpoints of the address's family are all terminating.
    pub terminating: bool,
    /// It is cordoned, being drained or shutting down.
    pub stopping: bool,
    /// It fell silent and returned too often lately.
    pub flapping: bool,
}

impl Reluctance {
    /// What to say of the node, after its name, for an address of this family; None when it is not
    /// reluctant at all.
    #[must_use]
    pub fn remark(self, family: Family) -> Option<String> {
        let what = if self.unheard {
            "is not heard on the announced network".to_owned()
        } else if self.terminating {
            format!("has only {family} endpoints that are terminating")
        } else if self.stopping {
            "is cordoned, draining or shutting down".to_owned()
        } else if self.flapping {
            "fell silent too often lately".to_owned()
        } else {
            return None;
        };
        Some(format!("{what} and announces when no better node lives"))
    }
}

/// The candidates of every address held by a Service, and a verdict for each of the others.
#[must_use]
pub fn desired(world: &World) -> Desired {
    let mut judge = Judge::new(world);
    let mut desired = Desired::default();
    let mut services: Vec<&Arc<Service>> = world.services.values().collect();
    services.sort_by_key(|s| (s.created, &s.key));
    for service in services {
        for address in &service.held {
            let (candidates, mut verdict) = judge.candidates(service, *address);
            if verdict.obstacle.is_none() {
                verdict.obstacle = desired.join(service, *address, candidates);
            }
            let verdicts = desired.verdicts.entry(service.key.clone()).or_default();
            verdicts.insert(*address, verdict);
        }
    }
    desired
}

impl Desired {
    /// Adds a Service to those an address is announced for, unless that leaves no candidate.
    fn join(
        &mut self,
        service: &Service,
        address: IpAddr,
        candidates: Candidates,
    ) -> Option<Obstacle> {
        let candidates = match self.addresses.get(&address) {
            Some(others) if !Arc::ptr_eq(&others.candidates, &candidates) => {
                let both = common(&others.candidates, &candidates);
                if both.is_empty() {
                    let with = others.services.first().cloned();
                    return with.map(|with| Obstacle::SharedElsewhere { address, with });
                }
                Arc::new(both)
            }
            Some(_) | None => candidates,
        };
        let announcement = self.addresses.entry(address).or_default();
        announcement.candidates = candidates;
        announcement.services.insert(service.key.clone());
        None
    }

    /// Changes how reluctant candidates are, whatever the address.
    ///
    /// Addresses that share their candidates go on sharing them.
    pub fn reconsider(&mut self, change: impl Fn(&str, &Candidate) -> Reluctance) {
        let mut changed: BTreeMap<*const BTreeMap<String, Candidate>, Candidates> = BTreeMap::new();
        for announcement in self.addresses.values_mut() {
            let before = &announcement.candidates;
            let after = changed.entry(Arc::as_ptr(before)).or_insert_with(|| {
                let mut after = Arc::clone(before);
                for (name, candidate) in Arc::make_mut(&mut after) {
                    candidate.reluctance = change(name, candidate);
                }
                after
            });
            announcement.candidates = Arc::clone(after);
        }
    }
}

/// The candidates that both accept, where either would have them.
fn common(
    some: &BTreeMap<String, Candidate>,
    others: &BTreeMap<String, Candidate>,
) -> BTreeMap<String, Candidate> {
    let both = |(node, one): (&String, &Candidate)| {
        let other = others.get(node)?;
        let candidate = Candidate {
            interfaces: one.interfaces.union(&other.interfaces).cloned().collect(),
            reluctance: one.reluctance.max(other.reluctance),
            weight: one.weight.max(other.weight),
            zone: other.zone.clone(),
        };
        Some((node.clone(), candidate))
    };
    some.iter().filter_map(both).collect()
}

#[cfg(test)]
mod tests;
