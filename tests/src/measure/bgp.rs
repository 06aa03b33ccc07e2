//! How fast many routes are told to routers, beside BIRD on the same wires; what flaps cost; how soon a
//! changed object is on the wire; and what a client loses through a router when a node goes.
//!
//! What sends is `proto/bgp` with sockets as the speaker's sessions have them, in a node's namespace and
//! without a cluster: ten thousand Services would measure the API server. Routers are BIRD without a
//! kernel, each on a machine of its own, asked by their control sockets. A run is from the wish (to BIRD
//! as sender: the command that enables the routes) until the last router counts every route; the last
//! octet is seen on the sender's wire. Each kind of router is told the same once.

mod birds;
mod ecmp;
mod prompt;
mod sender;
mod watched;
mod wires;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use herald_bgp::Wish;

use super::Output;
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::routers::{ADDRESSES, Kind, Neighbour, Router};
use crate::telling::tell;
use crate::topology::NodeNumber;
use birds::Bird;
use sender::Sender;
use wires::Wires;

/// The node that sends, and the last octet of the first router but one.
const NODE: NodeNumber = NodeNumber(1);
const FIRST: u8 = 100;

/// UPDATEs for ten thousand prefixes, the time until the last octet left, and the ratio to BIRD.
const WANTED_MESSAGES: f64 = 14.0;
const WANTED_SENT: Duration = Duration::from_millis(10);
const WANTED_RATIO: f64 = 1.0;

/// Batches a second under flaps, and how many leave at once before.
const WANTED_FLAPPING: f64 = 50.0;
const AT_ONCE: f64 = 11.0;
/// A flap is a prefix that goes or comes back.
const FLAP: Duration = Duration::from_millis(1);
const FLAPPING: usize = 1_000;

const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many routers; may be given several times.
    #[arg(long, default_values_t = [1, 4, 8])]
    pub peers: Vec<u8>,
    /// How many prefixes.
    #[arg(long, default_value_t = 10_000)]
    pub prefixes: usize,
    /// How often each.
    #[arg(long, default_value_t = 10)]
    pub runs: usize,
    /// How often a node is drained and falls silent behind a router.
    #[arg(long, default_value_t = 3)]
    pub losses: usize,
    /// How often a node falls silent that the router watches by BFD: Herald's, and BIRD's.
    #[arg(long, default_value_t = 10)]
    pub watched: usize,
    /// How often objects are changed to see how soon that is on the wire.
    #[arg(long, default_value_t = 20)]
    pub changes: usize,
    /// Beside how many other Services, which have addresses and no endpoints.
    #[arg(long, default_value_t = 0)]
    pub crowd: usize,
    /// For how long prefixes flap, in seconds.
    #[arg(long, default_value_t = 30)]
    pub flaps: u64,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// Measures on a lab with Herald installed.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if options.losses > 0 || options.watched > 0 {
        figures.extend(ecmp::measure(lab, options.losses, options.watched)?);
    }
    if options.changes > 0 {
        match Kind::Bird.missing() {
            Some(missing) => tell(&missing),
            None => figures.extend(prompt::measure(lab, options.changes, options.crowd)?),
        }
    }
    lab.quiet()?;
    let most = options.peers.iter().copied().max().unwrap_or_default();
    let mut machines = Vec::new();
    for number in 0..most {
        let (name, last) = (format!("tor-{number}"), FIRST + number);
        let address = IpAddr::V4(Ipv4Addr::new(10, 73, 0, last));
        machines.push((lab.topology.guest(&name, last)?, address));
    }
    let lab = &*lab;
    let [own, _] = NODE.lan();
    let routers = machines
        .iter()
        .map(|(netns, address)| Bird::router(lab, netns, *address, own))
        .collect::<Result<Vec<_>>>()?;
    let bench = Bench {
        lab,
        node: &lab.node(NODE.0)?.machine,
        own,
        many: Arc::new(sender::wish(options.prefixes)?),
        addresses: machines.iter().map(|(_, address)| *address).collect(),
        routers,
    };
    for peers in &options.peers {
        figures.extend(bench.told(usize::from(*peers), options.runs)?);
    }
    if options.flaps > 0 {
        figures.extend(bench.flaps(Duration::from_secs(options.flaps))?);
    }
    for kind in Kind::ALL {
        match kind.missing() {
            Some(missing) => tell(&missing),
            None => figures.push(bench.taken(kind)?),
        }
    }
    Ok(figures)
}

