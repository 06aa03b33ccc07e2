//! Waiting for the first of several descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits until one of `descriptors` is readable or `limit` has passed (for ever without one).
/// Returns early when interrupted by a signal.
pub(crate) fn wait_readable(
    descriptors: &[BorrowedFd<'_>],
    limit: Option<Duration>,
) -> io::Result<()> {
    let mut waiting: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|descriptor| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let count = libc::nfds_t::try_from(waiting.len()).map_err(io::Error::other)?;
    // SAFETY: `waiting` holds `count` entries whose descriptors are borrowed, hence open, for the
    // duration of the call; the timeout is null or points to a live timespec.
    let result = unsafe {
        libc::ppoll(
            waiting.as_mut_ptr(),
            count,
            limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
            std::ptr::null(),
        )
    };
    if result >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted {
        Ok(())
    } else {
        Err(error)
    }
}
