//! What a node does without a majority, under the policy `available`: whoever owned an address is
//! silent for a while and then asks the LAN whether somebody else has it; whoever wishes for that of
//! a silent owner waits longer and asks too. Nobody answers and the gateway does: it is held,
//! degraded. Once a majority is back, ordinary rules hold again.

use std::net::IpAddr;
use std::time::Duration;

use super::{Node, Question};
use crate::lot::mix;
use crate::witness::Stage;
use crate::{Policy, Tie, Time};

/// How long an owner without a majority is silent: a majority elsewhere takes over by then.
const OWNER_SILENCE: Duration = Duration::from_millis(350);
/// How long the owner must be silent before another node without a majority asks.
const PEER_SILENCE: Duration = Duration::from_millis(400);
/// How long one of two that hears nothing of the other waits before it wants to break the tie.
const TIE_PATIENCE: Duration = Duration::from_millis(100);
/// For so long a gateway counts as reached.
const TIE_REACH: Duration = Duration::from_secs(1);
/// How long a node that never had a majority waits after its start.
const START_PATIENCE: Duration = Duration::from_secs(3);

impl Node {
    /// What is to be asked on the LAN at once, on each interface of the address.
    pub fn poll_question(&mut self) -> Option<Question> {
        let on_link = self.lan.poll_question().map(Question::GatewayOn);
        on_link.or_else(|| self.witness.poll_question())
    }

    /// A gateway answered, or there is none and the interface has carrier.
    pub fn note_gateway(&mut self, now: Time) {
        self.arrive(now);
        self.witness.note_gateway(now);
    }

    /// Somebody else answered for, or announced, an address this node asked about.
    pub fn note_answer(&mut self, address: IpAddr, now: Time) {
        self.arrive(now);
        let lot = self.lot(address);
        if self.config.policy == Policy::Available && self.witness.note_answer(address, lot, now) {
            self.agenda.mark(address);
        }
    }

    /// Whether this node is to answer the probes of peers for `address` although it may not announce
    /// it: its claim was valid, and nobody else answered for the address since.
    #[must_use]
    pub fn lapsed(&self, address: IpAddr, now: Time) -> bool {
        let won = self
            .standing
            .get(&address)
            .is_some_and(|standing| standing.won.is_some());
        let refused = matches!(self.witness.stage(address), Some(Stage::Refused { .. }));
        won && !refused && self.owns(address, now).is_none()
    }

    /// Different for every node.
    fn lot(&self, address: IpAddr) -> u64 {
        let bits = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        mix(self.config.me ^ mix(bits as u64 ^ (bits >> 64) as u64))
    }

    /// What breaks the tie was taken, prolonged or given back.
    pub fn set_tie(&mut self, tie: Option<Tie>, now: Time) {
        self.arrive(now);
        self.tie = tie;
        self.judge(now);
    }

    /// The view in which this node, one of two, needs what breaks the tie: it hears no majority, and a
    /// gateway.
    #[must_use]
    pub fn wants_tie(&self, now: Time) -> Option<u64> {
        let lost = self.lost?;
        let from = if self.had_majority {
            lost + TIE_PATIENCE
        } else {
            self.started + START_PATIENCE
        };
        let heard = self.witness.gateway_heard();
        let reached = heard.is_some_and(|heard| heard >= lost && now < heard + TIE_REACH);
        let wants = self.config.policy == Policy::Witnessed && now >= from && reached;
        wants.then(|| self.tie_view()).flatten()
    }

    /// The number of the view, if this node is one of two.
    fn tie_view(&self) -> Option<u64> {
        let view = self.view.as_ref()?;
        let two = view.voters.len() == 2 && view.members.len() == 2;
        (two && self.is_voter(self.config.me)).then_some(view.number)
    }

    /// Until when the tie is broken in favour of this node.
    pub(super) fn tie_until(&self) -> Option<Time> {
        let tie = self.tie?;
        (Some(tie.view) == self.tie_view()).then_some(tie.until)
    }

    /// Goes on without the other of two: with what breaks the tie it holds whatever it may claim, as
    /// long as a gateway answers.
    fn resort_to_tie(&mut self, lost: Time, now: Time) {
        if self.tie_view().is_none() {
            self.witness.reset();
            return;
        }
        let broken = self.tie_until().filter(|until| now < *until);
        let Some(until) = broken else {
            self.witness.forget_all();
            self.resort_at = Some(self.witness.seek_gateway(now));
            return;
        };
        let mut next = self.witness.seek_gateway(now).min(until);
        for address in self.witness.addresses() {
            let lot = self.lot(address);
            // The LAN is not asked: the other may answer that it lives, and has to be silent.
            match self.witness.stage(address) {
                Some(Stage::Held { .. }) if self.standing.contains_key(&address) => {}
                Some(Stage::Refused { .. }) => drop(self.witness.advance(address, lot, now)),
                _ => self.witness.forget(address),
            }
        }
        let open = self.hopes.keys().copied();
        let open: Vec<IpAddr> = open
            .filter(|address| self.witness.stage(*address).is_none())
            .collect();
        for address in open {
            let Some(from) = self.may_hold_from(address, lost, now) else {
                continue;
            };
            if from > now {
                next = next.min(from);
            } else {
                self.hold(address, now);
            }
        }
        self.witness.renew(self.lot(IpAddr::from([0; 4])), now);
        let stages = self.witness.next(self.config.timers.interval);
        self.resort_at = Some(stages.map_or(next, |stages| stages.min(next)));
    }

