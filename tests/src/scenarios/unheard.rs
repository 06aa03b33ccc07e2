//! The announced network of a node fails, and its beacons go another way.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Stage, expect_same, linger};
use crate::asker::{Asked, Asker};
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};
use crate::topology::NodeNumber;

/// 1.2 s without being heard, a handover, and a hiccup of a busy machine.
const FOLLOWED: Duration = Duration::from_millis(2500);
/// The client's first address.
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 50);

/// The owner's port leaves the LAN's bridge without the owner seeing anything of it: another node
/// answers as soon as the owner finds that nobody hears it.
pub(super) fn hands_over(stage: &mut Stage) -> Result<()> {
    apart(
        stage,
        "gap when only the announced network of the owner fails",
        |lab, owner| {
            lab.topology.black_hole(&owner.ports()[0])?;
            linger(FOLLOWED);
            let told = lab.wait(
                "the node does not tell that it is not heard",
                PATIENCE,
                |lab| Ok(heard(lab, owner)? == "False"),
            );
            lab.topology.mend()?;
            let healed = lab.wait("the node is not heard again", PATIENCE, |lab| {
                Ok(heard(lab, owner)? == "True")
            });
            told.and(healed).map(drop)
        },
    )
}

/// The owner's announced interface is taken down: it lets go, and the others hear of that on the other
/// network.
pub(super) fn lets_go(stage: &mut Stage) -> Result<()> {
    apart(
        stage,
        "gap when the owner's announced interface is taken down",
        |lab, owner| {
            lab.topology.interface(owner, false)?;
            linger(FOLLOWED);
            lab.topology.interface(owner, true)
        },
    )
}

/// Beacons go over the management network; the owner is made to fail on the LAN and mended, and
/// meanwhile another one answers.
fn apart(
    stage: &mut Stage,
    title: &str,
    fail: impl Fn(&Lab, NodeNumber) -> Result<()>,
) -> Result<()> {
    let lab = &mut stage.lab;
    let usual = lab.extra.speaker.clone();
    let elsewhere = |node: NodeNumber| {
        let [management, _] = node.management();
        let mut arguments = usual.clone();
        arguments.push(format!("--beacon-address={management}"));
        arguments
    };
    lab.herald()?.restart_speakers_each(elsewhere)?;
    let outcome = play(lab, fail);
    lab.topology.mend()?;
    lab.herald()?.restart_speakers_with(&usual)?;
    let asked = outcome?;
    let gap = asked.record(0).longest_outage();
    let figure = Figure::milliseconds(title, &[gap], Some(FOLLOWED));
    stage.figures.push(figure);
    if gap > FOLLOWED || asked.doubled() > Duration::ZERO {
        bail!("silent for {gap:?}, two answered for {:?}", asked.doubled());
    }
    Ok(())
}

fn play(lab: &mut Lab, fail: impl Fn(&Lab, NodeNumber) -> Result<()>) -> Result<Asked> {
    let address = lab.serve(&Wanted::single("unheard", "IPv4"))?[0];
    let owner = lab.settled_owner("unheard", address)?;
    lab.wait("the speakers do not know each other", PATIENCE, |lab| {
        all_heard(lab)
    })?;
    // Two seconds in which everybody meets everybody on the LAN.
    linger(Duration::from_secs(2));
    let IpAddr::V4(asked) = address else {
        bail!("{address} is no IPv4 address");
    };
    let asker = Asker::start(&lab.topology.client, Stopwatch::start(), CLIENT, &[asked])?;
    linger(Duration::from_millis(500));
    let failed = fail(lab, owner);
    linger(Duration::from_secs(1));
    let asked = asker.finish()?;
    failed?;
    let owners = asked.owners(0);
    expect_same("the number of nodes that answered", &owners.len(), &2)?;
    Ok(asked)
}

fn all_heard(lab: &Lab) -> Result<bool> {
    for node in &lab.topology.nodes {
        if heard(lab, node.number)? != "True" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Condition `Heard` of a node's Speaker.
fn heard(lab: &Lab, node: NodeNumber) -> Result<String> {
    let path = format!("/apis/heraldlb.io/v1beta1/speakers/{}", node.name());
    let speaker = lab.api.get(&path)?;
    let condition = speaker.and_then(|speaker| lab.condition(&speaker, "Heard"));
    let (status, _, _) = condition.with_context(|| format!("{} has no Heard", node.name()))?;
    Ok(status)
}
