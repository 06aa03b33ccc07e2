//! What a planned move loses, in probes.
//!
//! Each event happens while a client probes the address each millisecond; the pods behind it are on
//! another node, so only the move itself can lose anything. First nothing happens at all: what is lost
//! then is the machine's, not Herald's.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use super::Output;
use super::scene::{Behind, Scene, Watched, Watchers, linger, mac};
use crate::figures::Figure;
use crate::lab::Lab;
use crate::telling::tell;
use crate::topology::NodeNumber;

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many datagrams are sent across each event, one each millisecond.
    #[arg(long, default_value_t = 10_000)]
    pub probes: u64,
    /// Only events whose name contains this.
    #[arg(long, default_value = "")]
    pub event: String,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// Something planned that happens to the owner.
struct Event {
    name: &'static str,
    /// What comes before anybody watches.
    prepare: fn(&mut Lab) -> Result<()>,
    moves: Moves,
    begin: fn(&mut Lab, NodeNumber) -> Result<()>,
    end: fn(&mut Lab, NodeNumber) -> Result<()>,
    /// The promise is no lost probe; else the outage is only shown.
    lossless: bool,
}

/// What the owner is to be afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moves {
    /// The same.
    Never,
    /// Another.
    Always,
    /// Either.
    Perhaps,
}

const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const SHUTDOWN: &str = "node.cloudprovider.kubernetes.io/shutdown";

const EVENTS: &[Event] = &[
    Event {
        name: "nothing happens",
        prepare: nothing,
        moves: Moves::Never,
        begin: |_, _| Ok(()),
        end: |_, _| Ok(()),
        lossless: true,
    },
    Event {
        name: "exclude label",
        prepare: nothing,
        moves: Moves::Always,
        begin: |lab, node| {
            kubectl(
                lab,
                &["label", "node", &node.name(), &format!("{EXCLUDE}=")],
            )
        },
        end: |lab, node| {
            kubectl(
                lab,
                &["label", "node", &node.name(), &format!("{EXCLUDE}-")],
            )
        },
        lossless: true,
    },
    Event {
        name: "drain (cordon)",
        prepare: nothing,
        moves: Moves::Always,
        begin: |lab, node| kubectl(lab, &["cordon", &node.name()]),
        end: |lab, node| kubectl(lab, &["uncordon", &node.name()]),
        lossless: true,
    },
    Event {
        name: "shutdown taint",
        prepare: nothing,
        moves: Moves::Always,
        begin: |lab, node| {
            let taint = format!("{SHUTDOWN}=:NoSchedule");
            kubectl(lab, &["taint", "node", &node.name(), &taint])
        },
        end: |lab, node| {
            let taint = format!("{SHUTDOWN}-");
            kubectl(lab, &["taint", "node", &node.name(), &taint])
        },
        lossless: true,
    },
    Event {
        name: "SIGTERM",
        prepare: nothing,
        moves: Moves::Always,
        begin: terminate,
        end: |lab, node| lab.herald()?.speaker(node)?.restart(),
        lossless: true,
    },
    Event {
        name: "rolling restart",
        prepare: nothing,
        moves: Moves::Perhaps,
        begin: |lab, _| {
            let nodes: Vec<NodeNumber> = lab.topology.nodes.iter().map(|one| one.number).collect();
            for node in nodes {
                terminate(lab, node)?;
                let speaker = lab.herald()?.speaker(node)?;
                speaker.restart()?;
                speaker.wait_ready()?;
            }
            Ok(())
        },
        end: |_, _| Ok(()),
        lossless: true,
    },
    // What is in flight through the interface is lost with it, whoever answers: not a promise of none.
    Event {
        name: "interface down",
        prepare: nothing,
        moves: Moves::Always,
        begin: |lab, node| lab.topology.interface(node, false),
        end: |lab, node| lab.topology.interface(node, true),
        lossless: false,
    },
    // The others hear at once that the owner has let go, instead of missing its beacons.
    Event {
        name: "interface down, beacons on another network",
        prepare: |lab| {
            let usual = lab.extra.speaker.clone();
            let apart = |node: NodeNumber| {
                let [management, _] = node.management();
                let apart = format!("--beacon-address={management}");
                usual.iter().cloned().chain([apart]).collect()
            };
            lab.herald()?.restart_speakers_each(apart)
        },
        moves: Moves::Always,
        begin: |lab, node| lab.topology.interface(node, false),
        end: |lab, node| lab.topology.interface(node, true),
        lossless: false,
    },
];

