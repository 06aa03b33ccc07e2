//! The stand-in for the kubelet: creates Node objects, renews their Leases, reports pods.
//!
//! It runs no containers and checks no probe. A node it was told is dead is no longer renewed, which
//! is all the control plane sees of a real node's death.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::api::{Api, Merge};
use crate::clock;
use crate::topology::NodeNumber;

/// How often a kubelet renews (its default), and how long a Lease counts.
const RENEW_EVERY: Duration = Duration::from_secs(10);
const LEASE_SECONDS: u64 = 40;
/// The longest it may take until somebody acts on a node's death: the Lease, the node controller's
/// patience, and some.
pub const NOTICED: Duration = Duration::from_secs(75);
/// How often the thread looks for work.
const TICK: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
struct Shared {
    alive: BTreeSet<NodeNumber>,
    /// The pods of `default` by name: whether each is to be reported ready.
    pods: BTreeMap<String, (NodeNumber, u8, bool)>,
    /// Nodes whose pods are not looked at.
    mute: BTreeSet<NodeNumber>,
    ended: bool,
}

/// The thread that stands in for every node's kubelet. Dropping it stops it.
pub struct StandIn {
    api: Api,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts with no node.
    pub fn start(api: Api) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let thread = thread::spawn({
            let (api, shared) = (api.clone(), Arc::clone(&shared));
            move || keep(&api, &shared)
        });
        Self {
            api,
            shared,
            thread: Some(thread),
        }
    }

    /// Registers a node as a kubelet does, Ready from the first moment, and keeps renewing it.
    pub fn register(&self, node: NodeNumber) -> Result<()> {
        let name = node.name();
        self.api.create(
            "/api/v1/nodes",
            &json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels": {
                    "kubernetes.io/hostname": name,
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                    "topology.kubernetes.io/zone": format!("zone-{}", node.0),
                }},
                "spec": {"podCIDR": node.pod_ranges()[0], "podCIDRs": node.pod_ranges()},
            }),
        )?;
        renew(&self.api, node)?;
        self.revive(node);
        Ok(())
    }

    /// Renews no more.
    pub fn kill(&self, node: NodeNumber) {
        lock(&self.shared).alive.remove(&node);
    }

    /// Renews again.
    pub fn revive(&self, node: NodeNumber) {
        lock(&self.shared).alive.insert(node);
    }

    /// Looks after a node's pods no more, or again; the node is renewed all the same. Whoever else
    /// writes to its pods is not contradicted meanwhile.
    pub fn mute(&self, node: NodeNumber, mute: bool) {
        let nodes = &mut lock(&self.shared).mute;
        if mute {
            nodes.insert(node);
        } else {
            nodes.remove(&node);
        }
    }

    /// Creates a pod that is bound to a node already and reports it running and ready.
    pub fn run_pod(&self, node: NodeNumber, name: &str, labels: &Value, number: u8) -> Result<()> {
        self.api.create(
            "/api/v1/namespaces/default/pods",
            &json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "default", "labels": labels},
                "spec": {
                    "nodeName": node.name(),
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "web", "image": "lab", "ports": [
                        {"name": "http", "containerPort": 80}]}],
                },
            }),
        )?;
        self.report_pod(node, name, number, true)
    }

    /// Reports a pod no more.
    pub fn forget_pod(&self, name: &str) {
        lock(&self.shared).pods.remove(name);
    }

    /// Reports a pod ready or not, and keeps it so.
    pub fn report_pod(&self, node: NodeNumber, name: &str, number: u8, ready: bool) -> Result<()> {
        lock(&self.shared)
            .pods
            .insert(name.to_owned(), (node, number, ready));
        report_pod(&self.api, node, name, number, ready)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        lock(&self.shared).ended = true;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews every living node each [`RENEW_EVERY`] and finishes pods that are being deleted. An API
/// server that does not answer is asked again at the next tick.
fn keep(api: &Api, shared: &Mutex<Shared>) {
    let mut renewed: BTreeMap<NodeNumber, Instant> = BTreeMap::new();
    let mut ticks = 0_u32;
    loop {
        let alive = {
            let shared = lock(shared);
            if shared.ended {
                return;
            }
            shared.alive.clone()
        };
        renewed.retain(|node, _| alive.contains(node));
        for node in &alive {
            let due = renewed
                .get(node)
                .is_none_or(|last| clock::now().duration_since(*last) >= RENEW_EVERY);
            if due && renew(api, *node).is_ok() {
                renewed.insert(*node, clock::now());
            }
        }
        if ticks.is_multiple_of(4) {
            let (pods, mute) = {
                let shared = lock(shared);
                (shared.pods.clone(), shared.mute.clone())
            };
            let heeded = alive.difference(&mute).copied().collect();
            let _retried = keep_pods(api, &heeded, &pods);
        }
        ticks = ticks.wrapping_add(1);
        thread::sleep(TICK);
    }
}

/// Renews a node's Lease and posts its status.
fn renew(api: &Api, node: NodeNumber) -> Result<()> {
    let name = node.name();
    let lease = format!("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}");
    let spec = json!({
        "holderIdentity": name,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": clock::micro_time(clock::wall()),
    });
    if api.get(&lease)?.is_some() {
        api.patch(&lease, Merge::Json, &json!({"spec": spec}))?;
    } else {
        api.create(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
            &json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec}),
        )?;
    }
    let now = clock::seconds_time(clock::wall());
    let mut addresses: Vec<Value> = node
        .lan()
        .iter()
        .map(|address| json!({"type": "InternalIP", "address": address.to_string()}))
        .collect();
    addresses.push(json!({"type": "Hostname", "address": name}));
    // Two addresses of one type cannot be merged by type: as a kubelet does, all are replaced.
    addresses.push(json!({"$patch": "replace"}));
    let fine = |kind: &str, status: &str, reason: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "the lab says so",
            "lastHeartbeatTime": now})
    };
    api.patch(
        &format!("/api/v1/nodes/{name}/status"),
        Merge::Strategic,
        &json!({"status": {
            "addresses": addresses,
            "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "conditions": [
                fine("Ready", "True", "KubeletReady"),
                fine("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                fine("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                fine("PIDPressure", "False", "KubeletHasSufficientPID"),
            ],
        }}),
    )
}

