//! What is wrong with manifests, without a cluster, and what they would change in one (`live`).
//!
//! The same `config` that the controller runs, after what the API server would say first: fields
//! that do not exist, and addresses that no host can have. Without a cluster namespaces, nodes and Secrets are unknown, so nothing is said
//! of them.

mod fields;
mod live;

#[cfg(test)]
mod tests;

use herald_config::service::{self, Class};
use herald_config::{Objects, Problem, Reason, compile, refused_addresses};
use k8s_openapi::api::core::v1::Service;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::manifests::Document;

/// The outcome for all files together.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Nothing is wrong; there may be notices.
    pub(crate) ok: bool,
    /// Objects that were looked at.
    pub(crate) checked: usize,
    /// Objects that Herald does not read.
    pub(crate) ignored: usize,
    /// One sentence each.
    pub(crate) problems: Vec<String>,
    /// What works and may not be what was meant; one sentence each.
    pub(crate) notices: Vec<String>,
    /// Which Services would lose, change or get an address; one sentence each. Absent without a
    /// cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Vec<String>>,
}

/// Compiles the documents as one cluster.
pub(crate) fn check(documents: &[Document]) -> Report {
    let (mut report, objects, services) = read_all(documents);
    let refused = refused(&objects);
    let found = compile(&objects).problems.into_iter();
    let requests = services.iter().flat_map(|s| service::from_service(s).1);
    report.add(refused, found.chain(requests));
    report
}

/// Compiles the documents laid over a cluster's objects, and says what that changes.
pub(crate) fn check_live(documents: &[Document], cluster: Cluster, class: &Class) -> Report {
    let (mut report, objects, services) = read_all(documents);
    let refused = refused(&objects);
    let outcome = live::compare(cluster, objects, services, class);
    report.add(refused, outcome.problems.into_iter());
    report.changes = Some(outcome.changes);
    report
}

/// What the API server would refuse of values that Herald takes where they are stored already.
fn refused(objects: &Objects) -> Vec<Problem> {
    objects.pools.iter().flat_map(refused_addresses).collect()
}

impl Report {
    /// What the API server refuses is said once: that Herald would make no use of it follows.
    fn add(&mut self, refused: Vec<Problem>, problems: impl Iterator<Item = Problem>) {
        let follows = |problem: &Problem| {
            let unused = [Reason::PartlyUsable, Reason::NothingLeft].contains(&problem.reason);
            unused && refused.iter().any(|one| one.object == problem.object)
        };
        let problems: Vec<Problem> = problems.filter(|problem| !follows(problem)).collect();
        for problem in refused.iter().chain(&problems) {
            let list = match problem.is_notice() {
                true => &mut self.notices,
                false => &mut self.problems,
            };
            list.push(problem.to_string());
        }
        self.ok = self.problems.is_empty();
    }
}

/// The objects of the documents, and what is wrong with them as documents.
fn read_all(documents: &[Document]) -> (Report, Objects, Vec<Service>) {
    let mut report = Report::default();
    let mut objects = Objects::default();
    let mut services = Vec::new();
    for document in documents {
        match &document.content {
            Err(error) => report
                .problems
                .push(format!("{}: {error}", document.origin)),
            Ok(value) => match sort(value, &mut objects, &mut services) {
                Ok(true) => {
                    report.checked += 1;
                    let unknown = fields::unknown(value);
                    let problem = |field: String| {
                        format!(
                            "{}, {}: there is no field {field}; {}",
                            document.origin,
                            describe(value),
                            fields::advice(value, &field)
                        )
                    };
                    report.problems.extend(unknown.into_iter().map(problem));
                }
                Ok(false) => report.ignored += 1,
                Err(error) => {
                    report.problems.push(format!(
                        "{}, {}: {error}",
                        document.origin,
                        describe(value)
                    ));
                }
            },
        }
    }
    (report, objects, services)
}

/// `IPAddressPool lan`, as well as it can be told.
fn describe(value: &Value) -> String {
    let kind = value["kind"].as_str().unwrap_or("object");
    let name = value["metadata"]["name"].as_str().unwrap_or("without name");
    format!("{kind} {name}")
}

/// Puts the object where it belongs; false when Herald does not read its kind.
fn sort(value: &Value, objects: &mut Objects, services: &mut Vec<Service>) -> Result<bool, String> {
    let api_version = value["apiVersion"].as_str().unwrap_or_default();
    let kind = value["kind"].as_str().unwrap_or_default();
    let (group, _) = api_version.split_once('/').unwrap_or(("", api_version));
    match (group, kind) {
        ("", "Service") if value["spec"]["type"] == "LoadBalancer" => services.push(read(value)?),
        ("heraldlb.io", _) if api_version != "heraldlb.io/v1beta1" => {
            return Err(format!(
                "apiVersion {api_version} does not exist; write heraldlb.io/v1beta1"
            ));
        }
        ("heraldlb.io", "IPAddressPool") => objects.pools.push(read(value)?),
        ("heraldlb.io", "IPReservation") => objects.reservations.push(read(value)?),
        ("heraldlb.io", "L2Advertisement") => objects.l2_advertisements.push(read(value)?),
        ("heraldlb.io", "BGPAdvertisement") => objects.bgp_advertisements.push(read(value)?),
        ("heraldlb.io", "BGPPeer") => objects.bgp_peers.push(read(value)?),
        ("heraldlb.io", "BFDProfile") => objects.bfd_profiles.push(read(value)?),
        ("heraldlb.io", "Community") => objects.communities.push(read(value)?),
        ("heraldlb.io", "Speaker" | "ServiceAnnouncement") => {
            return Err(format!(
                "a {kind} is written by Herald; remove it from your manifests"
            ));
        }
        ("heraldlb.io", kind) => {
            return Err(format!("there is no kind {kind} in heraldlb.io/v1beta1"));
        }
        ("metallb.io", _) => {
            return Err("this is an object of MetalLB; write apiVersion heraldlb.io/v1beta1 and remove metadata.namespace".to_owned());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Where the API server would default a missing `spec`, so does this.
fn read<K: DeserializeOwned>(value: &Value) -> Result<K, String> {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object
            .entry("spec")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// For people.
pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    for (mark, sentences) in [("✗", &report.problems), ("!", &report.notices)] {
        for sentence in sentences {
            text += &format!("{mark} {sentence}\n");
        }
    }
    for sentence in report.changes.iter().flatten() {
        text += &format!("→ {sentence}\n");
    }
    let changes = match &report.changes {
        None => String::new(),
        Some(changes) if changes.is_empty() => ", no address changes".to_owned(),
        Some(changes) => format!(", {}", count(changes.len(), "change")),
    };
    let ignored = match report.ignored {
        0 => String::new(),
        n => format!(", {n} of kinds Herald does not read"),
    };
    text + &format!(
        "{}{ignored}: {}, {}{changes}\n",
        count(report.checked, "object"),
        count(report.problems.len(), "problem"),
        count(report.notices.len(), "notice"),
    )
}

fn count(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}
