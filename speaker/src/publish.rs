//! Writing what this node says: its Speaker object, and its part of ServiceAnnouncements.
//!
//! Behind everything else and latest wins: a report that cannot be written is replaced by the next
//! one. Each node applies its own entries under its own field manager, so a new owner's entry
//! replaces the old owner's and survives its withdrawal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald_crds::{Layer2Announcement, ServiceAnnouncement, Speaker, SpeakerStatus};
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
    /// The ServiceAnnouncements there are.
    pub existing: BTreeMap<ServiceKey, Arc<ServiceAnnouncement>>,
}

/// Writes reports as they come.
pub(crate) struct Publisher {
    client: Client,
    node: String,
    manager: String,
    speaker: Option<SpeakerStatus>,
    /// What was written last, with the UID of the object it was written to.
    written: BTreeMap<ServiceKey, (String, Vec<Layer2Announcement>)>,
    last_error: Option<String>,
}

impl Publisher {
    pub(crate) fn new(client: Client, node: &str) -> Self {
        Self {
            client,
            node: node.to_owned(),
            manager: format!("herald-speaker-{node}"),
            speaker: None,
            written: BTreeMap::new(),
            last_error: None,
        }
    }

    /// Runs for ever.
    pub(crate) async fn run(mut self, mut reports: watch::Receiver<Report>) -> anyhow::Result<()> {
        loop {
            let report = reports.borrow_and_update().clone();
            let written = self.write(&report).await;
            let failed = written.is_err();
            self.note(written);
            tokio::select! {
                changed = reports.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep(RETRY), if failed => {}
            }
        }
    }

    async fn write(&mut self, report: &Report) -> kube::Result<()> {
        self.write_announcements(report).await?;
        self.write_speaker(report).await
    }

    async fn write_speaker(&mut self, report: &Report) -> kube::Result<()> {
        let Some(status) = &report.speaker else {
            return Ok(());
        };
        if report.speaker_exists && self.speaker.as_ref() == Some(status) {
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
        self.speaker = Some(status.clone());
        Ok(())
    }

    async fn write_announcements(&mut self, report: &Report) -> kube::Result<()> {
        self.written
            .retain(|key, _| report.existing.contains_key(key));
        for (key, object) in &report.existing {
            let uid = object.metadata.uid.clone().unwrap_or_default();
            let wanted = report.announcements.get(key).map_or(&[][..], Vec::as_slice);
            let said = match self.written.get(key) {
                Some((written_to, said)) if *written_to == uid => said.clone(),
                _ => entries_of(&self.node, object),
            };
            if said == wanted {
                continue;
            }
            self.write_entries(key, wanted).await?;
            self.written.insert(key.clone(), (uid, wanted.to_vec()));
        }
        Ok(())
    }

    async fn write_entries(
        &self,
        key: &ServiceKey,
        entries: &[Layer2Announcement],
    ) -> kube::Result<()> {
        let api: Api<ServiceAnnouncement> = Api::namespaced(self.client.clone(), &key.namespace);
        let object = json!({
            "apiVersion": "heraldlb.io/v1beta1",
            "kind": "ServiceAnnouncement",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "status": {"layer2": entries},
        });
        match apply::status(&api, &self.manager, &key.name, &object).await {
            Err(error) if client::status_code(&error) == Some(404) => Ok(()),
            other => other.map(drop),
        }
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

/// The entries a ServiceAnnouncement has of a node.
fn entries_of(node: &str, object: &ServiceAnnouncement) -> Vec<Layer2Announcement> {
    let entries = object.status.iter().flat_map(|status| &status.layer2);
    entries
        .filter(|entry| entry.node == node)
        .cloned()
        .collect()
}
