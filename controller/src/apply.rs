//! Sends what was decided for Services and Herald's own objects.
//!
//! Every write looks at the Lease first, carries the version it was decided on or names exactly
//! the fields the controller owns, and ends after [`LIMIT`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use herald_config::{holding, service};
use herald_crds::{ServiceAnnouncement, Speaker};
use herald_model::service::ServiceKey;
use herald_runtime::events::{Events, Happening};
use herald_runtime::lease::Leadership;
use herald_runtime::{apply, client, rejections};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Service as KubeService};
use kube::api::{DeleteParams, ListParams, Patch as Body, PatchParams, Preconditions};
use kube::core::{DynamicObject, ObjectList};
use kube::{Api, Client};
use serde_json::json;

use crate::assign::Patch;
use crate::holders::Page;
use crate::kept::Service;
use crate::members::Leaver;
use crate::report::Report;
use crate::standing::version;

/// The field manager of everything the controller applies.
pub(crate) const MANAGER: &str = "herald-controller";

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// How many Services are asked for at once.
const PAGE: u32 = 500;

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another replica holds the Lease, or may.
    NotLeading,
    /// The object changed or went since it was decided: look again.
    Conflict,
    /// The API server has forgotten what it showed before.
    WentBack { shown: u64, now: u64 },
    /// The API server rejects this very write, and would each time; its words.
    Rejected(String),
    /// The API server fails or does not answer; its words.
    Error(String),
}

impl Refused {
    /// For metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::NotLeading => "not_leading",
            Self::Conflict => "conflict",
            Self::WentBack { .. } => "went_back",
            Self::Rejected(_) => "rejected",
            Self::Error(_) => "error",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeading => write!(f, "another replica holds the Lease"),
            Self::Conflict => write!(f, "the object changed since it was read"),
            Self::WentBack { shown, now } => write!(
                f,
                "the API server is at version {now} and was at {shown} before, as after a restore \
                 from a backup: nothing that was seen holds any more, start again"
            ),
            Self::Rejected(error) | Self::Error(error) => f.write_str(error),
        }
    }
}

/// Writes while this replica leads.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    /// Where Herald is installed.
    namespace: String,
    /// Which Services are served.
    class: service::Class,
    leadership: Leadership,
    events: Events,
}

impl Writer {
    pub(crate) fn new(
        client: Client,
        namespace: String,
        class: service::Class,
        leadership: Leadership,
        events: Events,
    ) -> Self {
        Self {
            client,
            namespace,
            class,
            leadership,
            events,
        }
    }

    /// Whether this replica may write.
    pub(crate) fn leads(&self) -> bool {
        self.leadership.held()
    }

    /// Events that were dropped.
    pub(crate) fn events_dropped(&self) -> u64 {
        self.events.dropped()
    }

    /// Has Events wait, or no more.
    pub(crate) fn hold_events(&self, hold: bool) {
        self.events.hold(hold);
    }

