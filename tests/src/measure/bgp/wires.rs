//! What of BGP is on a node's wire: octets, and when the last one left.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::tap::Tap;

/// A KEEPALIVE alone is nothing that was asked for.
const KEEPALIVE: usize = 19;

/// How long the tap may take until it listens, and until it has read what it heard.
const SETTLED: Duration = Duration::from_millis(100);

/// A running look at it.
pub(super) struct Wires(Tap<usize>);

impl Wires {
    /// Starts; `own` is the node's address.
    pub(super) fn watch(netns: &Netns, own: [u8; 4], watch: Stopwatch) -> Result<Self> {
        let tap = Tap::start(netns, watch, move |_, frame| payload(frame, own))?;
        thread::sleep(SETTLED);
        Ok(Self(tap))
    }

    /// All octets of routes, and when the last of them left.
    pub(super) fn finish(self) -> Result<(usize, Duration)> {
        thread::sleep(SETTLED);
        let sent = self.0.finish()?;
        let octets = sent.iter().map(|(_, octets)| octets).sum();
        let last = sent.last().map(|(at, _)| *at).unwrap_or_default();
        Ok((octets, last))
    }
}

/// How many octets to or from port 179 a frame of this sender carries.
fn payload(frame: &[u8], own: [u8; 4]) -> Option<usize> {
    let packet = frame.get(14..)?;
    if frame.get(12..14)? != [8, 0] || packet.get(9) != Some(&6) || packet.get(12..16)? != own {
        return None;
    }
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let segment = packet.get(header..)?;
    let ports = [segment.get(..2)?, segment.get(2..4)?];
    let ours = ports.iter().any(|port| **port == [0, 179]);
    let offset = usize::from(segment.get(12)? >> 4) * 4;
    let length = total.checked_sub(header + offset)?;
    (ours && length > KEEPALIVE).then_some(length)
}
