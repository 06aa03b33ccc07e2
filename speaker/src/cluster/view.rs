//! The view as it stands on the API server: one ConfigMap, changed by compare-and-swap. Pure.
//!
//! Nodes are named there; in beacons they are numbers, made from the names.

use std::collections::{BTreeMap, BTreeSet};

use herald_beacon::{MAX_MEMBERS, MAX_VOTERS, NodeId, View};
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Name of the ConfigMap.
pub(crate) const NAME: &str = "herald-membership";
/// The key in it.
const KEY: &str = "view";
/// Another: the name of the node that no next view is written past.
const MARK: &str = "witness";

/// So many members vote once there are more than [`MAX_VOTERS`].
const COUNCIL: usize = 7;
/// With so many members or fewer all vote again.
const FEW: usize = 24;

/// A view with the names of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedView {
    pub number: u64,
    pub members: BTreeSet<String>,
    /// Those of them that vote; none where all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voters: Option<BTreeSet<String>>,
}

/// What is known of a node that should be a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Applicant {
    /// Where it stands, as far as failures are concerned.
    pub zone: Option<String>,
    /// It is heard, and hears a majority.
    pub heard: bool,
    /// Nothing was heard of it for so long that another should vote in its place.
    pub lost: bool,
}

impl NamedView {
    /// The first of all: of as many as may vote.
    pub(crate) fn first(wanted: &BTreeMap<String, Applicant>) -> Self {
        Self {
            number: 1,
            members: wanted.keys().take(MAX_VOTERS).cloned().collect(),
            voters: None,
        }
    }

    /// The view a ConfigMap carries; None when it carries none that can be read.
    pub(crate) fn read(object: &ConfigMap) -> Option<Self> {
        serde_json::from_str(object.data.as_ref()?.get(KEY)?).ok()
    }

    /// As data of the ConfigMap.
    pub(crate) fn data(&self) -> BTreeMap<String, String> {
        // Strings and a number cannot fail to be JSON.
        let text = serde_json::to_string(self).unwrap_or_default();
        [(KEY.to_owned(), text)].into()
    }

    /// As beacons carry it.
    pub(crate) fn view(&self) -> View {
        let ids = |names: &BTreeSet<String>| names.iter().map(|name| id(name)).collect();
        View {
            number: self.number,
            members: ids(&self.members),
            voters: ids(self.voters()),
        }
    }

    fn voters(&self) -> &BTreeSet<String> {
        self.voters.as_ref().unwrap_or(&self.members)
    }

    /// The view after this one on the way to `wanted`, one node changed; none when nothing is left to
    /// change or there is no room. Removing comes first: a voter that is gone counts against every
    /// majority. Nobody joins unheard, for the same reason. Where there are more members than may vote, [`COUNCIL`] of them do, from all zones
    /// alike; the first one to lose its vote is one that is lost.
    pub(crate) fn next(&self, wanted: &BTreeMap<String, Applicant>) -> Option<Self> {
        let (mut members, mut voters) = (self.members.clone(), self.voters().clone());
        let all_vote = voters == members;
        let many = wanted.len() > if all_vote { MAX_VOTERS } else { FEW };
        let leaver = members.iter().find(|name| !wanted.contains_key(*name));
        let lost = |name: &String| wanted.get(name).is_some_and(|one| one.lost);
        let zone = |name: &String| wanted.get(name).and_then(|one| one.zone.clone());
        let beside = |name: &String| {
            let same = voters.iter().filter(|other| zone(other) == zone(name));
            same.count()
        };
        let deaf = voters.iter().find(|name| many && lost(name));
        let clients = members.difference(&voters).filter(|name| !lost(name));
        let fresh = clients.min_by_key(|name| (beside(name), id(name)));
        let spare = voters.iter().max_by_key(|name| (beside(name), id(name)));
        let mut outside = wanted.iter().filter(|(name, _)| !members.contains(*name));
        let joiner = outside.find(|(_, one)| one.heard).map(|(name, _)| name);
        let joiner = joiner.filter(|_| members.len() < MAX_MEMBERS);
        let short = !many || voters.len() < COUNCIL;
        if let Some(leaver) = leaver.cloned() {
            if voters.len() == 1 && voters.contains(&leaver) && members.len() > 1 {
                voters.insert(fresh?.clone());
            } else {
                members.remove(&leaver);
                voters.remove(&leaver);
            }
        } else if let Some(deaf) = deaf.filter(|_| fresh.is_some()).cloned() {
            voters.remove(&deaf);
        } else if let Some(fresh) = fresh.filter(|_| short).cloned() {
            voters.insert(fresh);
        } else if let Some(joiner) = joiner.cloned() {
            if all_vote && !many {
                voters.insert(joiner.clone());
            }
            members.insert(joiner);
        } else if let Some(spare) = spare.filter(|_| many && voters.len() > COUNCIL).cloned() {
            voters.remove(&spare);
        } else {
            return None;
        }
        Some(Self {
            number: self.number + 1,
            voters: (voters != members).then_some(voters),
            members,
        })
    }
}