struct Bench<'a> {
    lab: &'a Lab,
    node: &'a Netns,
    own: IpAddr,
    many: Arc<Wish>,
    addresses: Vec<IpAddr>,
    routers: Vec<Bird>,
}

impl Bench<'_> {
    /// Waits until so many routers count so many routes.
    fn counted(&self, routers: &[Bird], wanted: usize, watch: Stopwatch) -> Result<Duration> {
        for router in routers {
            while router.routes()? != wanted {
                anyhow::ensure!(
                    watch.elapsed() < PATIENCE,
                    "a router knows {} routes, not {wanted}",
                    router.routes()?
                );
            }
        }
        Ok(watch.elapsed())
    }

    /// Everything to routers that stand still meanwhile: elsewhere they are other machines, here they
    /// would take the sender's processors. Each is sent `messages` UPDATEs or fewer. When the last octet
    /// left.
    fn sent_alone(&self, sender: &Sender, routers: &[Bird], messages: f64) -> Result<Duration> {
        let still = |still| routers.iter().for_each(|router| router.stand_still(still));
        let before = sender.updates();
        let watch = Stopwatch::start();
        let wires = Wires::watch(self.node, four(self.own), watch)?;
        still(true);
        let begun = watch.elapsed();
        sender.wish(Arc::clone(&self.many));
        let sent = self.lab.wait("the routes are not sent", PATIENCE, |_| {
            let now = sender.updates().into_iter().zip(&before);
            Ok(now
                .into_iter()
                .all(|(now, before)| wide(now - before) >= messages))
        });
        let (_, at) = wires.finish()?;
        still(false);
        sent?;
        self.counted(routers, self.many.len(), Stopwatch::start())?;
        sender.wish(Arc::default());
        self.counted(routers, 0, Stopwatch::start())?;
        Ok(at.saturating_sub(begun))
    }

    /// Everything to some routers, by Herald's door and by BIRD.
    fn told(&self, peers: usize, runs: usize) -> Result<Vec<Figure>> {
        let addresses = self.addresses.get(..peers).context("too few routers")?;
        let routers = self.routers.get(..peers).context("too few routers")?;
        let count = self.many.len();
        let (mut ours, mut last, mut octets, mut messages) = (vec![], vec![], vec![], vec![]);
        let mut alone = vec![];
        let sender = Sender::start(self.node, addresses);
        self.lab
            .wait("a session is not established", PATIENCE, |_| {
                Ok(sender.established())
            })?;
        for _ in 0..runs {
            let before = sender.updates();
            let watch = Stopwatch::start();
            let wires = Wires::watch(self.node, four(self.own), watch)?;
            let begun = watch.elapsed();
            sender.wish(Arc::clone(&self.many));
            ours.push(self.counted(routers, count, watch)?.saturating_sub(begun));
            let (sent, at) = wires.finish()?;
            last.push(at.saturating_sub(begun));
            octets.push(number(sent) / number(peers));
            let each = sender.updates().into_iter().zip(before);
            messages.extend(each.map(|(after, before)| wide(after - before)));
            sender.wish(Arc::default());
            self.counted(routers, 0, Stopwatch::start())?;
            let one = messages.iter().copied().fold(0.0, f64::max);
            alone.push(self.sent_alone(&sender, routers, one)?);
        }
        sender.finish()?;
        let bird = Bird::node(self.lab, self.node, self.own, addresses, count)?;
        self.lab.wait("BIRD has no session", PATIENCE, |_| {
            Ok(bird.established()? == peers)
        })?;
        let (mut theirs, mut their_last, mut their_octets) = (vec![], vec![], vec![]);
        for _ in 0..runs {
            let watch = Stopwatch::start();
            let wires = Wires::watch(self.node, four(self.own), watch)?;
            let begun = watch.elapsed();
            bird.asked("enable many")?;
            theirs.push(self.counted(routers, count, watch)?.saturating_sub(begun));
            let (sent, at) = wires.finish()?;
            their_last.push(at.saturating_sub(begun));
            their_octets.push(number(sent) / number(peers));
            bird.asked("disable many")?;
            self.counted(routers, 0, Stopwatch::start())?;
        }
        let title = |what: &str| format!("{count} to {peers}: {what}");
        let ratio = median(&ours) / median(&theirs).max(f64::MIN_POSITIVE);
        Ok(vec![
            Figure::new(&title("messages"), "", &messages, Some(WANTED_MESSAGES)),
            Figure::new(&title("octets for each"), "", &octets, None),
            Figure::new(&title("octets for each, BIRD"), "", &their_octets, None),
            Figure::milliseconds(&title("last octet"), &last, None),
            Figure::milliseconds(&title("last octet, routers standing still"), &alone, None)
                .with_median(WANTED_SENT.as_secs_f64() * 1e3),
            Figure::milliseconds(&title("last octet, BIRD"), &their_last, None),
            Figure::milliseconds(&title("visible"), &ours, None),
            Figure::milliseconds(&title("visible, BIRD"), &theirs, None),
            Figure::new(
                &title("ratio of the middle ones"),
                "",
                &[ratio],
                Some(WANTED_RATIO),
            ),
        ])
    }

    /// One prefix of a thousand goes or comes back each millisecond.
    fn flaps(&self, time: Duration) -> Result<Vec<Figure>> {
        let addresses = self.addresses.get(..1).context("too few routers")?;
        let routers = self.routers.get(..1).context("too few routers")?;
        let sender = Sender::start(self.node, addresses);
        let whole = sender::wish(FLAPPING)?;
        sender.wish(Arc::new(whole.clone()));
        self.counted(routers, FLAPPING, Stopwatch::start())?;
        let before: u64 = sender.updates().iter().sum();
        let all: Vec<_> = whole
            .iter()
            .map(|(prefix, route)| (*prefix, Arc::clone(route)))
            .collect();
        let mut wish = whole.clone();
        let watch = Stopwatch::start();
        let mut flaps = 0_u32;
        while watch.elapsed() < time {
            let at = usize::try_from(flaps)? % all.len();
            let (prefix, route) = all.get(at).context("there are no prefixes")?;
            if wish.remove(prefix).is_none() {
                wish.insert(*prefix, Arc::clone(route));
            }
            sender.wish(Arc::new(wish.clone()));
            flaps += 1;
            std::thread::sleep((FLAP * flaps).saturating_sub(watch.elapsed()));
        }
        let took = watch.elapsed().as_secs_f64();
        let sent = sender.updates().iter().sum::<u64>() - before;
        // In the end the router has what was wished for last.
        self.counted(routers, wish.len(), Stopwatch::start())?;
        let spent = sender.finish()?;
        Ok(vec![
            Figure::new("flaps a second", "", &[f64::from(flaps) / took], None),
            Figure::new(
                "flaps: messages a second",
                "",
                &[wide(sent) / took],
                // A batch is one UPDATE, but two where withdrawals turn into announcements.
                Some(WANTED_FLAPPING + (AT_ONCE + f64::from(flaps) / number(FLAPPING)) / took),
            ),
            Figure::new(
                "flaps: processor",
                "%",
                &[spent.as_secs_f64() / took * 100.0],
                None,
            ),
        ])
    }

    /// Everything to one router of a kind, until it knows the last prefix.
    fn taken(&self, kind: Kind) -> Result<Figure> {
        let neighbours = vec![Neighbour::plain(NODE, 0)];
        let mut router = Router::start(self.lab, kind, neighbours)?;
        let sender = Sender::start(self.node, &[ADDRESSES[0].parse()?]);
        self.lab
            .wait("a session is not established", PATIENCE, |_| {
                Ok(sender.established())
            })?;
        let last = self.many.keys().next_back().context("nothing is told")?;
        let watch = Stopwatch::start();
        sender.wish(Arc::clone(&self.many));
        let hops = [self.own.to_string()].into();
        router.wait_for(self.lab, &last.to_string(), &hops)?;
        let took = watch.elapsed();
        sender.finish()?;
        router.stop();
        let title = format!("{} to {}: known", self.many.len(), kind.name());
        Ok(Figure::milliseconds(&title, &[took], None))
    }
}

/// Of an IPv4 address.
fn four(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => [0; 4],
    }
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted
        .get(sorted.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
}

fn number(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

fn wide(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}
