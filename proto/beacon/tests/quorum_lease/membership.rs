//! Views that change under a lease, as a finite system: ADR 8 on abstract time, for one address.
//!
//! The chain of views is a global fact that grows; who adopted which is each node's own. A node
//! learns of a view whenever it likes, from whomever. Since knowledge that somebody settled never
//! becomes untrue and may come late, it is global here too. What [`crate::lease`] shows already is
//! left out: lives of candidates, releases, clocks of different rates. One tick is a whole grant,
//! unless `grant` and `suspect` say otherwise.

use stateright::{Model, Property};

use crate::lease::ONE_OWNER;

/// A rule that a mutation leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// An acknowledgement counts only from the receiver's present view.
    SameView,
    /// A view is written only after a majority of the one before settled; without it, after a
    /// majority adopted it.
    Settled,
    /// A node that restarts keeps the number it adopted; without it, it takes any that was ever
    /// written.
    KeptNumber,
    /// Only a node that runs no more counts as gone; without it, the mortal ones do.
    GoneForGood,
    /// Only members of the present view are counted.
    MembersOnly,
    /// Only who has a vote is counted.
    VotersOnly,
}

/// Who owns the address, says a node. Epoch 0: nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Claim {
    epoch: u8,
    owner: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Node<const N: usize> {
    /// Place of its view in the chain, from 1; 0 is none.
    view: u8,
    /// Since it adopted that.
    adopted: u8,
    /// Since it started.
    up: u8,
    restarts: u8,
    gone: bool,
    record: Claim,
    stands: bool,
    /// Since a beacon of each peer arrived; messages that arrive were sent in the same instant,
    /// unless they were on the wire.
    heard: [u8; N],
    /// Since the newest beacon heard of each peer was sent.
    seen: [u8; N],
    /// Since the newest own beacon was sent that each peer acknowledged and the rules let count.
    grant: [u8; N],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    from: u8,
    to: u8,
    view: u8,
    sent: u8,
    record: Claim,
    acknowledged: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World<const N: usize> {
    nodes: [Node<N>; N],
    /// So many views of the chain are written.
    written: u8,
    /// The nodes that settled in the last of them.
    settled: u8,
    wire: Option<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Tick,
    /// A beacon is sent and heard.
    Tell(u8, u8),
    /// A beacon is sent and stays on the wire.
    Post(u8, u8),
    /// The beacon on the wire is heard.
    Hear,
    Claim(u8),
    /// A node takes a view that is written.
    Adopt(u8, u8),
    /// The next view of the chain is written.
    Write,
    /// A node starts anew, with the view of this number.
    Restart(u8, u8),
    /// A node is gone for good.
    Die(u8),
}

/// The chain, and how far the run may go.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// The members of each view that vote, as bits.
    pub(crate) chain: &'static [u8],
    /// Members of all views, as bits: where they do not vote they own all the same.
    pub(crate) clients: u8,
    /// The nodes that claim, as bits; the others only vote.
    pub(crate) candidates: u8,
    pub(crate) epochs: u8,
    /// The nodes that may restart, as bits, each so often.
    pub(crate) restarting: u8,
    pub(crate) restarts: u8,
    /// The nodes that may go for good, as bits.
    pub(crate) mortal: u8,
    /// A message may be late.
    pub(crate) wire: bool,
    /// Voters tell each other too.
    pub(crate) gossip: bool,
    pub(crate) grant: u8,
    pub(crate) suspect: u8,
    pub(crate) without: Option<Rule>,
}

fn has(set: u8, node: u8) -> bool {
    set >> node & 1 == 1
}

/// Whether the members in `some` are more than half.
fn majority(members: u8, some: u8) -> bool {
    (members & some).count_ones() > members.count_ones() / 2
}

fn set<const N: usize>(world: &World<N>, which: impl Fn(&Node<N>) -> bool) -> u8 {
    let nodes = (0u8..).zip(&world.nodes).filter(|(_, node)| which(node));
    nodes.fold(0, |set, (me, _)| set | 1 << me)
}

