//! The door: one speaker among its peers.
//!
//! The shell drains its socket into [`Node::handle_datagram`], then calls [`Node::poll_transmit`]
//! until it yields nothing and sends each datagram at once, reads [`Node::poll_event`] and
//! [`Node::poll_question`], then sleeps until [`Node::poll_timeout`] or the next datagram. Early or repeated calls do nothing. What the
//! datagrams change is judged in `poll_transmit`, after all of them were heard. An answer about an
//! address is given only before the deadline that [`Node::owns`] says.

mod forget;
mod hear;
mod judge;
mod majority;
mod resort;
mod send;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forget::Sweep;

use crate::agenda::Agenda;
use crate::claims::{Hope, Standing};
use crate::lan::Lan;
use crate::limit::Limit;
use crate::peer::Peer;
use crate::table::{Sight, Table};
use crate::wire::Body;
use crate::witness::Witness;
use crate::{
    Claim, Config, ConfigError, Hold, Keys, Life, LinkId, NodeId, Policy, Takeover, Tie, Time,
    View, Wish,
};

/// How long a node that handed an address over leaves it to others.
pub const HANDOVER_PATIENCE: Duration = Duration::from_millis(100);

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// What the shell is to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer has a later view. It is to be written to disk before it is given to
    /// [`Node::set_view`].
    View(View),
    /// Peers know this later life of this node: it is not heard until its life is greater.
    Outlived(Life),
}

/// What the witness path wants asked on the LAN, once on each interface of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Whether a gateway answers.
    Gateway,
    /// Whether somebody else answers for the address: an ARP probe or DAD solicitation.
    Address(IpAddr),
    /// Whether a gateway answers on this link; not of the witness path.
    GatewayOn(LinkId),
}

/// One speaker.
#[derive(Debug)]
pub struct Node {
    config: Config,
    view: Option<View>,
    /// When the view was adopted.
    adopted: Time,
    /// The members known to have settled in the view.
    settled: BTreeSet<NodeId>,
    started: Time,
    /// The newest time this node was told.
    latest: Time,
    peers: BTreeMap<NodeId, Peer>,
    /// Of what is said in no peer's name.
    strangers: Limit,
    /// The peers that were not silent at the last judgement.
    sounding: BTreeSet<NodeId>,
    /// Whom the voters heard at the last judgement, where this node has no vote.
    told: Vec<BTreeSet<NodeId>>,
    /// Since when a majority sounds.
    majority_since: Option<Time>,
    /// It was awake (R5) at the last judgement.
    awoken: bool,
    /// Who sounds, or the view, may have changed since the last judgement.
    restless: bool,
    table: Table,
    standing: BTreeMap<IpAddr, Standing>,
    /// The claims that stand and were never valid.
    pending: BTreeSet<IpAddr>,
    hopes: BTreeMap<IpAddr, Hope>,
    agenda: Agenda,
    judgements: u64,
    seq: u64,
    /// When each beacon was sent that could still hold up a grant.
    sent: BTreeMap<u64, Time>,
    replies: VecDeque<(NodeId, Body)>,
    events: VecDeque<Event>,
    /// The latest view that was offered to the shell, and when.
    offered: Option<(u64, Time)>,
    outlived: Life,
    witness: Witness,
    /// Since when there is no majority, as far as this node noticed.
    lost: Option<Time>,
    /// There was one in this life.
    had_majority: bool,
    /// When the witness path goes on.
    resort_at: Option<Time>,
    /// When the majority ends unless it is heard from again.
    lapse: Option<Time>,
    lan: Lan,
    /// What breaks the tie, while this node has it.
    tie: Option<Tie>,
    sweep: Sweep,
    /// Whose vote was forgotten, and until when none is given.
    forgotten: BTreeMap<IpAddr, Time>,
}

