//! From the address to a node that answers for it: the speakers' side.

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_crds::{QUORUM, READY, SpeakerInterface};
use herald_model::address::Family;
use herald_model::announce::Obstacle;
use herald_model::bgp;
use herald_model::service::ServiceKey;

use super::request::ours_or_fail;
use super::{Failure, Finding, Found};
use crate::facts::Facts;

/// The first address that cannot be announced on the LAN and should be, and why.
fn obstacle<'a>(facts: &'a Facts, key: &ServiceKey) -> Option<&'a Obstacle> {
    let mut addresses = on_lan(facts, key).into_iter();
    addresses.find_map(|address| facts.obstacle(key, address))
}

pub(super) fn held(facts: &Facts, key: &ServiceKey) -> Result<Vec<IpAddr>, Failure> {
    Ok(ours_or_fail(facts, key)?.held.clone())
}

/// The Service's addresses that are not for routers alone.
pub(super) fn on_lan(facts: &Facts, key: &ServiceKey) -> Vec<IpAddr> {
    let held = held(facts, key).unwrap_or_default().into_iter();
    held.filter(|address| !facts.is_only_routed(key, *address))
        .collect()
}

pub(super) fn pool(facts: &Facts, key: &ServiceKey) -> Finding {
    match obstacle(facts, key) {
        Some(obstacle @ Obstacle::NoPool { .. }) => Err(Failure::new(
            obstacle.to_string(),
            "add the address to a pool, or let the Service ask for another one",
        )),
        Some(obstacle @ Obstacle::AddressUnusable { .. }) => Err(Failure::new(
            obstacle.to_string(),
            "nobody announces it while it belongs to somebody else, and the Service keeps it: it is announced again once it is free; annotation heraldlb.io/loadBalancerIPs asks for another one",
        )),
        Some(_) | None => {
            let places = facts.plan.places(key).iter();
            let pools: Vec<&str> = places.map(|place| place.pool.as_str()).collect();
            let config = &facts.compiled.config;
            let is_absent = |name: &&&str| {
                !config.pools.contains_key(**name) && !config.quarantined_pools.contains(**name)
            };
            match pools.iter().find(is_absent) {
                Some(absent) => Err(Failure::new(
                    format!("IPAddressPool {absent} does not exist"),
                    format!(
                        "create {absent} again: when other pools are in force, the address stays for the --pool-grace of the controller (60 s), and the Service moves to another pool then"
                    ),
                )),
                None => Ok(Found::new(pools.join(" and "))),
            }
        }
    }
}

