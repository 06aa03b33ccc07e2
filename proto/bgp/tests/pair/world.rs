//! Two peers, TCP between them, and chance: octets arrive in order, in parts of any size, when they
//! like; a socket holds 8 KiB; connections break.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use herald_bgp::codec::{Context, Kind, Update, frame};
use herald_bgp::{
    Action, Asn, Config, ConnectionId, Event, Families, Local, Opening, Peer, Prefix, RemoteAs,
    Route, State, Time, Wish,
};

const SOCKET: usize = 8192;
const STEP: Duration = Duration::from_millis(1);

/// Numbers by a seed (xorshift).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    /// Handed out, and not yet taken by the socket.
    waiting: VecDeque<u8>,
    flying: bool,
    /// In the socket, and not yet read.
    socket: VecDeque<u8>,
    /// The sender closed; what is under way is still read.
    closed: bool,
    /// What the reader knows by what it read, by a plain account of the messages.
    stream: Vec<u8>,
    known: BTreeSet<Prefix>,
}

/// A connection: its name at either end, and the direction from either end.
#[derive(Debug)]
struct Link {
    names: [Option<ConnectionId>; 2],
    pipes: [Pipe; 2],
    /// The end that did not open it accepts it at this time.
    accepts: Option<(usize, Time)>,
}

pub(crate) struct World {
    pub(crate) ends: [Peer; 2],
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    /// New connections are refused, and octets stay where they are.
    pub(crate) dark: bool,
    links: Vec<Link>,
    pub(crate) lost: usize,
}

const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];

pub(crate) fn config(end: usize, opening: Opening) -> Config {
    let asns = [Asn(64_512), Asn(4_200_000_000)];
    let remote = RemoteAs::Exactly(asns[1 - end]);
    let mut config = Config::new(asns[end], remote, ADDRESSES[end]);
    config.opening = opening;
    config.hold_time = Duration::from_secs(9);
    config.prefix_limit = 100_000;
    config
}

pub(crate) fn wish(prefixes: impl Iterator<Item = u32>, med: u32) -> Arc<Wish> {
    let route = Arc::new(Route {
        med: Some(med),
        ..Route::default()
    });
    let host = |number| Prefix::host(Ipv4Addr::from_bits(0xc612_0000 + number).into());
    Arc::new(prefixes.map(|n| (host(n), Arc::clone(&route))).collect())
}

impl World {
    pub(crate) fn new(seed: u64, openings: [Opening; 2]) -> Self {
        let now = Duration::from_secs(5);
        let configs = [config(0, openings[0]), config(1, openings[1])];
        let ends = configs.map(|config| Peer::new(config, false, seed, now).unwrap());
        Self {
            ends,
            now,
            chance: Chance::new(seed),
            dark: false,
            links: vec![],
            lost: 0,
        }
    }

