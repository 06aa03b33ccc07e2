//! Routers that watch nodes by BFD, and are watched.
//!
//! ```text
//! node-1  near-four (strict, graceful restart) and near-six: three times 50 ms; asked to end, and cut off
//! node-2  calm-four and calm-six (passive): fifty times 50, 400 and 20 ms; switched off, and without BFD
//! node-3  far (strict): behind another hop; bare (strict): the router does not watch
//! ```
//! What must not flap under load is given fifty packets, and what must be noticed soon three.

mod wire;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::matrix::{FAR, far};
use super::{
    ADDRESSES, PATIENCE, announced, established, peer, prefix, present, routed_service, sessions,
};
use crate::capture::Capture;
use crate::faults::Fault;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::routers::{Bfd, Feature, Kind, Neighbour, Router};
use crate::scenarios::{Stage, expect_same, linger, needs};
use crate::topology::NodeNumber;
use wire::{Frame, frames};

const ONE: NodeNumber = NodeNumber(1);
const TWO: NodeNumber = NodeNumber(2);
const THREE: NodeNumber = NodeNumber(3);

const NEAR: [(NodeNumber, &str); 2] = [(ONE, "near-four"), (ONE, "near-six")];
const CALM: [(NodeNumber, &str); 2] = [(TWO, "calm-four"), (TWO, "calm-six")];
const AWAY: (NodeNumber, &str) = (THREE, "far");

/// How the router watches each node: milliseconds, and packets.
const FAST: (u64, u8) = (50, 3);
const PATIENT: (u64, u8) = (20, 50);
const DISTANT: (u64, u8) = (100, 20);

/// Longer than detection takes on a busy machine, in seconds.
const SOON: f64 = 5.0;

/// Diagnostics and states of RFC 5880 section 4.1, NOTIFICATIONs of RFC 9384 and RFC 8538.
const EXPIRED: u8 = 1;
const ADMINISTRATIVELY_DOWN: u8 = 7;
const DOWN: u8 = 1;
const ADMIN_DOWN: u8 = 0;
const BFD_DOWN: (u8, u8) = (6, 10);
const HARD_RESET: (u8, u8) = (6, 9);

/// Sessions come up, wait where that is asked for, change their intervals, are switched off, fail and end.
pub(in crate::scenarios) fn watched(stage: &mut Stage, kind: Kind) -> Result<()> {
    let lab = &mut stage.lab;
    present(kind)?;
    needs("tshark", "tshark")?;
    if lab.topology.nodes.len() < 3 {
        bail!("this needs three nodes");
    }
    far(lab, "add")?;
    let mut router = Router::start(lab, kind, neighbours())?;
    let outcome = played(lab, kind, &router);
    router.stop();
    lab.topology.mend()?;
    far(lab, "del")?;
    let title = format!("BFD 50 ms x 3 with {}: silent until told", kind.name());
    let figure = Figure::milliseconds(&title, &outcome?, None);
    stage.figures.push(figure);
    Ok(())
}

fn neighbours() -> Vec<Neighbour> {
    let watched = |node, family, (millis, multiplier)| Neighbour {
        bfd: Some(Bfd {
            interval: Duration::from_millis(millis),
            multiplier,
        }),
        ..Neighbour::plain(node, family)
    };
    let distant = watched(THREE, 0, DISTANT);
    vec![
        watched(ONE, 0, FAST),
        watched(ONE, 1, FAST),
        watched(TWO, 0, PATIENT),
        watched(TWO, 1, PATIENT),
        Neighbour {
            local: FAR.parse().unwrap_or(distant.local),
            multihop: true,
            ..distant
        },
        Neighbour::plain(THREE, 1),
    ]
}

fn wishes() -> String {
    let [four, six] = ADDRESSES;
    let strict = |profile: &str| format!("bfdProfile: {profile}, bfdStrict: true");
    let restarting = format!("enableGracefulRestart: true, {}", strict("near"));
    let away = format!("ebgpMultiHop: true, {}", strict("far"));
    [
        profile("near", 50, 3, ""),
        profile("calm", 50, 50, ", passiveMode: true"),
        profile("far", 100, 20, ""),
        patient(&peer("near-four", Some(ONE), four, &restarting)),
        patient(&peer("near-six", Some(ONE), six, "bfdProfile: near")),
        peer("calm-four", Some(TWO), four, "bfdProfile: calm"),
        peer("calm-six", Some(TWO), six, "bfdProfile: calm"),
        peer("far", Some(THREE), FAR, &away),
        peer("bare", Some(THREE), six, &strict("near")),
    ]
    .concat()
}

/// With so long a hold time that no KEEPALIVE is unanswered when the node is cut off: the kernel would
/// keep the NOTIFICATION back behind it.
fn patient(peer: &str) -> String {
    peer.replace("holdTime: 9s", "holdTime: 240s")
}

