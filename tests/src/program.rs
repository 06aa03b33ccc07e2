//! One long-running program of the lab: start, pause, end, restart, and its log.
//!
//! It does not supervise: a program that ends by itself stays ended until somebody asks.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::urgency;

/// How a program is started; the same each time.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Name of the program and of its log.
    pub name: String,
    /// The namespace it runs in.
    pub netns: Netns,
    /// The binary.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its additional environment.
    pub environment: Vec<(String, String)>,
}

impl Launch {
    /// Before every ordinary program (SCHED_RR), where the kernel grants that: one that others watch by
    /// the millisecond is not to look dead because the machine is busy.
    #[must_use]
    pub fn urgent(mut self) -> Self {
        if urgency::is_granted() {
            let program = std::mem::replace(&mut self.path, "chrt".into());
            let words = ["--rr", "1"].map(str::to_owned).into_iter();
            let words = words.chain([program.display().to_string()]);
            self.arguments.splice(0..0, words);
        }
        self
    }
}

/// A started program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    launch: Launch,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Starts it with standard output and error appended to `logs/NAME.log`.
    pub fn start(launch: Launch, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{}.log", launch.name));
        let child = spawn(&launch, &log)?;
        Ok(Self { launch, log, child })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// The file that holds what it printed.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// All it printed so far, over all its starts.
    pub fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal; a program that is gone is no error.
    pub fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _gone = kill(Pid::from_raw(id), signal);
        }
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it without notice (SIGKILL).
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGKILL);
        }
        let _reaped = self.child.wait();
    }

    /// Asks it to end (SIGTERM), and kills it after `patience`. Returns how it ended.
    pub fn terminate(&mut self, patience: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let watch = Stopwatch::start();
        while watch.elapsed() < patience {
            if let Some(status) = self.ended() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal(Signal::SIGKILL);
        self.child
            .wait()
            .unwrap_or_else(|_| ExitStatus::from_raw(Signal::SIGKILL as i32))
    }

    /// Starts it with these arguments from its next start on.
    pub fn set_arguments(&mut self, arguments: Vec<String>) {
        self.launch.arguments = arguments;
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts it again as it was started before, ending it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.child = spawn(&self.launch, &self.log)?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(launch: &Launch, log: &Path) -> Result<Child> {
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let mut command: Command = launch.netns.command(&launch.path);
    command
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out);
    command
        .spawn()
        .with_context(|| format!("cannot start {}", launch.name))
}
