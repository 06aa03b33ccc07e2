//! Every BGP session of every node, as the speakers report them.
//!
//! A session that the configuration asks for and no speaker reports is shown, too.
//!
//! Not here: which Services need them (`explain`).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use herald_crds::{BfdSession, BgpSession, MemberPeer};
use herald_model::bgp::{Opening, Target};
use serde::Serialize;

use crate::facts::Facts;
use crate::table::table;

/// The state of a session that routes go over.
const ESTABLISHED: &str = "Established";

/// The state shown where a speaker says nothing of a session.
const UNREPORTED: &str = "Unreported";

/// What is shown; the same in both forms of output.
#[derive(Debug, Serialize)]
pub(crate) struct Sessions {
    /// By node, then by peer.
    sessions: Vec<Session>,
}

/// One session of one node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    pub(crate) node: String,
    /// The BGPPeer.
    pub(crate) peer: String,
    /// The router's address; the interface it is looked for on while it is not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    router: Option<String>,
    /// As RFC 4271 names it, or `Unreported`.
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// `Node` or `Router`.
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_by: Option<String>,
    /// The router is to open the connection, and has not.
    #[serde(skip)]
    is_awaited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes_sent: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes_wished: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bfd: Option<BfdSession>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_time: Option<String>,
    /// What the last attempt since then came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_attempt: Option<String>,
    /// What the router's operator said when it closed the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    shutdown_text: Option<String>,
    /// Why the report may not be what runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
    /// The report holds no more.
    #[serde(skip)]
    is_lost: bool,
}

impl Session {
    /// Routes go over it, as far as is known.
    pub(crate) fn is_established(&self) -> bool {
        self.state == ESTABLISHED && !self.is_lost
    }

