//! The API server is away, and things happen all the same.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{Stage, linger};
use crate::figures::Figure;
use crate::lab::Lab;
use crate::neigh;
use crate::probe::Probe;
use crate::services::{PATIENCE, Wanted};

/// Far above a takeover of 250 ms, far below anything that waits for the API server.
const TAKEN: Duration = Duration::from_secs(2);

/// While the API server is away every speaker is restarted, and then the owner's is killed: the first
/// costs nothing, the second what it costs with the API server.
pub(super) fn without_the_api_server(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let address = lab.serve(&Wanted::dual("independent"))?[0];
    lab.wait("the reported owner is not the client's", PATIENCE, |lab| {
        Ok(lab.reported_owner("independent", address)? == lab.believed_owner(address)?)
    })?;
    lab.stop_apiserver();
    let outcome = play(lab, address);
    lab.start_apiserver()?;
    lab.forget_backoff()?;
    lab.herald()?.wait_ready()?;
    let (restarts, death) = outcome?;
    stage.figures.extend([
        Figure::milliseconds(
            "gap over speakers' restarts, no API server",
            &[restarts],
            Some(TAKEN),
        ),
        Figure::milliseconds(
            "gap when an owner is killed, no API server",
            &[death],
            Some(TAKEN),
        ),
    ]);
    if restarts > TAKEN || death > TAKEN {
        bail!("{address} was dark for {restarts:?} over restarts and {death:?} after a death");
    }
    Ok(())
}

/// The longest gaps over the restarts and after the death.
fn play(lab: &mut Lab, address: IpAddr) -> Result<(Duration, Duration)> {
    let client = lab.topology.client.clone();
    let probe = Probe::start(&client, address);
    for node in lab.topology.nodes.clone() {
        let speaker = lab.herald()?.speaker(node.number)?;
        speaker.terminate();
        speaker.restart()?;
        // Longer than it takes to go by what was written down.
        linger(Duration::from_secs(5));
    }
    let restarts = probe.finish()?.longest_outage();
    neigh::forget(&client, address)?;
    let probe = Probe::start(&client, address);
    linger(Duration::from_millis(500));
    let owner = lab.believed_owner(address)?;
    lab.herald()?.speaker(owner)?.freeze(true);
    for _ in 0..4 {
        linger(Duration::from_millis(500));
        neigh::forget(&client, address)?;
    }
    let heir = lab.believed_owner(address);
    let death = probe.finish()?.longest_outage();
    lab.herald()?.speaker(owner)?.freeze(false);
    if heir? == owner {
        bail!("nobody took {address} over from {}", owner.name());
    }
    Ok((restarts, death))
}
