//! Routers by other people's programs know what the nodes announce, and nothing else.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Skip, Stage};
use crate::lab::Lab;
use crate::netns::run;
use crate::routers::{ADDRESSES, Kind, NODE_AS, ROUTER_AS, Router, Terms};
use crate::services::Wanted;
use crate::topology::NodeNumber;

/// How long sessions may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

const POOL: [&str; 2] = ["198.51.100.0/28", "2001:db8:51::/124"];
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// FRR, with the client's pages through its kernel's routes.
pub(super) fn frr(stage: &mut Stage) -> Result<()> {
    spoken_to(stage, Kind::Frr)
}

/// BIRD, likewise.
pub(super) fn bird(stage: &mut Stage) -> Result<()> {
    spoken_to(stage, Kind::Bird)
}

/// GoBGP.
pub(super) fn gobgp(stage: &mut Stage) -> Result<()> {
    spoken_to(stage, Kind::Gobgp)
}

/// Sessions come up by both families; a Service is known by every node, with its communities; an excluded
/// node withdraws and comes back; a router that restarts learns everything again; a deleted Service is
/// withdrawn, and no session was lost over any of it.
fn spoken_to(stage: &mut Stage, kind: Kind) -> Result<()> {
    let lab = &mut stage.lab;
    if let Some(missing) = kind.missing() {
        return Err(Skip { reason: missing }.into());
    }
    let mut router = Router::start(lab, kind, Terms::default())?;
    configure(lab, "")?;
    established(lab, &["four", "six"])?;
    let service = "routed";
    let wanted = Wanted::dual(service).annotated("heraldlb.io/address-pool", "routed");
    lab.create_service(&wanted)?;
    let addresses = lab.wait_for_addresses(&wanted)?;
    let all: Vec<NodeNumber> = lab.topology.nodes.iter().map(|node| node.number).collect();
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &hops(&all, *address))?;
        communities(&router, kind, *address)?;
    }
    if kind.forwards() {
        pages(lab, &addresses)?;
    }

    let (gone, left) = all
        .split_first()
        .map_or((NodeNumber(1), &[][..]), |(a, b)| (*a, b));
    lab.kubectl(&["label", "node", &gone.name(), &format!("{EXCLUDE}=")])?;
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &hops(left, *address))?;
    }
    lab.kubectl(&["label", "node", &gone.name(), &format!("{EXCLUDE}-")])?;
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &hops(&all, *address))?;
    }

    router.restart()?;
    established(lab, &["four", "six"])?;
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &hops(&all, *address))?;
    }
    let before = establishments(lab)?;
    lab.delete_service(service)?;
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &BTreeSet::new())?;
    }
    let after = establishments(lab)?;
    if before != after {
        bail!("sessions were established {before:?} and then {after:?}: a Service resets none");
    }
    router.stop();
    Ok(())
}

/// A wrong password is told as what it may be, the right one makes the session, with FRR on the other
/// side; and IPv4 routes go over IPv6 sessions where both ends can.
pub(super) fn secured(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    if let Some(missing) = Kind::Frr.missing() {
        return Err(Skip { reason: missing }.into());
    }
    let terms = Terms {
        password: Some("correct-horse"),
        dual_stack: true,
    };
    let mut router = Router::start(lab, Kind::Frr, terms)?;
    lab.kubectl(&[
        "-n",
        "herald-system",
        "create",
        "secret",
        "generic",
        "tor-password",
        "--type=kubernetes.io/basic-auth",
        "--from-literal=password=wrong",
    ])?;
    let outcome = secured_by(lab, &router);
    lab.kubectl(&["-n", "herald-system", "delete", "secret", "tor-password"])?;
    router.stop();
    outcome
}

fn secured_by(lab: &mut Lab, router: &Router) -> Result<()> {
    configure(
        lab,
        ", passwordSecret: {name: tor-password}, dualStackAddressFamily: true",
    )?;
    lab.wait("a wrong password is not told", PATIENCE, |lab| {
        let sessions = sessions(lab, "node-1")?;
        let mut sessions = sessions.iter().filter(|session| session["peer"] == "six");
        let error = sessions
            .next()
            .and_then(|session| session["lastError"].as_str());
        Ok(error.is_some_and(|error| error.contains("password is not the Secret's")))
    })?;
    lab.kubectl(&[
        "-n",
        "herald-system",
        "patch",
        "secret",
        "tor-password",
        "--type=merge",
        "-p",
        "{\"stringData\":{\"password\":\"correct-horse\"}}",
    ])?;
    lab.wait(
        "the right password makes no session",
        Duration::from_secs(60),
        |lab| all_established(lab, &["six"]),
    )?;
    let wanted = Wanted::dual("routed").annotated("heraldlb.io/address-pool", "routed");
    lab.create_service(&wanted)?;
    let addresses = lab.wait_for_addresses(&wanted)?;
    let all: Vec<NodeNumber> = lab.topology.nodes.iter().map(|node| node.number).collect();
    // All routes come over IPv6, and so do their next hops.
    let six: BTreeSet<String> = all
        .iter()
        .map(|node| format!("fd73::{:x}", 10 + node.0))
        .collect();
    for address in &addresses {
        router.wait_for(lab, &prefix(*address), &six)?;
    }
    Ok(())
}

/// Two peers, a pool, and an advertisement with communities of two kinds. `more` goes into both peers.
fn configure(lab: &Lab, more: &str) -> Result<()> {
    let mut text = format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: routed}}\n\
         spec: {{addresses: [{}, \"{}\"], autoAssign: false}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {{name: routed}}\n\
         spec: {{ipAddressPools: [routed], communities: [\"64512:100\", no-export, \"large:64512:1:2\"]}}\n",
        POOL[0], POOL[1]
    );
    for (name, address) in ["four", "six"].iter().zip(ADDRESSES) {
        text.push_str(&format!(
            "---\napiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: {name}}}\n\
             spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: \"{address}\", \
             holdTime: 9s, connectTime: 1s, drainTime: 0s{more}}}\n"
        ));
    }
    lab.apply(&text)
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

fn all_established(lab: &Lab, peers: &[&str]) -> Result<bool> {
    for node in &lab.topology.nodes {
        let sessions = sessions(lab, &node.number.name())?;
        let up = |peer: &&str| {
            let mut sessions = sessions.iter();
            sessions.any(|one| one["peer"] == **peer && one["state"] == "Established")
        };
        if !peers.iter().all(up) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn established(lab: &Lab, peers: &[&str]) -> Result<()> {
    let waited = lab.wait("a session is not established", PATIENCE, |lab| {
        all_established(lab, peers)
    });
    waited
        .map(drop)
        .or_else(|error| bail!("{error:#}; node-1 says {:?}", sessions(lab, "node-1")?))
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

/// The nodes' addresses of the family.
fn hops(nodes: &[NodeNumber], address: IpAddr) -> BTreeSet<String> {
    let hop = |node: &NodeNumber| match address {
        IpAddr::V4(_) => format!("10.73.0.{}", 10 + node.0),
        IpAddr::V6(_) => format!("fd73::{:x}", 10 + node.0),
    };
    nodes.iter().map(hop).collect()
}

fn communities(router: &Router, kind: Kind, address: IpAddr) -> Result<()> {
    for (hop, said) in router.paths(&prefix(address))? {
        for community in kind.communities() {
            if !said.contains(community) {
                bail!(
                    "{} says no {community} of {address} by {hop}: {said}",
                    kind.name()
                );
            }
        }
    }
    Ok(())
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
