//! BFD echo (RFC 5880 section 6.4), with FRR: packets that the other end forwards back unread.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{PATIENCE, announced, peer, present, sessions};
use crate::lab::Lab;
use crate::program::Program;
use crate::routers::{ADDRESSES, Files, Kind, NODE_AS, ROUTER_AS, frr};
use crate::scenarios::Stage;
use crate::topology::NodeNumber;

const NODE: NodeNumber = NodeNumber(1);

/// What FRR calls the packets of the node that came back to it.
const CAME_BACK: &str = "echo-packet-input";

/// A node and FRR watch each other by echo packets. When the router forwards nothing, the path goes down
/// though its control packets arrive; when it does again, echo packets come back again.
pub(in crate::scenarios) fn echoed(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Frr)?;
    let files = Files::make(lab, "router-echoed", Vec::new())?;
    let [address, _] = NODE.lan();
    let speaking = format!(
        "frr defaults traditional\nlog stdout informational\nrouter bgp {ROUTER_AS}\n \
         bgp router-id {}\n no bgp ebgp-requires-policy\n neighbor {address} remote-as {NODE_AS}\n \
         neighbor {address} timers connect 1\n neighbor {address} bfd profile echo\n",
        ADDRESSES[0]
    );
    let watching = "log stdout informational\nbfd\n profile echo\n  detect-multiplier 5\n  echo-mode\n  \
                    echo transmit-interval 100\n  echo receive-interval 100\n exit\n";
    let mut programs = frr::launch(lab, &files, &speaking, Some(watching))?;
    let outcome = played(lab, &files);
    forwards(lab, true)?;
    for program in programs.iter_mut().rev() {
        Program::terminate(program, Duration::from_secs(3));
    }
    outcome
}

fn played(lab: &Lab, files: &Files) -> Result<()> {
    lab.apply(&announced())?;
    lab.apply(
        "apiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {name: echo}\n\
         spec: {detectMultiplier: 5, echoMode: true, echoInterval: 100}\n",
    )?;
    lab.apply(&peer("echo", Some(NODE), ADDRESSES[0], "bfdProfile: echo"))?;
    proven(lab)?;
    let before = came_back(files)?;
    lab.wait("FRR's echo packets do not come back", PATIENCE, |_| {
        Ok(came_back(files)? > before)
    })?;
    forwards(lab, false)?;
    // Control packets have the path up again at once, and the session after it.
    lab.wait("echo packets are missed by nobody", PATIENCE, |lab| {
        let session = watched(lab)?;
        let why = session["lastError"].as_str().unwrap_or_default();
        Ok(session["bfd"]["echoInterval"].is_null() && why.contains("BFD Down"))
    })?;
    forwards(lab, true)?;
    proven(lab)
}

/// Waits until echo packets come back to the node.
fn proven(lab: &Lab) -> Result<()> {
    let last = std::cell::RefCell::new(Value::Null);
    let waited = lab.wait("echo packets do not come back", PATIENCE, |lab| {
        let session = watched(lab)?;
        let bfd = &session["bfd"];
        let proven = bfd["state"] == "Up" && bfd["echoInterval"] == 100_000;
        last.replace(session);
        Ok(proven)
    });
    waited.map(drop).with_context(|| last.take().to_string())
}

fn watched(lab: &Lab) -> Result<Value> {
    let mut sessions = sessions(lab, &NODE.name())?.into_iter();
    Ok(sessions
        .find(|session| session["peer"] == "echo")
        .unwrap_or_default())
}

/// How many echo packets came back to FRR.
fn came_back(files: &Files) -> Result<u64> {
    let shown = frr::told_to(files, "bfdd", &["show bfd peers counters json"])?;
    let shown: Value = serde_json::from_str(&shown).context("FRR's answer is not JSON")?;
    shown[0][CAME_BACK]
        .as_u64()
        .with_context(|| format!("FRR does not count echo packets: {shown}"))
}

/// Whether the router forwards IPv4.
fn forwards(lab: &Lab, does: bool) -> Result<()> {
    let router = &lab.topology.router;
    router.sysctl(&[("ipv4/conf/eth0/forwarding", if does { "1" } else { "0" })])
}