    /// Every Service, as the API server has it now; at no time more than a page of them with all that
    /// nobody reads. `newest` is the newest version of anything
    /// that it ever showed.
    pub(crate) async fn services(
        &self,
        newest: u64,
    ) -> Result<Vec<(ServiceKey, Service)>, Refused> {
        let mut page = ListParams::default().limit(PAGE);
        let mut all = Vec::new();
        loop {
            let list = self.list(&page, newest).await?;
            all.extend(
                list.items
                    .iter()
                    .map(|one| (service::key(one), self.kept(one))),
            );
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    /// Whether the API server still knows the newest version that it showed. A restore from a
    /// backup makes the watches worthless: they wait silently for versions that may never come.
    pub(crate) async fn check_history(&self, newest: u64) -> Result<(), Refused> {
        self.list(&ListParams::default().limit(1), newest)
            .await
            .map(|_| ())
    }

    /// The version of a list is that of the whole store.
    async fn list(
        &self,
        parameters: &ListParams,
        newest: u64,
    ) -> Result<ObjectList<KubeService>, Refused> {
        let api: Api<KubeService> = Api::all(self.client.clone());
        let list = limited(api.list(parameters)).await?;
        match list
            .metadata
            .resource_version
            .as_deref()
            .and_then(|v| v.parse().ok())
        {
            Some(now) if now < newest => Err(Refused::WentBack { shown: newest, now }),
            Some(_) | None => Ok(list),
        }
    }

    /// One Service, as the API server has it now.
    pub(crate) async fn service(&self, key: &ServiceKey) -> Result<Option<Service>, Refused> {
        let answer = limited(self.service_api(key).get_opt(key.name())).await?;
        Ok(answer.map(|object| self.kept(&object)))
    }

    /// What an earlier life wrote down of who holds which address. Where this may not be read there is
    /// nothing, and that is told: addresses go on being given.
    pub(crate) async fn holders(&self) -> Result<Vec<Page>, Refused> {
        let api = self.pages();
        let mut pages = Vec::new();
        for number in 0..holding::PAGES {
            let object = match api.get_opt(&holding::page_name(number)).await {
                Err(error) if client::status_code(&error) == Some(403) => {
                    let error = client::describe(&error);
                    tracing::error!(%error, "who held an address is not known: retain and reuseDelay begin anew, and who changed is not known either");
                    return Ok(Vec::new());
                }
                object => limited(std::future::ready(object)).await?,
            };
            let lines = object.and_then(|object| object.data).unwrap_or_default();
            pages.push(lines);
        }
        Ok(pages)
    }

    /// Writes down who holds which address, page by page.
    pub(crate) async fn write_down(&self, pages: &BTreeMap<u8, Page>) -> Result<(), Refused> {
        for (number, page) in pages {
            self.check()?;
            let name = holding::page_name(*number);
            let object = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name},
                "data": page,
            });
            limited(apply::object(&self.pages(), MANAGER, &name, &object)).await?;
        }
        Ok(())
    }

    fn pages(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Says what happened, apart from any write.
    pub(crate) fn tell(&self, happening: Happening) {
        self.events.publish(happening);
    }

    /// Writes a Service's status, condition and annotation and says so.
    pub(crate) async fn assign(&self, patch: &Patch) -> Result<Service, Refused> {
        self.check()?;
        let (api, parameters) = (self.service_api(&patch.key), PatchParams::default());
        let body = Body::Strategic(&patch.body);
        let written = limited(api.patch_status(patch.key.name(), &parameters, &body)).await?;
        patch
            .happening
            .iter()
            .cloned()
            .for_each(|happening| self.events.publish(happening));
        Ok(self.kept(&written))
    }

    /// Writes a report and says what is new; gives the version it made.
    pub(crate) async fn report(&self, report: &Report) -> Result<u64, Refused> {
        self.check()?;
        let Report {
            target,
            resource,
            version: _,
            object,
            status,
            happenings,
        } = report;
        let api: Api<DynamicObject> = match target.namespace.as_str() {
            "" => Api::all_with(self.client.clone(), resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, resource),
        };
        if let Some(object) = object {
            limited(apply::object(&api, MANAGER, &target.name, object)).await?;
        }
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": target.name},
            "status": status,
        });
        let written = limited(apply::status(&api, MANAGER, &target.name, &body)).await?;
        happenings
            .iter()
            .cloned()
            .for_each(|happening| self.events.publish(happening));
        Ok(version(&written))
    }

    /// Deletes a ServiceAnnouncement whose Service is gone or not ours.
    pub(crate) async fn remove_announcement(
        &self,
        key: &ServiceKey,
        uid: &str,
    ) -> Result<(), Refused> {
        self.check()?;
        let api: Api<ServiceAnnouncement> = Api::namespaced(self.client.clone(), key.namespace());
        gone_is_fine(
            limited(api.delete(key.name(), &only(uid)))
                .await
                .map(|_| ()),
        )
    }

    /// Deletes the Speaker of a node that does not exist, and says so. Nothing happens when the
    /// node exists after all.
    pub(crate) async fn remove_speaker(&self, leaver: &Leaver) -> Result<(), Refused> {
        self.check()?;
        let nodes: Api<Node> = Api::all(self.client.clone());
        if limited(nodes.get_opt(&leaver.node)).await?.is_some() {
            return Ok(());
        }
        let api: Api<Speaker> = Api::all(self.client.clone());
        match limited(api.delete(&leaver.node, &only(&leaver.uid))).await {
            Ok(_) => {
                self.events.publish(leaver.happening.clone());
                Ok(())
            }
            Err(refused) => gone_is_fine(Err(refused)),
        }
    }

    fn service_api(&self, key: &ServiceKey) -> Api<KubeService> {
        Api::namespaced(self.client.clone(), key.namespace())
    }

    /// A Service as the watch would show it.
    fn kept(&self, object: &KubeService) -> Service {
        Service::of(object, &self.class)
    }

    fn check(&self) -> Result<(), Refused> {
        if self.leads() {
            Ok(())
        } else {
            Err(Refused::NotLeading)
        }
    }
}

/// Deletes only this very object, not one of the same name.
fn only(uid: &str) -> DeleteParams {
    let preconditions = Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    };
    DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    }
}

fn gone_is_fine(outcome: Result<(), Refused>) -> Result<(), Refused> {
    match outcome {
        Ok(()) | Err(Refused::Conflict) => Ok(()),
        Err(
            Refused::NotLeading
            | Refused::WentBack { .. }
            | Refused::Rejected(_)
            | Refused::Error(_),
        ) => outcome,
    }
}

async fn limited<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Refused> {
    within(LIMIT, request).await
}

/// The answer to a request, or why there is none within `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Refused> {
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(match client::status_code(&error) {
            Some(404 | 409) => Refused::Conflict,
            Some(code) if rejections::lasts(code) => Refused::Rejected(client::describe(&error)),
            Some(_) | None => Refused::Error(client::describe(&error)),
        }),
        Err(_) => Err(Refused::Error(format!(
            "no answer within {} s",
            limit.as_secs()
        ))),
    }
}
