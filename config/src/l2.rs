//! L2Advertisements: pool names and selectors resolved, selectors and interfaces checked.

use std::collections::{BTreeMap, BTreeSet};

use herald_crds::{IPAddressPool, L2Advertisement as Object, L2AdvertisementSpec};
use herald_model::announce::L2Advertisement;
use herald_model::labels::{Labels, Selector, any_or_all};

use crate::node::NodeFacts;
use crate::objects::{Objects, unique};
use crate::problem::{ObjectRef, Problem, Reason, Report};
use crate::selector;

pub(crate) const KIND: &str = "L2Advertisement";

/// The usable advertisements, by name.
pub(crate) fn compile(objects: &Objects, problems: &mut Vec<Problem>) -> Vec<L2Advertisement> {
    let pools = pool_labels(&objects.pools);
    let mut advertisements = Vec::new();
    for (name, object) in unique(KIND, &objects.l2_advertisements, problems) {
        let mut report = Report::new(ObjectRef::new(KIND, &name), problems);
        let advertisement = translate(&name, object, &pools, objects.nodes.as_ref(), &mut report);
        if !report.is_quarantined() {
            advertisements.push(advertisement);
        }
    }
    advertisements
}

/// Every pool that exists, quarantined or not: an address that came from a quarantined pool stays
/// announced.
pub(crate) fn pool_labels(pools: &[IPAddressPool]) -> BTreeMap<String, Labels> {
    let labels = |pool: &IPAddressPool| pool.metadata.labels.clone().unwrap_or_default();
    let name = |pool: &IPAddressPool| pool.metadata.name.clone().unwrap_or_default();
    pools
        .iter()
        .map(|pool| (name(pool), labels(pool)))
        .collect()
}

fn translate(
    name: &str,
    object: &Object,
    pools: &BTreeMap<String, Labels>,
    nodes: Option<&BTreeMap<String, NodeFacts>>,
    report: &mut Report<'_>,
) -> L2Advertisement {
    let spec = &object.spec;
    let pools = selected_pools(
        &spec.ip_address_pools,
        &spec.ip_address_pool_selectors,
        pools,
        report,
    );
    let node_selectors = selector::list("spec.nodeSelectors", &spec.node_selectors, report);
    let preferred = preferred(spec, report);
    check_interfaces(&spec.interfaces, report);
    let service_selectors =
        selector::list("spec.serviceSelectors", &spec.service_selectors, report);
    if let Some(nodes) = nodes {
        let labels = nodes.values().map(|node| &node.labels);
        selector::note_idle(
            "spec.nodeSelectors",
            &node_selectors,
            labels,
            "node",
            report,
        );
        note_absent_interfaces(&spec.interfaces, &node_selectors, nodes, report);
    }
    L2Advertisement {
        name: name.to_owned(),
        pools,
        node_selectors,
        preferred,
        interfaces: spec.interfaces.clone(),
        service_selectors,
    }
}

/// The pools that names and selectors reach together; `None` when both are empty, which means all.
pub(crate) fn selected_pools(
    names: &[String],
    selectors: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector],
    pools: &BTreeMap<String, Labels>,
    report: &mut Report<'_>,
) -> Option<BTreeSet<String>> {
    if names.is_empty() && selectors.is_empty() {
        return None;
    }
    for (i, name) in names.iter().enumerate() {
        if !pools.contains_key(name) {
            report.note(
                format!("spec.ipAddressPools[{i}]"),
                Reason::UnknownPool,
                format!("there is no IPAddressPool {name}; create it or correct the name"),
            );
        }
    }
    let field = "spec.ipAddressPoolSelectors";
    let selectors = selector::list(field, selectors, report);
    selector::note_idle(field, &selectors, pools.values(), "IPAddressPool", report);
    let by_label = pools
        .iter()
        .filter(|(_, labels)| selectors.iter().any(|selector| selector.matches(labels)))
        .map(|(name, _)| name);
    Some(names.iter().chain(by_label).cloned().collect())
}

fn preferred(spec: &L2AdvertisementSpec, report: &mut Report<'_>) -> Vec<(u32, Selector)> {
    let mut preferred = Vec::new();
    for (i, entry) in spec.preferred_node_selectors.iter().enumerate() {
        let field = format!("spec.preferredNodeSelectors[{i}]");
        let selector = selector::one(&format!("{field}.preference"), &entry.preference, report);
        let weight = u32::try_from(entry.weight)
            .ok()
            .filter(|weight| (1..=100).contains(weight));
        if weight.is_none() {
            let message = format!("{} is not a weight; write 1 to 100", entry.weight);
            report.reject(format!("{field}.weight"), Reason::OutOfBounds, message);
        }
        preferred.extend(weight.zip(selector));
    }
    preferred
}

fn check_interfaces(interfaces: &[String], report: &mut Report<'_>) {
    for (i, name) in interfaces.iter().enumerate() {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '/') {
            report.reject(
                format!("spec.interfaces[{i}]"),
                Reason::InvalidInterface,
                format!("\"{name}\" cannot be the name of an interface; write a name (eth0) or a pattern (bond*)"),
            );
        }
    }
}

/// Only when every selected node has said which interfaces it can use.
fn note_absent_interfaces(
    wanted: &[String],
    node_selectors: &[Selector],
    nodes: &BTreeMap<String, NodeFacts>,
    report: &mut Report<'_>,
) {
    let selected = nodes
        .values()
        .filter(|node| any_or_all(node_selectors, &node.labels));
    let known: Option<Vec<&Vec<String>>> = selected.map(|node| node.interfaces.as_ref()).collect();
    let Some(known) = known.filter(|known| !known.is_empty()) else {
        return;
    };
    let present: BTreeSet<&str> = known.into_iter().flatten().map(String::as_str).collect();
    for (i, pattern) in wanted.iter().enumerate() {
        if !present.iter().any(|name| glob(pattern, name)) {
            let present = present.iter().copied().collect::<Vec<_>>().join(", ");
            report.note(
                format!("spec.interfaces[{i}]"),
                Reason::NothingSelected,
                format!("no selected node can announce on an interface {pattern}; the interfaces there are: {present}"),
            );
        }
    }
}

/// `*` stands for any characters.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices()
                .map(|(i, _)| i)
                .chain([tail.len()])
                .any(|i| glob(rest, &tail[i..]))
        }),
    }
}