fn profile(name: &str, millis: u64, multiplier: u8, more: &str) -> String {
    format!(
        "---\napiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {{name: {name}}}\n\
         spec: {{receiveInterval: {millis}, transmitInterval: {millis}, \
         detectMultiplier: {multiplier}{more}}}\n"
    )
}

/// How long after the last packet each session of node-1 was ended when it was cut off.
fn played(lab: &mut Lab, kind: Kind, router: &Router) -> Result<Vec<Duration>> {
    lab.apply(&(announced() + &wishes()))?;
    let addresses = routed_service(lab)?;
    distant(lab, kind)?;
    let all: Vec<_> = NEAR.into_iter().chain(CALM).chain([AWAY]).collect();
    up(lab, router, &all)?;
    for one in NEAR {
        agreed(lab, one, [50_000, 50_000, 150_000])?;
    }
    agreed(lab, AWAY, [100_000, 100_000, 2_000_000])?;
    bare(lab)?;
    intervals(lab, router)?;
    if kind.can(Feature::BfdSwitchedOff) {
        switched_off(lab, router)?;
    }
    let routes = Routes { router, addresses };
    stopped(lab, kind, &routes)?;
    let ended = cut_off(lab, kind, &routes)?;
    bare(lab)?;
    Ok(ended)
}

/// A router whose packets lose their TTL on the way is told of, and comes up once that is allowed.
fn distant(lab: &Lab, kind: Kind) -> Result<()> {
    if kind.can(Feature::BfdTtl) {
        return Ok(());
    }
    let said = "arrive with TTL 63, less than minimumTtl 254 of the BFDProfile";
    lab.wait("a TTL that is too low is not told", PATIENCE, |lab| {
        says(&session(lab, AWAY)?, said)
    })?;
    lab.apply(&profile("far", 100, 20, ", minimumTtl: 60"))
}

/// Waits until sessions are established and both ends have BFD up.
fn up(lab: &Lab, router: &Router, wanted: &[(NodeNumber, &str)]) -> Result<()> {
    lab.wait("BFD is not up", PATIENCE, |lab| {
        let watched = router.watched()?;
        for one in wanted {
            let (session, seen) = (session(lab, *one)?, watched.get(&address(*one)));
            let both = session["bfd"]["state"] == "Up" && seen.is_some_and(|seen| seen.up);
            if !both {
                bail!("{session}; the router: {seen:?}");
            }
        }
        Ok(true)
    })?;
    established(lab, wanted)
}

/// The node's address that a session is from.
fn address((node, peer): (NodeNumber, &str)) -> IpAddr {
    let [four, six] = node.lan();
    if peer.ends_with("six") { six } else { four }
}

/// What the Speaker says of a session.
fn session(lab: &Lab, (node, peer): (NodeNumber, &str)) -> Result<Value> {
    let mut all = sessions(lab, &node.name())?.into_iter();
    all.find(|one| one["peer"] == peer)
        .with_context(|| format!("{} shows no session {peer}", node.name()))
}

fn says(session: &Value, words: &str) -> Result<bool> {
    let said = session["lastError"].as_str().unwrap_or_default();
    if session["state"] == "Established" || !said.contains(words) {
        bail!("{session}");
    }
    Ok(true)
}

/// The intervals that the Speaker shows, in microseconds: sent, received, detected.
fn agreed(lab: &Lab, one: (NodeNumber, &str), wanted: [i64; 3]) -> Result<()> {
    let name = format!("the intervals of {} are not as wanted", one.1);
    let waited = lab.wait(&name, PATIENCE, |lab| {
        let bfd = &session(lab, one)?["bfd"];
        let shown =
            ["transmitInterval", "receiveInterval", "detectionTime"].map(|key| bfd[key].as_i64());
        expect_same("what is shown", &shown, &wanted.map(Some)).map(|()| true)
    });
    waited.map(drop)
}

/// A strict session does not stand with a router that does not watch, and says why.
fn bare(lab: &Lab) -> Result<()> {
    let one = session(lab, (THREE, "bare"))?;
    says(&one, "no session is opened before BFD is up (bfdStrict)")?;
    expect_same("its BFD state", &one["bfd"]["state"], &Value::from("Down"))
}

/// How often sessions of node-2 were established, and what each router and its metrics count of failures.
fn standing(lab: &mut Lab, router: &Router, with_bfd: bool) -> Result<Vec<String>> {
    let metrics = lab.herald()?.speaker(TWO)?.shown("/metrics")?;
    let watched = router.watched()?;
    let mut standing = Vec::new();
    for one in CALM {
        let label = format!("peer=\"{}\"", one.1);
        let counted = |what: &str| {
            let mut lines = metrics.lines();
            let line = lines.find(|line| line.starts_with(what) && line.contains(&label));
            line.map(str::to_owned)
                .with_context(|| format!("no metric {what} of {}", one.1))
        };
        standing.push(counted("herald_bgp_established_sessions")?);
        if with_bfd {
            standing.push(counted("herald_bfd_session_down_events")?);
            let seen = watched.get(&address(one));
            standing.push(seen.context("the router does not watch")?.mark.clone());
        }
    }
    Ok(standing)
}