/// The node that the chain is marked with: it holds, or held, what breaks the tie.
pub(crate) fn marked(object: &ConfigMap) -> Option<&str> {
    let mark = object.data.as_ref()?.get(MARK)?;
    Some(mark.as_str())
}

/// Marks the chain, or takes the mark away.
pub(crate) fn mark(object: &mut ConfigMap, node: Option<&str>) {
    let data = object.data.get_or_insert_default();
    match node {
        Some(node) => data.insert(MARK.to_owned(), node.to_owned()),
        None => data.remove(MARK),
    };
}

/// The number of a node: the first eight bytes of the SHA-256 of its name.
pub(crate) fn id(name: &str) -> NodeId {
    number(name.as_bytes())
}

/// The first eight bytes of a SHA-256.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    let first = digest.iter().take(8);
    first.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn wanted(list: &[&str]) -> BTreeMap<String, Applicant> {
        let names = names(list).into_iter();
        let heard = Applicant {
            heard: true,
            ..Applicant::default()
        };
        names.map(|name| (name, heard.clone())).collect()
    }

    fn view(number: u64, members: &[&str]) -> NamedView {
        NamedView {
            number,
            members: names(members),
            voters: None,
        }
    }

    /// So many nodes, in three zones in turn.
    fn nodes(count: usize) -> BTreeMap<String, Applicant> {
        let node = |at: usize| {
            let applicant = Applicant {
                zone: Some(format!("zone-{}", at % 3)),
                heard: true,
                lost: false,
            };
            (format!("n{at:03}"), applicant)
        };
        (0..count).map(node).collect()
    }

    /// Steps until nothing is left to change; each changes one node and no more.
    fn last(mut view: NamedView, wanted: &BTreeMap<String, Applicant>) -> NamedView {
        for _ in 0..500 {
            let Some(next) = view.next(wanted) else {
                return view;
            };
            let members = view.members.symmetric_difference(&next.members);
            let voters = view.voters().symmetric_difference(next.voters());
            let changed: BTreeSet<&String> = members.chain(voters).collect();
            assert_eq!(
                (changed.len(), next.number),
                (1, view.number + 1),
                "{changed:?}"
            );
            assert!(next.view().voters.is_subset(&next.view().members));
            assert!(!next.voters().is_empty() && next.voters().len() <= MAX_VOTERS);
            view = next;
        }
        panic!("it never ends");
    }

    #[test]
    fn the_number_of_a_node_is_fixed_for_all_versions_that_may_run_together() {
        // printf node-1 | sha256sum
        assert_eq!(id("node-1"), 0x3597_1be6_e9bb_024a);
    }

    #[test]
    fn each_step_changes_one_node_and_leavers_go_first() {
        let now = view(4, &["a", "b"]);
        assert_eq!(now.next(&wanted(&["a", "b"])), None);
        assert_eq!(now.next(&wanted(&["a", "c"])), Some(view(5, &["a"])));
        assert_eq!(
            now.next(&wanted(&["a", "b", "d", "c"])),
            Some(view(5, &["a", "b", "c"]))
        );
    }

    #[test]
    fn who_is_not_heard_does_not_join() {
        let mut wanted = wanted(&["a", "b", "c"]);
        wanted.get_mut("b").expect("one").heard = false;
        let now = view(4, &["a"]);
        assert_eq!(now.next(&wanted), Some(view(5, &["a", "c"])));
        assert_eq!(view(5, &["a", "c"]).next(&wanted), None);
        let first = NamedView::first(&wanted);
        assert_eq!(
            first.members.len(),
            3,
            "nobody can be heard before there is a view"
        );
    }

    #[test]
    fn of_many_members_seven_vote_from_all_zones_alike() {
        let thirty_two = last(NamedView::first(&nodes(32)), &nodes(32));
        assert_eq!(thirty_two.voters, None, "all");
        let forty = last(thirty_two.clone(), &nodes(40));
        assert_eq!((forty.members.len(), forty.voters().len()), (40, 7));
        let zone = |name: &String| nodes(40)[name].zone.clone();
        let mut zones: BTreeMap<Option<String>, usize> = BTreeMap::new();
        for voter in forty.voters() {
            *zones.entry(zone(voter)).or_default() += 1;
        }
        assert_eq!(zones.into_values().max(), Some(3));
        let started = NamedView::first(&nodes(40));
        assert_eq!(last(started, &nodes(40)).voters().len(), 7);
        let thirty = last(forty.clone(), &nodes(30));
        assert_eq!((thirty.members.len(), thirty.voters().len()), (30, 7));
        let few = last(thirty, &nodes(24));
        assert_eq!((few.members.len(), few.voters), (24, None), "all again");
        let most = last(forty, &nodes(200));
        assert_eq!((most.members.len(), most.voters().len()), (MAX_MEMBERS, 7));
        assert!(most.view().voters.len() == 7);
    }

    #[test]
    fn a_voter_that_is_lost_is_replaced_by_a_member_that_is_not() {
        let mut wanted = nodes(40);
        let now = last(NamedView::first(&wanted), &wanted);
        let lost = now.voters().first().expect("seven").clone();
        wanted.get_mut(&lost).expect("a member").lost = true;
        let then = last(now.clone(), &wanted);
        assert!(!then.voters().contains(&lost) && then.members.contains(&lost));
        assert_eq!(then.voters().len(), 7);
        let kept = then.voters().intersection(now.voters()).count();
        assert_eq!(kept, 6, "no other one changes");
        for one in wanted.values_mut() {
            one.lost = true;
        }
        assert_eq!(then.next(&wanted), None, "nobody is better");
        let mut few = nodes(5);
        few.get_mut("n000").expect("one").lost = true;
        assert_eq!(NamedView::first(&few).next(&few), None, "all vote");
    }

    #[test]
    fn the_last_voter_leaves_after_another_has_a_vote() {
        let lonely = NamedView {
            voters: Some(names(&["a"])),
            ..view(4, &["a", "b"])
        };
        let after = lonely.next(&wanted(&["b"])).expect("a step");
        assert_eq!(after, view(5, &["a", "b"]));
        assert_eq!(after.next(&wanted(&["b"])), Some(view(6, &["b"])));
    }

    #[test]
    fn a_mark_changes_nothing_of_the_view() {
        let written = view(7, &["a", "b"]);
        let mut object = ConfigMap {
            data: Some(written.data()),
            ..ConfigMap::default()
        };
        assert_eq!(marked(&object), None);
        mark(&mut object, Some("a"));
        assert_eq!(marked(&object), Some("a"));
        assert_eq!(NamedView::read(&object), Some(written.clone()));
        mark(&mut object, None);
        assert_eq!(marked(&object), None);
        assert_eq!(object.data, Some(written.data()));
    }

    #[test]
    fn a_view_is_read_as_it_is_written() {
        let written = view(7, &["a", "b"]);
        let object = ConfigMap {
            data: Some(written.data()),
            ..ConfigMap::default()
        };
        assert_eq!(NamedView::read(&object), Some(written));
        let council = NamedView {
            voters: Some(names(&["b"])),
            ..view(8, &["a", "b"])
        };
        let object = ConfigMap {
            data: Some(council.data()),
            ..ConfigMap::default()
        };
        assert_eq!(NamedView::read(&object), Some(council));
        let nonsense = ConfigMap {
            data: Some([(KEY.to_owned(), "seven".to_owned())].into()),
            ..ConfigMap::default()
        };
        assert_eq!(NamedView::read(&nonsense), None);
        assert_eq!(NamedView::read(&ConfigMap::default()), None);
    }
}
