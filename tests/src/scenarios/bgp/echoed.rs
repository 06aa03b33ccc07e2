//! BFD echo (RFC 5880 section 6.4), with FRR: packets that the other end sends back unread.
//!
//! ```text
//! node-1  over IPv4    both ends' kernels forward the other's echo packets
//! node-2  over IPv6    the router's kernel forwards the node's; FRR sends its own to the node, which returns them
//! node-3  link-local   likewise
//! ```

use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{PATIENCE, announced, established, peer, present, sessions};
use crate::capture::{self, Capture};
use crate::lab::Lab;
use crate::netns::{Netns, run};
use crate::program::Program;
use crate::routers::{ADDRESSES, Files, Kind, NODE_AS, ROUTER_AS, frr};
use crate::scenarios::{Stage, expect_same, needs};
use crate::telling::tell;
use crate::topology::NodeNumber;

const ONE: NodeNumber = NodeNumber(1);
const TWO: NodeNumber = NodeNumber(2);
const THREE: NodeNumber = NodeNumber(3);

/// Between echo packets, in milliseconds.
const INTERVAL: u64 = 100;

/// What FRR calls its echo packets that came back.
const CAME_BACK: &str = "echo-packet-input";

/// A node that is watched, and how the two ends call each other.
struct Pair {
    node: NodeNumber,
    here: IpAddr,
    router: IpAddr,
}

impl Pair {
    /// The name of its BGPPeer.
    const fn peer(&self) -> &'static str {
        match self.router {
            IpAddr::V4(_) => "echo-four",
            IpAddr::V6(router) if router.is_unicast_link_local() => "echo-local",
            IpAddr::V6(_) => "echo-six",
        }
    }

    fn is_local(&self) -> bool {
        matches!(self.router, IpAddr::V6(router) if router.is_unicast_link_local())
    }

    /// As a BGPPeer has it.
    fn address(&self) -> String {
        let zone = if self.is_local() { "%eth0" } else { "" };
        format!("{}{zone}", self.router)
    }
}

/// Nodes and FRR watch each other by echo packets. When the router forwards nothing, paths go down though
/// its control packets arrive; when it does again, echo packets come back again. Where another program has
/// the port that FRR's packets come to, there is no echo over IPv6 until it leaves. Another interval ends
/// nothing.
pub(in crate::scenarios) fn echoed(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Frr)?;
    if lab.topology.nodes.len() < 3 {
        bail!("this needs three nodes");
    }
    let pairs = pairs(lab)?;
    let files = Files::make(lab, "router-echoed", Vec::new())?;
    let watching = format!(
        "log stdout informational\nbfd\n profile echo\n  detect-multiplier 5\n  echo-mode\n  \
         echo transmit-interval {INTERVAL}\n  echo receive-interval {INTERVAL}\n exit\n"
    );
    let mut programs = frr::launch(lab, &files, &speaking(&pairs), Some(&watching))?;
    let path = lab.files.state.join("echoed.pcap");
    let capture = Capture::start(&lab.topology.router, &path)?;
    let outcome = played(lab, &files, &pairs);
    capture.finish()?;
    forwards(lab, true)?;
    for program in programs.iter_mut().rev() {
        Program::terminate(program, Duration::from_secs(3));
    }
    outcome?;
    dissected(&path, &pairs)
}

fn pairs(lab: &Lab) -> Result<[Pair; 3]> {
    let [four, six] = ADDRESSES;
    let ([here, _], [_, also_here]) = (ONE.lan(), TWO.lan());
    Ok([
        Pair {
            node: ONE,
            here,
            router: four.parse()?,
        },
        Pair {
            node: TWO,
            here: also_here,
            router: six.parse()?,
        },
        Pair {
            node: THREE,
            here: link_local(&lab.node(THREE.0)?.machine)?.into(),
            router: link_local(&lab.topology.router)?.into(),
        },
    ])
}

