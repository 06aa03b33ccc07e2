//! Every router with every feature, in few sessions: each node has terms of its own.
//!
//! ```text
//! node-1  IPv4 (GTSM) and IPv6 apart, graceful restart
//! node-2  one session of IPv6: both families, extended next hops, MD5, GTSM
//! node-3  one session of IPv4 to an address behind another hop: both families
//! ```

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{
    EXCLUDE, PASSWORD, PATIENCE, SECRET, announced, established, establishments, forget_secret,
    keep_secret, pages, peer, prefix, present, routed_service,
};
use crate::capture::{self, Capture};
use crate::clock::Stopwatch;
use crate::lab::Lab;
use crate::routers::{ADDRESSES, Feature, Kind, Neighbour, Router};
use crate::scenarios::{Stage, needs};
use crate::telling::tell;
use crate::topology::NodeNumber;

/// The router's address behind another hop, and the table by which it answers from there.
pub(super) const FAR: &str = "10.73.1.1";
const TABLE: &str = "73";

/// How long routes are looked at while their speaker is away.
const AWAY: Duration = Duration::from_millis(1500);

const ONE: NodeNumber = NodeNumber(1);
const TWO: NodeNumber = NodeNumber(2);
const THREE: NodeNumber = NodeNumber(3);

/// Each session: its node and its BGPPeer.
const SESSIONS: [(NodeNumber, &str); 4] = [
    (ONE, "one-four"),
    (ONE, "one-six"),
    (TWO, "two"),
    (THREE, "three"),
];

/// Plays everything that a router can; says what it cannot.
pub(in crate::scenarios) fn matrix(stage: &mut Stage, kind: Kind) -> Result<()> {
    let lab = &mut stage.lab;
    present(kind)?;
    if lab.topology.nodes.len() < SESSIONS.len() - 1 {
        bail!("the matrix needs three nodes");
    }
    far(lab, "add")?;
    keep_secret(lab, SECRET, PASSWORD)?;
    let path = lab.files.state.join(format!("{}.pcap", kind.name()));
    let capture = Capture::start(&lab.topology.router, &path)?;
    let mut router = Router::start(lab, kind, neighbours(kind))?;
    let outcome = played(lab, kind, &mut router);
    router.stop();
    capture.finish()?;
    forget_secret(lab, SECRET)?;
    far(lab, "del")?;
    outcome?;
    dissected(&path, kind)?;
    for feature in Feature::ALL {
        if let Some(reason) = kind.cannot(feature) {
            tell(&format!(
                "    {} without {}: {reason}",
                kind.name(),
                feature.name()
            ));
        }
    }
    Ok(())
}

/// Puts an address of the router behind node-2, for node-3, in both directions; or takes it away.
pub(super) fn far(lab: &Lab, verb: &str) -> Result<()> {
    let ([two, _], [three, _]) = (TWO.lan(), THREE.lan());
    let (router, near) = (&lab.topology.router, &lab.node(TWO.0)?.machine);
    // node-2 is not to tell node-3 of a shorter way.
    near.sysctl(&[
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/eth0/send_redirects", "0"),
    ])?;
    router.ip(&format!(
        "address {verb} {FAR}/32 dev lo\n\
         rule {verb} from {FAR} table {TABLE}\n\
         route {verb} {three} via {two} table {TABLE}"
    ))?;
    let node = &lab.node(THREE.0)?.machine;
    node.ip(&format!("route {verb} {FAR} via {two}"))
}

fn neighbours(kind: Kind) -> Vec<Neighbour> {
    let guarded = Neighbour {
        both: kind.can(Feature::ExtendedNextHop),
        password: kind.can(Feature::Password).then_some(PASSWORD),
        ttl_security: kind.can(Feature::HopLimitSecurity),
        ..Neighbour::plain(TWO, 1)
    };
    let near = Neighbour {
        ttl_security: kind.can(Feature::TtlSecurity),
        ..Neighbour::plain(ONE, 0)
    };
    let plain = Neighbour::plain(THREE, 0);
    let distant = Neighbour {
        local: FAR.parse().unwrap_or(plain.local),
        both: kind.can(Feature::DualStack),
        multihop: kind.can(Feature::Multihop),
        ..plain
    };
    vec![near, Neighbour::plain(ONE, 1), guarded, distant]
}

