//! The candidates of one address of one Service.
//!
//! Not here: what happens when several Services share the address (`mod`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{
    Candidate, Candidates, L2Advertisement, Node, NodeObstacle, NodeObstacles, Obstacle,
    Reluctance, Verdict, World, glob,
};
use crate::address::Family;
use crate::labels::any_or_all;
use crate::service::{Service, TrafficPolicy, Usable};

/// Nodes as a set of advertisements sees them, whatever the Service's endpoints.
struct Table {
    candidates: Candidates,
    obstacles: NodeObstacles,
}

/// Judges on one world; remembers what it worked out for a set of advertisements.
pub(super) struct Judge<'a> {
    world: &'a World,
    tables: BTreeMap<Vec<usize>, Table>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            world,
            tables: BTreeMap::new(),
        }
    }

    /// The nodes that may announce the address for the Service, and what stands against the
    /// others. Without candidates the verdict has an obstacle.
    pub(super) fn candidates(
        &mut self,
        service: &Service,
        address: IpAddr,
    ) -> (Candidates, Verdict) {
        let owner = self.world.unusable.is_answered_elsewhere(address);
        if let Some(owner) = owner.cloned() {
            let service = service.key.clone();
            let verdict = Verdict {
                obstacle: Some(Obstacle::AddressUnusable {
                    service,
                    address,
                    owner,
                }),
                nodes: NodeObstacles::default(),
            };
            return (Candidates::default(), verdict);
        }
        let (candidates, nodes) = match self.table(service, address) {
            Ok(table) => table.of(service, Family::of(address)),
            Err(obstacle) => {
                let verdict = Verdict {
                    obstacle: Some(obstacle),
                    nodes: NodeObstacles::default(),
                };
                return (Candidates::default(), verdict);
            }
        };
        let obstacle = match (candidates.is_empty(), nodes.is_empty()) {
            (false, _) => None,
            (true, true) => Some(Obstacle::NoNodes),
            (true, false) => Some(Obstacle::EveryNode {
                address,
                nodes: Arc::clone(&nodes),
            }),
        };
        (candidates, Verdict { obstacle, nodes })
    }

    /// What the advertisements for this address and Service make of the nodes.
    fn table(&mut self, service: &Service, address: IpAddr) -> Result<&Table, Obstacle> {
        let key = || service.key.clone();
        let Some(pool) = self.world.pool_of(service, address) else {
            return Err(Obstacle::NoPool { address });
        };
        let for_pool: Vec<(usize, &L2Advertisement)> = self
            .world
            .advertisements
            .iter()
            .enumerate()
            .filter(|(_, ad)| ad.pools.as_ref().is_none_or(|pools| pools.contains(pool)))
            .collect();
        if for_pool.is_empty() {
            return Err(Obstacle::NoAdvertisement {
                address,
                pool: pool.to_owned(),
            });
        }
        let matching: Vec<usize> = for_pool
            .iter()
            .filter(|(_, ad)| any_or_all(&ad.service_selectors, &service.labels))
            .map(|(i, _)| *i)
            .collect();
        if matching.is_empty() {
            let advertisements = for_pool.iter().map(|(_, ad)| ad.name.clone()).collect();
            let pool = pool.to_owned();
            return Err(Obstacle::ServiceNotSelected {
                service: key(),
                pool,
                advertisements,
            });
        }
        if let Some(obstacle) = Obstacle::no_endpoints(service, Family::of(address)) {
            return Err(obstacle);
        }
        let world = self.world;
        Ok(self.tables.entry(matching).or_insert_with_key(|matching| {
            let ads: Vec<_> = matching
                .iter()
                .filter_map(|i| world.advertisements.get(*i))
                .collect();
            Table::new(&ads, &world.nodes)
        }))
    }
}

