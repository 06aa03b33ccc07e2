//! What all the other scenarios left in logs and captures.

use anyhow::{Result, bail};

use super::{Stage, needs};
use crate::capture;

/// The API server takes the shipped manifests without a remark.
pub(super) fn warnings(stage: &mut Stage) -> Result<()> {
    let warnings = &stage.lab.herald()?.warnings;
    if let Some(first) = warnings.first() {
        bail!("{} warnings, the first: {first}", warnings.len());
    }
    Ok(())
}

/// Every frame the client saw since the lab came up dissects without complaint, and Herald's frames
/// are among them.
pub(super) fn frames(stage: &mut Stage) -> Result<()> {
    needs("tshark", "tshark")?;
    let Some(capture) = stage.capture.take() else {
        bail!("the capture is over already")
    };
    let (path, frames) = capture.finish()?;
    let bad = capture::matching(
        &path,
        "(arp || icmpv6) && (_ws.malformed || _ws.expert.severity == error \
         || icmpv6.checksum.status == \"Bad\")",
    )?;
    if let Some(first) = bad.first() {
        bail!(
            "{} of {frames} frames are malformed, the first: {first}",
            bad.len()
        );
    }
    for (what, filter) in [
        (
            "ARP reply",
            "arp.opcode == 2 && arp.src.proto_ipv4 >= 10.73.0.200 && arp.src.proto_ipv4 <= 10.73.0.239",
        ),
        (
            "Neighbor Advertisement",
            "icmpv6.type == 136 && icmpv6.nd.na.target_address == fd73::f000/120",
        ),
    ] {
        if capture::matching(&path, filter)?.is_empty() {
            bail!("there is no {what} of Herald's among {frames} frames");
        }
    }
    Ok(())
}
