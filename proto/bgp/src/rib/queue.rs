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

/// Prefixes in groups of equal attributes, in the order in which the groups came up. IPv4 comes
/// before IPv6 in each. Filled, then emptied from the front.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    groups: VecDeque<(Told, VecDeque<Prefix>)>,
    /// Where each group is, counted from the first there ever was.
    places: BTreeMap<Told, usize>,
    /// How many groups are gone.
    gone: usize,
    /// The group of the last prefix: neighbours mostly share one.
    last: usize,
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
        let neighbour = self.groups.get_mut(self.last.wrapping_sub(self.gone));
        if let Some((held, group)) = neighbour
            && Arc::ptr_eq(&held.route, &told.route)
            && held.leaving == told.leaving
        {
            group.push_back(prefix);
            return;
        }
        let known = self.places.get(told).copied();
        let waiting = known.and_then(|at| Some((at, at.checked_sub(self.gone)?)));
        if let Some((at, index)) = waiting
            && let Some((_, group)) = self.groups.get_mut(index)
        {
            group.push_back(prefix);
            self.last = at;
            return;
        }
        self.last = self.gone + self.groups.len();
        self.places.insert(told.clone(), self.last);
        self.groups
            .push_back((told.clone(), VecDeque::from([prefix])));
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
        let (told, group) = self.groups.front()?;
        Some((told, group.front()?.family()))
    }

    /// Takes what is told in the same way and of the same family as the first, as many prefixes as
    /// `room` octets hold; one at least, so that the queue always moves.
    pub(crate) fn take(&mut self, mut room: usize) -> Vec<Prefix> {
        let mut taken: Vec<Prefix> = Vec::new();
        let Some((_, group)) = self.groups.front_mut() else {
            return taken;
        };
        while let Some(prefix) = group.front().copied() {
            let fits =
                |first: &Prefix| first.family() == prefix.family() && codec::size(prefix) <= room;
            if !taken.first().is_none_or(fits) {
                break;
            }
            room = room.saturating_sub(codec::size(prefix));
            group.pop_front();
            taken.push(prefix);
        }
        if group.is_empty() {
            self.groups.pop_front();
            self.gone += 1;
        }
        if let Some(first) = taken.first() {
            self.families[place(first.family())] -= taken.len();
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(med: u32) -> Told {
        let route = Arc::new(Route {
            med: Some(med),
            ..Route::default()
        });
        Told {
            route,
            leaving: false,
        }
    }

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_taken_in_groups_of_one_family_that_fit() {
        let mut queue = Queue::default();
        for (med, text) in [
            (1, "10.0.0.0/8"),
            (2, "10.0.0.0/32"),
            (1, "11.0.0.0/8"),
            (1, "12.0.0.0/8"),
            (1, "2000::/8"),
        ] {
            queue.push(&told(med), prefix(text));
        }
        assert_eq!(queue.front(), Some((&told(1), Family::Ipv4)));
        assert_eq!(queue.take(4), [prefix("10.0.0.0/8"), prefix("11.0.0.0/8")]);
        assert_eq!(queue.take(0), [prefix("12.0.0.0/8")], "one at least");
        assert!(!queue.has_none_of(Family::Ipv4));
        assert_eq!(queue.take(100), [prefix("2000::/8")]);
        assert!(queue.has_none_of(Family::Ipv6));
        assert_eq!(queue.front(), Some((&told(2), Family::Ipv4)));
        queue.push(&told(1), prefix("13.0.0.0/8"));
        assert_eq!(queue.take(100), [prefix("10.0.0.0/32")]);
        assert_eq!(queue.take(100), [prefix("13.0.0.0/8")]);
        assert!(queue.is_empty() && queue.take(100).is_empty());
    }
}
