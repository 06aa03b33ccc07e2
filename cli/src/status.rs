//! The whole installation on one screen.

#[cfg(test)]
mod tests;

use herald_config::ObjectRef;
use herald_crds::READY;
use herald_model::pool as model;
use herald_model::service::ServiceKey;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::facts::Facts;
use crate::pools;
use crate::table::table;

/// What is shown; the same in both forms of output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// The controller replica that leads.
    leader: Option<String>,
    pools: Vec<Pool>,
    advertisements: Vec<Advertisement>,
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
struct SpeakerLine {
    node: String,
    /// `True`, `False`, `Unknown`, or `Missing` for a node without a Speaker.
    ready: String,
    interfaces: Vec<String>,
    /// How many of the membership it hears, itself included; none before it is a member.
    hears: Option<String>,
    /// Addresses the speaker reports to answer for.
    owns: Vec<String>,
    version: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceLine {
    service: String,
    addresses: Vec<String>,
    nodes: Vec<String>,
    state: State,
    /// Why it is not announced.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum State {
    /// A node answers for every address.
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
    SpeakerLine {
        node,
        ready,
        interfaces: used.map(|interface| interface.name).collect(),
        hears,
        owns,
        version: status.version,
    }
}

fn service(facts: &Facts, key: &ServiceKey) -> ServiceLine {
    let addresses: Vec<String> = facts
        .services
        .get(key)
        .map(|s| s.held.iter().map(ToString::to_string).collect())
        .unwrap_or_default();
    let mut nodes: Vec<String> = addresses
        .iter()
        .filter_map(|address| facts.owner(key, address))
        .map(|(node, _)| node.to_owned())
        .collect();
    let all_owned = nodes.len() == addresses.len();
    nodes.sort();
    nodes.dedup();
    let refusal = facts.plan.refuse.get(key).map(ToString::to_string);
    let verdicts = facts
        .desired
        .verdicts
        .get(key)
        .into_iter()
        .flat_map(|v| v.values());
    let obstacle = verdicts
        .filter_map(|verdict| verdict.obstacle.as_ref())
        .next();
    let (state, message) = if addresses.is_empty() {
        let lagging = || "the controller has not given an address yet".to_owned();
        (State::Pending, refusal.unwrap_or_else(lagging))
    } else if let Some(obstacle) = obstacle {
        (State::NotAnnounced, obstacle.to_string())
    } else if all_owned {
        (State::Announced, refusal.unwrap_or_default())
    } else {
        (
            State::Waiting,
            "no speaker reports that it answers for every address".to_owned(),
        )
    };
    ServiceLine {
        service: key.to_string(),
        addresses,
        nodes,
        state,
        message,
    }
}

/// For people.
pub(crate) fn text(status: &Status) -> String {
    let mut text = format!(
        "CONTROLLER  {}\n\n",
        status
            .leader
            .as_deref()
            .unwrap_or("no replica leads: no address is given or changed")
    );
    let pools: Vec<[String; 6]> = status.pools.iter().map(pool_row).collect();
    text += &section(
        "POOL",
        table(
            ["POOL", "ADDRESSES", "IPV4", "IPV6", "ACCEPTED", "REASON"],
            &pools,
        ),
        pools.is_empty(),
    );
    let advertisements: Vec<[String; 4]> = status
        .advertisements
        .iter()
        .map(advertisement_row)
        .collect();
    text += &section(
        "L2ADVERTISEMENT",
        table(
            ["L2ADVERTISEMENT", "POOLS", "ACCEPTED", "REASON"],
            &advertisements,
        ),
        advertisements.is_empty(),
    );
    let speakers: Vec<[String; 6]> = status.speakers.iter().map(speaker_row).collect();
    text += &section(
        "SPEAKER",
        table(
            ["SPEAKER", "READY", "HEARS", "INTERFACES", "OWNS", "VERSION"],
            &speakers,
        ),
        speakers.is_empty(),
    );
    let services: Vec<[String; 5]> = status.services.iter().map(service_row).collect();
    text += &section(
        "SERVICE",
        table(["SERVICE", "ADDRESSES", "NODE", "STATE", "WHY"], &services),
        services.is_empty(),
    );
    for (mark, sentences) in [("✗", &status.problems), ("!", &status.notices)] {
        for sentence in sentences {
            text += &format!("{mark} {sentence}\n");
        }
    }
    text
}

fn section(title: &str, table: String, empty: bool) -> String {
    if empty {
        format!("{title}  none\n\n")
    } else {
        table + "\n"
    }
}

fn accepted(accepted: bool) -> String {
    if accepted { "True" } else { "False" }.to_owned()
}

fn pool_row(pool: &Pool) -> [String; 6] {
    let used = |assigned: i64, available: i64| match (assigned, available) {
        (0, 0) => String::new(),
        (assigned, i64::MAX) => format!("{assigned} used"),
        (assigned, available) => format!("{assigned} used, {available} free"),
    };
    let counts = pool.counts.as_ref();
    [
        pool.name.clone(),
        pool.addresses.join(","),
        counts
            .map(|c| used(c.assigned_ipv4, c.available_ipv4))
            .unwrap_or_default(),
        counts
            .map(|c| used(c.assigned_ipv6, c.available_ipv6))
            .unwrap_or_default(),
        accepted(pool.accepted),
        pool.reason.to_owned(),
    ]
}

fn advertisement_row(advertisement: &Advertisement) -> [String; 4] {
    let pools = advertisement
        .pools
        .as_ref()
        .map_or_else(|| "all".to_owned(), |p| p.join(","));
    [
        advertisement.name.clone(),
        pools,
        accepted(advertisement.accepted),
        advertisement.reason.to_owned(),
    ]
}

fn speaker_row(speaker: &SpeakerLine) -> [String; 6] {
    [
        speaker.node.clone(),
        speaker.ready.clone(),
        speaker.hears.clone().unwrap_or_default(),
        speaker.interfaces.join(","),
        speaker.owns.join(","),
        speaker.version.clone().unwrap_or_default(),
    ]
}

fn service_row(service: &ServiceLine) -> [String; 5] {
    let state = match service.state {
        State::Announced => "Announced",
        State::Waiting => "Waiting",
        State::NotAnnounced => "NotAnnounced",
        State::Pending => "Pending",
    };
    [
        service.service.clone(),
        service.addresses.join(","),
        service.nodes.join(","),
        state.to_owned(),
        service.message.clone(),
    ]
}
