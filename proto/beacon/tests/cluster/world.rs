//! Real nodes on virtual time: each with a clock of its own, joined by a network that loses,
//! delays, doubles and cuts. After every step nobody owns what another owns.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use herald_beacon::{
    Config, Discard, Event, Hold, Key, Keys, Life, LinkId, MAX_DATAGRAM, Node, NodeId, Policy,
    Question, Time, Timers, View, Wish,
};

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

pub(crate) struct Machine {
    pub(crate) node: Option<Node>,
    life: Life,
    /// Its clock: so far ahead, and so many per mille of true time.
    ahead: Duration,
    rate: u32,
    /// It does nothing until then; its clock goes on.
    pub(crate) paused_until: Duration,
    pub(crate) wishes: BTreeMap<IpAddr, Wish>,
    /// The view it adopted, through all its lives.
    pub(crate) disk: Option<View>,
    /// The part of the announced LAN it is connected to.
    pub(crate) segment: u64,
    lan: Vec<Lan>,
}

impl Machine {
    fn clock(&self, now: Duration) -> Time {
        self.ahead + now * self.rate / 1000
    }
}

struct Flying {
    arrives: Duration,
    from: NodeId,
    to: NodeId,
    bytes: Vec<u8>,
}

/// What arrives from the announced LAN.
#[derive(Clone)]
enum Lan {
    Gateway,
    /// Somebody answered for, or announced, the address.
    Taken(IpAddr),
    /// A gateway, asked for the link's sake.
    GatewayOnLink,
    /// For everybody there.
    Copy(Vec<u8>),
}

/// The one link of every node.
pub(crate) const LINK: LinkId = 1;

pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) now: Duration,
    pub(crate) machines: BTreeMap<NodeId, Machine>,
    pub(crate) dice: Dice,
    /// Per mille of datagrams lost, and doubled.
    pub(crate) loss: u64,
    pub(crate) doubled: u64,
    /// The longest a datagram takes.
    pub(crate) delay: Duration,
    /// One way from, to.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    flying: Vec<Flying>,
    /// Everything that was ever sent to a node, if it is to be kept.
    pub(crate) recorded: Option<Vec<(NodeId, Vec<u8>)>>,
    pub(crate) discards: BTreeMap<Discard, usize>,
    /// The views that were written, and the nodes that will never run again.
    pub(crate) chain: Vec<View>,
    pub(crate) gone: BTreeSet<NodeId>,
    /// The parts of the LAN with a gateway.
    pub(crate) gateways: BTreeSet<u64>,
    /// Whether a node that starts knows of a gateway.
    pub(crate) links_have_gateways: bool,
    /// Who owned an address after the last step, and since when two that hear each other do.
    owning: BTreeMap<IpAddr, Vec<NodeId>>,
    overlap: BTreeMap<(IpAddr, usize), Duration>,
    /// On one LAN, and with beacons as well.
    pub(crate) longest_overlap: [Duration; 2],
    /// Whether every step is checked: a thousand addresses take their time.
    pub(crate) checked: bool,
    /// The number and the bytes of the datagrams sent by each node.
    pub(crate) sent: BTreeMap<NodeId, (usize, usize)>,
    /// How many questions were asked on the LAN.
    pub(crate) asked: usize,
    /// Address, owner, since when: each time the owner is another than before.
    pub(crate) moves: Vec<(IpAddr, NodeId, Duration)>,
}

pub(crate) const STEP: Duration = Duration::from_millis(1);

pub(crate) fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn home(node: NodeId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node as u8], 7946))
}

impl World {
    /// Nodes 1 to `size`, all just started and members.
    pub(crate) fn new(size: u64, seed: u64) -> Self {
        Self::with(size, size, seed, Policy::Exclusive)
    }

    /// Nodes 1 to `size`, all just started; the first `members` are members.
    pub(crate) fn with(size: u64, members: u64, seed: u64, policy: Policy) -> Self {
        let first = View::of_equals(1, (1..=members).collect());
        Self::in_view(size, first, seed, policy)
    }

