//! One decision of a speaker: what was decided, and what it was decided from. Values only; `node`
//! makes it, `report` and `inspect` tell of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_beacon::{LinkId, NodeId};
use herald_model::announce::{self, Reluctance};

use crate::fast::Telling;
use crate::intent::{Bid, Holding};
use crate::links::{Link, Links};
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

/// Names of the interfaces that were announced on and cannot be any more.
pub(crate) fn lost(usages: &[Usage]) -> BTreeSet<&str> {
    let lost = usages.iter().filter(|usage| usage.lost);
    lost.map(|usage| usage.link.name.as_str()).collect()
}

/// This node lost an interface that others announce on: it goes last, though it may have others. Nobody
/// else has to be told, since whom it hands over to keeps what it gets.
pub(crate) fn let_go(
    desired: &mut announce::Desired,
    me: &str,
    lost: &BTreeSet<&str>,
    nodes: &BTreeMap<String, announce::Node>,
) {
    let has_lost = |node: &announce::Node| {
        let mut interfaces = node.interfaces.iter();
        interfaces.any(|name| lost.contains(name.as_str()))
    };
    if nodes
        .iter()
        .any(|(name, node)| name != me && has_lost(node))
    {
        desired.reconsider(|node, candidate| Reluctance {
            unheard: candidate.reluctance.unheard || node == me,
            ..candidate.reluctance
        });
    }
}

/// Who returned too often lately goes behind the others, and who is not heard on a network goes last
/// for what it would announce there.
pub(crate) fn pass_over(
    desired: &mut announce::Desired,
    flapping: &BTreeSet<String>,
    unheard: &BTreeMap<NodeId, BTreeSet<LinkId>>,
    names: &BTreeMap<NodeId, String>,
) {
    let name = |(node, links)| Some((names.get(node)?.as_str(), links));
    let unheard: BTreeMap<&str, &BTreeSet<LinkId>> = unheard.iter().filter_map(name).collect();
    if flapping.is_empty() && unheard.is_empty() {
        return;
    }
    desired.reconsider(|name, candidate| {
        let in_vain = unheard.get(name).is_some_and(|links| {
            let mut interfaces = candidate.interfaces.iter();
            interfaces.any(|name| links.contains(&Link::id(name)))
        });
        Reluctance {
            flapping: flapping.contains(name),
            unheard: in_vain,
            ..candidate.reluctance
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herald_model::announce::{Announcement, Candidate};

    use super::*;

    #[test]
    fn a_node_goes_last_for_addresses_of_the_network_it_is_not_heard_on() {
        let addresses = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let announcement = |interface: &str| {
            let candidate = Candidate {
                interfaces: BTreeSet::from([interface.to_owned()]),
                ..Candidate::default()
            };
            let both = ["a", "b"].map(|node| (node.to_owned(), candidate.clone()));
            Announcement {
                candidates: Arc::new(both.into()),
                ..Announcement::default()
            }
        };
        let mut desired = announce::Desired {
            addresses: [
                (addresses[0], announcement("eth0")),
                (addresses[1], announcement("eth1")),
            ]
            .into(),
            ..announce::Desired::default()
        };
        let unheard = BTreeMap::from([
            (7, BTreeSet::from([Link::id("eth0")])),
            (9, BTreeSet::new()),
        ]);
        let names = BTreeMap::from([(7, "a".to_owned()), (8, "b".to_owned())]);
        pass_over(&mut desired, &BTreeSet::new(), &unheard, &names);
        let last = |address: IpAddr| {
            let candidates = desired.addresses[&address].candidates.iter();
            let last = candidates.filter(|(_, one)| one.reluctance.unheard);
            last.map(|(node, _)| node.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(last(addresses[0]), ["a"]);
        assert!(last(addresses[1]).is_empty());
    }

    #[test]
    fn a_node_goes_last_when_an_interface_is_lost_that_others_have() {
        let vip = IpAddr::from([192, 0, 2, 1]);
        let node = |interfaces: &[&str]| announce::Node {
            interfaces: interfaces.iter().map(|&name| name.to_owned()).collect(),
            ..announce::Node::default()
        };
        let nodes = BTreeMap::from([
            ("a".to_owned(), node(&["eth1"])),
            ("b".to_owned(), node(&["eth0", "eth1"])),
        ]);
        for (lost, last) in [
            (&[][..], &[][..]),
            (&["eth0"], &["a"]),
            (&["eth2"], &[]),
            (&["eth2", "eth0"], &["a"]),
        ] {
            let both = ["a", "b"].map(|node| (node.to_owned(), Candidate::default()));
            let announcement = Announcement {
                candidates: Arc::new(both.into()),
                ..Announcement::default()
            };
            let mut desired = announce::Desired {
                addresses: [(vip, announcement)].into(),
                ..announce::Desired::default()
            };
            let_go(&mut desired, "a", &lost.iter().copied().collect(), &nodes);
            let candidates = desired.addresses[&vip].candidates.iter();
            let unheard = candidates.filter(|(_, one)| one.reluctance.unheard);
            let unheard: Vec<&str> = unheard.map(|(node, _)| node.as_str()).collect();
            assert_eq!(unheard, last, "{lost:?}");
        }
    }
}