/// Posts a pod's status.
fn report_pod(api: &Api, node: NodeNumber, name: &str, number: u8, ready: bool) -> Result<()> {
    let now = clock::seconds_time(clock::wall());
    let status = if ready { "True" } else { "False" };
    let addresses = node.pod(number).map(|address| address.to_string());
    let condition = |kind: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
    api.patch(
        &format!("/api/v1/namespaces/default/pods/{name}/status"),
        Merge::Strategic,
        &json!({"status": {
            "phase": "Running",
            "hostIP": node.lan()[0].to_string(),
            "hostIPs": node.lan().map(|address| json!({"ip": address.to_string()})),
            "podIP": addresses[0],
            "podIPs": addresses.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>(),
            "startTime": now,
            "conditions": [condition("Ready"), condition("ContainersReady"),
                json!({"type": "Initialized", "status": "True", "lastTransitionTime": now}),
                json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now})],
            "containerStatuses": [{
                "name": "web", "image": "lab", "imageID": "lab", "containerID": "lab://web",
                "ready": ready, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }],
        }}),
    )
}

/// Removes pods whose deletion waits for the kubelet of a living node, and reports those ready again
/// that the node controller took for dead with their node.
fn keep_pods(
    api: &Api,
    alive: &BTreeSet<NodeNumber>,
    reported: &BTreeMap<String, (NodeNumber, u8, bool)>,
) -> Result<()> {
    let names: BTreeSet<String> = alive.iter().map(|node| node.name()).collect();
    for pod in api.list("/api/v1/pods")? {
        let here = pod["spec"]["nodeName"]
            .as_str()
            .is_some_and(|node| names.contains(node));
        let (true, Some(namespace), Some(name)) = (
            here,
            pod["metadata"]["namespace"].as_str(),
            pod["metadata"]["name"].as_str(),
        ) else {
            continue;
        };
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            api.delete(&format!("/api/v1/namespaces/{namespace}/pods/{name}"))?;
        } else if let Some((node, number, ready)) = reported.get(name) {
            let conditions = pod["status"]["conditions"].as_array();
            let condition = conditions
                .into_iter()
                .flatten()
                .find(|one| one["type"] == "Ready");
            let shown = condition.is_some_and(|condition| condition["status"] == "True");
            if shown != *ready {
                report_pod(api, *node, name, *number, *ready)?;
            }
        }
    }
    Ok(())
}
