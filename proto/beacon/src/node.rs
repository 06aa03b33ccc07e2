//! The door: one speaker among its peers.
//!
//! The shell drains its socket into [`Node::handle_datagram`], then calls [`Node::poll_transmit`]
//! until it yields nothing and sends each datagram at once, then sleeps until
//! [`Node::poll_timeout`] or the next datagram. Early or repeated calls do nothing. An answer about
//! an address is given only before the deadline that [`Node::owns`] says.

mod judge;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::peer::Peer;
use crate::table::{Sight, Table, Vote};
use crate::wire::{self, Beacon, Body, Heard, Message, Nonce};
use crate::{Claim, Discard, Keys, Life, MAX_MEMBERS, NodeId, Time};

/// How long a question stays the same, so that a slow answer still fits it.
const QUESTION: Duration = Duration::from_secs(1);

/// The times of protocol section 2.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Between two beacons, when nothing changes.
    pub interval: Duration,
    /// How long an acknowledged beacon holds up its sender's ownership, from when it was sent.
    pub grant: Duration,
    /// The silence after which an owner is replaced.
    pub suspect: Duration,
    /// Between the claims of candidates of neighbouring ranks; five times that, until a claim that
    /// a rival's is in the way of is withdrawn.
    pub pause: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(50),
            grant: Duration::from_millis(200),
            suspect: Duration::from_millis(250),
            pause: Duration::from_millis(20),
        }
    }
}

/// Another speaker, or this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Where its beacons are sent to.
    pub address: SocketAddr,
}

/// What does not change while a node lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// The same for all members.
    pub cluster: u64,
    /// This node.
    pub me: NodeId,
    /// Greater than in every earlier life of this node.
    pub life: Life,
    /// All nodes, this one included: the same set for all. A majority is one of these.
    pub members: BTreeMap<NodeId, Member>,
    /// The shared secrets.
    pub keys: Keys,
    /// The same for all members.
    pub timers: Timers,
}

/// Why a node cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The node is not in its own set of members.
    #[error("the members do not include this node; add it, with the address its peers send to")]
    NotAMember,
    /// Too many members for every one to hear every other.
    #[error("{0} members are more than {MAX_MEMBERS}, the most a cluster may have")]
    TooManyMembers(usize),
    /// GRANT above 0.8 of SUSPECT would not survive clocks of different rates; an interval above a
    /// third of GRANT would let one lost beacon end ownership.
    #[error(
        "a grant must last at least three intervals and at most 0.8 of the time until suspicion"
    )]
    Timers,
}

/// An address this node is to own, unless somebody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// How many candidates are to try before this one.
    pub rank: u32,
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// A claim of this node that stands.
#[derive(Debug)]
struct Standing {
    claim: Claim,
    since: Time,
    /// It was valid at some time.
    won: bool,
    /// When the newest beacon was sent that each peer acknowledged with the identical vote.
    grants: BTreeMap<NodeId, Time>,
}

#[derive(Debug)]
struct Hope {
    wish: Wish,
    /// Since when nobody else's vote is in the way.
    open: Option<Time>,
    /// Not before, after a claim that found no majority.
    retry: Time,
}

/// One speaker.
#[derive(Debug)]
pub struct Node {
    config: Config,
    members: u64,
    started: Time,
    peers: BTreeMap<NodeId, Peer>,
    table: Table,
    standing: BTreeMap<IpAddr, Standing>,
    hopes: BTreeMap<IpAddr, Hope>,
    seq: u64,
    /// When each beacon was sent that could still hold up a grant.
    sent: BTreeMap<u64, Time>,
    replies: VecDeque<(NodeId, Body)>,
    /// When votes and hopes are to be judged again.
    judge: Time,
}