/// The link-local address of a machine on the LAN.
fn link_local(machine: &Netns) -> Result<Ipv6Addr> {
    let arguments = [
        "-6", "-j", "address", "show", "dev", "eth0", "scope", "link",
    ];
    let shown: Value = serde_json::from_str(&run(machine.command("ip").args(arguments))?)?;
    // What is not asked for stands there too, as empty objects.
    let mut addresses = shown[0]["addr_info"].as_array().into_iter().flatten();
    let address = addresses.find_map(|address| address["local"].as_str());
    Ok(address.context("no link-local address")?.parse()?)
}

fn speaking(pairs: &[Pair]) -> String {
    let mut text = format!(
        "frr defaults traditional\nlog stdout informational\nrouter bgp {ROUTER_AS}\n \
         bgp router-id {}\n no bgp ebgp-requires-policy\n",
        ADDRESSES[0]
    );
    let mut activated = String::new();
    for pair in pairs {
        let here = pair.here;
        text += &format!(" neighbor {here} remote-as {NODE_AS}\n");
        if pair.is_local() {
            text += &format!(" neighbor {here} interface eth0\n");
        }
        text += &format!(" neighbor {here} timers connect 1\n neighbor {here} bfd profile echo\n");
        if here.is_ipv6() {
            activated += &format!("  neighbor {here} activate\n");
        }
    }
    text + " address-family ipv6 unicast\n" + &activated + " exit-address-family\n"
}

fn played(lab: &Lab, files: &Files, pairs: &[Pair]) -> Result<()> {
    lab.apply(&announced())?;
    lab.apply(&profile(INTERVAL))?;
    let machine = &lab.node(TWO.0)?.machine;
    let other = machine.within(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 3785)))??;
    for pair in pairs {
        let terms = "bfdProfile: echo";
        lab.apply(&peer(pair.peer(), Some(pair.node), &pair.address(), terms))?;
    }
    for pair in pairs.iter().filter(|pair| pair.node == TWO) {
        lab.wait("nobody says that the port is taken", PATIENCE, |lab| {
            let session = watched(lab, pair)?;
            let why = session["lastError"].as_str().unwrap_or_default();
            let up = session["bfd"]["state"] == "Up" && session["state"] == "Established";
            Ok(up && why.contains("UDP port 3785 is taken"))
        })?;
    }
    drop(other);
    for pair in pairs {
        proven(lab, pair, INTERVAL)?;
        returned(lab, files, pair)?;
    }
    let wanted: Vec<_> = pairs.iter().map(|pair| (pair.node, pair.peer())).collect();
    established(lab, &wanted)?;
    let since = |pair| Ok::<_, anyhow::Error>(watched(lab, pair)?["since"].clone());
    let before = pairs.iter().map(since).collect::<Result<Vec<_>>>()?;
    for interval in [INTERVAL * 4, INTERVAL] {
        lab.apply(&profile(interval))?;
        for pair in pairs {
            proven(lab, pair, interval)?;
            returned(lab, files, pair)?;
        }
    }
    let after = pairs.iter().map(since).collect::<Result<Vec<_>>>()?;
    expect_same(
        "sessions that stood while intervals changed",
        &before,
        &after,
    )?;
    forwards(lab, false)?;
    for pair in pairs {
        // Control packets have the path up again at once, and the session after it.
        lab.wait("echo packets are missed by nobody", PATIENCE, |lab| {
            let session = watched(lab, pair)?;
            let why = session["lastError"].as_str().unwrap_or_default();
            Ok(session["bfd"]["echoInterval"].is_null() && why.contains("BFD Down"))
        })
        .with_context(|| pair.peer())?;
        // What comes to the node needs no forwarding of the router.
        returned(lab, files, pair)?;
    }
    forwards(lab, true)?;
    pairs
        .iter()
        .try_for_each(|pair| proven(lab, pair, INTERVAL))
}

fn profile(interval: u64) -> String {
    format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {{name: echo}}\n\
         spec: {{detectMultiplier: 5, echoMode: true, echoInterval: {interval}}}\n"
    )
}

