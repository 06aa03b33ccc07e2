//! What a station has to tell.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::{Claim, Mac};

/// Something the shell may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody else claims an address this node owns.
    Claimed(Claim),
    /// The first frame of an acquisition was handed out to be sent.
    Announced {
        /// The address.
        address: IpAddr,
        /// Interface index.
        interface: u32,
        /// When.
        at: Instant,
    },
    /// A gateway answered the question that an owned address asked it: it knows where the address
    /// is. Once per acquisition and gateway.
    Acknowledged {
        /// The address.
        address: IpAddr,
        /// Interface index.
        interface: u32,
        /// Who answered.
        gateway: IpAddr,
        /// From the first question of this acquisition to the answer.
        after: Duration,
    },
    /// A gateway let every question of an acquisition go unanswered. Once per acquisition and
    /// gateway; an [`Event::Acknowledged`] may still follow, when a refresh is answered.
    Unacknowledged {
        /// The address.
        address: IpAddr,
        /// Interface index.
        interface: u32,
        /// Who is silent.
        gateway: IpAddr,
    },
    /// Somebody else answered for, or announced, an address that [`crate::Station::ask`] asked for
    /// less than a second before. Every such frame is told.
    Answered {
        /// The address.
        address: IpAddr,
        /// Interface index.
        interface: u32,
        /// Who.
        mac: Mac,
        /// It is another node of this cluster.
        peer: bool,
        /// When the frame came in.
        at: Instant,
    },
    /// A gateway spoke less than a second after it was asked, by [`crate::Station::ask_gateways`]
    /// or on behalf of an owned address. Every such frame is told.
    GatewayAnswered {
        /// Interface index.
        interface: u32,
        /// Who.
        gateway: IpAddr,
        /// When the frame came in.
        at: Instant,
    },
}

/// Events waiting to be polled. Full: the newest is dropped.
const EVENTS: usize = 4096;

/// The queue of events.
#[derive(Debug, Default)]
pub(crate) struct Events(VecDeque<Event>);

impl Events {
    pub(crate) fn push(&mut self, event: Event) {
        if self.0.len() < EVENTS {
            self.0.push_back(event);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}
