//! Who the other speakers are: keys, view, addresses. Told to the announcing thread, and moved on
//! one node at a time.
//!
//! ```text
//! Secret, ConfigMap, Speakers, Nodes ─┐
//! disk (what an earlier life knew) ───┼─► Known ─► disk ─► fast thread
//! peers' views and lives ─────────────┘                       │ may step
//!                                      next view ─► ConfigMap ◄┘
//! ```
//! The chain of views is one ConfigMap: whoever replaces it names the version it replaces, so each
//! number is given once. A view is written to the disk before it is used (ADR 8).

mod chain;
mod disk;
mod keys;
mod tie;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_beacon::{Life, NodeId, Tie, View};
use herald_crds::Speaker;
use herald_runtime::supervise::{Stop, Tasks};
use herald_runtime::watch::{Watched, Watches};
use herald_runtime::{client, clock};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Secret};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::{mpsc, watch};

pub(crate) use disk::Disk;
use disk::Remembered;
use keys::Secrets;
use tie::TieBreaker;
use view::NamedView;
pub(crate) use view::id;

use crate::fast::{Cluster, Fast, Notice, Telling};

/// The namespace whose UID names the cluster.
const CLUSTER_NAMESPACE: &str = "kube-system";
/// Who is silent for so long is not to vote where others can.
const LOST: Duration = Duration::from_secs(60);
/// What failed is tried again after this.
const RETRY: Duration = Duration::from_secs(2);

/// Live copies of what the membership is made of.
pub(crate) struct Sources {
    pub speakers: Watched<Speaker>,
    pub nodes: Watched<Node>,
    views: Watched<ConfigMap>,
    secrets: Watched<Secret>,
}

impl Sources {
    /// Watches the two objects that only speakers and the controller care for.
    pub(crate) fn watch(
        watches: &Watches,
        tasks: &mut Tasks,
        client: &Client,
        namespace: &str,
        speakers: Watched<Speaker>,
        nodes: Watched<Node>,
    ) -> Self {
        let named = |name| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let views = Api::namespaced(client.clone(), namespace);
        let secrets = Api::namespaced(client.clone(), namespace);
        Self {
            speakers,
            nodes,
            views: watches.watch_with(tasks, "configmaps", views, named(view::NAME)),
            secrets: watches.watch_with(tasks, "secrets", secrets, named(keys::NAME)),
        }
    }
}

/// The worker.
pub(crate) struct Membership {
    pub me: String,
    pub namespace: String,
    pub client: Client,
    pub watches: Arc<Watches>,
    pub sources: Sources,
    pub disk: Disk,
    pub fast: Fast,
    pub notices: mpsc::Receiver<Notice>,
    pub telling: watch::Receiver<Arc<Telling>>,
    /// Of two nodes that do not hear each other, one is to serve.
    pub breaks_ties: bool,
}

/// What is known, from whomever.
#[derive(Clone, PartialEq)]
struct Known {
    cluster: u64,
    life: Life,
    secrets: Option<Secrets>,
    view: Option<View>,
    peers: BTreeMap<NodeId, SocketAddr>,
    gone: BTreeSet<NodeId>,
}

impl Known {
    /// From what an earlier life wrote down.
    fn of(old: Remembered, clock: Life) -> Self {
        Self {
            cluster: old.cluster,
            life: clock.max(old.life + 1),
            view: old.view(),
            secrets: Some(old.secrets),
            peers: old.peers,
            gone: BTreeSet::new(),
        }
    }

    /// What of it counts in this cluster: nothing, on a machine that was in another one before.
    fn in_cluster(known: Option<Self>, cluster: u64, clock: Life) -> Self {
        let life = known.as_ref().map_or(clock, |known| known.life);
        let same = known.filter(|known| known.cluster == cluster);
        same.unwrap_or(Self {
            cluster,
            life,
            secrets: None,
            view: None,
            peers: BTreeMap::new(),
            gone: BTreeSet::new(),
        })
    }
}

