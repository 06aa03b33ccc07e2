//! The scheduling class of the announcing thread (protocol section 2.3).
//!
//! A thread that only waits for a frame and a timer must not wait for a processor as well. The best
//! class the kernel grants is taken, and named, so that nobody has to guess.

use std::fmt;
use std::io;

/// What the kernel granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Class {
    /// SCHED_RR: before every ordinary thread, and exempt from CPU quotas.
    RoundRobin,
    /// An ordinary thread with the highest niceness.
    Nice,
    /// An ordinary thread.
    #[default]
    Normal,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "SCHED_RR",
            Self::Nice => "nice -20",
            Self::Normal => "normal",
        })
    }
}

/// Takes the best class there is, for the calling thread.
pub(crate) fn best() -> Class {
    if round_robin().is_ok() {
        Class::RoundRobin
    } else if nice().is_ok() {
        Class::Nice
    } else {
        Class::Normal
    }
}

/// Keeps the process's pages in memory, those to come included.
pub(crate) fn lock_memory() -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })
}

fn round_robin() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: 0 is the calling thread; `parameters` outlives the call. Children start as ordinary
    // threads.
    check(unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_RR | libc::SCHED_RESET_ON_FORK,
            &raw const parameters,
        )
    })
}

fn nice() -> io::Result<()> {
    // SAFETY: takes no pointer; 0 is the calling thread.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
