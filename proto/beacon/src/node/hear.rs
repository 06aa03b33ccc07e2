//! What a node hears: whether a datagram counts, and what it changes at once. Votes are not judged
//! here.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::{Event, Node};
use crate::wire::{self, Beacon, Body, Heard, Nonce};
use crate::{Discard, LinkId, NodeId, Time, View};

/// How long a question stays the same, so that a slow answer still fits it; and how long the shell
/// has for a view, before it is offered again.
const QUESTION: Duration = Duration::from_secs(1);

impl Node {
    /// Takes a datagram. `fresh` is random and used once, for a question to its sender.
    ///
    /// # Errors
    /// Why the datagram was dropped; nothing changed then, except that its sender may be asked.
    pub fn handle_datagram(
        &mut self,
        bytes: &[u8],
        fresh: Nonce,
        now: Time,
    ) -> Result<(), Discard> {
        let named = wire::claimed_sender(bytes).and_then(|id| self.peers.get_mut(&id));
        let limit = named.map_or(&mut self.strangers, |peer| &mut peer.limit);
        if !limit.admit(now) {
            return Err(Discard::Flood);
        }
        let message = wire::decode(bytes, &self.config.keys)?;
        if message.cluster != self.config.cluster {
            return Err(Discard::OtherCluster);
        }
        if message.to != self.config.me || message.from == self.config.me {
            return Err(Discard::OtherReceiver);
        }
        let from = message.from;
        let peer = self.peers.get_mut(&from).ok_or(Discard::Stranger)?;
        match message.body {
            Body::Challenge(nonce) => {
                self.reply(from, Body::Answer(nonce));
                Ok(())
            }
            Body::Answer(nonce) => {
                if peer.asked.is_none_or(|(asked, _)| asked != nonce) {
                    return Err(Discard::NotAsked);
                }
                if peer.life >= Some(message.life) {
                    return Err(Discard::Replayed);
                }
                peer.begin(message.life, now);
                for standing in self.standing.values_mut() {
                    standing.agreeing.remove(&from);
                }
                self.mark_all();
                self.restless = true;
                Ok(())
            }
            Body::View(view) => {
                self.offer(from, view, now);
                Ok(())
            }
            Body::Copy { .. } => Err(Discard::OtherReceiver),
            Body::Beacon(beacon) => {
                if peer.life < Some(message.life) {
                    let asked = peer.asked.filter(|(_, since)| now < *since + QUESTION);
                    let question = asked.unwrap_or((fresh, now));
                    peer.asked = Some(question);
                    self.reply(from, Body::Challenge(question.0));
                    return Err(Discard::Unproven);
                }
                if peer.life > Some(message.life) || beacon.seq <= peer.seq {
                    return Err(Discard::Replayed);
                }
                self.take(from, &beacon, now);
                Ok(())
            }
        }
    }

    /// Takes a datagram that was sent to everybody on the network of `link`, which is one of this
    /// node's.
    ///
    /// # Errors
    /// Why it was dropped; nothing changed then.
    pub fn handle_copy(&mut self, bytes: &[u8], link: LinkId, now: Time) -> Result<(), Discard> {
        if !self.lan.admit(link, now) {
            return Err(Discard::Flood);
        }
        let message = wire::decode(bytes, &self.config.keys)?;
        if message.cluster != self.config.cluster {
            return Err(Discard::OtherCluster);
        }
        let Body::Copy {
            link: theirs,
            count,
        } = message.body
        else {
            return Err(Discard::OtherReceiver);
        };
        let from = message.from;
        if message.to != 0 || from == self.config.me {
            return Err(Discard::OtherReceiver);
        }
        if !self.is_member(from) {
            return Err(Discard::Stranger);
        }
        let proven = self.peers.get(&from).and_then(|peer| peer.life);
        match proven.cmp(&Some(message.life)) {
            Ordering::Less => Err(Discard::Unproven),
            Ordering::Greater => Err(Discard::Replayed),
            Ordering::Equal => {
                self.arrive(now);
                let number = (message.life, count);
                self.lan.hear(link, (from, theirs), number, now)
            }
        }
    }

    /// A gateway answered on `link`.
    pub fn note_gateway_on(&mut self, link: LinkId, now: Time) {
        self.arrive(now);
        self.lan.note_gateway(link, now);
    }

    /// One reply of a kind to each peer is enough.
    fn reply(&mut self, to: NodeId, body: Body) {
        let kind = std::mem::discriminant(&body);
        self.replies
            .retain(|(other, body)| *other != to || std::mem::discriminant(body) != kind);
        self.replies.push_back((to, body));
    }

    /// A later view is for the shell; an earlier one asks for the present one.
    fn offer(&mut self, from: NodeId, view: View, now: Time) {
        let known = self.view.as_ref().map(|view| view.number);
        if Some(view.number) < known {
            self.note_behind(from, now);
        }
        let offered = self
            .offered
            .filter(|(_, since)| now < *since + QUESTION)
            .map(|(number, _)| number);
        if Some(view.number) > known.max(offered) {
            self.offered = Some((view.number, now));
            self.events.push_back(Event::View(view));
        }
    }

