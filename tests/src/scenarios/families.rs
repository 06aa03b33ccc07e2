//! Endpoints of one family do nothing for an address of the other: as the kube-proxies of the nodes have it.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::tool::heraldctl;
use super::{Stage, expect_same};
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};
use crate::topology::NodeNumber;

const APP: &str = "split";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
const HOMES: [NodeNumber; 2] = [NodeNumber(1), NodeNumber(2)];

/// With policy Local each address is announced by the node that has an endpoint of its family, and leads
/// to it. Without endpoints of IPv6 the IPv6 address is announced by nobody, and it is told why; the other
/// stays where it is.
pub(super) fn apart(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let outcome = apart_in(lab);
    for family in FAMILIES {
        if lab.api.get(&slice_path(family))?.is_some() {
            lab.api.delete(&slice_path(family))?;
        }
    }
    outcome
}

/// In the order of addresses.
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

fn apart_in(lab: &Lab) -> Result<()> {
    for (at, family) in FAMILIES.into_iter().enumerate() {
        serve_at(lab, family, HOMES[at], HOMES[at].pod(1)[at])?;
    }
    // No pod has this label: the endpoints are the ones above.
    let wanted = Wanted {
        app: APP,
        ..Wanted::dual(APP).local()
    };
    let addresses = lab.serve(&wanted)?;
    let [four, six] = addresses[..] else {
        bail!("{addresses:?} are not two addresses");
    };
    for (address, home) in [(four, HOMES[0]), (six, HOMES[1])] {
        expect_same(
            &format!("the owner of {address}"),
            &lab.settled_owner(APP, address)?,
            &home,
        )?;
        expect_same(
            &format!("the node behind {address}"),
            &lab.fetch(address)?.node,
            &home.name(),
        )?;
    }
    explained(
        lab,
        Some(0),
        &[
            &endpoint(four, "IPv4", HOMES[0]),
            &endpoint(six, "IPv6", HOMES[1]),
        ],
    )?;

    lab.api.delete(&slice_path("IPv6"))?;
    let why = "has ready IPv4 endpoints and no IPv6 endpoint: give its pods IPv6 addresses, or take IPv6 out of \
               spec.ipFamilies";
    lab.wait("nobody says why IPv6 is not announced", PATIENCE, |lab| {
        let condition = lab.condition(&lab.announcement(APP)?, "Announced");
        let (status, reason, message) = condition.context("it has no condition Announced")?;
        let words = [format!("{six} is not announced"), why.to_owned()];
        Ok(
            (status.as_str(), reason.as_str()) == ("False", "NoEndpoints")
                && words.iter().all(|words| message.contains(words)),
        )
    })?;
    if !lab.nobody_answers(six)? {
        bail!("somebody answers for {six}");
    }
    expect_same(
        "the owner of IPv4",
        &lab.settled_owner(APP, four)?,
        &HOMES[0],
    )?;
    let words = [
        &endpoint(four, "IPv4", HOMES[0]),
        "no IPv6 endpoints",
        "give the pods IPv6 addresses",
    ];
    explained(lab, Some(1), &words)
}

/// Puts a pod behind the Service, with one of its addresses.
fn serve_at(lab: &Lab, family: &str, node: NodeNumber, address: IpAddr) -> Result<()> {
    let port = |name: &str, protocol: &str| json!({"name": name, "protocol": protocol, "port": 80});
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name(family),
            "labels": {"kubernetes.io/service-name": APP, "endpointslice.kubernetes.io/managed-by": "lab"},
        },
        "addressType": family,
        "ports": [port("http", "TCP"), port("echo", "UDP")],
        "endpoints": [{"addresses": [address], "nodeName": node.name(), "conditions": {"ready": true}}],
    });
    lab.api.create(SLICES, &slice)
}

fn slice_name(family: &str) -> String {
    format!("{APP}-{}", family.to_lowercase())
}

fn slice_path(family: &str) -> String {
    format!("{SLICES}/{}", slice_name(family))
}

/// How `heraldctl explain` tells of the one endpoint that an address has.
fn endpoint(address: IpAddr, family: &str, node: NodeNumber) -> String {
    format!("{address}: {family} endpoints: 1 ready on {}", node.name())
}

fn explained(lab: &Lab, code: Option<i32>, words: &[&str]) -> Result<()> {
    let (found, said) = heraldctl(lab, &["explain", "svc", &format!("default/{APP}")])?;
    let missing = words.iter().find(|words| !said.contains(**words));
    if let Some(missing) = missing {
        bail!("heraldctl explain does not say {missing:?}: {said}");
    }
    expect_same(
        &format!("the exit status of explain, which says {said}"),
        &found,
        &code,
    )
}
