//! Prints what a node pays: ten nodes, a thousand addresses, on this machine's clock.
//!
//! `cargo run --release -p herald-beacon --example cost`

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use herald_beacon::{
    Config, ConfigError, Key, Keys, Node, NodeId, Policy, Time, Timers, View, Wish,
};

const NODES: u64 = 10;
const ADDRESSES: u32 = 1000;

struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    now: Time,
    datagrams: u32,
    sending: Duration,
    hearing: Duration,
    /// The longest call.
    longest: Duration,
}

/// The only clock of this program.
#[allow(clippy::disallowed_methods)]
fn timed<T>(total: &mut Duration, what: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = what();
    *total += start.elapsed();
    result
}

fn home(id: NodeId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(id).unwrap_or(0)], 7948))
}

impl Cluster {
    fn new() -> Result<Self, ConfigError> {
        let view = View::of_equals(1, (1..=NODES).collect());
        let homes = (1..=NODES).map(|id| (id, home(id))).collect();
        let mut nodes = BTreeMap::new();
        for me in 1..=NODES {
            let config = Config {
                cluster: 1,
                me,
                life: 1,
                keys: Keys::new(1, Key([5; 32])),
                timers: Timers::default(),
                policy: Policy::Available,
            };
            let mut node = Node::new(config, Time::ZERO)?;
            node.set_peers(&homes);
            node.set_view(view.clone(), Time::ZERO);
            nodes.insert(me, node);
        }
        Ok(Self {
            nodes,
            now: Time::ZERO,
            datagrams: 0,
            sending: Duration::ZERO,
            hearing: Duration::ZERO,
            longest: Duration::ZERO,
        })
    }

    /// Lets a millisecond pass and every datagram arrive in it.
    fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let now = self.now;
        let mut flying = Vec::new();
        for node in self.nodes.values_mut() {
            loop {
                let before = self.sending;
                let sent = timed(&mut self.sending, || node.poll_transmit(now));
                self.longest = self.longest.max(self.sending - before);
                match sent {
                    Some(sent) => flying.push(sent),
                    None => break,
                }
            }
        }
        for sent in flying {
            let to = self.nodes.iter_mut().find(|(id, _)| home(**id) == sent.to);
            let Some((_, node)) = to else {
                continue;
            };
            self.datagrams += 1;
            timed(&mut self.hearing, || {
                let _ = node.handle_datagram(&sent.bytes, [7; 16], now);
            });
        }
    }

    /// Costs of the next `ms` milliseconds.
    fn run(&mut self, what: &str, ms: u32) {
        (self.datagrams, self.longest) = (0, Duration::ZERO);
        (self.sending, self.hearing) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..ms {
            self.step();
        }
        let count = self.datagrams.max(1);
        println!(
            "{what}, {ms} ms: {count} datagrams, {:?} to judge and send and {:?} to hear, each; the longest decision {:?}",
            self.sending / count,
            self.hearing / count,
            self.longest
        );
    }
}

fn addresses() -> impl Iterator<Item = IpAddr> {
    (1..=ADDRESSES).map(|at| IpAddr::V4(Ipv4Addr::from_bits(0xc633_0000 + at)))
}

fn main() -> Result<(), ConfigError> {
    let mut cluster = Cluster::new()?;
    cluster.run("start", 1000);
    for (id, node) in &mut cluster.nodes {
        let rank = u32::try_from(*id).unwrap_or(0) - 1;
        let wishes = addresses().map(|address| (address, Wish { rank }));
        node.set_wish(&wishes.collect(), cluster.now);
    }
    cluster.run("first claims", 200);
    cluster.run("calm", 2000);
    if let Some(owner) = cluster.nodes.get(&1) {
        let mut total = Duration::ZERO;
        let owned = timed(&mut total, || {
            let owned = addresses().filter(|address| owner.owns(*address, cluster.now).is_some());
            owned.count()
        });
        println!("owns: {owned} addresses, {:?} each", total / ADDRESSES);
    }
    cluster.nodes.remove(&1);
    cluster.run("takeover", 400);
    Ok(())
}