impl Table {
    fn new(ads: &[&L2Advertisement], nodes: &BTreeMap<String, Node>) -> Self {
        let (mut candidates, mut obstacles) = (BTreeMap::new(), BTreeMap::new());
        for (name, node) in nodes {
            match on_node(ads, node) {
                Ok(candidate) => drop(candidates.insert(name.clone(), candidate)),
                Err(obstacle) => drop(obstacles.insert(name.clone(), obstacle)),
            }
        }
        Self {
            candidates: Arc::new(candidates),
            obstacles: Arc::new(obstacles),
        }
    }

    /// The candidates for an address of this family of a Service, and what stands against the other
    /// nodes.
    fn of(&self, service: &Service, family: Family) -> (Candidates, NodeObstacles) {
        if service.traffic_policy == TrafficPolicy::Cluster {
            return (Arc::clone(&self.candidates), Arc::clone(&self.obstacles));
        }
        let usable = service.usable_by_node(family);
        let mut candidates = BTreeMap::new();
        let mut obstacles = BTreeMap::clone(&self.obstacles);
        for (name, candidate) in &*self.candidates {
            match usable.get(name.as_str()) {
                Some(usable) => {
                    let mut candidate = candidate.clone();
                    candidate.reluctance.terminating = *usable == Usable::Terminating;
                    candidates.insert(name.clone(), candidate);
                }
                None => {
                    let obstacle = NodeObstacle::NoLocalEndpoint { family };
                    obstacles.insert(name.clone(), obstacle);
                }
            }
        }
        (Arc::new(candidates), Arc::new(obstacles))
    }
}

impl World {
    /// The pool an address counts for: the one that contains it, else the one that Herald gave it from,
    /// though that was changed or deleted since. What a Service holds is announced until the controller
    /// takes it.
    pub(crate) fn pool_of<'a>(&'a self, service: &'a Service, address: IpAddr) -> Option<&'a str> {
        let containing = self
            .pools
            .values()
            .find(|pool| pool.ranges.contains(address));
        let is_vacated = |name: &&String| {
            let pool = self.pools.get(*name);
            pool.is_none_or(|pool| !service.held.iter().any(|a| pool.ranges.contains(*a)))
        };
        let marks = &service.held_pools;
        containing
            .map(|pool| &pool.name)
            .or_else(|| marks.iter().find(is_vacated).or(marks.first()))
            .map(String::as_str)
    }
}

/// What these advertisements (at least one) make of a node.
fn on_node(ads: &[&L2Advertisement], node: &Node) -> Result<Candidate, NodeObstacle> {
    if node.excluded {
        return Err(NodeObstacle::Excluded);
    }
    if node.network_unavailable {
        return Err(NodeObstacle::NetworkUnavailable);
    }
    let ads: Vec<_> = ads
        .iter()
        .filter(|ad| any_or_all(&ad.node_selectors, &node.labels))
        .collect();
    if ads.is_empty() {
        return Err(NodeObstacle::NotSelected);
    }
    if node.interfaces.is_empty() {
        return Err(NodeObstacle::NoSpeaker);
    }
    let everywhere = ads.iter().any(|ad| ad.interfaces.is_empty());
    let wanted: BTreeSet<&String> = ads.iter().flat_map(|ad| &ad.interfaces).collect();
    let fits = |name: &&String| everywhere || wanted.iter().any(|p| glob::matches(p, name));
    let interfaces: BTreeSet<_> = node.interfaces.iter().filter(fits).cloned().collect();
    if interfaces.is_empty() {
        let wanted = wanted.into_iter().cloned().collect();
        return Err(NodeObstacle::NoInterface { wanted });
    }
    let preferences = ads.iter().flat_map(|ad| &ad.preferred);
    let weight = preferences
        .filter(|(_, selector)| selector.matches(&node.labels))
        .fold(0u32, |sum, (weight, _)| sum.saturating_add(*weight));
    let reluctance = Reluctance {
        stopping: node.stopping,
        ..Reluctance::default()
    };
    Ok(Candidate {
        interfaces,
        reluctance,
        weight,
        zone: node.zone.clone(),
    })
}
