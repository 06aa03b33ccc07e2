//! GoBGP: one program, asked by its own client.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{ADDRESSES, Files, NODE_AS, Paths, ROUTER_AS};
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

/// Where it is asked, inside its namespace.
const PORT: &str = "50051";

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let configuration = files.path("gobgp.toml");
    std::fs::write(&configuration, configured(files))?;
    let program = lab.start(Launch {
        name: "gobgpd".to_owned(),
        netns: files.netns.clone(),
        path: "/usr/bin/gobgpd".into(),
        arguments: vec![
            "-f".to_owned(),
            configuration.display().to_string(),
            "--api-hosts".to_owned(),
            format!("127.0.0.1:{PORT}"),
            "--pprof-disable".to_owned(),
        ],
        environment: Vec::new(),
    })?;
    lab.wait(
        "GoBGP does not start",
        std::time::Duration::from_secs(10),
        |_| Ok(asked(files, &["global"]).is_ok()),
    )?;
    Ok(vec![program])
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "[global.config]\nas = {ROUTER_AS}\nrouter-id = \"{}\"\n",
        ADDRESSES[0]
    );
    for (_, neighbours) in files.neighbours() {
        for (family, neighbour) in neighbours.iter().enumerate() {
            let families: &[&str] = match (family, files.terms.dual_stack) {
                (0, _) => &["ipv4-unicast"],
                (_, false) => &["ipv6-unicast"],
                (_, true) => &["ipv6-unicast", "ipv4-unicast"],
            };
            let _ = writeln!(
                text,
                "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"{neighbour}\"\n\
                 peer-as = {NODE_AS}"
            );
            if let Some(password) = files.terms.password {
                let _ = writeln!(text, "auth-password = \"{password}\"");
            }
            text.push_str(
                "[neighbors.timers.config]\nconnect-retry = 1\n\
                 [neighbors.transport.config]\npassive-mode = true\n",
            );
            for name in families {
                let _ = writeln!(
                    text,
                    "[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\n\
                     afi-safi-name = \"{name}\""
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
