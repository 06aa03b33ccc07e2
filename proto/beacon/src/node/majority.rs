//! Counting: who is heard, who acknowledged, and whether they are a majority of the voters. Nothing is
//! decided here.

use std::collections::BTreeSet;

use super::Node;
use crate::claims::Standing;
use crate::peer::Peer;
use crate::{MAX_VOTERS, NodeId, Time, View};

impl Node {
    /// Until when a majority of the present view holds up the claim.
    pub(super) fn held_up_until(&self, standing: &Standing, now: Time) -> Option<Time> {
        let view = self.view.as_ref()?;
        if !view.members.contains(&self.config.me) {
            return None;
        }
        let agreeing = |id: &&NodeId| standing.agreeing.contains(*id);
        self.granted(view, view.voters.iter().filter(agreeing), now)
    }

    /// Until when so many of `voters` acknowledged this node that with it they are a majority.
    pub(super) fn granted<'a>(
        &self,
        view: &View,
        voters: impl Iterator<Item = &'a NodeId>,
        now: Time,
    ) -> Option<Time> {
        let Some(last) = view.others_needed(self.config.me).checked_sub(1) else {
            return Some(now + self.config.timers.grant);
        };
        let mut times = [Time::ZERO; MAX_VOTERS];
        let acked = voters.filter_map(|id| self.peers.get(id)?.acked);
        let mut count = 0;
        for (place, acked) in times.iter_mut().zip(acked) {
            *place = acked;
            count += 1;
        }
        let times = times.get_mut(..count).filter(|times| last < times.len())?;
        let (_, held_up_from, _) = times.select_nth_unstable_by(last, |a, b| b.cmp(a));
        Some(*held_up_from + self.config.timers.grant)
    }

    /// The members that are heard, this one included: by this node, or by most of the voters it hears.
    #[must_use]
    pub fn live(&self, now: Time) -> Vec<NodeId> {
        let words = self.words_of_voters(now);
        let told = |id: &NodeId| {
            let hearing = words.iter().filter(|sounding| sounding.contains(id));
            hearing.count() * 2 > words.len()
        };
        let heard = |id: &NodeId| *id == self.config.me || !self.sight(*id, now).silent || told(id);
        let members = self.view.iter().flat_map(|view| &view.members);
        members.copied().filter(heard).collect()
    }

    /// Who could join: heard by this node, and hearing it and a majority of the voters.
    #[must_use]
    pub fn knocking(&self, now: Time) -> BTreeSet<NodeId> {
        let Some(view) = self
            .view
            .as_ref()
            .filter(|_| self.is_member(self.config.me))
        else {
            return BTreeSet::new();
        };
        let grant = self.config.timers.grant;
        let hears = |peer: &Peer, id: &NodeId| {
            let known = peer.hears.get(id);
            known.is_some_and(|(_, _, grew)| now < *grew + grant)
        };
        let outside = self.peers.iter().filter(|(id, peer)| {
            let heard = !self.sight(**id, now).silent && hears(peer, &self.config.me);
            let voters = view.voters.iter().filter(|voter| hears(peer, voter));
            heard && !self.is_member(**id) && voters.count() >= view.majority()
        });
        outside.map(|(id, _)| *id).collect()
    }

    /// Whether a majority of the present view, this node included, acknowledged it less than GRANT
    /// ago.
    #[must_use]
    pub fn quorum(&self, now: Time) -> bool {
        self.majority_until(now).is_some_and(|until| now < until)
    }

    pub(super) fn majority_until(&self, now: Time) -> Option<Time> {
        let view = self.view.as_ref()?;
        let voters = self.is_member(self.config.me).then_some(&view.voters)?;
        self.granted(view, voters.iter(), now)
    }

    /// Whether the view after the present one may be written: a majority of the present one is
    /// known to have settled in it. Members in `gone` count as settled: they run no more and never
    /// will under this name.
    #[must_use]
    pub fn may_step(&self, gone: &BTreeSet<NodeId>) -> bool {
        let Some(view) = &self.view else {
            return false;
        };
        let me = self.has_settled(self.latest).then_some(self.config.me);
        let settled =
            |id: &&NodeId| self.settled.contains(*id) || gone.contains(*id) || me == Some(**id);
        view.voters.iter().filter(settled).count() >= view.majority()
    }

    /// Nobody else has to be asked.
    pub(super) fn is_alone(&self) -> bool {
        let view = self.view.as_ref();
        view.is_none_or(|view| view.others_needed(self.config.me) == 0)
    }

    /// Whom the voters hear that this node hears, in a view where not everybody hears everybody.
    pub(super) fn words_of_voters(&self, now: Time) -> Vec<&BTreeSet<NodeId>> {
        let view = self.view.as_ref();
        let view = view.filter(|view| view.has_clients() && !view.voters.contains(&self.config.me));
        let words = |view: &View, id: &NodeId| {
            let peer = self.peers.get(id)?;
            let fresh = !self.sight(*id, now).silent && peer.view == view.number;
            fresh.then_some(&peer.sounding)
        };
        let view = view.into_iter();
        view.flat_map(|view| view.voters.iter().filter_map(move |id| words(view, id)))
            .collect()
    }
}
