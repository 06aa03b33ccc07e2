//! Bad input gets one sentence where the user looks, and everything else keeps working.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Stage;
use crate::lab::{Lab, wait};
use crate::probe::Probe;
use crate::program::{Launch, Program};
use crate::services::{PATIENCE, Wanted};

struct BadObject {
    kind: &'static str,
    plural: &'static str,
    name: &'static str,
    spec: &'static str,
    /// What the sentence must contain.
    names: &'static str,
}

const BAD: &[BadObject] = &[
    BadObject {
        kind: "IPAddressPool",
        plural: "ipaddresspools",
        name: "overlapping",
        spec: "{addresses: [\"10.73.0.230-10.73.0.250\"]}",
        names: "lab",
    },
    BadObject {
        kind: "IPAddressPool",
        plural: "ipaddresspools",
        name: "backwards",
        spec: "{addresses: [\"10.80.0.9-10.80.0.1\"]}",
        names: "10.80.0.9",
    },
    BadObject {
        kind: "IPAddressPool",
        plural: "ipaddresspools",
        name: "host-bits",
        spec: "{addresses: [\"10.81.0.5/24\"]}",
        names: "10.81.0.0/24",
    },
    BadObject {
        kind: "IPAddressPool",
        plural: "ipaddresspools",
        name: "mixed",
        spec: "{addresses: [\"10.82.0.1-fd82::1\"]}",
        names: "10.82.0.1",
    },
    BadObject {
        kind: "L2Advertisement",
        plural: "l2advertisements",
        name: "unknown-pool",
        spec: "{ipAddressPools: [nowhere]}",
        names: "nowhere",
    },
];

/// Each bad object is refused by the API server or gets `Accepted=False` with a sentence; a Service
/// that has its address keeps it, and another one gets one.
pub(super) fn objects(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::dual("bystander"))?;
    let probe = Probe::start(&lab.topology.client, addresses[0]);
    for bad in BAD {
        judged(lab, bad)?;
    }
    lab.serve(&Wanted::dual("newcomer"))?;
    let longest = probe.finish()?.longest_outage();
    if longest > Duration::from_millis(500) {
        bail!(
            "the bystander was not answered for {} ms",
            longest.as_millis()
        );
    }
    Ok(())
}

fn judged(lab: &Lab, bad: &BadObject) -> Result<()> {
    let BadObject {
        kind,
        plural,
        name,
        spec,
        names,
    } = bad;
    let applied = lab.apply(&format!(
        "{{apiVersion: heraldlb.io/v1beta1, kind: {kind}, metadata: {{name: {name}}}, spec: {spec}}}"
    ));
    if let Err(error) = applied {
        let sentence = format!("{error:#}");
        if sentence.contains("is invalid") {
            return Ok(());
        }
        return Err(error);
    }
    lab.wait(
        &format!("{kind} {name} is not told that {names} is wrong"),
        PATIENCE,
        |lab| {
            let path = format!("/apis/heraldlb.io/v1beta1/{plural}/{name}");
            let object = lab.api.get(&path)?.context("it is gone")?;
            let condition = lab.condition(&object, "Accepted");
            let (status, reason, message) = condition.context("it has no condition Accepted")?;
            if status == "False" && !reason.is_empty() && message.contains(names) {
                return Ok(true);
            }
            bail!("Accepted={status} {reason}: {message}")
        },
    )
    .map(drop)
}

