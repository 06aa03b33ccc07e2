//! OpenBGPD, the portable edition: it has no routes in the kernel of Linux, and becomes a user whose
//! home is below `/run`.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{ADDRESSES, Files, NODE_AS, Neighbour, Paths, ROUTER_AS, START};
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

/// Where it wants to be confined to; below the sandbox's own `/run`.
const HOME: &str = "/run/openbgpd";

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let configuration = files.path("bgpd.conf");
    std::fs::write(&configuration, configured(files))?;
    // One that others may read is refused.
    std::fs::set_permissions(&configuration, Permissions::from_mode(0o600))?;
    std::fs::create_dir_all(HOME)?;
    let program = lab.start(Launch {
        name: "openbgpd".to_owned(),
        netns: files.netns.clone(),
        path: "/usr/sbin/bgpd".into(),
        arguments: vec!["-d".to_owned(), "-f".to_owned(), files.word("bgpd.conf")],
        environment: Vec::new(),
    })?;
    lab.wait("OpenBGPD does not start", START, |_| {
        Ok(asked(files, &["show"]).is_ok())
    })?;
    Ok(vec![program])
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "AS {ROUTER_AS}\nrouter-id {}\nsocket \"{}\"\nlog updates\n",
        ADDRESSES[0],
        files.word("bgpd.sock")
    );
    for neighbour in &files.neighbours {
        let Neighbour {
            address,
            local,
            password,
            ttl_security,
            multihop,
            opens,
            ..
        } = neighbour;
        let _ = writeln!(
            text,
            "neighbor {address} {{\n remote-as {NODE_AS}\n local-address {local}\n \
             announce enhanced refresh yes"
        );
        for (family, carried) in ["IPv4", "IPv6"].iter().zip(neighbour.carries()) {
            let carried = if carried { "unicast" } else { "none" };
            let _ = writeln!(text, " announce {family} {carried}");
        }
        if !opens {
            text.push_str(" passive\n");
        }
        if let Some(password) = password {
            let _ = writeln!(text, " tcp md5sig password {password}");
        }
        if *ttl_security {
            text.push_str(" ttl-security yes\n");
        }
        if *multihop {
            text.push_str(" multihop 3\n");
        }
        text.push_str("}\n");
    }
    text.push_str("allow from any\ndeny to any\n");
    text
}

fn asked(files: &Files, words: &[&str]) -> Result<String> {
    run(files
        .netns
        .command("/usr/sbin/bgpctl")
        .arg("-s")
        .arg(files.path("bgpd.sock"))
        .arg("-j")
        .args(words))
}

pub(super) fn paths(files: &Files, prefix: &str) -> Result<Paths> {
    let shown = asked(files, &["show", "rib", "detail", prefix])?;
    let shown: Value = serde_json::from_str(&shown).context("OpenBGPD's answer is not JSON")?;
    let paths = shown["rib"].as_array().into_iter().flatten();
    Ok(paths
        .filter_map(|path| {
            let hop = path["exit_nexthop"].as_str()?;
            Some((hop.to_owned(), path.to_string()))
        })
        .collect())
}

pub(super) fn refresh(files: &Files, neighbour: IpAddr) -> Result<()> {
    asked(files, &["neighbor", &neighbour.to_string(), "refresh"]).map(drop)
}

pub(super) fn told(files: &Files, neighbour: IpAddr) -> Result<String> {
    asked(files, &["show", "neighbor", &neighbour.to_string()])
}
