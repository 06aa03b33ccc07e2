//! Routers that are found by their interfaces, or have link-local addresses only: two nodes have a cable
//! of their own to the router.
//!
//! ```text
//! router  to-node-1 ── veth-tor  node-1        addresses: link-local ones only
//!         to-node-2 ── veth-tor  node-2
//! ```
//! Both ends find each other by router advertisements; FRR by ours, too.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    PASSWORD, PATIENCE, SECRET, announced, established, forget_secret, keep_secret, pages, prefix,
    present, routed_service, sessions,
};
use crate::capture::{self, Capture};
use crate::lab::Lab;
use crate::program::Program;
use crate::routers::{ADDRESSES, Files, Kind, NODE_AS, ROUTER_AS, bird, frr};
use crate::scenarios::{Stage, needs};
use crate::telling::tell;
use crate::topology::NodeNumber;

const ONE: NodeNumber = NodeNumber(1);
const TWO: NodeNumber = NodeNumber(2);
const THREE: NodeNumber = NodeNumber(3);

/// The nodes' end of a cable. Addresses are never announced on interfaces of this name by ARP and NDP.
const CABLE: &str = "veth-tor";

/// How long programs may take to end.
const STOP: Duration = Duration::from_secs(3);

/// The router's end of a node's cable.
fn port(node: NodeNumber) -> String {
    format!("to-{}", node.name())
}

/// A hardware address, and the link-local address that Linux makes of it (RFC 4291 appendix A).
fn hardware(last: u8) -> (String, Ipv6Addr) {
    let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x7300 | u16::from(last));
    (format!("02:00:00:00:73:{last:02x}"), address)
}

/// The ends of a node's cable: its own, and the router's; and what the router's becomes.
fn node_end(node: NodeNumber) -> (String, Ipv6Addr) {
    hardware(node.0)
}

fn router_end(node: NodeNumber) -> (String, Ipv6Addr) {
    hardware(0x80 | node.0)
}

fn other_router_end(node: NodeNumber) -> (String, Ipv6Addr) {
    hardware(0xc0 | node.0)
}

/// FRR and the nodes find each other by their interfaces: routes of both families with link-local next
/// hops, pages by way of both nodes, BFD, and a router that takes another address. Then BIRD, found on one
/// cable and named on the other, with a password there.
pub(in crate::scenarios) fn unnumbered(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Frr)?;
    present(Kind::Bird)?;
    let files = Files::make(lab, "router-unnumbered", Vec::new())?;
    keep_secret(lab, SECRET, PASSWORD)?;
    plug(lab)?;
    let outcome = played(lab, &files);
    lab.topology
        .router
        .ip(&format!("link del {}\nlink del {}", port(ONE), port(TWO)))?;
    forget_secret(lab, SECRET)?;
    outcome
}

fn plug(lab: &Lab) -> Result<()> {
    for node in [ONE, TWO] {
        let ((near, _), (far, _)) = (node_end(node), router_end(node));
        let machine = &lab.node(node.0)?.machine;
        let router = &lab.topology.router;
        router.ip(&format!(
            "link add {port} address {far} type veth peer name {CABLE} address {near} netns {}\n\
             link set {port} up",
            machine.name(),
            port = port(node),
        ))?;
        machine.ip(&format!("link set {CABLE} up"))?;
    }
    Ok(())
}

fn played(lab: &mut Lab, files: &Files) -> Result<()> {
    let path = lab.files.state.join("unnumbered.pcap");
    let capture = Capture::start(&lab.topology.router, &path)?;
    let mut programs = frr(lab, files)?;
    let outcome = with_frr(lab, files);
    stop(&mut programs);
    let outcome = outcome.and_then(|addresses| {
        let mut programs = vec![bird(lab, files)?];
        let outcome = with_bird(lab, files, &addresses);
        stop(&mut programs);
        outcome
    });
    capture.finish()?;
    outcome?;
    dissected(&path)
}

fn stop(programs: &mut [Program]) {
    for program in programs.iter_mut().rev() {
        program.terminate(STOP);
    }
}

