//! The pods of the lab: `app=web` on every node, and those that a scenario runs besides.
//!
//! Not here: what runs in them ([`crate::pod`]).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::lab::Lab;
use crate::program::{Launch, Program};
use crate::topology::{NodeNet, NodeNumber};

/// The application of the lab's own pods, their label `app`.
pub const WEB: &str = "web";

/// How long a pod may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pod that runs.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) node: NodeNumber,
    /// Tells it from the others of its node.
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) server: Program,
}

impl Lab {
    /// Runs one more pod of an application on a node, ready from the first moment; its name.
    pub fn run_pod(&mut self, app: &str, node: NodeNumber) -> Result<String> {
        let net = self.node(node.0)?.clone();
        let used = |number: &u8| {
            let mut pods = self.pods.iter();
            pods.any(|pod| pod.node == node && pod.number == *number)
        };
        let number = (1..=u8::MAX).find(|number| !used(number));
        let number = number.context("a node has too many pods")?;
        let name = format!("{app}-{}-{number}", node.0);
        let mut arguments: Vec<String> = ["pod", "--pod", &name, "--node", &node.name()]
            .map(String::from)
            .into();
        for address in node.pod(number) {
            arguments.extend(["--listen".into(), SocketAddr::new(address, 80).to_string()]);
        }
        addresses(&net, number, "add")?;
        let server = self.start(Launch {
            name: format!("pod-{name}"),
            netns: net.pods,
            path: std::env::current_exe()?,
            arguments,
            environment: Vec::new(),
        })?;
        let labels = json!({"app": app, "node": node.name()});
        self.standin.run_pod(node, &name, &labels, number)?;
        self.pods.push(Pod {
            node,
            number,
            name: name.clone(),
            server,
        });
        Ok(name)
    }

    /// Deletes a pod as a user does, and ends it once it is gone from the API server.
    pub fn delete_pod(&mut self, name: &str) -> Result<()> {
        let at = self.pods.iter().position(|pod| pod.name == name);
        let at = at.with_context(|| format!("there is no pod {name}"))?;
        self.standin.forget_pod(name);
        let path = format!("/api/v1/namespaces/default/pods/{name}");
        self.api.delete(&path)?;
        self.wait(&format!("pod {name} is not deleted"), PATIENCE, |lab| {
            Ok(lab.api.get(&path)?.is_none())
        })?;
        let mut pod = self.pods.remove(at);
        pod.server.kill();
        addresses(self.node(pod.node.0)?, pod.number, "del")
    }

    /// Deletes all pods of an application.
    pub fn delete_pods(&mut self, app: &str) -> Result<()> {
        let of_app = format!("{app}-");
        let names = self.pods.iter().map(|pod| pod.name.clone());
        let names: Vec<String> = names.filter(|name| name.starts_with(&of_app)).collect();
        names.iter().try_for_each(|name| self.delete_pod(name))
    }
}

/// Gives the pods of a node the addresses of one more, or takes them away. Usable at once: nobody is asked
/// whether he has them.
fn addresses(node: &NodeNet, number: u8, verb: &str) -> Result<()> {
    let batch = node.number.pod(number).map(|address| {
        let rest = if address.is_ipv4() {
            "32 dev eth0"
        } else {
            "128 dev eth0 nodad"
        };
        format!("address {verb} {address}/{rest}")
    });
    node.pods.ip(&batch.join("\n"))
}
