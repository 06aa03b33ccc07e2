//! Which binaries the lab runs: the control plane's and Herald's own.
//!
//! It does not build or fetch anything; `xtask` does, and tells the lab by environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::netns::run;

/// The five programs of the control plane.
pub const CONTROL_PLANE: [&str; 5] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kubectl",
];

/// Where the binaries are.
#[derive(Debug, Clone)]
pub struct Programs {
    control_plane: ControlPlane,
    etcd: Option<PathBuf>,
    /// Directory of `herald-controller`, `herald-speaker` and `heraldctl`.
    pub herald: PathBuf,
    /// Kustomize directory that installs Herald.
    pub manifests: PathBuf,
}

#[derive(Debug, Clone)]
enum ControlPlane {
    /// One binary that is all programs by its first argument.
    Single(PathBuf),
    /// A directory with one binary for each.
    Directory(PathBuf),
}

impl Programs {
    /// Looks at `$HERALD_CONTROLPLANE` (the single binary), then `$KUBEBUILDER_ASSETS` (a directory
    /// with all five programs).
    pub fn find(
        etcd: Option<PathBuf>,
        herald: Option<PathBuf>,
        manifests: PathBuf,
    ) -> Result<Self> {
        let herald = match herald {
            Some(dir) => dir,
            None => {
                let own = std::env::current_exe().context("the path of this program is unknown")?;
                own.parent().unwrap_or_else(|| Path::new(".")).to_path_buf()
            }
        };
        let control_plane = match (
            path_from("HERALD_CONTROLPLANE"),
            path_from("KUBEBUILDER_ASSETS"),
        ) {
            (Some(single), _) => {
                if !single.is_file() {
                    bail!("HERALD_CONTROLPLANE={} is not a file", single.display());
                }
                ControlPlane::Single(std::path::absolute(single)?)
            }
            (None, Some(dir)) => {
                if let Some(missing) = CONTROL_PLANE.iter().find(|name| !dir.join(name).is_file()) {
                    bail!(
                        "KUBEBUILDER_ASSETS={} has no {missing}; the lab needs {}",
                        dir.display(),
                        CONTROL_PLANE.join(", ")
                    );
                }
                ControlPlane::Directory(std::path::absolute(dir)?)
            }
            (None, None) => bail!(
                "the lab has no control plane: run it through `cargo xtask lab`, which finds or builds one, or set HERALD_CONTROLPLANE"
            ),
        };
        Ok(Self {
            control_plane,
            etcd,
            herald,
            manifests,
        })
    }

    /// The path and leading arguments that run a control-plane program.
    pub fn control_plane(&self, name: &str) -> (PathBuf, Vec<String>) {
        if let (Some(etcd), "etcd") = (&self.etcd, name) {
            return (etcd.clone(), Vec::new());
        }
        match &self.control_plane {
            ControlPlane::Single(path) => (path.clone(), vec![name.to_owned()]),
            ControlPlane::Directory(dir) => (dir.join(name), Vec::new()),
        }
    }

    /// A command for a control-plane program in this namespace.
    pub fn command(&self, name: &str) -> Command {
        let (path, leading) = self.control_plane(name);
        let mut command = Command::new(path);
        command.args(leading);
        command
    }

    /// Whether one of Herald's programs has an option, by what its `--help` says.
    pub fn offers(&self, name: &str, option: &str) -> Result<bool> {
        let help = run(Command::new(self.herald(name)?).arg("--help"))?;
        Ok(mentions(&help, option))
    }

    /// The path of one of Herald's programs.
    pub fn herald(&self, name: &str) -> Result<PathBuf> {
        let path = self.herald.join(name);
        if path.is_file() {
            return Ok(path);
        }
        bail!("{} is missing: `cargo build` makes it", path.display())
    }
}

fn path_from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| value != OsStr::new(""))
        .map(PathBuf::from)
}

/// Whether a help text lists an option.
fn mentions(help: &str, option: &str) -> bool {
    help.lines().any(|line| {
        line.trim_start().starts_with('-') && line.split([' ', ',', '=']).any(|word| word == option)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_offered_when_the_help_lists_it() {
        let help = "Options:\n      --state-directory <DIR>\n          see --other\n  -h, --help\n";
        assert!(mentions(help, "--state-directory"));
        assert!(mentions(help, "--help"));
        assert!(!mentions(help, "--state"));
        assert!(!mentions(help, "--other"));
    }
}
