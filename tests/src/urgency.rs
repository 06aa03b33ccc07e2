//! How urgently a measuring thread runs, so that busy neighbours do not spoil what it measures.
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
    let granted = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .arg(&thread)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if granted("chrt", &["--rr", "--pid", "1"]) {
        Urgency::RealTime
    } else if granted("renice", &["-n", "-10", "-p"]) {
        Urgency::Favoured
    } else {
        Urgency::Ordinary
    }
}
