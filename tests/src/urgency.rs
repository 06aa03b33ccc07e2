//! How urgently a measuring thread or a router runs, so that busy neighbours do not spoil what is measured.
//!
//! The kernel is asked through util-linux: real-time first, then a lower nice value. Where both are
//! refused (no root, a container without the right) the thread stays ordinary.

use std::process::{Command, Stdio};

use nix::unistd::gettid;

/// What a thread was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// SCHED_RR: before every ordinary thread.
    RealTime,
    /// SCHED_OTHER with nice -10.
    Favoured,
    /// As everybody else.
    Ordinary,
}

/// Asks for the calling thread.
pub fn raise() -> Urgency {
    let thread = gettid().to_string();
    if succeeds("chrt", &["--rr", "--pid", "1", &thread]) {
        Urgency::RealTime
    } else if succeeds("renice", &["-n", "-10", "-p", &thread]) {
        Urgency::Favoured
    } else {
        Urgency::Ordinary
    }
}

/// Whether a program may be started with SCHED_RR, by `chrt`.
pub fn is_granted() -> bool {
    succeeds("chrt", &["--rr", "1", "true"])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