impl Membership {
    fn holds(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    fn members(&self, view: u8) -> u8 {
        let place = usize::from(view).checked_sub(1);
        place
            .and_then(|place| self.chain.get(place).copied())
            .unwrap_or(0)
    }

    pub(crate) fn owners<const N: usize>(&self, world: &World<N>) -> Vec<u8> {
        let owns = |(me, node): &(u8, &Node<N>)| {
            let members = self.members(node.view);
            let granted = (0u8..)
                .zip(&node.grant)
                .filter(|(_, age)| **age < self.grant);
            let granted = granted.fold(0, |set, (peer, _)| set | 1 << peer);
            let counted = if !self.holds(Rule::MembersOnly) {
                u8::MAX
            } else if !self.holds(Rule::VotersOnly) {
                members | self.clients
            } else {
                members
            };
            let votes = ((granted | 1 << me) & counted).count_ones();
            node.stands && has(members | self.clients, *me) && votes > members.count_ones() / 2
        };
        let nodes = (0u8..).zip(&world.nodes);
        nodes.filter(owns).map(|(me, _)| me).collect()
    }

    fn may_write<const N: usize>(&self, world: &World<N>) -> bool {
        let members = self.members(world.written);
        let in_it = set(world, |node| node.view == world.written);
        let enough = if !self.holds(Rule::Settled) {
            majority(members, in_it)
        } else {
            let gone = if self.holds(Rule::GoneForGood) {
                set(world, |node| node.gone)
            } else {
                self.mortal
            };
            majority(members, world.settled | gone)
        };
        usize::from(world.written) < self.chain.len() && enough
    }

    /// R2: whether `node`, which is `me`, may replace its record by `new`.
    fn may_record<const N: usize>(&self, me: u8, node: &Node<N>, new: Claim) -> bool {
        let old = node.record;
        let silent = node
            .heard
            .get(usize::from(old.owner))
            .is_none_or(|heard| *heard >= self.suspect);
        node.up >= self.suspect
            && new.epoch > old.epoch
            && (old.epoch == 0 || old.owner == me || new.owner == old.owner || silent)
    }

    fn message<const N: usize>(&self, world: &World<N>, from: u8, to: u8) -> Message {
        let node = &world.nodes[usize::from(from)];
        let awake = node.up >= self.suspect;
        Message {
            from,
            to,
            view: node.view,
            sent: 0,
            record: node.record,
            acknowledged: if awake {
                node.seen[usize::from(to)]
            } else {
                self.grant
            },
        }
    }

    fn hear<const N: usize>(&self, world: &mut World<N>, message: Message) {
        let me = message.to;
        let peer = usize::from(message.from);
        let node = &mut world.nodes[usize::from(me)];
        if has(self.candidates, message.from) {
            node.heard[peer] = 0;
            node.seen[peer] = node.seen[peer].min(message.sent);
        }
        let (old, new) = (node.record, message.record);
        // Its owner votes for what is above: the recorded claim does not stand any more.
        let moved_on = old.owner == message.from && new.epoch > old.epoch;
        let awake = node.up >= self.suspect;
        if self.may_record(me, node, new) || (moved_on && awake) {
            node.record = new;
            node.stands = false;
        }
        let same_view = message.view == node.view || !self.holds(Rule::SameView);
        if node.stands && new == node.record && same_view {
            node.grant[peer] = node.grant[peer].min(message.acknowledged);
        }
        self.settle(node);
    }

    /// Forgets what nothing can depend on any more, so that equal states look equal.
    fn settle<const N: usize>(&self, node: &mut Node<N>) {
        if !node.stands {
            node.grant = [self.grant; N];
        }
    }

    fn tick<const N: usize>(&self, world: &mut World<N>) {
        let grow = |age: &mut u8, limit: u8| *age = (*age + 1).min(limit);
        for (me, node) in (0u8..).zip(&mut world.nodes) {
            grow(&mut node.up, self.suspect);
            grow(&mut node.adopted, self.suspect);
            node.heard
                .iter_mut()
                .for_each(|age| grow(age, self.suspect));
            node.seen.iter_mut().for_each(|age| grow(age, self.grant));
            node.grant.iter_mut().for_each(|age| grow(age, self.grant));
            if node.view == world.written && node.adopted >= self.suspect {
                world.settled |= 1 << me & self.members(node.view);
            }
            self.settle(node);
        }
        if let Some(message) = &mut world.wire {
            grow(&mut message.sent, self.grant);
            grow(&mut message.acknowledged, self.grant);
        }
    }

    fn started<const N: usize>(&self, view: u8, up: u8) -> Node<N> {
        Node {
            view,
            adopted: up,
            up,
            restarts: 0,
            gone: false,
            record: Claim::default(),
            stands: false,
            heard: [self.suspect; N],
            seen: [self.grant; N],
            grant: [self.grant; N],
        }
    }
}

/// A membership of `N` nodes in all its views together.
#[derive(Debug, Clone)]
pub(crate) struct Nodes<const N: usize>(pub(crate) Membership);

impl<const N: usize> Model for Nodes<N> {
    type State = World<N>;
    type Action = Step;

