//! What a round decided becomes the wish of the announcing thread, and multicast groups.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::{Memory, Node};
use crate::decision::Decision;
use crate::fast::{Candidacy, Wish};
use crate::links::Links;
use crate::ports::{self, GROUPS_PER_INTERFACE};

impl Node {
    /// Hands the wish to the announcing thread and joins the groups it needs.
    pub(super) fn announce(&self, memory: &mut Memory, decision: &Decision<'_>) {
        let usages = decision.usages.iter();
        let indexes: BTreeMap<&str, u32> = usages
            .filter(|usage| usage.used.is_ok())
            .map(|usage| (usage.link.name.as_str(), usage.index))
            .collect();
        let on = |names: &BTreeSet<String>| -> BTreeSet<u32> {
            let names = names.iter();
            names
                .filter_map(|name| indexes.get(name.as_str()).copied())
                .collect()
        };
        let candidacies: BTreeMap<IpAddr, Candidacy> = decision
            .bids
            .iter()
            .map(|(address, bid)| {
                let candidacy = Candidacy {
                    interfaces: on(&bid.holding.interfaces),
                    rank: bid.rank,
                    gives_away: bid.gives_away,
                    probe_first: bid.untried,
                };
                (*address, candidacy)
            })
            .filter(|(_, candidacy)| !candidacy.interfaces.is_empty())
            .collect();
        let groups = groups(&candidacies);
        let interface = |index: &u32| Some((*index, ports::interface(decision.links.get(index)?)?));
        self.fast.set(Wish {
            ports: memory.ports.sockets(),
            interfaces: indexes.values().filter_map(interface).collect(),
            watched: candidacies.keys().copied().collect(),
            candidacies,
            peers: decision.view.peers.clone(),
        });
        self.join(memory, decision.links, groups);
    }

    /// Owned and standby addresses are listened for alike: nothing has to converge on failover.
    fn join(&self, memory: &mut Memory, links: &Links, wanted: BTreeMap<u32, BTreeSet<Ipv6Addr>>) {
        let mut memberships = BTreeSet::new();
        for (index, groups) in wanted {
            let Some(link) = links.get(&index) else {
                continue;
            };
            if groups.len() > GROUPS_PER_INTERFACE {
                memory.ports.hear_all_groups(index, &link.name);
            } else {
                memberships.extend(groups.into_iter().map(|group| (index, link.epoch, group)));
            }
        }
        for ((index, _, group), error) in memory.groups.set(&memberships) {
            tracing::warn!(index, %group, %error, "a multicast group cannot be joined, trying again");
        }
        self.metrics
            .groups
            .set(i64::try_from(memory.groups.count()).unwrap_or(i64::MAX));
    }
}

/// The solicited-node groups by interface.
fn groups(candidacies: &BTreeMap<IpAddr, Candidacy>) -> BTreeMap<u32, BTreeSet<Ipv6Addr>> {
    let mut groups: BTreeMap<u32, BTreeSet<Ipv6Addr>> = BTreeMap::new();
    for (address, candidacy) in candidacies {
        if let IpAddr::V6(address) = address {
            for index in &candidacy.interfaces {
                let group = herald_l2::ndp::solicited_node(*address);
                groups.entry(*index).or_default().insert(group);
            }
        }
    }
    groups
}