/// Slower and faster by the profile, and nobody takes it for a failure.
fn intervals(lab: &mut Lab, router: &Router) -> Result<()> {
    for one in CALM {
        agreed(lab, one, [50_000, 50_000, 2_500_000])?;
    }
    let before = standing(lab, router, true)?;
    for millis in [400_u16, 20] {
        lab.apply(&profile("calm", millis.into(), 50, ", passiveMode: true"))?;
        let micros = i64::from(millis) * 1000;
        for one in CALM {
            agreed(lab, one, [micros, micros, micros * 50])?;
        }
        lab.wait("the router does not follow", PATIENCE, |_| {
            let watched = router.watched()?;
            for one in CALM {
                let seen = watched.get(&address(one));
                let seen = seen.context("the router does not watch")?;
                if !seen.up || seen.interval != Duration::from_millis(millis.into()) {
                    bail!("not {millis} ms: {}", seen.said);
                }
            }
            Ok(true)
        })?;
    }
    established(lab, &CALM)?;
    let after = standing(lab, router, true)?;
    expect_same("what is counted after the change", &after, &before)
}

/// The router's operator switches BFD off and on, and off for good; then the BGPPeers lose their profile.
/// No session ends for that.
fn switched_off(lab: &mut Lab, router: &Router) -> Result<()> {
    let before = standing(lab, router, false)?;
    off(lab, router)?;
    for one in CALM {
        router.switch_bfd(address(one), true)?;
    }
    up(lab, router, &CALM)?;
    off(lab, router)?;
    for (_, peer) in CALM {
        let patch = "{\"spec\":{\"bfdProfile\":null}}";
        lab.kubectl(&["patch", "bgppeer", peer, "--type=merge", "-p", patch])?;
    }
    lab.wait("BFD is still there", PATIENCE, |lab| {
        let [four, six] = CALM.map(|one| session(lab, one));
        Ok(four?["bfd"].is_null() && six?["bfd"].is_null())
    })?;
    // As long as the detection time.
    linger(Duration::from_secs(1));
    established(lab, &CALM)?;
    let after = standing(lab, router, false)?;
    expect_same("what is counted without BFD", &after, &before)
}

/// Switches BFD off at the router, and waits until the node knows.
fn off(lab: &Lab, router: &Router) -> Result<()> {
    for one in CALM {
        router.switch_bfd(address(one), false)?;
    }
    lab.wait("nobody notices that BFD is off", PATIENCE, |lab| {
        let [four, six] = CALM.map(|one| session(lab, one));
        Ok(four?["bfd"]["state"] == "Down" && six?["bfd"]["state"] == "Down")
    })?;
    linger(Duration::from_millis(300));
    established(lab, &CALM)
}

/// What a router knows of a Service by way of node-1.
struct Routes<'a> {
    router: &'a Router,
    /// IPv4, IPv6.
    addresses: Vec<IpAddr>,
}

impl Routes<'_> {
    /// Whether it knows each family's.
    fn known(&self) -> Result<[bool; 2]> {
        let mut known = [false; 2];
        for ((known, address), hop) in known.iter_mut().zip(&self.addresses).zip(ONE.lan()) {
            let paths = self.router.paths(&prefix(*address))?;
            *known = paths.contains_key(&hop.to_string());
        }
        Ok(known)
    }

    fn wait_for(&self, lab: &Lab, wanted: [bool; 2]) -> Result<()> {
        let waited = lab.wait("routes by node-1 are not as wanted", PATIENCE, |_| {
            expect_same("what is known", &self.known()?, &wanted).map(|()| true)
        });
        waited.map(drop)
    }
}

