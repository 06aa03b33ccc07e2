//! What a node decides about the addresses that something changed about: which votes of others it
//! takes over, which claims it makes, defends and withdraws. Whether a vote may change is `table`'s
//! to say; when a candidate tries is decided here and makes no difference to safety.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Node;
use crate::claims::Standing;
use crate::peer::Peer;
use crate::{Claim, Entry, Life, NodeId, Time, View};

/// What a peer told of an address.
#[derive(Debug)]
pub(super) struct Told {
    id: NodeId,
    life: Option<Life>,
    entry: Entry,
}

impl Node {
    /// Applies what peers told, then pursues the wishes.
    pub(super) fn judge(&mut self, now: Time) {
        let version = self.table.version();
        self.sweep(now);
        self.note_turns(now);
        for address in self.agenda.take(now) {
            self.judgements += 1;
            let told = self.told(address);
            self.merge(address, &told, now);
            self.defend(address, &told, now);
            self.yield_tie(address, now);
            self.pursue(address, &told, now);
        }
        self.resort_at = None;
        self.resort(now);
        let lapse = self.majority_until(now).filter(|until| now < *until);
        self.lapse = lapse.filter(|_| !self.is_alone());
        if self.table.version() != version {
            self.hasten(now);
        }
    }

    /// Who fell silent or is heard again, and the end of the quiet start, concern all addresses.
    fn note_turns(&mut self, now: Time) {
        let suspect = self.config.timers.suspect;
        let view = self.view.as_ref();
        // Nothing is known of a silent stranger that is not learned anew when it comes back.
        self.peers.retain(|id, peer| {
            peer.address.is_some()
                || view.is_some_and(|view| view.members.contains(id))
                || !peer.sight(now, suspect).silent
        });
        let peers = self.peers.iter();
        let sounding: BTreeSet<NodeId> = peers
            .filter(|(_, peer)| !peer.sight(now, suspect).silent)
            .map(|(id, _)| *id)
            .collect();
        let awake = self.awake(now);
        if sounding != self.sounding && view.is_some_and(View::has_clients) {
            // Who has no vote hears of it from those who have.
            self.hasten(now);
        }
        let words = self.words_of_voters(now);
        let told = words.into_iter().cloned().collect();
        if sounding != self.sounding || awake != self.awoken || told != self.told {
            self.told = told;
            self.sounding = sounding;
            self.awoken = awake;
            self.mark_all();
        }
        self.majority_since = self
            .has_majority()
            .then(|| self.majority_since.unwrap_or(now));
        self.restless = false;
    }

    pub(super) fn may_become(&self, address: IpAddr, new: Claim, now: Time) -> bool {
        let vote = self.table.vote(address);
        let awake = self.awake(now) && self.quiet_about(address, now).is_none();
        let sight = self.sight(vote.record.owner, now);
        awake && vote.may_become(self.config.me, new, sight)
    }

    /// What each peer told of an address, if it did.
    pub(super) fn told(&self, address: IpAddr) -> Vec<Told> {
        let told = |(id, peer): (&NodeId, &Peer)| {
            Some(Told {
                id: *id,
                life: peer.life,
                entry: *peer.mirror.get(&address)?,
            })
        };
        self.peers.iter().filter_map(told).collect()
    }

    fn merge(&mut self, address: IpAddr, told: &[Told], now: Time) {
        let suspect = self.config.timers.suspect;
        for Told { id, life, entry } in told {
            let vote = self.table.vote(address);
            // Its owner votes for what is above: the recorded claim does not stand any more.
            let moved_on = vote.record.owner == *id
                && Some(vote.record.life) == *life
                && entry.record.epoch > vote.record.epoch;
            if moved_on {
                self.table.release(address, vote.record);
            }
            self.table.release(address, entry.released);
            let vote = self.table.vote(address);
            let over = vote.record.epoch == 0 && entry.released == entry.record;
            if over && !self.hopes.contains_key(&address) {
                // Who forgot it does not learn it again.
                continue;
            }
            let owner = entry.record.owner;
            let known = owner == self.config.me || self.peers.contains_key(&owner);
            let vote = self.table.vote(address);
            let later = entry.record.epoch > vote.record.epoch;
            if later && !self.awake(now) {
                self.agenda
                    .put(address, self.started + self.config.timers.quiet());
            } else if let Some(until) = self.quiet_about(address, now).filter(|_| later) {
                self.agenda.put(address, until);
            } else if later && !known {
                self.agenda.put(address, now + suspect * 4);
            }
            if !known || !self.may_become(address, entry.record, now) {
                continue;
            }
            // A claim that others do not accept must not end what they acknowledge.
            let held = self.owns(address, now).filter(|hold| !hold.degraded);
            if let Some(hold) = held {
                self.agenda.put(address, hold.until);
                continue;
            }
            self.step_down(address);
            self.table.record(address, entry.record);
            self.table.release(address, entry.released);
        }
    }