fn peers(kind: Kind) -> String {
    let mut guarded = "dualStackAddressFamily: true".to_owned();
    if kind.can(Feature::Password) {
        guarded.push_str(&format!(", passwordSecret: {{name: {SECRET}}}"));
    }
    if kind.can(Feature::HopLimitSecurity) {
        guarded.push_str(", ttlSecurity: 1");
    }
    let hops = match kind.can(Feature::TtlSecurity) {
        true => ", ttlSecurity: 1",
        false => "",
    };
    let [four, six] = ADDRESSES;
    let restarting = "enableGracefulRestart: true";
    let distant = "dualStackAddressFamily: true, ebgpMultiHop: true";
    [
        peer("one-four", Some(ONE), four, &format!("{restarting}{hops}")),
        peer("one-six", Some(ONE), six, restarting),
        peer("two", Some(TWO), six, &guarded),
        peer("three", Some(THREE), FAR, distant),
    ]
    .concat()
}

/// By which next hops the router is to know an address of a Service that these nodes announce.
fn hops(kind: Kind, nodes: &[NodeNumber], address: IpAddr) -> BTreeSet<String> {
    let hop = |node: &NodeNumber| {
        let [four, six] = node.lan();
        match (address, *node) {
            (IpAddr::V4(_), TWO) => kind.can(Feature::ExtendedNextHop).then_some(six),
            (IpAddr::V4(_), _) => Some(four),
            (IpAddr::V6(_), THREE) => kind.can(Feature::DualStack).then_some(six),
            (IpAddr::V6(_), _) => Some(six),
        }
    };
    let hops = nodes.iter().filter_map(hop);
    hops.map(|hop| hop.to_string()).collect()
}

fn played(lab: &mut Lab, kind: Kind, router: &mut Router) -> Result<()> {
    lab.apply(&(announced() + &peers(kind)))?;
    established(lab, &SESSIONS)?;
    let addresses = routed_service(lab)?;
    let known = |lab: &Lab, router: &Router, nodes: &[NodeNumber]| {
        addresses.iter().try_for_each(|address| {
            let hops = hops(kind, nodes, *address);
            router.wait_for(lab, &prefix(*address), &hops).map(drop)
        })
    };
    let all = [ONE, TWO, THREE];
    known(lab, router, &all)?;
    for address in &addresses {
        communities(router, kind, *address)?;
    }
    if kind.forwards() {
        pages(lab, &addresses)?;
    }
    if kind.can(Feature::RouteRefresh) {
        router.refresh(ONE.lan()[0])?;
    }
    excluded(lab, kind, router, &|lab, router, nodes| {
        known(lab, router, nodes)
    })?;

    kept_over_restart(lab, kind, router, &addresses)?;
    known(lab, router, &all)?;
    // Without notice; node-3 has not agreed on graceful restart.
    for node in [ONE, THREE] {
        lab.herald()?.speaker(node)?.program.kill();
    }
    let left: &[NodeNumber] = match kind.can(Feature::GracefulRestart) {
        true => &[ONE, TWO],
        false => &[TWO],
    };
    known(lab, router, left)?;
    for node in [ONE, THREE] {
        lab.herald()?.speaker(node)?.restart()?;
    }
    established(lab, &SESSIONS)?;
    known(lab, router, &all)?;

    router.restart()?;
    lab.wait("a router that was killed knows nothing", PATIENCE, |_| {
        Ok(router.paths(&prefix(addresses[0])).is_ok())
    })?;
    known(lab, router, &all)?;
    established(lab, &SESSIONS)?;
    let before = establishments(lab)?;
    lab.delete_service("routed")?;
    known(lab, router, &[])?;
    let after = establishments(lab)?;
    if before != after {
        bail!("sessions were established {before:?} and then {after:?}: a Service resets none");
    }
    Ok(())
}

type Known<'a> = &'a dyn Fn(&Lab, &Router, &[NodeNumber]) -> Result<()>;

/// An excluded node withdraws, ends its session with words, and comes back.
fn excluded(lab: &Lab, kind: Kind, router: &Router, known: Known<'_>) -> Result<()> {
    lab.kubectl(&["label", "node", &TWO.name(), &format!("{EXCLUDE}=")])?;
    known(lab, router, &[ONE, THREE])?;
    if kind.can(Feature::ShutdownText) {
        let words = format!("{} is excluded", TWO.name());
        lab.wait("the shutdown text does not arrive", PATIENCE, |_| {
            Ok(router.told(TWO.lan()[1])?.contains(&words))
        })?;
    }
    lab.kubectl(&["label", "node", &TWO.name(), &format!("{EXCLUDE}-")])?;
    // GoBGP takes no connection for five seconds: what comes next shows that it is back.
    if kind == Kind::Gobgp {
        return Ok(());
    }
    known(lab, router, &[ONE, TWO, THREE])
}

