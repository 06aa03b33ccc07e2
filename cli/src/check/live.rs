//! What manifests would change in a cluster: who loses, changes or gets an address.
//!
//! Not here: applying anything. Two plans are compared, one of the cluster as it is and one of the
//! cluster with the manifests laid over it, each made by the function the controller runs.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use herald_config::service::{ALLOCATED_FROM_POOL, Class, key};
use herald_config::{Objects, Problem};
use herald_model::alloc::{Change, Lost, Place};
use herald_model::service::ServiceKey;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;

use crate::cluster::Cluster;
use crate::facts::Facts;

/// What there is to say.
pub(super) struct Outcome {
    /// What would be wrong, and is not wrong already.
    pub(super) problems: Vec<Problem>,
    /// One sentence for each Service whose addresses would change.
    pub(super) changes: Vec<String>,
}

/// Compares the cluster with what it would be. Whatever the controller has yet to do anyway is not
/// blamed on the manifests.
pub(super) fn compare(
    cluster: Cluster,
    objects: Objects,
    services: Vec<Service>,
    class: &Class,
) -> Outcome {
    let laid_over = lay_over(cluster.clone(), objects, services);
    let before = Facts::new(cluster, class);
    let after = Facts::new(laid_over, class);
    let known: BTreeSet<&Problem> = problems(&before).collect();
    let new = problems(&after).filter(|problem| !known.contains(problem));
    let keys = before.services.keys().chain(after.services.keys());
    let keys: BTreeSet<&ServiceKey> = keys.collect();
    let changes = keys
        .into_iter()
        .filter_map(|key| change(&before, &after, key));
    Outcome {
        problems: new.cloned().collect(),
        changes: changes.collect(),
    }
}

fn problems(facts: &Facts) -> impl Iterator<Item = &Problem> {
    facts
        .compiled
        .problems
        .iter()
        .chain(&facts.service_problems)
}

/// What becomes of one Service, if it is not what would become of it anyway.
fn change(before: &Facts, after: &Facts, key: &ServiceKey) -> Option<String> {
    if before.plan.places(key) == after.plan.places(key) {
        let new = after.plan.refuse.get(key)?;
        let told = before.plan.refuse.get(key) != Some(new);
        return told.then(|| new.to_string());
    }
    let held = before.services.get(key).map(|service| &service.held);
    let has: Vec<String> = held
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let has = has.join(" and ");
    let refusal = after.plan.refuse.get(key).map(ToString::to_string);
    let refusal = refusal
        .map(|refusal| format!("; {refusal}"))
        .unwrap_or_default();
    if let Some(release) = after.plan.release.get(key) {
        let why = causes(&release.lost);
        return Some(format!("Service {key} loses {has}: {why}{refusal}"));
    }
    if !after.services.contains_key(key) {
        return Some(format!(
            "Service {key} loses {has}: it is not Herald's any more"
        ));
    }
    let Some(assignment) = after.plan.assign.get(key) else {
        return Some(format!("Service {key} keeps {has}{refusal}"));
    };
    let to = named(&assignment.places);
    Some(match &assignment.change {
        Change::New => format!("Service {key} gets {to}"),
        Change::Added(added) => {
            let places = assignment.places.iter();
            let new = places.filter(|place| added.contains(&place.address));
            let new: Vec<Place> = new.cloned().collect();
            format!("Service {key} gets {} besides {has}", named(&new))
        }
        Change::Moved(lost) => {
            let why = causes(lost);
            format!("Service {key} moves from {has} to {to}: {why}{refusal}")
        }
    })
}

fn named(places: &[Place]) -> String {
    let name = |place: &Place| format!("{} of pool {}", place.address, place.pool);
    let names: Vec<String> = places.iter().map(name).collect();
    names.join(" and ")
}

fn causes(lost: &[Lost]) -> String {
    let several = lost.len() > 1;
    let name = |lost: &Lost| match several {
        true => format!("{}: {}", lost.address, lost.cause),
        false => lost.cause.to_string(),
    };
    let names: Vec<String> = lost.iter().map(name).collect();
    names.join(", ")
}

/// The cluster as it would be.
fn lay_over(mut cluster: Cluster, objects: Objects, services: Vec<Service>) -> Cluster {
    let Objects {
        pools,
        reservations,
        l2_advertisements,
        bgp_advertisements,
        bgp_peers,
        bfd_profiles,
        communities,
        namespaces: _,
        nodes: _,
        infrastructure: _,
        external_ips: _,
    } = objects;
    replace(&mut cluster.pools, pools);
    replace(&mut cluster.reservations, reservations);
    replace(&mut cluster.l2_advertisements, l2_advertisements);
    replace(&mut cluster.bgp_advertisements, bgp_advertisements);
    replace(&mut cluster.bgp_peers, bgp_peers);
    replace(&mut cluster.bfd_profiles, bfd_profiles);
    replace(&mut cluster.communities, communities);
    for service in services {
        let live = cluster
            .services
            .iter_mut()
            .find(|live| key(live) == key(&service));
        match live {
            Some(live) => *live = over(live, service),
            None => cluster.services.push(newcomer(service)),
        }
    }
    cluster
}

/// Those of the manifests, each as old as the one it replaces.
fn replace<K: Resource>(live: &mut Vec<K>, manifests: Vec<K>) {
    for mut manifest in manifests {
        let same = |one: &K| one.meta().name == manifest.meta().name;
        match live.iter().position(same).and_then(|i| live.get_mut(i)) {
            Some(object) => {
                inherit(manifest.meta_mut(), object.meta());
                *object = manifest;
            }
            None => live.push(manifest),
        }
    }
}

fn inherit(meta: &mut ObjectMeta, live: &ObjectMeta) {
    meta.creation_timestamp = live.creation_timestamp.clone();
    meta.uid = live.uid.clone();
    meta.resource_version = live.resource_version.clone();
}

/// The Service with what it has in the cluster: its addresses, and where they are from.
fn over(live: &Service, mut manifest: Service) -> Service {
    inherit(&mut manifest.metadata, &live.metadata);
    manifest.status = live.status.clone();
    let annotations = live.metadata.annotations.as_ref();
    if let Some(pools) = annotations.and_then(|a| a.get(ALLOCATED_FROM_POOL)) {
        let own = manifest.metadata.annotations.get_or_insert_default();
        own.insert(ALLOCATED_FROM_POOL.to_owned(), pools.clone());
    }
    if let (Some(own), Some(live)) = (&mut manifest.spec, &live.spec)
        && own.cluster_ip.is_none()
    {
        own.cluster_ip = live.cluster_ip.clone();
        own.cluster_ips = live.cluster_ips.clone();
    }
    manifest
}

/// A Service that the API server has yet to give a cluster address; the youngest of all.
fn newcomer(mut manifest: Service) -> Service {
    let last = k8s_openapi::jiff::Timestamp::MAX;
    manifest.metadata.creation_timestamp = Some(Time(last));
    if let Some(spec) = &mut manifest.spec
        && spec.cluster_ip.is_none()
    {
        let families = spec.ip_families.clone().unwrap_or_default();
        let six = families.first().is_some_and(|family| family == "IPv6");
        let (first, second) = match six {
            true => ("::", "0.0.0.0"),
            false => ("0.0.0.0", "::"),
        };
        spec.cluster_ip = Some(first.to_owned());
        if families.len() > 1 || spec.ip_family_policy.as_deref() == Some("RequireDualStack") {
            spec.cluster_ips = Some(vec![first.to_owned(), second.to_owned()]);
        }
    }
    manifest
}
