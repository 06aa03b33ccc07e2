//! How long an address is dark when its owner fails.
//!
//! Each run has a Service of its own, whose pods are on a node that survives, a client that probes it
//! each millisecond and keeps what it believes, and a machine that asks each 5 ms and believes nothing.
//! The first sees a takeover once it is told of it, the second once somebody answers: a process that
//! dies on a living kernel darkens the address only for the second. keepalived plays the same faults
//! on the same network in the same run.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::hogs::Hogs;
use super::keepalived::Keepalived;
use super::scene::{Behind, Scene, Watchers, linger, mac};
use super::{Output, Profile};
use crate::asker::Mac;
use crate::faults::Fault;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::telling::tell;
use crate::topology::NodeNumber;

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many times each fault is played.
    #[arg(long, default_value_t = 20)]
    pub runs: usize,
    /// Only this fault; may be given several times.
    #[arg(long)]
    pub fault: Vec<Fault>,
    /// Also with four busy loops beside.
    #[arg(long)]
    pub busy: bool,
    /// The speakers' timers.
    #[arg(long, default_value = "default")]
    pub profile: Profile,
    /// How long a takeover is waited for, in seconds.
    #[arg(long, default_value_t = 90)]
    pub patience: u64,
    /// Who is measured.
    #[arg(long, default_value = "both")]
    pub who: Who,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// Whose address is made dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Who {
    /// First Herald's, then keepalived's where that is installed.
    Both,
    /// Only Herald's.
    Herald,
    /// Only keepalived's.
    Keepalived,
}

/// One run: how long nobody answered, by who asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Outage {
    udp: Duration,
    tcp: Duration,
    asked: Duration,
    /// Two answered at a time.
    doubled: Duration,
}

/// Who keeps the address up.
enum Contestant {
    Herald,
    Keepalived(Keepalived),
}

/// What is wanted of Herald, in milliseconds: of the median and of the longest.
const fn wanted(profile: Profile, busy: bool) -> (f64, f64) {
    match (profile, busy) {
        (Profile::Default, false) => (260.0, 300.0),
        (Profile::Default, true) => (260.0, 400.0),
        (Profile::Fast, _) => (120.0, 120.0),
    }
}

/// Measures on a lab with Herald installed. A run that cannot be made is told of; its figures are
/// then of fewer runs, and the last value is false.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<(Vec<Figure>, bool)> {
    let faults = if options.fault.is_empty() {
        Fault::ALL.to_vec()
    } else {
        options.fault.clone()
    };
    let loads: &[bool] = if options.busy {
        &[false, true]
    } else {
        &[false]
    };
    let mut course = Course {
        patience: Duration::from_secs(options.patience),
        number: 0,
        whole: true,
        figures: Vec::new(),
    };
    for busy in loads.iter().filter(|_| options.who != Who::Keepalived) {
        let _hogs = busy.then(|| Hogs::start(4));
        for fault in &faults {
            course.herald(lab, *fault, options, *busy);
        }
    }
    if options.who != Who::Herald {
        match Keepalived::found() {
            Ok(()) => course.keepalived(lab, &faults, options)?,
            Err(why) => tell(&format!("keepalived is left out: {why:#}")),
        }
    }
    Ok((course.figures, course.whole))
}

/// The runs so far.
struct Course {
    patience: Duration,
    number: usize,
    whole: bool,
    figures: Vec<Figure>,
}

impl Course {
    fn herald(&mut self, lab: &mut Lab, fault: Fault, options: &Options, busy: bool) {
        let title = format!("{}{}", fault.name(), if busy { ", busy" } else { "" });
        let outages = self.play(lab, &mut Contestant::Herald, fault, options.runs, &title);
        let (median, max) = wanted(options.profile, busy);
        let longest = Some(Duration::from_secs_f64(max / 1e3));
        let figures = FIELDS.map(|(what, value)| {
            let values: Vec<Duration> = outages.iter().map(value).collect();
            Figure::milliseconds(&format!("{title}: {what}"), &values, longest).with_median(median)
        });
        self.figures.extend(figures);
        let doubled: Vec<Duration> = outages.iter().map(|one| one.doubled).collect();
        let name = format!("{title}: two answer");
        self.figures
            .push(Figure::milliseconds(&name, &doubled, Some(Duration::ZERO)));
    }

    /// Idle, at 1 s and at 100 ms, each with its ratio to Herald's idle median.
    fn keepalived(&mut self, lab: &mut Lab, faults: &[Fault], options: &Options) -> Result<()> {
        for (advert, label) in [(1.0, "1 s"), (0.1, "100 ms")] {
            let mut contestant = Contestant::Keepalived(Keepalived::start(lab, advert)?);
            for fault in faults {
                let title = format!("keepalived {label}, {}", fault.name());
                let outages = self.play(lab, &mut contestant, *fault, options.runs, &title);
                for (what, value) in FIELDS {
                    let values: Vec<Duration> = outages.iter().map(value).collect();
                    let figure = Figure::milliseconds(&format!("{title}: {what}"), &values, None);
                    let ours = format!("{}: {what}", fault.name());
                    let ratio = self.ratio(&figure, &ours);
                    self.figures.push(figure);
                    self.figures.extend(ratio);
                }
            }
        }
        Ok(())
    }

