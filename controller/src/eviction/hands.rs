//! The effects: asks for rights, lists pods, patches their status.
//!
//! Every write looks at the Lease first; so many pods are written at once and in the long run.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use herald_runtime::clock;
use herald_runtime::events::{Events, Happening};
use herald_runtime::lease::Leadership;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

use super::pods;
use crate::apply::{MANAGER, Refused, within};
use herald_runtime::bucket::Bucket;

/// How long one request may take: a node that dies meanwhile waits for it.
const LIMIT: Duration = Duration::from_secs(3);

/// Pods on one page of a list.
const PAGE: u32 = 500;

/// How many requests are under way at once, for one node.
const CONCURRENT: usize = 16;

/// So many pods are written at once, and one more each [`REFILL`].
const BURST: usize = 500;
const REFILL: Duration = Duration::from_millis(10);

/// What came of writing to the pods of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Pods that were written to.
    pub(crate) written: usize,
    /// Why one was not, or why the pods are not known.
    pub(crate) failed: Option<Refused>,
}

impl Outcome {
    fn and(self, then: Self) -> Self {
        Self {
            written: self.written + then.written,
            failed: then.failed,
        }
    }
}

/// Writes while this replica leads.
pub(crate) struct Hands {
    client: Client,
    leadership: Leadership,
    events: Events,
    rate: Mutex<Bucket>,
}

impl Hands {
    pub(crate) fn new(client: Client, leadership: Leadership, events: Events) -> Self {
        Self {
            client,
            leadership,
            events,
            rate: Mutex::new(Bucket::new(REFILL)),
        }
    }

    /// Whether this replica may write.
    pub(crate) fn leads(&self) -> bool {
        self.leadership.held()
    }

    /// Queues one Event.
    pub(crate) fn publish(&self, happening: Happening) {
        self.events.publish(happening);
    }

    /// The rights that are missing, for people.
    pub(crate) async fn missing_rights(&self) -> Result<Vec<&'static str>, Refused> {
        let mut missing = Vec::new();
        for (verb, subresource, words) in [
            ("list", None, "list pods"),
            ("patch", Some("status"), "patch pods/status"),
        ] {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(ResourceAttributes {
                        resource: Some("pods".to_owned()),
                        verb: Some(verb.to_owned()),
                        subresource: subresource.map(str::to_owned),
                        ..ResourceAttributes::default()
                    }),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
            let answer = within(LIMIT, api.create(&PostParams::default(), &review)).await?;
            if !answer.status.is_some_and(|status| status.allowed) {
                missing.push(words);
            }
        }
        Ok(missing)
    }

    /// The nodes of pods whose condition Ready is Herald's word.
    pub(crate) async fn marked_nodes(&self) -> Result<BTreeSet<String>, Refused> {
        let marked = self.list(&ListParams::default()).await?;
        let marked = marked.into_iter().filter(pods::is_marked);
        Ok(marked.filter_map(|pod| pod.spec?.node_name).collect())
    }

    /// Calls every ready pod of a node unready. The first look takes what the API server has at hand;
    /// the second finds what was not there yet, or changed in between.
    pub(crate) async fn evict(&self, node: &str) -> Outcome {
        let patch = |pod: &Pod, now| pods::unready(pod, node, now);
        let at_once = self.write(of_node(node).match_any(), patch).await;
        at_once.and(self.write(of_node(node), patch).await)
    }

    /// Gives the word back for every pod of a node that has it to get.
    pub(crate) async fn restore(&self, node: &str) -> Outcome {
        self.write(of_node(node), pods::ready_again).await
    }

    async fn write(
        &self,
        which: ListParams,
        patch: impl Fn(&Pod, Timestamp) -> Option<Value>,
    ) -> Outcome {
        let found = match self.list(&which).await {
            Ok(found) => found,
            Err(failed) => {
                return Outcome {
                    written: 0,
                    failed: Some(failed),
                };
            }
        };
        let now = clock::wall();
        let patches: Vec<(Pod, Value)> = found
            .into_iter()
            .filter_map(|pod| patch(&pod, now).map(|body| (pod, body)))
            .collect();
        let outcomes: Vec<Result<(), Refused>> = futures::stream::iter(patches)
            .map(|(pod, body)| async move { self.patch(&pod, &body).await })
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        Outcome {
            written,
            failed: outcomes.into_iter().find_map(Result::err),
        }
    }

    async fn patch(&self, pod: &Pod, body: &Value) -> Result<(), Refused> {
        while let Err(wait) = self.take() {
            tokio::time::sleep(wait).await;
        }
        if !self.leads() {
            return Err(Refused::NotLeading);
        }
        let namespace = pod.namespace().unwrap_or_default();
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let name = pod.name_any();
        let body = Patch::Strategic(body);
        let request = api.patch_status(&name, &parameters, &body);
        within(LIMIT, request).await.map(drop)
    }

    fn take(&self) -> Result<(), Duration> {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.take(BURST, clock::now())
    }

    async fn list(&self, which: &ListParams) -> Result<Vec<Pod>, Refused> {
        let api: Api<Pod> = Api::all(self.client.clone());
        let (mut found, mut which) = (Vec::new(), which.clone().limit(PAGE));
        loop {
            let page = within(LIMIT, api.list(&which)).await?;
            found.extend(page.items);
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => which = which.continue_token(&next),
                None => return Ok(found),
            }
        }
    }
}

fn of_node(node: &str) -> ListParams {
    ListParams::default().fields(&format!("spec.nodeName={node}"))
}
