//! GoBGP: one program, asked by its own client.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{ADDRESSES, Files, NODE_AS, Paths, ROUTER_AS, START};
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

/// Where it is asked, inside its namespace.
const PORT: &str = "50051";

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    std::fs::write(files.path("gobgp.toml"), configured(files))?;
    let program = lab.start(Launch {
        name: "gobgpd".to_owned(),
        netns: files.netns.clone(),
        path: "/usr/bin/gobgpd".into(),
        arguments: vec![
            "-f".to_owned(),
            files.word("gobgp.toml"),
            "--api-hosts".to_owned(),
            format!("127.0.0.1:{PORT}"),
            "--pprof-disable".to_owned(),
        ],
        environment: Vec::new(),
    })?;
    lab.wait("GoBGP does not start", START, |_| {
        Ok(asked(files, &["global"]).is_ok())
    })?;
    Ok(vec![program])
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "[global.config]\nas = {ROUTER_AS}\nrouter-id = \"{}\"\n",
        ADDRESSES[0]
    );
    for neighbour in &files.neighbours {
        let _ = writeln!(
            text,
            "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{}\"\npeer-as = {NODE_AS}",
            neighbour.address
        );
        if let Some(password) = neighbour.password {
            let _ = writeln!(text, "auth-password = \"{password}\"");
        }
        let _ = writeln!(
            text,
            "[neighbors.timers.config]\nconnect-retry = 1\n\
             idle-hold-time-after-reset = 1\n\
             [neighbors.transport.config]\npassive-mode = {}\nlocal-address = \"{}\"\n\
             [neighbors.graceful-restart.config]\nenabled = true\nnotification-enabled = true",
            !neighbour.opens, neighbour.local
        );
        if neighbour.ttl_security {
            text.push_str("[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255\n");
        }
        if neighbour.multihop {
            text.push_str("[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = 3\n");
        }
        for (name, carried) in ["ipv4-unicast", "ipv6-unicast"]
            .iter()
            .zip(neighbour.carries())
        {
            if carried {
                let _ = writeln!(
                    text,
                    "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\n\
                     afi-safi-name = \"{name}\"\n\
                     [neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true"
                );
            }
        }
    }
    text
}

fn asked(files: &Files, words: &[&str]) -> Result<String> {
    run(files
        .netns
        .command("/usr/bin/gobgp")
        .args(["-u", "127.0.0.1", "-p", PORT])
        .args(words))
}

pub(super) fn paths(files: &Files, prefix: &str) -> Result<Paths> {
    let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
    let shown = asked(files, &["global", "rib", "-a", family, "-j"])?;
    let shown: Value = serde_json::from_str(&shown).context("GoBGP's answer is not JSON")?;
    let paths = shown[prefix].as_array().into_iter().flatten();
    Ok(paths
        .filter_map(|path| {
            let attributes = path["attrs"].as_array()?.iter();
            let hop = attributes
                .filter_map(|one| one["nexthop"].as_str())
                .next()?;
            Some((hop.to_owned(), path.to_string()))
        })
        .collect())
}
