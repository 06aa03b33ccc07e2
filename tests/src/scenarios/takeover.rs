//! Another node takes an address over.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Stage, expect_same, linger};
use crate::figures::Figure;
use crate::neigh;
use crate::probe::Probe;
use crate::services::{PATIENCE, Wanted};

const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A node that gets the exclude label gives its addresses to others at once, and the client's entry
/// follows without a question of its own.
pub(super) fn excluded(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::dual("moved"))?;
    let address = addresses[0];
    let owner = lab.settled_owner("moved", address)?;
    lab.believed_owner(address)?;
    let probe = Probe::start(&lab.topology.client, address);
    linger(Duration::from_millis(500));
    lab.kubectl(&["label", "node", &owner.name(), &format!("{EXCLUDE}=")])?;
    let moved = lab.wait("the client's entry does not follow", PATIENCE, |lab| {
        Ok(lab.believed_owner(address)? != owner)
    });
    linger(Duration::from_secs(1));
    lab.kubectl(&["label", "node", &owner.name(), &format!("{EXCLUDE}-")])?;
    moved?;
    let record = probe.finish()?;
    stage.figures.push(Figure::milliseconds(
        "gap when a node is excluded",
        &[record.longest_outage()],
        Some(MOVED),
    ));
    if record.longest_outage() > MOVED {
        bail!("{address} was not answered while it moved");
    }
    Ok(())
}

/// A speaker that is asked to end gives its addresses to others first, and ends well.
pub(super) fn terminated(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let addresses = lab.serve(&Wanted::dual("bequeathed"))?;
    let address = addresses[0];
    let owner = lab.settled_owner("bequeathed", address)?;
    let probe = Probe::start(&lab.topology.client, address);
    linger(Duration::from_millis(500));
    let ended = lab.herald()?.speaker(owner)?.terminate();
    let heir = lab.believed_owner(address);
    linger(Duration::from_secs(1));
    lab.herald()?.speaker(owner)?.restart()?;
    lab.herald()?.wait_ready()?;
    let longest = probe.finish()?.longest_outage();
    stage.figures.push(Figure::milliseconds(
        "gap when the owner's speaker is asked to end",
        &[longest],
        Some(MOVED),
    ));
    if heir? == owner {
        bail!("{} still answers", owner.name());
    }
    if longest > MOVED {
        bail!("{address} was not answered for {} ms", longest.as_millis());
    }
    if !ended {
        bail!("the speaker did not end by itself");
    }
    Ok(())
}

/// A scheduling hiccup of a busy machine, and far below the second after which an announcement is
/// repeated: a move that needs the repetition is seen.
const MOVED: Duration = Duration::from_millis(500);

/// Far above the quarter of a second that a takeover takes, and far below anything that waits for the
/// API server to notice.
const TAKEN: Duration = Duration::from_secs(2);

/// A node dies; another answers for what it owned, and keeps that when the dead one returns.
pub(super) fn killed(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let addresses = lab.serve(&Wanted::dual("inherited"))?;
    let address = addresses[0];
    let owner = lab.settled_owner("inherited", address)?;
    let probe = Probe::start(&lab.topology.client, address);
    linger(Duration::from_millis(500));
    lab.kill(owner)?;
    let taken = lab.wait(
        "nobody takes the dead node's address over",
        PATIENCE,
        |_| Ok(probe.answered_again()),
    );
    linger(Duration::from_secs(2));
    let heir = lab.believed_owner(address);
    let reported = lab.wait("the new owner is not reported", PATIENCE, |lab| {
        Ok(lab.reported_owner("inherited", address)? == lab.believed_owner(address)?)
    });
    lab.revive(owner)?;
    let record = probe.finish()?;
    lab.herald()?.wait_ready()?;
    taken?;
    reported?;
    stage.figures.push(Figure::milliseconds(
        "gap when the owner dies",
        &[record.longest_outage()],
        Some(TAKEN),
    ));
    let heir = heir?;
    if heir == owner {
        bail!("the client still believes in {}", owner.name());
    }
    if record.longest_outage() > TAKEN {
        bail!(
            "{address} was dark for {} ms",
            record.longest_outage().as_millis()
        );
    }
    linger(Duration::from_secs(5));
    neigh::forget(&lab.topology.client, address)?;
    lab.wait_for_page(address)?;
    expect_same(
        "the owner after the dead node returned",
        &lab.believed_owner(address)?,
        &heir,
    )
}
