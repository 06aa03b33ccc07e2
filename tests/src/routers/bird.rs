//! BIRD 2: one program, one socket.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::{ADDRESSES, Files, NODE_AS, Paths, ROUTER_AS};
use crate::lab::Lab;
use crate::program::{Launch, Program};

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let configuration = files.path("bird.conf");
    std::fs::write(&configuration, configured(files))?;
    let program = lab.start(Launch {
        name: "bird".to_owned(),
        netns: files.netns.clone(),
        path: "/usr/sbin/bird".into(),
        arguments: vec![
            "-f".to_owned(),
            "-c".to_owned(),
            configuration.display().to_string(),
            "-s".to_owned(),
            files.path("bird.ctl").display().to_string(),
            "-P".to_owned(),
            files.path("bird.pid").display().to_string(),
        ],
        environment: Vec::new(),
    })?;
    let socket = files.path("bird.ctl");
    lab.wait(
        "BIRD does not start",
        std::time::Duration::from_secs(10),
        |_| Ok(socket.exists()),
    )?;
    Ok(vec![program])
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{}}\n\
         protocol kernel {{ merge paths yes; ipv4 {{ import none; export all; }}; }}\n\
         protocol kernel {{ merge paths yes; ipv6 {{ import none; export all; }}; }}\n",
        ADDRESSES[0]
    );
    let dual = files.terms.dual_stack;
    for (node, neighbours) in files.neighbours() {
        for (family, (neighbour, local)) in neighbours.iter().zip(ADDRESSES).enumerate() {
            let password = files
                .terms
                .password
                .map_or_else(String::new, |password| format!(" password \"{password}\";"));
            let channels = match (family, dual) {
                (0, false) => "ipv4 { import all; export none; };",
                (0, true) => continue,
                (_, false) => "ipv6 { import all; export none; };",
                (_, true) => {
                    "ipv6 { import all; export none; }; \
                     ipv4 { extended next hop on; import all; export none; };"
                }
            };
            let _ = writeln!(
                text,
                "protocol bgp n{}_{family} {{ local {local} as {ROUTER_AS}; \
                 neighbor {neighbour} as {NODE_AS}; connect retry time 1; error wait time 1, 2;\
                 {password} {channels} }}",
                node.0
            );
        }
    }
    text
}

pub(super) fn paths(files: &Files, prefix: &str) -> Result<Paths> {
    let output = files
        .netns
        .command("/usr/sbin/birdc")
        .arg("-r")
        .arg("-s")
        .arg(files.path("bird.ctl"))
        .args(["show", "route", prefix, "all"])
        .output()?;
    // That it knows no such prefix is an error to birdc, and an answer here.
    let shown = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() && !shown.contains("Network not found") {
        bail!("birdc: {}", shown.trim());
    }
    let mut paths = Paths::new();
    for path in shown.split(" unicast [").skip(1) {
        let hop = path
            .lines()
            .find_map(|line| line.trim().strip_prefix("BGP.next_hop: "));
        if let Some(hop) = hop.and_then(|hops| hops.split_whitespace().next()) {
            paths.insert(hop.to_owned(), path.to_owned());
        }
    }
    Ok(paths)
}