/// A request outside every pool, two of one family, an address that is no address, and a pool that is
/// not there: a Warning and `Allocated=False`, while others are served.
pub(super) fn services(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    for (name, key, value, names) in [
        (
            "outside",
            "heraldlb.io/loadBalancerIPs",
            "192.0.2.1",
            "192.0.2.1",
        ),
        (
            "twice",
            "heraldlb.io/loadBalancerIPs",
            "10.73.0.220,10.73.0.221",
            "10.73.0.22",
        ),
        ("garbage", "heraldlb.io/loadBalancerIPs", "ten", "ten"),
        ("homeless", "heraldlb.io/address-pool", "nowhere", "nowhere"),
    ] {
        lab.create_service(&Wanted::single(name, "IPv4").annotated(key, value))?;
        lab.wait(
            &format!("Service {name} is not told why"),
            PATIENCE,
            |lab| {
                let events = lab.events("Service", name)?;
                Ok(events
                    .iter()
                    .any(|event| event.starts_with("Warning ") && event.contains(names)))
            },
        )?;
        lab.wait(
            &format!("ServiceAnnouncement {name} does not say why"),
            PATIENCE,
            |lab| {
                let condition = lab.condition(&lab.announcement(name)?, "Allocated");
                Ok(condition.is_some_and(|(status, _, message)| {
                    status == "False" && message.contains(names)
                }))
            },
        )?;
        if !lab.addresses(name)?.is_empty() {
            bail!("Service {name} got an address");
        }
    }
    lab.serve(&Wanted::dual("served"))?;
    // The request is corrected: the Service is served without being made again.
    lab.change_service(
        "outside",
        &json!({"metadata": {"annotations": {"heraldlb.io/loadBalancerIPs": "10.73.0.222"}}}),
    )?;
    lab.wait("the corrected Service gets no address", PATIENCE, |lab| {
        Ok(lab.addresses("outside")? == ["10.73.0.222".parse::<std::net::IpAddr>()?])
    })
    .map(drop)
}

/// No kubeconfig: one sentence and an exit status. No privilege to open packet sockets: one sentence
/// that names the capability.
pub(super) fn programs(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    for (program, more) in [
        ("herald-controller", vec![]),
        ("herald-speaker", vec!["--node-name=node-1".to_owned()]),
    ] {
        let mut arguments = vec!["--kubeconfig=/nonexistent".to_owned(), ADMIN.to_owned()];
        arguments.extend(more);
        let mut doomed = run(lab, "control", &lab.programs.herald(program)?, arguments)?;
        let mut status = None;
        wait(
            &format!("{program} without a kubeconfig goes on"),
            LIMIT,
            || {
                status = doomed.ended();
                status.is_some()
            },
        )?;
        let said = doomed.logged();
        if status.is_some_and(|status| status.success())
            || !said.contains("/nonexistent")
            || said.contains("panicked")
        {
            bail!(
                "{program} without a kubeconfig ended with {status:?} and said: {}",
                said.trim()
            );
        }
    }
    let number = lab.node(1)?.number;
    lab.herald()?.speaker(number)?.terminate();
    let arguments = vec![
        "--bounding-set=-net_raw".to_owned(),
        "--inh-caps=-net_raw".to_owned(),
        lab.programs.herald("herald-speaker")?.display().to_string(),
        format!(
            "--kubeconfig={}",
            lab.files.kubeconfig("herald-speaker").display()
        ),
        format!("--node-name={}", number.name()),
        ADMIN.to_owned(),
    ];
    let unprivileged = run(lab, &number.name(), Path::new("setpriv"), arguments)?;
    wait("a speaker without NET_RAW does not say so", LIMIT, || {
        unprivileged.logged().contains("NET_RAW")
    })?;
    drop(unprivileged);
    let speaker = lab.herald()?.speaker(number)?;
    speaker.restart()?;
    speaker.wait_ready()
}

const ADMIN: &str = "--admin-address=127.0.0.1:7999";
const LIMIT: Duration = Duration::from_secs(15);

/// Starts a program that is not to do well, with a log of its own.
fn run(lab: &Lab, place: &str, path: &Path, arguments: Vec<String>) -> Result<Program> {
    let log = lab.files.logs().join("doomed.log");
    if log.exists() {
        std::fs::remove_file(&log)?;
    }
    lab.start(Launch {
        name: "doomed".to_owned(),
        netns: lab
            .topology
            .find(place)
            .with_context(|| format!("no {place}"))?
            .clone(),
        path: path.to_path_buf(),
        arguments,
        environment: Vec::new(),
    })
}