fn with_frr(lab: &Lab, files: &Files) -> Result<Vec<IpAddr>> {
    lab.apply(&announced())?;
    lab.apply(
        "apiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {name: cable}\n\
         spec: {detectMultiplier: 5}\n",
    )?;
    lab.apply(&peer(
        "cable",
        "",
        &format!("dynamicASN: external, interface: {CABLE}, bfdProfile: cable"),
    ))?;
    established(lab, &[(ONE, "cable"), (TWO, "cable")])?;
    for node in [ONE, TWO] {
        at(lab, node, "cable", router_end(node).1)?;
        lab.wait("BFD is not up", PATIENCE, |lab| {
            Ok(session(lab, node, "cable")?["bfd"]["state"] == "Up")
        })?;
    }
    lab.wait(
        "a node without the interface does not say so",
        PATIENCE,
        |lab| {
            let session = session(lab, THREE, "cable")?;
            let why = session["lastError"].as_str().unwrap_or_default();
            Ok(why.contains("this node has no interface veth-tor"))
        },
    )?;
    let addresses = routed_service(lab)?;
    for address in &addresses {
        known(lab, &[ONE, TWO], &|| frr_hops(files, *address))?;
    }
    pages(lab, &addresses)?;

    let (hardware, address) = other_router_end(ONE);
    let port = port(ONE);
    lab.topology.router.ip(&format!(
        "link set {port} down\nlink set {port} address {hardware}\nlink set {port} up"
    ))?;
    at(lab, ONE, "cable", address)?;
    established(lab, &[(ONE, "cable")])?;
    for address in &addresses {
        known(lab, &[ONE, TWO], &|| frr_hops(files, *address))?;
    }
    Ok(addresses)
}

fn with_bird(lab: &Lab, files: &Files, addresses: &[IpAddr]) -> Result<()> {
    let (_, router) = router_end(TWO);
    lab.kubectl(&["delete", "bgppeer", "cable"])?;
    let more = format!(
        "peerASN: {ROUTER_AS}, peerAddress: \"{router}%{CABLE}\", dualStackAddressFamily: true, \
         passwordSecret: {{name: {SECRET}}}"
    );
    let found = format!("peerASN: {ROUTER_AS}, interface: {CABLE}");
    lab.apply(&(peer("found", &only(ONE), &found) + &peer("named", &only(TWO), &more)))?;
    established(lab, &[(ONE, "found"), (TWO, "named")])?;
    at(lab, ONE, "found", other_router_end(ONE).1)?;
    at(lab, TWO, "named", router)?;
    for address in addresses {
        known(lab, &[ONE, TWO], &|| bird_hops(files, *address))?;
    }
    Ok(())
}

/// A BGPPeer of the nodes that a selector names.
fn peer(name: &str, selectors: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: {name}}}\n\
         spec: {{myASN: {NODE_AS}, holdTime: 9s, connectTime: 1s, drainTime: 0s{selectors}, {spec}}}\n"
    )
}

fn only(node: NodeNumber) -> String {
    format!(
        ", nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: {}}}}}]",
        node.name()
    )
}

fn session(lab: &Lab, node: NodeNumber, peer: &str) -> Result<Value> {
    let mut sessions = sessions(lab, &node.name())?.into_iter();
    Ok(sessions
        .find(|session| session["peer"] == peer)
        .unwrap_or_default())
}

/// Waits until the status of a session says that the router is there.
fn at(lab: &Lab, node: NodeNumber, peer: &str, address: Ipv6Addr) -> Result<()> {
    let wanted = format!("{address}%{CABLE}");
    lab.wait("the router is not found where it is", PATIENCE, |lab| {
        Ok(session(lab, node, peer)?["router"] == wanted)
    })
    .map(drop)
}

/// Waits until the router knows an address by the cables of exactly these nodes.
fn known(
    lab: &Lab,
    nodes: &[NodeNumber],
    hops: &dyn Fn() -> Result<BTreeSet<String>>,
) -> Result<()> {
    let wanted = nodes.iter().map(|node| node_end(*node).1.to_string());
    let wanted: BTreeSet<String> = wanted.collect();
    let last = std::cell::RefCell::new(BTreeSet::new());
    let waited = lab.wait("routes are not as wanted", PATIENCE, |_| {
        let known = hops()?;
        let same = known == wanted;
        last.replace(known);
        Ok(same)
    });
    let known = last.take();
    waited
        .map(drop)
        .with_context(|| format!("the next hops are {known:?}, wanted {wanted:?}"))
}