/// A speaker that is asked to end leaves its routes to the router until it is back.
fn kept_over_restart(
    lab: &mut Lab,
    kind: Kind,
    router: &Router,
    addresses: &[IpAddr],
) -> Result<()> {
    let kept = |_: &Lab| -> Result<()> {
        for address in addresses {
            let hops = hops(kind, &[ONE], *address);
            let paths = router.paths(&prefix(*address))?;
            if !hops.iter().all(|hop| paths.contains_key(hop)) {
                bail!("{address} is lost while its speaker restarts: {paths:?}");
            }
        }
        Ok(())
    };
    let ended = lab.herald()?.speaker(ONE)?.terminate();
    if !ended {
        bail!("the speaker did not end by itself");
    }
    let looked = kind.can(Feature::GracefulRestart);
    if looked {
        let watch = Stopwatch::start();
        while watch.elapsed() < AWAY {
            kept(lab)?;
        }
    }
    lab.herald()?.speaker(ONE)?.restart()?;
    let watch = Stopwatch::start();
    while looked && watch.elapsed() < AWAY {
        kept(lab)?;
    }
    established(lab, &SESSIONS)
}

fn communities(router: &Router, kind: Kind, address: IpAddr) -> Result<()> {
    for (hop, said) in router.paths(&prefix(address))? {
        for community in kind.communities() {
            // Spaces are a matter of taste.
            let (said, community) = (said.replace(' ', ""), community.replace(' ', ""));
            if !said.contains(&community) {
                bail!(
                    "{} says no {community} of {address} by {hop}: {said}",
                    kind.name()
                );
            }
        }
    }
    Ok(())
}

/// Segments that go against the terms of the nodes: unsigned, or from another distance. What a
/// kernel says of connections that are not, or no more, is without either, and carries nothing.
fn unagreed(kind: Kind) -> String {
    let ([one, _], [_, two], [three, _]) = (ONE.lan(), TWO.lan(), THREE.lan());
    let mut terms = vec![format!(
        "(ip.src == {three} && ip.dst == {FAR} && ip.ttl != 254)"
    )];
    if kind.can(Feature::Password) {
        terms.push(format!("(ipv6.addr == {two} && !tcp.options.md5)"));
    }
    if kind.can(Feature::TtlSecurity) {
        terms.push(format!("(ip.addr == {one} && ip.ttl != 255)"));
    }
    if kind.can(Feature::HopLimitSecurity) {
        terms.push(format!("(ipv6.addr == {two} && ipv6.hlim != 255)"));
    }
    format!("tcp.port == 179 && tcp.len > 0 && ({})", terms.join(" || "))
}

/// No message of either side is malformed to tshark; a refresh was asked for, and answered.
fn dissected(path: &std::path::Path, kind: Kind) -> Result<()> {
    if needs("tshark", "tshark").is_err() {
        tell("    tshark is missing: messages are not dissected");
        return Ok(());
    }
    let messages = capture::matching(path, "bgp")?;
    let bad = capture::matching(
        path,
        "tcp.port == 179 && (_ws.malformed || _ws.expert.severity == error)",
    )?;
    if let Some(first) = bad.first() {
        bail!(
            "{} of {} messages are malformed, the first: {first}",
            bad.len(),
            messages.len()
        );
    }
    let foul = capture::matching(path, &unagreed(kind))?;
    if let Some(first) = foul.first() {
        bail!(
            "{} segments are not as agreed on, the first: {first}",
            foul.len()
        );
    }
    for wanted in ["OPEN", "KEEPALIVE", "UPDATE", "NOTIFICATION"] {
        if !messages.iter().any(|line| line.contains(wanted)) {
            bail!("there is no {wanted} among {} messages", messages.len());
        }
    }
    if !kind.can(Feature::RouteRefresh) {
        return Ok(());
    }
    let (router, node) = (ADDRESSES[0], ONE.lan()[0].to_string());
    let asked = messages.iter().position(|line| {
        let mut words = line.split_whitespace();
        line.contains("ROUTE-REFRESH") && words.nth(2) == Some(router)
    });
    let asked = asked.with_context(|| format!("{} asked for no refresh", kind.name()))?;
    let time = |line: &String| line.split_whitespace().nth(1)?.parse::<f64>().ok();
    let from = messages.get(asked).and_then(time).unwrap_or_default();
    let answered = messages[asked..].iter().any(|line| {
        let soon = time(line).is_some_and(|at| at - from < 1.0);
        let from_node = line.split_whitespace().nth(2) == Some(&node);
        soon && from_node && line.contains("UPDATE")
    });
    if !answered {
        bail!("a refresh was not answered within a second");
    }
    Ok(())
}
