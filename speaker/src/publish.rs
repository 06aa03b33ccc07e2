//! Writing what this node says: its Speaker object, and its part of ServiceAnnouncements.
//!
//! Behind everything else and latest wins: a report that cannot be written is replaced by the next
//! one. Each node applies its own entries under its own field manager, so a new owner's entry
//! replaces the old owner's and survives its withdrawal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald_crds::{
    BgpAnnouncement, Layer2Announcement, ServiceAnnouncement, Speaker, SpeakerStatus,
};
use herald_model::service::ServiceKey;
use herald_runtime::{apply, client};
use kube::{Api, Client};
use serde_json::json;
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
}

impl Publisher {
    pub(crate) fn new(client: Client, node: &str) -> Self {
        Self {
            client,
            node: node.to_owned(),
            manager: format!("herald-speaker-{node}"),
            written: BTreeMap::new(),
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self, reports: watch::Receiver<Report>) -> anyhow::Result<()> {
        let mut own = Own {
            client: self.client.clone(),
            node: self.node.clone(),
            manager: self.manager.clone(),
            written: None,
        };
        let mut turns = Turns::new(reports.clone());
        let speaker = async {
            while let Some(report) = turns.next().await {
                turns.note(own.write(&report).await);
            }
        };
        let mut turns = Turns::new(reports);
        let announcements = async {
            while let Some(report) = turns.next().await {
                turns.note(self.write(&report).await);
            }
        };
        futures::join!(speaker, announcements);
        Ok(())
    }

    /// Writes what differs. One that cannot be written does not keep the others from it.
    async fn write(&mut self, report: &Report) -> kube::Result<()> {
        self.written
            .retain(|key, _| report.existing.contains_key(key));
        let mut outcome = Ok(());
        for (key, object) in &report.existing {
            let wanted = Entries {
                layer2: report.announcements.get(key).cloned().unwrap_or_default(),
                bgp: report.routed.get(key).cloned().unwrap_or_default(),
            };
            if said(&self.node, object, self.written.get(key)) == wanted {
                continue;
            }
            match self.write_entries(key, &wanted).await {
                Ok(Some(version)) => {
                    let written = Written {
                        uid: object.metadata.uid.clone(),
                        version,
                        entries: wanted,
                    };
                    self.written.insert(key.clone(), written);
                }
                Ok(None) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// The version that was made; None when the object is gone.
    async fn write_entries(
        &self,
        key: &ServiceKey,
        entries: &Entries,
    ) -> kube::Result<Option<u64>> {
        let api: Api<ServiceAnnouncement> = Api::namespaced(self.client.clone(), key.namespace());
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

impl Own {
    async fn write(&mut self, report: &Report) -> kube::Result<()> {
        let Some(status) = &report.speaker else {
            return Ok(());
        };
        if report.speaker_exists && self.written.as_ref() == Some(status) {
            return Ok(());
        }
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
}

impl Turns {
    fn new(reports: watch::Receiver<Report>) -> Self {
        Self {
            reports,
            begun: false,
            last_error: None,
        }
    }

    /// What to write next; None when nobody reports any more.
    async fn next(&mut self) -> Option<Report> {
        if self.begun {
            tokio::select! {
                changed = self.reports.changed() => changed.ok()?,
                () = tokio::time::sleep(RETRY), if self.last_error.is_some() => {}
            }
        }
        self.begun = true;
        Some(self.reports.borrow_and_update().clone())
    }

    fn note(&mut self, outcome: kube::Result<()>) {
        let error = outcome.err().map(|error| client::describe(&error));
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
