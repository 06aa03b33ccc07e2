//! How watched paths are, for sessions, status and metrics. Pure.

use std::collections::BTreeMap;

use herald_bfd::{Negotiated, Path, Session, State};
use herald_bgp::BfdState;
use herald_crds::BfdSession;

/// Every watched path by its BGPPeer.
pub(crate) type Paths = BTreeMap<String, Seen>;

/// One path. Packet counts are left out, so that it changes only when something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    path: Path,
    state: State,
    negotiated: Option<Negotiated>,
    /// Why the router cannot be watched.
    pub(crate) trouble: Option<String>,
}

impl Seen {
    /// How a session is doing; `trouble` is what its packets meet with on this node.
    pub(super) fn of(session: &Session, trouble: Option<String>) -> Self {
        let snapshot = session.snapshot();
        Self {
            path: session.path(),
            state: snapshot.state,
            negotiated: snapshot.negotiated.filter(|_| snapshot.state == State::Up),
            trouble,
        }
    }

    pub(super) const fn path(&self) -> Path {
        self.path
    }

    /// In the words of BGP.
    pub(crate) fn bgp(&self) -> BfdState {
        match self.path {
            Path::Down => BfdState::Down,
            Path::AdminDown => BfdState::AdminDown,
            Path::Up => BfdState::Up,
        }
    }

    /// In the words of the status of a Speaker.
    pub(crate) fn status(&self) -> BfdSession {
        let micros = |of: fn(&Negotiated) -> std::time::Duration| {
            let time = self.negotiated.as_ref().map(of)?;
            i64::try_from(time.as_micros()).ok()
        };
        BfdSession {
            state: self.state.label().to_owned(),
            transmit_interval: micros(|negotiated| negotiated.transmit),
            receive_interval: micros(|negotiated| negotiated.receive),
            echo_interval: self.negotiated.as_ref().and_then(|negotiated| {
                let echo = negotiated.echo?;
                i64::try_from(echo.as_micros()).ok()
            }),
            detection_time: micros(|negotiated| negotiated.detection),
        }
    }
}