impl Node {
    /// Starts a life. For SUSPECT it acknowledges and accepts nothing (R5).
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, now: Time) -> Result<Self, ConfigError> {
        let timers = config.timers;
        if !config.members.contains_key(&config.me) {
            return Err(ConfigError::NotAMember);
        }
        if config.members.len() > MAX_MEMBERS {
            return Err(ConfigError::TooManyMembers(config.members.len()));
        }
        if timers.grant < timers.interval * 3 || timers.grant * 5 > timers.suspect * 4 {
            return Err(ConfigError::Timers);
        }
        let others = config.members.iter().filter(|(id, _)| **id != config.me);
        let peers = others
            .map(|(id, member)| (*id, Peer::new(member.address, now)))
            .collect();
        Ok(Self {
            members: digest(config.members.keys()),
            config,
            started: now,
            peers,
            table: Table::default(),
            standing: BTreeMap::new(),
            hopes: BTreeMap::new(),
            seq: 0,
            sent: BTreeMap::new(),
            replies: VecDeque::new(),
            judge: now,
        })
    }

    /// The addresses this node is to own: all of them. What it owns and is not in here is released
    /// at once.
    pub fn set_wish(&mut self, wishes: &BTreeMap<IpAddr, Wish>, now: Time) {
        self.hopes.retain(|address, _| wishes.contains_key(address));
        for (address, wish) in wishes {
            let hope = self.hopes.entry(*address).or_insert(Hope {
                wish: *wish,
                open: None,
                retry: now,
            });
            hope.wish = *wish;
        }
        let unwanted = |address: &IpAddr| !wishes.contains_key(address);
        let unwanted: Vec<IpAddr> = self.standing.keys().copied().filter(unwanted).collect();
        for address in unwanted {
            self.withdraw(address, now);
        }
        self.judge(now);
    }

    /// Whether this node may answer for `address`, and until when: the deadline is to be compared
    /// before every frame.
    #[must_use]
    pub fn owns(&self, address: IpAddr, now: Time) -> Option<Time> {
        let standing = self.standing.get(&address)?;
        let needed = self.config.members.len() / 2;
        let mut ends: Vec<Time> = standing.grants.values().copied().collect();
        ends.sort_unstable_by(|a, b| b.cmp(a));
        let held_up_from = match needed.checked_sub(1) {
            None => now,
            Some(last) => *ends.get(last)?,
        };
        let until = held_up_from + self.config.timers.grant;
        (now < until).then_some(until)
    }

    /// The members that are heard, this one included.
    #[must_use]
    pub fn live(&self, now: Time) -> Vec<NodeId> {
        let heard = |id: &NodeId| *id == self.config.me || !self.sight(*id, now).silent;
        self.config.members.keys().copied().filter(heard).collect()
    }

    /// Who owns `address`, as far as this node knows. Its owner may know better.
    #[must_use]
    pub fn record(&self, address: IpAddr) -> Option<Claim> {
        let record = self.table.vote(address).record;
        (record.epoch > 0).then_some(record)
    }

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
        let message = wire::decode(bytes, &self.config.keys)?;
        if message.cluster != self.config.cluster {
            return Err(Discard::OtherCluster);
        }
        if message.to != self.config.me || message.from == self.config.me {
            return Err(Discard::OtherReceiver);
        }
        let from = message.from;
        let peer = self.peers.get_mut(&from).ok_or(Discard::NotAMember)?;
        match message.body {
            Body::Challenge(nonce) => {
                self.replies
                    .retain(|(to, body)| *to != from || !matches!(body, Body::Answer(_)));
                self.replies.push_back((from, Body::Answer(nonce)));
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
                self.judge(now);
                Ok(())
            }
            Body::Beacon(beacon) => {
                if beacon.members != self.members {
                    return Err(Discard::OtherMembers);
                }
                if peer.life < Some(message.life) {
                    let asked = peer.asked.filter(|(_, since)| now < *since + QUESTION);
                    let question = asked.unwrap_or((fresh, now));
                    peer.asked = Some(question);
                    self.replies
                        .retain(|(to, body)| *to != from || !matches!(body, Body::Challenge(_)));
                    self.replies.push_back((from, Body::Challenge(question.0)));
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

    fn take(&mut self, from: NodeId, beacon: &Beacon, now: Time) {
        self.expect_punctuality(now);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        let before = (peer.mirrored, peer.knows);
        peer.note(beacon, now);
        let about_me =
            |heard: &&Heard| heard.node == self.config.me && heard.life == self.config.life;
        let acknowledged = beacon.heard.iter().find(about_me);
        peer.knows = acknowledged.map_or(0, |_| beacon.mirrored.min(self.table.version()));
        let more = peer.knows != before.1 && peer.knows < self.table.version();
        let learned = peer.mirrored != before.0;
        if more {
            peer.due = now;
        }
        let complete = peer.complete();
        if learned || now >= self.judge {
            self.judge(now);
        }
        let sent = acknowledged.and_then(|heard| self.sent.get(&heard.seq).copied());
        let Some(sent) = sent.filter(|_| complete && !beacon.quiet) else {
            return;
        };
        let Some(peer) = self.peers.get(&from) else {
            return;
        };
        let mut won = false;
        for (address, standing) in &mut self.standing {
            let vote = peer.mirror.get(address).map(|entry| entry.record);
            if vote == Some(standing.claim) {
                let grant = standing.grants.entry(from).or_insert(sent);
                *grant = sent.max(*grant);
                won |= !standing.won;
            }
        }
        if won {
            self.note_wins(now);
        }
    }

    fn note_wins(&mut self, now: Time) {
        let fresh = self.standing.iter().filter(|(_, standing)| !standing.won);
        let won: Vec<IpAddr> = fresh
            .map(|(address, _)| *address)
            .filter(|address| self.owns(*address, now).is_some())
            .collect();
        for address in won {
            if let Some(standing) = self.standing.get_mut(&address) {
                standing.won = true;
            }
        }
    }

    /// The next datagram to send. Grants count from `now`: it must be sent after, not before.
    pub fn poll_transmit(&mut self, now: Time) -> Option<Transmit> {
        self.expect_punctuality(now);
        if now >= self.judge {
            self.judge(now);
        }
        if let Some((to, body)) = self.replies.pop_front() {
            return self.transmit(to, body);
        }
        let due = |(id, peer): (&NodeId, &Peer)| (peer.due <= now).then_some(*id);
        let to = self.peers.iter().find_map(due)?;
        let body = self.beacon(to, now)?;
        self.transmit(to, body)
    }

    /// When [`Self::poll_transmit`] is to be called again, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Time {
        if !self.replies.is_empty() {
            return Time::ZERO;
        }
        let beacons = self.peers.values().map(|peer| peer.due);
        beacons.fold(self.judge, Time::min)
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
            to: self.peers.get(&to)?.address,
            bytes: wire::encode(&message, &self.config.keys),
        })
    }

    fn beacon(&mut self, to: NodeId, now: Time) -> Option<Body> {
        let heard: Vec<Heard> = self
            .peers
            .iter()
            .filter_map(|(node, peer)| {
                let life = peer.life?;
                (peer.seq > 0).then_some(Heard {
                    node: *node,
                    life,
                    seq: peer.seq,
                })
            })
            .collect();
        let timers = self.config.timers;
        let quiet = !self.awake(now);
        let peer = self.peers.get_mut(&to)?;
        peer.due = now + timers.interval;
        let (entries, complete) = self.table.page(peer.knows, wire::room(heard.len()));
        self.seq += 1;
        self.sent.insert(self.seq, now);
        self.sent.retain(|_, sent| now < *sent + timers.grant);
        Some(Body::Beacon(Beacon {
            quiet,
            seq: self.seq,
            members: self.members,
            table: self.table.version(),
            base: peer.knows,
            complete,
            mirrored: peer.mirrored,
            heard,
            entries,
        }))
    }

    fn awake(&self, now: Time) -> bool {
        now >= self.started + self.config.timers.suspect
    }

    fn sight(&self, node: NodeId, now: Time) -> Sight {
        let suspect = self.config.timers.suspect;
        match self.peers.get(&node) {
            Some(peer) => peer.sight(now, suspect),
            None => Sight {
                silent: node != self.config.me,
                life: (node == self.config.me).then_some(self.config.life),
            },
        }
    }

    fn may_become(&self, vote: &Vote, new: Claim, now: Time) -> bool {
        let sight = self.sight(vote.record.owner, now);
        self.awake(now) && vote.may_become(self.config.me, new, sight)
    }

    /// Whoever wakes an interval late heard nothing for reasons of its own: suspicion waits as much
    /// longer. Grants do not.
    fn expect_punctuality(&mut self, now: Time) {
        let late = now.saturating_sub(self.poll_timeout().max(self.started));
        if late >= self.config.timers.interval && self.replies.is_empty() {
            for peer in self.peers.values_mut() {
                peer.heard = peer.heard.map(|heard| (heard + late).min(now));
                peer.due = now;
            }
            self.judge = self.judge.max(now);
        }
    }
}

/// The same for the same members, whoever asks.
fn digest<'a>(members: impl Iterator<Item = &'a NodeId>) -> u64 {
    let mut hash = Sha256::new();
    for member in members {
        hash.update(member.to_be_bytes());
    }
    let bytes = hash.finalize();
    bytes
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
