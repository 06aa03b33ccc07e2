//! Services as a user makes them, and what a user sees of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::neigh;
use crate::pod;
use crate::pods::WEB;
use crate::topology::NodeNumber;

/// How long an address may take to be given, and a page to be reachable through it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// kube-proxy returns to an API server that was away after up to half a minute, and some.
const PROXY_PATIENCE: Duration = Duration::from_secs(75);

/// A Service of type LoadBalancer in `default`, TCP and UDP.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// `ipFamilyPolicy`.
    pub policy: &'static str,
    /// `ipFamilies`; empty leaves them to the API server.
    pub families: Vec<&'static str>,
    /// `externalTrafficPolicy`.
    pub traffic: &'static str,
    /// `loadBalancerClass`.
    pub class: Option<&'static str>,
    /// Its port, for TCP and UDP; the pods' is 80.
    pub port: u16,
    /// Its annotations.
    pub annotations: Vec<(&'static str, String)>,
    /// Whose pods are behind it, by their label `app`.
    pub app: &'static str,
    /// The node whose pods are behind it; all nodes' if none.
    pub node: Option<NodeNumber>,
}

impl Wanted {
    /// Both families, policy Cluster.
    pub fn dual(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            policy: "RequireDualStack",
            families: Vec::new(),
            traffic: "Cluster",
            class: None,
            port: 80,
            annotations: Vec::new(),
            app: WEB,
            node: None,
        }
    }

    /// One family, policy Cluster.
    pub fn single(name: &str, family: &'static str) -> Self {
        Self {
            policy: "SingleStack",
            families: vec![family],
            ..Self::dual(name)
        }
    }

    /// With `externalTrafficPolicy: Local`.
    #[must_use]
    pub fn local(self) -> Self {
        Self {
            traffic: "Local",
            ..self
        }
    }

    /// Of a class.
    #[must_use]
    pub fn of_class(self, class: &'static str) -> Self {
        Self {
            class: Some(class),
            ..self
        }
    }

    /// On another port than 80.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// With an annotation.
    #[must_use]
    pub fn annotated(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.annotations.push((key, value.into()));
        self
    }

    /// Asking for an address.
    #[must_use]
    pub fn at(self, address: IpAddr) -> Self {
        self.annotated("heraldlb.io/loadBalancerIPs", address.to_string())
    }

    fn manifest(&self) -> Value {
        let annotations: serde_json::Map<String, Value> = self
            .annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let mut spec = json!({
            "type": "LoadBalancer",
            "ipFamilyPolicy": self.policy,
            "externalTrafficPolicy": self.traffic,
            "selector": selector(self.app, self.node),
            "ports": [
                {"name": "http", "port": self.port, "targetPort": 80, "protocol": "TCP"},
                {"name": "echo", "port": self.port, "targetPort": 80, "protocol": "UDP"},
            ],
        });
        if let Some(class) = self.class {
            spec["loadBalancerClass"] = json!(class);
        }
        if !self.families.is_empty() {
            spec["ipFamilies"] = json!(self.families);
        }
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name, "annotations": annotations}, "spec": spec})
    }
}

