//! What a node sends, to whom and when.

use super::{Node, Transmit};
use crate::lot::mix;
use crate::peer::Peer;
use crate::wire::{self, Beacon, Body, Heard, Message};
use crate::{LinkId, MAX_VOTERS, NodeId, Time};

impl Node {
    /// The next datagram to send. Grants count from `now`: it must be sent after, not before.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit> {
        self.arrive(now);
        if self.is_restless() || now >= self.judgement() {
            self.judge(now);
        }
        while let Some((to, body)) = self.replies.pop_front() {
            if let Some(transmit) = self.transmit(to, body) {
                return Some(transmit);
            }
        }
        let behind =
            |(id, peer): (&NodeId, &Peer)| (peer.behind && peer.address.is_some()).then_some(*id);
        if let (Some(to), Some(view)) = (self.peers.iter().find_map(behind), &self.view) {
            let body = Body::View(view.clone());
            if let Some(peer) = self.peers.get_mut(&to) {
                peer.behind = false;
                peer.pushed = Some(now);
            }
            return self.transmit(to, body);
        }
        let due = |(id, peer): (&NodeId, &Peer)| {
            (peer.due <= now && self.is_target(*id, peer)).then_some(*id)
        };
        let to = self.peers.iter().find_map(due)?;
        let body = self.beacon(to, now)?;
        self.transmit(to, body)
    }

    /// The next datagram for everybody on the network of a link of this node.
    pub fn poll_copy(&mut self, now: Time) -> Option<(LinkId, Vec<u8>)> {
        self.arrive(now);
        if self.is_member(self.config.me) {
            self.lan.advance(now);
        }
        let (link, count) = self.lan.poll_copy()?;
        let message = Message {
            cluster: self.config.cluster,
            from: self.config.me,
            to: 0,
            life: self.config.life,
            body: Body::Copy { link, count },
        };
        Some((link, wire::encode(&message, &self.config.keys)))
    }

    /// When [`Self::poll_transmit`] and [`Self::poll_copy`] are to be called again, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Time {
        if self.is_restless() || !self.replies.is_empty() {
            return Time::ZERO;
        }
        self.deadline()
    }

    fn is_restless(&self) -> bool {
        self.restless || self.agenda.is_marked()
    }

    /// The first time at which something is to be done, if nothing is heard until then.
    pub(super) fn deadline(&self) -> Time {
        let targets = self
            .peers
            .iter()
            .filter(|(id, peer)| self.is_target(**id, peer));
        let copies = self.lan.next().filter(|_| self.is_member(self.config.me));
        targets
            .map(|(_, peer)| peer.due)
            .chain(copies)
            .fold(self.judgement(), Time::min)
    }

    /// When votes and hopes are to be judged again: at least twice in a grant, so that whoever reads
    /// [`Node::owns`] only then sees no gap.
    fn judgement(&self) -> Time {
        let timers = self.config.timers;
        let sounding = self.sounding.iter().filter_map(|id| self.peers.get(id));
        let silences =
            sounding.filter_map(|peer| Some(peer.heard? + peer.patience(timers.suspect)));
        let awakening = (!self.awoken).then_some(self.started + timers.quiet());
        silences
            .chain(awakening)
            .chain(self.agenda.next())
            .chain(self.lapse)
            .chain(self.resort_at)
            .fold(self.latest + timers.grant / 2, Time::min)
    }

    /// Beacons go to the members, and to others that are heard: they may be ahead or behind. Of two
    /// members without a vote neither needs the other's. Who is no member lets the voters hear it.
    fn is_target(&self, id: NodeId, peer: &Peer) -> bool {
        let votes = self.is_voter(self.config.me) || self.is_voter(id);
        let meant = match (self.is_member(self.config.me), self.is_member(id)) {
            (true, true) => votes,
            (true, false) => self.sounding.contains(&id),
            (false, _) => self.is_voter(id),
        };
        meant && peer.address.is_some()
    }

    fn transmit(&self, to: NodeId, body: Body) -> Option<Transmit> {
        let message = Message {
            cluster: self.config.cluster,
            from: self.config.me,
            to,
            life: self.config.life,
            body,
        };
        Some(Transmit {
            to: self.peers.get(&to)?.address?,
            bytes: wire::encode(&message, &self.config.keys),
        })
    }

    fn beacon(&mut self, to: NodeId, now: Time) -> Option<Body> {
        let heard = self.hearing(to);
        let sounding = self.bits();
        let timers = self.config.timers;
        let (quiet, settled) = (!self.awake(now), self.has_settled(now));
        let view = self.view.as_ref()?.number;
        let links = self.lan.words(to, now);
        let space = wire::space(heard.len(), links.len(), sounding.len());
        let version = self.table.version();
        let peer = self.peers.get_mut(&to)?;
        let mut base = peer.knows;
        let (mut entries, mut complete) = self.table.page(base, space.clone());
        if complete < version {
            base = peer.base(timers.interval, now);
            (entries, complete) = self.table.page(base, space);
        }
        self.seq += 1;
        // A tenth more or less, so that nodes do not speak at the same time for long.
        let part = u32::try_from(mix(self.config.me ^ mix(self.seq)) % 201).unwrap_or(0);
        let interval = timers.interval * (900 + part) / 1000;
        peer.told(complete, version, interval, now);
        self.sent.insert(self.seq, now);
        self.sent.retain(|_, sent| now < *sent + timers.grant);
        Some(Body::Beacon(Beacon {
            quiet,
            settled,
            grant: timers.grant,
            seq: self.seq,
            view,
            table: version,
            base,
            complete,
            mirrored: peer.mirrored,
            sounding,
            heard,
            links,
            entries,
        }))
    }

    /// What it heard of the receiver and of the voters, and of others as far as there is space.
    fn hearing(&self, to: NodeId) -> Vec<Heard> {
        let voters = |id: NodeId| id == to || self.is_voter(id);
        let told = |first: bool| {
            let peers = self.peers.iter();
            let some = peers.filter(move |(id, _)| voters(**id) == first);
            let some = some.filter(move |(id, _)| {
                first || (self.sounding.contains(*id) && !self.is_member(**id))
            });
            some.filter_map(|(node, peer)| {
                let life = peer.life?;
                (peer.seq > 0).then_some(Heard {
                    node: *node,
                    life,
                    seq: peer.seq,
                })
            })
        };
        told(true).chain(told(false)).take(MAX_VOTERS + 1).collect()
    }

    /// The members that are not silent, a bit for each in their order; nothing where everybody hears
    /// everybody.
    fn bits(&self) -> Vec<u8> {
        let Some(view) = self.view.as_ref().filter(|view| view.has_clients()) else {
            return Vec::new();
        };
        let mut bits = vec![0; view.members.len().div_ceil(8)];
        for (at, id) in view.members.iter().enumerate() {
            let sounds = *id == self.config.me || self.sounding.contains(id);
            if let Some(octet) = bits.get_mut(at / 8).filter(|_| sounds) {
                *octet |= 1 << (7 - at % 8);
            }
        }
        bits
    }
}
