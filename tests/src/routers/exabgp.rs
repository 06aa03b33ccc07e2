//! ExaBGP: it hands what it hears to a process as JSON, which here is a shell that writes it down. What
//! is written into a pipe is a command to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{ADDRESSES, Files, NODE_AS, Neighbour, Paths, ROUTER_AS, START};
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

/// What it heard, one JSON object a line; a line of its own tells of each start.
const HEARD: &str = "heard.json";
/// Commands to it.
const COMMANDS: &str = "commands";
const BEGIN: &str = "{\"type\":\"begin\"}";

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let (heard, commands) = (files.word(HEARD), files.word(COMMANDS));
    let script = format!(
        "exec 3<&0\necho '{BEGIN}' >> {heard}\ncat <&3 >> {heard} &\n\
         while :; do cat {commands} || exit; done\n"
    );
    std::fs::write(files.path("watch.sh"), script)?;
    std::fs::write(files.path("exabgp.conf"), configured(files))?;
    let _from_before = std::fs::remove_file(files.path(HEARD));
    if !files.path(COMMANDS).exists() {
        run(std::process::Command::new("mkfifo").arg(files.path(COMMANDS)))?;
    }
    let program = lab.start(Launch {
        name: "exabgp".to_owned(),
        netns: files.netns.clone(),
        path: "/usr/sbin/exabgp".into(),
        arguments: vec![files.word("exabgp.conf")],
        environment: [
            ("exabgp.daemon.user", "root"),
            ("exabgp.daemon.drop", "false"),
            ("exabgp.api.cli", "false"),
            ("exabgp.api.ack", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
    })?;
    let heard = files.path(HEARD);
    lab.wait("ExaBGP does not start", START, |_| Ok(heard.exists()))?;
    Ok(vec![program])
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "process watch {{ run /bin/sh {}; encoder json; }}\n",
        files.word("watch.sh")
    );
    for neighbour in &files.neighbours {
        let Neighbour {
            address,
            local,
            password,
            ttl_security,
            multihop,
            ..
        } = neighbour;
        let _ = writeln!(
            text,
            "neighbor {address} {{\n router-id {}; local-address {local}; local-as {ROUTER_AS}; \
             peer-as {NODE_AS}; passive true; listen 179;",
            ADDRESSES[0]
        );
        if let Some(password) = password {
            let _ = writeln!(text, " md5-password \"{password}\";");
        }
        if *ttl_security {
            text.push_str(" incoming-ttl 255; outgoing-ttl 255;\n");
        }
        if *multihop {
            text.push_str(" outgoing-ttl 3;\n");
        }
        let [four, six] = neighbour.carries();
        text.push_str(" family {");
        for (family, carried) in [(" ipv4 unicast;", four), (" ipv6 unicast;", six)] {
            text.push_str(if carried { family } else { "" });
        }
        text.push_str(" }\n capability { graceful-restart 120; route-refresh enable;");
        if neighbour.extended_next_hop() {
            text.push_str(" nexthop enable; }\n nexthop { ipv4 unicast ipv6; }\n");
        } else {
            text.push_str(" }\n");
        }
        text.push_str(
            " api { processes [ watch ]; neighbor-changes; \
             receive { parsed; update; } }\n}\n",
        );
    }
    text
}

/// What it was told and not told otherwise since, in the order it came.
pub(super) fn paths(files: &Files, prefix: &str) -> Result<Paths> {
    let mut known: BTreeMap<String, (String, String)> = BTreeMap::new();
    for line in told(files)?.lines() {
        // A last line may be half written.
        let Ok(said) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let neighbour = &said["neighbor"];
        let from = neighbour["address"]["peer"].as_str().unwrap_or_default();
        match said["type"].as_str() {
            Some("begin") => known.clear(),
            Some("state") if neighbour["state"] != "up" => {
                known.remove(from);
            }
            Some("update") => {
                let update = &neighbour["message"]["update"];
                for families in update["withdraw"].as_object().into_iter().flatten() {
                    if names(families.1, prefix) {
                        known.remove(from);
                    }
                }
                for families in update["announce"].as_object().into_iter().flatten() {
                    for (hop, prefixes) in families.1.as_object().into_iter().flatten() {
                        if names(prefixes, prefix) {
                            let said = update["attribute"].to_string();
                            known.insert(from.to_owned(), (hop.clone(), said));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok(known.into_values().collect())
}

/// Whether a list of prefixes has this one.
fn names(prefixes: &Value, prefix: &str) -> bool {
    let mut prefixes = prefixes.as_array().into_iter().flatten();
    prefixes.any(|one| one["nlri"] == prefix)
}

pub(super) fn refresh(files: &Files) -> Result<()> {
    let command = "announce route-refresh ipv4 unicast\n";
    std::fs::write(files.path(COMMANDS), command).context("ExaBGP takes no command")
}

pub(super) fn told(files: &Files) -> Result<String> {
    std::fs::read_to_string(files.path(HEARD)).context("ExaBGP wrote nothing down")
}
