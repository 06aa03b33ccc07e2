//! What an ordinary Linux host on the LAN makes of Herald's ARP and NDP.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Stage, expect_same, needs};
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::neigh;
use crate::netns::run;
use crate::probe::Probe;
use crate::services::{PATIENCE, Wanted};

/// A client that forgot asks, and is told the node that Herald reports.
pub(super) fn asking(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    for address in lab.serve(&Wanted::dual("asked"))? {
        lab.wait(
            "the reported owner is not the one the client finds",
            PATIENCE,
            |lab| {
                neigh::forget(&lab.topology.client, address)?;
                Ok(lab.believed_owner(address)? == lab.reported_owner("asked", address)?)
            },
        )?;
    }
    Ok(())
}

/// Gratuitous ARP and unsolicited advertisements overwrite a wrong entry of a client that sends
/// nothing (RFC 5227 section 3, RFC 4861 section 7.2.6).
pub(super) fn correction(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let addresses = lab.serve(&Wanted::dual("told"))?;
    for address in &addresses {
        lab.wait("no owner is reported", PATIENCE, |lab| {
            lab.reported_owner("told", *address).map(|_| true)
        })?;
        neigh::mislead(&lab.topology.client, *address)?;
    }
    lab.herald()?.restart_speakers()?;
    for address in addresses {
        lab.wait(
            &format!("the client is not corrected about {address}"),
            PATIENCE,
            |lab| {
                let entry = neigh::entry(&lab.topology.client, address)?;
                let mac = entry.and_then(|entry| entry.mac).unwrap_or_default();
                for node in &lab.topology.nodes {
                    if neigh::own_mac(&node.machine)? == mac {
                        return Ok(true);
                    }
                }
                bail!("it believes {mac}")
            },
        )?;
    }
    lab.herald()?.wait_ready()
}

/// An ARP probe for the address (RFC 5227 section 2.1.1) is answered.
pub(super) fn conflict_v4(stage: &mut Stage) -> Result<()> {
    needs("arping", "iputils-arping")?;
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::single("mine4", "IPv4"))?;
    let address = addresses.first().context("no address")?;
    let outcome = lab
        .topology
        .client
        .command("arping")
        .args([
            "-D",
            "-q",
            "-c",
            "2",
            "-w",
            "4",
            "-I",
            "eth0",
            &address.to_string(),
        ])
        .status()?;
    // arping -D: 0 nobody has it, 1 somebody does.
    expect_same("arping's verdict", &outcome.code(), &Some(1))
}

/// Duplicate address detection (RFC 4862 section 5.4) of the kernel fails for the address.
pub(super) fn conflict_v6(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::single("mine6", "IPv6"))?;
    let address = *addresses.first().context("no address")?;
    let client = &lab.topology.client;
    client.ip(&format!("address add {address}/64 dev eth0"))?;
    let result = lab.wait(
        "the kernel takes the address",
        Duration::from_secs(5),
        |_| {
            let text = run(Command::new("ip").args([
                "-o",
                "-n",
                client.name(),
                "address",
                "show",
                "dev",
                "eth0",
                "to",
                &address.to_string(),
            ]))?;
            Ok(text.contains("dadfailed"))
        },
    );
    client.ip(&format!("address del {address}/64 dev eth0"))?;
    result?;
    neigh::forget(client, address)?;
    lab.wait_for_page(address).map(drop)
}

/// With its times shortened thirtyfold the client's kernel verifies the entry again and again, by
/// unicast requests (RFC 4861 section 7.3, RFC 1122 section 2.3.2.1): twenty seconds for ten minutes.
pub(super) fn unreachability(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::dual("verified"))?;
    let client = &lab.topology.client;
    for family in ["ipv4", "ipv6"] {
        let path = |switch: &str| format!("{family}/neigh/eth0/{switch}");
        client.sysctl(&[
            (&path("base_reachable_time_ms"), "1000"),
            (&path("delay_first_probe_time"), "1"),
        ])?;
    }
    // An entry that is there already keeps its old time until that is over.
    for address in &addresses {
        neigh::forget(client, *address)?;
    }
    let probes: Vec<Probe> = addresses
        .iter()
        .map(|address| Probe::start(client, *address))
        .collect();
    let watched = watch_entries(lab, &addresses, Duration::from_secs(20));
    for family in ["ipv4", "ipv6"] {
        let path = |switch: &str| format!("{family}/neigh/eth0/{switch}");
        client.sysctl(&[
            (&path("base_reachable_time_ms"), "30000"),
            (&path("delay_first_probe_time"), "5"),
        ])?;
    }
    let mut gaps = Vec::new();
    for (probe, address) in probes.into_iter().zip(&addresses) {
        let longest = probe.finish()?.longest_outage();
        if longest > Duration::from_millis(500) {
            bail!("{address} was not answered for {} ms", longest.as_millis());
        }
        gaps.push(longest);
    }
    stage.figures.push(Figure::milliseconds(
        "gap while a client verifies its entry",
        &gaps,
        Some(Duration::from_millis(500)),
    ));
    watched
}

