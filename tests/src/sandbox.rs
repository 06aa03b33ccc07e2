//! The disposable set of namespaces, from outside and from inside.
//!
//! Outside, the *holder* makes a state directory, starts this program again through `unshare` as the
//! first process of new user (when not root), mount, process, network, IPC and host-name namespaces,
//! and removes the directory when that process ends. Inside, [`settle`] hides the machine's `/run` and
//! ties the process to the holder's life: its standard input is a pipe that ends with the holder,
//! however that ends. When the first process ends, the kernel kills every other one in its process
//! namespace and takes the network namespaces down.

use std::fs::{self, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid, setsid};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Stopwatch;
use crate::lab::wait;
use crate::netns::run;

/// The hidden option that tells the program it is inside, with its state directory.
pub const INSIDE: &str = "--inside";
/// The hidden option that makes the program the holder of a kept lab.
pub const HELD: &str = "--held";

/// Exit status after Ctrl-C, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// One sandbox by its name.
#[derive(Debug, Clone)]
pub struct Sandbox {
    name: String,
    base: PathBuf,
}

impl Sandbox {
    /// A name is letters, digits and `-`.
    pub fn named(name: &str) -> Result<Self> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            bail!("a lab's name is letters, digits and '-', not {name:?}");
        }
        let base = std::env::temp_dir().join(format!("herald-lab-{}", geteuid()));
        Ok(Self {
            name: name.to_owned(),
            base,
        })
    }

    /// Its files; gone when it is down.
    pub fn state(&self) -> PathBuf {
        self.base.join(&self.name)
    }

    /// Runs this program with `arguments` inside and waits for its end, an interrupt included.
    pub fn hold(&self, arguments: &[String]) -> Result<ExitCode> {
        let claim = self.claim()?;
        let result = self.run_inside(arguments);
        let _gone = fs::remove_dir_all(self.state());
        let _gone = fs::remove_file(self.lock());
        drop(claim);
        let _in_use = fs::remove_dir(&self.base);
        result
    }

    /// As [`Sandbox::hold`], by a process of its own. Returns once the inside calls [`keep`], having
    /// printed what it printed.
    pub fn hold_apart(&self, arguments: &[String]) -> Result<ExitCode> {
        self.refuse_second()?;
        fs::create_dir_all(&self.base)?;
        let path = self.base.join(format!("{}.out", self.name));
        let out = fs::File::create(&path)?;
        let mut holder = Command::new(std::env::current_exe()?)
            .arg(HELD)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("cannot start the holder of the lab")?;
        let mut output = fs::File::open(&path)?;
        let code = self.follow(&mut holder, &mut output);
        let _gone = fs::remove_file(&path);
        let _in_use = fs::remove_dir(&self.base);
        code
    }

    /// Shows what the holder prints until the lab is kept or over. An interrupt ends the holder too.
    fn follow(&self, holder: &mut Child, output: &mut fs::File) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            let mut shown = 0;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => ask_to_end(holder),
                    _ = terminate.recv() => ask_to_end(holder),
                    _ = tick.tick() => {}
                }
                let ended = holder.try_wait()?;
                let kept = self.state().join("kept").exists();
                shown += relay(output, shown)?;
                if let Some(status) = ended {
                    return Ok(exit_code(status));
                }
                if kept {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        })
    }

    /// Ends it and waits until nothing of it is left. Whether there was one.
    pub fn down(&self) -> Result<bool> {
        let Some(first) = self.first_process() else {
            let _gone = fs::remove_dir_all(self.state());
            let _in_use = fs::remove_dir(&self.base);
            return Ok(false);
        };
        kill(first, Signal::SIGKILL).context("cannot end the lab")?;
        wait(
            "the lab's files are still there",
            Duration::from_secs(20),
            || !self.state().exists(),
        )?;
        Ok(true)
    }

    /// A command that runs `program` inside, in the caller's directory.
    pub fn command(&self, program: &str) -> Result<Command> {
        let first = self.first_process().with_context(|| {
            format!(
                "no lab named {} is up; `cargo xtask lab up --keep` starts one",
                self.name
            )
        })?;
        let mut command = Command::new("nsenter");
        command.args(["--target", &first.to_string(), "-m", "-n", "-p", "-i", "-u"]);
        if !geteuid().is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        command
            .args(["--", "sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(here)
            .arg(program);
        Ok(command)
    }

    /// The first process of a running sandbox, by its number outside.
    fn first_process(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.state().join("first")).ok()?;
        let pid: i32 = text.trim().parse().ok()?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        line.split('\0')
            .any(|word| word == INSIDE)
            .then(|| Pid::from_raw(pid))
    }

    fn refuse_second(&self) -> Result<()> {
        if self.first_process().is_some() {
            bail!(
                "a lab named {} is up already; `cargo xtask lab down` ends it",
                self.name
            );
        }
        Ok(())
    }

    /// What its holder has locked as long as it lives.
    fn lock(&self) -> PathBuf {
        self.base.join(format!("{}.lock", self.name))
    }

    /// Makes the state directory, after removing those that dead holders left. It is this process's
    /// until the result is dropped.
    fn claim(&self) -> Result<fs::File> {
        self.refuse_second()?;
        fs::create_dir_all(&self.base)?;
        let Some(claim) = self.try_lock()? else {
            bail!("a lab named {} is being started or ended", self.name);
        };
        for left in fs::read_dir(&self.base)?.flatten() {
            if left.path().is_dir() {
                let name = left.file_name().to_string_lossy().into_owned();
                let left = Self {
                    name,
                    base: self.base.clone(),
                };
                left.sweep();
            }
        }
        let state = self.state();
        if state.exists() {
            fs::remove_dir_all(&state)
                .with_context(|| format!("cannot remove {}", state.display()))?;
        }
        fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
        Ok(claim)
    }

    /// Removes its files when nobody holds it.
    fn sweep(&self) {
        if let Ok(Some(_nobody_elses)) = self.try_lock() {
            let _somebody_elses = fs::remove_dir_all(self.state());
            let _somebody_elses = fs::remove_file(self.lock());
        }
    }

    /// None: another process has it.
    fn try_lock(&self) -> Result<Option<fs::File>> {
        let path = self.lock();
        let file =
            fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    fn run_inside(&self, arguments: &[String]) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = signal(SignalKind::hangup())?;
            let mut child = self.unshare(arguments)?;
            self.remember_first(&mut child)?;
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tokio::select! {
                    _ = interrupt.recv() => return stop(&mut child),
                    _ = terminate.recv() => return stop(&mut child),
                    _ = hangup.recv() => return stop(&mut child),
                    _ = tick.tick() => if let Some(status) = child.try_wait()? {
                        return Ok(exit_code(status));
                    }
                }
            }
        })
    }

    fn unshare(&self, arguments: &[String]) -> Result<Child> {
        let refused = "the namespaces of the lab are refused here: run as root, or allow unprivileged \
             user namespaces (sysctl kernel.unprivileged_userns_clone=1, or \
             kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu)";
        run(new_namespaces().arg("true")).context(refused)?;
        let mut command = new_namespaces();
        command
            .arg(std::env::current_exe()?)
            .arg(INSIDE)
            .arg(self.state())
            .args(arguments)
            .stdin(Stdio::piped())
            // A group of its own: Ctrl-C goes to the holder alone, which ends the rest.
            .process_group(0);
        command
            .spawn()
            .context("cannot start unshare (package util-linux)")
    }

    /// Finds the first process, the only child of `unshare`, by its number out here.
    fn remember_first(&self, unshare: &mut Child) -> Result<()> {
        let parent = unshare.id();
        let mut found = None;
        wait("the sandbox did not start", Duration::from_secs(10), || {
            found = child_of(parent);
            found.is_some() || unshare.try_wait().is_ok_and(|status| status.is_some())
        })?;
        // One that has ended already has said why.
        let Some(pid) = found else { return Ok(()) };
        fs::write(self.state().join("first"), pid.to_string())?;
        Ok(())
    }
}

