//! The dead node's endpoints, with a kubelet that is not asked: what Herald writes to pods stands until
//! Herald takes it back.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Stage, expect_same, linger};
use crate::clock::Stopwatch;
use crate::faults::Fault;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::measure::eviction::{OPTION, RIGHTS};
use crate::services::Wanted;
use crate::topology::NodeNumber;

/// What Herald gives as reason of a pod's condition Ready.
const REASON: &str = "HeraldNodeSilent";

/// From the fault to the last pod's condition, and the EndpointSlice that follows it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Long enough for a dead node to be seen, and for what follows.
const SURELY_SILENT: Duration = Duration::from_secs(3);

/// Killed controllers leave a Lease that counts for 15 s; then the rights are looked at each 10 s.
const LEADS_AGAIN: Duration = Duration::from_secs(40);

/// With the flag and no rights the controller says so; with both, a node that most speakers do not hear
/// has no ready pods, and has them again when it is heard, even if that was while nobody led. A speaker
/// that was killed is no silent node.
pub(super) fn until_it_speaks(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let service = "withdrawn";
    let address = lab.serve(&Wanted::single(service, "IPv4"))?[0];
    let node = lab.settled_owner(service, address)?;
    let before = lab.extra.controller.clone();
    let rights = lab.programs.manifests.join(RIGHTS).display().to_string();
    let mut with = before.clone();
    with.push(OPTION.to_owned());
    let outcome = play(lab, &with, &rights, service, node);
    lab.standin.mute(node, false);
    lab.topology.mend()?;
    lab.herald()?.restart_controllers_with(&before)?;
    lab.kubectl(&["delete", "--ignore-not-found", "-k", &rights])?;
    lab.whole()?;
    let (unready, ready) = outcome?;
    stage.figures.extend([
        Figure::milliseconds(
            "from a node's silence to unready pods",
            &[unready],
            Some(AT_ONCE),
        ),
        Figure::milliseconds("from its first word to ready pods", &[ready], None),
    ]);
    Ok(())
}

/// How long it took until the pods were unready, and until they were ready again.
fn play(
    lab: &mut Lab,
    arguments: &[String],
    rights: &str,
    service: &str,
    node: NodeNumber,
) -> Result<(Duration, Duration)> {
    lab.herald()?.restart_controllers_with(arguments)?;
    lab.wait("missing rights are not told of", LEADS_AGAIN, |lab| {
        told(
            lab,
            "Deployment",
            "herald-controller",
            "FastEvictionNotPermitted",
        )
    })?;
    lab.kubectl(&["apply", "-k", rights])?;
    lab.wait("rights are not taken note of", LEADS_AGAIN, |lab| {
        let herald = lab.herald.as_ref().context("herald is not installed")?;
        let mut logs = herald.logs();
        Ok(logs.any(|(_, log)| log.contains("fast endpoint eviction is ready")))
    })?;
    lab.standin.mute(node, true);
    lab.strike(Fault::Killed, node)?;
    linger(SURELY_SILENT);
    expect_same("pods of Herald's word", &pods(lab, marked)?, &Vec::new())?;
    lab.mend(Fault::Killed, node)?;
    // What its kernel refused counts as a sign of life for that long.
    linger(SURELY_SILENT);

    let unready = silenced(lab, service, node)?;
    let watch = Stopwatch::start();
    lab.mend(Fault::PortCut, node)?;
    whole(lab, service)?;
    let restored = watch.elapsed();

    // Once more, and nobody leads when it speaks again: the next leader finds it unready and alive.
    silenced(lab, service, node)?;
    for controller in &mut lab.herald()?.controllers {
        controller.program.kill();
    }
    lab.topology.mend()?;
    lab.wait("the node is not heard again", LEADS_AGAIN, |lab| {
        let speakers = lab.api.list("/apis/heraldlb.io/v1beta1/speakers")?;
        let peers = speakers
            .iter()
            .filter_map(|speaker| speaker["status"]["peers"].as_array());
        Ok(peers.flatten().all(|peer| peer["state"] == "Alive"))
    })?;
    expect_same(
        "pods of Herald's word",
        &pods(lab, marked)?,
        &pods(lab, |pod| on(pod, node))?,
    )?;
    lab.herald()?.restart_controllers()?;
    whole(lab, service)?;
    for reason in ["EndpointsEvicted", "EndpointsRestored"] {
        if !told(lab, "Node", &node.name(), reason)? {
            bail!("no Event {reason} about {}", node.name());
        }
    }
    Ok((unready, restored))
}

/// Cuts a node off; how long it took until its pods, and no others, were unready.
fn silenced(lab: &mut Lab, service: &str, node: NodeNumber) -> Result<Duration> {
    let (all, here) = (pods(lab, |_| true)?, pods(lab, |pod| on(pod, node))?);
    let watch = Stopwatch::start();
    lab.strike(Fault::PortCut, node)?;
    lab.wait("the silent node's pods stay ready", LEADS_AGAIN, |lab| {
        Ok(pods(lab, marked)? == here)
    })?;
    let unready = watch.elapsed();
    lab.wait("the silent node's endpoints stay", LEADS_AGAIN, |lab| {
        Ok(serving(lab, service)? == all.len() - here.len())
    })?;
    expect_same("pods of Herald's word", &pods(lab, marked)?, &here)?;
    Ok(unready)
}

/// Waits until every pod is ready, with nobody's reason left, and serves.
fn whole(lab: &Lab, service: &str) -> Result<()> {
    let all = pods(lab, |_| true)?;
    lab.wait("the pods stay unready", LEADS_AGAIN, |lab| {
        Ok(pods(lab, ready)? == all)
    })?;
    lab.wait(
        "the node's endpoints do not come back",
        LEADS_AGAIN,
        |lab| Ok(serving(lab, service)? == all.len()),
    )?;
    Ok(())
}

/// The names of the lab's pods of a kind, in order.
fn pods(lab: &Lab, wanted: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
    let pods = lab.api.list("/api/v1/namespaces/default/pods")?;
    let wanted = pods.iter().filter(|pod| wanted(pod));
    let mut names: Vec<String> = wanted
        .filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

fn on(pod: &Value, node: NodeNumber) -> bool {
    pod["spec"]["nodeName"] == node.name().as_str()
}

fn condition(pod: &Value) -> Option<&Value> {
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == "Ready")
}

fn marked(pod: &Value) -> bool {
    condition(pod).is_some_and(|ready| ready["status"] == "False" && ready["reason"] == REASON)
}

/// Ready, with nobody's reason left.
fn ready(pod: &Value) -> bool {
    condition(pod).is_some_and(|ready| ready["status"] == "True" && ready["reason"].is_null())
}

/// How many endpoints of a Service are ready.
fn serving(lab: &Lab, service: &str) -> Result<usize> {
    let slices = lab
        .api
        .list("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")?;
    let of = |slice: &&Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service;
    let endpoints = slices
        .iter()
        .filter(of)
        .filter_map(|slice| slice["endpoints"].as_array());
    Ok(endpoints
        .flatten()
        .filter(|endpoint| endpoint["conditions"]["ready"] == true)
        .count())
}

/// Whether there is an Event with this reason about an object.
fn told(lab: &Lab, kind: &str, name: &str, reason: &str) -> Result<bool> {
    let events = lab.events(kind, name)?;
    Ok(events.iter().any(|event| event.contains(reason)))
}
