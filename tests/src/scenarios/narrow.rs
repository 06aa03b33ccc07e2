//! Only some of the nodes may announce.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Stage, linger};
use crate::lab::Lab;
use crate::services::Wanted;
use crate::topology::NodeNumber;

/// How long wakeups are counted.
const WHILE: Duration = Duration::from_secs(3);
/// A second of a thread that waits: beacons of two peers and their copies, its own timers, what is asked
/// of it. One that does not wait wakes up a hundred times as often.
const BUSY: u64 = 600;

/// One node announces, and the others, which hear its copies of beacons and own nothing, sleep: the thread
/// that hears them has a higher priority than everything else on their machine.
pub(super) fn others_sleep(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let chosen = lab.node(2)?.number;
    lab.apply(&format!(
        "apiVersion: heraldlb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata: {{name: narrow}}\n\
         spec: {{addresses: [\"10.73.0.180-10.73.0.181\"], autoAssign: false}}\n\
         ---\n\
         apiVersion: heraldlb.io/v1beta1\n\
         kind: L2Advertisement\n\
         metadata: {{name: narrow}}\n\
         spec: {{ipAddressPools: [narrow], \
         nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: {}}}}}]}}\n",
        chosen.name()
    ))?;
    let wanted = Wanted::single("narrow", "IPv4").annotated("heraldlb.io/address-pool", "narrow");
    let address = *lab.serve(&wanted)?.first().context("no address")?;
    let owner = lab.settled_owner("narrow", address)?;
    super::expect_same("the node that announces", &owner, &chosen)?;
    let before = wakeups(lab)?;
    linger(WHILE);
    let after = wakeups(lab)?;
    for (node, after) in after {
        let before = before.get(&node).context("a node came")?;
        let each_second = (after - before) / WHILE.as_secs();
        if each_second == 0 || each_second > BUSY {
            bail!("{}: {each_second} wakeups a second", node.name());
        }
    }
    for count in counters(lab, "fruitless_wakeups_total")?.into_values() {
        super::expect_same("wakeups for nothing", &count, &0)?;
    }
    Ok(())
}

/// How often the announcing thread of each node has woken up.
fn wakeups(lab: &mut Lab) -> Result<BTreeMap<NodeNumber, u64>> {
    counters(lab, "wakeups_total")
}

fn counters(lab: &mut Lab, name: &str) -> Result<BTreeMap<NodeNumber, u64>> {
    let series = format!("herald_speaker_{name} ");
    let mut all = BTreeMap::new();
    for (node, part) in &lab.herald()?.speakers {
        let shown = part.shown("/metrics")?;
        let mut lines = shown.lines();
        let count = lines.find_map(|line| line.strip_prefix(&series));
        let count = count.with_context(|| format!("the speaker has no {name}"))?;
        all.insert(*node, count.parse()?);
    }
    Ok(all)
}
