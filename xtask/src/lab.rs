//! The lab's own program, `herald-lab`, with everything it needs set up and built.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::{cargo, root};
use crate::{controlplane, packages};

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As `cargo test` builds them.
    Debug,
    /// Optimised, to be measured.
    Release,
}

impl Profile {
    /// Cargo's name of the directory of its programs.
    fn directory(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// A command of `herald-lab` that starts a lab: packages, control plane and programs are there.
pub(crate) fn prepared(arguments: &[String], profile: Profile) -> Result<Command> {
    packages::ensure()?;
    let (variable, value) = controlplane::find()?;
    eprintln!("building herald ...");
    // The whole workspace, as `cargo test` builds it: the same features, so nothing is built twice.
    let mut build = cargo(&["build", "--workspace", "--bins"]);
    if profile == Profile::Release {
        build.arg("--release");
    }
    if !build.status()?.success() {
        bail!("herald does not build");
    }
    let mut command = plain(arguments, profile);
    command.env(variable, value);
    Ok(command)
}

/// A command of `herald-lab` that talks to a lab that is up.
pub(crate) fn plain(arguments: &[String], profile: Profile) -> Command {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), std::path::PathBuf::from);
    let mut command = Command::new(target.join(profile.directory()).join("herald-lab"));
    let manifests = root().join("deploy");
    command.args(arguments).env("HERALD_MANIFESTS", manifests);
    command
}
