//! The words of the door: what a peer gives back, and what it can be asked.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::session::collision::Side;
use crate::{Asn, Cease, Families, Notification, Time};

/// A TCP connection with the peer, as the shell and the peer call it. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Octets for a connection. Nothing more comes for it until [`crate::Peer::handle_sent`] says that
/// the socket took them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// For which connection.
    pub connection: ConnectionId,
    /// Whole messages, at most 128 KiB.
    pub bytes: Vec<u8>,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection and tell by [`crate::Peer::handle_connected`] or
    /// [`crate::Peer::handle_closed`]; what takes longer than the time until then is given up by a
    /// [`Action::Close`].
    Connect(ConnectionId),
    /// Write what is left of the last [`Transmit`], then these octets, as far as the socket takes them
    /// soon, and close. The peer does not know this connection any more.
    Close {
        /// Which.
        connection: ConnectionId,
        /// A NOTIFICATION; empty where none is to be sent.
        last_words: Vec<u8>,
    },
}

/// What is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session is established.
    Established,
    /// A session that was established ended.
    Lost(Reason),
    /// An attempt failed before it was established.
    Failed(Reason),
    /// Every route that was wished for when the session was established has been handed out.
    Synchronized,
    /// An UPDATE had to be mended (RFC 7606).
    Malformed(crate::codec::Fault),
    /// Draining is over: everything was withdrawn and the session is closed.
    Drained,
}

/// States of RFC 4271 section 8.2.2, later ones greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing is tried, or not yet again.
    Idle,
    /// Waiting for TCP.
    Connect,
    /// Waiting to try TCP again, or for the peer to.
    Active,
    /// Waiting for an OPEN.
    OpenSent,
    /// Waiting for a KEEPALIVE.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

impl State {
    /// All of them, for metrics and tables.
    pub const ALL: [Self; 6] = [
        Self::Idle,
        Self::Connect,
        Self::Active,
        Self::OpenSent,
        Self::OpenConfirm,
        Self::Established,
    ];

    /// As RFC 4271 spells it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why no session is tried although one is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// [`crate::Peer::stop`] or a finished drain; [`crate::Peer::start`] ends it.
    Stopped,
    /// BFD is not up and the session is strict about it.
    Bfd,
    /// Until the next attempt.
    Retry(Time),
}

/// Why a session or an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The peer said so.
    Received(Notification),
    /// We said so.
    Sent(Notification),
    /// TCP could not be opened, or broke; in the shell's words.
    Transport(String),
    /// TCP did not come up within the connect time.
    ConnectTimeout,
    /// [`Stop::Restart`]: without a word.
    Restart,
    /// The peer opened a new connection while graceful restart was agreed on (RFC 4724 section 5).
    Replaced,
}

impl Reason {
    /// Says nothing about why there was a session and is none: TCP does not come up, or the peer closes
    /// what it does not want just now.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Transport(_) | Self::ConnectTimeout | Self::Replaced => true,
            Self::Received(told) => [Cease::ConnectionRejected, Cease::CollisionResolution]
                .map(Notification::cease)
                .iter()
                .any(|cease| (cease.code, cease.subcode) == (told.code, told.subcode)),
            Self::Sent(_) | Self::Restart => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(notification) => write!(f, "the peer said: {notification}"),
            Self::Sent(notification) => write!(f, "told the peer: {notification}"),
            Self::Transport(words) => f.write_str(words),
            Self::ConnectTimeout => f.write_str("no answer to the attempt to connect"),
            Self::Restart => f.write_str("closed for a restart of this speaker"),
            Self::Replaced => f.write_str("the peer restarted and opened a new connection"),
        }
    }
}

/// Why there is no session, or why the last one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When it was.
    pub at: Time,
    /// What it was.
    pub reason: Reason,
    /// It explains more than that an attempt failed: attempts that fail after it do not replace it.
    pub stays: bool,
    /// What the last attempt since then came to; none once a session is established.
    pub attempt: Option<Reason>,
}

/// Why a session is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// For good, with a text for the operator there: 6/2, as a hard reset where the peer would keep
    /// the routes.
    Shutdown(String),
    /// The peer is no longer configured: 6/3, as a hard reset likewise.
    Deconfigured,
    /// To be started again, with a text: 6/4.
    Reset(String),
    /// To be started with another configuration: 6/6.
    ConfigurationChange,
    /// Something ran out: 6/8.
    OutOfResources,
    /// This speaker will be back: TCP is closed without a NOTIFICATION, so that a peer that agreed on
    /// graceful restart keeps the routes (RFC 4724).
    Restart,
}