    /// Nodes 1 to `size`, all just started, in the view `first`.
    pub(crate) fn in_view(size: u64, first: View, seed: u64, policy: Policy) -> Self {
        let mut world = Self {
            policy,
            chain: vec![first.clone()],
            gone: BTreeSet::new(),
            gateways: BTreeSet::from([0]),
            links_have_gateways: true,
            owning: BTreeMap::new(),
            overlap: BTreeMap::new(),
            longest_overlap: [Duration::ZERO; 2],
            asked: 0,
            checked: true,
            sent: BTreeMap::new(),
            now: Duration::ZERO,
            machines: BTreeMap::new(),
            dice: Dice(seed),
            loss: 0,
            doubled: 0,
            delay: STEP,
            cut: BTreeSet::new(),
            flying: Vec::new(),
            recorded: None,
            discards: BTreeMap::new(),
            moves: Vec::new(),
        };
        for id in 1..=size {
            let machine = Machine {
                node: None,
                life: 0,
                ahead: Duration::from_millis(world.dice.below(100_000)),
                rate: 890 + world.dice.below(221) as u32,
                paused_until: Duration::ZERO,
                wishes: BTreeMap::new(),
                disk: first.members.contains(&id).then(|| first.clone()),
                segment: 0,
                lan: Vec::new(),
            };
            world.machines.insert(id, machine);
        }
        for id in 1..=size {
            world.start(id);
        }
        world
    }

    pub(crate) fn start(&mut self, id: NodeId) {
        let homes = self.machines.keys().map(|id| (*id, home(*id))).collect();
        let (now, policy) = (self.now, self.policy);
        let machine = self.machines.get_mut(&id).expect("a member");
        machine.life += 1;
        machine.lan.clear();
        let config = Config {
            cluster: 1,
            me: id,
            life: machine.life,
            keys: Keys::new(1, Key([5; 32])),
            timers: Timers::default(),
            policy,
        };
        let clock = machine.clock(now);
        let mut node = Node::new(config, clock).expect("a sound configuration");
        node.set_peers(&homes);
        if let Some(view) = &machine.disk {
            node.set_view(view.clone(), clock);
        }
        node.set_links(&BTreeMap::from([(LINK, self.links_have_gateways)]), clock);
        node.set_wish(&machine.wishes, clock);
        machine.node = Some(node);
        machine.paused_until = now;
    }

    pub(crate) fn crash(&mut self, id: NodeId) {
        self.machines.get_mut(&id).expect("a member").node = None;
    }

    /// The candidates of an address, best first.
    pub(crate) fn wish(&mut self, address: IpAddr, candidates: &[NodeId]) {
        let now = self.now;
        for (id, machine) in &mut self.machines {
            match candidates.iter().position(|candidate| candidate == id) {
                Some(rank) => machine.wishes.insert(address, Wish { rank: rank as u32 }),
                None => machine.wishes.remove(&address),
            };
            let clock = machine.clock(now);
            if let Some(node) = &mut machine.node {
                node.set_wish(&machine.wishes, clock);
            }
        }
    }

    /// All that node `id` is to own.
    pub(crate) fn set_wishes(&mut self, id: NodeId, wishes: BTreeMap<IpAddr, Wish>) {
        let now = self.now;
        let machine = self.machines.get_mut(&id).expect("a member");
        machine.wishes = wishes;
        let clock = machine.clock(now);
        if let Some(node) = &mut machine.node {
            node.set_wish(&machine.wishes, clock);
        }
    }

    pub(crate) fn isolate(&mut self, id: NodeId) {
        for other in self.machines.keys().filter(|other| **other != id) {
            self.cut.extend([(id, *other), (*other, id)]);
        }
    }

    /// Beacons of `id` reach nobody and nobody's reach it, and neither does the LAN.
    pub(crate) fn unplug(&mut self, id: NodeId, segment: u64) {
        self.isolate(id);
        self.machines.get_mut(&id).expect("a member").segment = segment;
    }

