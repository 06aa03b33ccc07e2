//! A blocking client of the API server for plain JSON objects.
//!
//! It knows paths, not kinds: the lab writes what a user writes and reads what a user reads. Herald's
//! own typed clients are not used here, so that they are checked by something else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Runtime;

/// How long an answer may take; a connection that an API server left behind is given up after it.
const LIMIT: Duration = Duration::from_secs(10);

/// How a patch is merged into an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// RFC 7396.
    Json,
    /// Kubernetes' own, which knows list keys; built-in kinds only.
    Strategic,
}

/// A client with the rights of one kubeconfig. Clones share its connections.
#[derive(Clone)]
pub struct Api {
    runtime: Arc<Runtime>,
    client: Client,
}

impl Api {
    /// A client for a kubeconfig; does not connect yet.
    pub fn new(runtime: Arc<Runtime>, kubeconfig: &Path) -> Result<Self> {
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig)?;
            let config =
                Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    /// Whether the API server says it is ready.
    pub fn ready(&self) -> bool {
        let request = Request::get("/readyz").body(Vec::new());
        request.is_ok_and(|request| {
            self.runtime
                .block_on(self.client.request_text(request))
                .is_ok()
        })
    }

    /// The object at a path, if there is one.
    pub fn get(&self, path: &str) -> Result<Option<Value>> {
        self.send(Method::GET, path, None, "application/json")
    }

    /// The items of the list at a path.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let list = self
            .get(path)?
            .with_context(|| format!("{path} is not served"))?;
        Ok(list
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default())
    }

    /// Creates an object in the collection at a path. One that exists already is left as it is.
    pub fn create(&self, path: &str, object: &Value) -> Result<()> {
        let body = serde_json::to_vec(object)?;
        match self.send(Method::POST, path, Some(body), "application/json") {
            Ok(Some(_)) => Ok(()),
            Ok(None) => bail!("{path} is not served"),
            Err(error) if status_code(&error) == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Why the API server would not create an object, written in YAML, in the collection at a path;
    /// nothing when it would. Unknown fields count, as they do for kubectl. Nothing is stored.
    pub fn refusal(&self, path: &str, object: &str) -> Result<Option<String>> {
        let path = format!("{path}?dryRun=All&fieldValidation=Strict");
        let body = object.as_bytes().to_vec();
        match self.send(Method::POST, &path, Some(body), "application/yaml") {
            Ok(Some(_)) => Ok(None),
            Ok(None) => bail!("{path} is not served"),
            Err(error) => match error.downcast_ref::<kube::Error>() {
                Some(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
                    Ok(Some(status.message.clone()))
                }
                _ => Err(error),
            },
        }
    }

    /// Merges a change into the object at a path.
    pub fn patch(&self, path: &str, merge: Merge, change: &Value) -> Result<()> {
        let kind = match merge {
            Merge::Json => "application/merge-patch+json",
            Merge::Strategic => "application/strategic-merge-patch+json",
        };
        let body = serde_json::to_vec(change)?;
        match self.send(Method::PATCH, path, Some(body), kind)? {
            Some(_) => Ok(()),
            None => bail!("there is no {path}"),
        }
    }

    /// Deletes the object at a path at once; one that is gone is no error.
    pub fn delete(&self, path: &str) -> Result<()> {
        let body = br#"{"gracePeriodSeconds":0}"#.to_vec();
        self.send(Method::DELETE, path, Some(body), "application/json")
            .map(drop)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        kind: &str,
    ) -> Result<Option<Value>> {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(http::header::CONTENT_TYPE, kind)
            .body(body.unwrap_or_default())?;
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(LIMIT, self.client.request::<Value>(request)).await
        });
        match answer.with_context(|| format!("{method} {path} is not answered"))? {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{method} {path}")),
        }
    }
}

/// The HTTP status the API server refused with.
pub fn status_code(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}
