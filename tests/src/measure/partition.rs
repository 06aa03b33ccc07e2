//! Who answers for an address when the LAN, or the beacons, or half of the speakers are gone.
//!
//! The situations are in [`super::played`]. Each is played under each partition policy with an address
//! of its own: two machines, one on each side where there are sides, ask by ARP each 5 ms. What counts
//! first is the time in which two answer; then who answers, and after how long.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::Output;
use super::played::{ROWS, Row, Serving, Wish};
use super::scene::{Behind, Scene, asker, far_asker, linger, mac};
use crate::asker::{Asked, Asker, Mac};
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::probe::Record;
use crate::telling::tell;

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Only situations whose name contains this.
    #[arg(default_value = "")]
    pub filter: String,
    /// How long each lasts, in seconds.
    #[arg(long, default_value_t = 3)]
    pub hold: u64,
    /// Only this policy.
    #[arg(long)]
    pub policy: Option<Policy>,
    /// Print the situations and do nothing.
    #[arg(long)]
    pub list: bool,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// What a speaker does without a majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Goes on where nobody objects.
    Available,
    /// Is silent.
    Exclusive,
    /// Is silent unless it gets the Lease; with two nodes.
    Witnessed,
}

impl Policy {
    const ALL: [Self; 3] = [Self::Available, Self::Exclusive, Self::Witnessed];

    const fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Exclusive => "exclusive",
            Self::Witnessed => "exclusive with a Lease",
        }
    }

    fn arguments(self) -> Vec<String> {
        let arguments: &[&str] = match self {
            Self::Available => &["--partition-policy=available"],
            Self::Exclusive => &["--partition-policy=exclusive"],
            Self::Witnessed => &["--partition-policy=exclusive", "--lease-witness"],
        };
        arguments.iter().map(|one| (*one).to_owned()).collect()
    }
}

/// What the two askers saw of one situation.
struct Seen {
    near: Asked,
    far: Asked,
    owner: Mac,
}

/// The names of the situations that a filter lets through.
pub fn names(filter: &str) -> impl Iterator<Item = (&'static str, u8)> {
    ROWS.iter()
        .filter(move |row| row.name.contains(filter))
        .map(|row| (row.name, row.nodes))
}

/// Plays every situation for this number of nodes on a lab with Herald installed. The last value is
/// false when one could not be played.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<(Vec<Figure>, bool)> {
    let nodes = lab.topology.nodes.len();
    let mut figures = Vec::new();
    let (mut number, mut whole) = (0, true);
    let extra = lab.extra.speaker.clone();
    // The management network stays whole: an address announced there too would be answered there, and
    // whoever asks whether somebody else has it would be told so.
    let lan_only = r#"{"spec":{"interfaces":["eth0"]}}"#;
    lab.kubectl(&[
        "patch",
        "l2advertisement",
        "lab",
        "--type=merge",
        "-p",
        lan_only,
    ])?;
    for policy in Policy::ALL {
        if options.policy.is_some_and(|only| only != policy)
            || (policy == Policy::Witnessed && nodes != 2)
        {
            continue;
        }
        if !lab
            .programs
            .offers("herald-speaker", "--partition-policy")?
        {
            if policy != Policy::Available {
                tell("policy exclusive is left out: this speaker has no --partition-policy");
                continue;
            }
        } else {
            let mut extra = extra.clone();
            extra.extend(policy.arguments());
            lab.herald()?.restart_speakers_with(&extra)?;
        }
        for row in ROWS {
            if usize::from(row.nodes) != nodes || !row.name.contains(&options.filter) {
                continue;
            }
            number += 1;
            let wish = match policy {
                Policy::Available => Some(&row.available),
                Policy::Exclusive => Some(&row.exclusive),
                Policy::Witnessed => row.witnessed.as_ref(),
            };
            let Some(wish) = wish else { continue };
            let title = format!("{}, {}", row.name, policy.name());
            match play(lab, row, number, Duration::from_secs(options.hold)) {
                Ok((during, after)) => figures.extend(judge(&title, row, wish, &during, &after)),
                Err(error) => {
                    tell(&format!("{title}: not played: {error:#}"));
                    whole = false;
                }
            }
        }
    }
    Ok((figures, whole))
}

