//! Which addresses are to be judged, and when: those that something changed about, at once, and
//! those that wait for a time. It knows nothing of why.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::Time;

#[derive(Debug, Default)]
pub(crate) struct Agenda {
    changed: BTreeSet<IpAddr>,
    due: BTreeSet<(Time, IpAddr)>,
    when: BTreeMap<IpAddr, Time>,
}

impl Agenda {
    /// To be judged at the next occasion.
    pub(crate) fn mark(&mut self, address: IpAddr) {
        self.changed.insert(address);
    }

    /// To be judged at `time`, unless it already is to be earlier.
    pub(crate) fn put(&mut self, address: IpAddr, time: Time) {
        let known = self.when.get(&address).copied();
        if known.is_some_and(|known| known <= time) {
            return;
        }
        if let Some(known) = known {
            self.due.remove(&(known, address));
        }
        self.due.insert((time, address));
        self.when.insert(address, time);
    }

    /// Something is to be judged at the next occasion.
    pub(crate) fn is_marked(&self) -> bool {
        !self.changed.is_empty()
    }

    /// When the first address is due that waits for a time.
    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first().map(|(time, _)| *time)
    }

    /// Takes out all that are to be judged at `now`.
    pub(crate) fn take(&mut self, now: Time) -> BTreeSet<IpAddr> {
        let mut taken = std::mem::take(&mut self.changed);
        while let Some((time, address)) = self.due.first().copied() {
            if time > now {
                break;
            }
            self.due.remove(&(time, address));
            self.when.remove(&address);
            taken.insert(address);
        }
        taken
    }
}
