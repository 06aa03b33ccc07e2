//! What breaks in the lab, and how it is mended: cables, nodes, the API server.
//!
//! Nothing here waits for Herald's answer to a fault; scenarios and measurements do.

use std::time::Duration;

use anyhow::Result;

use crate::controlplane;
use crate::lab::Lab;
use crate::topology::NodeNumber;

impl Lab {
    /// Pulls a node's cable to the LAN. It still reaches the API server.
    pub fn cut(&self, node: NodeNumber) -> Result<()> {
        self.topology.port(&node.ports()[0], false)
    }

    /// Plugs a node's cable to the LAN in again.
    pub fn heal(&self, node: NodeNumber) -> Result<()> {
        self.topology.port(&node.ports()[0], true)
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
