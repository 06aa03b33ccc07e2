//! Writing the chain of views: the next one, when it may be and this node goes first, and the one in
//! force where the API server lost it. Replacing the ConfigMap names the version it replaces.

use std::collections::{BTreeMap, BTreeSet};

use herald_beacon::{NodeId, View};
use herald_runtime::client;
use herald_runtime::watch::ObjectName;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::view::{self, Applicant, NamedView, id};
use super::{Known, Membership};
use crate::fast::Telling;

/// Where a node stands, as far as failures are concerned.
const ZONE: &str = "topology.kubernetes.io/zone";

impl Membership {
    /// Writes the next view when there is one, the present one allows it, and it is this node's turn.
    /// Of `lost` nothing was heard for long. Not past the mark of another node that may hold what
    /// breaks the tie; this node's own is taken away when there is a majority again.
    pub(super) async fn step(
        &self,
        known: &Known,
        telling: &Telling,
        lost: &BTreeSet<NodeId>,
        holds_tie: bool,
    ) -> kube::Result<()> {
        if !self.watches.synced() || known.secrets.is_none() {
            return Ok(());
        }
        let wanted = self.applicants(&telling.knocking, lost);
        if !wanted.contains_key(&self.me) {
            return Ok(());
        }
        let object = self.sources.views.snapshot().into_values().next();
        let written = self.written();
        let next = match (&written, &known.view) {
            (Some(written), Some(view)) if written.number == view.number => {
                let mut voters = telling.voters.intersection(&telling.live);
                let first = voters.next() == Some(&id(&self.me));
                let settled = telling.view == view.number && telling.may_step;
                let next = (first && settled).then(|| written.next(&wanted));
                next.flatten()
            }
            // What others are in already; it comes to the announcing thread by itself.
            (Some(written), view) if view.as_ref().is_none_or(|v| v.number < written.number) => {
                None
            }
            // Nobody ever was in a view: everybody there is begins.
            (None, None) => Some(NamedView::first(&wanted)),
            // The API server lost it, or knows an older one: it is told what is in force.
            (_, Some(view)) => self.named(view, &wanted),
            (Some(_), None) => None,
        };
        let mark = object.as_ref().and_then(|object| view::marked(object));
        // Who is gone for good holds nothing.
        if mark.is_some_and(|name| name != self.me && wanted.contains_key(name)) {
            return Ok(());
        }
        let needless = mark == Some(&*self.me) && telling.quorum && !holds_tie;
        let Some(next) = next.or_else(|| written.filter(|_| needless)) else {
            return Ok(());
        };
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let version = object
            .as_ref()
            .and_then(|o| o.metadata.resource_version.clone());
        let replacement = ConfigMap {
            metadata: ObjectMeta {
                name: Some(view::NAME.to_owned()),
                resource_version: version,
                labels: object.as_ref().and_then(|o| o.metadata.labels.clone()),
                ..ObjectMeta::default()
            },
            data: Some(next.data()),
            ..ConfigMap::default()
        };
        let parameters = PostParams::default();
        let outcome = match object {
            Some(_) => api.replace(view::NAME, &parameters, &replacement).await,
            None => api.create(&parameters, &replacement).await,
        };
        match outcome {
            Ok(_) => {
                let members: Vec<&str> = next.members.iter().map(String::as_str).collect();
                tracing::info!(
                    view = next.number,
                    members = members.join(", "),
                    "the membership moves on"
                );
                Ok(())
            }
            // Somebody else was first; the watch tells what came of it.
            Err(error) if client::status_code(&error) == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Who should be a member.
    fn applicants(
        &self,
        heard: &BTreeSet<NodeId>,
        lost: &BTreeSet<NodeId>,
    ) -> BTreeMap<String, Applicant> {
        let nodes = self.sources.nodes.snapshot();
        let zones: BTreeMap<&str, Option<&String>> = nodes
            .iter()
            .map(|(name, node)| {
                let labels = node.metadata.labels.as_ref();
                (name.name(), labels.and_then(|labels| labels.get(ZONE)))
            })
            .collect();
        let applicant = |name: String| {
            let applicant = Applicant {
                zone: zones.get(&*name).copied().flatten().cloned(),
                heard: heard.contains(&id(&name)),
                lost: lost.contains(&id(&name)),
            };
            (name, applicant)
        };
        self.addresses().map(|(name, _)| applicant(name)).collect()
    }

    /// A view with the names of its members, if they are all known.
    fn named(&self, view: &View, speakers: &BTreeMap<String, Applicant>) -> Option<NamedView> {
        let nodes = self.sources.nodes.snapshot();
        let names = nodes
            .keys()
            .map(ObjectName::name)
            .chain(speakers.keys().map(String::as_str));
        let by_id: BTreeMap<NodeId, &str> = names.map(|name| (id(name), name)).collect();
        let names = |ids: &BTreeSet<NodeId>| {
            let names = ids.iter();
            let names = names.map(|id| by_id.get(id).map(|name| (*name).to_owned()));
            names.collect::<Option<BTreeSet<String>>>()
        };
        let (members, voters) = (names(&view.members)?, names(&view.voters)?);
        Some(NamedView {
            number: view.number,
            voters: (voters != members).then_some(voters),
            members,
        })
    }
}
