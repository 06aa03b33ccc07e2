//! The whole installation on one screen.
//!
//! Not here: how the screen is laid out (`screen`).

mod screen;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_config::ObjectRef;
use herald_crds::{BGPAdvertisement, BGPPeer, READY};
use herald_model::pool as model;
use herald_model::service::ServiceKey;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::facts::Facts;
use crate::{pools, sessions};
pub(crate) use screen::text;

/// What is shown; the same in both forms of output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// The controller replica that leads.
    leader: Option<String>,
    pools: Vec<Pool>,
    advertisements: Vec<Advertisement>,
    bgp_advertisements: Vec<BgpAdvertisement>,
    bgp_peers: Vec<BgpPeer>,
    speakers: Vec<SpeakerLine>,
    services: Vec<ServiceLine>,
    /// What is wrong with objects, one sentence each.
    problems: Vec<String>,
    /// What works and may not be what was meant.
    notices: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pool {
    name: String,
    addresses: Vec<String>,
    /// By what Services hold at this moment; absent for a pool that is set aside.
    counts: Option<Counts>,
    accepted: bool,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    #[serde(rename = "assignedIPv4")]
    assigned_ipv4: i64,
    #[serde(rename = "availableIPv4")]
    available_ipv4: i64,
    #[serde(rename = "assignedIPv6")]
    assigned_ipv6: i64,
    #[serde(rename = "availableIPv6")]
    available_ipv6: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Advertisement {
    name: String,
    /// `None` means all.
    pools: Option<Vec<String>>,
    accepted: bool,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BgpAdvertisement {
    name: String,
    /// `None` means all.
    pools: Option<Vec<String>>,
    /// `None` means all.
    peers: Option<Vec<String>>,
    accepted: bool,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BgpPeer {
    name: String,
    /// The router's address, or the interface it is found on.
    router: String,
    accepted: bool,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpeakerLine {
    node: String,
    /// `True`, `False`, `Unknown`, or `Missing` for a node without a Speaker.
    ready: String,
    interfaces: Vec<String>,
    /// How many of the membership it hears, itself included; none before it is a member.
    hears: Option<String>,
    /// Addresses the speaker reports to answer for.
    owns: Vec<String>,
    /// BGP sessions it is to have, and how many of them are established.
    sessions: Established,
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Established {
    established: usize,
    of: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceLine {
    service: String,
    addresses: Vec<String>,
    /// Those that answer for an address, and those that announce one to a router.
    nodes: Vec<String>,
    state: State,
    /// Why it is not announced.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum State {
    /// A node answers for every address, or a router knows it.
    Announced,
    /// It has addresses and some node may announce them, but none reports that it does.
    Waiting,
    /// It has addresses that no node may announce.
    NotAnnounced,
    /// It has no address.
    Pending,
}

/// Pure: everything that [`text`] shows.
pub(crate) fn status(facts: &Facts) -> Status {
    let (notices, problems): (Vec<_>, Vec<_>) = facts
        .compiled
        .problems
        .iter()
        .chain(&facts.service_problems)
        .partition(|problem| problem.is_notice());
    Status {
        leader: facts.leader().map(str::to_owned),
        pools: pool_lines(facts),
        advertisements: advertisements(facts),
        bgp_advertisements: bgp_advertisements(facts),
        bgp_peers: bgp_peers(facts),
        speakers: speakers(facts),
        services: facts
            .services
            .keys()
            .map(|key| service(facts, key))
            .collect(),
        problems: problems.into_iter().map(ToString::to_string).collect(),
        notices: notices.into_iter().map(ToString::to_string).collect(),
    }
}

fn pool_lines(facts: &Facts) -> Vec<Pool> {
    let mut pools: Vec<Pool> = facts
        .cluster
        .pools
        .iter()
        .map(|pool| {
            let name = pool.name_any();
            let verdict = facts
                .compiled
                .verdict(&ObjectRef::new("IPAddressPool", &name));
            Pool {
                addresses: pool.spec.addresses.clone(),
                counts: facts
                    .compiled
                    .config
                    .pools
                    .get(&name)
                    .map(|pool| counts(facts, pool)),
                accepted: verdict.accepted,
                reason: verdict.reason,
                name,
            }
        })
        .collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    pools
}

/// What Services hold, not what the controller would give them next.
fn counts(facts: &Facts, pool: &model::Pool) -> Counts {
    let (four, six) = pools::counts(facts, pool);
    Counts {
        assigned_ipv4: four.assigned,
        available_ipv4: four.available,
        assigned_ipv6: six.assigned,
        available_ipv6: six.available,
    }
}

fn advertisements(facts: &Facts) -> Vec<Advertisement> {
    let mut advertisements: Vec<Advertisement> = facts
        .cluster
        .l2_advertisements
        .iter()
        .map(|object| {
            let name = object.name_any();
            let verdict = facts
                .compiled
                .verdict(&ObjectRef::new("L2Advertisement", &name));
            let in_force = &facts.compiled.config.l2_advertisements;
            let resolved = in_force.iter().find(|ad| ad.name == name);
            Advertisement {
                pools: match resolved {
                    Some(ad) => ad.pools.clone().map(|pools| pools.into_iter().collect()),
                    None => Some(Vec::new()),
                },
                accepted: verdict.accepted,
                reason: verdict.reason,
                name,
            }
        })
        .collect();
    advertisements.sort_by(|a, b| a.name.cmp(&b.name));
    advertisements
}

fn bgp_advertisements(facts: &Facts) -> Vec<BgpAdvertisement> {
    let written = facts.cluster.bgp_advertisements.iter();
    let line = |object: &BGPAdvertisement| {
        let name = object.name_any();
        let object = ObjectRef::new("BGPAdvertisement", &name);
        let verdict = facts.compiled.verdict(&object);
        let mut in_force = facts.compiled.config.bgp.advertisements.iter();
        let resolved = in_force.find(|ad| ad.name == name);
        let names = |names: &BTreeSet<String>| names.iter().cloned().collect();
        let (pools, peers) = match resolved {
            Some(ad) => (ad.pools.as_ref().map(names), ad.peers.as_ref().map(names)),
            None => (Some(Vec::new()), Some(Vec::new())),
        };
        BgpAdvertisement {
            name,
            pools,
            peers,
            accepted: verdict.accepted,
            reason: verdict.reason,
        }
    };
    let mut advertisements: Vec<BgpAdvertisement> = written.map(line).collect();
    advertisements.sort_by(|a, b| a.name.cmp(&b.name));
    advertisements
}

fn bgp_peers(facts: &Facts) -> Vec<BgpPeer> {
    let line = |object: &BGPPeer| {
        let name = object.name_any();
        let verdict = facts.compiled.verdict(&ObjectRef::new("BGPPeer", &name));
        let spec = &object.spec;
        let router = spec.peer_address.as_ref().or(spec.interface.as_ref());
        BgpPeer {
            router: router.cloned().unwrap_or_default(),
            accepted: verdict.accepted,
            reason: verdict.reason,
            name,
        }
    };
    let mut peers: Vec<BgpPeer> = facts.cluster.bgp_peers.iter().map(line).collect();
    peers.sort_by(|a, b| a.name.cmp(&b.name));
    peers
}

fn speakers(facts: &Facts) -> Vec<SpeakerLine> {
    let nodes = facts.cluster.nodes.iter().map(|node| node.name_any());
    let mut names: Vec<String> = nodes.chain(facts.speakers.keys().cloned()).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|node| speaker(facts, node)).collect()
}

fn speaker(facts: &Facts, node: String) -> SpeakerLine {
    let status = facts
        .speakers
        .get(&node)
        .map(|speaker| speaker.status.clone().unwrap_or_default());
    let ready = match &status {
        None => "Missing".to_owned(),
        Some(status) => {
            let ready = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == READY);
            ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone())
        }
    };
    let announcements = facts
        .announcements
        .values()
        .filter_map(|a| a.status.as_ref());
    let mut owns: Vec<String> = announcements
        .flat_map(|status| &status.layer2)
        .filter(|entry| entry.node == node)
        .map(|entry| entry.address.clone())
        .collect();
    owns.sort();
    owns.dedup();
    let status = status.unwrap_or_default();
    let alive = status.peers.iter().filter(|peer| peer.state == "Alive");
    let alive = alive.count() + 1;
    let hears = status.membership.as_ref();
    let hears = hears.map(|membership| format!("{alive} of {}", membership.members.len()));
    let used = status
        .interfaces
        .into_iter()
        .filter(|i| i.reason_not_used.is_none());
    let sessions = sessions::of_node(facts, &node);
    let established = sessions.iter().filter(|one| one.is_established());
    let sessions = Established {
        established: established.count(),
        of: sessions.len(),
    };
    SpeakerLine {
        sessions,
        node,
        ready,
        interfaces: used.map(|interface| interface.name).collect(),
        hears,
        owns,
        version: status.version,
    }
}

fn service(facts: &Facts, key: &ServiceKey) -> ServiceLine {
    let held = facts.services.get(key).map(|s| s.held.clone());
    let addresses = held.unwrap_or_default();
    let mut nodes = BTreeSet::new();
    let mut all_announced = true;
    for address in &addresses {
        let owner = facts.owner(key, &address.to_string());
        let announcers = facts.announcers(key, *address);
        all_announced &= owner.is_some() || !announcers.is_empty();
        nodes.extend(owner.map(|(node, _)| node.to_owned()));
        nodes.extend(announcers.keys().map(|node| (*node).to_owned()));
    }
    let refusal = facts.plan.refuse.get(key).map(ToString::to_string);
    let unknown = addresses.iter();
    let mut unknown = unknown.filter(|address| facts.announcers(key, **address).is_empty());
    let obstacle = unknown.find_map(|address| {
        if facts.is_only_routed(key, *address) {
            let why = facts.unrouted(key, *address)?;
            return Some(format!("no node announces {address} to a router: {why}"));
        }
        facts.obstacle(key, *address).map(ToString::to_string)
    });
    let (state, message) = if addresses.is_empty() {
        let lagging = || "the controller has not given an address yet".to_owned();
        (State::Pending, refusal.unwrap_or_else(lagging))
    } else if let Some(obstacle) = obstacle {
        (State::NotAnnounced, obstacle)
    } else if all_announced {
        (State::Announced, refusal.unwrap_or_default())
    } else {
        (State::Waiting, waiting(facts, key, &addresses))
    };
    ServiceLine {
        service: key.to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        nodes: nodes.into_iter().collect(),
        state,
        message,
    }
}

/// What is missing while some address is announced by nobody.
fn waiting(facts: &Facts, key: &ServiceKey, addresses: &[IpAddr]) -> String {
    let is_routed = |address: &IpAddr| facts.is_only_routed(key, *address);
    let unknown = addresses
        .iter()
        .any(|address| is_routed(address) && facts.announcers(key, *address).is_empty());
    match unknown {
        true => "no router knows every address: see heraldctl sessions",
        false => "no speaker reports that it answers for every address",
    }
    .to_owned()
}
