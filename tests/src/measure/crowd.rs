//! Many Services at once: made, watched, counted and cleared.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Stopwatch;
use crate::lab::Lab;

/// The class of nobody: the bare run writes the status itself.
pub(super) const BARE: &str = "example.com/bare";
/// Herald's.
pub(super) const HERALD: &str = "heraldlb.io/herald";

const CREATORS: usize = 8;
const WRITERS: usize = 16;
const SERVICES: &str = "/api/v1/namespaces/crowd/services";
const ANNOUNCEMENTS: &str = "/apis/heraldlb.io/v1beta1/namespaces/crowd/serviceannouncements";

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(900);

/// The part of a Service that matters here.
#[derive(Debug, Clone, Default, Deserialize)]
struct Brief {
    metadata: Meta,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Status {
    #[serde(default, rename = "loadBalancer")]
    load_balancer: LoadBalancer,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct LoadBalancer {
    #[serde(default)]
    ingress: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Briefs {
    metadata: Meta,
    items: Vec<Brief>,
}

/// A namespace full of Services.
pub(super) struct Crowd {
    runtime: Arc<Runtime>,
    kubeconfig: PathBuf,
}

impl Crowd {
    /// An empty one, with a pool of its own.
    pub(super) fn new(lab: &mut Lab) -> Result<Self> {
        lab.apply(
            "apiVersion: heraldlb.io/v1beta1\n\
             kind: IPAddressPool\n\
             metadata: {name: crowd}\n\
             spec: {addresses: [10.128.0.0/16]}\n",
        )?;
        lab.kubectl(&["create", "namespace", "crowd"])?;
        Ok(Self {
            runtime: Arc::clone(&lab.runtime),
            kubeconfig: lab.files.kubeconfig("admin"),
        })
    }

    /// A client with a connection of its own.
    async fn client(&self) -> Result<Client> {
        let file = Kubeconfig::read_from(&self.kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Creates so many Services of a class; how long until every one has its address.
    pub(super) fn fill(&self, class: &'static str, count: usize) -> Result<Duration> {
        self.runtime.block_on(async {
            let (ready, started) = oneshot::channel();
            let watching = self.client().await?;
            let version = list(&watching, SERVICES).await?.metadata.resource_version;
            let mut tasks = JoinSet::new();
            tasks.spawn(served(watching, version, count, ready));
            started.await.context("the watch did not start")?;

            let (made, to_write) = mpsc::unbounded_channel();
            let next = Arc::new(AtomicUsize::new(0));
            let clients = |count| try_join_all((0..count).map(|_| self.client()));
            let (creators, writers) = (clients(CREATORS).await?, clients(WRITERS).await?);
            let watch = Stopwatch::start();
            for client in creators {
                let (next, made) = (Arc::clone(&next), made.clone());
                tasks.spawn(create_some(client, class, next, count, made));
            }
            drop(made);
            if class == BARE {
                tasks.spawn(write_all(writers, to_write));
            }
            while let Some(task) = tokio::time::timeout(LIMIT, tasks.join_next())
                .await
                .map_err(|_| anyhow!("some of {count} Services got no address"))?
            {
                task??;
            }
            Ok(watch.elapsed())
        })
    }

    /// Creates Services one by one; what each took until its address was seen, less what its creation
    /// and a status write of the same kind took.
    pub(super) fn one_by_one(&self, count: usize) -> Result<Vec<Duration>> {
        self.runtime.block_on(async {
            let client = self.client().await?;
            let mut excess = Vec::new();
            for number in 0..count {
                let bare = create(&client, BARE, &format!("bare-{number}")).await?;
                let writing = Stopwatch::start();
                write(&client, &bare, number).await?;
                let write_took = writing.elapsed();

                let version = list(&client, &format!("{SERVICES}?limit=1")).await?;
                let (ready, started) = oneshot::channel();
                let version = version.metadata.resource_version;
                let mut watched = JoinSet::new();
                watched.spawn(served(self.client().await?, version, 1, ready));
                started.await.context("the watch did not start")?;
                let watch = Stopwatch::start();
                create(&client, HERALD, &format!("one-{number}")).await?;
                let create_took = watch.elapsed();
                watched.join_next().await.context("the watch is gone")???;
                excess.push(watch.elapsed().saturating_sub(create_took + write_took));
            }
            Ok(excess)
        })
    }

    /// How many Services have a report that says they are allocated.
    pub(super) fn reported(&self) -> Result<usize> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Value>,
        }
        self.runtime.block_on(async {
            let client = self.client().await?;
            let request = Request::get(ANNOUNCEMENTS).body(Vec::new())?;
            let list: List = client.request(request).await?;
            let allocated = |item: &&Value| {
                item["status"]["addresses"]
                    .as_array()
                    .is_some_and(|addresses| !addresses.is_empty())
            };
            Ok(list.items.iter().filter(allocated).count())
        })
    }

    /// Deletes every Service and waits until nothing is left of them.
    pub(super) fn clear(&self) -> Result<()> {
        self.runtime.block_on(async {
            let client = self.client().await?;
            let all = list(&client, SERVICES).await?.items;
            // The API server deletes a collection one by one.
            futures::stream::iter(all)
                .map(Ok)
                .try_for_each_concurrent(WRITERS, |service| {
                    let client = client.clone();
                    async move {
                        let path = format!("{SERVICES}/{}", service.metadata.name);
                        client
                            .request_text(Request::delete(path).body(Vec::new())?)
                            .await?;
                        anyhow::Ok(())
                    }
                })
                .await?;
            let watch = Stopwatch::start();
            for path in [SERVICES, ANNOUNCEMENTS] {
                while !list(&client, path).await?.items.is_empty() {
                    if watch.elapsed() > LIMIT {
                        bail!("{path} is not cleared");
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
            Ok(())
        })
    }
}

/// Creates Services until all numbers below `count` are taken.
async fn create_some(
    client: Client,
    class: &'static str,
    next: Arc<AtomicUsize>,
    count: usize,
    made: mpsc::UnboundedSender<Brief>,
) -> Result<()> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return Ok(());
        }
        let service = create(&client, class, &format!("s-{number}")).await?;
        let _nobody_writes = made.send(service);
    }
}

/// Writes the status of each Service as it comes.
async fn write_all(writers: Vec<Client>, mut made: mpsc::UnboundedReceiver<Brief>) -> Result<()> {
    let turn = AtomicUsize::new(0);
    let queue = futures::stream::poll_fn(move |context| made.poll_recv(context));
    queue
        .map(Ok)
        .try_for_each_concurrent(WRITERS, |service| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            let client = writers[turn % WRITERS].clone();
            async move { write(&client, &service, turn).await }
        })
        .await
}

async fn list(client: &Client, path: &str) -> Result<Briefs> {
    let request = Request::get(path).body(Vec::new())?;
    Ok(client.request(request).await?)
}

async fn create(client: &Client, class: &str, name: &str) -> Result<Brief> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": class,
            "allocateLoadBalancerNodePorts": false,
            "ports": [{"port": 80}],
        },
    });
    let request = Request::post(SERVICES)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(&object)?)?;
    Ok(client.request(request).await?)
}