/// What BFD says of the path to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BfdState {
    /// Nothing yet, or down.
    #[default]
    Down,
    /// The path works.
    Up,
    /// The peer switched BFD off: no failure (RFC 5882 section 3.2).
    AdminDown,
}

/// What the two ends agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The peer's AS number.
    pub peer_as: Asn,
    /// The peer's BGP identifier.
    pub peer_id: Ipv4Addr,
    /// The peer is of our AS.
    pub internal: bool,
    /// Zero: neither end watches.
    pub hold_time: Duration,
    /// Between our KEEPALIVEs; zero: none.
    pub keepalive_time: Duration,
    /// What routes may be exchanged of.
    pub families: Families,
    /// AS numbers take four octets (RFC 6793).
    pub four_octet_as: bool,
    /// The peer told the capability of route refresh (RFC 2918). It is answered in any case.
    pub route_refresh: bool,
    /// And is told where the answer begins and ends (RFC 7313).
    pub enhanced_refresh: bool,
    /// Messages of up to 65 535 octets (RFC 8654).
    pub extended_messages: bool,
    /// IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// The peer told the capability of graceful restart, and wants markers of the end.
    pub end_of_rib: bool,
    /// The peer keeps our routes while this speaker restarts (RFC 4724).
    pub graceful_restart: bool,
    /// The peer may restart itself and come back by a new connection.
    pub peer_restarts: bool,
    /// Graceful restart covers NOTIFICATIONs (RFC 8538): only a hard reset flushes.
    pub notification: bool,
    /// What the peer says it is to us (RFC 9234), as its number.
    pub peer_role: Option<u8>,
    /// Codes of all capabilities of the peer, ascending.
    pub peer_capabilities: Vec<u8>,
}

/// Messages by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messages {
    /// OPEN.
    pub open: u64,
    /// UPDATE.
    pub update: u64,
    /// NOTIFICATION.
    pub notification: u64,
    /// KEEPALIVE.
    pub keepalive: u64,
    /// ROUTE-REFRESH.
    pub refresh: u64,
    /// Octets of all of them.
    pub octets: u64,
}

/// Why prefixes of the wish cannot be told to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The family was not agreed on.
    Family,
    /// There is no address to use as their next hop.
    NextHop,
    /// Their attributes do not fit a message.
    TooLong,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Family => "the peer did not agree to exchange routes of this address family",
            Self::NextHop => "this node has no address of the family to give as next hop",
            Self::TooLong => "the attributes do not fit a message: use fewer communities",
        })
    }
}

/// How things are, for status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The state of the connection that is furthest.
    pub state: State,
    /// Since when.
    pub since: Time,
    /// Why nothing is tried just now.
    pub waiting: Option<Waiting>,
    /// Why the last session or attempt ended; it stays when a session is established.
    pub last_error: Option<LastError>,
    /// The last text for the operator that the peer sent with a shutdown or reset.
    pub shutdown_text: Option<String>,
    /// Who opened the connection of a session; from OpenSent on.
    pub opened_by: Option<Side>,
    /// Local address of the connection of a session.
    pub local: Option<IpAddr>,
    /// What was agreed on; from OpenConfirm on.
    pub negotiated: Option<Negotiated>,
    /// Routes are on their way out (R3): withdrawn from then on.
    pub draining: Option<Time>,
    /// Prefixes of the wish.
    pub wished: usize,
    /// Prefixes that were handed out and not withdrawn.
    pub sent: usize,
    /// Prefixes of the wish that cannot be told, and why.
    pub untold: Vec<(Obstacle, usize)>,
    /// The wish has been handed out, whole.
    pub synchronized: bool,
    /// Prefixes that the peer announces, without those that come back from this AS.
    pub received: usize,
    /// The peer announces a default route of these families.
    pub received_default: Families,
    /// Messages sent since the peer was made.
    pub messages_sent: Messages,
    /// Messages received since the peer was made.
    pub messages_received: Messages,
    /// How often a session was established since the peer was made.
    pub established: u64,
    /// UPDATEs that had to be mended (RFC 7606).
    pub malformed: u64,
}
