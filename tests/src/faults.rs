//! What breaks in the lab, and how it is mended: cables, nodes, the API server.
//!
//! Nothing here waits for Herald's answer to a fault; scenarios and measurements do.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::controlplane;
use crate::http;
use crate::lab::Lab;
use crate::topology::{NodeNet, NodeNumber};

/// How a node that owns an address fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// The announcing process is killed (SIGKILL); the kernel lives and goes on forwarding.
    Killed,
    /// The announcing process is stopped (SIGSTOP).
    Stopped,
    /// The node's cable to the LAN is pulled: it sees that its carrier is gone.
    PortCut,
    /// Whatever the node sends into the LAN is gone, and it sees nothing of that.
    BlackHole,
    /// Both cables and all processes at once.
    NodeGone,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Killed,
        Self::Stopped,
        Self::PortCut,
        Self::BlackHole,
        Self::NodeGone,
    ];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "process killed",
            Self::Stopped => "process stopped",
            Self::PortCut => "port cut",
            Self::BlackHole => "port black-holed",
            Self::NodeGone => "node gone",
        }
    }
}

impl Lab {
    /// Pulls a node's cable to the LAN. It still reaches the API server.
    pub fn cut(&self, node: NodeNumber) -> Result<()> {
        self.topology.port(&node.ports()[0], false)
    }

    /// Plugs a node's cable to the LAN in again.
    pub fn heal(&self, node: NodeNumber) -> Result<()> {
        self.topology.port(&node.ports()[0], true)
    }

    /// Makes a node with its speaker fail.
    pub fn strike(&mut self, fault: Fault, node: NodeNumber) -> Result<()> {
        match fault {
            Fault::Killed => self.herald()?.speaker(node)?.program.kill(),
            Fault::Stopped => self.herald()?.speaker(node)?.freeze(true),
            Fault::PortCut => self.cut(node)?,
            Fault::BlackHole => self.topology.black_hole(&node.ports()[0])?,
            Fault::NodeGone => self.kill(node)?,
        }
        Ok(())
    }

    /// Undoes a fault, and waits until the lab is as it was before it.
    pub fn mend(&mut self, fault: Fault, node: NodeNumber) -> Result<()> {
        match fault {
            Fault::Killed => self.herald()?.speaker(node)?.restart()?,
            Fault::Stopped => self.herald()?.speaker(node)?.freeze(false),
            Fault::PortCut | Fault::BlackHole => {}
            Fault::NodeGone => self.revive(node)?,
        }
        self.topology.mend()?;
        self.whole()
    }

    /// Waits until every program is ready, every node Ready, every pod serves.
    pub fn whole(&mut self) -> Result<()> {
        if let Some(herald) = &mut self.herald {
            herald.wait_ready()?;
        }
        self.wait(
            "a node does not come back",
            Duration::from_secs(60),
            |lab| Ok(lab.nodes_ready()? && lab.topology.nodes.iter().all(proxy_healthy)),
        )
        .map(drop)
    }

    /// Ends every speaker and kube-proxy for good: what is left is the control plane and the controllers.
    pub fn quiet(&mut self) -> Result<()> {
        self.herald()?.speakers.clear();
        self.proxies.clear();
        Ok(())
    }

    fn nodes_ready(&self) -> Result<bool> {
        let ready = |node: &serde_json::Value| {
            let conditions = node["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        Ok(self.api.list("/api/v1/nodes")?.iter().all(ready))
    }

    /// A node's sudden death: both cables out, its processes killed, its Lease renewed no more.
    pub fn kill(&mut self, node: NodeNumber) -> Result<()> {
        for port in node.ports() {
            self.topology.port(&port, false)?;
        }
        self.standin.kill(node);
        if let Some(herald) = &mut self.herald {
            herald.speaker(node)?.program.kill();
        }
        for (_, proxy) in self
            .proxies
            .iter_mut()
            .filter(|(number, _)| *number == node)
        {
            proxy.kill();
        }
        for pod in self.pods.iter_mut().filter(|pod| pod.node == node) {
            pod.server.kill();
        }
        Ok(())
    }

    /// Brings a killed node back as after a reboot.
    pub fn revive(&mut self, node: NodeNumber) -> Result<()> {
        for port in node.ports() {
            self.topology.port(&port, true)?;
        }
        self.standin.revive(node);
        if let Some(herald) = &mut self.herald {
            herald.speaker(node)?.restart()?;
        }
        for (_, proxy) in self
            .proxies
            .iter_mut()
            .filter(|(number, _)| *number == node)
        {
            proxy.restart()?;
        }
        for pod in self.pods.iter_mut().filter(|pod| pod.node == node) {
            pod.server.restart()?;
            self.standin.report_pod(node, &pod.name, pod.number, true)?;
        }
        Ok(())
    }

    /// Reports a node's pods ready or not, as a kubelet does after a probe.
    pub fn pods_ready(&self, node: NodeNumber, ready: bool) -> Result<()> {
        for pod in self.pods.iter().filter(|pod| pod.node == node) {
            self.standin
                .report_pod(node, &pod.name, pod.number, ready)?;
        }
        Ok(())
    }

    /// Stops the API server and starts it again; returns once it is ready. Meanwhile nothing answers.
    pub fn restart_apiserver(&mut self) -> Result<()> {
        self.stop_apiserver();
        self.start_apiserver()
    }

    /// Stops the API server; until it is started again nothing answers.
    pub fn stop_apiserver(&mut self) {
        self.apiserver.terminate(controlplane::PATIENCE);
    }

    /// Starts the API server again and waits until it is ready.
    pub fn start_apiserver(&mut self) -> Result<()> {
        self.apiserver.restart()?;
        self.wait(
            "the API server is not ready again",
            Duration::from_secs(60),
            |lab| Ok(lab.api.ready()),
        )
        .map(drop)
    }

    /// Starts kube-controller-manager and the kube-proxies anew. After several failed tries their
    /// client waits up to half a minute for the next one, a new process does not: what follows an
    /// absence of the API server measures Herald, not them.
    pub fn forget_backoff(&mut self) -> Result<()> {
        self.controllers.restart()?;
        for (_, proxy) in &mut self.proxies {
            proxy.restart()?;
        }
        Ok(())
    }
}

/// Whether a node's kube-proxy says that it is programmed.
pub(crate) fn proxy_healthy(node: &NodeNet) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], 10256));
    let answer = http::get(&node.machine, address, "/healthz", Duration::from_secs(1));
    answer.is_ok_and(|answer| answer.status == 200)
}
