//! One address and its owner, as a finite system: what protocol section 2.4 says a node does, on
//! abstract time, against a network and clocks that do their worst.
//!
//! A message is heard at once ([`Step::Tell`]) or left on the wire, where it may be heard at any
//! later time, any number of times, or never. Loss, partition, pause and crash need no step of
//! their own: they are the runs in which a node is not told, says nothing or does nothing. Ages
//! instead of times keep the system finite: nothing depends on an age beyond its limit.
//!
//! Claims and acceptances are not messages of their own. A claim is the author's record, told; an
//! acceptance is the acceptor's record, told back with its acknowledgement (R1).

use stateright::{Model, Property};

use crate::recovery::recovers;

/// I1.
pub(crate) const ONE_OWNER: &str = "one owner";
/// I2 and I3.
pub(crate) const RECOVERY: &str = "an owner again";

/// Length of a grant and of the silence that makes suspect, in units of clock time. Their ratio is
/// what clock rates may differ by.
pub(crate) const GRANT: u8 = 4;
pub(crate) const SUSPECT: u8 = 5;

/// A rule that a mutation leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// R1: an acknowledgement counts only with the identical record; without it, one that knows
    /// nothing newer is enough.
    IdenticalRecord,
    /// A grant runs from the send time of the acknowledged beacon, not from the receipt of the
    /// acknowledgement.
    GrantFromSend,
    /// An acknowledgement names the life of the beacon it acknowledges.
    AcknowledgedLife,
    /// R2: only to a strictly higher epoch; without it, to any.
    HigherEpoch,
    /// R2 b: each acceptor itself heard nothing from the recorded owner.
    OwnSuspicion,
    /// R2: merging is bound by the same conditions as a claim.
    MergeLikeClaim,
    /// R2 e: whoever replaces its own claim steps down in the same step.
    StepDown,
    /// R3: a release counts only for the very claim it names.
    ExactRelease,
    /// R4: claims of an older life than the recorded one are void.
    NoOlderLife,
    /// R5: no acceptance and no acknowledgement for SUSPECT after a start.
    QuietStart,
    /// R6: learning one's own old claim from others does not make it stand again.
    NoRevival,
    /// Whoever forgot a vote votes for nobody for SUSPECT.
    QuietForgetting,
    /// After it forgot a vote, a node claims above it all the same.
    NeverTwice,
}

/// The vote of one node: who owns the address. Epoch 0: empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Claim {
    pub(crate) epoch: u8,
    pub(crate) owner: u8,
    pub(crate) life: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Node<const N: usize> {
    pub(crate) life: u8,
    /// Since its start, or since it forgot its vote.
    pub(crate) up: u8,
    /// The highest epoch that it forgot.
    floor: u8,
    pub(crate) record: Claim,
    /// The newest release it knows of that could still name its record.
    pub(crate) released: Claim,
    /// Its record is its own claim, and it stands by it.
    pub(crate) stands: bool,
    /// Since a beacon of each peer arrived, by its own clock; and of which life.
    pub(crate) heard: [u8; N],
    pub(crate) heard_life: [u8; N],
    /// Since the newest beacon heard of each peer was sent, by the peer's clock.
    pub(crate) seen: [u8; N],
    /// Since the newest own beacon was sent that each peer acknowledged and R1 lets count.
    pub(crate) grant: [u8; N],
}

impl<const N: usize> Node<N> {
    fn started(life: u8, up: u8) -> Self {
        Self {
            life,
            up,
            floor: 0,
            record: Claim::default(),
            released: Claim::default(),
            stands: false,
            heard: [SUSPECT; N],
            heard_life: [0; N],
            seen: [GRANT; N],
            grant: [GRANT; N],
        }
    }