impl Node {
    /// Starts a life, without a view. For SUSPECT it acknowledges and accepts nothing (R5).
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, now: Time) -> Result<Self, ConfigError> {
        config.timers.check()?;
        Ok(Self {
            outlived: config.life,
            config,
            view: None,
            adopted: now,
            settled: BTreeSet::new(),
            started: now,
            latest: now,
            peers: BTreeMap::new(),
            strangers: Limit::default(),
            sounding: BTreeSet::new(),
            told: Vec::new(),
            majority_since: None,
            awoken: false,
            restless: true,
            table: Table::default(),
            standing: BTreeMap::new(),
            pending: BTreeSet::new(),
            hopes: BTreeMap::new(),
            agenda: Agenda::default(),
            judgements: 0,
            seq: 0,
            sent: BTreeMap::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            offered: None,
            witness: Witness::default(),
            lost: None,
            had_majority: false,
            resort_at: None,
            lapse: None,
            lan: Lan::default(),
            tie: None,
            sweep: Sweep::default(),
            forgotten: BTreeMap::new(),
        })
    }

    /// Adopts `view` if it is later than the present one; whether it did. The caller has written it
    /// to disk before, and after a restart begins with what is there: a node never goes back. The
    /// first view of a node without a disk comes from a linearizable read of the chain.
    pub fn set_view(&mut self, view: View, now: Time) -> bool {
        let later = self
            .view
            .as_ref()
            .is_none_or(|old| view.number > old.number);
        if !later || !view.is_sound() {
            return false;
        }
        self.arrive(now);
        for member in view.members.iter().filter(|id| **id != self.config.me) {
            self.peers.entry(*member).or_insert_with(|| Peer::new(now));
        }
        let leaves = !view.members.contains(&self.config.me);
        self.lan.retain(|id| view.members.contains(&id));
        self.view = Some(view);
        self.adopted = now;
        self.settled.clear();
        self.restless = true;
        if leaves {
            let addresses: Vec<IpAddr> = self.standing.keys().copied().collect();
            for address in addresses {
                self.withdraw(address, now);
            }
        }
        self.mark_all();
        self.hasten(now);
        true
    }

    /// Where beacons are sent to. Nodes that are left out are heard and not answered.
    pub fn set_peers(&mut self, addresses: &BTreeMap<NodeId, SocketAddr>) {
        let others = addresses.iter().filter(|(id, _)| **id != self.config.me);
        for (id, address) in others {
            let peer = self
                .peers
                .entry(*id)
                .or_insert_with(|| Peer::new(self.latest));
            peer.address = Some(*address);
        }
        for (id, peer) in &mut self.peers {
            if !addresses.contains_key(id) {
                peer.address = None;
            }
        }
    }

    /// The links this node announces on, and whether there is a gateway to ask on each.
    pub fn set_links(&mut self, links: &BTreeMap<LinkId, bool>, now: Time) {
        self.arrive(now);
        self.lan.set_links(links, now);
    }

    /// The links, by node, on which announcing is in vain: their node is not heard there although
    /// others are. Of this node as it judges, of its peers as they say.
    #[must_use]
    pub fn unheard(&self, now: Time) -> BTreeMap<NodeId, BTreeSet<LinkId>> {
        self.lan.unheard(self.config.me, now)
    }

    /// Seals and accepts with these keys from now on.
    pub fn set_keys(&mut self, keys: Keys) {
        self.config.keys = keys;
    }

    /// The addresses this node is to own: all of them. What it owns and is not in here is released
    /// at once.
    pub fn set_wish(&mut self, wishes: &BTreeMap<IpAddr, Wish>, now: Time) {
        self.arrive(now);
        self.hopes.retain(|address, _| wishes.contains_key(address));
        for (address, wish) in wishes {
            let fresh = || Hope {
                wish: *wish,
                open: None,
                retry: now,
            };
            let known = self.hopes.get(address).map(|hope| hope.wish);
            self.hopes.entry(*address).or_insert_with(fresh).wish = *wish;
            if known != Some(*wish) {
                self.agenda.mark(*address);
            }
        }
        let unwanted = |address: &IpAddr| !wishes.contains_key(address);
        let unwanted: Vec<IpAddr> = self.standing.keys().copied().filter(unwanted).collect();
        for address in unwanted {
            self.withdraw(address, now);
        }
        self.judge(now);
    }

    /// Releases its claim of `address` at once, and does not claim it again for
    /// [`HANDOVER_PATIENCE`]; then its wish counts as before.
    pub fn hand_over(&mut self, address: IpAddr, now: Time) {
        self.arrive(now);
        self.withdraw(address, now);
        if let Some(hope) = self.hopes.get_mut(&address) {
            hope.retry = hope.retry.max(now + HANDOVER_PATIENCE);
            self.agenda.put(address, hope.retry);
        }
    }

    /// Whether this node may answer for `address`, and until when: the deadline is to be compared
    /// before every frame.
    #[must_use]
    pub fn owns(&self, address: IpAddr, now: Time) -> Option<Hold> {
        let standing = self.standing.get(&address)?;
        if let Some(until) = self.held_up_until(standing, now)
            && now < until
        {
            return Some(Hold {
                until,
                degraded: false,
            });
        }
        let until = self.witness.held_until(self.config.timers.grant);
        let until = match self.config.policy {
            Policy::Witnessed => until.min(self.tie_until()?),
            Policy::Available | Policy::Exclusive => until,
        };
        (self.witness.holds(address) && now < until).then_some(Hold {
            until,
            degraded: true,
        })
    }

    /// The present view.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    fn has_settled(&self, now: Time) -> bool {
        self.view.is_some() && now >= self.adopted + self.config.timers.quiet()
    }

    /// Who owns `address`, as far as this node knows. Its owner may know better.
    #[must_use]
    pub fn record(&self, address: IpAddr) -> Option<Claim> {
        let record = self.table.vote(address).record;
        (record.epoch > 0).then_some(record)
    }

    /// All that is known of who owns what.
    pub fn records(&self) -> impl Iterator<Item = (IpAddr, Claim)> {
        self.table.records()
    }

    /// How the claim of `address` that stands replaced a silent owner, if it did and was valid
    /// since.
    #[must_use]
    pub fn takeover(&self, address: IpAddr) -> Option<Takeover> {
        let standing = self.standing.get(&address)?;
        Some(Takeover {
            silent_since: standing.replaced?,
            claimed: standing.since,
            won: standing.won?,
        })
    }

    /// How often an address was judged since the start: what the table costs.
    #[must_use]
    pub fn judgements(&self) -> u64 {
        self.judgements
    }

    /// What happened that the shell is to act on.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn is_member(&self, id: NodeId) -> bool {
        self.view
            .as_ref()
            .is_some_and(|view| view.members.contains(&id))
    }

    fn is_voter(&self, id: NodeId) -> bool {
        self.view
            .as_ref()
            .is_some_and(|view| view.voters.contains(&id))
    }

    fn awake(&self, now: Time) -> bool {
        now >= self.started + self.config.timers.quiet()
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

    /// All addresses are to be judged again.
    fn mark_all(&mut self) {
        for (address, _) in self.table.records() {
            self.agenda.mark(address);
        }
        for address in self.hopes.keys() {
            self.agenda.mark(*address);
        }
    }

    /// Peers are to hear of this at once.
    fn hasten(&mut self, now: Time) {
        for peer in self.peers.values_mut() {
            peer.due = peer.due.min(now);
        }
    }
}

#[cfg(test)]
mod tests;
