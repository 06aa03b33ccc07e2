//! What a node decides: which votes of others it takes over, which claims it makes, defends and
//! withdraws. Whether a vote may change is `table`'s to say; when a candidate tries is decided here
//! and makes no difference to safety.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::{Node, Standing};
use crate::peer::Peer;
use crate::{Claim, NodeId, Time};

impl Node {
    /// Applies what peers told, then pursues the wishes.
    pub(super) fn judge(&mut self, now: Time) {
        let version = self.table.version();
        self.merge(now);
        self.note_wins(now);
        self.defend(now);
        self.pursue(now);
        if self.table.version() != version {
            for peer in self.peers.values_mut() {
                peer.due = now;
            }
        }
        self.judge = self.next_judgement(now);
    }

    fn merge(&mut self, now: Time) {
        let mut told = Vec::new();
        for (id, peer) in &self.peers {
            told.extend(peer.mirror.values().map(|entry| (*id, peer.life, *entry)));
        }
        for (id, life, entry) in told {
            let address = entry.address;
            let vote = self.table.vote(address);
            // Its owner votes for what is above: the recorded claim does not stand any more.
            let moved_on = vote.record.owner == id
                && Some(vote.record.life) == life
                && entry.record.epoch > vote.record.epoch;
            if moved_on {
                self.table.release(address, vote.record);
            }
            self.table.release(address, entry.released);
            let known = self.config.members.contains_key(&entry.record.owner);
            let vote = self.table.vote(address);
            // A claim that others do not accept must not end what they acknowledge.
            let held = self.owns(address, now).is_some();
            if known && !held && self.may_become(&vote, entry.record, now) {
                if let Some(ended) = self.standing.remove(&address) {
                    self.table.release(address, ended.claim);
                }
                self.table.record(address, entry.record);
                self.table.release(address, entry.released);
            }
        }
    }

    /// Claims anew, above what is in the way of a claim that stands: a rival's of the same epoch, if
    /// this node goes first of the two, or a higher one that was withdrawn by now and that a peer
    /// which hears this node still votes for.
    fn defend(&mut self, now: Time) {
        let me = self.config.me;
        let in_the_way = |(address, standing): (&IpAddr, &Standing)| {
            let stuck = |(id, peer): (&NodeId, &Peer)| {
                let Some(entry) = peer.mirror.get(address) else {
                    return false;
                };
                let rival = entry.record;
                let tie = rival.epoch == standing.claim.epoch && rival.owner > me;
                let withdrawn = rival.epoch > standing.claim.epoch && entry.released == rival;
                (tie && !standing.won) || (withdrawn && self.hears_me(*id, now))
            };
            self.peers.iter().any(stuck).then_some(*address)
        };
        let addresses: Vec<IpAddr> = self.standing.iter().filter_map(in_the_way).collect();
        for address in addresses {
            self.claim(address, now);
        }
    }

    fn hears_me(&self, peer: NodeId, now: Time) -> bool {
        let hears = self
            .peers
            .get(&peer)
            .and_then(|peer| peer.hears.get(&self.config.me));
        hears.is_some_and(|(life, _, grew)| {
            *life == self.config.life && now < *grew + self.config.timers.grant
        })
    }

    fn pursue(&mut self, now: Time) {
        let timers = self.config.timers;
        let addresses: Vec<IpAddr> = self.hopes.keys().copied().collect();
        let majority = self.live(now).len() > self.config.members.len() / 2;
        for address in addresses {
            if let Some(standing) = self.standing.get(&address) {
                if !standing.won && now >= standing.since + self.patience(address, standing) {
                    self.withdraw(address, now);
                }
                continue;
            }
            let new = self.next_claim(address);
            let vote = self.table.vote(address);
            let free = new.is_some_and(|new| self.may_become(&vote, new, now))
                && majority
                && !self.others_hear(vote.record.owner, now);
            let Some(hope) = self.hopes.get_mut(&address) else {
                continue;
            };
            if !free {
                hope.open = None;
                continue;
            }
            let open = *hope.open.get_or_insert(now);
            if now >= hope.retry.max(open + timers.pause * hope.wish.rank) {
                self.claim(address, now);
            }
        }
    }

    /// How long a claim without a majority stands: acceptors may begin to suspect the owner later
    /// than this node, but a rival's claim will not go away while this one stands.
    fn patience(&self, address: IpAddr, standing: &Standing) -> Duration {
        let rival = |peer: &Peer| {
            let entry = peer.mirror.get(&address);
            entry.is_some_and(|entry| {
                entry.record.epoch >= standing.claim.epoch && entry.record != standing.claim
            })
        };
        if self.peers.values().any(rival) {
            self.config.timers.pause * 5
        } else {
            self.config.timers.suspect
        }
    }

    /// So many members heard `owner` later than this node that no majority can suspect it yet.
    fn others_hear(&self, owner: NodeId, now: Time) -> bool {
        let Some(known) = self.peers.get(&owner) else {
            return false;
        };
        let hearing = self.peers.values().filter(|peer| {
            peer.hears.get(&owner).is_some_and(|(life, seq, grew)| {
                (Some(*life), *seq) > (known.life, known.seq)
                    && now < *grew + self.config.timers.suspect
            })
        });
        let members = self.config.members.len();
        known.sight(now, self.config.timers.suspect).silent
            && members - hearing.count() <= members / 2
    }

    fn next_claim(&self, address: IpAddr) -> Option<Claim> {
        let told = self
            .peers
            .values()
            .filter_map(|peer| peer.mirror.get(&address));
        let told = told.flat_map(|entry| [entry.record.epoch, entry.released.epoch]);
        let vote = self.table.vote(address);
        let highest = told.chain([vote.record.epoch, vote.released.epoch]).max();
        Some(Claim {
            epoch: highest?.checked_add(1)?,
            owner: self.config.me,
            life: self.config.life,
        })
    }

    fn claim(&mut self, address: IpAddr, now: Time) {
        let Some(claim) = self.next_claim(address) else {
            return;
        };
        self.table.record(address, claim);
        self.standing.insert(
            address,
            Standing {
                claim,
                since: now,
                won: false,
                grants: BTreeMap::new(),
            },
        );
    }

    pub(super) fn withdraw(&mut self, address: IpAddr, now: Time) {
        let pause = self.config.timers.pause;
        if let Some(standing) = self.standing.remove(&address) {
            self.table.release(address, standing.claim);
            for peer in self.peers.values_mut() {
                peer.due = now;
            }
        }
        if let Some(hope) = self.hopes.get_mut(&address) {
            hope.open = None;
            hope.retry = now + pause * (1 + 5 * hope.wish.rank);
        }
    }

    fn next_judgement(&self, now: Time) -> Time {
        let timers = self.config.timers;
        let silences = self.peers.values().filter_map(|peer| peer.heard);
        let silences = silences.map(|heard| heard + timers.suspect);
        let claims = self.standing.iter().map(|(address, standing)| {
            let lapse = self.owns(*address, now);
            lapse.unwrap_or(standing.since + self.patience(*address, standing))
        });
        let hopes = self.hopes.values().map(|hope| {
            let turn = hope.open.map(|open| open + timers.pause * hope.wish.rank);
            turn.map_or(hope.retry, |turn| turn.max(hope.retry))
        });
        silences
            .chain(claims)
            .chain(hopes)
            .chain([self.started + timers.suspect])
            .filter(|time| *time > now)
            .fold(now + timers.suspect, Time::min)
    }
}
