//! FRR: zebra puts routes into the kernel, bgpd speaks, bfdd watches. All want to be the user `frr`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{ADDRESSES, Bfd, Files, NODE_AS, Paths, ROUTER_AS, START, Watched};
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let watching = files.watch().then(|| watching(files));
    launch(lab, files, &configured(files), watching.as_deref())
}

/// Starts it with a configuration; bfdd only where there is something for it to read.
pub fn launch(
    lab: &Lab,
    files: &Files,
    speaking: &str,
    watching: Option<&str>,
) -> Result<Vec<Program>> {
    std::fs::write(files.path("frr.conf"), speaking)?;
    std::fs::write(files.path("bfdd.conf"), watching.unwrap_or_default())?;
    run(Command::new("chown")
        .args(["-R", "frr:frr"])
        .arg(&files.directory))
    .context("FRR needs its user, which only root can give files to")?;
    let mut programs = Vec::new();
    // bfdd before bgpd, which asks it for sessions.
    let bfdd = watching.map(|_| ("bfdd", "bfdd.conf"));
    let daemons = [("zebra", "frr.conf")].into_iter();
    for (name, file) in daemons.chain(bfdd).chain([("bgpd", "frr.conf")]) {
        let option = |flag: &str, file: &str| [flag.to_owned(), files.word(file)];
        let mut arguments = Vec::new();
        arguments.extend(option("-f", file));
        arguments.extend(option("-i", &format!("{name}.pid")));
        arguments.extend(option("-z", "zserv.api"));
        arguments.extend(option("--vty_socket", ""));
        if name == "bfdd" {
            arguments.extend(option("--bfdctl", "bfdd.sock"));
        }
        let launch = Launch {
            name: format!("frr-{name}"),
            netns: files.netns.clone(),
            path: format!("/usr/lib/frr/{name}").into(),
            arguments,
            environment: Vec::new(),
        };
        programs.push(lab.start(if bfdd.is_some() {
            launch.urgent()
        } else {
            launch
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
        // Before the source: what comes later tells bfdd of it, so that it need not wait for BGP.
        if neighbour.bfd.is_some() {
            say(&format!("bfd profile {}", profile(address)));
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

/// What bfdd reads: a profile for each neighbour.
fn watching(files: &Files) -> String {
    let mut text = "log stdout informational\nbfd\n".to_owned();
    for neighbour in &files.neighbours {
        if let Some(Bfd {
            interval,
            multiplier,
        }) = neighbour.bfd
        {
            let (name, interval) = (profile(neighbour.address), interval.as_millis());
            let _ = writeln!(
                text,
                " profile {name}\n  receive-interval {interval}\n  transmit-interval {interval}\n  \
                 detect-multiplier {multiplier}\n exit"
            );
        }
    }
    text
}

/// What a neighbour's profile is called.
fn profile(neighbour: IpAddr) -> String {
    format!("n{}", neighbour.to_string().replace(['.', ':'], "-"))
}

fn asked(files: &Files, command: &str) -> Result<String> {
    told_to(files, "bgpd", &[command])
}

/// A daemon's answer to commands.
pub fn told_to(files: &Files, daemon: &str, commands: &[&str]) -> Result<String> {
    let mut vtysh = files.netns.command("/usr/bin/vtysh");
    vtysh
        .arg("--vty_socket")
        .arg(&files.directory)
        .args(["-d", daemon]);
    for command in commands {
        vtysh.args(["-c", command]);
    }
    run(&mut vtysh)
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

pub(super) fn watched(files: &Files) -> Result<BTreeMap<IpAddr, Watched>> {
    let commands = ["show bfd peers json", "show bfd peers counters json"];
    let shown = told_to(files, "bfdd", &commands)?;
    let mut shown = serde_json::Deserializer::from_str(&shown).into_iter::<Vec<Value>>();
    let mut next = || shown.next().context("FRR says too little")?.context("FRR");
    let (peers, counters) = (next()?, next()?);
    let mut watched = BTreeMap::new();
    for peer in peers {
        let mut counters = counters.iter().filter(|one| one["peer"] == peer["peer"]);
        let counters = counters.next().context("a peer of FRR has no counters")?;
        // Once its BGP session stands bgpd knows the interface, and bfdd begins the session anew.
        let settled = peer["multihop"] == true || peer["interface"].is_string();
        let millis = |name: &str| peer[name].as_u64().unwrap_or_default();
        let interval = millis("transmit-interval").max(millis("remote-receive-interval"));
        let seen = Watched {
            up: settled && peer["status"] == "up",
            interval: Duration::from_millis(interval),
            mark: counters["session-down"].to_string(),
            said: peer.to_string(),
        };
        let address = peer["peer"].as_str().unwrap_or_default();
        watched.insert(address.parse()?, seen);
    }
    Ok(watched)
}

pub(super) fn switch_bfd(files: &Files, neighbour: IpAddr, on: bool) -> Result<()> {
    let profile = format!("profile {}", profile(neighbour));
    let switch = if on { "no shutdown" } else { "shutdown" };
    told_to(files, "bfdd", &["configure", "bfd", &profile, switch]).map(drop)
}
