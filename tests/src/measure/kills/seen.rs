//! What a watch of Services says about who held which address when. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// One Service in one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) name: String,
    /// The address it asks for.
    pub(super) asks: Option<String>,
    /// Who has the same key may hold the same address.
    pub(super) sharing: Option<String>,
    /// Its addresses, as its status says.
    pub(super) holds: BTreeSet<String>,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    now: BTreeMap<String, Version>,
    /// How many versions there were.
    pub(super) versions: usize,
    /// How many Services there were.
    pub(super) services: usize,
    /// How often a Service got an address.
    pub(super) given: usize,
    /// What should not have happened.
    pub(super) complaints: Vec<String>,
}

impl Seen {
    /// The next version of a Service, in the order of the API server.
    pub(super) fn set(&mut self, version: Version) {
        self.versions += 1;
        let before = self.now.get(&version.name);
        self.services += usize::from(before.is_none());
        let held = before
            .map(|before| before.holds.clone())
            .unwrap_or_default();
        let asked = before.is_none_or(|before| before.asks != version.asks);
        self.given += usize::from(!version.holds.is_subset(&held));
        let name = &version.name;
        let may_move = asked || version.asks.is_some();
        if !may_move && !held.is_subset(&version.holds) {
            self.complaints.push(format!(
                "{name} held {held:?}, asked for nothing else and has {:?} now",
                version.holds
            ));
        }
        for other in self.now.values().filter(|other| other.name != *name) {
            let shares = version.sharing.is_some() && version.sharing == other.sharing;
            for address in version.holds.intersection(&other.holds) {
                if !shares && !held.contains(address) {
                    self.complaints.push(format!(
                        "{address} was given to {name} while {} held it",
                        other.name
                    ));
                }
            }
        }
        self.now.insert(version.name.clone(), version);
    }

    /// A Service is gone.
    pub(super) fn remove(&mut self, name: &str) {
        self.now.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str, asks: Option<&str>, holds: &[&str]) -> Version {
        Version {
            name: name.to_owned(),
            asks: asks.map(str::to_owned),
            sharing: None,
            holds: holds.iter().map(|a| (*a).to_owned()).collect(),
        }
    }

    fn complaints(versions: &[Version]) -> Vec<String> {
        let mut seen = Seen::default();
        versions.iter().cloned().for_each(|v| seen.set(v));
        seen.complaints
    }

    #[test]
    fn an_address_given_twice_or_taken_for_nothing_is_told() {
        let twice = [version("a", None, &["1"]), version("b", None, &["1"])];
        assert_eq!(complaints(&twice), ["1 was given to b while a held it"]);
        for (holds, told) in [(&["1"][..], 0), (&["2"], 1), (&[], 1), (&["1", "6"], 0)] {
            let moved = [version("a", None, &["1"]), version("a", None, holds)];
            assert_eq!(complaints(&moved).len(), told, "{holds:?}");
        }
        let asked = [version("a", None, &["1"]), version("a", Some("2"), &["2"])];
        assert!(complaints(&asked).is_empty());
    }

    #[test]
    fn who_shares_a_key_shares_an_address_and_who_is_gone_holds_nothing() {
        let shared = |name| Version {
            sharing: Some("k".to_owned()),
            ..version(name, None, &["1"])
        };
        assert!(complaints(&[shared("a"), shared("b")]).is_empty());
        let mut seen = Seen::default();
        seen.set(version("a", None, &["1"]));
        seen.remove("a");
        seen.set(version("b", None, &["1"]));
        assert!(seen.complaints.is_empty());
        assert_eq!((seen.services, seen.given, seen.versions), (2, 2, 2));
    }
}