    /// Both are established and each knows exactly what the other wishes.
    pub(crate) fn agrees(&self, wishes: [&Arc<Wish>; 2]) -> bool {
        let established = self
            .ends
            .iter()
            .all(|peer| peer.snapshot().state == State::Established);
        let lives = |link: &&Link| {
            link.names.iter().all(Option::is_some) && !link.pipes.iter().any(|pipe| pipe.closed)
        };
        let known = |from: usize| {
            let mut links = self.links.iter().filter(lives);
            links.any(|link| link.pipes[from].known.iter().eq(wishes[from].keys()))
        };
        established
            && known(0)
            && known(1)
            && (0..2).all(|end| self.ends[end].snapshot().received == wishes[1 - end].len())
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            self.tick();
        }
    }

    /// How long it takes until `done`, at most a minute.
    pub(crate) fn until(&mut self, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            self.run(STEP * 20);
            assert!(
                self.now - start < Duration::from_secs(120),
                "it does not come about"
            );
        }
        self.now - start
    }

    /// Every connection breaks, at both ends.
    pub(crate) fn cut(&mut self) {
        for link in std::mem::take(&mut self.links) {
            for (end, name) in link.names.into_iter().enumerate() {
                if let Some(name) = name {
                    self.ends[end].handle_closed(name, "connection reset", self.now);
                }
            }
        }
    }

    fn tick(&mut self) {
        for end in 0..2 {
            let due = self.ends[end].poll_timeout();
            if due.is_some_and(|due| due <= self.now) {
                self.ends[end].handle_timeout(self.now);
            }
        }
        if !self.dark {
            self.accept();
            self.carry();
        }
        for end in 0..2 {
            self.obey(end);
            self.collect(end);
            while let Some(event) = self.ends[end].poll_event() {
                self.lost += usize::from(matches!(event, Event::Lost(_)));
            }
        }
    }

    fn accept(&mut self) {
        for at in 0..self.links.len() {
            let Some((end, _)) = self.links[at].accepts.filter(|(_, due)| *due <= self.now) else {
                continue;
            };
            self.links[at].accepts = None;
            let local = |end: usize| Local::of(ADDRESSES[end].into());
            let Some(name) = self.links[at].names[1 - end] else {
                continue;
            };
            match self.ends[end].handle_accepted(local(end), self.now) {
                Some(accepted) => {
                    self.links[at].names[end] = Some(accepted);
                    self.ends[1 - end].handle_connected(name, local(1 - end), self.now);
                }
                None => {
                    self.links[at].names[1 - end] = None;
                    self.ends[1 - end].handle_closed(name, "connection refused", self.now);
                }
            }
        }
    }

    /// Actions of one end.
    fn obey(&mut self, end: usize) {
        while let Some(action) = self.ends[end].poll_action() {
            match action {
                Action::Connect(name) => {
                    let mut names = [None, None];
                    names[end] = Some(name);
                    let delay = Duration::from_millis(self.chance.below(20));
                    self.links.push(Link {
                        names,
                        pipes: Default::default(),
                        accepts: Some((1 - end, self.now + delay)),
                    });
                }
                Action::Close {
                    connection,
                    last_words,
                } => {
                    let named = |link: &&mut Link| link.names[end] == Some(connection);
                    if let Some(link) = self.links.iter_mut().find(named) {
                        link.names[end] = None;
                        link.accepts = None;
                        link.pipes[end].waiting.extend(last_words);
                        link.pipes[end].closed = true;
                    }
                }
            }
        }
    }

    /// What one end has to write.
    fn collect(&mut self, end: usize) {
        while let Some(transmit) = self.ends[end].poll_transmit(self.now) {
            let named = |link: &&mut Link| link.names[end] == Some(transmit.connection);
            let link = self.links.iter_mut().find(named).unwrap();
            let pipe = &mut link.pipes[end];
            assert!(
                !pipe.flying && pipe.waiting.is_empty(),
                "one chunk at a time"
            );
            pipe.waiting.extend(transmit.bytes);
            pipe.flying = true;
        }
    }

    /// Octets into sockets and out of them.
    fn carry(&mut self) {
        for at in 0..self.links.len() {
            for from in 0..2 {
                let link = &mut self.links[at];
                let pipe = &mut link.pipes[from];
                let room = SOCKET - pipe.socket.len();
                let moved = pipe.waiting.len().min(room);
                pipe.socket.extend(pipe.waiting.drain(..moved));
                let taken = pipe.flying && pipe.waiting.is_empty();
                if taken {
                    pipe.flying = false;
                    if let Some(name) = link.names[from] {
                        self.ends[from].handle_sent(name, self.now);
                    }
                }
                let link = &mut self.links[at];
                let pipe = &mut link.pipes[from];
                let size = match self.chance.below(4) {
                    0 => 0,
                    1 => self.chance.below(40) as usize,
                    _ => self.chance.below(3000) as usize,
                };
                let part: Vec<u8> = pipe.socket.drain(..size.min(pipe.socket.len())).collect();
                let over = pipe.closed && pipe.socket.is_empty() && pipe.waiting.is_empty();
                let Some(name) = link.names[1 - from] else {
                    continue;
                };
                if !part.is_empty() {
                    pipe.account(&part);
                    self.ends[1 - from].handle_bytes(name, &part, self.now);
                }
                if over {
                    self.links[at].names[1 - from] = None;
                    self.ends[1 - from].handle_closed(name, "closed by the peer", self.now);
                }
            }
        }
        self.links
            .retain(|link| link.names.iter().any(Option::is_some));
    }
}

impl Pipe {
    /// A plain reader of the stream: announced prefixes are known, withdrawn ones are not.
    fn account(&mut self, part: &[u8]) {
        let context = Context {
            four_octet_as: true,
            internal: false,
            families: Families::both(),
            extended_next_hop: false,
        };
        self.stream.extend(part);
        while let Some(message) = frame(&self.stream, true).unwrap() {
            let length = message.length();
            if message.kind == Kind::Update {
                let update = Update::decode(message.body, &context).unwrap();
                assert_eq!(update.faults, []);
                for gone in &update.withdrawn {
                    assert!(self.known.remove(gone), "withdrawn twice");
                }
                self.known.extend(update.announced);
            }
            self.stream.drain(..length);
        }
    }
}
