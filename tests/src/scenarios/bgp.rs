//! Routers by other people's programs know what the nodes announce, and nothing else.
//!
//! Here is what they have in common; the matrix of routers and features is [`matrix`], and what nobody
//! would call a router [`hostile`]; sessions that are watched are in [`bfd`], with passwords in [`proved`]
//! and with echo packets in [`echoed`]; routers without an address of their own are in [`unnumbered`], and
//! what heraldctl says of them all in [`told`]; who opens the connection is [`listening`], and which node gets
//! how much of the traffic [`weighed`].

mod bfd;
mod echoed;
mod hostile;
mod listening;
mod matrix;
mod proved;
mod told;
mod unnumbered;
mod weighed;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Skip, Stage};
use crate::lab::Lab;
use crate::netns::run;
use crate::routers::{ADDRESSES, Kind, NODE_AS, Neighbour, ROUTER_AS, Router};
use crate::services::Wanted;
use crate::topology::NodeNumber;
pub(super) use bfd::watched;
pub(super) use echoed::echoed;
pub(super) use hostile::hostile;
pub(super) use listening::listening;
pub(super) use matrix::matrix;
pub(super) use proved::proved;
pub(super) use told::told;
pub(super) use unnumbered::unnumbered;
pub(super) use weighed::weighed;

/// How long sessions may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

const POOL: [&str; 2] = ["198.51.100.0/28", "2001:db8:51::/124"];
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const PASSWORD: &str = "correct-horse";
const SECRET: &str = "tor-password";
const OTHER_SECRET: &str = "other-password";

/// A Secret that is missing is told, so is a wrong password as what it may be, and the right one makes the
/// session, with FRR on the other side.
pub(super) fn secured(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Frr)?;
    let nodes = lab.topology.nodes.iter();
    let neighbours = nodes.map(|node| Neighbour {
        password: Some(PASSWORD),
        both: true,
        ..Neighbour::plain(node.number, 1)
    });
    let mut router = Router::start(lab, Kind::Frr, neighbours.collect())?;
    keep_secret(lab, SECRET, PASSWORD)?;
    let outcome = secured_by(lab, &router);
    forget_secret(lab, SECRET)?;
    forget_secret(lab, OTHER_SECRET)?;
    router.stop();
    outcome
}

fn secured_by(lab: &mut Lab, router: &Router) -> Result<()> {
    let with = |secret: &str| {
        let more = format!("passwordSecret: {{name: {secret}}}, dualStackAddressFamily: true");
        peer("six", None, ADDRESSES[1], &more)
    };
    let told = |what: &str| {
        lab.wait(&format!("it is not told: {what}"), PATIENCE, |lab| {
            let sessions = sessions(lab, "node-1")?;
            let mut sessions = sessions.iter().filter(|session| session["peer"] == "six");
            let error = sessions
                .next()
                .and_then(|session| session["lastError"].as_str());
            Ok(error.is_some_and(|error| error.contains(what)))
        })
    };
    lab.apply(&(announced() + &with(OTHER_SECRET)))?;
    told("Secret herald-system/other-password does not exist; create it with the key password")?;
    keep_secret(lab, OTHER_SECRET, "wrong")?;
    told("password is not the Secret's")?;
    // That a Secret has changed would be seen after half a minute; another Secret counts at once.
    lab.apply(&with(SECRET))?;
    let all: Vec<NodeNumber> = lab.topology.nodes.iter().map(|node| node.number).collect();
    let wanted: Vec<(NodeNumber, &str)> = all.iter().map(|node| (*node, "six")).collect();
    established(lab, &wanted)?;
    let addresses = routed_service(lab)?;
    // All routes come over IPv6, and so do their next hops.
    let six: BTreeSet<String> = all.iter().map(|node| node.lan()[1].to_string()).collect();
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &six)?;
    }
    Ok(())
}

/// Fails as skipped when a router is not installed.
fn present(kind: Kind) -> Result<()> {
    match kind.missing() {
        Some(reason) => Err(Skip { reason }.into()),
        None => Ok(()),
    }
}

