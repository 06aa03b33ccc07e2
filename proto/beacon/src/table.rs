//! One node's votes: for each address who owns it, and the rules by which a vote may change. It
//! knows the votes only; who is silent is told by the caller.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::wire::Space;
use crate::{Entry, Life, NodeId};

/// A node's claim on an address. No two claims are equal; epoch 0 is no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Claim {
    /// Higher than every claim its author knew.
    pub epoch: u64,
    /// Its author.
    pub owner: NodeId,
    /// The author's life.
    pub life: Life,
}

/// What is known of the owner a vote names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Nothing was heard of it for SUSPECT.
    pub(crate) silent: bool,
    /// Its newest proven life.
    pub(crate) life: Option<Life>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Vote {
    pub(crate) record: Claim,
    /// The newest release that could name the record.
    pub(crate) released: Claim,
    changed: u64,
}

impl Vote {
    /// R2 and R4: whether node `me` may replace this vote by `new`. `sight` is of the owner it
    /// names; whether a claim of its own still stands is the caller's to settle (R2 e).
    pub(crate) fn may_become(&self, me: NodeId, new: Claim, sight: Sight) -> bool {
        let old = self.record;
        if new.epoch <= old.epoch {
            return false;
        }
        if old.epoch == 0 {
            return true;
        }
        if new.owner == old.owner {
            return new.life >= old.life;
        }
        old.owner == me
            || self.released == old
            || sight.life.is_some_and(|life| life > old.life)
            || sight.silent
    }
}

/// All votes, with the order in which they changed.
#[derive(Debug, Default)]
pub(crate) struct Table {
    votes: BTreeMap<IpAddr, Vote>,
    order: BTreeMap<u64, IpAddr>,
    version: u64,
    /// The highest epoch of a vote that was forgotten.
    floor: u64,
}

impl Table {
    /// Grows with every change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn vote(&self, address: IpAddr) -> Vote {
        self.votes.get(&address).copied().unwrap_or_default()
    }

    /// Claims are made above this.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The votes whose claim was released and that did not change after `version`.
    pub(crate) fn released_by(&self, version: u64) -> impl Iterator<Item = IpAddr> {
        let released = self.votes.iter().filter(move |(_, vote)| {
            vote.record.epoch > 0 && vote.released == vote.record && vote.changed <= version
        });
        released.map(|(address, _)| *address)
    }

    /// The vote is empty from now on, and peers are told so.
    pub(crate) fn forget(&mut self, address: IpAddr) {
        let vote = self.vote(address);
        self.floor = self.floor.max(vote.record.epoch).max(vote.released.epoch);
        self.change(address, |vote| {
            (vote.record, vote.released) = (Claim::default(), Claim::default());
        });
    }

    /// Keeps nothing of empty votes that did not change after `version`: everybody was told.
    pub(crate) fn drop_forgotten(&mut self, version: u64) {
        let order = &mut self.order;
        self.votes.retain(|_, vote| {
            let empty = vote.record.epoch == 0 && vote.released.epoch == 0;
            let stays = !empty || vote.changed > version;
            if !stays {
                order.remove(&vote.changed);
            }
            stays
        });
    }

    /// The votes that name an owner.
    pub(crate) fn records(&self) -> impl Iterator<Item = (IpAddr, Claim)> {
        let named = self.votes.iter().filter(|(_, vote)| vote.record.epoch > 0);
        named.map(|(address, vote)| (*address, vote.record))
    }

    pub(crate) fn record(&mut self, address: IpAddr, record: Claim) {
        self.change(address, |vote| vote.record = record);
    }

    /// Notes that `claim` was released. An older release than the known one is of no use, unless it
    /// names the record itself.
    pub(crate) fn release(&mut self, address: IpAddr, claim: Claim) {
        let vote = self.vote(address);
        let newer = claim.epoch > vote.released.epoch && vote.released != vote.record;
        if vote.released != claim && claim.epoch > 0 && (newer || claim == vote.record) {
            self.change(address, |vote| vote.released = claim);
        }
    }

    fn change(&mut self, address: IpAddr, how: impl FnOnce(&mut Vote)) {
        self.version += 1;
        let vote = self.votes.entry(address).or_default();
        self.order.remove(&vote.changed);
        how(vote);
        vote.changed = self.version;
        self.order.insert(self.version, address);
    }

    /// As many votes that changed after version `base` as have space, oldest change first, and the
    /// version up to which they are complete.
    pub(crate) fn page(&self, base: u64, mut space: Space) -> (Vec<Entry>, u64) {
        let mut entries = Vec::new();
        let mut complete = base;
        for (changed, address) in self.order.range(base.saturating_add(1)..) {
            let vote = self.vote(*address);
            let entry = Entry {
                address: *address,
                record: vote.record,
                released: vote.released,
            };
            if !space.take(&entry) {
                return (entries, complete);
            }
            entries.push(entry);
            complete = *changed;
        }
        (entries, self.version)
    }
}

#[cfg(test)]
mod tests;
