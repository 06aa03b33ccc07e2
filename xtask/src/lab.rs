//! The lab's own program, `herald-lab`, with everything it needs set up and built.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::{cargo, root};
use crate::{controlplane, packages};

/// A command of `herald-lab` that starts a lab: packages, control plane and programs are there.
pub(crate) fn prepared(arguments: &[String]) -> Result<Command> {
    packages::ensure()?;
    let (variable, value) = controlplane::find()?;
    eprintln!("building herald ...");
    // The whole workspace, as `cargo test` builds it: the same features, so nothing is built twice.
    if !cargo(&["build", "--workspace", "--bins"])
        .status()?
        .success()
    {
        bail!("herald does not build");
    }
    let mut command = plain(arguments);
    command.env(variable, value);
    Ok(command)
}

/// A command of `herald-lab` that talks to a lab that is up.
pub(crate) fn plain(arguments: &[String]) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), std::path::PathBuf::from);
    let mut command = Command::new(target.join("debug/herald-lab"));
    let manifests = root().join("deploy");
    command.args(arguments).env("HERALD_MANIFESTS", manifests);
    command
}
