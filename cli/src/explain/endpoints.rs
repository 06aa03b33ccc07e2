//! Whether traffic for each address has an endpoint of its family to go to.
//!
//! Not here: what that means for each node (`address`, `routers`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use herald_config::service::{by_address, owner};
use herald_model::address::Family;
use herald_model::service::{Endpoint, Service, ServiceKey, TrafficPolicy, Usable};

use super::request::ours_or_fail;
use super::{Failure, Finding, Found};
use crate::facts::Facts;

/// How many nodes a line names.
const NAMED: usize = 5;

pub(super) fn endpoints(facts: &Facts, key: &ServiceKey) -> Finding {
    let service = ours_or_fail(facts, key)?;
    let slices = facts.cluster.slices.iter();
    let all = by_address(slices.filter(|slice| owner(slice).as_ref() == Some(key)));
    let held = service.held.iter();
    let lines = held.map(|address| line(*address, &all)).collect();
    let unserved = |address: &&IpAddr| service.usable(Family::of(**address)).is_none();
    if let Some(address) = service.held.iter().find(unserved) {
        return Err(failure(service, *address).with(lines));
    }
    let policy = match service.traffic_policy {
        TrafficPolicy::Cluster => "externalTrafficPolicy Cluster",
        TrafficPolicy::Local => "externalTrafficPolicy Local: only nodes with one may announce",
    };
    Ok(Found::new(format!("serving, {policy}")).with(lines))
}

/// Why no endpoint takes traffic for an address, and what to do.
fn failure(service: &Service, address: IpAddr) -> Failure {
    let family = Family::of(address);
    let other = family.other();
    let (namespace, name) = (service.key.namespace(), service.key.name());
    let slices =
        format!("kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={name}");
    let exists = |family| service.endpoints.iter().any(|e| e.family == family);
    if !exists(family) && exists(other) {
        let wrong = format!(
            "the Service has no {family} endpoint, and kube-proxy passes traffic for {address} to no {other} endpoint"
        );
        let advice = format!(
            "give the pods {family} addresses, or, if they are to have none, take {family} out of spec.ipFamilies (ipFamilyPolicy SingleStack): {slices}"
        );
        return Failure::new(wrong, advice);
    }
    let wrong = match exists(family) {
        false => "the Service has no endpoints".to_owned(),
        true => format!("no {family} endpoint of the Service is ready"),
    };
    Failure::new(
        wrong,
        format!(
            "an address without a serving endpoint of its family is not announced; compare spec.selector with the pods' labels and see whether the pods are Ready: {slices}"
        ),
    )
}

/// How many endpoints of some kind there are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    ready: usize,
    serving: usize,
    terminating: usize,
    unready: usize,
}

impl Tally {
    fn count(&mut self, endpoint: &Endpoint) {
        let kind = match endpoint.usable() {
            Some(Usable::Ready) => &mut self.ready,
            Some(Usable::Terminating) => &mut self.serving,
            None if endpoint.terminating => &mut self.terminating,
            None => &mut self.unready,
        };
        *kind += 1;
    }

    fn and(self, other: &Self) -> Self {
        Self {
            ready: self.ready + other.ready,
            serving: self.serving + other.serving,
            terminating: self.terminating + other.terminating,
            unready: self.unready + other.unready,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.ready, "ready"),
            (self.serving, "terminating and serving"),
            (self.terminating, "terminating"),
            (self.unready, "not ready"),
        ];
        let some = kinds.iter().filter(|(count, _)| *count > 0);
        let some: Vec<String> = some.map(|(n, kind)| format!("{n} {kind}")).collect();
        f.write_str(&some.join(", "))
    }
}

/// The endpoints of an address's family, by node.
fn line(address: IpAddr, all: &BTreeMap<IpAddr, Endpoint>) -> String {
    let family = Family::of(address);
    let mut nodes: BTreeMap<Option<&str>, Tally> = BTreeMap::new();
    for endpoint in all.values().filter(|endpoint| endpoint.family == family) {
        let tally = nodes.entry(endpoint.node.as_deref()).or_default();
        tally.count(endpoint);
    }
    if nodes.is_empty() {
        return format!("{address}: no {family} endpoints");
    }
    let on = |(node, tally): (&Option<&str>, &Tally)| match node {
        Some(node) => format!("{tally} on {node}"),
        None => format!("{tally} on no node that is named"),
    };
    let mut said: Vec<String> = nodes.iter().take(NAMED).map(on).collect();
    let more = nodes.len().saturating_sub(NAMED);
    if more > 0 {
        let rest = nodes
            .values()
            .skip(NAMED)
            .fold(Tally::default(), Tally::and);
        let word = if more == 1 { "node" } else { "nodes" };
        said.push(format!("and {rest} on {more} more {word}"));
    }
    format!("{address}: {family} endpoints: {}", said.join("; "))
}
