//! Somebody besides the owner says that he has the address: a foreign host, or a node's own kernel.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use herald_l2::arp::Arp;
use herald_l2::ndp::Advertisement;
use herald_l2::{Frame, Mac};

use super::Stage;
use super::pools::warned;
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};
use crate::{neigh, pod, wire};

/// A host of nobody's, on the client's cable.
const CLAIMANT: Mac = Mac([2, 0, 0, 0, 0, 0x66]);
const CLAIMANT6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

/// Unasked announcements of an address end five seconds after its taking, up to one at fifteen.
const LADDER: Duration = Duration::from_secs(5);

/// A host announces the Service's addresses: a Warning names its hardware address, and the owner says
/// at once that they are his (RFC 5227 section 2.4, RFC 4861 section 7.2.6), so that the router, which
/// asks nothing, believes him.
pub(super) fn claimed(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let (router, client) = (&lab.topology.router, &lab.topology.client);
    let addresses = lab.serve(&Wanted::dual("coveted"))?;
    super::linger(LADDER);
    for address in &addresses {
        let limit = Duration::from_secs(2);
        pod::fetch(router, SocketAddr::new(*address, 80), limit)?;
        let owner = mac_of_owner(lab, "coveted", *address)?;
        router.ip(&format!(
            "neigh replace {address} lladdr {CLAIMANT} dev eth0 nud reachable"
        ))?;
        wire::send(client, claim(*address).bytes())?;
        let otherwise = format!("the router is not told who has {address}");
        lab.wait(&otherwise, Duration::from_secs(3), |lab| {
            let entry = neigh::entry(&lab.topology.router, *address)?;
            let believed = entry.and_then(|entry| entry.mac).unwrap_or_default();
            if believed == owner {
                return Ok(true);
            }
            bail!("it believes {believed}, not {owner}")
        })?;
        let (mac, address) = (CLAIMANT.to_string(), address.to_string());
        warned(lab, "coveted", &["AddressClaimed", &mac, &address])?;
    }
    for address in &addresses {
        pod::fetch(
            router,
            SocketAddr::new(*address, 80),
            Duration::from_secs(2),
        )?;
    }
    Ok(())
}

/// A node's kernel has the address too and answers for it: its Speaker and an Event say so, until the
/// address is taken off again.
pub(super) fn kernel(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::single("doubled", "IPv4"))?;
    let address = *addresses.first().context("no address")?;
    let owner = lab.settled_owner("doubled", address)?;
    let nodes = &lab.topology.nodes;
    let other = nodes
        .iter()
        .find(|node| node.number != owner)
        .context("one node only")?;
    let name = other.number.name();
    other.machine.sysctl(&[
        ("ipv4/conf/all/arp_ignore", "0"),
        ("ipv4/conf/eth0/arp_ignore", "0"),
    ])?;
    other
        .machine
        .ip(&format!("address add {address}/32 dev lo"))?;
    let text = address.to_string();
    let told = strict_arp(lab, &name, "False", &[&text, "lo", "strictARP"])
        .and_then(|()| warned(lab, "doubled", &["StrictARPNeeded", &name, &text]));
    other
        .machine
        .ip(&format!("address del {address}/32 dev lo"))?;
    told?;
    strict_arp(lab, &name, "True", &[])
}

fn claim(address: IpAddr) -> Frame {
    match address {
        IpAddr::V4(address) => Arp::gratuitous_request(address, CLAIMANT),
        IpAddr::V6(address) => Advertisement::unsolicited(address, CLAIMANT6, CLAIMANT),
    }
}

fn mac_of_owner(lab: &Lab, service: &str, address: IpAddr) -> Result<String> {
    let owner = lab.settled_owner(service, address)?;
    neigh::own_mac(&lab.node(owner.0)?.machine)
}

/// Waits until a Speaker's condition StrictARP has a status and a message with all the words.
fn strict_arp(lab: &Lab, node: &str, wanted: &str, words: &[&str]) -> Result<()> {
    let otherwise = format!("Speaker {node} does not have StrictARP {wanted}");
    lab.wait(&otherwise, PATIENCE, |lab| {
        let path = format!("/apis/heraldlb.io/v1beta1/speakers/{node}");
        let speaker = lab.api.get(&path)?.context("it is gone")?;
        let condition = lab.condition(&speaker, "StrictARP");
        let (status, reason, message) = condition.context("it has no such condition")?;
        if status == wanted && words.iter().all(|word| message.contains(word)) {
            return Ok(true);
        }
        bail!("StrictARP={status} {reason}: {message}")
    })
    .map(drop)
}
