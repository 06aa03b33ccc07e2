//! Routers that open the connection, and both ends that do: with FRR, BIRD, GoBGP and OpenBGPD.
//!
//! ```text
//! node-1  Passive, IPv4, MD5, graceful restart: the router alone connects
//! node-2  Both, IPv4, the higher identifier: of two connections the node's own is kept
//! node-3  Both, IPv6, the lower identifier: the router's is kept
//! ```
//! GoBGP and OpenBGPD hold one connection for each neighbour, and close a second one without a word: there
//! it is only seen that one session comes of it.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    ADDRESSES, PASSWORD, PATIENCE, SECRET, announced, established, establishments, forget_secret,
    keep_secret, peer, prefix, present, routed_service, sessions,
};
use crate::clock::Stopwatch;
use crate::lab::Lab;
use crate::netns::{Netns, run};
use crate::routers::{Kind, Neighbour, Router};
use crate::scenarios::Stage;
use crate::telling::tell;
use crate::topology::NodeNumber;

const ONE: NodeNumber = NodeNumber(1);
const TWO: NodeNumber = NodeNumber(2);
const THREE: NodeNumber = NodeNumber(3);
const SESSIONS: [(NodeNumber, &str); 3] = [(ONE, "one"), (TWO, "two"), (THREE, "three")];

const PORT: u16 = 179;

/// The nftables table that holds up what is said.
const TABLE: &str = "hush";

/// Longer than the kernel waits before it repeats what was not acknowledged.
const REPEATED: Duration = Duration::from_millis(300);

/// How often connections may fail to meet.
const MEETINGS: usize = 3;

/// How long routes are looked at while their speaker is away, and again when it is back.
const AWAY: Duration = Duration::from_millis(500);

/// How many connections a stranger opens, and how long each may take.
const FLOOD: usize = 50;
const MOMENT: Duration = Duration::from_millis(50);

/// Whoever opens the connection, in the end there is one; strangers and a port that is taken harm nobody.
pub(in crate::scenarios) fn listening(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Frr)?;
    if lab.topology.nodes.len() < SESSIONS.len() {
        bail!("this needs three nodes");
    }
    keep_secret(lab, SECRET, PASSWORD)?;
    let outcome = played(lab);
    forget_secret(lab, SECRET)?;
    outcome
}

fn played(lab: &mut Lab) -> Result<()> {
    lab.apply(&announced())?;
    let addresses = routed_service(lab)?;
    for (turn, kind) in (1..).zip([Kind::Frr, Kind::Bird, Kind::Gobgp, Kind::Openbgpd]) {
        if let Some(reason) = kind.missing() {
            tell(&format!("    {reason}"));
            continue;
        }
        lab.apply(&peers(turn))?;
        with(lab, kind, &addresses).with_context(|| format!("with {}", kind.name()))?;
    }
    Ok(())
}

/// Identifiers are others in each turn, so that sessions begin anew.
fn peers(turn: u8) -> String {
    let [four, six] = ADDRESSES;
    let one = format!(
        "connectionMode: Passive, passwordSecret: {{name: {SECRET}}}, enableGracefulRestart: true, \
         routerID: 10.200.1.{turn}"
    );
    let two = format!("connectionMode: Both, routerID: 10.200.2.{turn}");
    let three = format!("connectionMode: Both, routerID: 10.0.3.{turn}");
    [
        peer("one", Some(ONE), four, &one),
        peer("two", Some(TWO), four, &two),
        peer("three", Some(THREE), six, &three),
    ]
    .concat()
}

/// One router, from its start to its end.
fn with(lab: &mut Lab, kind: Kind, addresses: &[IpAddr]) -> Result<()> {
    let meets = matches!(kind, Kind::Frr | Kind::Bird);
    let mut router = if meets {
        met(lab, kind)?
    } else {
        Router::start(lab, kind, neighbours())?
    };
    let outcome = spoken(lab, kind, &router, addresses);
    router.stop();
    outcome
}

/// A router whose connections have met those of two nodes, and the higher identifier has kept its own. Now
/// and then they miss each other, as when one end was heard out before the other began: then once more. Ends
/// that do not agree on who keeps his fail each time.
fn met(lab: &Lab, kind: Kind) -> Result<Router> {
    let mut tries = 0;
    loop {
        hush(lab, Hush::Everything)?;
        let started = Router::start(lab, kind, neighbours());
        if started.is_err() {
            hush(lab, Hush::Nothing)?;
        }
        let mut router = started?;
        let outcome = meet(lab)
            .and_then(|()| established(lab, &SESSIONS))
            .and_then(|()| opened_by(lab, TWO, "two", "Node"))
            .and_then(|()| opened_by(lab, THREE, "three", "Router"));
        tries += 1;
        match outcome {
            Ok(()) => return Ok(router),
            Err(error) => {
                router.stop();
                hush(lab, Hush::Nothing)?;
                if tries == MEETINGS {
                    return Err(error);
                }
                tell(&format!("    {}: once more, as {error:#}", kind.name()));
            }
        }
    }
}