    pub(crate) fn owns(&self) -> bool {
        let granted = self.grant.iter().filter(|age| **age < GRANT).count();
        self.stands && granted + 1 > N / 2
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    from: u8,
    to: u8,
    life: u8,
    /// Since it was sent, by the sender's clock.
    sent: u8,
    record: Claim,
    released: Claim,
    /// Since the newest beacon of the receiver that it acknowledges was sent, by the receiver's
    /// clock, and of which life.
    acknowledged: u8,
    acknowledged_life: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World<const N: usize> {
    pub(crate) nodes: [Node<N>; N],
    /// What each clock advances by in one tick.
    rates: [u8; N],
    wire: Vec<Message>,
}

impl<const N: usize> World<N> {
    pub(crate) fn owners(&self) -> usize {
        self.nodes.iter().filter(|node| node.owns()).count()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Time passes.
    Tick,
    /// A beacon is sent and heard.
    Tell(u8, u8),
    /// A beacon is sent and stays on the wire.
    Post(u8, u8),
    /// A beacon on the wire is heard, and stays: it may be heard again.
    Hear(u8),
    /// A beacon on the wire is gone for good.
    Lose(u8),
    Claim(u8),
    /// Withdrawal, or the first half of a planned handover.
    Release(u8),
    Restart(u8),
    /// A vote is forgotten that is not for the own claim.
    Forget(u8),
}

/// How far the run may go, and what it leaves out.
#[derive(Debug, Clone)]
pub(crate) struct Lease<const N: usize> {
    /// The nodes `0..candidates` claim; the others only vote.
    pub(crate) candidates: u8,
    pub(crate) epochs: u8,
    /// The nodes `0..restarting` may restart, each this often.
    pub(crate) restarting: u8,
    pub(crate) restarts: u8,
    pub(crate) releases: bool,
    pub(crate) forgets: bool,
    /// Messages on the wire at once.
    pub(crate) wire: usize,
    /// Slowest and fastest clock, in units per tick.
    pub(crate) rates: (u8, u8),
    pub(crate) without: Option<Rule>,
    /// From every state it is tried whether the address finds an owner again.
    pub(crate) recovery: bool,
}

impl<const N: usize> Lease<N> {
    fn holds(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// The highest epoch that a node remembers.
    fn known(&self, node: &Node<N>) -> u8 {
        if self.holds(Rule::NeverTwice) {
            node.record.epoch.max(node.floor)
        } else {
            node.record.epoch
        }
    }

    fn awake(&self, node: &Node<N>) -> bool {
        node.up >= SUSPECT || !self.holds(Rule::QuietStart)
    }

    /// R2 and R4: whether `node`, which is `me`, may replace its record by `new`.
    fn may_record(&self, me: u8, node: &Node<N>, new: Claim) -> bool {
        let old = node.record;
        let higher = new.epoch > old.epoch
            || (!self.holds(Rule::HigherEpoch) && new.epoch > 0 && new != old);
        if !higher || !self.awake(node) {
            return false;
        }
        if old.epoch == 0 {
            return true;
        }
        let owner = usize::from(old.owner);
        if new.owner == old.owner && new.life < old.life {
            return !self.holds(Rule::NoOlderLife);
        }
        let exact = node.released == old;
        let released = exact
            || (!self.holds(Rule::ExactRelease)
                && node.released.epoch > 0
                && node.released.owner == old.owner);
        old.owner == me
            || new.owner == old.owner
            || released
            || node.heard_life[owner] > old.life
            || node.heard[owner] >= SUSPECT
            || !self.holds(Rule::OwnSuspicion)
    }

    fn message(&self, world: &World<N>, from: u8, to: u8) -> Message {
        let node = &world.nodes[usize::from(from)];
        let peer = usize::from(to);
        Message {
            from,
            to,
            life: node.life,
            sent: 0,
            record: node.record,
            released: node.released,
            acknowledged: if self.awake(node) {
                node.seen[peer]
            } else {
                GRANT
            },
            acknowledged_life: node.heard_life[peer],
        }
    }

    fn hear(&self, world: &mut World<N>, message: Message) {
        let me = message.to;
        let peer = usize::from(message.from);
        let node = &mut world.nodes[usize::from(me)];
        if message.life < node.heard_life[peer] {
            return;
        }
        if message.life > node.heard_life[peer] {
            node.heard_life[peer] = message.life;
            node.seen[peer] = GRANT;
        }
        node.seen[peer] = node.seen[peer].min(message.sent);
        node.heard[peer] = 0;
        let old = node.record;
        if old.owner == message.from
            && old.life == message.life
            && message.record.epoch > old.epoch
            && old.epoch > 0
        {
            // Its owner votes for what is above: the recorded claim does not stand any more.
            node.released = old;
        }
        let release = message.released;
        let known = node.released == node.record && node.record.epoch > 0;
        if (release.epoch > node.released.epoch && !known) || release == node.record {
            node.released = release;
        }
        let new = message.record;
        let merged = !self.holds(Rule::MergeLikeClaim)
            && new.owner != message.from
            && new.epoch > node.record.epoch
            && self.awake(node);
        if merged || self.may_record(me, node, new) {
            node.record = new;
            if self.holds(Rule::StepDown) || new.owner == me {
                node.stands = false;
            }
            if !self.holds(Rule::NoRevival) && new.owner == me {
                node.stands = true;
            }
        }
        let same_life = message.acknowledged_life == node.life;
        let confused = !self.holds(Rule::AcknowledgedLife) && !same_life;
        let counts = message.record == node.record
            || (!self.holds(Rule::IdenticalRecord) && message.record.epoch <= node.record.epoch);
        if node.stands && counts && (same_life || confused) {
            let age =
                if confused || (!self.holds(Rule::GrantFromSend) && message.acknowledged < GRANT) {
                    0
                } else {
                    message.acknowledged
                };
            node.grant[peer] = node.grant[peer].min(age);
        }
        node.settle();
    }

    fn tick(world: &mut World<N>) {
        let rates = world.rates;
        let grown = |age: u8, by: u8, limit: u8| (age + by).min(limit);
        for (me, node) in world.nodes.iter_mut().enumerate() {
            node.up = grown(node.up, rates[me], SUSPECT);
            for peer in 0..N {
                node.heard[peer] = grown(node.heard[peer], rates[me], SUSPECT);
                node.grant[peer] = grown(node.grant[peer], rates[me], GRANT);
                node.seen[peer] = grown(node.seen[peer], rates[peer], GRANT);
            }
        }
        for message in &mut world.wire {
            message.sent = grown(message.sent, rates[usize::from(message.from)], GRANT);
            let rate = rates[usize::from(message.to)];
            message.acknowledged = grown(message.acknowledged, rate, GRANT);
        }
    }
}

impl<const N: usize> Node<N> {
    /// Forgets what nothing can depend on any more, so that equal states look equal.
    fn settle(&mut self) {
        if !self.stands {
            self.grant = [GRANT; N];
        }
    }
}

impl<const N: usize> Model for Lease<N> {
    type State = World<N>;
    type Action = Step;

    fn init_states(&self) -> Vec<World<N>> {
        let (slow, fast) = self.rates;
        let choices = if slow == fast { 1 } else { 1u32 << N };
        let rates = |choice: u32| {
            std::array::from_fn(|node| if choice >> node & 1 == 0 { slow } else { fast })
        };
        (0..choices)
            .map(|choice| World {
                nodes: [Node::started(0, SUSPECT); N],
                rates: rates(choice),
                wire: Vec::new(),
            })
            .collect()
    }

    fn actions(&self, world: &World<N>, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        let nodes = || (0u8..).zip(&world.nodes);
        for (me, node) in nodes() {
            for (peer, _) in nodes().filter(|(peer, _)| *peer != me) {
                steps.push(Step::Tell(me, peer));
                if world.wire.len() < self.wire {
                    steps.push(Step::Post(me, peer));
                }
            }
            // Nodes differ in nothing but their clocks: the first claim of all is node 0's.
            let first = nodes().all(|(_, node)| node.record.epoch == 0 && node.life == 0);
            if me < self.candidates && self.known(node) < self.epochs && (me == 0 || !first) {
                steps.push(Step::Claim(me));
            }
            if self.releases && node.stands {
                steps.push(Step::Release(me));
            }
            if self.forgets && node.record.epoch > 0 {
                steps.push(Step::Forget(me));
            }
            if me < self.restarting && node.life < self.restarts {
                steps.push(Step::Restart(me));
            }
        }
        for at in (0u8..).take(world.wire.len()) {
            steps.push(Step::Hear(at));
            steps.push(Step::Lose(at));
        }
    }

    fn next_state(&self, before: &World<N>, step: Step) -> Option<World<N>> {
        let mut world = before.clone();
        match step {
            Step::Tick => Self::tick(&mut world),
            Step::Tell(from, to) => {
                let message = self.message(before, from, to);
                self.hear(&mut world, message);
            }
            Step::Post(from, to) => {
                world.wire.push(self.message(before, from, to));
                world
                    .wire
                    .sort_by_key(|message| (message.from, message.to, message.life));
            }
            Step::Hear(at) => {
                let message = world.wire[usize::from(at)];
                self.hear(&mut world, message);
            }
            Step::Lose(at) => {
                world.wire.remove(usize::from(at));
            }
            Step::Claim(me) => {
                let node = &mut world.nodes[usize::from(me)];
                let new = Claim {
                    epoch: self.known(node) + 1,
                    owner: me,
                    life: node.life,
                };
                if !self.may_record(me, node, new) {
                    return None;
                }
                node.record = new;
                node.stands = true;
                node.grant = [GRANT; N];
            }
            Step::Release(me) => {
                let node = &mut world.nodes[usize::from(me)];
                if !node.stands {
                    return None;
                }
                node.released = node.record;
                node.stands = false;
                node.settle();
            }
            Step::Forget(me) => {
                let node = &mut world.nodes[usize::from(me)];
                if node.stands {
                    return None;
                }
                node.floor = node.floor.max(node.record.epoch);
                node.record = Claim::default();
                node.released = Claim::default();
                if self.holds(Rule::QuietForgetting) {
                    node.up = 0;
                }
            }
            Step::Restart(me) => {
                let node = &mut world.nodes[usize::from(me)];
                *node = Node::started(node.life + 1, 0);
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always(ONE_OWNER, |_, world: &World<N>| {
            world.owners() <= 1
        })];
        if self.recovery {
            properties.push(Property::always(RECOVERY, |lease: &Self, world| {
                let dead = (0..N).map(Some).chain([None]);
                dead.into_iter().all(|dead| recovers(lease, world, dead))
            }));
        }
        properties.extend([
            Property::sometimes("node 0 owns", |_, world: &World<N>| world.nodes[0].owns()),
            Property::sometimes("node 1 owns", |_, world: &World<N>| world.nodes[1].owns()),
        ]);
        properties
    }
}
