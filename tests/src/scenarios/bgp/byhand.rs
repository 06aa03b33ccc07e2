//! BIRD and FRR with a configuration that is written for one scenario.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};

/// How long one may take to start.
const START: Duration = Duration::from_secs(10);

/// Starts BIRD in the router's namespace, its files in a directory.
pub(super) fn bird(lab: &Lab, directory: &Path, configuration: &str) -> Result<Program> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("bird.conf"), configuration)?;
    let word = |name: &str| directory.join(name).display().to_string();
    let program = lab.start(Launch {
        name: "bird-by-hand".to_owned(),
        netns: lab.topology.router.clone(),
        path: "/usr/sbin/bird".into(),
        arguments: vec![
            "-f".to_owned(),
            "-c".to_owned(),
            word("bird.conf"),
            "-s".to_owned(),
            word("bird.ctl"),
            "-P".to_owned(),
            word("bird.pid"),
        ],
        environment: Vec::new(),
    })?;
    let socket = directory.join("bird.ctl");
    lab.wait("BIRD does not start", START, |_| Ok(socket.exists()))?;
    Ok(program)
}

/// What BIRD answers to a question.
pub(super) fn asked_bird(lab: &Lab, directory: &Path, words: &[&str]) -> Result<String> {
    let output = lab
        .topology
        .router
        .command("/usr/sbin/birdc")
        .arg("-s")
        .arg(directory.join("bird.ctl"))
        .arg("-r")
        .args(words)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts zebra, bfdd and bgpd in the router's namespace, their files in a directory; bfdd reads
/// `watching`.
pub(super) fn frr(
    lab: &Lab,
    directory: &Path,
    configuration: &str,
    watching: &str,
) -> Result<Vec<Program>> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join("frr.conf"), configuration)?;
    std::fs::write(directory.join("bfdd.conf"), watching)?;
    run(Command::new("chown").args(["-R", "frr:frr"]).arg(directory))
        .context("FRR needs its user, which only root can give files to")?;
    let mut programs = Vec::new();
    for name in ["zebra", "bfdd", "bgpd"] {
        let mut arguments = Vec::new();
        let mut option = |flag: &str, file: &str| {
            arguments.extend([flag.to_owned(), directory.join(file).display().to_string()]);
        };
        let is_bfdd = name == "bfdd";
        option("-f", if is_bfdd { "bfdd.conf" } else { "frr.conf" });
        option("-i", &format!("{name}.pid"));
        option("-z", "zserv.api");
        option("--vty_socket", "");
        if is_bfdd {
            option("--bfdctl", "bfdd.sock");
        }
        programs.push(lab.start(Launch {
            name: format!("frr-by-hand-{name}"),
            netns: lab.topology.router.clone(),
            path: format!("/usr/lib/frr/{name}").into(),
            arguments,
            environment: Vec::new(),
        })?);
        let socket = directory.join(format!("{name}.vty"));
        lab.wait("FRR does not start", START, |_| Ok(socket.exists()))?;
    }
    Ok(programs)
}

/// What one of FRR's programs answers to a question.
pub(super) fn asked_frr(
    lab: &Lab,
    directory: &Path,
    daemon: &str,
    question: &str,
) -> Result<String> {
    let mut vtysh = lab.topology.router.command("/usr/bin/vtysh");
    run(vtysh
        .arg("--vty_socket")
        .arg(directory)
        .args(["-d", daemon, "-c", question]))
}