    /// It is sent the present view, once in an interval.
    fn note_behind(&mut self, id: NodeId, now: Time) {
        let interval = self.config.timers.interval;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.behind = peer.pushed.is_none_or(|pushed| now >= pushed + interval);
        }
    }

    fn take(&mut self, from: NodeId, beacon: &Beacon, now: Time) {
        self.arrive(now);
        let (me, life) = (self.config.me, self.config.life);
        let number = self.view.as_ref().map_or(0, |view| view.number);
        let same_view =
            beacon.view == number && number > 0 && self.is_member(me) && self.is_member(from);
        let version = self.table.version();
        if self.is_member(from) {
            self.lan.note(from, &beacon.links, now);
        }
        let view = self.view.as_ref();
        let members = view.filter(|view| view.number == beacon.view);
        let sounding = members.map(|view| marked(&beacon.sounding, &view.members));
        let told_other = members.is_some_and(View::has_clients);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        if let Some(sounding) = sounding.filter(|sounding| *sounding != peer.sounding) {
            peer.sounding = sounding;
            self.restless |= told_other;
        }
        if beacon.view == number && peer.view != number {
            // It caught up: what it is told now, it may acknowledge.
            peer.due = peer.due.min(now);
        }
        if peer.note(beacon, now) {
            for entry in &beacon.entries {
                let empty = entry.record.epoch == 0 && entry.released.epoch == 0;
                let before = if empty {
                    peer.mirror.remove(&entry.address)
                } else {
                    peer.mirror.insert(entry.address, *entry)
                };
                if let Some(standing) = self.standing.get_mut(&entry.address) {
                    if entry.record == standing.claim {
                        standing.agreeing.insert(from);
                    } else {
                        standing.agreeing.remove(&from);
                    }
                }
                if before != Some(*entry) {
                    self.agenda.mark(entry.address);
                }
            }
        }
        let about_me = |heard: &&Heard| heard.node == me && heard.life == life;
        let acknowledged = beacon.heard.iter().find(about_me);
        let knew = peer.knows;
        peer.knows = acknowledged.map_or(0, |_| beacon.mirrored.min(version));
        if peer.knows != knew && peer.knows < version {
            peer.due = peer.due.min(now);
        }
        let sent = acknowledged.and_then(|heard| self.sent.get(&heard.seq));
        let before = peer.acked;
        if same_view && peer.complete() && !beacon.quiet {
            peer.acked = peer.acked.max(sent.copied());
        }
        let acknowledges = peer.acked != before;
        if same_view && beacon.settled {
            self.settled.insert(from);
        }
        self.restless |= !self.sounding.contains(&from);
        let lives = beacon.heard.iter().filter(|heard| heard.node == me);
        let latest = lives.map(|heard| heard.life).max();
        if let Some(latest) = latest.filter(|latest| *latest > self.outlived) {
            self.outlived = latest;
            self.events.push_back(Event::Outlived(latest));
        }
        if beacon.view < number {
            self.note_behind(from, now);
        } else if beacon.view > number && !self.is_member(me) {
            self.reply(from, Body::View(self.view.clone().unwrap_or_default()));
        }
        if acknowledges {
            self.note_wins(self.pending.clone(), now);
        } else {
            self.note_wins(beacon.entries.iter().map(|entry| entry.address), now);
        }
    }

    /// Of these claims, some may have become valid.
    pub(super) fn note_wins(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Time) {
        for address in addresses {
            let standing = self.standing.get(&address);
            let owned =
                standing.is_some_and(|standing| self.held_up_until(standing, now) > Some(now));
            if owned
                && self.pending.remove(&address)
                && let Some(standing) = self.standing.get_mut(&address)
            {
                standing.won = Some(now);
            }
        }
    }

    /// Takes note of the time. Whoever wakes an interval late heard nothing for reasons of its own:
    /// suspicion waits as much longer. Grants do not.
    pub(super) fn arrive(&mut self, now: Time) {
        let late = now.saturating_sub(self.deadline().max(self.latest));
        if late >= self.config.timers.interval {
            for peer in self.peers.values_mut() {
                peer.heard = peer.heard.map(|heard| (heard + late).min(now));
            }
            self.lan.excuse(now);
            self.restless = true;
            self.hasten(now);
        }
        self.latest = self.latest.max(now);
    }
}

/// The members whose bits are set, the first in the highest bit of the first octet.
fn marked(bits: &[u8], members: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let set = |at: usize| {
        let octet = bits.get(at / 8);
        octet.is_some_and(|octet| octet >> (7 - at % 8) & 1 == 1)
    };
    let members = members.iter().enumerate();
    members
        .filter(|(at, _)| set(*at))
        .map(|(_, id)| *id)
        .collect()
}
