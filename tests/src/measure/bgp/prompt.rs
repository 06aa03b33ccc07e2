//! How soon a change of an object is on the wire: a route that goes, and one that comes.
//!
//! Seen by a tap on the node, whose one clock has both ends: the news is the first segment with octets
//! of the API server that comes to the speaker after the change was asked for, and the answer the UPDATE
//! that leaves the node. What is encrypted cannot be told apart, so news of something else in between
//! would make the time longer, never shorter. The time since the API server answered whoever asked for
//! the change is given beside it: it may have told the speaker first.
//!
//! Not here: a Service that is made, since its address is news of its own, from the controller.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::NODE;
use super::ecmp::{Scene, peer};
use super::wires::{self, segment};
use crate::api::Merge;
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::measure::crowd::{Crowd, HERALD};
use crate::netns::run;
use crate::routers::{Kind, Neighbour, Router};
use crate::tap::Tap;
use crate::topology::CONTROL;

const API: u16 = 6443;
const ADVERTISEMENT: &str = "/apis/heraldlb.io/v1beta1/bgpadvertisements/routed";
const SERVICE: &str = "/api/v1/namespaces/default/services/routed";

/// From the news to the UPDATE, in the middle; the greatest is the machine's as well.
const WANTED: f64 = 5.0;

/// How long the crowd is reported on.
const REPORTS: Duration = Duration::from_secs(900);

/// Until everything that follows a change, as status, is over.
const CALM: Duration = Duration::from_millis(500);

/// What a frame means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The API server says something to the speaker.
    News,
    Withdrawal,
    Announcement,
}

/// What is done, and what is to leave the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The advertisement is for other nodes.
    Narrow,
    /// It is for this one again.
    Widen,
    /// The Service is deleted.
    Delete,
}

impl Change {
    const ALL: [Self; 3] = [Self::Narrow, Self::Widen, Self::Delete];

    const fn title(self) -> &'static str {
        match self {
            Self::Narrow => "BGPAdvertisement narrowed: withdrawal",
            Self::Widen => "BGPAdvertisement widened: announcement",
            Self::Delete => "Service deleted: withdrawal",
        }
    }

    const fn answer(self) -> Heard {
        match self {
            Self::Narrow | Self::Delete => Heard::Withdrawal,
            Self::Widen => Heard::Announcement,
        }
    }
}

/// One change: when it was asked for, and when the API server said that it is made.
struct Asked {
    change: Change,
    from: Duration,
    until: Duration,
}

/// Each change so many times, beside a crowd of other Services.
pub(super) fn measure(lab: &mut Lab, runs: usize, beside: usize) -> Result<Vec<Figure>> {
    let crowd = Crowd::new(lab)?;
    if beside > 0 {
        crowd.fill(HERALD, beside)?;
        lab.wait("a Service is not reported on", REPORTS, |_| {
            Ok(crowd.reported()? >= beside)
        })?;
    }
    let neighbours = vec![Neighbour::plain(NODE, 0)];
    let mut router = Router::start(lab, Kind::Bird, neighbours)?;
    let selectors = format!(
        "nodeSelectors: [{{matchLabels: {{kubernetes.io/hostname: {}}}}}]",
        NODE.name()
    );
    lab.apply(&peer(&selectors))?;
    let outcome = measured(lab, &router, runs);
    router.stop();
    lab.kubectl(&["delete", "bgppeer", "four"])?;
    lab.delete_service("routed")?;
    crowd.clear()?;
    outcome
}

fn measured(lab: &mut Lab, router: &Router, runs: usize) -> Result<Vec<Figure>> {
    let scene = Scene::set(lab)?;
    known(lab, router, &scene, true)?;
    let speaker = lab.herald()?.speaker(NODE)?.program.id();
    let machine = &lab.node(NODE.0)?.machine;
    let ports = connections(&run(machine.command("ss").args(["-Htnp"]))?, speaker);
    if ports.is_empty() {
        bail!("the speaker has no connection with the API server");
    }
    let own = super::four(NODE.lan()[0]);
    let watch = Stopwatch::start();
    let tap = Tap::start(machine, watch, move |_, frame| meaning(frame, own, &ports))?;
    let mut asked = Vec::new();
    for _ in 0..runs {
        for change in Change::ALL {
            thread::sleep(CALM);
            let from = watch.elapsed();
            ask(lab, change)?;
            let until = watch.elapsed();
            asked.push(Asked {
                change,
                from,
                until,
            });
            known(lab, router, &scene, change == Change::Widen)?;
        }
        Scene::set(lab)?;
        known(lab, router, &scene, true)?;
    }
    figures(&asked, &tap.finish()?)
}

fn ask(lab: &Lab, change: Change) -> Result<()> {
    let selected = |selectors: Value| {
        let change = json!({"spec": {"nodeSelectors": selectors}});
        lab.api.patch(ADVERTISEMENT, Merge::Json, &change)
    };
    match change {
        Change::Narrow => selected(json!([{"matchLabels": {"kubernetes.io/hostname": "nobody"}}])),
        Change::Widen => selected(Value::Null),
        Change::Delete => lab.api.delete(SERVICE),
    }
}

