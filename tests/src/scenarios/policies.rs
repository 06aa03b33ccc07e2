//! What a pool says about holding its addresses is kept: who gets which back, how many, which ports, with
//! whom. Against the real API server, over restarts of the controllers.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Stage, expect_same};
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};

const POOLS: &str = "/apis/heraldlb.io/v1beta1/ipaddresspools";

/// The address of a deleted Service waits for it, whoever else asks and whatever restarts: also when it
/// was deleted while no controller ran.
pub(super) fn retained(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    pool(lab, "10.73.0.170-10.73.0.173", &json!({"retain": "1h"}))?;
    serve(lab, "returning", "10.73.0.170")?;
    serve(lab, "missed", "10.73.0.171")?;
    lab.wait(
        "who holds an address is not written down",
        PATIENCE,
        |lab| {
            Ok(written(lab, "10.73.0.170")? == "default/returning"
                && written(lab, "10.73.0.171")? == "default/missed")
        },
    )?;
    lab.delete_service("returning")?;
    lab.wait("who held it is not written down", PATIENCE, |lab| {
        Ok(written(lab, "10.73.0.170")?.starts_with("default/returning deleted "))
    })?;
    for part in &mut lab.herald()?.controllers {
        part.program.kill();
    }
    lab.delete_service("missed")?;
    lab.herald()?.restart_controllers()?;
    lab.herald()?.wait_ready()?;
    serve(lab, "another", "10.73.0.172")?;
    counted(lab, "retainedIPv4", 2)?;
    serve(lab, "missed", "10.73.0.171")?;
    serve(lab, "returning", "10.73.0.170")?;
    counted(lab, "retainedIPv4", 0)
}

/// A namespace gets as many addresses as its quota, and is told which quota refuses more.
pub(super) fn rationed(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let quota = json!({"quotas": [{"namespaces": ["default"], "maxAddresses": 1}]});
    pool(lab, "10.73.0.170-10.73.0.173", &quota)?;
    serve(lab, "first", "10.73.0.170")?;
    lab.create_service(&wanted("second"))?;
    refused(lab, "second", "QuotaReached", "default")?;
    lab.delete_service("first")?;
    lab.wait_for_addresses(&wanted("second"))?;
    Ok(())
}

/// A reserved address is for the Service it names, and for nobody else until that comes.
pub(super) fn reserved(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    pool(lab, "10.73.0.170-10.73.0.173", &json!({}))?;
    lab.apply(
        "apiVersion: heraldlb.io/v1beta1\n\
         kind: IPReservation\n\
         metadata: {name: kept}\n\
         spec: {addresses: [10.73.0.170], service: {namespace: default, name: expected}}\n",
    )?;
    lab.wait("the reservation is not counted", PATIENCE, |lab| {
        Ok(count(lab, "reservedIPv4")? == 1)
    })?;
    serve(lab, "stranger", "10.73.0.171")?;
    let asking = wanted("asking").at("10.73.0.170".parse()?);
    lab.create_service(&asking)?;
    refused(lab, "asking", "AddressReserved", "kept")?;
    serve(lab, "expected", "10.73.0.170")?;
    lab.api
        .delete("/apis/heraldlb.io/v1beta1/ipreservations/kept")
}

/// A port pool refuses other ports, and a pool that packs gives one address to Services whose ports do
/// not meet.
pub(super) fn packed(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let ports = json!({"sharing": "Automatic", "ports": ["80-90/TCP", "80-90/UDP"]});
    pool(lab, "10.73.0.170-10.73.0.173", &ports)?;
    serve(lab, "web", "10.73.0.170")?;
    let beside = wanted("beside").on_port(81);
    lab.create_service(&beside)?;
    let addresses = lab.wait_for_addresses(&beside)?;
    expect_same(
        "the shared address",
        &addresses,
        &vec!["10.73.0.170".parse()?],
    )?;
    serve(lab, "same-port", "10.73.0.171")?;
    lab.create_service(&wanted("outside").on_port(8080))?;
    refused(lab, "outside", "PoolRestricted", "8080")
}

fn pool(lab: &Lab, addresses: &str, more: &Value) -> Result<()> {
    let mut object = json!({
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": "policy"},
        "spec": {"addresses": [addresses], "autoAssign": false},
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    lab.apply(&object.to_string())
}

fn wanted(name: &str) -> Wanted {
    Wanted::single(name, "IPv4").annotated("heraldlb.io/address-pool", "policy")
}

/// Creates a Service and expects it to get this address.
fn serve(lab: &Lab, name: &str, address: &str) -> Result<()> {
    let wanted = wanted(name);
    lab.create_service(&wanted)?;
    let got = lab.wait_for_addresses(&wanted)?;
    let address: IpAddr = address.parse()?;
    expect_same(&format!("the address of {name}"), &got, &vec![address])
}

/// A Service has no address, and its own condition says why.
fn refused(lab: &Lab, name: &str, reason: &str, naming: &str) -> Result<()> {
    let condition = || -> Result<Option<(String, String, String)>> {
        Ok(lab.condition(&lab.service(name)?, "heraldlb.io/AddressAllocated"))
    };
    lab.wait(&format!("{name} is not refused"), PATIENCE, |_| {
        Ok(condition()?.is_some_and(|(_, found, _)| found == reason))
    })?;
    let (status, _, message) = condition()?.context("the condition is gone")?;
    if status != "False" || !message.contains(naming) {
        bail!("{name} is told {status} \"{message}\", which does not name {naming}");
    }
    expect_same("what it has", &lab.addresses(name)?, &Vec::new())
}

/// What is written down about an address, in whichever ConfigMap.
fn written(lab: &Lab, address: &str) -> Result<String> {
    let maps = lab
        .api
        .list("/api/v1/namespaces/herald-system/configmaps")?;
    let line = maps.iter().find_map(|map| map["data"][address].as_str());
    Ok(line.unwrap_or_default().to_owned())
}

fn count(lab: &Lab, field: &str) -> Result<i64> {
    let pool = lab.api.get(&format!("{POOLS}/policy"))?.unwrap_or_default();
    Ok(pool["status"][field].as_i64().unwrap_or_default())
}

fn counted(lab: &Lab, field: &str, wanted: i64) -> Result<()> {
    let waited = lab.wait("the pool does not count", PATIENCE, |lab| {
        Ok(count(lab, field)? == wanted)
    });
    waited
        .map(drop)
        .with_context(|| format!("{field} is not {wanted}"))
}
