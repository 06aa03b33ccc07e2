//! Named network namespaces: make one, run a command or a closure in it, configure it.
//!
//! Names live in the sandbox's own `/run/netns`, so nothing outside sees them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

/// A network namespace with a name under `/run/netns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a new namespace with its loopback up.
    pub fn create(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let netns = Self {
            name: name.to_owned(),
        };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// Gives the namespace of the calling process a name.
    pub fn name_own(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "attach", name, &std::process::id().to_string()]))?;
        let netns = Self {
            name: name.to_owned(),
        };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs inside; its process id is the program's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a closure on a thread of its own that has entered the namespace. Sockets made there
    /// stay there.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = self.open()?;
        std::thread::scope(|scope| {
            scope
                .spawn(move || setns(file, CloneFlags::CLONE_NEWNET).map(|()| work()))
                .join()
                .map_err(|_| anyhow!("the work in namespace {} panicked", self.name))?
                .with_context(|| format!("cannot enter namespace {}", self.name))
        })
    }

    /// Moves the calling thread into the namespace, for good.
    pub fn enter(&self) -> Result<()> {
        setns(self.open()?, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter namespace {}", self.name))
    }

    /// Runs lines of `ip -batch` inside; the first that fails is the error.
    pub fn ip(&self, batch: &str) -> Result<()> {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start ip (package iproute2)")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(batch.as_bytes())?;
            stdin.write_all(b"\n")?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "ip in {}: {}",
                self.name,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    /// Sets `net.…` kernel switches, given as paths under `/proc/sys/net`.
    pub fn sysctl(&self, switches: &[(&str, &str)]) -> Result<()> {
        self.within(|| {
            for (path, value) in switches {
                fs::write(PathBuf::from("/proc/sys/net").join(path), value)
                    .with_context(|| format!("cannot set net/{path} to {value}"))?;
            }
            Ok(())
        })?
    }

    /// As [`Netns::sysctl`], for a switch this kernel may not have.
    pub fn sysctl_if_present(&self, path: &str, value: &str) -> Result<()> {
        self.within(|| {
            let file = PathBuf::from("/proc/sys/net").join(path);
            if file.exists() {
                fs::write(file, value)
            } else {
                Ok(())
            }
        })?
        .with_context(|| format!("cannot set net/{path} to {value}"))
    }

    fn open(&self) -> Result<File> {
        let path = PathBuf::from("/run/netns").join(&self.name);
        File::open(&path).with_context(|| format!("there is no namespace {}", self.name))
    }
}

/// Runs a command to its end; standard output is the value, a failure carries standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<String> = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "`{name} {}` failed: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim(),
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
