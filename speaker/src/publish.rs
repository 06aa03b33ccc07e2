//! Writing what this node says: its Speaker object, and its part of ServiceAnnouncements.
//!
//! Behind everything else and latest wins: a report that cannot be written is replaced by the next
//! one. Each node applies its own entries under its own field manager, so a new owner's entry
//! replaces the old owner's and survives its withdrawal.
//!
//! Where something of an entry has to go, the whole list is replaced as it was read. Applying without it
//! would leave what an earlier owner still owns of it: facts of another node, or a rest without any, which
//! the API server rejects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald_crds::{
    BgpAnnouncement, Layer2Announcement, ServiceAnnouncement, Speaker, SpeakerStatus,
};
use herald_model::service::ServiceKey;
use herald_runtime::rejections::{self, Rejections};
use herald_runtime::{apply, client, clock};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Pause after a failed write.
const RETRY: Duration = Duration::from_secs(1);

/// Everything to be written, as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// Status of this node's Speaker object; None before the first decision.
    pub speaker: Option<SpeakerStatus>,
    /// Whether the Speaker object exists.
    pub speaker_exists: bool,
    /// Whether this node's Node object exists. Without it nobody counts what its speaker writes, and the
    /// Speaker object is removed.
    pub node_exists: bool,
    /// What this node announces, by Service.
    pub announcements: BTreeMap<ServiceKey, Vec<Layer2Announcement>>,
    /// What this node announces to routers, by Service.
    pub routed: BTreeMap<ServiceKey, Vec<BgpAnnouncement>>,
    /// The ServiceAnnouncements there are.
    pub existing: BTreeMap<ServiceKey, Arc<ServiceAnnouncement>>,
}

/// Writes reports as they come.
pub(crate) struct Publisher {
    client: Client,
    node: String,
    manager: String,
    /// What was written last.
    written: BTreeMap<ServiceKey, Written>,
    /// What the API server rejected, and on which version.
    rejections: Rejections<ServiceKey, (u64, Entries)>,
}

/// Entries that were written, to which object, and the version that made.
#[derive(Debug, Clone)]
struct Written {
    uid: Option<String>,
    version: u64,
    entries: Entries,
}

/// What a node says in one ServiceAnnouncement.
#[derive(Debug, Clone, Default, PartialEq)]
struct Entries {
    layer2: Vec<Layer2Announcement>,
    bgp: Vec<BgpAnnouncement>,
}

/// Writes the Speaker object. Nothing waits for it and it waits for nothing: whom this node does not
/// hear must be known while hundreds of announcements are still to be written.
struct Own {
    client: Client,
    node: String,
    manager: String,
    /// What was written last.
    written: Option<SpeakerStatus>,
    /// What the API server rejected, and whether the object existed.
    rejections: Rejections<(), (bool, u64)>,
}

