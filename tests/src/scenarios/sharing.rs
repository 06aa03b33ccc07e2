//! Services that want what another one has: refused by its name, or one address for both.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::pools::{not_allocated, warned};
use super::{Stage, expect_same};
use crate::api::Merge;
use crate::lab::Lab;
use crate::pod;
use crate::services::{PATIENCE, Wanted};

const KEY: &str = "heraldlb.io/allow-shared-ip";
const REQUEST: &str = "heraldlb.io/loadBalancerIPs";

/// RequireDualStack is both families or nothing: a pool of IPv4 alone is refused, a Service that names
/// one family gets the other from the API server and is served both.
pub(super) fn both_families(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    lab.apply(
        "{apiVersion: heraldlb.io/v1beta1, kind: IPAddressPool, metadata: {name: four-only}, \
          spec: {addresses: [10.73.0.182], autoAssign: false}}",
    )?;
    let demanding = Wanted::dual("demanding").annotated("heraldlb.io/address-pool", "four-only");
    lab.create_service(&demanding)?;
    let words = [
        "default/demanding",
        "pool four-only, which has no IPv6 addresses",
    ];
    warned(lab, "demanding", &words)?;
    not_allocated(lab, "demanding", "PoolHasNoFamily", &words)?;
    expect_same("its addresses", &lab.addresses("demanding")?, &Vec::new())?;
    let halved = Wanted {
        families: vec!["IPv6"],
        ..Wanted::dual("halved")
    };
    lab.create_service(&halved)?;
    let found: Vec<bool> = lab
        .wait_for_addresses(&halved)?
        .iter()
        .map(IpAddr::is_ipv6)
        .collect();
    expect_same("is-IPv6 of halved", &found, &vec![false, true])
}

/// Same key and other ports: one address, one owner, a page through either port. Same port, or no key:
/// refused by the holder's name. Same port and no address asked for: another address.
pub(super) fn shared(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let keyed = |name: &str, port| {
        Wanted::single(name, "IPv4")
            .on_port(port)
            .annotated(KEY, "pair")
    };
    lab.create_service(&keyed("one", 80))?;
    let address = only(lab, &keyed("one", 80))?;
    let at = |wanted: Wanted| wanted.annotated(REQUEST, address.to_string());
    lab.create_service(&at(keyed("two", 81)))?;
    expect_same(
        "the second's address",
        &only(lab, &keyed("two", 81))?,
        &address,
    )?;
    lab.create_service(&at(keyed("rival", 81)))?;
    lab.create_service(&at(Wanted::single("stranger", "IPv4").on_port(82)))?;
    for (name, words) in [
        (
            "rival",
            ["AddressTaken", "default/two holds it and also uses port"],
        ),
        (
            "stranger",
            [
                "AddressTaken",
                "holds it, and the two do not have the same allow-shared-ip annotation",
            ],
        ),
    ] {
        warned(lab, name, &words)?;
        not_allocated(lab, name, words[0], &words[1..])?;
        expect_same(name, &lab.addresses(name)?, &Vec::new())?;
    }
    lab.create_service(&keyed("elsewhere", 80))?;
    if only(lab, &keyed("elsewhere", 80))? == address {
        bail!("two Services have {address} and port 80");
    }
    lab.wait("the two do not have the same owner", PATIENCE, |lab| {
        let owner = lab.reported_owner("one", address)?;
        Ok(lab.reported_owner("two", address)? == owner && lab.believed_owner(address)? == owner)
    })?;
    for port in [80, 81] {
        lab.wait(&format!("no page through port {port}"), PATIENCE, |lab| {
            let limit = Duration::from_millis(400);
            pod::fetch(&lab.topology.client, SocketAddr::new(address, port), limit).map(|_| true)
        })?;
    }
    Ok(())
}

/// A Service of a foreign class keeps what another controller wrote, and hears nothing of Herald.
pub(super) fn foreign(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let foreign = Wanted::single("foreigner", "IPv4").of_class("example.com/nobody");
    lab.create_service(&foreign)?;
    let theirs: IpAddr = "192.0.2.77".parse()?;
    lab.api.patch(
        "/api/v1/namespaces/default/services/foreigner/status",
        Merge::Json,
        &json!({"status": {"loadBalancer": {"ingress": [{"ip": theirs}]}}}),
    )?;
    let before = lab.service("foreigner")?;
    // Herald has seen the foreigner by the time it has served one that came later.
    let ours = Wanted::single("compatriot", "IPv4");
    lab.create_service(&ours)?;
    let address = only(lab, &ours)?;
    lab.wait("no owner is reported", PATIENCE, |lab| {
        lab.reported_owner("compatriot", address).map(|_| true)
    })?;
    expect_same("the foreign Service", &lab.service("foreigner")?, &before)?;
    expect_same(
        "its Events",
        &lab.events("Service", "foreigner")?,
        &Vec::new(),
    )?;
    if let Ok(announcement) = lab.announcement("foreigner") {
        bail!("the foreign Service has a ServiceAnnouncement: {announcement}");
    }
    Ok(())
}

fn only(lab: &Lab, wanted: &Wanted) -> Result<IpAddr> {
    let addresses = lab.wait_for_addresses(wanted)?;
    addresses.first().copied().context("no address")
}