impl Membership {
    /// Runs until asked to end.
    pub(crate) async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let clock = u64::try_from(clock::wall().as_microsecond()).unwrap_or(0);
        let mut known = self.disk.recall().map(|old| Known::of(old, clock));
        let mut told: Option<Known> = None;
        let mut silences = Silences::default();
        let mut broken: Option<Tie> = None;
        let breaks = self.breaks_ties;
        let mut tie = breaks.then(|| TieBreaker::new(&self.me, &self.client, &self.namespace));
        // Whether the API server has said which cluster this is.
        let mut certain = false;
        let mut changes = self.watches.subscribe();
        loop {
            changes.borrow_and_update();
            let mut retry = false;
            let mut wants_tie = false;
            if !certain && self.watches.synced() {
                match self.cluster().await {
                    Ok(cluster) => {
                        certain = true;
                        known = Some(Known::in_cluster(known, cluster, clock));
                    }
                    Err(error) => {
                        tracing::warn!(
                            error = client::describe(&error),
                            "Namespace {CLUSTER_NAMESPACE} cannot be read, trying again"
                        );
                        retry = true;
                    }
                }
            }
            if let Some(current) = &mut known {
                if certain {
                    self.learn(current);
                }
                if told.as_ref() != Some(current) {
                    if self.tell(current) {
                        told = Some(current.clone());
                    } else {
                        retry = true;
                    }
                }
                let telling = Arc::clone(&self.telling.borrow_and_update());
                if let Some(tie) = &mut tie {
                    wants_tie = telling.wants_tie.is_some();
                    let held = tie.round(telling.wants_tie).await;
                    if wants_tie || broken.is_some() {
                        self.fast.set_tie(held);
                    }
                    broken = held;
                }
                silences.note(&telling, clock::now());
                // Nothing tells when it has lasted long enough.
                retry |= silences.any();
                let lost = silences.longer_than(LOST, clock::now());
                let holds = tie.as_ref().is_some_and(TieBreaker::is_held);
                if certain && let Err(error) = self.step(current, &telling, &lost, holds).await {
                    tracing::warn!(
                        error = client::describe(&error),
                        "the next view cannot be written"
                    );
                    retry = true;
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                changed = self.telling.changed() => anyhow::ensure!(changed.is_ok(), "the announcing thread ended"),
                notice = self.notices.recv() => match (notice, &mut known) {
                    (Some(notice), Some(current)) => heed(current, notice),
                    (Some(_), None) => {}
                    (None, _) => anyhow::bail!("the announcing thread ended"),
                },
                () = tokio::time::sleep(RETRY), if retry => {}
                () = tokio::time::sleep(TieBreaker::PAUSE), if wants_tie => {}
                () = stop.wait() => return Ok(()),
            }
        }
    }

    /// The number of this cluster.
    async fn cluster(&self) -> kube::Result<u64> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = namespaces.get(CLUSTER_NAMESPACE).await?;
        let uid = namespace.metadata.uid.unwrap_or_default();
        Ok(view::number(uid.as_bytes()))
    }

    /// Takes what the API server says, once it has said everything.
    fn learn(&self, known: &mut Known) {
        if !self.watches.synced() {
            return;
        }
        let secrets = self.sources.secrets.snapshot();
        let secret = secrets
            .values()
            .next()
            .and_then(|secret| secret.data.as_ref());
        if let Some(data) = secret {
            let unwrap = |(name, value): (&String, &ByteString)| (name.clone(), value.0.clone());
            match Secrets::read(&data.iter().map(unwrap).collect()) {
                Ok(secrets) => known.secrets = Some(secrets),
                Err(sentence) => tracing::error!("{sentence}"),
            }
        }
        if let Some(view) = self.written() {
            adopt(known, view.view());
        }
        known.peers = self.addresses().map(|(name, at)| (id(&name), at)).collect();
        let nodes = self.sources.nodes.snapshot();
        let existing: BTreeSet<NodeId> = nodes.keys().map(|name| id(name.name())).collect();
        let members = known.view.iter().flat_map(|view| &view.members);
        known.gone = members
            .filter(|id| !existing.contains(id))
            .copied()
            .collect();
    }

    fn written(&self) -> Option<NamedView> {
        let object = self.sources.views.snapshot().into_values().next()?;
        NamedView::read(&object)
    }

    /// The speakers whose Node exists, and where they take beacons.
    fn addresses(&self) -> impl Iterator<Item = (String, SocketAddr)> {
        let nodes = self.sources.nodes.snapshot();
        let speakers = self.sources.speakers.snapshot().into_iter();
        speakers.filter_map(move |(name, speaker)| {
            nodes.get(&name)?;
            let address = speaker.status.as_ref()?.beacon_address.as_ref()?;
            Some((name.name().to_owned(), address.parse().ok()?))
        })
    }

    /// Writes down what is known and tells the announcing thread; false when it cannot be written.
    fn tell(&self, known: &Known) -> bool {
        let Some(secrets) = &known.secrets else {
            return true;
        };
        let remembered = Remembered {
            cluster: known.cluster,
            life: known.life,
            secrets: secrets.clone(),
            view: known.view.as_ref().map(|view| {
                let members = view.members.iter().copied();
                (view.number, members.collect())
            }),
            voters: known.view.as_ref().map(|view| {
                let voters = view.voters.iter().copied();
                voters.collect()
            }),
            peers: known.peers.clone(),
        };
        if let Err(error) = self.disk.remember(&remembered) {
            tracing::error!(%error, "--state-directory cannot be written to: the membership stays as it is");
            return false;
        }
        self.fast.set_cluster(Cluster {
            id: known.cluster,
            life: known.life,
            keys: secrets.derive(known.cluster),
            view: known.view.clone(),
            peers: known.peers.clone(),
            gone: known.gone.clone(),
        });
        true
    }
}