fn nothing(_: &mut Lab) -> Result<()> {
    Ok(())
}

/// Measures on a lab with Herald installed. The last value is false when an event could not be played
/// or did not move what it should.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<(Vec<Figure>, bool)> {
    let mut figures = Vec::new();
    let mut whole = true;
    let events = EVENTS
        .iter()
        .filter(|event| event.name.contains(&options.event));
    for (number, event) in events.enumerate() {
        match play(lab, event, number, options.probes) {
            Ok((watched, moved)) => {
                let good = match event.moves {
                    Moves::Never => !moved,
                    Moves::Always => moved,
                    Moves::Perhaps => true,
                };
                if !good {
                    let found = if moved { "moved" } else { "did NOT move" };
                    tell(&format!("{}: the address {found}", event.name));
                }
                whole &= good;
                figures.extend(figures_of(event, &watched));
            }
            Err(error) => {
                tell(&format!("{}: not played: {error:#}", event.name));
                whole = false;
            }
        }
    }
    Ok((figures, whole))
}

/// One event. What was seen, and whether the address moved.
fn play(lab: &mut Lab, event: &Event, number: usize, probes: u64) -> Result<(Watched, bool)> {
    (event.prepare)(lab)?;
    let scene = Scene::set(lab, number, Behind::PodsElsewhere)?;
    let before = mac(lab, scene.owner)?;
    let watchers = Watchers::start(lab, scene.address)?;
    // Counted, not timed: a busy machine does not get round to all of them in their time.
    let sent = |count: u64| {
        while watchers.sent() < count {
            linger(Duration::from_millis(10));
        }
    };
    sent(probes / 5);
    let begun = (event.begin)(lab, scene.owner);
    sent(probes * 4 / 5);
    // Undone while it is still watched: a return is a planned event too.
    let ended = (event.end)(lab, scene.owner);
    sent(probes);
    let watched = watchers.finish()?;
    let moved = watched.asked.owners(0).iter().any(|mac| *mac != before);
    lab.whole().and(scene.clear(lab))?;
    begun.and(ended)?;
    Ok((watched, moved))
}

fn figures_of(event: &Event, watched: &Watched) -> Vec<Figure> {
    let (udp, tcp) = (&watched.probes.udp, &watched.probes.tcp);
    let count = |lost: usize| f64::from(u32::try_from(lost).unwrap_or(u32::MAX));
    let name = event.name;
    let promised = event.lossless.then_some(0.0);
    tell(&format!(
        "{name}: {} of {} datagrams and {} of {} connections lost, two answer for {} ms",
        udp.lost(),
        udp.probes.len(),
        tcp.lost(),
        tcp.probes.len(),
        watched.asked.doubled().as_millis()
    ));
    vec![
        Figure::new(
            &format!("{name}: lost datagrams"),
            "",
            &[count(udp.lost())],
            promised,
        ),
        Figure::new(
            &format!("{name}: lost connections"),
            "",
            &[count(tcp.lost())],
            promised,
        ),
        Figure::milliseconds(&format!("{name}: outage"), &[udp.longest_outage()], None),
        Figure::milliseconds(
            &format!("{name}: two answer"),
            &[watched.asked.doubled()],
            Some(Duration::ZERO),
        ),
    ]
}

fn kubectl(lab: &Lab, arguments: &[&str]) -> Result<()> {
    lab.kubectl(arguments).map(drop)
}

fn terminate(lab: &mut Lab, node: NodeNumber) -> Result<()> {
    if lab.herald()?.speaker(node)?.terminate() {
        return Ok(());
    }
    bail!("the speaker of {} did not end by itself", node.name())
}