fn spoken(lab: &mut Lab, kind: Kind, router: &Router, addresses: &[IpAddr]) -> Result<()> {
    established(lab, &SESSIONS)?;
    opened_by(lab, ONE, "one", "Router")?;
    for (node, _) in SESSIONS {
        lab.wait("more than one connection is left", PATIENCE, |lab| {
            Ok(connections(lab, node)? == 1)
        })?;
    }
    known(lab, router, addresses, &[ONE, TWO, THREE])?;
    match kind {
        Kind::Frr => {
            restarted(lab, router, addresses)?;
            strangers(lab)
        }
        Kind::Bird => taken(lab),
        Kind::Gobgp | Kind::Openbgpd | Kind::Exabgp => Ok(()),
    }
}

fn neighbours() -> Vec<Neighbour> {
    let opens = |node, family| Neighbour {
        opens: true,
        ..Neighbour::plain(node, family)
    };
    let locked = Neighbour {
        password: Some(PASSWORD),
        ..opens(ONE, 0)
    };
    vec![locked, opens(TWO, 0), opens(THREE, 1)]
}

/// The router has every route by those nodes that have a session of its family.
fn known(lab: &Lab, router: &Router, addresses: &[IpAddr], nodes: &[NodeNumber]) -> Result<()> {
    for address in addresses {
        let tells = |node: &&NodeNumber| address.is_ipv6() == (**node == THREE);
        let hops = nodes
            .iter()
            .filter(tells)
            .map(|node| node.lan()[usize::from(*node == THREE)]);
        let hops: BTreeSet<String> = hops.map(|hop| hop.to_string()).collect();
        if !hops.is_empty() {
            router.wait_for(lab, &prefix(*address), &hops)?;
        }
    }
    Ok(())
}

/// What of BGP does not arrive at node-2 and node-3, nor from them; connections are opened as ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hush {
    Nothing,
    /// Segments that begin with a KEEPALIVE: an octet behind 32 of TCP and 18 of BGP.
    Keepalives,
    /// All that carry octets.
    Everything,
}

fn hush(lab: &Lab, what: Hush) -> Result<()> {
    let segments = match what {
        Hush::Nothing => None,
        Hush::Keepalives => Some("@th,400,8 4"),
        Hush::Everything => Some("tcp flags & psh == psh"),
    };
    let chain = |hook: &str, segments: &str| {
        format!(
            "chain {hook} {{ type filter hook {hook} priority 0; \
             tcp dport {PORT} {segments} drop; tcp sport {PORT} {segments} drop; }};"
        )
    };
    let table = segments.map_or_else(String::new, |segments| {
        let chains = ["input", "output"].map(|hook| chain(hook, segments));
        format!("table inet {TABLE} {{ {} }}", chains.concat())
    });
    for node in [TWO, THREE] {
        let machine = &lab.node(node.0)?.machine;
        let text = format!("table inet {TABLE}; delete table inet {TABLE}; {table}");
        run(machine.command("nft").arg(text))?;
    }
    Ok(())
}

/// Brings about two connections, on both of which both ends have said OPEN before either heard that the
/// session is established; RFC 4271 section 6.8 is about nothing else.
fn meet(lab: &Lab) -> Result<()> {
    let each =
        |lab: &Lab, count| Ok([connections(lab, TWO)?, connections(lab, THREE)?] == [count; 2]);
    lab.wait(
        "the connections of both ends do not meet",
        PATIENCE,
        |lab| each(lab, 2),
    )?;
    // From its first repetition on, TCP does not join an OPEN and a KEEPALIVE in one segment.
    thread::sleep(REPEATED);
    hush(lab, Hush::Keepalives)?;
    lab.wait("no connection is given up", PATIENCE, |lab| each(lab, 1))?;
    hush(lab, Hush::Nothing)
}

/// How many connections of BGP a node has.
fn connections(lab: &Lab, node: NodeNumber) -> Result<usize> {
    let machine = &lab.node(node.0)?.machine;
    let filter = format!("( sport = :{PORT} or dport = :{PORT} )");
    let shown = run(machine
        .command("ss")
        .args(["-Htn", "state", "established", &filter]))?;
    Ok(shown.lines().count())
}

