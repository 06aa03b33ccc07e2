//! From the address to the routers that know it: sessions of the nodes that announce it.
//!
//! Not here: the LAN (`address`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_model::address::FewAddresses;
use herald_model::bgp::{Attributes, Bandwidth, Obstacle};
use herald_model::service::ServiceKey;

use super::address::held;
use super::{Failure, Finding, Found};
use crate::facts::Facts;
use crate::sessions::{self, Session};

/// The Service's addresses that some BGPAdvertisement is for.
pub(super) fn routed(facts: &Facts, key: &ServiceKey) -> Vec<IpAddr> {
    let held = held(facts, key).unwrap_or_default().into_iter();
    held.filter(|address| facts.is_routed(key, *address))
        .collect()
}

/// Which nodes announce each address, and what stands against the others.
pub(super) fn nodes(facts: &Facts, key: &ServiceKey) -> Finding {
    let mut found = Vec::new();
    let mut details = Vec::new();
    for address in routed(facts, key) {
        let mut announcing = Vec::new();
        let mut unmet = Vec::new();
        for (node, verdict) in facts.route_verdicts(key, address) {
            match verdict {
                Ok(peers) => {
                    let told = told(facts, node, peers, address);
                    announcing.push(weighed(node, &told));
                    if told.iter().any(|attributes| attributes.leaving) {
                        details.push(format!(
                            "node {node} is cordoned or about to go, and the routers' last choice"
                        ));
                    }
                }
                Err(obstacle) => {
                    details.push(format!("node {node} {obstacle}"));
                    unmet.push(obstacle);
                }
            }
        }
        if announcing.is_empty() {
            details.dedup();
            let wrong = format!("no node announces {address} to a router");
            return Err(Failure::new(wrong, advice(&unmet)).with(details));
        }
        found.push(format!("{address} from {}", announcing.join(", ")));
    }
    details.sort();
    details.dedup();
    Ok(Found::new(found.join("; ")).with(details))
}

/// How the prefixes look by which a node tells these peers of an address.
fn told<'a>(
    facts: &'a Facts,
    node: &str,
    peers: &BTreeSet<String>,
    address: IpAddr,
) -> Vec<&'a Attributes> {
    let told = facts.routes.get(node).map(|routes| &routes.peers);
    let told = told.into_iter().flatten();
    let prefixes = told
        .filter(|(peer, _)| peers.contains(*peer))
        .flat_map(|(_, prefixes)| prefixes);
    let there = prefixes.filter(|(prefix, _)| prefix.contains(&address));
    there.map(|(_, attributes)| attributes).collect()
}

/// A node, with its share of the traffic where it tells one.
fn weighed(node: &str, told: &[&Attributes]) -> String {
    let shares: BTreeSet<Bandwidth> = told.iter().filter_map(|a| a.link_bandwidth).collect();
    let shares: Vec<String> = shares.iter().map(ToString::to_string).collect();
    match shares.as_slice() {
        [] => node.to_owned(),
        [..] => format!("{node} (link bandwidth {})", shares.join(", ")),
    }
}

/// What to do when every node has one of these.
fn advice(obstacles: &[&Obstacle]) -> &'static str {
    let without_peer = |obstacle: &&Obstacle| matches!(obstacle, Obstacle::NoPeer { .. });
    if obstacles.iter().any(without_peer) {
        "create a BGPPeer that is Accepted, selects the nodes and carries the family of the address: heraldctl status shows those there are"
    } else {
        "change what stands against one of the nodes"
    }
}

/// The sessions that the announcing nodes have with the routers that are to know an address.
fn wanted(facts: &Facts, key: &ServiceKey) -> Vec<Session> {
    let mut wanted: Vec<Session> = Vec::new();
    for (node, routes) in &facts.routes {
        let verdicts = routes.verdicts.get(key);
        let verdicts = verdicts.into_iter().flat_map(FewAddresses::iter);
        let peers: Vec<&String> = verdicts
            .filter_map(|(_, verdict)| verdict.as_ref().ok())
            .flatten()
            .collect();
        if peers.is_empty() {
            continue;
        }
        let sessions = sessions::of_node(facts, node).into_iter();
        wanted.extend(sessions.filter(|session| peers.contains(&&session.peer)));
    }
    wanted
}

/// Whether the sessions that carry the address are established, and why not.
pub(super) fn sessions(facts: &Facts, key: &ServiceKey) -> Finding {
    let wanted = wanted(facts, key);
    let down: Vec<&Session> = wanted.iter().filter(|s| !s.is_established()).collect();
    let line = |session: &&Session| {
        let Session { node, peer, .. } = session;
        match session.trouble() {
            trouble if trouble.is_empty() => format!("{node} to {peer}: {}", session.standing()),
            trouble => format!("{node} to {peer}: {}: {trouble}", session.standing()),
        }
    };
    let doubted = wanted
        .iter()
        .filter(|s| s.is_established() && s.is_doubted());
    let lines: Vec<String> = down
        .iter()
        .copied()
        .chain(doubted)
        .map(|s| line(&s))
        .collect();
    let up = wanted.len() - down.len();
    let count = format!("{up} of {} established", wanted.len());
    match (up, lines.len()) {
        (0, _) => Err(Failure::new(
            format!("no session with a router is established: {count}"),
            "what each error means and what to do: docs/runbook.md, section A session is not established",
        )
        .with(lines)),
        (_, 0) => Ok(Found::new(count)),
        (_, _) => Ok(Found::remark(count).with(lines)),
    }
}

/// What the speakers report that routers know.
pub(super) fn known(facts: &Facts, key: &ServiceKey) -> Finding {
    let established: Vec<Session> = wanted(facts, key)
        .into_iter()
        .filter(Session::is_established)
        .collect();
    let mut found = Vec::new();
    let mut late = Vec::new();
    for address in routed(facts, key) {
        let announcers = facts.announcers(key, address);
        if announcers.is_empty() {
            return Err(Failure::new(
                format!("no speaker reports that a router knows {address}"),
                "a session was established lately, or prefixes are not told: heraldctl sessions, then the log of the speaker: kubectl logs -n herald-system -l app.kubernetes.io/component=speaker",
            ));
        }
        for Session { node, peer, .. } in &established {
            let wished = facts.routes.get(node).and_then(|routes| {
                let verdict = routes.verdicts.get(key)?.get(address)?;
                verdict.as_ref().ok()
            });
            let told = announcers.get(node.as_str());
            if wished.is_some_and(|peers| peers.contains(peer))
                && !told.is_some_and(|peers| peers.contains(peer.as_str()))
            {
                late.push(format!("{node} has not told {peer} everything yet"));
            }
        }
        let tellers = announcers.iter().map(|(node, peers)| {
            let peers: Vec<&str> = peers.iter().copied().collect();
            format!("{} by {node}", peers.join(", "))
        });
        let tellers: Vec<String> = tellers.collect();
        found.push(format!("{address} is told to {}", tellers.join("; ")));
    }
    late.sort();
    late.dedup();
    let text = found.join("; ");
    Ok(match late.as_slice() {
        [] => Found::new(text),
        [..] => Found::remark(text).with(late),
    })
}