/// Waits until echo packets come back to the node, sent at this interval.
fn proven(lab: &Lab, pair: &Pair, interval: u64) -> Result<()> {
    let last = std::cell::RefCell::new(Value::Null);
    let waited = lab.wait("echo packets do not come back", PATIENCE, |lab| {
        let session = watched(lab, pair)?;
        let bfd = &session["bfd"];
        let proven = bfd["state"] == "Up" && bfd["echoInterval"] == interval * 1000;
        last.replace(session);
        Ok(proven)
    });
    waited
        .map(drop)
        .with_context(|| format!("{}: {}", pair.peer(), last.take()))
}

/// Waits until more of FRR's echo packets have come back to it.
fn returned(lab: &Lab, files: &Files, pair: &Pair) -> Result<()> {
    let before = came_back(files, pair)?;
    lab.wait("FRR's echo packets do not come back", PATIENCE, |_| {
        Ok(came_back(files, pair)? > before)
    })
    .map(drop)
    .with_context(|| pair.peer())
}

fn watched(lab: &Lab, pair: &Pair) -> Result<Value> {
    let mut sessions = sessions(lab, &pair.node.name())?.into_iter();
    Ok(sessions
        .find(|session| session["peer"] == pair.peer())
        .unwrap_or_default())
}

/// How many echo packets came back to FRR.
fn came_back(files: &Files, pair: &Pair) -> Result<u64> {
    let shown = frr::told_to(files, "bfdd", &["show bfd peers counters json"])?;
    let shown: Value = serde_json::from_str(&shown).context("FRR's answer is not JSON")?;
    let mut peers = shown.as_array().into_iter().flatten();
    let peer = peers.find(|peer| peer["peer"] == pair.here.to_string());
    peer.and_then(|peer| peer[CAME_BACK].as_u64())
        .with_context(|| format!("FRR does not count echo packets: {shown}"))
}

/// Whether the router forwards.
fn forwards(lab: &Lab, does: bool) -> Result<()> {
    let does = if does { "1" } else { "0" };
    lab.topology.router.sysctl(&[
        ("ipv4/conf/eth0/forwarding", does),
        ("ipv6/conf/all/forwarding", does),
    ])
}

/// What nodes send over IPv6 is in order to tshark, and is what they are to send: their own packets with hop
/// limit 255, the router's with one less, and nothing else from that port; that control packets may be slow
/// beside them, and why the path went down.
fn dissected(path: &Path, pairs: &[Pair]) -> Result<()> {
    if needs("tshark", "tshark").is_err() {
        tell("    tshark is missing: echo packets are not dissected");
        return Ok(());
    }
    for pair in pairs.iter().filter(|pair| pair.here.is_ipv6()) {
        let Pair { here, router, .. } = pair;
        let echoes = format!("ipv6.src == {here} && udp.dstport == 3785");
        let own = format!("ipv6.dst == {here} && ipv6.hlim == 255");
        let back = format!("ipv6.dst == {router} && ipv6.hlim == 254 && udp.srcport == 3785");
        for (what, which) in [("own", &own), ("returned", &back)] {
            if capture::matching(path, &format!("{echoes} && {which}"))?.is_empty() {
                bail!(
                    "{} sent no echo packets of the kind: {what}",
                    pair.node.name()
                );
            }
        }
        let forwarded = format!("ipv6.dst == {here} && ipv6.hlim == 254");
        let other = format!("{echoes} && !({own}) && !({back}) && !({forwarded})");
        let foul = format!("{echoes} && {own} && (udp.checksum.status != 1 || _ws.malformed)");
        for foul in [other, foul] {
            if let Some(first) = capture::matching_by_checksum(path, &foul)?.first() {
                bail!(
                    "an echo packet of {} is not in order: {first}",
                    pair.node.name()
                );
            }
        }
    }
    Ok(())
}
