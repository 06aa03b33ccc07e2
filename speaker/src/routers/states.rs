//! How sessions are doing, for status and metrics. Pure.

use std::collections::BTreeMap;
use std::io;

use herald_bgp::{Peer, Reason, Side, Snapshot, State, Time, Waiting};
use herald_crds::{BgpAnnouncement, BgpSession};
use herald_model::bgp::Routes;
use herald_model::service::ServiceKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time as Moment;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::bfd;
use super::dial;
use super::order::Order;
use super::place::Place;

/// Every session by its BGPPeer.
pub(crate) type States = BTreeMap<String, Session>;

/// One session. Message counts are left out, so that it changes only when something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// Where the router is; none while it is looked for.
    pub(crate) router: Option<String>,
    pub(crate) state: State,
    pub(crate) since: Time,
    /// Who opened the connection.
    pub(crate) opened_by: Option<Side>,
    pub(crate) last_error: Option<String>,
    /// When it was; none where it is how things are just now.
    pub(crate) last_error_at: Option<Time>,
    /// What the last attempt since then came to.
    pub(crate) last_attempt: Option<String>,
    pub(crate) shutdown_text: Option<String>,
    pub(crate) wished: usize,
    pub(crate) sent: usize,
    pub(crate) synchronized: bool,
    pub(crate) received: usize,
    pub(crate) established: u64,
    /// Why some or all prefixes are not told.
    pub(crate) untold: Option<String>,
    /// How the path is, where it is watched.
    pub(crate) bfd: Option<bfd::Seen>,
}

impl Session {
    /// How a door is doing that follows an order; `listening` is why the router's connections are not taken.
    pub(super) fn of(
        peer: &Peer,
        order: &Order,
        bfd: Option<bfd::Seen>,
        listening: Option<String>,
    ) -> Self {
        let Snapshot {
            state,
            since,
            waiting,
            opened_by,
            last_error,
            shutdown_text,
            wished,
            sent,
            untold,
            synchronized,
            received,
            established,
            ..
        } = peer.snapshot();
        let untold = untold.first();
        let trouble = bfd.as_ref().and_then(|bfd| bfd.trouble.clone());
        let trouble = order.unwatched.clone().or(trouble);
        let strict = (waiting == Some(Waiting::Bfd))
            .then(|| "no session is opened before BFD is up (bfdStrict)".to_owned());
        let doubt = order.doubt.clone();
        let doubt = doubt.filter(|_| state != State::Established);
        let place = order.dial.place();
        let standing = order.obstacle.clone().or(trouble).or(doubt).or(strict);
        let (last_error, last_error_at, last_attempt) = match (standing.or(listening), last_error) {
            (Some(standing), _) => (Some(standing), None, None),
            (None, Some(error)) => (
                Some(words(error.reason, order)),
                error.stays.then_some(error.at),
                error.attempt.map(|attempt| words(attempt, order)),
            ),
            (None, None) => (None, None, None),
        };
        Self {
            router: (place != Place::NOWHERE).then(|| place.to_string()),
            state,
            since,
            opened_by,
            last_error,
            last_error_at,
            last_attempt,
            shutdown_text,
            wished,
            sent,
            synchronized,
            received,
            established,
            untold: untold.map(|(why, count)| format!("{count} prefixes are not told: {why}")),
            bfd,
        }
    }

    /// A session that cannot be configured.
    pub(super) fn impossible(error: String) -> Self {
        Self {
            router: None,
            state: State::Idle,
            since: Time::ZERO,
            opened_by: None,
            last_error: Some(error),
            last_error_at: None,
            last_attempt: None,
            shutdown_text: None,
            wished: 0,
            sent: 0,
            synchronized: false,
            received: 0,
            established: 0,
            untold: None,
            bfd: None,
        }
    }

    /// Whether the router knows everything it is to know.
    fn told(&self) -> bool {
        self.state == State::Established && self.synchronized
    }
}

/// As the status says it.
fn words(reason: Reason, order: &Order) -> String {
    match reason {
        Reason::ConnectTimeout => dial::describe(&io::ErrorKind::TimedOut.into(), &order.dial),
        reason @ (Reason::Received(_)
        | Reason::Sent(_)
        | Reason::Transport(_)
        | Reason::Restart
        | Reason::Replaced) => reason.to_string(),
    }
}

/// Two looks at one moment may differ by this much, in seconds.
const SLACK: i64 = 2;

/// What the status of a Speaker says of its sessions; `before` is what it says now. `boot` and `now` are
/// the same moment.
pub(crate) fn sessions(
    states: &States,
    before: &[BgpSession],
    boot: Time,
    now: Timestamp,
) -> Vec<BgpSession> {
    let session = |(peer, session): (&String, &Session)| {
        let said = before.iter().find(|before| before.peer == *peer);
        let since = moment(
            session.since,
            said.and_then(|said| said.since.as_ref()),
            boot,
            now,
        );
        let untold = session.untold.clone();
        let told = untold.is_none();
        let error_at = session.last_error_at.filter(|_| told).map(|at| {
            let said = said.and_then(|said| said.last_error_time.as_ref());
            moment(at, said, boot, now)
        });
        let count = |n: usize| i64::try_from(n).ok();
        BgpSession {
            peer: peer.clone(),
            router: session.router.clone(),
            state: session.state.label().to_owned(),
            opened_by: session.opened_by.map(opener),
            since: Some(since),
            last_error: untold.or_else(|| session.last_error.clone()),
            last_error_time: error_at,
            last_attempt: session.last_attempt.clone().filter(|_| told),
            shutdown_text: session.shutdown_text.clone(),
            prefixes_wished: count(session.wished),
            prefixes_sent: count(session.sent),
            bfd: session.bfd.as_ref().map(bfd::Seen::status),
        }
    };
    states.iter().map(session).collect()
}

/// A moment as the status says it, to the second; what it `said` of it stays. `boot` and `now` are the same.
fn moment(at: Time, said: Option<&Moment>, boot: Time, now: Timestamp) -> Moment {
    let ago = SignedDuration::try_from(boot.saturating_sub(at)).unwrap_or_default();
    let at = now.checked_sub(ago).unwrap_or(now).as_second();
    let same = said.filter(|said| (said.0.as_second() - at).abs() <= SLACK);
    same.cloned()
        .unwrap_or_else(|| Moment(Timestamp::from_second(at).unwrap_or(now)))
}

/// As the status says it.
fn opener(side: Side) -> String {
    match side {
        Side::Ours => "Node".to_owned(),
        Side::Theirs => "Router".to_owned(),
    }
}

/// What this node announces to routers, by Service: what they know, not what is wished.
pub(crate) fn announcements(
    node: &str,
    routes: &Routes,
    states: &States,
) -> BTreeMap<ServiceKey, Vec<BgpAnnouncement>> {
    let mut announcements: BTreeMap<ServiceKey, Vec<BgpAnnouncement>> = BTreeMap::new();
    for (service, verdicts) in &routes.verdicts {
        let wished = verdicts.values().flatten().flatten();
        let mut peers: Vec<String> = wished
            .filter(|peer| states.get(*peer).is_some_and(Session::told))
            .cloned()
            .collect();
        peers.sort();
        peers.dedup();
        if !peers.is_empty() {
            let entry = BgpAnnouncement {
                node: node.to_owned(),
                peers,
            };
            announcements
                .entry(service.clone())
                .or_default()
                .push(entry);
        }
    }
    announcements
}

#[cfg(test)]
mod tests;
