//! Services that come, change and go, and a watch that misses nothing of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::TryStreamExt as _;
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::seen::{Seen, Version};
use crate::lab::Lab;
use crate::topology::POOL_RANGES;

const SERVICES: &str = "/api/v1/namespaces/churn/services";

/// How many Services there are at a time; the pool has forty addresses. Odd, so that each has every kind
/// of step in turn.
const CROWD: u64 = 35;

/// A Service with this name is the last.
const LAST: &str = "the-last";

/// What runs beside the kills.
pub(super) struct Churn {
    runtime: Arc<Runtime>,
    client: Client,
    stop: Arc<AtomicBool>,
    churning: JoinSet<Result<()>>,
    watching: JoinSet<Result<Seen>>,
}

impl Churn {
    pub(super) fn start(lab: &Lab) -> Result<Self> {
        lab.kubectl(&["create", "namespace", "churn"])?;
        let runtime = Arc::clone(&lab.runtime);
        let client = runtime.block_on(client(&lab.files.kubeconfig("admin")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (mut churning, mut watching) = (JoinSet::new(), JoinSet::new());
        watching.spawn_on(watch(client.clone()), runtime.handle());
        churning.spawn_on(churn(client.clone(), Arc::clone(&stop)), runtime.handle());
        Ok(Self {
            runtime,
            client,
            stop,
            churning,
            watching,
        })
    }

    /// Ends it; what the watch saw.
    pub(super) fn finish(mut self) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            self.churning
                .join_next()
                .await
                .context("nothing churned")???;
            send(
                &self.client,
                Method::POST,
                SERVICES,
                Some(&service(LAST, 0)),
            )
            .await?;
            self.watching
                .join_next()
                .await
                .context("nobody watched")??
        })
    }
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Every step does one thing: a Service goes and comes back, asks for an address or for none any more.
async fn churn(client: Client, stop: Arc<AtomicBool>) -> Result<()> {
    let mut step = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        step += 1;
        // A multiplier prime to the crowd, so that every Service has its turn in a mixed order.
        let number = step * 23 % CROWD;
        let name = format!("s-{number}");
        let path = format!("{SERVICES}/{name}");
        match step % 4 {
            0 => send(&client, Method::DELETE, &path, None).await?,
            1 | 2 => send(&client, Method::POST, SERVICES, Some(&service(&name, step))).await?,
            _ => {
                let asks = (step % 8 == 3).then(|| address(step));
                let change = json!({"metadata": {"annotations": {
                    "heraldlb.io/loadBalancerIPs": asks,
                }}});
                send(&client, Method::PATCH, &path, Some(&change)).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}

/// One of the pool's.
fn address(step: u64) -> String {
    let [first, _] = POOL_RANGES[0]
        .split_once('-')
        .map_or(["", ""], |(a, b)| [a, b]);
    let (network, last) = first.rsplit_once('.').unwrap_or_default();
    let last: u64 = last.parse().unwrap_or_default();
    format!("{network}.{}", last + step % 40)
}

/// A third of the Services share by key.
fn service(name: &str, step: u64) -> Value {
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": {}},
        "spec": {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": false,
            "ports": [{"port": 1_000 + step % 5_000}],
        },
    });
    if step.is_multiple_of(3) {
        object["metadata"]["annotations"]["heraldlb.io/allow-shared-ip"] = json!("churn");
    }
    object
}

/// A Service that is there or not there already is no error.
async fn send(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
    let body = body
        .map(serde_json::to_vec)
        .transpose()?
        .unwrap_or_default();
    let kind = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, kind)
        .body(body)?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Watches from the beginning until the last Service is there.
async fn watch(client: Client) -> Result<Seen> {
    let mut seen = Seen::default();
    let list: Value = client
        .request(Request::get(SERVICES).body(Vec::new())?)
        .await?;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default();
    let path = format!("{SERVICES}?watch=1&timeoutSeconds=86400&resourceVersion={version}");
    let request = Request::get(path).body(Vec::new())?;
    let mut events = pin!(client.request_events::<Value>(request).await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                if object["metadata"]["name"] == LAST {
                    return Ok(seen);
                }
                seen.set(read(&object));
            }
            WatchEvent::Deleted(object) => seen.remove(&read(&object).name),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => bail!("the watch of Services: {}", status.message),
        }
    }
    bail!("the watch of Services ended")
}

fn read(object: &Value) -> Version {
    let annotation = |name: &str| {
        let text = object["metadata"]["annotations"][name].as_str();
        text.map(str::to_owned)
    };
    let ingress = object["status"]["loadBalancer"]["ingress"].as_array();
    let addresses = ingress
        .into_iter()
        .flatten()
        .filter_map(|one| one["ip"].as_str());
    Version {
        name: object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        asks: annotation("heraldlb.io/loadBalancerIPs"),
        sharing: annotation("heraldlb.io/allow-shared-ip"),
        holds: addresses.map(str::to_owned).collect::<BTreeSet<_>>(),
    }
}