    /// How many times longer than Herald's, by the medians; none where either saw nothing.
    fn ratio(&self, theirs: &Figure, ours: &str) -> Option<Figure> {
        let ours = self.figures.iter().find(|figure| figure.name == ours)?;
        let seen = theirs.median >= SEEN && ours.median >= SEEN;
        let ratio = (theirs.median / ours.median * 100.0).round() / 100.0;
        let name = format!("{}, of herald's", theirs.name);
        seen.then(|| Figure::new(&name, "x", &[ratio], None))
    }

    fn play(
        &mut self,
        lab: &mut Lab,
        contestant: &mut Contestant,
        fault: Fault,
        runs: usize,
        title: &str,
    ) -> Vec<Outage> {
        let mut outages = Vec::new();
        for run in 1..=runs {
            self.number += 1;
            match one(lab, contestant, fault, self.number, self.patience) {
                Ok((outage, taken)) => {
                    let millis = |time: Duration| time.as_millis();
                    tell(&format!(
                        "{title} {run}/{runs}: UDP {} ms, TCP {} ms, asked {} ms, two answer {} ms{}",
                        millis(outage.udp),
                        millis(outage.tcp),
                        millis(outage.asked),
                        millis(outage.doubled),
                        if taken { "" } else { "; NOT taken over" }
                    ));
                    self.whole &= taken;
                    outages.push(outage);
                }
                Err(error) => {
                    tell(&format!("{title} {run}/{runs}: no run: {error:#}"));
                    self.whole = false;
                }
            }
        }
        outages
    }
}

/// Below this, in milliseconds, a median is no outage, and a ratio means nothing.
const SEEN: f64 = 5.0;

type Field = (&'static str, fn(&Outage) -> Duration);
const FIELDS: [Field; 3] = [
    ("UDP", |one| one.udp),
    ("TCP connect", |one| one.tcp),
    ("asked by ARP", |one| one.asked),
];

/// One fault, from a whole lab to a whole lab. Whether it was taken over in time.
fn one(
    lab: &mut Lab,
    contestant: &mut Contestant,
    fault: Fault,
    number: usize,
    patience: Duration,
) -> Result<(Outage, bool)> {
    match contestant {
        Contestant::Herald => {
            let scene = Scene::set(lab, number, Behind::PodsElsewhere)?;
            let owner = scene.owner;
            let strike = |lab: &mut Lab| lab.strike(fault, owner);
            let seen = watch(lab, scene.address, owner, patience, strike);
            let mended = lab.mend(fault, owner);
            let cleared = scene.clear(lab);
            // A node that came back counts for nothing before it was heard for a while.
            linger(SETTLING);
            mended.and(cleared)?;
            seen
        }
        Contestant::Keepalived(keepalived) => {
            let owner = keepalived.owner(lab)?;
            let address = keepalived.address();
            let strike = |lab: &mut Lab| keepalived.strike(lab, fault, owner);
            let seen = watch(lab, address, owner, patience, strike);
            keepalived.mend(lab, fault, owner)?;
            seen
        }
    }
}

const SETTLING: Duration = Duration::from_secs(1);

/// Watches an address while its owner fails, until another node serves it and for a while after.
fn watch(
    lab: &mut Lab,
    address: Ipv4Addr,
    owner: NodeNumber,
    patience: Duration,
    strike: impl FnOnce(&mut Lab) -> Result<()>,
) -> Result<(Outage, bool)> {
    let failing = mac(lab, owner)?;
    let watchers = Watchers::start(lab, address)?;
    linger(Duration::from_millis(300));
    if !watchers.answering().contains(&failing) {
        bail!("{} does not answer for {address}", owner.name());
    }
    let struck = watchers.watch.elapsed();
    strike(lab)?;
    let taken = taken_over(&watchers, failing, patience);
    linger(Duration::from_millis(300));
    let seen = watchers.finish()?;
    let asked = seen.asked.within(struck..Duration::MAX);
    let outage = Outage {
        udp: seen.probes.udp.since(struck).longest_outage(),
        tcp: seen.probes.tcp.since(struck).longest_outage(),
        asked: asked.record(0).longest_outage(),
        doubled: asked.doubled(),
    };
    Ok((outage, taken))
}

/// Waits until another than the failing node has answered, and the client is served, for half a
/// second without a break.
fn taken_over(watchers: &Watchers, failing: Mac, patience: Duration) -> bool {
    let mut since = None;
    loop {
        let now = watchers.watch.elapsed();
        let other = watchers.answering().iter().any(|mac| *mac != failing);
        if other && watchers.served() {
            if now.saturating_sub(*since.get_or_insert(now)) >= Duration::from_millis(500) {
                return true;
            }
        } else {
            since = None;
        }
        if now > patience {
            return false;
        }
        linger(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_needs_two_outages() {
        let figure = |name: &str, milliseconds: u64| {
            Figure::milliseconds(name, &[Duration::from_millis(milliseconds)], None)
        };
        let course = Course {
            patience: Duration::ZERO,
            number: 0,
            whole: true,
            figures: vec![figure("port cut: UDP", 250), figure("node gone: UDP", 0)],
        };
        let ratio = course.ratio(&figure("theirs", 3_500), "port cut: UDP");
        assert_eq!(ratio.map(|figure| figure.median), Some(14.0));
        assert_eq!(
            course.ratio(&figure("theirs", 3_500), "node gone: UDP"),
            None
        );
        assert_eq!(course.ratio(&figure("theirs", 3_500), "other: UDP"), None);
    }
}