    /// All cables are back.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        for machine in self.machines.values_mut() {
            machine.segment = 0;
        }
    }

    /// Node `id` writes the next view, with or without `other`, if it may; whether it did.
    pub(crate) fn write_view(&mut self, id: NodeId, other: NodeId) -> bool {
        let last = self.chain.last().expect("a first view");
        let mut next = last.clone();
        next.number += 1;
        if !next.members.remove(&other) {
            next.members.insert(other);
        }
        // Who comes votes where all do.
        let all = last.members == last.voters;
        if !next.voters.remove(&other) && all {
            next.voters.insert(other);
        }
        self.write(id, next)
    }

    /// Node `id` writes this view, which follows the last one, if it may; whether it did.
    pub(crate) fn write(&mut self, id: NodeId, next: View) -> bool {
        let last = self.chain.last().expect("a first view");
        let Some(node) = &self.machines[&id].node else {
            return false;
        };
        if node.view() != Some(last) || !node.may_step(&self.gone) || next.voters.is_empty() {
            return false;
        }
        self.chain.push(next);
        self.read_view(id);
        true
    }

    /// Node `id` reads the chain.
    pub(crate) fn read_view(&mut self, id: NodeId) {
        let last = self.chain.last().expect("a first view").clone();
        let now = self.now;
        let machine = self.machines.get_mut(&id).expect("a machine");
        let clock = machine.clock(now);
        if let Some(node) = &mut machine.node {
            machine.disk = Some(last.clone());
            node.set_view(last, clock);
        }
    }

    pub(crate) fn owners(&self, address: IpAddr) -> Vec<NodeId> {
        let owns = |(id, machine): (&NodeId, &Machine)| {
            let node = machine.node.as_ref()?;
            node.owns(address, machine.clock(self.now)).map(|_| *id)
        };
        self.machines.iter().filter_map(owns).collect()
    }

    /// The nodes that take their link for unheard.
    pub(crate) fn unheard(&self) -> BTreeSet<NodeId> {
        let mut unheard = BTreeSet::new();
        for (id, machine) in &self.machines {
            let Some(node) = &machine.node else { continue };
            let known = node.unheard(machine.clock(self.now));
            unheard.extend(known.contains_key(id).then_some(*id));
        }
        unheard
    }

    pub(crate) fn hold(&self, id: NodeId, address: IpAddr) -> Option<Hold> {
        let machine = &self.machines[&id];
        let node = machine.node.as_ref()?;
        node.owns(address, machine.clock(self.now))
    }

    pub(crate) fn owner(&self, address: IpAddr) -> Option<NodeId> {
        self.owners(address).first().copied()
    }

    /// The clock of `id`.
    pub(crate) fn clock(&self, id: NodeId) -> Time {
        self.machines[&id].clock(self.now)
    }

    /// Runs for `time`.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until `address` has another owner than `not`; how long that took.
    pub(crate) fn until_owned(&mut self, address: IpAddr, not: Option<NodeId>) -> Duration {
        let start = self.now;
        while self.owner(address).is_none_or(|owner| Some(owner) == not) {
            assert!(
                self.now < start + Duration::from_secs(10),
                "nobody owns {address}"
            );
            self.step();
        }
        self.now - start
    }

    pub(crate) fn step(&mut self) {
        self.now += STEP;
        let mut ids: Vec<NodeId> = self.machines.keys().copied().collect();
        let first = self.dice.below(ids.len() as u64) as usize;
        ids.rotate_left(first);
        self.check();
        for id in ids {
            if self.serve(id) {
                self.check_after(id);
            }
        }
    }

    /// As a shell does: nothing, until something arrives or the time it was told has come.
    fn serve(&mut self, id: NodeId) -> bool {
        let now = self.now;
        let machine = self.machines.get_mut(&id).expect("a member");
        if now < machine.paused_until {
            return false;
        }
        let clock = machine.clock(now);
        let mine = |flying: &mut Flying| flying.to == id && flying.arrives <= now;
        let arrived: Vec<Flying> = self.flying.extract_if(.., mine).collect();
        let lan = std::mem::take(&mut machine.lan);
        let Some(node) = &mut machine.node else {
            return false;
        };
        if lan.is_empty() && arrived.is_empty() && clock < node.poll_timeout() {
            return false;
        }
        for heard in lan {
            match heard {
                Lan::Gateway => node.note_gateway(clock),
                Lan::Taken(address) => node.note_answer(address, clock),
                Lan::GatewayOnLink => node.note_gateway_on(LINK, clock),
                Lan::Copy(bytes) => {
                    let _not_proven_yet = node.handle_copy(&bytes, LINK, clock);
                }
            }
        }
        for flying in arrived {
            let mut fresh = [0; 16];
            fresh[..8].copy_from_slice(&self.dice.roll().to_be_bytes());
            fresh[8..].copy_from_slice(&self.dice.roll().to_be_bytes());
            if let Err(discard) = node.handle_datagram(&flying.bytes, fresh, clock) {
                *self.discards.entry(discard).or_default() += 1;
            }
        }
        while let Some(event) = node.poll_event() {
            if let Event::View(view) = event {
                machine.disk = Some(view.clone());
                node.set_view(view, clock);
            }
        }
        let mut sent = Vec::new();
        while let Some(transmit) = node.poll_transmit(clock) {
            sent.push(transmit);
            assert!(sent.len() < 1000, "a node that never stops sending");
        }
        let mut copies = Vec::new();
        while let Some((link, bytes)) = node.poll_copy(clock) {
            assert_eq!(link, LINK);
            copies.push(bytes);
        }
        assert!(node.poll_timeout() > clock, "a node that never sleeps");
        let mut questions = Vec::new();
        while let Some(question) = node.poll_question() {
            questions.push(question);
        }
        for question in questions {
            self.ask(id, question);
        }
        for bytes in copies {
            self.spread(id, &Lan::Copy(bytes));
        }
        for transmit in sent {
            let to = self
                .machines
                .keys()
                .copied()
                .find(|id| home(*id) == transmit.to);
            self.send(id, to.expect("a member"), &transmit.bytes);
        }
        true
    }

    fn send(&mut self, from: NodeId, to: NodeId, bytes: &[u8]) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push((to, bytes.to_vec()));
        }
        let (count, total) = self.sent.entry(from).or_default();
        (*count, *total) = (*count + 1, *total + bytes.len());
        assert!(bytes.len() <= MAX_DATAGRAM);
        if self.cut.contains(&(from, to)) {
            return;
        }
        let copies = 1 + u64::from(self.dice.chance(self.doubled));
        for _ in 0..copies {
            if self.dice.chance(self.loss) {
                continue;
            }
            let delay = self.dice.below(self.delay.as_micros() as u64 + 1);
            self.flying.push(Flying {
                arrives: self.now + Duration::from_micros(delay),
                from,
                to,
                bytes: bytes.to_vec(),
            });
        }
    }

    /// Puts a datagram on the wire that nobody sent now.
    pub(crate) fn inject(&mut self, to: NodeId, bytes: Vec<u8>) {
        self.flying.push(Flying {
            arrives: self.now,
            from: 0,
            to,
            bytes,
        });
    }

    /// What the LAN answers: the gateway, and whoever owns the address or did until it lapsed.
    fn ask(&mut self, id: NodeId, question: Question) {
        self.asked += 1;
        let segment = self.machines[&id].segment;
        let answers = match question {
            Question::Gateway | Question::GatewayOn(_) => self.gateways.contains(&segment),
            Question::Address(address) => self.machines.iter().any(|(other, machine)| {
                let clock = machine.clock(self.now);
                let holds = |node: &Node| {
                    node.owns(address, clock).is_some() || node.lapsed(address, clock)
                };
                *other != id
                    && machine.segment == segment
                    && machine.paused_until <= self.now
                    && machine.node.as_ref().is_some_and(holds)
            }),
        };
        if answers {
            let answer = match question {
                Question::Gateway => Lan::Gateway,
                Question::GatewayOn(_) => Lan::GatewayOnLink,
                Question::Address(address) => Lan::Taken(address),
            };
            self.machines
                .get_mut(&id)
                .expect("a member")
                .lan
                .push(answer);
        }
    }

    fn announce(&mut self, id: NodeId, address: IpAddr) {
        self.spread(id, &Lan::Taken(address));
    }

    /// To everybody else on the part of the LAN that `id` is on.
    fn spread(&mut self, id: NodeId, what: &Lan) {
        let segment = self.machines[&id].segment;
        let others = self.machines.iter_mut();
        let hearing = others.filter(|(other, machine)| **other != id && machine.segment == segment);
        for (_, machine) in hearing {
            machine.lan.push(what.clone());
        }
    }

    /// What one node does changes nobody else's ownership at that moment.
    fn check_after(&mut self, id: NodeId) {
        if !self.checked {
            return;
        }
        let wished: Vec<IpAddr> = self.machines[&id].wishes.keys().copied().collect();
        let changed = wished.into_iter().any(|address| {
            let before = self.owning.get(&address);
            let owned = before.is_some_and(|owners| owners.contains(&id));
            owned != self.hold(id, address).is_some()
        });
        if changed {
            self.check();
        }
    }

    /// I1, and the list of moves.
    fn check(&mut self) {
        if !self.checked {
            return;
        }
        let addresses: BTreeSet<IpAddr> = self
            .machines
            .values()
            .flat_map(|machine| machine.wishes.keys().copied())
            .collect();
        for address in addresses {
            let owners = self.owners(address);
            let before = self
                .owning
                .insert(address, owners.clone())
                .unwrap_or_default();
            for owner in owners.iter().filter(|owner| !before.contains(owner)) {
                self.announce(*owner, address);
            }
            self.check_owners(address, &owners);
            let Some(owner) = owners.first() else {
                continue;
            };
            let last = self
                .moves
                .iter()
                .rev()
                .find(|(moved, _, _)| *moved == address);
            if last.is_none_or(|(_, before, _)| before != owner) {
                self.moves.push((address, *owner, self.now));
            }
        }
    }

    /// Never two owners by a majority, and not for long two that hear each other on the LAN.
    fn check_owners(&mut self, address: IpAddr, owners: &[NodeId]) {
        let ordinary = |id: &&NodeId| self.hold(**id, address).is_some_and(|hold| !hold.degraded);
        let ordinary: Vec<&NodeId> = owners.iter().filter(ordinary).collect();
        let exclusive = self.policy == Policy::Exclusive;
        assert!(
            self.policy != Policy::Witnessed || owners.len() <= 1,
            "at {:?} {address} is owned by {owners:?}, of two",
            self.now
        );
        assert!(
            ordinary.len() <= 1 && (!exclusive || ordinary.len() == owners.len()),
            "at {:?} {address} is owned by {owners:?}, by a majority: {ordinary:?}",
            self.now
        );
        let near = |a: &NodeId, b: &NodeId| {
            let (a, b) = (&self.machines[a], &self.machines[b]);
            let running = a.paused_until <= self.now && b.paused_until <= self.now;
            running && a.segment == b.segment
        };
        let joined = |a: &NodeId, b: &NodeId| {
            near(a, b) && !self.cut.contains(&(*a, *b)) && !self.cut.contains(&(*b, *a))
        };
        let pairs = || {
            let pairs = owners
                .iter()
                .flat_map(|a| owners.iter().map(move |b| (a, b)));
            pairs.filter(|(a, b)| a < b)
        };
        // Without beacons it takes a look, one a second, to find out.
        let near = (
            pairs().any(|(a, b)| near(a, b)),
            Duration::from_millis(1300),
        );
        let joined = (
            pairs().any(|(a, b)| joined(a, b)),
            Duration::from_millis(500),
        );
        for (kind, (overlaps, limit)) in [near, joined].into_iter().enumerate() {
            if !overlaps {
                self.overlap.remove(&(address, kind));
                continue;
            }
            let since = *self.overlap.entry((address, kind)).or_insert(self.now);
            let overlap = self.now - since;
            self.longest_overlap[kind] = self.longest_overlap[kind].max(overlap);
            assert!(
                overlap <= limit,
                "at {:?} {address} is owned by {owners:?} since {since:?}",
                self.now
            );
        }
    }

    /// Prints what a failed assertion leaves open.
    pub(crate) fn show(&self, address: IpAddr) {
        println!("chain {:?}", self.chain);
        for (id, machine) in &self.machines {
            let clock = machine.clock(self.now);
            let Some(node) = &machine.node else {
                continue;
            };
            let (record, live) = (node.record(address), node.live(clock));
            let (view, hold) = (node.view(), node.owns(address, clock));
            println!("{id}: {record:?} {hold:?} live {live:?} view {view:?}");
        }
    }

    /// What is on its way between two nodes.
    pub(crate) fn in_flight(&self) -> usize {
        self.flying.iter().filter(|flying| flying.from != 0).count()
    }
}