/// Every entry leaves REACHABLE and comes back to it, several times, and never fails or moves.
fn watch_entries(lab: &Lab, addresses: &[IpAddr], time: Duration) -> Result<()> {
    let watch = Stopwatch::start();
    let mut confirmations = vec![0_u32; addresses.len()];
    let mut reachable = vec![true; addresses.len()];
    let mut macs = vec![None; addresses.len()];
    while watch.elapsed() < time {
        for (index, address) in addresses.iter().enumerate() {
            let Some(entry) = neigh::entry(&lab.topology.client, *address)? else {
                continue;
            };
            let is = |state: &str| entry.state.iter().any(|one| one == state);
            if is("FAILED") {
                bail!("the client's entry for {address} failed");
            }
            let mac = macs[index].get_or_insert_with(|| entry.mac.clone());
            expect_same("the client's entry", &entry.mac, mac)?;
            confirmations[index] += u32::from(is("REACHABLE") && !reachable[index]);
            reachable[index] = is("REACHABLE");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for (address, confirmed) in addresses.iter().zip(confirmations) {
        if confirmed < 3 {
            bail!("the client's entry for {address} was verified {confirmed} times, not several");
        }
    }
    Ok(())
}

/// A bridge that forwards multicast only to members (RFC 4541) passes the client's solicitation,
/// because the owner has joined the solicited-node group.
pub(super) fn snooping(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let switch = &lab.topology.switch;
    let addresses = lab.serve(&Wanted::single("snooped", "IPv6"))?;
    let address = *addresses.first().context("no address")?;
    switch.ip(
        "link set lan type bridge mcast_query_interval 200 mcast_startup_query_interval 100 \
         mcast_query_response_interval 100\n\
         link set lan type bridge mcast_snooping 1 mcast_querier 1",
    )?;
    let result = lab
        .wait(
            "the owner's port is not a member of the solicited-node group",
            PATIENCE,
            |_| {
                let members =
                    run(Command::new("bridge").args(["-n", switch.name(), "mdb", "show"]))?;
                Ok(members.contains(&solicited_node(address)))
            },
        )
        .and_then(|_| {
            neigh::forget(&lab.topology.client, address)?;
            lab.fetch(address)
        });
    switch.ip("link set lan type bridge mcast_snooping 0 mcast_querier 0")?;
    result.map(drop)
}

/// `ff02::1:ffXX:XXXX` (RFC 4291 section 2.7.1), as iproute2 prints it.
fn solicited_node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(_) => String::new(),
        IpAddr::V6(six) => {
            let [.., a, b, c] = six.octets();
            let low = [
                0xff02,
                0,
                0,
                0,
                0,
                1,
                0xff00 | u16::from(a),
                u16::from_be_bytes([b, c]),
            ];
            std::net::Ipv6Addr::from(low).to_string()
        }
    }
}

/// Ten thousand ARP requests in about a second, broadcast by the client's kernel for a hundred
/// addresses nobody has: Herald's addresses are answered as before.
pub(super) fn storm(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let addresses = lab.serve(&Wanted::dual("stormed"))?;
    let client = &lab.topology.client;
    let probes: Vec<Probe> = addresses
        .iter()
        .map(|address| Probe::start(client, *address))
        .collect();
    let often = |solicitations: &str, milliseconds: &str| {
        client.sysctl(&[
            ("ipv4/neigh/eth0/mcast_solicit", solicitations),
            ("ipv4/neigh/eth0/retrans_time_ms", milliseconds),
        ])
    };
    often("100", "10")?;
    let asked = client.within(|| -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        for last in 100..200 {
            socket.send_to(b"?", (std::net::Ipv4Addr::new(10, 73, 0, last), 9))?;
        }
        Ok(())
    })?;
    super::linger(Duration::from_secs(2));
    for address in &addresses {
        neigh::forget(client, *address)?;
        lab.wait_for_page(*address)?;
    }
    often("3", "1000")?;
    asked?;
    for (probe, address) in probes.into_iter().zip(&addresses) {
        let longest = probe.finish()?.longest_outage();
        if longest > Duration::from_millis(500) {
            bail!("{address} was not answered for {} ms", longest.as_millis());
        }
    }
    Ok(())
}
