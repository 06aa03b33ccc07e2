//! FRR: zebra puts routes into the kernel, bgpd speaks. Both want to be the user `frr`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{ADDRESSES, Files, NODE_AS, Paths, ROUTER_AS, START};
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let configuration = files.path("frr.conf");
    std::fs::write(&configuration, configured(files))?;
    run(Command::new("chown")
        .args(["-R", "frr:frr"])
        .arg(&files.directory))
    .context("FRR needs its user, which only root can give files to")?;
    let mut programs = Vec::new();
    for name in ["zebra", "bgpd"] {
        let option = |flag: &str, file: &str| [flag.to_owned(), files.word(file)];
        let mut arguments = Vec::new();
        arguments.extend(option("-f", "frr.conf"));
        arguments.extend(option("-i", &format!("{name}.pid")));
        arguments.extend(option("-z", "zserv.api"));
        arguments.extend(option("--vty_socket", ""));
        programs.push(lab.start(Launch {
            name: format!("frr-{name}"),
            netns: files.netns.clone(),
            path: format!("/usr/lib/frr/{name}").into(),
            arguments,
            environment: Vec::new(),
        })?);
        let socket = files.path(&format!("{name}.vty"));
        lab.wait("FRR does not start", START, |_| Ok(socket.exists()))?;
    }
    Ok(programs)
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "frr defaults traditional\nlog stdout informational\n\
         router bgp {ROUTER_AS}\n bgp router-id {}\n no bgp ebgp-requires-policy\n \
         no bgp default ipv4-unicast\n bgp hard-administrative-reset\n \
         bgp graceful-restart notification\n",
        ADDRESSES[0]
    );
    let mut activated = [String::new(), String::new()];
    for neighbour in &files.neighbours {
        let address = neighbour.address;
        let mut say = |what: &str| {
            let _ = writeln!(text, " neighbor {address} {what}");
        };
        say(&format!("remote-as {NODE_AS}"));
        say("timers connect 1");
        if let Some(password) = neighbour.password {
            say(&format!("password {password}"));
        }
        if neighbour.extended_next_hop() {
            say("capability extended-nexthop");
        }
        if neighbour.ttl_security {
            say("ttl-security hops 1");
        }
        if neighbour.multihop {
            say("ebgp-multihop 3");
            say(&format!("update-source {}", neighbour.local));
        }
        for (text, carried) in activated.iter_mut().zip(neighbour.carries()) {
            if carried {
                let _ = writeln!(text, "  neighbor {address} activate");
            }
        }
    }
    for (family, activated) in ["ipv4", "ipv6"].iter().zip(activated) {
        let _ = writeln!(
            text,
            " address-family {family} unicast\n{activated}  maximum-paths 16\n exit-address-family"
        );
    }
    text
}

fn asked(files: &Files, command: &str) -> Result<String> {
    run(files
        .netns
        .command("/usr/bin/vtysh")
        .arg("--vty_socket")
        .arg(&files.directory)
        .args(["-d", "bgpd", "-c", command]))
}

pub(super) fn paths(files: &Files, prefix: &str) -> Result<Paths> {
    let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
    let shown = asked(files, &format!("show bgp {family} unicast {prefix} json"))?;
    let shown: Value = serde_json::from_str(&shown).context("FRR's answer is not JSON")?;
    let paths = shown["paths"].as_array().into_iter().flatten();
    Ok(paths
        .filter_map(|path| {
            let hops = path["nexthops"].as_array()?.iter();
            let mut global = hops.filter(|hop| hop["scope"] != "link-local");
            let hop = global.next()?["ip"].as_str()?;
            Some((hop.to_owned(), path.to_string()))
        })
        .collect())
}

pub(super) fn refresh(files: &Files, neighbour: IpAddr) -> Result<()> {
    let family = if neighbour.is_ipv4() { "ipv4" } else { "ipv6" };
    asked(files, &format!("clear bgp {family} {neighbour} in")).map(drop)
}

pub(super) fn told(files: &Files, neighbour: IpAddr) -> Result<String> {
    asked(files, &format!("show bgp neighbors {neighbour} json"))
}
