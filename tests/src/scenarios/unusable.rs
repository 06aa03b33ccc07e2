//! Addresses that no Service is given: nodes' own, those of the cluster's ranges and of a subnet, and those
//! that no host can have. What a Service has before a node comes to have it, it keeps, and nobody announces
//! it meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::pools::{not_allocated, warned};
use super::tool::heraldctl;
use super::{Stage, expect_same, linger};
use crate::asker::{Asker, mac_text};
use crate::clock::Stopwatch;
use crate::lab::Lab;
use crate::neigh;
use crate::services::{PATIENCE, Wanted};

const POOLS: &str = "/apis/heraldlb.io/v1beta1/ipaddresspools";
const NODES: &str = "/api/v1/nodes";
/// The kind of [`POOLS`].
const CRD: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ipaddresspools.heraldlb.io";
/// The client's own address, and others that nobody has.
const ASKER: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 50);

/// A pool over the nodes' own addresses gives none: not to a Service that asks for the pool, nor to one that
/// asks for an address; and only the node itself answers for its address.
pub(super) fn nodes_own(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    pool(lab, "nodes", &["10.73.0.11-10.73.0.13"])?;
    let node_1 = ["10.73.0.11", "InternalIP", "node node-1"];
    refused(lab, "by-pool", "nodes", None, "PoolUnusable", &node_1)?;
    let node_2 = ["10.73.0.12", "InternalIP", "node node-2", "request another"];
    let asked = Some("10.73.0.12");
    refused(
        lab,
        "by-address",
        "nodes",
        asked,
        "AddressUnusable",
        &node_2,
    )?;
    told(lab, "nodes", "NothingLeft", &node_1)?;
    let own = [1, 2].map(|number| lab.node(number).map(|node| node.number.lan()[0]));
    for address in own {
        let IpAddr::V4(address) = address? else {
            bail!("a node's first address is IPv4");
        };
        answered_by_one(lab, address)?;
    }
    let explained = heraldctl(lab, &["explain", "svc", "default/by-address"])?;
    says(&explained, Some(1), &["10.73.0.12", "node-2"])?;
    let file = lab.files.state.join("nodes.yaml");
    std::fs::write(
        &file,
        manifest("more", &["10.74.0.10-10.74.0.11"]).to_string(),
    )?;
    let checked = heraldctl(lab, &["check", "--live", &file.display().to_string()])?;
    says(
        &checked,
        Some(0),
        &["no Service is given 10.74.0.11", "node node-1"],
    )
}

/// What a subnet keeps for itself and what the cluster gives away otherwise is given to no Service; what is
/// beside it is. `externalIPs` and pools outside of every subnet are told.
pub(super) fn ranges(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    pool(
        lab,
        "edge",
        &["10.73.0.253-10.73.0.255", "10.73.0.0", "fd73::/126"],
    )?;
    for (name, address) in [("left", "10.73.0.253"), ("right", "10.73.0.254")] {
        let wanted = wanted(name, "edge");
        lab.create_service(&wanted)?;
        let got = lab.wait_for_addresses(&wanted)?;
        expect_same(name, &got, &vec![address.parse()?])?;
    }
    let taken = ["are all taken"];
    refused(lab, "third", "edge", None, "PoolExhausted", &taken)?;
    told(
        lab,
        "edge",
        "PartlyUsable",
        &["10.73.0.255 (the broadcast address of 10.73.0.0/24)"],
    )?;
    told(
        lab,
        "edge",
        "PartlyUsable",
        &[
            "10.73.0.0 (the network address",
            "fd73:: (the subnet-router",
        ],
    )?;
    expect_same(
        "capacityIPv4",
        &counted(lab, "edge", "capacityIPv4")?,
        &json!(2),
    )?;

    pool(
        lab,
        "cluster",
        &["10.96.200.0/28", "10.244.1.200", "10.74.0.12"],
    )?;
    for (name, address, words) in [
        ("services", "10.96.200.3", ["ServiceCIDR kubernetes"]),
        ("pods", "10.244.1.200", ["spec.podCIDRs of node node-1"]),
        ("interface", "10.74.0.12", ["interface eth1 of node node-2"]),
    ] {
        refused(
            lab,
            name,
            "cluster",
            Some(address),
            "AddressUnusable",
            &words,
        )?;
    }
    told(lab, "cluster", "NothingLeft", &["ServiceCIDR kubernetes"])?;

    pool(lab, "external", &["10.73.0.160-10.73.0.161"])?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "old"},
        "spec": {"externalIPs": ["10.73.0.161"], "ports": [{"port": 80}]},
    });
    lab.apply(&service.to_string())?;
    told(
        lab,
        "external",
        "ExternalIP",
        &["10.73.0.161", "Service default/old"],
    )?;
    pool(lab, "far", &["198.51.100.0/28"])?;
    told(
        lab,
        "far",
        "OffSubnet",
        &["198.51.100.0/28", "BGPAdvertisement"],
    )
}