    /// It may have ended since.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// Everything that may be wrong with it, in words; empty when nothing is known to be.
    pub(crate) fn trouble(&self) -> String {
        let said = self.shutdown_text.as_ref().filter(|text| {
            let error = self.last_error.as_ref();
            error.is_none_or(|error| !error.contains(text.as_str()))
        });
        let said = said.map(|text| format!("the router said \"{text}\""));
        let awaited = self.is_awaited && self.last_error.is_none();
        let awaited = awaited.then(|| "the router is to open the connection".to_owned());
        let error = self
            .last_error
            .as_ref()
            .map(|error| match &self.last_error_time {
                Some(time) => format!("{error} (at {time})"),
                None => error.clone(),
            });
        let attempt = self.last_attempt.as_ref();
        let attempt = attempt.map(|attempt| format!("since then: {attempt}"));
        let parts = [self.doubt.clone(), error, said, attempt, awaited];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// `Established since 2026-01-01T00:00:00Z`.
    pub(crate) fn standing(&self) -> String {
        match &self.since {
            Some(since) => format!("{} since {since}", self.state),
            None => self.state.clone(),
        }
    }
}

/// The sessions of these nodes, or of all.
///
/// # Errors
/// There is no such node.
pub(crate) fn sessions(facts: &Facts, nodes: &[String]) -> anyhow::Result<Sessions> {
    let known = facts.routes.keys().chain(facts.speakers.keys());
    let known: BTreeSet<&str> = known.map(String::as_str).collect();
    for node in nodes {
        if !known.contains(node.as_str()) {
            let known: Vec<&str> = known.into_iter().collect();
            bail!(
                "there is no node {node}: the nodes are {}",
                known.join(", ")
            );
        }
    }
    let wanted = known.into_iter();
    let wanted = wanted.filter(|node| nodes.is_empty() || nodes.iter().any(|name| name == node));
    Ok(Sessions {
        sessions: wanted.flat_map(|node| of_node(facts, node)).collect(),
    })
}

/// The sessions of a node, by peer: those it reports, and those it should have.
pub(crate) fn of_node(facts: &Facts, node: &str) -> Vec<Session> {
    let speaker = facts.speakers.get(node);
    let reported = speaker.and_then(|speaker| speaker.status.as_ref());
    let reported = reported.into_iter().flat_map(|s| &s.bgp_sessions);
    let mut sessions: BTreeMap<String, Session> = reported
        .map(|session| (session.peer.clone(), reported_one(facts, node, session)))
        .collect();
    let wished = facts.routes.get(node);
    for peer in wished.into_iter().flat_map(|routes| routes.peers.keys()) {
        let unreported = || unreported(facts, node, peer, speaker.is_some());
        sessions.entry(peer.clone()).or_insert_with(unreported);
    }
    sessions.into_values().collect()
}

fn reported_one(facts: &Facts, node: &str, session: &BgpSession) -> Session {
    let (is_lost, doubt) = doubt(facts, node);
    Session {
        node: node.to_owned(),
        peer: session.peer.clone(),
        router: session
            .router
            .clone()
            .or_else(|| router(facts, &session.peer)),
        state: session.state.clone(),
        since: session.since.as_ref().map(|since| since.0.to_string()),
        opened_by: session.opened_by.clone(),
        is_awaited: session.opened_by.is_none()
            && opening(facts, &session.peer) == Opening::Passive,
        prefixes_sent: session.prefixes_sent,
        prefixes_wished: session.prefixes_wished,
        bfd: session.bfd.clone(),
        last_error: session.last_error.clone(),
        last_error_time: session
            .last_error_time
            .as_ref()
            .map(|time| time.0.to_string()),
        last_attempt: session.last_attempt.clone(),
        shutdown_text: session.shutdown_text.clone(),
        doubt,
        is_lost,
    }
}

/// A session that is asked for and that nobody reports.
fn unreported(facts: &Facts, node: &str, peer: &str, has_speaker: bool) -> Session {
    let why = match has_speaker {
        false => format!("there is no Speaker for {node}"),
        true => format!("the speaker of {node} does not report it yet"),
    };
    Session {
        node: node.to_owned(),
        peer: peer.to_owned(),
        router: router(facts, peer),
        state: UNREPORTED.to_owned(),
        since: None,
        opened_by: None,
        is_awaited: false,
        prefixes_sent: None,
        prefixes_wished: None,
        bfd: None,
        last_error: None,
        last_error_time: None,
        last_attempt: None,
        shutdown_text: None,
        doubt: Some(why),
        is_lost: false,
    }
}

fn opening(facts: &Facts, peer: &str) -> Opening {
    let peer = facts.compiled.config.bgp.peers.get(peer);
    peer.map(|peer| peer.dialing.opening).unwrap_or_default()
}

fn router(facts: &Facts, peer: &str) -> Option<String> {
    let peer = facts.compiled.config.bgp.peers.get(peer)?;
    Some(match &peer.dialing.target {
        Target::Address(address) => address.to_string(),
        Target::LinkLocal { address, interface } => format!("{address}%{interface}"),
        Target::Interface(interface) => interface.clone(),
    })
}

/// Whether the last that a speaker reported holds no more, and what makes one doubt it. Beacons that
/// are not heard are no proof, since something may stand in their way alone.
fn doubt(facts: &Facts, node: &str) -> (bool, Option<String>) {
    let others = facts.speakers.iter().filter(|(name, _)| *name != node);
    let peers = others.flat_map(|(_, s)| s.status.iter().flat_map(|s| &s.peers));
    let said: Vec<&MemberPeer> = peers.filter(|peer| peer.node == node).collect();
    if said.is_empty() || said.iter().any(|peer| peer.state == "Alive") {
        return (false, None);
    }
    if !facts.is_node_ready(node) {
        let why = format!(
            "no other speaker hears {node}, its Node is not Ready, and this is the last that its speaker reported"
        );
        return (true, Some(why));
    }
    let refusing = said.iter().any(|peer| peer.state == "Refusing");
    let why =
        || format!("other speakers say that none runs on {node}: this may be its last report");
    (false, refusing.then(why))
}

/// For people.
pub(crate) fn text(sessions: &Sessions) -> String {
    if sessions.sessions.is_empty() {
        return "NODE  none: a BGPPeer makes sessions\n".to_owned();
    }
    let rows: Vec<[String; 9]> = sessions.sessions.iter().map(row).collect();
    table(
        [
            "NODE",
            "PEER",
            "ROUTER",
            "STATE",
            "SINCE",
            "OPENED BY",
            "SENT",
            "BFD",
            "LAST ERROR",
        ],
        &rows,
    )
}

/// `Up 150 ms`: the state, and how long a silence is noticed after.
fn bfd(bfd: &BfdSession) -> String {
    match bfd.detection_time {
        Some(time) => format!("{} {} ms", bfd.state, time / 1000),
        None => bfd.state.clone(),
    }
}

fn row(session: &Session) -> [String; 9] {
    let sent = match (session.prefixes_sent, session.prefixes_wished) {
        (Some(sent), Some(wished)) => format!("{sent} of {wished}"),
        (_, _) => String::new(),
    };
    [
        session.node.clone(),
        session.peer.clone(),
        session.router.clone().unwrap_or_default(),
        session.state.clone(),
        session.since.clone().unwrap_or_default(),
        session.opened_by.clone().unwrap_or_default(),
        sent,
        session.bfd.as_ref().map(bfd).unwrap_or_default(),
        session.trouble(),
    ]
}
