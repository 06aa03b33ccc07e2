//! What there is to do about an address, and what goes before what.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::{Frame, Limits};

/// One thing to do. It is made into frames when its turn comes, not before: a big takeover does not
/// wait until all its frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// First pass: the broadcast that corrects every cache (A4, first).
    Call,
    /// First pass: a question to each gateway (A4, third).
    Gateways,
    /// First pass: the reply form, for who ignores requests (A4, second; IPv4 only).
    Reply,
    /// First pass: a word to each who asked lately (A4, fourth).
    Requesters,
    /// Ask a gateway once more, or stop asking, after so many questions (A6).
    Retry { gateway: IpAddr, asked: usize },
    /// Check whether somebody else uses the address, for the n-th time (A11).
    Probe(usize),
    /// Say it again (A5, N5).
    Repeat,
    /// Keep caches and switches from forgetting (A7).
    Refresh,
}

/// Queues of a lane. What stands first in a lane's [`Order`] leaves first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Defences and questions of the shell.
    Urgent,
    Call,
    Gateways,
    Reply,
    Requesters,
    Retry,
    Probe,
    Repeat,
    Refresh,
}

/// All queues of a lane, in order of precedence.
pub(super) type Order = [Class; 9];

/// Every address gets its broadcast before any gets more, and no pass begins a second time while
/// another is at its first (A4).
const GENEROUS: Order = [
    Class::Urgent,
    Class::Call,
    Class::Gateways,
    Class::Reply,
    Class::Retry,
    Class::Probe,
    Class::Requesters,
    Class::Repeat,
    Class::Refresh,
];

/// Gateways, remembered clients, broadcast (A8).
const FRUGAL: Order = [
    Class::Urgent,
    Class::Gateways,
    Class::Requesters,
    Class::Call,
    Class::Reply,
    Class::Retry,
    Class::Probe,
    Class::Repeat,
    Class::Refresh,
];

/// The order that fits a budget.
pub(super) const fn order(limits: Limits) -> &'static Order {
    if limits.are_small() {
        &FRUGAL
    } else {
        &GENEROUS
    }
}

/// The parts of the first pass that `order` has after `done`; all of them if nothing is done.
pub(super) fn first_pass(
    order: &'static Order,
    done: Option<Act>,
) -> impl Iterator<Item = Act> + use<> {
    let parts = order.iter().filter_map(|class| match class {
        Class::Call => Some(Act::Call),
        Class::Gateways => Some(Act::Gateways),
        Class::Reply => Some(Act::Reply),
        Class::Requesters => Some(Act::Requesters),
        Class::Urgent | Class::Retry | Class::Probe | Class::Repeat | Class::Refresh => None,
    });
    let mut passed = done.is_none();
    parts.filter(move |part| {
        let after = passed;
        passed |= Some(*part) == done;
        after
    })
}

impl Act {
    /// The queue it waits in.
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Call => Class::Call,
            Self::Gateways => Class::Gateways,
            Self::Reply => Class::Reply,
            Self::Requesters => Class::Requesters,
            Self::Retry { .. } => Class::Retry,
            Self::Probe(_) => Class::Probe,
            Self::Repeat => Class::Repeat,
            Self::Refresh => Class::Refresh,
        }
    }
}

/// Something to do about an address, as long as it is the same acquisition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Task {
    pub act: Act,
    pub address: IpAddr,
    pub generation: u64,
}

/// What a frame does besides being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It announces.
    Announce,
    /// It announces to a gateway, and is asked until that answers (A6).
    Tell(IpAddr),
    /// It announces to a gateway that has been told.
    Remind(IpAddr),
    /// It is the n-th check whether somebody else uses the address.
    Probe(usize),
    /// It asks for an address on behalf of the shell.
    Ask(IpAddr),
    /// It asks a gateway on behalf of the shell.
    AskGateway(IpAddr),
}

/// A frame in a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    /// It may leave only while this is owned, in this acquisition.
    pub subject: Option<(IpAddr, u64)>,
    pub purpose: Purpose,
    pub frame: Frame,
}

/// When an IPv4 announcement is repeated after the first (A5). Over one second apart: Linux ignores
/// what comes within its `locktime`.
const REPEAT_IPV4: [Duration; 5] = [
    Duration::from_millis(1_100),
    Duration::from_millis(2_200),
    Duration::from_millis(3_300),
    Duration::from_millis(4_400),
    Duration::from_secs(15),
];

/// MAX_NEIGHBOR_ADVERTISEMENT = 3, RetransTimer = 1 s (RFC 4861 §7.2.6, §10).
const REPEAT_IPV6: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// When to repeat an announcement of `address` that was made now.
pub(super) fn repeats(address: IpAddr, now: Instant) -> impl Iterator<Item = Instant> {
    let ladder: &[Duration] = if address.is_ipv4() {
        &REPEAT_IPV4
    } else {
        &REPEAT_IPV6
    };
    ladder.iter().map(move |delay| now + *delay)
}

/// When to refresh `address` after this time: in 60 s ± 10 %, always the same for one place, so that
/// what was taken together does not stay together (A7).
pub(super) fn refresh(address: IpAddr, interface: u32, now: Instant) -> Instant {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    // FNV-1a.
    let hash = octets
        .iter()
        .chain(&interface.to_be_bytes())
        .fold(0x811c_9dc5_u32, |hash, octet| {
            (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
        });
    now + Duration::from_millis(54_000 + u64::from(hash % 12_001))
}