fn known(lab: &Lab, router: &Router, scene: &Scene, wanted: bool) -> Result<()> {
    let hops = wanted.then(|| NODE.lan()[0].to_string());
    let prefix = format!("{}/32", scene.address);
    let hops = hops.into_iter().collect();
    router.wait_for(lab, &prefix, &hops).map(drop)
}

/// The ports of a process's connections with the API server, as `ss -Htnp` shows them.
fn connections(shown: &str, process: u32) -> BTreeSet<u16> {
    let (server, owner) = (format!("{CONTROL}:{API}"), format!("pid={process},"));
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, local, remote, ..] = words.as_slice() else {
            return None;
        };
        let (_, port) = local.rsplit_once(':')?;
        let ours = *remote == server && line.contains(&owner);
        port.parse().ok().filter(|_| ours)
    };
    shown.lines().filter_map(of).collect()
}

fn meaning(frame: &[u8], own: [u8; 4], speaker: &BTreeSet<u16>) -> Option<Heard> {
    let segment = segment(frame)?;
    let [from, to] = segment.ports;
    if segment.source == CONTROL.octets() && from == API {
        return (segment.length > 0 && speaker.contains(&to)).then_some(Heard::News);
    }
    let bgp = segment.source == own && segment.ports.contains(&wires::PORT);
    if bgp { update(segment.octets) } else { None }
}

/// What the first UPDATE among some messages does: of IPv4 both kinds of routes have their own place.
fn update(mut octets: &[u8]) -> Option<Heard> {
    let short = |octets: &[u8], at: usize| {
        let pair = octets.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_be_bytes(pair)))
    };
    while *octets.get(18)? != 2 {
        octets = octets.get(short(octets, 16)?.max(1)..)?;
    }
    let withdrawn = short(octets, 19)?;
    let attributes = short(octets, 21 + withdrawn)?;
    match (withdrawn, attributes) {
        (1.., _) => Some(Heard::Withdrawal),
        (0, 1..) => Some(Heard::Announcement),
        // The marker of the end.
        (0, 0) => None,
    }
}

fn figures(asked: &[Asked], heard: &[(Duration, Heard)]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for change in Change::ALL {
        let (mut prompt, mut answered) = (Vec::new(), Vec::new());
        for one in asked.iter().filter(|one| one.change == change) {
            let first = |wanted: Heard, from: Duration| {
                let mut later = heard.iter().filter(|(at, _)| *at >= from);
                later.find(|(_, what)| *what == wanted).map(|(at, _)| *at)
            };
            let news = first(Heard::News, one.from).context("no news came to the speaker")?;
            let told = first(change.answer(), news).context("nothing left the node")?;
            prompt.push(told - news);
            answered.push((told.as_secs_f64() - one.until.as_secs_f64()) * 1e3);
        }
        let title = |since: &str| format!("{}, since {since}", change.title());
        let news = title("the news reached the node");
        figures.push(Figure::milliseconds(&news, &prompt, None).with_median(WANTED));
        let answer = title("the API server's answer");
        figures.push(Figure::new(&answer, "ms", &answered, None));
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_those_of_the_process_with_the_api_server() {
        let shown = "\
ESTAB 0 0 10.74.0.11:40000 10.74.0.1:6443 users:((\"herald-speaker\",pid=12,fd=9))
ESTAB 0 0 10.74.0.11:40002 10.74.0.1:6443 users:((\"kube-proxy\",pid=123,fd=9))
ESTAB 0 0 10.73.0.11:40004 10.73.0.1:179 users:((\"herald-speaker\",pid=12,fd=11))
";
        assert_eq!(connections(shown, 12), [40_000].into());
    }

    /// RFC 4271 sections 4.3 and 4.4, RFC 4724 section 2.
    #[test]
    fn an_update_says_what_goes_and_what_comes() {
        let message = |kind: u8, body: &[u8]| {
            let length = u8::try_from(19 + body.len()).unwrap();
            [&[0xff; 16][..], &[0, length, kind], body].concat()
        };
        let keepalive = message(4, &[]);
        let withdrawal = message(2, &[0, 5, 32, 198, 51, 100, 0, 0, 0]);
        let announcement = message(2, &[0, 0, 0, 4, 0x40, 1, 1, 0, 32, 198, 51, 100, 0]);
        let end = message(2, &[0, 0, 0, 0]);
        for (octets, wanted) in [
            (keepalive.clone(), None),
            (withdrawal.clone(), Some(Heard::Withdrawal)),
            ([keepalive, withdrawal].concat(), Some(Heard::Withdrawal)),
            (announcement, Some(Heard::Announcement)),
            (end, None),
            (vec![0xff; 18], None),
            (vec![0; 40], None),
        ] {
            assert_eq!(update(&octets), wanted);
        }
    }
}