/// What the first process does before anything else: a `/run` of its own, and a life no longer than
/// the holder's.
pub fn settle() -> Result<()> {
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .context("cannot mount a file system on /run inside the sandbox")?;
    std::thread::spawn(|| {
        let mut sink = [0_u8; 64];
        while std::io::stdin()
            .read(&mut sink)
            .is_ok_and(|length| length > 0)
        {}
        std::process::exit(i32::from(INTERRUPTED));
    });
    Ok(())
}

/// Tells the holder's starter that the lab stays, and stays until the holder is ended.
pub fn keep(state: &Path) -> Result<()> {
    let _nobody_reads = std::io::stdout().flush();
    fs::write(state.join("kept"), "")?;
    loop {
        std::thread::park();
    }
}

/// Makes the holder independent of the terminal it was started from.
pub fn detach() -> Result<()> {
    setsid()
        .map(drop)
        .context("cannot leave the terminal's session")
}

/// `unshare` with everything the sandbox has of its own.
fn new_namespaces() -> Command {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args([
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command
}

/// Ends the inside: first by ending its standard input, then by force.
fn stop(child: &mut Child) -> Result<ExitCode> {
    drop(child.stdin.take());
    let watch = Stopwatch::start();
    while child.try_wait()?.is_none() {
        if watch.elapsed() > Duration::from_secs(3) {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    eprintln!("interrupted; the lab is gone");
    Ok(ExitCode::from(INTERRUPTED))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::from(INTERRUPTED),
    }
}

/// Copies what was written since `from` to standard output; how much that was.
fn relay(output: &mut fs::File, from: u64) -> Result<u64> {
    let mut text = Vec::new();
    output.seek(SeekFrom::Start(from))?;
    output.read_to_end(&mut text)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&text)?;
    out.flush()?;
    Ok(text.len() as u64)
}

fn ask_to_end(holder: &Child) {
    if let Ok(id) = i32::try_from(holder.id()) {
        let _gone = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

/// The child of a process that is the first one of a sandbox.
fn child_of(parent: u32) -> Option<u32> {
    children_of(parent).into_iter().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').any(|word| word == INSIDE)
    })
}

/// The children of a process, from `/proc/*/stat` (`pid (name) state ppid …`).
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let child = |entry: fs::DirEntry| -> Option<u32> {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let ppid: u32 = rest.split(' ').nth(1)?.parse().ok()?;
        (ppid == parent).then_some(pid)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(child).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_that_is_up_keeps_its_files_and_one_that_is_gone_does_not() {
        let base = std::env::temp_dir().join(format!("herald-sandbox-{}", std::process::id()));
        let named = |name: &str| Sandbox {
            name: name.to_owned(),
            base: base.clone(),
        };
        let (one, other, third) = (named("one"), named("other"), named("third"));
        let claim = one.claim().expect("the first");
        drop(other.claim().expect("beside it"));
        assert!(other.state().is_dir(), "its holder died");
        let _third = third.claim().expect("beside them");
        assert!(one.state().is_dir() && third.state().is_dir());
        assert!(!other.state().exists() && !other.lock().exists());
        assert!(one.claim().is_err(), "there is one of that name");
        drop(claim);
        assert!(one.claim().is_ok());
        fs::remove_dir_all(&base).expect("removed");
    }
}
