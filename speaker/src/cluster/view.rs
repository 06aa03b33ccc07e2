//! The view as it stands on the API server: one ConfigMap, changed by compare-and-swap. Pure.
//!
//! Nodes are named there; in beacons they are numbers, made from the names.

use std::collections::{BTreeMap, BTreeSet};

use herald_beacon::{MAX_MEMBERS, NodeId, View};
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Name of the ConfigMap.
pub(crate) const NAME: &str = "herald-membership";
/// The key in it.
const KEY: &str = "view";

/// A view with the names of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedView {
    pub number: u64,
    pub members: BTreeSet<String>,
}

impl NamedView {
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
        View {
            number: self.number,
            members: self.members.iter().map(|name| id(name)).collect(),
        }
    }

    /// The view after this one on the way to `wanted`: one node less, else one more; none when
    /// nothing is left to change or there is no room. Removing comes first: a member that is gone
    /// counts against every majority.
    pub(crate) fn next(&self, wanted: &BTreeSet<String>) -> Option<Self> {
        let mut members = self.members.clone();
        if let Some(leaver) = self.members.difference(wanted).next() {
            members.remove(leaver);
        } else {
            let joiner = wanted.difference(&self.members).next()?;
            if members.len() >= MAX_MEMBERS {
                return None;
            }
            members.insert(joiner.clone());
        }
        Some(Self {
            number: self.number + 1,
            members,
        })
    }
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

    fn view(number: u64, members: &[&str]) -> NamedView {
        NamedView {
            number,
            members: names(members),
        }
    }

    #[test]
    fn the_number_of_a_node_is_fixed_for_all_versions_that_may_run_together() {
        // printf node-1 | sha256sum
        assert_eq!(id("node-1"), 0x3597_1be6_e9bb_024a);
    }

    #[test]
    fn each_step_changes_one_node_and_leavers_go_first() {
        let now = view(4, &["a", "b"]);
        assert_eq!(now.next(&names(&["a", "b"])), None);
        assert_eq!(now.next(&names(&["a", "c"])), Some(view(5, &["a"])));
        assert_eq!(
            now.next(&names(&["a", "b", "d", "c"])),
            Some(view(5, &["a", "b", "c"]))
        );
        let full: Vec<String> = (0..MAX_MEMBERS).map(|n| format!("n{n:02}")).collect();
        let full = NamedView {
            number: 1,
            members: full.into_iter().collect(),
        };
        let mut more = full.members.clone();
        more.insert("z".to_owned());
        assert_eq!(full.next(&more), None);
    }

    #[test]
    fn a_view_is_read_as_it_is_written() {
        let written = view(7, &["a", "b"]);
        let object = ConfigMap {
            data: Some(written.data()),
            ..ConfigMap::default()
        };
        assert_eq!(NamedView::read(&object), Some(written));
        let nonsense = ConfigMap {
            data: Some([(KEY.to_owned(), "seven".to_owned())].into()),
            ..ConfigMap::default()
        };
        assert_eq!(NamedView::read(&nonsense), None);
        assert_eq!(NamedView::read(&ConfigMap::default()), None);
    }
}