fn frr(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let mut text = format!(
        "frr defaults traditional\nlog stdout informational\nrouter bgp {ROUTER_AS}\n bgp router-id {}\n \
         no bgp ebgp-requires-policy\n",
        ADDRESSES[0]
    );
    let ports = [ONE, TWO].map(port);
    for port in &ports {
        let _ = writeln!(
            text,
            " neighbor {port} interface remote-as external\n neighbor {port} timers connect 1\n \
             neighbor {port} bfd profile cable"
        );
    }
    let activated = ports.map(|port| format!("  neighbor {port} activate\n"));
    for family in ["ipv4", "ipv6"] {
        let _ = writeln!(
            text,
            " address-family {family} unicast\n{}  maximum-paths 16\n exit-address-family",
            activated.concat()
        );
    }
    let watching = "log stdout informational\nbfd\n profile cable\n  detect-multiplier 5\n exit\n";
    frr::launch(lab, files, &text, Some(watching))
}

/// By which link-local addresses FRR knows an address.
fn frr_hops(files: &Files, address: IpAddr) -> Result<BTreeSet<String>> {
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    let question = format!("show bgp {family} unicast {} json", prefix(address));
    let shown = frr::told_to(files, "bgpd", &[&question])?;
    let shown: Value = serde_json::from_str(&shown).context("FRR's answer is not JSON")?;
    let paths = shown["paths"].as_array().into_iter().flatten();
    let hops = paths.flat_map(|path| path["nexthops"].as_array().cloned().unwrap_or_default());
    Ok(hops
        .filter_map(|hop| Some(hop["ip"].as_str()?.to_owned()))
        .filter(|hop| hop.starts_with("fe80:"))
        .collect())
}

fn bird(lab: &Lab, files: &Files) -> Result<Program> {
    let mut text = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{}}\nprotocol radv {{ interface \"to-*\" \
         {{ min ra interval 3; max ra interval 4; default lifetime 0; }}; }}\n",
        ADDRESSES[0]
    );
    for (node, password) in [(ONE, None), (TWO, Some(PASSWORD))] {
        let password = password.map_or_else(String::new, |word| format!("password \"{word}\"; "));
        let _ = writeln!(
            text,
            "protocol bgp n{} {{ local as {ROUTER_AS}; neighbor {} as {NODE_AS}; interface \"{}\"; \
             {password}connect retry time 1; error wait time 1, 2; \
             ipv4 {{ extended next hop on; import all; export none; }}; \
             ipv6 {{ import all; export none; }}; }}",
            node.0,
            node_end(node).1,
            port(node)
        );
    }
    bird::launch(lab, files, &text, false)
}

/// By which link-local addresses BIRD knows an address.
fn bird_hops(files: &Files, address: IpAddr) -> Result<BTreeSet<String>> {
    let prefix = prefix(address);
    let (_, shown) = bird::asked(files, &["-r", "show", "route", &prefix, "all"])?;
    let hops = shown
        .lines()
        .filter_map(|line| line.trim().strip_prefix("BGP.next_hop: "));
    Ok(hops
        .flat_map(str::split_whitespace)
        .filter(|hop| hop.starts_with("fe80:"))
        .map(str::to_owned)
        .collect())
}

/// What nodes say on the cables is in order to tshark, and is what they say: no default router, no
/// prefix; everything on the cables is link-local.
fn dissected(path: &Path) -> Result<()> {
    if needs("tshark", "tshark").is_err() {
        tell("    tshark is missing: messages are not dissected");
        return Ok(());
    }
    let nodes = [ONE, TWO].map(|node| format!("ipv6.src == {}", node_end(node).1));
    let nodes = nodes.join(" || ");
    let told = capture::matching(path, &format!("icmpv6.type == 134 && ({nodes})"))?;
    if told.is_empty() {
        bail!("no node sent a router advertisement");
    }
    let ours = format!("({nodes}) && (icmpv6.type == 133 || icmpv6.type == 134 || bgp || bfd)");
    for foul in [
        "_ws.malformed || _ws.expert.severity == error || icmpv6.checksum.status == \"Bad\"",
        "icmpv6.type == 134 && (icmpv6.nd.ra.router_lifetime != 0 || icmpv6.opt.type == 3)",
        "icmpv6.type == 134 && !icmpv6.opt.linkaddr",
        "!(ipv6.dst == fe80::/10 || ipv6.dst == ff02::/16)",
        "(icmpv6 || bfd) && ipv6.hlim != 255",
    ] {
        let foul = capture::matching(path, &format!("{ours} && ({foul})"))?;
        if let Some(first) = foul.first() {
            bail!(
                "{} messages are not in order, the first: {first}",
                foul.len()
            );
        }
    }
    Ok(())
}
