//! Prefixes that wait to be told, by how they are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Route;
use crate::{Family, Prefix, codec};

/// How a prefix is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) route: Arc<Route>,
    /// With the words that it is about to go (R3).
    pub(crate) leaving: bool,
}

impl Told {
    /// As equality, and quick where the route is the very same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.leaving == other.leaving
            && (Arc::ptr_eq(&self.route, &other.route) || self.route == other.route)
    }
}

/// Prefixes in groups of equal attributes. IPv4 comes before IPv6 in each.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    groups: BTreeMap<Told, VecDeque<Prefix>>,
    families: [usize; 2],
}

const fn place(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

impl Queue {
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Prefixes of a group are pushed in ascending order.
    pub(crate) fn push(&mut self, told: &Told, prefix: Prefix) {
        self.families[place(prefix.family())] += 1;
        match self.groups.get_mut(told) {
            Some(group) => group.push_back(prefix),
            None => {
                let _ = self.groups.insert(told.clone(), VecDeque::from([prefix]));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// None of this family waits.
    pub(crate) const fn has_none_of(&self, family: Family) -> bool {
        self.families[place(family)] == 0
    }

    /// How the next prefix is told, and of which family it is.
    pub(crate) fn front(&self) -> Option<(&Told, Family)> {
        let (told, group) = self.groups.first_key_value()?;
        Some((told, group.front()?.family()))
    }

    /// Takes what is told in the same way and of the same family as the first, as many prefixes as
    /// `room` octets hold; one at least, so that the queue always moves.
    pub(crate) fn take(&mut self, mut room: usize) -> Vec<Prefix> {
        let mut taken: Vec<Prefix> = Vec::new();
        let Some(mut group) = self.groups.first_entry() else {
            return taken;
        };
        while let Some(prefix) = group.get().front().copied() {
            let fits =
                |first: &Prefix| first.family() == prefix.family() && codec::size(prefix) <= room;
            if !taken.first().is_none_or(fits) {
                break;
            }
            room = room.saturating_sub(codec::size(prefix));
            group.get_mut().pop_front();
            taken.push(prefix);
        }
        if group.get().is_empty() {
            group.remove();
        }
        if let Some(first) = taken.first() {
            self.families[place(first.family())] -= taken.len();
        }
        taken
    }
}