/// One situation and its end: what was seen while it lasted, and after.
fn play(lab: &mut Lab, row: &Row, number: usize, hold: Duration) -> Result<(Seen, Seen)> {
    let (near, near_name) = asker(lab)?;
    let (far, far_name) = far_asker(lab)?;
    let scene = Scene::set(lab, number, Behind::AllPods)?;
    let owner = mac(lab, scene.owner)?;
    if let Some(nodes) = row.far_side {
        let nodes = nodes(lab, scene.owner);
        let mut ports: Vec<String> = nodes.iter().map(|node| node.name()).collect();
        ports.push(far.name().to_owned());
        lab.topology.part(&ports)?;
        linger(BEFORE);
    }
    let watch = Stopwatch::start();
    let near = Asker::start(&near, watch, near_name, &[scene.address])?;
    let far = Asker::start(&far, watch, far_name, &[scene.address])?;
    linger(BEFORE);
    let answering = near.answering(BEFORE);
    let struck = watch.elapsed();
    let played = if answering.contains(&owner) {
        (row.strike)(lab, scene.owner)
    } else {
        Err(anyhow::anyhow!("{} does not answer", scene.owner.name()))
    };
    linger(hold);
    let ended = watch.elapsed();
    let mended = (row.mend)(lab, scene.owner);
    linger(AFTER);
    let over = watch.elapsed();
    let (near, far) = (near.finish()?, far.finish()?);
    mended.and(lab.whole()).and(scene.clear(lab))?;
    played?;
    let seen = |from: Duration, to: Duration| Seen {
        near: near.within(from..to),
        far: far.within(from..to),
        owner,
    };
    Ok((seen(struck, ended), seen(ended, over)))
}

const BEFORE: Duration = Duration::from_millis(500);
const AFTER: Duration = Duration::from_secs(3);
/// Who is to be silent may take so long to be.
const FALLING_SILENT: Duration = Duration::from_millis(500);

/// The figures of one situation; whether each side was served as wished is one of them, told in words.
fn judge(title: &str, row: &Row, wish: &Wish, during: &Seen, after: &Seen) -> Vec<Figure> {
    let doubled = |seen: &Seen| seen.near.doubled().max(seen.far.doubled());
    let parted = row.far_side.is_some();
    let mut figures = vec![
        Figure::milliseconds(
            &format!("{title}: two answer one client"),
            &[doubled(during)],
            wish.doubled,
        ),
        Figure::milliseconds(
            &format!("{title}: two answer after its end"),
            &[doubled(after)],
            Some(wish.doubled_after),
        ),
    ];
    if parted {
        figures.push(Figure::milliseconds(
            &format!("{title}: two answer anywhere"),
            &[during.near.doubled_with(&during.far).max(doubled(during))],
            wish.doubled_anywhere,
        ));
    }
    let back = in_the_end(&after.near).answered() > 0;
    if !back {
        tell(&format!("{title}: nobody answers after its end"));
    }
    figures.push(flag(
        &format!("{title}: nobody answers after its end"),
        !back,
    ));
    let mut sides = vec![(", near", &during.near, wish.near)];
    if parted {
        sides.push((", far", &during.far, wish.far));
    } else {
        sides[0].0 = "";
    }
    for (side, asked, serving) in sides {
        let found = outcome(asked, during.owner);
        let good = as_wished(serving, asked, during.owner);
        let mark = if good { "as wished" } else { "NOT AS WISHED" };
        tell(&format!(
            "{title}{side}: {found}; wished: {}; {mark}",
            serving.text()
        ));
        let name = format!("{title}{side}: other than wished");
        figures.push(flag(&name, !good));
    }
    figures
}

/// Something that is not to be: 1 when it is.
fn flag(name: &str, is: bool) -> Figure {
    Figure::new(name, "", &[f64::from(u8::from(is))], Some(0.0))
}

/// The last questions.
fn in_the_end(asked: &Asked) -> Record {
    let record = asked.record(0);
    record.since(record.end().saturating_sub(FALLING_SILENT))
}

/// Who answered, in words.
fn outcome(asked: &Asked, owner: Mac) -> String {
    let owners = asked.owners(0);
    let record = asked.record(0);
    let silent = record.longest_outage().as_millis();
    match owners.as_slice() {
        _ if in_the_end(asked).answered() == 0 => "nobody answers in the end".to_owned(),
        [] => "two answer".to_owned(),
        [one] if *one == owner => format!("the owner answers, silent for {silent} ms"),
        [.., last] if *last == owner => format!("moves and returns, silent for {silent} ms"),
        [.., _] => format!("another answers, silent for {silent} ms"),
    }
}

/// Whether one side was served as wished.
fn as_wished(serving: Serving, asked: &Asked, owner: Mac) -> bool {
    let owners = asked.owners(0);
    let record = asked.record(0);
    let served = in_the_end(asked).answered() > 0;
    match serving {
        Serving::Kept { silent } => {
            owners == [owner] && served && record.longest_outage() <= silent
        }
        Serving::Taken { silent } => {
            owners.last().is_some_and(|last| *last != owner)
                && served
                && record.longest_outage() <= silent
        }
        Serving::Served { silent } => served && record.longest_outage() <= silent,
        Serving::Nobody => {
            let start = record.probes.first().map(|(at, _)| *at).unwrap_or_default();
            record.since(start + FALLING_SILENT).answered() == 0
        }
        Serving::Anyhow => true,
    }
}

/// Refuses a number of nodes for which there is no situation.
pub fn playable(nodes: u8, filter: &str) -> Result<()> {
    if names(filter).any(|(_, needed)| needed == nodes) {
        return Ok(());
    }
    bail!("no situation named {filter:?} is played with {nodes} nodes")
}

#[cfg(test)]
mod tests;
