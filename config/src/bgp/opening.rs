//! Who opens the connection of a session, and which peers' connections cannot be told apart.

use std::collections::BTreeMap;

use herald_crds::{BGPPeerSpec, ConnectionMode};
use herald_model::bgp::{Opening, Password, Peer, TcpAoKey};
use herald_model::labels::any_or_all;

use crate::node::NodeFacts;
use crate::problem::{Reason, Report};

/// Who opens it; none where only a later version knows.
pub(super) fn translate(spec: &BGPPeerSpec, report: &mut Report<'_>) -> Option<Opening> {
    Some(match spec.connection_mode {
        ConnectionMode::Active => Opening::Active,
        ConnectionMode::Passive => Opening::Passive,
        ConnectionMode::Both => Opening::Both,
        ConnectionMode::Unknown => {
            let message = "the value is not known to this version; write Active, Passive or Both";
            let field = "spec.connectionMode";
            report.reject(field, Reason::UnknownValue, message.to_owned());
            return None;
        }
    })
}

/// Of two peers that wait for the same router on the same node: the later by name, the field to change,
/// and why. A connection says from where it comes and where to, and nothing else.
pub(super) fn conflicts(
    peers: &BTreeMap<String, Peer>,
    nodes: Option<&BTreeMap<String, NodeFacts>>,
) -> Vec<(String, &'static str, String)> {
    let waiting = peers
        .values()
        .filter(|peer| peer.dialing.opening != Opening::Active);
    let waiting: Vec<&Peer> = waiting.collect();
    let mut conflicts = Vec::new();
    for (i, second) in waiting.iter().enumerate() {
        let others = waiting.iter().take(i).filter(|first| {
            (&first.dialing.target, &first.dialing.vrf)
                == (&second.dialing.target, &second.dialing.vrf)
                && meet(first, second, nodes)
        });
        let conflict = others
            .filter_map(|first| Some((first, told(first, second)?)))
            .next();
        if let Some((first, (field, message))) = conflict {
            let message = format!(
                "BGPPeer {} waits for connections of the same router, {message}",
                first.name
            );
            conflicts.push((second.name.clone(), field, message));
        }
    }
    conflicts
}

/// What does not go together, with the field to change.
fn told(first: &Peer, second: &Peer) -> Option<(&'static str, &'static str)> {
    if first.dialing.source == second.dialing.source {
        let message = "and gets them all; write connectionMode: Active, or a sourceAddress of its own \
                       for each";
        Some(("spec.connectionMode", message))
    } else if keys(first) != keys(second) {
        let message = "and its password holds for both, as the kernel knows one for each address; make \
                       the Secrets agree";
        Some(("spec.passwordSecret", message))
    } else {
        None
    }
}

fn keys(peer: &Peer) -> (Option<&Password>, &[TcpAoKey]) {
    let security = &peer.security;
    (security.password.as_ref(), &security.tcp_ao)
}

/// Whether some node keeps both sessions. Without nodes to look at, as far as the selectors tell.
fn meet(first: &Peer, second: &Peer, nodes: Option<&BTreeMap<String, NodeFacts>>) -> bool {
    let (one, other) = (&first.node_selectors, &second.node_selectors);
    nodes.map_or(one == other, |nodes| {
        let mut labels = nodes.values().map(|node| &node.labels);
        labels.any(|labels| any_or_all(one, labels) && any_or_all(other, labels))
    })
}