    /// From when on an address may be held with what breaks the tie.
    fn may_hold_from(&self, address: IpAddr, lost: Time, now: Time) -> Option<Time> {
        let hope = self.hopes.get(&address)?;
        if let Some(standing) = self.standing.get(&address) {
            return standing.won.map(|_| lost);
        }
        let new = self.next_claim(address, &self.told(address))?;
        let may = self.may_become(address, new, now);
        may.then_some(lost.max(hope.retry))
    }

    /// Goes on with the witness path, if there is no majority.
    pub(super) fn resort(&mut self, now: Time) {
        if self.config.policy == Policy::Exclusive || !self.is_member(self.config.me) {
            self.lost = None;
            self.witness.reset();
            return;
        }
        if self.quorum(now) {
            self.lost = None;
            self.had_majority = true;
            self.witness.reset();
            return;
        }
        if self.witness.overslept(self.config.timers.grant, now) {
            self.witness.reset();
            self.lost = Some(now);
        }
        let lost = *self.lost.get_or_insert(now);
        if self.config.policy == Policy::Witnessed {
            self.resort_to_tie(lost, now);
            return;
        }
        let mut next: Option<Time> = None;
        for address in self.witness.addresses() {
            let lot = self.lot(address);
            let held = self.witness.holds(address);
            let may = match self.may_ask_from(address, lost, now) {
                Some(_) if held => self.standing.contains_key(&address),
                Some(from) => from <= now,
                None => false,
            };
            if !may {
                self.witness.forget(address);
            } else if self.witness.advance(address, lot, now) {
                self.hold(address, now);
            }
        }
        let fresh = self.hopes.keys().copied();
        let fresh: Vec<IpAddr> = fresh
            .filter(|address| self.witness.stage(*address).is_none())
            .collect();
        for address in fresh {
            let Some(from) = self.may_ask_from(address, lost, now) else {
                continue;
            };
            if from > now {
                next = Some(next.map_or(from, |next| next.min(from)));
            } else if self.witness.begin(address, now) {
                let lot = self.lot(address);
                self.witness.advance(address, lot, now);
            }
        }
        self.witness.renew(self.lot(IpAddr::from([0; 4])), now);
        let stages = self.witness.next(self.config.timers.interval);
        self.resort_at = next.into_iter().chain(stages).min();
    }

    /// From when on the LAN may be asked for `address`.
    fn may_ask_from(&self, address: IpAddr, lost: Time, now: Time) -> Option<Time> {
        let hope = self.hopes.get(&address)?;
        if let Some(standing) = self.standing.get(&address) {
            return standing.won.map(|_| lost + OWNER_SILENCE);
        }
        let vote = self.table.vote(address);
        let new = self.next_claim(address, &self.told(address))?;
        if !self.may_become(address, new, now) {
            return None;
        }
        let owner = self.peers.get(&vote.record.owner);
        let owner = owner.filter(|_| vote.record.epoch > 0);
        let heard = owner.and_then(|owner| owner.heard);
        // An owner that this node never hears may have lost its majority at the same time.
        let unheard = if vote.record.epoch > 0 && !self.is_voter(self.config.me) {
            lost + PEER_SILENCE
        } else {
            lost
        };
        let silent = heard.map_or(unheard, |heard| heard + PEER_SILENCE);
        let begun = if self.had_majority {
            lost
        } else {
            self.started + START_PATIENCE
        };
        let from = silent.max(begun).max(hope.retry);
        Some(from + self.config.timers.pause * hope.wish.rank)
    }

    pub(super) fn hold(&mut self, address: IpAddr, now: Time) {
        if !self.standing.contains_key(&address) {
            self.claim(address, now);
        }
        self.pending.remove(&address);
        if let Some(standing) = self.standing.get_mut(&address) {
            standing.won = standing.won.or(Some(now));
            self.witness.hold(address, now);
        }
    }

    /// Of two nodes that hold an address without a majority, by claims of equal epoch, and hear each
    /// other, the one that does not go first gives way.
    pub(super) fn yield_tie(&mut self, address: IpAddr, now: Time) {
        let Some(standing) = self.standing.get(&address) else {
            return;
        };
        if !self.witness.holds(address) {
            return;
        }
        let sounding = self.sounding.iter();
        let loses = sounding
            .filter_map(|id| Some((*id, self.peers.get(id)?)))
            .any(|(id, peer)| {
                peer.mirror.get(&address).is_some_and(|entry| {
                    let rival = entry.record;
                    rival.owner == id
                        && rival.epoch == standing.claim.epoch
                        && entry.released != rival
                        && id < self.config.me
                })
            });
        if loses {
            self.witness.forget(address);
            self.withdraw(address, now);
        }
    }
}
