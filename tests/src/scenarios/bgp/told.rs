//! What heraldctl says of sessions: one that stands, one that the router refuses, and one that is refused
//! here.

use anyhow::{Context, Result, bail};

use super::{ADDRESSES, PATIENCE, announced, peer, prefix, present};
use crate::lab::Lab;
use crate::routers::{Kind, Neighbour, Router};
use crate::scenarios::tool::heraldctl;
use crate::scenarios::{Stage, expect_same};
use crate::services::Wanted;
use crate::topology::NodeNumber;

const NODES: [NodeNumber; 3] = [NodeNumber(1), NodeNumber(2), NodeNumber(3)];

/// Each session with what is said of it, whatever else is.
const SAID: [(&str, &str, &[&str]); 3] = [
    ("node-1", "good", &["Established", "1 of 1"]),
    (
        "node-2",
        "refused",
        &["0 of 1", "the peer said: Bad Peer AS (2/2)"],
    ),
    (
        "node-3",
        "refusing",
        &["0 of 1", "told the peer: Bad Peer AS (2/2)"],
    ),
];

/// `sessions` and `explain` agree with the router on who is heard, and give the reason of who is not; and
/// once the router is gone, of everybody.
pub(in crate::scenarios) fn told(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Bird)?;
    if lab.topology.nodes.len() < NODES.len() {
        bail!("this needs three nodes");
    }
    let neighbours = NODES.map(|node| Neighbour::plain(node, 0));
    let mut router = Router::start(lab, Kind::Bird, neighbours.into())?;
    let outcome = told_by(lab, &mut router);
    router.stop();
    outcome
}

fn told_by(lab: &Lab, router: &mut Router) -> Result<()> {
    let plain = |n: usize| peer(SAID[n].1, Some(NODES[n]), ADDRESSES[0], "");
    let refused = plain(1).replace("myASN: 64512", "myASN: 64999");
    let refusing = plain(2).replace("peerASN: 64513", "peerASN: 64999");
    lab.apply(&[announced(), plain(0), refused, refusing].concat())?;
    let wanted = Wanted::single("routed", "IPv4").annotated("heraldlb.io/address-pool", "routed");
    lab.create_service(&wanted)?;
    let addresses = lab.wait_for_addresses(&wanted)?;
    let address = addresses.first().context("a Service has no address")?;
    let [first, ..] = NODES.map(|node| node.lan()[0].to_string());
    router.wait_for(lab, &prefix(*address), &[first].into())?;

    lab.wait("heraldctl sessions is not right", PATIENCE, |lab| {
        let (code, said) = heraldctl(lab, &["sessions"])?;
        expect_same("its exit status", &code, &Some(0))?;
        for (node, peer, words) in SAID {
            let line = line(&said, node, peer)?;
            if let Some(missing) = words.iter().find(|words| !line.contains(**words)) {
                bail!("{missing:?} is not said: {line}");
            }
        }
        Ok(true)
    })?;
    explained(
        lab,
        Some(0),
        &["1 of 3 established", SAID[1].2[1], SAID[2].2[1]],
    )?;

    router.stop();
    let gone = "refuses connections to port 179";
    lab.wait(
        "heraldctl does not say that nobody is there",
        PATIENCE,
        |lab| {
            let (_, said) = heraldctl(lab, &["sessions", "node-1"])?;
            let line = line(&said, "node-1", "good")?;
            // Why it ended stands before what has come of attempts since.
            let ended = line.find("the peer said: Cease");
            let since = line.find("; since then: ");
            Ok(!line.contains("Established")
                && line.contains(gone)
                && ended.is_some()
                && ended < since)
        },
    )?;
    let nobody = "no session with a router is established: 0 of 3 established";
    explained(lab, Some(1), &[nobody, gone])
}

/// The line of a session.
fn line<'a>(said: &'a str, node: &str, peer: &str) -> Result<&'a str> {
    let mut lines = said.lines();
    let found = lines.find(|line| line.split_whitespace().take(2).eq([node, peer]));
    found.with_context(|| format!("no line of {node} and {peer}: {said}"))
}

/// Waits until `explain` ends so and says all of this.
fn explained(lab: &Lab, wanted: Option<i32>, words: &[&str]) -> Result<()> {
    let waited = lab.wait("heraldctl explain is not right", PATIENCE, |lab| {
        let (code, said) = heraldctl(lab, &["explain", "svc", "default/routed"])?;
        if let Some(missing) = words.iter().find(|words| !said.contains(**words)) {
            bail!("{missing:?} is not said: {said}");
        }
        expect_same(&format!("the exit status behind {said}"), &code, &wanted)?;
        Ok(true)
    });
    waited.map(drop)
}
