//! What of BGP is on a node's wire: octets, and when the last one left.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::tap::Tap;

/// BGP's.
pub(super) const PORT: u16 = 179;

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
    let segment = segment(frame)?;
    let ours = segment.source == own && segment.ports.contains(&PORT);
    (ours && segment.length > KEEPALIVE).then_some(segment.length)
}

/// TCP over IPv4.
pub(super) struct Segment<'a> {
    pub(super) source: [u8; 4],
    /// From and to.
    pub(super) ports: [u16; 2],
    /// How many octets it carries.
    pub(super) length: usize,
    /// As many of them as were read.
    pub(super) octets: &'a [u8],
}

/// What of TCP a frame holds.
pub(super) fn segment(frame: &[u8]) -> Option<Segment<'_>> {
    let packet = frame.get(14..)?;
    if frame.get(12..14)? != [8, 0] || packet.get(9) != Some(&6) {
        return None;
    }
    let short = |octets: &[u8], at: usize| {
        let pair = octets.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(pair))
    };
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(short(packet, 2)?);
    let segment = packet.get(header..)?;
    let offset = usize::from(segment.get(12)? >> 4) * 4;
    let length = total.checked_sub(header + offset)?;
    let octets = segment.get(offset..)?;
    Some(Segment {
        source: packet.get(12..16)?.try_into().ok()?,
        ports: [short(segment, 0)?, short(segment, 2)?],
        length,
        octets: octets.get(..length).unwrap_or(octets),
    })
}