pub(super) fn advertised(facts: &Facts, key: &ServiceKey) -> Finding {
    match obstacle(facts, key) {
        Some(obstacle @ Obstacle::NoAdvertisement { .. }) => Err(Failure::new(
            obstacle.to_string(),
            "an L2Advertisement with an empty spec announces every pool on the LAN, and a BGPAdvertisement to every router",
        )
        .with(unfit(facts, key))),
        Some(obstacle @ Obstacle::ServiceNotSelected { .. }) => Err(Failure::new(
            obstacle.to_string(),
            "label the Service, or change spec.serviceSelectors",
        )
        .with(unfit(facts, key))),
        Some(_) | None => {
            let config = &facts.compiled.config;
            let places = facts.plan.places(key);
            let is_for = |pools: &Option<BTreeSet<String>>| {
                let mut places = places.iter();
                pools
                    .as_ref()
                    .is_none_or(|names| places.any(|place| names.contains(&place.pool)))
            };
            let on_lan = config.l2_advertisements.iter();
            let on_lan = on_lan.filter(|ad| is_for(&ad.pools));
            let on_lan: Vec<&str> = on_lan.map(|ad| ad.name.as_str()).collect();
            let routed = config.bgp.advertisements.iter();
            let routed = routed.filter(|ad| is_for(&ad.pools));
            let routed: Vec<&str> = routed.map(|ad| ad.name.as_str()).collect();
            let lists = [("L2Advertisement", on_lan), ("BGPAdvertisement", routed)];
            let said = lists.iter().filter(|(_, names)| !names.is_empty());
            let said = said.map(|(kind, names)| format!("{kind} {}", names.join(", ")));
            Ok(Found::new(said.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// BGPAdvertisements for the pool that are not for the Service, each node's word said once.
fn unfit(facts: &Facts, key: &ServiceKey) -> Vec<String> {
    let addresses = on_lan(facts, key).into_iter();
    let mut lines: Vec<String> = addresses
        .flat_map(|address| {
            let verdicts = facts.route_verdicts(key, address);
            verdicts.filter_map(|(node, verdict)| match verdict {
                Err(obstacle @ bgp::Obstacle::ServiceNotSelected { .. }) => {
                    Some(format!("node {node} {obstacle}"))
                }
                Ok(_) | Err(_) => None,
            })
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

pub(super) fn eligible(facts: &Facts, key: &ServiceKey) -> Finding {
    if let Some(obstacle) = obstacle(facts, key) {
        let (wrong, advice) = match obstacle {
            Obstacle::EveryNode { address, .. } => (
                format!("no node may announce {address}"),
                "change what stands against one of the nodes",
            ),
            Obstacle::NoNodes => (obstacle.to_string(), "join a node"),
            Obstacle::SharedElsewhere { .. } => (obstacle.to_string(), "see the sentence above"),
            Obstacle::AddressUnusable { .. }
            | Obstacle::NoEndpoints { .. }
            | Obstacle::NoPool { .. }
            | Obstacle::NoAdvertisement { .. }
            | Obstacle::ServiceNotSelected { .. } => (obstacle.to_string(), "see the checks above"),
        };
        return Err(Failure::new(wrong, advice).with(nodes(facts, key)));
    }
    let mut found = Vec::new();
    for address in on_lan(facts, key) {
        let announcement = facts.desired.addresses.get(&address);
        let candidates = announcement.map(|a| a.candidates.keys().cloned().collect::<Vec<_>>());
        found.push(format!(
            "{address} on {}",
            candidates.unwrap_or_default().join(", ")
        ));
    }
    Ok(Found::new(found.join("; ")).with(nodes(facts, key)))
}

/// What stands against nodes, or makes them the last choice, each said once.
fn nodes(facts: &Facts, key: &ServiceKey) -> Vec<String> {
    let verdicts = facts
        .desired
        .verdicts
        .get(key)
        .into_iter()
        .flat_map(|v| v.values());
    let mut lines: Vec<String> = verdicts
        .flat_map(|verdict| verdict.nodes.iter())
        .map(|(node, obstacle)| format!("node {node} {obstacle}"))
        .collect();
    for (address, announcement) in &facts.desired.addresses {
        if announcement.services.contains(key) {
            let family = Family::of(*address);
            let candidates = announcement.candidates.iter();
            lines.extend(candidates.filter_map(|(node, candidate)| {
                Some(format!(
                    "node {node} {}",
                    candidate.reluctance.remark(family)?
                ))
            }));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

pub(super) fn owner(facts: &Facts, key: &ServiceKey) -> Finding {
    let mut found = Vec::new();
    let mut strange = Vec::new();
    for address in on_lan(facts, key) {
        let Some((node, _)) = facts.owner(key, &address.to_string()) else {
            if let Some(failure) = no_majority(facts, address) {
                return Err(failure);
            }
            return Err(Failure::new(
                format!("no speaker reports that it answers for {address}"),
                "see the speakers of the eligible nodes: heraldctl status, then the log of the speaker: kubectl logs -n herald-system -l app.kubernetes.io/component=speaker",
            ));
        };
        let candidates = facts.desired.addresses.get(&address).map(|a| &a.candidates);
        if !candidates.is_some_and(|candidates| candidates.contains_key(node)) {
            strange.push(format!(
                "{node} is not eligible at this moment and {address} should move soon"
            ));
        }
        found.push(format!("{address} on {node}"));
    }
    let text = found.join(", ");
    Ok(match strange.as_slice() {
        [] => Found::new(text),
        [..] => Found::remark(text).with(strange),
    })
}

/// Nobody owns the address, since none of its candidates hears a majority of the speakers.
fn no_majority(facts: &Facts, address: IpAddr) -> Option<Failure> {
    let candidates = &facts.desired.addresses.get(&address)?.candidates;
    let quorum = |node: &String| {
        let status = facts.speakers.get(node)?.status.as_ref()?;
        let mut conditions = status.conditions.iter();
        conditions.find(|condition| condition.type_ == QUORUM)
    };
    let conditions: Vec<_> = candidates.keys().filter_map(quorum).collect();
    let first = conditions.first()?;
    let none = conditions
        .iter()
        .all(|condition| condition.status == "False");
    none.then(|| {
        Failure::new(
            format!("no speaker answers for {address}: {}", first.message),
            "see which speakers hear each other: heraldctl status; beacons are UDP, to the port of --beacon-port",
        )
    })
}

/// Who reports to answer for one address.
struct Owner<'a> {
    address: String,
    node: &'a str,
    interfaces: &'a [String],
}

/// The owners of the Service's addresses, as far as they are known.
fn owners<'a>(facts: &'a Facts, key: &ServiceKey) -> Result<Vec<Owner<'a>>, Failure> {
    let addresses = on_lan(facts, key).into_iter();
    let addresses = addresses.map(|address| address.to_string());
    let owners = addresses.filter_map(|address| {
        let (node, interfaces) = facts.owner(key, &address)?;
        Some(Owner {
            address,
            node,
            interfaces,
        })
    });
    Ok(owners.collect())
}

pub(super) fn speaker(facts: &Facts, key: &ServiceKey) -> Finding {
    let mut found = Vec::new();
    for Owner { node, .. } in owners(facts, key)? {
        let pods =
            "kubectl get pods -n herald-system -l app.kubernetes.io/component=speaker -o wide";
        let Some(speaker) = facts.speakers.get(node) else {
            return Err(Failure::new(
                format!("there is no Speaker for node {node}"),
                format!("see whether a speaker runs there: {pods}"),
            ));
        };
        let conditions = speaker.status.iter().flat_map(|status| &status.conditions);
        let ready = conditions
            .clone()
            .find(|condition| condition.type_ == READY);
        match ready {
            Some(ready) if ready.status == "True" => found.push(format!("{node} is Ready")),
            Some(ready) => {
                return Err(Failure::new(
                    format!("the speaker of {node} is not Ready: {}", ready.message),
                    format!("see its log and its pod: {pods}"),
                ));
            }
            None => {
                return Err(Failure::new(
                    format!("the speaker of {node} has not said whether it is Ready"),
                    format!("see whether it runs: {pods}"),
                ));
            }
        }
    }
    found.dedup();
    Ok(Found::new(found.join(", ")))
}

pub(super) fn interface(facts: &Facts, key: &ServiceKey) -> Finding {
    let mut found = Vec::new();
    for Owner {
        address,
        node,
        interfaces,
    } in owners(facts, key)?
    {
        let reported = facts
            .speakers
            .get(node)
            .and_then(|speaker| speaker.status.as_ref());
        let reported: &[SpeakerInterface] = reported.map_or(&[], |status| &status.interfaces);
        let unused = |interface: &SpeakerInterface| {
            interface
                .reason_not_used
                .clone()
                .map(|why| format!("{}: {why}", interface.name))
        };
        if interfaces.is_empty() {
            return Err(Failure::new(
                format!("{node} answers for {address} on no interface"),
                "bring an interface up, or change spec.interfaces of the L2Advertisement",
            )
            .with(reported.iter().filter_map(unused).collect()));
        }
        let names: Vec<String> = interfaces
            .iter()
            .map(|name| {
                let mac = reported
                    .iter()
                    .find(|i| i.name == *name)
                    .and_then(|i| i.mac.as_ref());
                mac.map_or_else(|| name.clone(), |mac| format!("{name} ({mac})"))
            })
            .collect();
        found.push(format!("{address} on {node}, {}", names.join(", ")));
    }
    Ok(Found::new(found.join("; ")))
}
