//! The ground the other scenarios stand on: the lab without Herald's part.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;

use super::{Stage, linger};
use crate::api::Merge;
use crate::neigh;
use crate::probe::Probe;
use crate::services::{PATIENCE, Wanted};

/// A Service of somebody else's class, with addresses written by hand and announced by static
/// neighbour entries, is reached; a pulled cable is an outage as long as it is out.
pub(super) fn carries(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let wanted = Wanted::dual("foreign").of_class("example.com/nobody");
    lab.create_service(&wanted)?;
    let addresses: [IpAddr; 2] = ["10.73.0.190".parse()?, "fd73::bead".parse()?];
    lab.api.patch(
        "/api/v1/namespaces/default/services/foreign/status",
        Merge::Json,
        &json!({"status": {"loadBalancer": {"ingress": [
            {"ip": addresses[0].to_string(), "ipMode": "VIP"},
            {"ip": addresses[1].to_string(), "ipMode": "VIP"}]}}}),
    )?;
    let node = lab.node(2)?;
    let mac = neigh::own_mac(&node.machine)?;
    for address in addresses {
        lab.topology.client.ip(&format!(
            "neigh replace {address} lladdr {mac} dev eth0 nud permanent"
        ))?;
        lab.wait_for_page(address)?;
    }
    let probe = Probe::start(&lab.topology.client, addresses[0]);
    linger(Duration::from_millis(500));
    lab.cut(node.number)?;
    linger(Duration::from_millis(300));
    lab.heal(node.number)?;
    linger(Duration::from_millis(1_500));
    let outages = probe.finish()?.outages();
    for address in addresses {
        lab.topology
            .client
            .ip(&format!("neigh del {address} dev eth0"))?;
    }
    let longest = outages
        .iter()
        .map(|outage| outage.length)
        .max()
        .unwrap_or_default();
    if longest < Duration::from_millis(250) || longest > Duration::from_millis(1_500) {
        bail!("a cable pulled for 300 ms is seen as {outages:?}");
    }
    lab.wait(
        "the pods do not see the client with policy Local",
        PATIENCE,
        |lab| {
            lab.change_service(
                "foreign",
                &json!({"spec": {"externalTrafficPolicy": "Local"}}),
            )?;
            lab.topology.client.ip(&format!(
                "neigh replace {} lladdr {mac} dev eth0 nud permanent",
                addresses[0]
            ))?;
            let page = lab.fetch(addresses[0])?;
            lab.topology
                .client
                .ip(&format!("neigh del {} dev eth0", addresses[0]))?;
            Ok(page.node == node.number.name() && page.client.to_string() == "10.73.0.50")
        },
    )
    .map(drop)
}
