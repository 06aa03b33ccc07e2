//! BIRD with a configuration that is written for one scenario.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::program::{Launch, Program};

/// How long it may take to start.
const START: Duration = Duration::from_secs(10);

/// Starts it in the router's namespace, its files in a directory.
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

/// What it answers to a question.
pub(super) fn asked(lab: &Lab, directory: &Path, words: &[&str]) -> Result<String> {
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
