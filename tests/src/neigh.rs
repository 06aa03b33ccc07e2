//! Neighbour tables: what a machine's kernel believes about who has an address.

use std::net::IpAddr;
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use crate::netns::{Netns, run};

/// One entry of a neighbour table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The link-layer address, as the kernel prints it; none while it is asked for.
    pub mac: Option<String>,
    /// States as `ip neigh` prints them, as `REACHABLE`.
    pub state: Vec<String>,
}

/// The entry for an address on `eth0`, if there is one.
pub fn entry(netns: &Netns, address: IpAddr) -> Result<Option<Neighbour>> {
    let text = run(Command::new("ip").args([
        "-j",
        "-n",
        netns.name(),
        "neigh",
        "show",
        &address.to_string(),
        "dev",
        "eth0",
    ]))?;
    let entries: Vec<Value> = if text.trim().is_empty() {
        Vec::new()
    } else {
        serde_json::from_str(&text)?
    };
    Ok(entries.first().map(|entry| Neighbour {
        mac: entry["lladdr"].as_str().map(str::to_owned),
        state: entry["state"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|state| state.as_str().map(str::to_owned))
            .collect(),
    }))
}

/// Forgets an address.
pub fn forget(netns: &Netns, address: IpAddr) -> Result<()> {
    run(Command::new("ip").args([
        "-n",
        netns.name(),
        "neigh",
        "flush",
        "to",
        &address.to_string(),
        "dev",
        "eth0",
    ]))
    .map(drop)
}

/// Believes a lie: an entry with a link-layer address nobody has.
pub fn mislead(netns: &Netns, address: IpAddr) -> Result<()> {
    netns.ip(&format!(
        "neigh replace {address} lladdr 02:00:00:00:00:99 dev eth0 nud stale"
    ))
}

/// The link-layer address of a namespace's `eth0`.
pub fn own_mac(netns: &Netns) -> Result<String> {
    let text = run(Command::new("ip").args(["-j", "-n", netns.name(), "link", "show", "eth0"]))?;
    let links: Vec<Value> = serde_json::from_str(&text)?;
    Ok(links
        .first()
        .and_then(|link| link["address"].as_str())
        .unwrap_or_default()
        .to_owned())
}