/// The status as a controller writes it.
async fn write(client: &Client, service: &Brief, number: usize) -> Result<()> {
    let address = format!("10.129.{}.{}", number / 256 % 256, number % 256);
    let change = json!({
        "metadata": {
            "resourceVersion": service.metadata.resource_version,
            "annotations": {"example.com/pool": "crowd"},
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}},
    });
    let path = format!("{SERVICES}/{}/status", service.metadata.name);
    let request = Request::patch(path)
        .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
        .body(serde_json::to_vec(&change)?)?;
    client.request::<Brief>(request).await?;
    Ok(())
}

/// Watches from a version on until so many Services have an address.
async fn served(
    client: Client,
    version: String,
    count: usize,
    ready: oneshot::Sender<()>,
) -> Result<()> {
    let path = format!("{SERVICES}?watch=1&resourceVersion={version}");
    let request = Request::get(path).body(Vec::new())?;
    let mut events = pin!(client.request_events::<Brief>(request).await?);
    let _nobody_waits = ready.send(());
    let mut served = BTreeSet::new();
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Added(service) | WatchEvent::Modified(service) = event
            && !service.status.load_balancer.ingress.is_empty()
        {
            served.insert(service.metadata.name);
            if served.len() >= count {
                return Ok(());
            }
        }
    }
    bail!("the watch of Services ended")
}
