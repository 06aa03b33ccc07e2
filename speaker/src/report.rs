//! What this node says about itself and about the addresses it announces. Pure: objects' status is
//! computed here and written by `publish`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use herald_beacon::NodeId;
use herald_crds::{
    Layer2Announcement, MemberPeer, Membership, QUORUM, SpeakerInterface, SpeakerStatus,
};
use herald_model::service::ServiceKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::fast::Telling;
use crate::intent::Holding;
use crate::links::{Link, NotUsed};
use crate::ports::Usage;
use crate::routers;
use crate::strict_arp::Answered;
use crate::world::{READY, STOPPING};

/// Everything the status of a Speaker is made of.
pub(crate) struct Facts<'a> {
    pub usages: &'a [Usage],
    pub answered: &'a [Answered],
    pub stopping: bool,
    pub before: Option<&'a SpeakerStatus>,
    pub beacon_address: Option<SocketAddr>,
    pub telling: &'a Telling,
    pub names: &'a BTreeMap<NodeId, String>,
    /// This node's name.
    pub me: &'a str,
    pub sessions: &'a routers::States,
    /// The same moment by two clocks.
    pub boot: Duration,
    pub now: Timestamp,
}

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Saying {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

/// The status of this node's Speaker object. Transition times of conditions and peers that say the
/// same as `before` are kept.
pub(crate) fn speaker_status(facts: &Facts<'_>) -> SpeakerStatus {
    let Facts {
        usages,
        answered,
        stopping,
        before,
        telling,
        now,
        ..
    } = *facts;
    let sayings = [
        ready(usages, stopping),
        strict_arp(answered),
        quorum(telling),
        heard(facts),
    ];
    SpeakerStatus {
        interfaces: usages
            .iter()
            .filter(|usage| is_of_interest(usage))
            .map(interface)
            .collect(),
        beacon_address: facts.beacon_address.map(|address| address.to_string()),
        membership: telling.member.then(|| membership(facts)),
        peers: peers(facts),
        scheduling: Some(telling.class.to_string()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        conditions: sayings
            .into_iter()
            .map(|saying| condition(saying, before, now))
            .collect(),
        bgp_sessions: routers::sessions(
            facts.sessions,
            before.map_or(&[], |before| &before.bgp_sessions),
            facts.boot,
            now,
        ),
    }
}

fn name(facts: &Facts<'_>, id: NodeId) -> String {
    let name = facts.names.get(&id).cloned();
    // Its Node object is gone, and with it the name.
    name.unwrap_or_else(|| format!("{id:016x}"))
}

fn membership(facts: &Facts<'_>) -> Membership {
    let members = facts.telling.members.iter();
    let mut members: Vec<String> = members.map(|id| name(facts, *id)).collect();
    members.sort();
    Membership {
        view: i64::try_from(facts.telling.view).unwrap_or(i64::MAX),
        members,
        quorum: facts.telling.quorum,
    }
}

fn peers(facts: &Facts<'_>) -> Vec<MemberPeer> {
    let me = crate::cluster::id(facts.me);
    let others = facts.telling.members.iter().filter(|id| **id != me);
    let peer = |id: &NodeId| {
        let node = name(facts, *id);
        let state = if facts.telling.live.contains(id) {
            "Alive"
        } else if facts.telling.refusing.contains(id) {
            "Refusing"
        } else {
            "Silent"
        };
        let mut known = facts.before.into_iter().flat_map(|before| &before.peers);
        let same = known.find(|peer| peer.node == node && peer.state == state);
        MemberPeer {
            since: same.map_or(Some(Time(facts.now)), |peer| peer.since.clone()),
            state: state.to_owned(),
            node,
        }
    };
    let mut peers: Vec<MemberPeer> = others.map(peer).collect();
    peers.sort_by(|a, b| a.node.cmp(&b.node));
    peers
}

fn quorum(telling: &Telling) -> Saying {
    let members = telling.voters.len();
    let live = telling.voters.intersection(&telling.live).count();
    let speakers = if telling.voters == telling.members {
        "speakers"
    } else {
        "voting speakers"
    };
    let (holds, reason, message) = if !telling.member {
        (
            false,
            "NotAMember",
            "the speaker is not in the membership yet: it waits for the Secret herald-beacon, which \
             the controller makes, and for the other speakers to hear it and let it in"
                .to_owned(),
        )
    } else if telling.quorum {
        (
            true,
            "Majority",
            format!("{live} of {members} {speakers} are heard"),
        )
    } else {
        (
            false,
            "NoMajority",
            format!(
                "only {live} of {members} {speakers} are heard, fewer than a majority: check that UDP \
                 beacons pass between the nodes; nodes that are gone for good are forgotten when \
                 their Node object is deleted"
            ),
        )
    };
    Saying {
        kind: QUORUM,
        holds,
        reason,
        message,
    }
}

/// Whether announcing reaches somebody, as far as the speakers can tell.
fn heard(facts: &Facts<'_>) -> Saying {
    let me = crate::cluster::id(facts.me);
    let unheard = facts.telling.unheard.get(&me);
    let names = facts.usages.iter().map(|usage| usage.link.name.as_str());
    let names = names.filter(|name| unheard.is_some_and(|links| links.contains(&Link::id(name))));
    let names: Vec<&str> = names.collect();
    let (holds, reason, message) = if names.is_empty() {
        let message = "no other speaker says otherwise".to_owned();
        (true, "NotMissed", message)
    } else {
        let message = format!(
            "on {} the other speakers hear each other and not this node, and no gateway answers: its \
             addresses there go to others; check the port of the switch and the VLAN",
            names.join(", ")
        );
        (false, "Unheard", message)
    };
    Saying {
        kind: "Heard",
        holds,
        reason,
        message,
    }
}

/// What this node announces for each Service, ordered by the address as text.
pub(crate) fn announcements(
    node: &str,
    owned: &BTreeMap<IpAddr, Holding>,
    telling: &Telling,
) -> BTreeMap<ServiceKey, Vec<Layer2Announcement>> {
    let mut announcements: BTreeMap<ServiceKey, Vec<Layer2Announcement>> = BTreeMap::new();
    for (address, holding) in owned {
        let Some(held) = telling.held.get(address) else {
            continue;
        };
        for service in &holding.services {
            let entries = announcements.entry(service.clone()).or_default();
            entries.push(Layer2Announcement {
                address: address.to_string(),
                node: node.to_owned(),
                interfaces: holding.interfaces.iter().cloned().collect(),
                since: Some(Time(held.since)),
                epoch: Some(i64::try_from(held.epoch).unwrap_or(i64::MAX)),
                gateway_acknowledged: held.acknowledged.map(Time),
            });
        }
    }
    for entries in announcements.values_mut() {
        entries.sort_by(|a, b| a.address.cmp(&b.address));
    }
    announcements
}

fn ready(usages: &[Usage], stopping: bool) -> Saying {
    let saying = |holds, reason, message| Saying {
        kind: READY,
        holds,
        reason,
        message,
    };
    if stopping {
        return saying(false, STOPPING, "the speaker is about to end".to_owned());
    }
    let used: Vec<&str> = usages
        .iter()
        .filter(|usage| usage.used.is_ok())
        .map(|usage| usage.link.name.as_str())
        .collect();
    if !used.is_empty() {
        return saying(
            true,
            "Announcing",
            format!("announces on {}", used.join(", ")),
        );
    }
    let refusal = usages.iter().find_map(|usage| match &usage.used {
        Err(NotUsed::NoSocket { error }) => Some(error.clone()),
        _ => None,
    });
    match refusal {
        Some(error) => saying(false, "NoSocket", error),
        None => saying(
            false,
            "NoInterface",
            "no interface of this node can be announced on: see status.interfaces, and the \
             flag --exclude-interfaces"
                .to_owned(),
        ),
    }
}

fn strict_arp(answered: &[Answered]) -> Saying {
    match answered.first() {
        None => Saying {
            kind: "StrictARP",
            holds: true,
            reason: "OnlySpeakerAnswers",
            message: "the kernel answers ARP for no service address".to_owned(),
        },
        Some(first) => Saying {
            kind: "StrictARP",
            holds: false,
            reason: "KernelAnswers",
            message: first.to_string(),
        },
    }
}

/// Ends of pods' cables come and go with every pod; they are nobody's question.
fn is_of_interest(usage: &Usage) -> bool {
    !matches!(
        usage.used,
        Err(NotUsed::Excluded { .. } | NotUsed::Loopback)
    )
}

fn interface(usage: &Usage) -> SpeakerInterface {
    let addresses = usage.link.addresses.iter();
    SpeakerInterface {
        name: usage.link.name.clone(),
        index: Some(usage.index.into()),
        mac: usage.link.mac.map(|mac| mac.to_string()),
        addresses: addresses
            .map(|(address, length)| format!("{address}/{length}"))
            .collect(),
        reason_not_used: usage.used.as_ref().err().map(ToString::to_string),
    }
}

fn condition(saying: Saying, before: Option<&SpeakerStatus>, now: Timestamp) -> Condition {
    let status = if saying.holds { "True" } else { "False" };
    let known = before.into_iter().flat_map(|before| &before.conditions);
    let same = known
        .filter(|condition| condition.type_ == saying.kind && condition.status == status)
        .map(|condition| condition.last_transition_time.clone())
        .next();
    Condition {
        type_: saying.kind.to_owned(),
        status: status.to_owned(),
        reason: saying.reason.to_owned(),
        message: saying.message,
        last_transition_time: same.unwrap_or(Time(now)),
        observed_generation: None,
    }
}

#[cfg(test)]
mod tests;
