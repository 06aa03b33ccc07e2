//! What Herald writes to the API server while nothing but the cluster moves: nothing that it must reject,
//! and nothing in vain.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Stage, expect_same, linger};
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};

const SPEAKERS: &str = "/apis/heraldlb.io/v1beta1/speakers";
const COMMUNITIES: &str = "/apis/heraldlb.io/v1beta1/communities";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/herald-controller";

/// A Service with policy Local follows its endpoints from node to node, and another loses its owner and then
/// its endpoints; none of the writes that tell of it is rejected.
pub(super) fn none_is_rejected(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let before = rejected(lab)?;
    follows(lab)?;
    is_taken_over_and_withdrawn(lab)?;
    expect_same("rejected writes (422)", &(rejected(lab)? - before), &0)?;
    // A series is written every ten seconds at most.
    let otherwise = "not every address has one Event for each speaker, which counts";
    lab.wait(otherwise, PATIENCE, |lab| {
        one_event_for_each_address(lab).map(|()| true)
    })
    .map(drop)
}

/// However often an address moves, what is said of it is one Event for each reason and speaker, which
/// counts; and it says where.
fn one_event_for_each_address(lab: &Lab) -> Result<()> {
    let events = lab.api.list("/apis/events.k8s.io/v1/events")?;
    let told = events
        .iter()
        .filter(|event| event["regarding"]["name"] == "nomad");
    let mut seen = std::collections::BTreeSet::new();
    let mut counted = 0;
    for event in told.filter(|event| event["reason"] == "Announced") {
        let note = event["note"].as_str().unwrap_or_default();
        if note.trim_end().ends_with(" on") {
            bail!("an Event does not say where: {note}");
        }
        let address = note.split(' ').next().unwrap_or_default().to_owned();
        let speaker = event["reportingInstance"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !seen.insert((address, speaker)) {
            bail!("{note} is told by two Events");
        }
        counted += event["series"]["count"].as_u64().unwrap_or(1);
    }
    // Both addresses have been on each of three nodes, and came back to each.
    if seen.len() > 6 || counted <= 6 {
        bail!(
            "{} Events count {counted} moves of two addresses",
            seen.len()
        );
    }
    Ok(())
}

fn follows(lab: &Lab) -> Result<()> {
    let nodes: Vec<_> = lab.topology.nodes.iter().map(|node| node.number).collect();
    let wanted = Wanted {
        node: nodes.first().copied(),
        ..Wanted::dual("nomad").local()
    };
    lab.serve(&wanted)?;
    for turn in 0..30 {
        let node = nodes[turn % nodes.len()].name();
        lab.change_service("nomad", &json!({"spec": {"selector": {"node": node}}}))?;
        linger(Duration::from_millis(250));
    }
    let last = nodes[29 % nodes.len()].name();
    let otherwise = "the ServiceAnnouncement does not name the last node";
    lab.wait(otherwise, PATIENCE, |lab| {
        let announcement = lab.announcement("nomad")?;
        let entries = announcement["status"]["layer2"].as_array().cloned();
        let entries = entries.unwrap_or_default();
        let is_last = |entry: &serde_json::Value| entry["node"] == last.as_str();
        Ok(entries.len() == 2 && entries.iter().all(is_last))
    })
    .map(drop)
}

fn is_taken_over_and_withdrawn(lab: &mut Lab) -> Result<()> {
    let [address] = lab.serve(&Wanted::single("orphaned", "IPv4"))?[..] else {
        bail!("the Service has no address")
    };
    let first = lab.settled_owner("orphaned", address)?;
    // Long enough for its gateway to have acknowledged it, which its entry tells.
    linger(Duration::from_secs(2));
    lab.herald()?.speaker(first)?.program.kill();
    lab.wait("nobody takes the address over", PATIENCE, |lab| {
        Ok(lab.reported_owner("orphaned", address)? != first)
    })?;
    lab.herald()?.speaker(first)?.restart()?;
    lab.herald()?.wait_ready()?;
    lab.change_service("orphaned", &json!({"spec": {"selector": {"node": "none"}}}))?;
    let otherwise = "somebody says to announce what has no endpoint";
    lab.wait(otherwise, PATIENCE, |lab| {
        let announcement = lab.announcement("orphaned")?;
        let entries = announcement["status"]["layer2"].as_array();
        Ok(entries.is_none_or(Vec::is_empty))
    })
    .map(drop)
}

/// A Node object is deleted while the node's speaker lives: the Speaker object goes, and is made again when
/// the Node is, and not before.
pub(super) fn none_without_a_node(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let node = lab.topology.nodes.last().context("no node")?.number;
    let name = node.name();
    let (node_path, speaker) = (
        format!("/api/v1/nodes/{name}"),
        format!("{SPEAKERS}/{name}"),
    );
    let object = lab.api.get(&node_path)?.context("no Node object")?;
    lab.api.delete(&node_path)?;
    let gone = lab.wait("the Speaker object stays", PATIENCE, |lab| {
        Ok(lab.api.get(&speaker)?.is_none())
    });
    let before = written(lab)?;
    linger(Duration::from_secs(6));
    let after = written(lab)?;
    let made_again = lab.api.get(&speaker)?.is_some();
    let mut again = object.clone();
    again["metadata"] = json!({"name": name, "labels": object["metadata"]["labels"]});
    lab.api.create("/api/v1/nodes", &again)?;
    let status = json!({"status": object["status"]});
    lab.api.patch(
        &format!("{node_path}/status"),
        crate::api::Merge::Json,
        &status,
    )?;
    gone?;
    expect_same(
        "whether the Speaker was made without its Node",
        &made_again,
        &false,
    )?;
    // The other speakers tell that they do not hear it any more, once each.
    if after - before > 12 {
        bail!("{} writes of Speakers in 6 s", after - before);
    }
    lab.wait("the Speaker object does not come back", PATIENCE, |lab| {
        Ok(lab
            .api
            .get(&speaker)?
            .is_some_and(|speaker| !speaker["status"].is_null()))
    })?;
    lab.herald()?.wait_ready()
}

/// A right of the controller is missing while much changes: what needs it is sent a few times and not for each
/// change, all else works, and once the right is there it is written though nothing else changes.
pub(super) fn rejected_writes_wait(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let role = lab.api.get(ROLE)?.context("no role of the controller")?;
    let shipped = role["rules"].clone();
    let mut rules = shipped.clone();
    for rule in rules.as_array_mut().into_iter().flatten() {
        if let Some(resources) = rule["resources"].as_array_mut() {
            resources.retain(|resource| resource != "communities/status");
        }
    }
    give(lab, &rules)?;
    let outcome = waits_for_its_right(lab);
    give(lab, &shipped)?;
    outcome?;
    lab.wait("the right does not help", PATIENCE, |lab| {
        let object = lab.api.get(&format!("{COMMUNITIES}/mute"))?;
        Ok(object.is_some_and(|object| !object["status"].is_null()))
    })?;
    lab.api.delete(&format!("{COMMUNITIES}/mute"))
}

fn give(lab: &Lab, rules: &serde_json::Value) -> Result<()> {
    let change = json!({"rules": rules});
    lab.api.patch(ROLE, crate::api::Merge::Json, &change)
}

fn waits_for_its_right(lab: &mut Lab) -> Result<()> {
    let before = forbidden(lab)?;
    lab.api.create(
        COMMUNITIES,
        &json!({"apiVersion": "heraldlb.io/v1beta1", "kind": "Community", "metadata": {"name": "mute"},
            "spec": {"communities": [{"name": "a", "value": "64512:100"}]}}),
    )?;
    lab.serve(&Wanted::single("restless", "IPv4"))?;
    for turn in 0..60 {
        let policy = ["Local", "Cluster"][turn % 2];
        let change = json!({"spec": {"externalTrafficPolicy": policy}});
        lab.change_service("restless", &change)?;
        linger(Duration::from_millis(150));
    }
    let sent = forbidden(lab)? - before;
    if !(1..=6).contains(&sent) {
        bail!("what may not be written was sent {sent} times during 60 changes in 9 s");
    }
    Ok(())
}

/// How many writes of Communities the controllers count as rejected. The API server does not count by kind
/// what it forbids.
fn forbidden(lab: &mut Lab) -> Result<u64> {
    let mut sum = 0;
    for part in &lab.herald()?.controllers {
        let metrics = part.shown("/metrics")?;
        let lines = metrics.lines();
        let mut counts = lines.filter(|line| {
            line.contains("writes_total{")
                && line.contains("kind=\"Community\"")
                && line.contains("outcome=\"rejected\"")
        });
        let count = counts.find_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        sum += count.unwrap_or(0);
    }
    Ok(sum)
}

/// How many writes the API server rejected as invalid.
fn rejected(lab: &Lab) -> Result<u64> {
    requests(lab, |line| {
        line.contains("group=\"heraldlb.io\"") && line.contains("code=\"422\"")
    })
}

/// How many writes of Speakers it was asked for.
fn written(lab: &Lab) -> Result<u64> {
    requests(lab, |line| {
        let is_read = ["GET", "LIST", "WATCH"]
            .iter()
            .any(|verb| line.contains(&format!("verb=\"{verb}\"")));
        line.contains("resource=\"speakers\"") && !is_read
    })
}

fn requests(lab: &Lab, counts: impl Fn(&str) -> bool) -> Result<u64> {
    let metrics = lab.kubectl(&["get", "--raw", "/metrics"])?;
    let lines = metrics.lines();
    let lines = lines.filter(|line| line.starts_with("apiserver_request_total{") && counts(line));
    let count = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    Ok(lines.filter_map(count).sum())
}