/// A pool, and an advertisement with communities of all kinds.
fn announced() -> String {
    format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: routed}}\n\
         spec: {{addresses: [{}, \"{}\"], autoAssign: false}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {{name: routed}}\n\
         spec: {{ipAddressPools: [routed], communities: \
         [\"64512:100\", no-export, \"large:64512:1:2\", \"rt:64512:100\"]}}\n",
        POOL[0], POOL[1]
    )
}

/// A BGPPeer of one node or of all; `more` goes into its spec.
fn peer(name: &str, node: Option<NodeNumber>, address: &str, more: &str) -> String {
    let selectors = node.map_or_else(String::new, |node| {
        format!(
            ", nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: {}}}}}]",
            node.name()
        )
    });
    format!(
        "---\napiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: {name}}}\n\
         spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: \"{address}\", \
         holdTime: 9s, connectTime: 1s, drainTime: 0s{selectors}, {more}}}\n"
    )
}

fn keep_secret(lab: &Lab, name: &str, password: &str) -> Result<()> {
    lab.kubectl(&[
        "-n",
        "herald-system",
        "create",
        "secret",
        "generic",
        name,
        "--type=kubernetes.io/basic-auth",
        &format!("--from-literal=password={password}"),
    ])
    .map(drop)
}

fn forget_secret(lab: &Lab, name: &str) -> Result<()> {
    let words = ["delete", "secret", name, "--ignore-not-found"];
    lab.kubectl(&[&["-n", "herald-system"], &words[..]].concat())
        .map(drop)
}

/// A Service of both families from the pool; its addresses.
fn routed_service(lab: &Lab) -> Result<Vec<IpAddr>> {
    let wanted = Wanted::dual("routed").annotated("heraldlb.io/address-pool", "routed");
    lab.create_service(&wanted)?;
    lab.wait_for_addresses(&wanted)
}

/// The sessions in the status of a node's Speaker.
fn sessions(lab: &Lab, node: &str) -> Result<Vec<Value>> {
    let path = format!("/apis/heraldlb.io/v1beta1/speakers/{node}");
    let speaker = lab.api.get(&path)?.unwrap_or_default();
    Ok(speaker["status"]["bgpSessions"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

fn all_established(lab: &Lab, wanted: &[(NodeNumber, &str)]) -> Result<bool> {
    for (node, peer) in wanted {
        let mut sessions = sessions(lab, &node.name())?.into_iter();
        if !sessions.any(|one| one["peer"] == **peer && one["state"] == "Established") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn established(lab: &Lab, wanted: &[(NodeNumber, &str)]) -> Result<()> {
    let waited = lab.wait("a session is not established", PATIENCE, |lab| {
        all_established(lab, wanted)
    });
    waited.map(drop).or_else(|error| {
        let mut said = Vec::new();
        for node in &lab.topology.nodes {
            for one in sessions(lab, &node.number.name())? {
                let (peer, state, error) = (&one["peer"], &one["state"], &one["lastError"]);
                said.push(format!("{} {peer}: {state} {error}", node.number.name()));
            }
        }
        bail!("{error:#}: {}", said.join("; "))
    })
}

/// How often each speaker has established sessions, as its metrics say.
fn establishments(lab: &mut Lab) -> Result<Vec<String>> {
    let speakers = &lab.herald()?.speakers;
    let count = |(_, part): &(NodeNumber, crate::herald::Part)| -> Result<String> {
        let metrics = part.shown("/metrics")?;
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("herald_bgp_established"));
        Ok(lines.collect::<Vec<_>>().join(" "))
    };
    speakers.iter().map(count).collect()
}

fn prefix(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// The client gets pages through the router.
fn pages(lab: &Lab, addresses: &[IpAddr]) -> Result<()> {
    let client = &lab.topology.client;
    for (net, router) in POOL.iter().zip(ADDRESSES) {
        run(client
            .command("ip")
            .args(["route", "replace", net, "via", router]))?;
    }
    let outcome = addresses
        .iter()
        .try_for_each(|address| lab.wait_for_page(*address).map(drop));
    for net in POOL {
        run(client.command("ip").args(["route", "del", net]))?;
    }
    outcome
}