    fn init_states(&self) -> Vec<World<N>> {
        let first = self.0.members(1);
        let nodes = std::array::from_fn(|me| {
            let member = has(first | self.0.clients, me as u8);
            self.0.started(u8::from(member), self.0.suspect)
        });
        vec![World {
            nodes,
            written: 1,
            settled: first,
            wire: None,
        }]
    }

    fn actions(&self, world: &World<N>, steps: &mut Vec<Step>) {
        let run = &self.0;
        steps.push(Step::Tick);
        if run.may_write(world) {
            steps.push(Step::Write);
        }
        if world.wire.is_some() {
            steps.push(Step::Hear);
        }
        for (me, node) in (0u8..).zip(&world.nodes).filter(|(_, node)| !node.gone) {
            if has(run.mortal, me) {
                steps.push(Step::Die(me));
            }
            let voters = run.members(node.view);
            let speaks = node.view > 0 && has(voters | run.clients, me);
            // What voters tell each other is what a candidate could have told them.
            let listens = |peer: &u8| has(run.candidates, me) || has(run.candidates, *peer);
            let there = |peer: u8| !world.nodes[usize::from(peer)].gone;
            // Who has no vote speaks with those who have.
            let votes = !has(run.clients, me) || has(voters, me);
            let peers = (0..N as u8).filter(|peer| speaks && *peer != me && there(*peer));
            let peers = peers.filter(|peer| votes || has(voters, *peer));
            for peer in peers.filter(|peer| run.gossip || listens(peer)) {
                steps.push(Step::Tell(me, peer));
                if run.wire && world.wire.is_none() {
                    steps.push(Step::Post(me, peer));
                }
            }
            if has(run.candidates, me) && speaks && node.record.epoch < run.epochs {
                steps.push(Step::Claim(me));
            }
            for number in node.view + 1..=world.written {
                steps.push(Step::Adopt(me, number));
            }
            if has(run.restarting, me) && node.restarts < run.restarts {
                let oldest = if run.holds(Rule::KeptNumber) {
                    node.view
                } else {
                    1
                };
                steps.extend((oldest..=node.view).map(|number| Step::Restart(me, number)));
            }
        }
    }

    fn next_state(&self, before: &World<N>, step: Step) -> Option<World<N>> {
        let run = &self.0;
        let mut world = before.clone();
        match step {
            Step::Tick => run.tick(&mut world),
            Step::Tell(from, to) => {
                let message = run.message(before, from, to);
                run.hear(&mut world, message);
            }
            Step::Post(from, to) => world.wire = Some(run.message(before, from, to)),
            Step::Hear => {
                let message = world.wire.take()?;
                run.hear(&mut world, message);
            }
            Step::Claim(me) => {
                let node = &mut world.nodes[usize::from(me)];
                let new = Claim {
                    epoch: node.record.epoch + 1,
                    owner: me,
                };
                if !run.may_record(me, node, new) {
                    return None;
                }
                node.record = new;
                node.stands = true;
                node.grant = [run.grant; N];
            }
            Step::Adopt(me, number) => {
                let node = &mut world.nodes[usize::from(me)];
                node.view = number;
                node.adopted = if number == before.written {
                    0
                } else {
                    run.suspect
                };
                if !has(run.members(number) | run.clients, me) {
                    node.stands = false;
                    run.settle(node);
                }
            }
            Step::Write => {
                world.written += 1;
                world.settled = 0;
                for node in &mut world.nodes {
                    node.adopted = run.suspect;
                }
            }
            Step::Restart(me, number) => {
                let node = &mut world.nodes[usize::from(me)];
                let restarts = node.restarts + 1;
                *node = run.started(number, 0);
                node.restarts = restarts;
            }
            Step::Die(me) => {
                let node = &mut world.nodes[usize::from(me)];
                *node = run.started(0, run.suspect);
                node.gone = true;
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_OWNER, |nodes: &Self, world| {
                nodes.0.owners(world).len() <= 1
            }),
            Property::sometimes("an owner in the last view", |nodes: &Self, world| {
                let last = nodes.0.chain.len();
                let owners = nodes.0.owners(world);
                owners
                    .iter()
                    .any(|me| usize::from(world.nodes[usize::from(*me)].view) == last)
            }),
        ]
    }
}
