//! Who gets which address, and when it is free again.

use std::net::IpAddr;

use anyhow::{Result, bail};
use serde_json::json;

use super::{Stage, expect_same};
use crate::services::{PATIENCE, Wanted};

/// IPv4, IPv6 and dual-stack Services; `ipMode`, the pool's annotation and the Event.
/// A Service of somebody else's class gets nothing.
pub(super) fn families(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    lab.create_service(&Wanted::dual("foreign").of_class("example.com/nobody"))?;
    for (wanted, families) in [
        (Wanted::single("four", "IPv4"), vec![false]),
        (Wanted::single("six", "IPv6"), vec![true]),
        (Wanted::dual("both"), vec![false, true]),
    ] {
        lab.create_service(&wanted)?;
        let addresses = lab.wait_for_addresses(&wanted)?;
        let found: Vec<bool> = addresses.iter().map(IpAddr::is_ipv6).collect();
        expect_same(&format!("is-IPv6 of {}", wanted.name), &found, &families)?;
        let service = lab.service(&wanted.name)?;
        let ingress = service["status"]["loadBalancer"]["ingress"].as_array();
        for entry in ingress.into_iter().flatten() {
            expect_same("ipMode", &entry["ipMode"], &json!("VIP"))?;
        }
        let annotation = &service["metadata"]["annotations"]["heraldlb.io/ip-allocated-from-pool"];
        expect_same("the pool's annotation", annotation, &json!("lab"))?;
        for address in addresses {
            lab.wait("no Event names the address", PATIENCE, |lab| {
                let events = lab.events("Service", &wanted.name)?;
                Ok(events
                    .iter()
                    .any(|event| event.contains(&address.to_string())))
            })?;
        }
    }
    let classed = Wanted::dual("classed").of_class("heraldlb.io/herald");
    lab.create_service(&classed)?;
    lab.wait_for_addresses(&classed)?;
    expect_same(
        "a foreign Service's addresses",
        &lab.addresses("foreign")?,
        &Vec::new(),
    )
}

/// `heraldlb.io/loadBalancerIPs`, MetalLB's spelling of it, and `spec.loadBalancerIP`.
pub(super) fn requested(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    for (name, key, address) in [
        ("ours", "heraldlb.io/loadBalancerIPs", "10.73.0.211"),
        ("theirs", "metallb.io/loadBalancerIPs", "10.73.0.212"),
        ("old", "metallb.universe.tf/loadBalancerIPs", "10.73.0.213"),
    ] {
        let wanted = Wanted::single(name, "IPv4").annotated(key, address);
        lab.create_service(&wanted)?;
        let found = lab.wait_for_addresses(&wanted)?;
        expect_same(name, &found, &vec![address.parse()?])?;
    }
    let wanted =
        Wanted::dual("pair").annotated("heraldlb.io/loadBalancerIPs", "10.73.0.214,fd73::f0aa");
    lab.create_service(&wanted)?;
    let found = lab.wait_for_addresses(&wanted)?;
    expect_same(
        "pair",
        &found,
        &vec!["10.73.0.214".parse()?, "fd73::f0aa".parse()?],
    )
}

/// Another Service gets a deleted one's address.
pub(super) fn released(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let first = lab.serve(&Wanted::single("first", "IPv4"))?;
    let Some(address) = first.first().copied() else {
        bail!("the first Service has no address")
    };
    let second = Wanted::single("second", "IPv4")
        .annotated("heraldlb.io/loadBalancerIPs", address.to_string());
    lab.create_service(&second)?;
    lab.wait(
        "the second Service is not told that the address is held",
        PATIENCE,
        |lab| {
            Ok(lab
                .events("Service", "second")?
                .iter()
                .any(|event| event.starts_with("Warning ")))
        },
    )?;
    expect_same(
        "the second Service's addresses",
        &lab.addresses("second")?,
        &Vec::new(),
    )?;
    lab.delete_service("first")?;
    let found = lab.wait_for_addresses(&second)?;
    expect_same("the second Service's addresses", &found, &first)?;
    lab.wait_for_page(address).map(drop)
}

/// A Service that is no LoadBalancer any more has no address, and nobody answers for it.
pub(super) fn retyped(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::dual("turncoat"))?;
    lab.change_service(
        "turncoat",
        &json!({"spec": {"type": "ClusterIP", "externalTrafficPolicy": null}}),
    )?;
    lab.wait("the Service keeps its addresses", PATIENCE, |lab| {
        Ok(lab.addresses("turncoat")?.is_empty())
    })?;
    for address in addresses {
        lab.wait(
            &format!("somebody still answers for {address}"),
            PATIENCE,
            |lab| lab.nobody_answers(address),
        )?;
    }
    Ok(())
}