/// The pods of an application on one node, or on all.
fn selector(app: &str, node: Option<NodeNumber>) -> Value {
    match node {
        Some(node) => json!({"app": app, "node": node.name()}),
        None => json!({"app": app}),
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/default/services/{name}")
}

impl Lab {
    /// Makes a Service.
    pub fn create_service(&self, wanted: &Wanted) -> Result<()> {
        self.api
            .create("/api/v1/namespaces/default/services", &wanted.manifest())
    }

    /// Makes a Service, waits for its address or addresses, IPv4 first, and for the pages behind them.
    pub fn serve(&self, wanted: &Wanted) -> Result<Vec<IpAddr>> {
        self.create_service(wanted)?;
        let addresses = self.wait_for_addresses(wanted)?;
        self.wait_for_proxies(&wanted.name)?;
        for address in &addresses {
            self.wait_for_page(*address)?;
        }
        Ok(addresses)
    }

    /// Waits until every node's kube-proxy knows a Service: its cluster address, which no Service
    /// before it had, leads to a pod. A page through the external address alone may come by what
    /// kube-proxy still believes of an earlier Service that had it.
    fn wait_for_proxies(&self, name: &str) -> Result<()> {
        let address = self.cluster_address(name)?;
        let limit = Duration::from_millis(400);
        for node in &self.topology.nodes {
            let otherwise = format!("kube-proxy of {} ignores {name}", node.number.name());
            self.wait(&otherwise, PROXY_PATIENCE, |_| {
                pod::fetch(&node.machine, address, limit).map(|_| true)
            })?;
        }
        Ok(())
    }

    fn cluster_address(&self, name: &str) -> Result<SocketAddr> {
        let service = self.service(name)?;
        let text = service["spec"]["clusterIP"].as_str().unwrap_or_default();
        let address = text.parse().context("it has no cluster address")?;
        Ok(SocketAddr::new(address, 80))
    }

    /// Waits until a Service has as many addresses as it wants, IPv4 first.
    pub fn wait_for_addresses(&self, wanted: &Wanted) -> Result<Vec<IpAddr>> {
        let count = if wanted.policy == "RequireDualStack" {
            2
        } else {
            1
        };
        let name = &wanted.name;
        self.wait(
            &format!("Service {name} gets no address"),
            PATIENCE,
            |lab| Ok(lab.addresses(name)?.len() >= count),
        )?;
        let mut addresses = self.addresses(name)?;
        addresses.sort_by_key(IpAddr::is_ipv6);
        Ok(addresses)
    }

    /// Waits until the client gets a page through an address; how long that took.
    pub fn wait_for_page(&self, address: IpAddr) -> Result<Duration> {
        // Short tries: one that is lost before kube-proxy is programmed is repeated soon.
        let (client, limit) = (&self.topology.client, Duration::from_millis(400));
        self.wait(&format!("no page through {address}"), PATIENCE, |_| {
            pod::fetch(client, SocketAddr::new(address, 80), limit).map(|_| true)
        })
    }

    /// The addresses in a Service's status.
    pub fn addresses(&self, name: &str) -> Result<Vec<IpAddr>> {
        let service = self.service(name)?;
        service["status"]["loadBalancer"]["ingress"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|ingress| {
                let text = ingress["ip"].as_str().context("an ingress has no ip")?;
                text.parse()
                    .with_context(|| format!("{text} is no address"))
            })
            .collect()
    }

    /// The whole Service.
    pub fn service(&self, name: &str) -> Result<Value> {
        self.api
            .get(&path(name))?
            .with_context(|| format!("there is no Service {name}"))
    }

    /// Changes a Service by a JSON merge patch.
    pub fn change_service(&self, name: &str, change: &Value) -> Result<()> {
        self.api.patch(&path(name), crate::api::Merge::Json, change)
    }

    /// Puts the pods of one node alone behind a Service, and waits until every kube-proxy does so.
    pub fn serve_from(&self, name: &str, node: NodeNumber) -> Result<()> {
        self.change_service(
            name,
            &json!({"spec": {"selector": selector(WEB, Some(node))}}),
        )?;
        let address = self.cluster_address(name)?;
        let otherwise = format!(
            "{name} is served by other pods than those of {}",
            node.name()
        );
        self.wait(&otherwise, PATIENCE, |lab| {
            for from in &lab.topology.nodes {
                // Chance picks the pod: so many in a row are not chance.
                for _ in 0..5 {
                    let page = pod::fetch(&from.machine, address, Duration::from_millis(400))?;
                    if page.node != node.name() {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
        .map(drop)
    }

    /// Deletes a Service and waits until it is gone, finalizers included.
    pub fn delete_service(&self, name: &str) -> Result<()> {
        self.api.delete(&path(name))?;
        self.wait(&format!("Service {name} is not deleted"), PATIENCE, |lab| {
            Ok(lab.api.get(&path(name))?.is_none())
        })
        .map(drop)
    }

    /// A Service's ServiceAnnouncement.
    pub fn announcement(&self, name: &str) -> Result<Value> {
        let path =
            format!("/apis/heraldlb.io/v1beta1/namespaces/default/serviceannouncements/{name}");
        self.api
            .get(&path)?
            .with_context(|| format!("there is no ServiceAnnouncement {name}"))
    }

    /// The node that a Service's ServiceAnnouncement says answers for an address.
    pub fn reported_owner(&self, name: &str, address: IpAddr) -> Result<NodeNumber> {
        let announcement = self.announcement(name)?;
        let node = announcement["status"]["layer2"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["address"] == address.to_string())
            .and_then(|entry| entry["node"].as_str())
            .with_context(|| format!("ServiceAnnouncement {name} names no node for {address}"))?;
        self.number_of(node)
    }

    /// The node whose LAN interface the client believes has an address. Asks by fetching a page when
    /// the client does not know.
    pub fn believed_owner(&self, address: IpAddr) -> Result<NodeNumber> {
        let client = &self.topology.client;
        if neigh::entry(client, address)?
            .and_then(|entry| entry.mac)
            .is_none()
        {
            self.fetch(address)?;
        }
        let mac = neigh::entry(client, address)?
            .and_then(|entry| entry.mac)
            .with_context(|| format!("the client has no neighbour entry for {address}"))?;
        for node in &self.topology.nodes {
            if neigh::own_mac(&node.machine)? == mac {
                return Ok(node.number);
            }
        }
        bail!("the client believes {address} is at {mac}, which no node has")
    }

    /// The node that answers for an address, once it is reported and the client agrees.
    pub fn settled_owner(&self, service: &str, address: IpAddr) -> Result<NodeNumber> {
        self.wait("the reported owner is not the client's", PATIENCE, |lab| {
            Ok(lab.reported_owner(service, address)? == lab.believed_owner(address)?)
        })?;
        self.reported_owner(service, address)
    }

    /// Whether nobody on the LAN says that an address is his.
    pub fn nobody_answers(&self, address: IpAddr) -> Result<bool> {
        let client = &self.topology.client;
        neigh::forget(client, address)?;
        let _nothing = self.fetch(address);
        Ok(neigh::entry(client, address)?
            .and_then(|entry| entry.mac)
            .is_none())
    }

    /// A condition of an object: its status, reason and message.
    pub fn condition(&self, object: &Value, kind: &str) -> Option<(String, String, String)> {
        let conditions = object["status"]["conditions"].as_array()?;
        let condition = conditions
            .iter()
            .find(|condition| condition["type"] == kind)?;
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason"), text("message")))
    }

    /// Reason and message of every Event about an object of `default`.
    pub fn events(&self, kind: &str, name: &str) -> Result<Vec<String>> {
        let events = self.api.list("/api/v1/events")?;
        Ok(events
            .iter()
            .filter(|event| {
                event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name
            })
            .map(|event| {
                let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}: {}", text("type"), text("reason"), text("message"))
            })
            .collect())
    }

    fn number_of(&self, node: &str) -> Result<NodeNumber> {
        self.topology
            .nodes
            .iter()
            .map(|one| one.number)
            .find(|number| number.name() == node)
            .with_context(|| format!("there is no node {node}"))
    }
}