impl Publisher {
    pub(crate) fn new(client: Client, node: &str) -> Self {
        Self {
            client,
            node: node.to_owned(),
            manager: format!("herald-speaker-{node}"),
            written: BTreeMap::new(),
            rejections: Rejections::default(),
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self, reports: watch::Receiver<Report>) -> anyhow::Result<()> {
        let mut own = Own {
            client: self.client.clone(),
            node: self.node.clone(),
            manager: self.manager.clone(),
            written: None,
            rejections: Rejections::default(),
        };
        let mut turns = Turns::new(reports.clone());
        let speaker = async {
            while let Some(report) = turns.next().await {
                let outcome = own.write(&report).await;
                turns.note(outcome, own.rejections.next(clock::now()));
            }
        };
        let mut turns = Turns::new(reports);
        let announcements = async {
            while let Some(report) = turns.next().await {
                let outcome = self.write(&report).await;
                turns.note(outcome, self.rejections.next(clock::now()));
            }
        };
        futures::join!(speaker, announcements);
        Ok(())
    }

    /// Writes what differs. One that cannot be written does not keep the others from it.
    async fn write(&mut self, report: &Report) -> kube::Result<()> {
        self.written
            .retain(|key, _| report.existing.contains_key(key));
        self.rejections
            .retain(|key| report.existing.contains_key(key));
        if !report.node_exists {
            return Ok(());
        }
        let mut outcome = Ok(());
        for (key, object) in &report.existing {
            let wanted = Entries {
                layer2: report.announcements.get(key).cloned().unwrap_or_default(),
                bgp: report.routed.get(key).cloned().unwrap_or_default(),
            };
            let said = said(&self.node, object, self.written.get(key));
            let write = || (version(object), wanted.clone());
            if said == wanted || self.rejections.waits(key, write, clock::now()) {
                continue;
            }
            match self.write_entries(key, object, &said, &wanted).await {
                Ok(Some(version)) => {
                    self.rejections.forget(key);
                    let written = Written {
                        uid: object.metadata.uid.clone(),
                        version,
                        entries: wanted,
                    };
                    self.written.insert(key.clone(), written);
                }
                Ok(None) => {}
                Err(error) if is_rejected(&error) => {
                    let write = (version(object), wanted);
                    if self.rejections.note(key.clone(), write, clock::now()) {
                        let error = client::describe(&error);
                        tracing::warn!(service = %key, %error, "what is announced was rejected");
                    }
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// The version that was made; None when the object is gone or is another one now.
    async fn write_entries(
        &self,
        key: &ServiceKey,
        copy: &ServiceAnnouncement,
        said: &Entries,
        entries: &Entries,
    ) -> kube::Result<Option<u64>> {
        let api: Api<ServiceAnnouncement> = Api::namespaced(self.client.clone(), key.namespace());
        if let Some(body) = replacement(&self.node, copy, &entries.layer2) {
            let parameters = PatchParams {
                field_manager: Some(self.manager.clone()),
                ..PatchParams::default()
            };
            let body = Patch::Merge(body);
            let made = match api.patch_status(key.name(), &parameters, &body).await {
                Ok(object) => version(&object),
                // A newer one is on its way, and what it says is looked at then.
                Err(error) if is_outdated(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            if said.bgp == entries.bgp {
                return Ok(Some(made));
            }
        }
        let object = json!({
            "apiVersion": "heraldlb.io/v1beta1",
            "kind": "ServiceAnnouncement",
            "metadata": {"name": key.name(), "namespace": key.namespace()},
            "status": {"layer2": entries.layer2, "bgp": entries.bgp},
        });
        match apply::status(&api, &self.manager, key.name(), &object).await {
            Ok(object) => Ok(Some(version(&object))),
            Err(error) if client::status_code(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The whole list with what this node wants in it, for the very version that was read, where something in
/// that version has to go: an entry of this node, of another owner, or a fact that does not hold any more.
fn replacement(
    node: &str,
    copy: &ServiceAnnouncement,
    wanted: &[Layer2Announcement],
) -> Option<Value> {
    let entries = &copy.status.as_ref()?.layer2;
    let wish = |entry: &Layer2Announcement| wanted.iter().find(|one| one.address == entry.address);
    let has_to_go = |entry: &Layer2Announcement| match wish(entry) {
        None => entry.node == node,
        Some(wish) => {
            let lacks = |there: bool, wished: bool| there && !wished;
            entry.node != node
                || lacks(entry.since.is_some(), wish.since.is_some())
                || lacks(entry.epoch.is_some(), wish.epoch.is_some())
                || lacks(
                    entry.gateway_acknowledged.is_some(),
                    wish.gateway_acknowledged.is_some(),
                )
        }
    };
    entries.iter().any(has_to_go).then(|| {
        let others = entries.iter();
        let others = others.filter(|entry| entry.node != node && wish(entry).is_none());
        let list: Vec<&Layer2Announcement> = others.chain(wanted).collect();
        json!({
            "metadata": {"resourceVersion": copy.metadata.resource_version},
            "status": {"layer2": list},
        })
    })
}

fn is_outdated(error: &kube::Error) -> bool {
    matches!(client::status_code(error), Some(404 | 409))
}

fn is_rejected(error: &kube::Error) -> bool {
    client::status_code(error).is_some_and(rejections::lasts)
}

impl Own {
    async fn write(&mut self, report: &Report) -> kube::Result<()> {
        let Some(status) = report.speaker.as_ref().filter(|_| report.node_exists) else {
            return Ok(());
        };
        let is_written = report.speaker_exists && self.written.as_ref() == Some(status);
        let write = || (report.speaker_exists, rejections::content(status));
        if is_written || self.rejections.waits(&(), write, clock::now()) {
            return Ok(());
        }
        let outcome = self.send(report, status).await;
        match &outcome {
            Err(error) if is_rejected(error) => {
                if self.rejections.note((), write(), clock::now()) {
                    let error = client::describe(error);
                    tracing::warn!(%error, "the status of this speaker was rejected");
                }
                Ok(())
            }
            Ok(()) => {
                self.rejections.forget(&());
                outcome
            }
            Err(_) => outcome,
        }
    }

    async fn send(&mut self, report: &Report, status: &SpeakerStatus) -> kube::Result<()> {
        let api: Api<Speaker> = Api::all(self.client.clone());
        let mut object = json!({
            "apiVersion": "heraldlb.io/v1beta1",
            "kind": "Speaker",
            "metadata": {"name": self.node},
        });
        if !report.speaker_exists {
            apply::object(&api, &self.manager, &self.node, &object).await?;
        }
        object["status"] = json!(status);
        apply::status(&api, &self.manager, &self.node, &object).await?;
        self.written = Some(status.clone());
        Ok(())
    }
}

/// When to write what: the newest report when the one before is done with, and again after a pause what
/// failed.
struct Turns {
    reports: watch::Receiver<Report>,
    begun: bool,
    last_error: Option<String>,
    /// When to look again though nothing is reported.
    again: Option<Duration>,
}

impl Turns {
    fn new(reports: watch::Receiver<Report>) -> Self {
        Self {
            reports,
            begun: false,
            last_error: None,
            again: None,
        }
    }

    /// What to write next; None when nobody reports any more.
    async fn next(&mut self) -> Option<Report> {
        if self.begun {
            tokio::select! {
                changed = self.reports.changed() => changed.ok()?,
                () = clock::after(self.again) => {}
            }
        }
        self.begun = true;
        Some(self.reports.borrow_and_update().clone())
    }

    /// Takes in how a turn went; `due` is when something that was rejected is to be tried again.
    fn note(&mut self, outcome: kube::Result<()>, due: Option<Duration>) {
        let error = outcome.err().map(|error| client::describe(&error));
        let retry = error.as_ref().map(|_| RETRY);
        self.again = [retry, due].into_iter().flatten().min();
        if error != self.last_error {
            match &error {
                Some(error) => tracing::warn!(%error, "status cannot be written, trying again"),
                None => tracing::info!("status can be written again"),
            }
            self.last_error = error;
        }
    }
}

/// What a node says in a ServiceAnnouncement: what was written last, until the copy has caught up
/// with that; then what the copy shows, so that what somebody else removed is said again.
fn said(node: &str, copy: &ServiceAnnouncement, written: Option<&Written>) -> Entries {
    match written {
        Some(written) if written.uid == copy.metadata.uid && version(copy) < written.version => {
            written.entries.clone()
        }
        Some(_) | None => {
            let status = copy.status.as_ref();
            let layer2 = status.into_iter().flat_map(|status| &status.layer2);
            let mut layer2: Vec<Layer2Announcement> =
                layer2.filter(|entry| entry.node == node).cloned().collect();
            layer2.sort_by(|a, b| a.address.cmp(&b.address));
            let bgp = status.into_iter().flat_map(|status| &status.bgp);
            let bgp = bgp.filter(|entry| entry.node == node).cloned().collect();
            Entries { layer2, bgp }
        }
    }
}

/// Resource versions are numbers that grow (KEP-5504).
fn version(object: &ServiceAnnouncement) -> u64 {
    let version = object.metadata.resource_version.as_deref();
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(version: u64, nodes: &[&str]) -> ServiceAnnouncement {
        let entry = |node: &&str| json!({"address": "192.0.2.1", "node": node});
        let layer2: Vec<_> = nodes.iter().map(entry).collect();
        serde_json::from_value(json!({
            "metadata": {"name": "web", "uid": "u", "resourceVersion": version.to_string()},
            "status": {"layer2": layer2},
        }))
        .expect("a ServiceAnnouncement")
    }

    #[test]
    fn what_has_to_go_goes_whole_and_the_others_stay_as_they_are() {
        let entry = |address: &str, node: &str| {
            json!({"address": address, "node": node, "interfaces": ["eth0"], "epoch": 7,
                "gatewayAcknowledged": "2026-11-21T10:00:00Z"})
        };
        let entries = [
            entry("192.0.2.1", "a"),
            entry("192.0.2.2", "b"),
            entry("192.0.2.3", "a"),
        ];
        let copy: ServiceAnnouncement = serde_json::from_value(json!({
            "metadata": {"name": "web", "resourceVersion": "5"}, "status": {"layer2": entries},
        }))
        .expect("a ServiceAnnouncement");
        let wanted: Vec<Layer2Announcement> =
            vec![serde_json::from_value(entry("192.0.2.3", "a")).expect("an entry")];
        let body = replacement("a", &copy, &wanted).expect("a change");
        assert_eq!(body["metadata"]["resourceVersion"], "5");
        assert_eq!(body["status"]["layer2"], json!([entries[1], entries[2]]));
        let all = replacement("a", &copy, &[]).expect("a change");
        assert_eq!(all["status"]["layer2"], json!([entries[1]]));
        assert_eq!(replacement("c", &copy, &[]), None, "nothing of its own");
        let one: Layer2Announcement =
            serde_json::from_value(entry("192.0.2.1", "a")).expect("an entry");
        let both = [wanted.clone(), vec![one.clone()]].concat();
        assert_eq!(replacement("a", &copy, &both), None, "both are to stay");
        let unacknowledged = Layer2Announcement {
            gateway_acknowledged: None,
            ..one
        };
        let both = [wanted, vec![unacknowledged.clone()]].concat();
        let body = replacement("a", &copy, &both).expect("a change");
        assert_eq!(body["status"]["layer2"][2], json!(unacknowledged));
        let taken = Layer2Announcement {
            node: "c".to_owned(),
            ..unacknowledged
        };
        let body = replacement("c", &copy, std::slice::from_ref(&taken)).expect("a change");
        let list = json!([entries[1], entries[2], taken]);
        assert_eq!(
            body["status"]["layer2"], list,
            "nothing of the owner before"
        );
    }

    #[test]
    fn what_was_written_counts_until_the_copy_shows_it_and_then_the_copy_counts() {
        let entries = said("a", &copy(1, &["a"]), None);
        assert_eq!(
            entries.layer2.len(),
            1,
            "after a restart the copy is all there is"
        );
        let written = Written {
            uid: Some("u".to_owned()),
            version: 5,
            entries,
        };
        let cases = [
            (4, &[][..], 1, "the copy is behind"),
            (5, &["a"][..], 1, "the copy shows it"),
            (6, &["b"][..], 0, "another node has taken it"),
            (7, &[][..], 0, "somebody removed it"),
        ];
        for (version, nodes, expected, what) in cases {
            let said = said("a", &copy(version, nodes), Some(&written));
            assert_eq!(said.layer2.len(), expected, "{what}");
        }
        let mut another = copy(2, &[]);
        another.metadata.uid = Some("v".to_owned());
        assert_eq!(
            said("a", &another, Some(&written)),
            Entries::default(),
            "made anew"
        );
    }
}