/// A speaker that is asked to end ends its sessions, one without a word, as the router waits for it. Then
/// it says that it does not watch any more: that takes no route from who waits.
fn stopped(lab: &mut Lab, kind: Kind, routes: &Routes<'_>) -> Result<()> {
    up(lab, routes.router, &NEAR)?;
    routes.wait_for(lab, [true, true])?;
    let path = lab.files.state.join(format!("{}-stop.pcap", kind.name()));
    let capture = Capture::start(&lab.topology.router, &path)?;
    let ended = lab.herald()?.speaker(ONE)?.terminate();
    let kept = kept(lab, kind, routes);
    capture.finish()?;
    lab.herald()?.speaker(ONE)?.restart()?;
    if !ended {
        bail!("the speaker did not end by itself");
    }
    kept?;
    let frames = frames(&path)?;
    let farewell = (ADMINISTRATIVELY_DOWN, ADMIN_DOWN);
    for (node, (_, peer)) in ONE.lan().into_iter().zip(NEAR) {
        let node = node.to_string();
        let mut own = frames.iter().filter(|one| one.from == node);
        let off = own.clone().find(|one| one.bfd == Some(farewell));
        let off = off.with_context(|| format!("{node} does not say that it is switched off"))?;
        let closed = own.find_map(|one| one.notification.map(|code| (one.at, code)));
        match (peer, closed) {
            ("near-four", None) => {}
            ("near-six", Some((at, code))) if at <= off.at && code != BFD_DOWN => {}
            (_, closed) => bail!("{peer} ended by {closed:?}, switched off at {}", off.at),
        }
    }
    Ok(())
}

/// The route that the router is to keep stays while the speaker is away, the other goes.
fn kept(lab: &Lab, kind: Kind, routes: &Routes<'_>) -> Result<()> {
    if !kind.can(Feature::BfdRestart) {
        return Ok(());
    }
    routes.wait_for(lab, [true, false])?;
    linger(Duration::from_millis(500));
    expect_same("what is known then", &routes.known()?, &[true, false])
}

/// Nothing passes between node-1 and the others: BFD notices, the sessions end for that, and the router
/// forgets the routes, though one session has agreed on graceful restart.
fn cut_off(lab: &mut Lab, kind: Kind, routes: &Routes<'_>) -> Result<Vec<Duration>> {
    up(lab, routes.router, &NEAR)?;
    routes.wait_for(lab, [true, true])?;
    let path = lab.files.state.join(format!("{}-cut.pcap", kind.name()));
    let before = lab.herald()?.speaker(ONE)?.program.logged().len();
    let capture = Capture::start(&lab.node(ONE.0)?.machine, &path)?;
    // So that it has heard the router.
    linger(Duration::from_millis(200));
    lab.strike(Fault::BlackHole, ONE)?;
    let strict = "no session is opened before BFD is up (bfdStrict)";
    let noticed = lab.wait("a silent router keeps its session", PATIENCE, |lab| {
        let [four, six] = NEAR.map(|one| session(lab, one));
        Ok(says(&four?, strict)? && six?["state"] != "Established")
    });
    let forgotten = routes.wait_for(lab, [false, false]);
    // Last words leave behind what is shown.
    linger(Duration::from_secs(1));
    capture.finish()?;
    noticed?;
    forgotten?;
    let logged = lab.herald()?.speaker(ONE)?.program.logged();
    let logged = logged.get(before..).unwrap_or_default();
    for (_, peer) in NEAR {
        let ended = format!("peer=\"{peer}\" reason=told the peer: ");
        let mut lines = logged.lines().filter(|line| line.contains(&ended));
        if !lines.any(|line| line.ends_with("Cease, BFD Down (6/10)")) {
            bail!("the speaker does not say that BFD ended {peer}: {logged}");
        }
    }
    let frames = frames(&path)?;
    let mut ended = Vec::new();
    // With FRR graceful restart is agreed on for a NOTIFICATION too (RFC 8538): this one is final.
    let four = if kind == Kind::Frr {
        HARD_RESET
    } else {
        BFD_DOWN
    };
    let codes = [four, BFD_DOWN];
    for ((node, router), code) in ONE.lan().into_iter().zip(ADDRESSES).zip(codes) {
        ended.push(silence(&frames, &node.to_string(), router, code)?);
    }
    lab.mend(Fault::BlackHole, ONE)?;
    up(lab, routes.router, &NEAR)?;
    Ok(ended)
}

/// The order in which a node gave a router up, and how long that took from the last that it heard.
fn silence(frames: &[Frame], node: &str, router: &str, wanted: (u8, u8)) -> Result<Duration> {
    let mut heard = frames.iter().filter(|one| one.from == router);
    let heard = heard.rfind(|one| one.bfd.is_some());
    let heard = heard.context("the router said nothing by BFD")?.at;
    let mut after = frames
        .iter()
        .filter(|one| one.from == node && one.at > heard);
    let down = after.clone().find(|one| one.bfd == Some((EXPIRED, DOWN)));
    let down = down.with_context(|| format!("{node} tells no router that detection expired"))?;
    let ended = after.find_map(|one| one.notification.map(|code| (one.at, code)));
    let (at, code) = ended.with_context(|| format!("{node} sends no NOTIFICATION"))?;
    expect_same("the NOTIFICATION", &code, &wanted)?;
    let took = at - heard;
    if down.at > at || took > SOON {
        bail!(
            "silent since {heard}, told at {} and ended at {at}",
            down.at
        );
    }
    Ok(Duration::from_secs_f64(took))
}
