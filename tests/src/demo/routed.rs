//! The same by BGP: a router with equal-cost paths over all nodes, and one of them dies.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::netns::run;
use crate::probe::Probe;
use crate::routers::{ADDRESSES, Bfd, Kind, NODE_AS, Neighbour, ROUTER_AS, Router};
use crate::services::{PATIENCE, Wanted};

const NET: &str = "198.51.100.0/28";

const TERMS: Bfd = Bfd {
    interval: Duration::from_millis(50),
    multiplier: 3,
};

/// Shows it on a lab with Herald installed; each step goes to `say`.
pub fn show(lab: &mut Lab, say: &dyn Fn(&str)) -> Result<()> {
    let kind = [Kind::Frr, Kind::Bird]
        .into_iter()
        .find(|kind| kind.missing().is_none());
    let Some(kind) = kind else {
        bail!("neither FRR nor BIRD is installed: on Debian and Ubuntu, sudo apt-get install frr")
    };
    let nodes = lab.topology.nodes.iter();
    let neighbours = nodes.map(|node| Neighbour {
        bfd: Some(TERMS),
        ..Neighbour::plain(node.number, 0)
    });
    let router = Router::start(lab, kind, neighbours.collect())?;
    say(&format!("{} runs on the router", kind.name()));
    lab.apply(&format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: routed}}\n\
         spec: {{addresses: [{NET}], autoAssign: false}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {{name: routed}}\n\
         spec: {{ipAddressPools: [routed]}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {{name: fast}}\n\
         spec: {{receiveInterval: 50, transmitInterval: 50, detectMultiplier: 3}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: router}}\n\
         spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: {}, bfdProfile: fast}}\n",
        ADDRESSES[0]
    ))?;
    let wanted = Wanted::single("routed", "IPv4")
        .local()
        .annotated("heraldlb.io/address-pool", "routed");
    lab.create_service(&wanted)?;
    let addresses = lab.wait_for_addresses(&wanted)?;
    let address = *addresses.first().context("the Service has no address")?;
    let nodes = lab.topology.nodes.iter();
    let hops = nodes
        .map(|node| format!("10.73.0.{}", 10 + node.number.0))
        .collect();
    let prefix = format!("{address}/32");
    router.wait_for(lab, &prefix, &hops)?;
    let known: Vec<String> = router.paths(&prefix)?.into_keys().collect();
    say(&format!(
        "the router knows {prefix} by {}",
        known.join(", ")
    ));
    router.wait_for_bfd(lab)?;
    say(&format!(
        "it and each node watch each other by BFD: {} times {} ms of silence are a failure",
        TERMS.multiplier,
        TERMS.interval.as_millis()
    ));
    let client = lab.topology.client.clone();
    let route = |action: &str| {
        let words = ["route", action, NET, "via", ADDRESSES[0]];
        run(client.command("ip").args(words))
    };
    route("replace")?;
    let outcome = lose(lab, address, say);
    route("del")?;
    outcome
}

/// The router's choice for the client dies, and pages come by another node.
fn lose(lab: &mut Lab, address: IpAddr, say: &dyn Fn(&str)) -> Result<()> {
    lab.wait_for_page(address)?;
    // With policy Local the node the router chose serves the page itself.
    let page = lab.fetch(address)?;
    say(&format!(
        "the client fetches http://{address}/ from pod {} on {}",
        page.pod, page.node
    ));
    let nodes = lab.topology.nodes.iter();
    let chosen = nodes
        .map(|node| node.number)
        .find(|number| number.name() == page.node)
        .context("no node has this name")?;
    let probe = Probe::start(&lab.topology.client, address);
    std::thread::sleep(Duration::from_millis(500));
    say(&format!("{} loses its power now", chosen.name()));
    lab.kill(chosen)?;
    lab.wait("no page comes by another node", PATIENCE, |_| {
        Ok(probe.answered_again())
    })?;
    std::thread::sleep(Duration::from_secs(1));
    let heir = lab.fetch(address)?.node;
    let outage = probe.finish()?.longest_outage();
    say(&format!(
        "{heir} serves the client, which was without {address} for {} ms",
        outage.as_millis()
    ));
    lab.revive(chosen)
}