    /// Claims anew, above what is in the way of a claim that stands: a rival's of the same epoch, if
    /// this node goes first of the two, or a higher one that was withdrawn by now and that a peer
    /// which hears this node still votes for.
    fn defend(&mut self, address: IpAddr, told: &[Told], now: Time) {
        let me = self.config.me;
        let Some(standing) = self.standing.get(&address) else {
            return;
        };
        let degraded = self.witness.holds(address);
        let mut again = false;
        let mut later = false;
        for Told { id, entry, .. } in told {
            let rival = entry.record;
            let tie = rival.epoch == standing.claim.epoch && rival.owner > me;
            let withdrawn = rival.epoch > standing.claim.epoch && entry.released == rival;
            let hears = self.hears_me(*id, now);
            again |= (tie && (standing.won.is_none() || degraded)) || (withdrawn && hears);
            later |= withdrawn && !hears;
        }
        if again {
            self.claim(address, now);
            if degraded {
                self.hold(address, now);
            }
        } else if later {
            self.agenda.put(address, now + self.config.timers.interval);
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

    fn pursue(&mut self, address: IpAddr, told: &[Told], now: Time) {
        let timers = self.config.timers;
        if self.standing.contains_key(&address) {
            self.endure(address, told, now);
            return;
        }
        if !self.hopes.contains_key(&address) {
            return;
        }
        let new = self.next_claim(address, told);
        let vote = self.table.vote(address);
        if let Some(until) = self.quiet_about(address, now) {
            self.agenda.put(address, until);
        }
        let may = new.is_some_and(|new| self.may_become(address, new, now));
        let may = self.majority_since.filter(|_| may);
        // When cables are plugged in again, the owner may be the last one that is heard.
        let alone = self.view.is_some() && self.is_alone();
        let settled = may.map(|since| since + timers.interval * 2);
        let settling = settled.filter(|settled| !alone && now < *settled);
        let released = vote.released == vote.record;
        let hearing = self.others_hear(vote.record, now).filter(|_| !released);
        let heard_until = hearing.max(settling);
        let Some(hope) = self.hopes.get_mut(&address) else {
            return;
        };
        if may.is_none() || heard_until.is_some() {
            hope.open = None;
            if let Some(until) = heard_until.filter(|_| may.is_some()) {
                self.agenda.put(address, until);
            }
            return;
        }
        let open = *hope.open.get_or_insert(now);
        // Candidates of an address that nobody ever owned learn of it at different times; nothing is
        // lost meanwhile.
        let pause = if vote.record.epoch == 0 {
            timers.suspect
        } else {
            timers.pause
        };
        let turn = hope.retry.max(open + pause * hope.wish.rank);
        if now < turn {
            self.agenda.put(address, turn);
        } else {
            self.claim(address, now);
        }
    }

    /// As many members sound, this one included, as could hold up a claim.
    fn has_majority(&self) -> bool {
        let Some(view) = self.view.as_ref() else {
            return false;
        };
        let sounding = |id: &&NodeId| **id == self.config.me || self.sounding.contains(*id);
        view.members.contains(&self.config.me)
            && view.voters.iter().filter(sounding).count() >= view.majority()
    }

    /// A claim without a majority does not stand for ever: acceptors may begin to suspect the owner
    /// later than this node, but a rival's claim will not go away while this one stands.
    fn endure(&mut self, address: IpAddr, told: &[Told], now: Time) {
        let timers = self.config.timers;
        let Some(standing) = self.standing.get(&address) else {
            return;
        };
        let rivalled = told.iter().any(|Told { entry, .. }| {
            entry.record.epoch >= standing.claim.epoch && entry.record != standing.claim
        });
        let held = self
            .held_up_until(standing, now)
            .filter(|until| now < *until);
        let stuck = rivalled && held.is_none() && self.has_majority();
        let stuck = stuck.then_some(standing.stuck.unwrap_or(now));
        let end = match (standing.won, held) {
            (None, _) if rivalled => Some(standing.since + timers.pause * 5),
            (None, _) => Some(standing.since + timers.suspect),
            (Some(_), Some(until)) => rivalled.then_some(until),
            (Some(_), None) => stuck.map(|since| since + timers.pause * 5),
        };
        let ends = held.is_none() && !self.witness.holds(address);
        match end {
            Some(end) if now >= end && ends => self.withdraw(address, now),
            Some(end) => {
                let again = if end > now { end } else { now + timers.pause };
                self.agenda.put(address, again);
                if let Some(standing) = self.standing.get_mut(&address) {
                    standing.stuck = stuck;
                }
            }
            None => {
                if let Some(standing) = self.standing.get_mut(&address) {
                    standing.stuck = None;
                }
            }
        }
    }

    /// So many members heard the owner later than this node that those which live and can suspect it
    /// already are no majority; until when that cannot change.
    fn others_hear(&self, record: Claim, now: Time) -> Option<Time> {
        let suspect = self.config.timers.suspect;
        let owner = record.owner;
        let known = self.peers.get(&owner).filter(|_| record.epoch > 0)?;
        let view = self.view.as_ref()?;
        if !known.sight(now, suspect).silent {
            return None;
        }
        let able = view
            .voters
            .iter()
            .filter(|id| **id != owner && (**id == self.config.me || self.sounding.contains(*id)));
        let able = able.count();
        let said = !view.voters.contains(&self.config.me) && !view.voters.contains(&owner);
        let hearing = view.voters.iter().filter_map(|id| {
            let peer = self.peers.get(id)?;
            if said {
                // Who has no vote does not hear others that have none.
                let hears = peer.view == view.number && peer.sounding.contains(&owner);
                let until = peer.heard? + peer.patience(suspect);
                return (hears && now < until).then_some(until);
            }
            let (life, seq, grew) = peer.hears.get(&owner)?;
            let later = (Some(*life), *seq) > (known.life, known.seq);
            (later && now < *grew + suspect).then_some(*grew + suspect)
        });
        let ends: Vec<Time> = hearing.collect();
        let suspecting = able.saturating_sub(ends.len());
        ends.into_iter()
            .min()
            .filter(|_| suspecting < view.majority())
    }

    pub(super) fn next_claim(&self, address: IpAddr, told: &[Told]) -> Option<Claim> {
        let told = told.iter();
        let told = told.flat_map(|told| [told.entry.record.epoch, told.entry.released.epoch]);
        let vote = self.table.vote(address);
        let own = [vote.record.epoch, vote.released.epoch, self.table.floor()];
        let highest = told.chain(own).max();
        Some(Claim {
            epoch: highest?.checked_add(1)?,
            owner: self.config.me,
            life: self.config.life,
        })
    }

    pub(super) fn claim(&mut self, address: IpAddr, now: Time) {
        let Some(claim) = self.next_claim(address, &self.told(address)) else {
            return;
        };
        let before = self.table.vote(address);
        let owner = self.peers.get(&before.record.owner);
        let left = before.record.epoch == 0 || before.released == before.record;
        let silent = owner.filter(|owner| !left && owner.life <= Some(before.record.life));
        let replaced = silent.and_then(|owner| owner.heard);
        self.table.record(address, claim);
        let standing = Standing {
            claim,
            since: now,
            won: None,
            stuck: None,
            agreeing: BTreeSet::new(),
            replaced,
        };
        let earlier = self.standing.insert(address, standing);
        if let (Some(earlier), Some(standing)) = (earlier, self.standing.get_mut(&address)) {
            standing.replaced = standing.replaced.or(earlier.replaced);
        }
        self.pending.insert(address);
        self.note_wins([address], now);
        self.agenda.put(address, now + self.config.timers.pause * 5);
    }

    /// Its claim does not stand any more; what it was is released.
    fn step_down(&mut self, address: IpAddr) -> bool {
        self.pending.remove(&address);
        let ended = self.standing.remove(&address);
        if let Some(ended) = &ended {
            self.table.release(address, ended.claim);
        }
        ended.is_some()
    }

    pub(super) fn withdraw(&mut self, address: IpAddr, now: Time) {
        let pause = self.config.timers.pause;
        if self.step_down(address) {
            self.hasten(now);
        }
        if let Some(hope) = self.hopes.get_mut(&address) {
            hope.open = None;
            hope.retry = hope.retry.max(now + pause * (1 + 5 * hope.wish.rank));
            self.agenda.put(address, hope.retry);
        }
    }
}
