//! What of BFD, and of the end of BGP sessions, is on a wire, as tshark reads it.

use std::path::Path;

use anyhow::{Context, Result};

use crate::capture;

/// A packet of BFD, or a segment with a NOTIFICATION.
#[derive(Debug)]
pub(super) struct Frame {
    /// Seconds.
    pub(super) at: f64,
    pub(super) from: String,
    /// Diagnostic and state.
    pub(super) bfd: Option<(u8, u8)>,
    /// Code and subcode.
    pub(super) notification: Option<(u8, u8)>,
}

/// All of a capture, in their order.
pub(super) fn frames(path: &Path) -> Result<Vec<Frame>> {
    let fields = [
        "frame.time_epoch",
        "ip.src",
        "ipv6.src",
        "bfd.diag",
        "bfd.sta",
        "bgp.notify.major_error",
        "bgp.notify.minor_error_cease",
    ];
    let lines = capture::fields(path, "bfd || bgp.type == 3", &fields)?;
    let frame = |line: Vec<String>| {
        let [at, four, six, diagnostic, state, code, subcode] = line.try_into().ok()?;
        let pair = |one: &str, other: &str| number(one).zip(number(other));
        Some(Frame {
            at: at.parse().ok()?,
            from: if four.is_empty() { six } else { four },
            bfd: pair(&diagnostic, &state),
            notification: pair(&code, &subcode),
        })
    };
    let frames: Option<Vec<Frame>> = lines.into_iter().map(frame).collect();
    frames.context("tshark's fields are of another form")
}

/// A number as tshark writes it.
fn number(text: &str) -> Option<u8> {
    match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