/// Entries, and whether they are refused.
const ENTRIES: [(&str, bool); 24] = [
    ("127.0.0.5", true),
    ("224.0.0.9", true),
    ("0.0.0.0", true),
    ("0.1.2.3", true),
    ("255.255.255.255", true),
    ("169.254.1.1", true),
    ("::", true),
    ("::1", true),
    ("fe80::77", true),
    ("ff02::77", true),
    ("126.0.0.1-127.0.0.1", true),
    ("127.255.255.255 - 128.0.0.1", true),
    ("126.0.0.1-128.0.0.1", false),
    ("fe7f::1-fe80::1", true),
    ("127.0.0.0/8", true),
    ("127.3.0.0/16", true),
    ("126.0.0.0/7", false),
    ("224.0.0.0/4", true),
    ("0.0.0.0/0", false),
    ("::/0", false),
    ("::1/128", true),
    ("ff00::/8", true),
    ("10.0.0.0/8", false),
    ("fd00::/64", false),
];

/// The API server and `heraldctl check` refuse the same entries.
pub(super) fn literals(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let file = lab.files.state.join("literal.yaml");
    let mut wrong = Vec::new();
    for (entry, refuses) in ENTRIES {
        let text = manifest("literal", &[entry]).to_string();
        let said = lab.api.refusal(POOLS, &text)?;
        let names = |said: &String| {
            said.contains("spec.addresses[0]")
                && said.contains("no Service can have such an address")
        };
        if said.is_some() != refuses || !said.iter().all(names) {
            wrong.push(format!("the API server says to {entry}: {said:?}"));
        }
        std::fs::write(&file, text)?;
        let (code, said) = heraldctl(lab, &["check", &file.display().to_string()])?;
        let expected = i32::from(refuses);
        if code != Some(expected) || said.contains("spec.addresses[0]") != refuses {
            wrong.push(format!("heraldctl check says to {entry}, {code:?}: {said}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// A pool from before the API server refused its entry stays valid, and in use as far as it can be.
pub(super) fn stored(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let versions =
        lab.api.get(CRD)?.context("the kind is not installed")?["spec"]["versions"].take();
    let mut before = versions.clone();
    let spec = "/0/schema/openAPIV3Schema/properties/spec/properties/addresses/items";
    let entry = before.pointer_mut(spec).context("the schema is another")?;
    entry["x-kubernetes-validations"] = json!([]);
    define(lab, &before)?;
    let old = manifest("old", &["127.0.0.5", "10.73.0.170"]).to_string();
    let stored = lab.wait("the rules are not taken back", PATIENCE, |lab| {
        lab.apply(&old).map(|()| true)
    });
    define(lab, &versions)?;
    stored?;
    lab.wait("the rules are not in force again", PATIENCE, |lab| {
        let fresh = manifest("fresh", &["127.0.0.5"]).to_string();
        Ok(lab.api.refusal(POOLS, &fresh)?.is_some())
    })?;
    advertise(lab, "old")?;
    told(
        lab,
        "old",
        "PartlyUsable",
        &["127.0.0.5 (a loopback address)"],
    )?;
    let wanted = wanted("guest", "old");
    lab.create_service(&wanted)?;
    let got = lab.wait_for_addresses(&wanted)?;
    expect_same("what it gets", &got, &vec!["10.73.0.170".parse()?])?;
    lab.wait("the pool's counts are not written", PATIENCE, |lab| {
        let found = counted(lab, "old", "assignedIPv4")?;
        expect_same("assignedIPv4", &found, &json!(1)).map(|()| true)
    })
    .map(drop)
}

fn define(lab: &Lab, versions: &Value) -> Result<()> {
    let change = json!({"spec": {"versions": versions}});
    lab.api.patch(CRD, crate::api::Merge::Json, &change)
}

/// A node joins with an address that a Service has, or comes to have it on an interface: the Service keeps
/// it, nobody announces it, and everybody who asks is told whose it is. When it is gone it is announced again.
pub(super) fn later(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let address = lab.serve(&Wanted::single("kept", "IPv4"))?[0];
    let newcomer = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "newcomer"},
    });
    lab.api.create(NODES, &newcomer)?;
    let status = json!({"status": {"addresses": [
        {"type": "ExternalIP", "address": address.to_string()},
    ]}});
    let path = format!("{NODES}/newcomer");
    let outcome = lab
        .api
        .patch(&format!("{path}/status"), crate::api::Merge::Json, &status)
        .and_then(|()| silenced(lab, address, "the ExternalIP of node newcomer"))
        .and_then(|()| {
            let otherwise = format!("somebody answers for {address}");
            lab.wait(&otherwise, PATIENCE, |lab| lab.nobody_answers(address))
        });
    lab.api.delete(&path)?;
    outcome?;
    announced_again(lab, address)?;

    let owner = lab.settled_owner("kept", address)?;
    let mut nodes = lab.topology.nodes.iter();
    let other = nodes.find(|node| node.number != owner);
    let other = other.context("one node only")?;
    let line = |verb: &str| format!("address {verb} {address}/32 dev eth0");
    other.machine.ip(&line("add"))?;
    let whose = format!(
        "an address of interface eth0 of node {}",
        other.number.name()
    );
    let outcome = silenced(lab, address, &whose).and_then(|()| {
        let IpAddr::V4(asked) = address else {
            bail!("{address} is no IPv4 address");
        };
        let otherwise = format!("another than {} answers for {address}", other.number.name());
        lab.wait(&otherwise, PATIENCE, |lab| {
            let answers = answers(lab, asked)?;
            expect_same(
                "who answers",
                &answers,
                &vec![neigh::own_mac(&other.machine)?],
            )
            .map(|()| true)
        })
    });
    other.machine.ip(&line("del"))?;
    outcome?;
    announced_again(lab, address)
}

/// Waits until Service `kept` and heraldctl say that its address is somebody's, and it keeps it.
fn silenced(lab: &Lab, address: IpAddr, whose: &str) -> Result<()> {
    let text = address.to_string();
    warned(lab, "kept", &["AddressUnusable", &text, whose])?;
    announced(lab, "False", "AddressUnusable", &[&text, whose])?;
    expect_same(
        "the addresses it has",
        &lab.addresses("kept")?,
        &vec![address],
    )?;
    let explained = heraldctl(lab, &["explain", "svc", "default/kept"])?;
    says(&explained, Some(1), &["pool of the address", &text, whose])
}

fn announced_again(lab: &Lab, address: IpAddr) -> Result<()> {
    lab.wait_for_page(address)?;
    expect_same(
        "the addresses it has",
        &lab.addresses("kept")?,
        &vec![address],
    )?;
    announced(lab, "True", "Announced", &[&address.to_string()])
}

/// Waits until condition Announced of Service `kept` is so.
fn announced(lab: &Lab, wanted: &str, reason: &str, words: &[&str]) -> Result<()> {
    lab.wait("it is not told whether it is announced", PATIENCE, |lab| {
        let found = lab.condition(&lab.announcement("kept")?, "Announced");
        let (status, found, message) = found.context("it has no condition Announced")?;
        if status == wanted && found == reason && words.iter().all(|word| message.contains(word)) {
            return Ok(true);
        }
        bail!("Announced={status} {found}: {message}")
    })
    .map(drop)
}

/// A pool that gives only on request, and an advertisement for it on the LAN.
fn pool(lab: &Lab, name: &str, addresses: &[&str]) -> Result<()> {
    lab.apply(&manifest(name, addresses).to_string())?;
    advertise(lab, name)
}

fn advertise(lab: &Lab, name: &str) -> Result<()> {
    let advertisement = json!({
        "apiVersion": "heraldlb.io/v1beta1", "kind": "L2Advertisement",
        "metadata": {"name": name}, "spec": {"ipAddressPools": [name]},
    });
    lab.apply(&advertisement.to_string())
}

fn manifest(name: &str, addresses: &[&str]) -> Value {
    json!({
        "apiVersion": "heraldlb.io/v1beta1", "kind": "IPAddressPool",
        "metadata": {"name": name},
        "spec": {"addresses": addresses, "autoAssign": false},
    })
}

fn wanted(name: &str, pool: &str) -> Wanted {
    Wanted::single(name, "IPv4").annotated("heraldlb.io/address-pool", pool)
}

/// A Service that asks for a pool, and an address of it, gets nothing and is told why.
fn refused(
    lab: &Lab,
    name: &str,
    pool: &str,
    address: Option<&str>,
    reason: &str,
    words: &[&str],
) -> Result<()> {
    let mut wanted = wanted(name, pool);
    if let Some(address) = address {
        wanted = wanted.at(address.parse()?);
    }
    lab.create_service(&wanted)?;
    not_allocated(lab, name, reason, words)?;
    expect_same("what it has", &lab.addresses(name)?, &Vec::new())
}

/// Waits until a pool is accepted with this reason and message.
fn told(lab: &Lab, name: &str, wanted: &str, words: &[&str]) -> Result<()> {
    let otherwise = format!("pool {name} is not {wanted}");
    lab.wait(&otherwise, PATIENCE, |lab| {
        let pool = lab
            .api
            .get(&format!("{POOLS}/{name}"))?
            .context("it is gone")?;
        let found = lab.condition(&pool, "Accepted");
        let (status, reason, message) = found.context("it has no condition Accepted")?;
        let says = words.iter().all(|word| message.contains(word));
        if status == "True" && reason == wanted && says {
            return Ok(true);
        }
        bail!("Accepted={status} {reason}: {message}")
    })
    .map(drop)
}

fn counted(lab: &Lab, pool: &str, field: &str) -> Result<Value> {
    let pool = lab.api.get(&format!("{POOLS}/{pool}"))?;
    Ok(pool.context("it is gone")?["status"][field].clone())
}

/// Each of many questions about an address is answered once, always by the same host.
fn answered_by_one(lab: &Lab, address: Ipv4Addr) -> Result<()> {
    let answers = answers(lab, address)?;
    expect_same("how many answer", &answers.len(), &1)
}

/// Everybody who answers for an address within half a second.
fn answers(lab: &Lab, address: Ipv4Addr) -> Result<Vec<String>> {
    let client = &lab.topology.client;
    let asker = Asker::start(client, Stopwatch::start(), ASKER, &[address])?;
    linger(Duration::from_millis(500));
    let asked = asker.finish()?;
    let all = asked.questions.iter().flat_map(|one| &one.answers);
    let mut answers: Vec<String> = all.map(|mac| mac_text(*mac)).collect();
    answers.sort();
    answers.dedup();
    Ok(answers)
}

fn says((code, said): &(Option<i32>, String), wanted: Option<i32>, words: &[&str]) -> Result<()> {
    let missing = words.iter().find(|word| !said.contains(**word));
    if *code == wanted && missing.is_none() {
        return Ok(());
    }
    bail!("heraldctl ends with {code:?} and says, without {missing:?}: {said}")
}