fn session(lab: &Lab, node: NodeNumber, peer: &str) -> Result<Value> {
    let mut sessions = sessions(lab, &node.name())?.into_iter();
    sessions
        .find(|session| session["peer"] == peer)
        .with_context(|| format!("{} does not show {peer}", node.name()))
}

fn opened_by(lab: &Lab, node: NodeNumber, peer: &str, who: &str) -> Result<()> {
    let session = session(lab, node, peer)?;
    if session["openedBy"] != who {
        bail!("{peer} is not opened by the {who}: {session}");
    }
    Ok(())
}

/// The router finds a speaker that was away, and has kept its routes.
fn restarted(lab: &mut Lab, router: &Router, addresses: &[IpAddr]) -> Result<()> {
    let address = addresses.iter().find(|address| address.is_ipv4());
    let address = prefix(*address.context("a Service has no IPv4 address")?);
    let hop = ONE.lan()[0].to_string();
    let kept = |router: &Router| -> Result<()> {
        let watch = Stopwatch::start();
        while watch.elapsed() < AWAY {
            let paths = router.paths(&address)?;
            if !paths.contains_key(&hop) {
                bail!("{address} is lost while its speaker restarts: {paths:?}");
            }
        }
        Ok(())
    };
    if !lab.herald()?.speaker(ONE)?.terminate() {
        bail!("the speaker did not end by itself");
    }
    kept(router)?;
    lab.herald()?.speaker(ONE)?.restart()?;
    kept(router)?;
    lab.wait("the router does not come back", PATIENCE, |lab| {
        Ok(connections(lab, ONE)? == 1)
    })?;
    established(lab, &SESSIONS)?;
    opened_by(lab, ONE, "one", "Router")?;
    known(lab, router, addresses, &[ONE, TWO, THREE])
}

/// Whoever is no router of the node is refused, by TCP where a password is asked for; sessions do not
/// notice.
fn strangers(lab: &mut Lab) -> Result<()> {
    let before = establishments(lab)?;
    let address = SocketAddr::new(ONE.lan()[0], PORT);
    let from = |netns: &Netns| netns.within(|| TcpStream::connect_timeout(&address, MOMENT));
    if from(&lab.topology.router)?.is_ok() {
        bail!("the router connects without its password");
    }
    match from(&lab.topology.client)? {
        Ok(mut client) => {
            client.set_read_timeout(Some(PATIENCE))?;
            if let Ok(octets @ 1..) = client.read(&mut [0; 64]) {
                bail!("a stranger is told {octets} octets");
            }
        }
        // Refused before it knew that it was connected.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => bail!("a stranger is not heard: {error}"),
    }
    for _ in 0..FLOOD {
        let _as_many_as_may = from(&lab.topology.client)?;
    }
    let metrics = lab.herald()?.speaker(ONE)?.shown("/metrics")?;
    let refused = metrics
        .lines()
        .filter(|line| line.starts_with("herald_bgp_connections_refused_total"));
    let refused: Vec<&str> = refused.collect();
    if !refused
        .iter()
        .any(|line| line.contains("reason=\"UnknownRouter\""))
    {
        bail!("strangers are not counted: {refused:?}");
    }
    let after = establishments(lab)?;
    if before != after {
        bail!("sessions were established {before:?} and then {after:?}: strangers reset none");
    }
    established(lab, &SESSIONS)
}

/// Another program has the port: the status says so, and the session is opened by the node.
fn taken(lab: &mut Lab) -> Result<()> {
    lab.herald()?.speaker(TWO)?.terminate();
    let machine = &lab.node(TWO.0)?.machine;
    let other = machine.within(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)))??;
    lab.herald()?.speaker(TWO)?.restart()?;
    lab.wait("a port that is taken is not told", PATIENCE, |lab| {
        let session = session(lab, TWO, "two")?;
        let told = session["lastError"].as_str().unwrap_or_default();
        let told = told.contains("another program") && told.contains("TCP port 179");
        Ok(told && session["state"] == "Established" && session["openedBy"] == "Node")
    })?;
    let metrics = lab.herald()?.speaker(TWO)?.shown("/metrics")?;
    let line = "herald_bgp_listening{family=\"IPv4\",vrf=\"\"} 0";
    if !metrics.contains(line) {
        bail!("a port that is taken is not in the metrics");
    }
    drop(other);
    lab.wait("a port that is free again is not taken", PATIENCE, |lab| {
        let session = session(lab, TWO, "two")?;
        let told = session["lastError"].as_str().unwrap_or_default();
        Ok(!told.contains("another program") && session["state"] == "Established")
    })
    .map(drop)
}
