//! The words of the door: what a station is told, and what it gives back.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::{Frame, Mac};

/// An interface to announce on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, for people.
    pub name: String,
    /// What its frames are sent from and addresses are announced at.
    pub mac: Mac,
    /// IPv6 source of advertisements; without one the announced address itself is used.
    pub link_local: Option<Ipv6Addr>,
    /// Next hops on this interface: told by a question of their own, and asked until they answer.
    pub gateways: Vec<IpAddr>,
    /// Grows whenever the interface came up again; everything owned is announced anew (A9).
    pub epoch: u64,
}

/// What this node owns of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Indexes of the interfaces it is announced on.
    pub interfaces: BTreeSet<u32>,
    /// When ownership ends by itself; checked before every frame. None: when told so.
    pub until: Option<Instant>,
    /// Nobody in the cluster announced it before: the LAN is asked first, and while a foreign host
    /// answers, the address is neither announced nor answered for (A11). Looked at only when the
    /// address is new on an interface; what comes later changes nothing.
    pub probe_first: bool,
}

/// Whom the link layer addressed a frame to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressed {
    /// This interface.
    Host,
    /// Everybody, or a group.
    Group,
    /// Somebody else; seen because of promiscuous mode.
    OtherHost,
}

/// A frame as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Interface index.
    pub interface: u32,
    /// Whom it was addressed to.
    pub addressed: Addressed,
    /// It carried a VLAN tag.
    pub tagged: bool,
    /// How long ago the kernel took it from the wire.
    pub age: Duration,
    /// The Ethernet frame, without tag and check sequence.
    pub bytes: &'a [u8],
}

/// A frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Interface index.
    pub interface: u32,
    /// The frame.
    pub frame: Frame,
}