/// Since when nothing is heard of voters.
#[derive(Debug, Default)]
struct Silences(BTreeMap<NodeId, Instant>);

impl Silences {
    fn note(&mut self, telling: &Telling, now: Instant) {
        let silent: BTreeSet<NodeId> = telling.voters.difference(&telling.live).copied().collect();
        self.0.retain(|id, _| silent.contains(id));
        for id in silent {
            self.0.entry(id).or_insert(now);
        }
    }

    fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn longer_than(&self, time: Duration, now: Instant) -> BTreeSet<NodeId> {
        let long = self.0.iter().filter(|(_, since)| now >= **since + time);
        long.map(|(id, _)| *id).collect()
    }
}

/// Takes a view that is later than the known one.
fn adopt(known: &mut Known, view: View) {
    if known
        .view
        .as_ref()
        .is_none_or(|old| old.number < view.number)
    {
        known.view = Some(view);
    }
}

fn heed(known: &mut Known, notice: Notice) {
    match notice {
        Notice::View(view) => adopt(known, view),
        Notice::Outlived(life) if life >= known.life => known.life = life + 1,
        Notice::Outlived(_) => {}
    }
}

/// Where this node takes beacons: the address it was told, or the Node's first internal one.
pub(crate) fn beacon_address(node: &Node, told: Option<IpAddr>, port: u16) -> Option<SocketAddr> {
    let addresses = node.status.as_ref()?.addresses.as_deref();
    let mut internal = addresses
        .into_iter()
        .flatten()
        .filter(|address| address.type_ == "InternalIP");
    let address = told.or_else(|| internal.find_map(|address| address.address.parse().ok()))?;
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn beacons_go_to_the_first_internal_address_unless_told_otherwise() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "n"},
            "status": {"addresses": [
                {"type": "Hostname", "address": "n"},
                {"type": "ExternalIP", "address": "203.0.113.1"},
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "InternalIP", "address": "fd00::1"},
            ]},
        }))
        .expect("a Node");
        let at = |told| beacon_address(&node, told, 7948).map(|at| at.to_string());
        assert_eq!(at(None).as_deref(), Some("10.0.0.1:7948"));
        let told = Some("fd00::1".parse().expect("an address"));
        assert_eq!(at(told).as_deref(), Some("[fd00::1]:7948"));
        assert_eq!(beacon_address(&Node::default(), None, 7948), None);
    }

    fn view(number: u64) -> View {
        View::of_equals(number, BTreeSet::from([1]))
    }

    fn known() -> Known {
        Known {
            cluster: 1,
            life: 5,
            secrets: None,
            view: Some(view(3)),
            peers: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    #[test]
    fn what_another_cluster_left_on_the_disk_does_not_count() {
        let here = Known::in_cluster(Some(known()), 1, 4);
        assert_eq!((here.view, here.life), (Some(view(3)), 5));
        let there = Known::in_cluster(Some(known()), 2, 4);
        assert_eq!((there.cluster, there.view, there.life), (2, None, 5));
        let fresh = Known::in_cluster(None, 2, 4);
        assert_eq!((fresh.view, fresh.life), (None, 4));
    }

    #[test]
    fn a_voter_is_lost_when_it_was_silent_without_a_break() {
        let start = clock::now();
        let at = |second| start + Duration::from_secs(second);
        let telling = |live: [NodeId; 2]| Telling {
            voters: [1, 2, 3].into(),
            live: live.into(),
            ..Telling::default()
        };
        let mut silences = Silences::default();
        silences.note(&telling([1, 2]), at(0));
        silences.note(&telling([1, 3]), at(40));
        assert!(silences.any());
        silences.note(&telling([1, 2]), at(50));
        assert!(silences.longer_than(LOST, at(109)).is_empty());
        assert_eq!(silences.longer_than(LOST, at(110)), [3].into());
    }

    #[test]
    fn views_and_lives_only_grow() {
        let mut known = known();
        heed(&mut known, Notice::View(view(2)));
        assert_eq!(known.view, Some(view(3)));
        heed(&mut known, Notice::View(view(4)));
        assert_eq!(known.view, Some(view(4)));
        heed(&mut known, Notice::Outlived(9));
        assert_eq!(known.life, 10);
        heed(&mut known, Notice::Outlived(9));
        assert_eq!(known.life, 10, "peers say it until they hear the new life");
    }
}
