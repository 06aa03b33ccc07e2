//! keepalived on the lab's nodes, as a measure for Herald: one VRRP router on each, one address.
//!
//! It is Debian's package as it is, VRRP version 3, no preemption. The service behind the address is a
//! server on every node itself, so nothing but the address has to move.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::faults::Fault;
use crate::lab::Lab;
use crate::netns::run;
use crate::program::{Launch, Program};
use crate::sandbox;
use crate::topology::NodeNumber;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 250);

/// One VRRP router and the server behind its address.
struct Router {
    node: NodeNumber,
    router: Program,
    server: Program,
    /// Where it and its child write their process numbers.
    written: [PathBuf; 2],
}

impl Router {
    /// Starts it after it was killed.
    fn restart(&mut self) -> Result<()> {
        forget(&self.written);
        self.router.restart()
    }
}

/// Forgets the process numbers that killed ones left behind: they are nobody's, and a child that
/// nobody waited for would pass for one that runs.
fn forget(written: &[PathBuf]) {
    for file in written {
        let _not_there = std::fs::remove_file(file);
    }
}

/// All of them. Dropping it ends them, and the addresses are taken off.
pub(super) struct Keepalived {
    routers: Vec<Router>,
    topology: crate::topology::Topology,
}

impl Keepalived {
    /// Why it cannot be played, if it cannot.
    pub(super) fn found() -> Result<()> {
        program().map(drop)
    }

    /// Starts one on each node with this advertisement interval, in seconds, and waits for a master.
    pub(super) fn start(lab: &mut Lab, advert: f64) -> Result<Self> {
        let path = program()?;
        let mut routers = Vec::new();
        for node in &lab.topology.nodes {
            node.machine.sysctl(&[("ipv4/ip_nonlocal_bind", "1")])?;
            let number = node.number;
            let server = lab.start(Launch {
                name: format!("vrrp-server-{}", number.0),
                netns: node.machine.clone(),
                path: std::env::current_exe()?,
                arguments: vec![
                    "pod".into(),
                    format!("--pod=vrrp-{}", number.0),
                    format!("--node={}", number.name()),
                    format!("--listen={}", SocketAddr::from((ADDRESS, 80))),
                ],
                environment: Vec::new(),
            })?;
            let file = |end: &str| {
                let name = format!("keepalived-{}.{end}", number.0);
                lab.files.state.join(name)
            };
            std::fs::write(file("conf"), configuration(number, advert))?;
            let written = [file("pid"), file("vrrp.pid")];
            forget(&written);
            let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
            let router = lab.start(Launch {
                name: format!("keepalived-{}", number.0),
                netns: node.machine.clone(),
                path: path.clone(),
                arguments: vec![
                    "--dont-fork".into(),
                    "--vrrp".into(),
                    "--dont-respawn".into(),
                    "--log-console".into(),
                    "--no-syslog".into(),
                    option("use-file", &file("conf")),
                    option("pid", &written[0]),
                    option("vrrp_pid", &written[1]),
                ],
                environment: Vec::new(),
            })?;
            routers.push(Router {
                node: number,
                router,
                server,
                written,
            });
        }
        let keepalived = Self {
            routers,
            topology: lab.topology.clone(),
        };
        keepalived.owner(lab)?;
        Ok(keepalived)
    }

    /// The address.
    pub(super) fn address(&self) -> Ipv4Addr {
        ADDRESS
    }

    /// The only node that has the address, once that is so for a moment.
    pub(super) fn owner(&self, lab: &Lab) -> Result<NodeNumber> {
        let masters = || -> Result<Vec<NodeNumber>> {
            let mut masters = Vec::new();
            for node in &self.topology.nodes {
                let shown = run(node
                    .machine
                    .command("ip")
                    .args(["-4", "-o", "address", "show"]))?;
                if shown.contains(&format!(" {ADDRESS}/")) {
                    masters.push(node.number);
                }
            }
            Ok(masters)
        };
        lab.wait(
            "keepalived does not settle",
            Duration::from_secs(30),
            |_| {
                let before = masters()?;
                std::thread::sleep(Duration::from_secs(1));
                Ok(before.len() == 1 && masters()? == before)
            },
        )?;
        masters()?
            .first()
            .copied()
            .context("nobody has the address")
    }

    /// Makes a node with its router fail.
    pub(super) fn strike(&mut self, lab: &mut Lab, fault: Fault, node: NodeNumber) -> Result<()> {
        let router = self.router(node)?;
        match fault {
            Fault::Killed => end(&mut router.router),
            Fault::Stopped => signal(&router.router, Signal::SIGSTOP),
            Fault::PortCut | Fault::BlackHole => lab.strike(fault, node)?,
            Fault::NodeGone => {
                lab.strike(fault, node)?;
                end(&mut router.router);
                router.server.kill();
            }
        }
        Ok(())
    }

    /// Undoes a fault and waits for one master.
    pub(super) fn mend(&mut self, lab: &mut Lab, fault: Fault, node: NodeNumber) -> Result<()> {
        let router = self.router(node)?;
        match fault {
            Fault::Killed => router.restart()?,
            Fault::Stopped => signal(&router.router, Signal::SIGCONT),
            Fault::PortCut | Fault::BlackHole => lab.mend(fault, node)?,
            Fault::NodeGone => {
                // What a reboot forgets.
                take_off(&self.topology, node);
                let router = self.router(node)?;
                router.server.restart()?;
                router.restart()?;
                lab.mend(fault, node)?;
            }
        }
        self.owner(lab).map(drop)
    }

    fn router(&mut self, node: NodeNumber) -> Result<&mut Router> {
        self.routers
            .iter_mut()
            .find(|router| router.node == node)
            .with_context(|| format!("{} has no keepalived", node.name()))
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        for router in &mut self.routers {
            end(&mut router.router);
            take_off(&self.topology, router.node);
        }
    }
}

fn program() -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join("keepalived"))
        .find(|file| file.is_file())
        .context("it is not installed (package keepalived)")
}

/// Takes the address off a node, which a killed router leaves behind.
fn take_off(topology: &crate::topology::Topology, node: NodeNumber) {
    let Some(node) = topology.nodes.iter().find(|one| one.number == node) else {
        return;
    };
    let _not_there = node
        .machine
        .ip(&format!("address del {ADDRESS}/32 dev eth0"));
}

/// Its two processes, the one that speaks first: killed the other way round, it would say goodbye.
fn processes(router: &Program) -> Vec<Pid> {
    let parent = router.id();
    let all = sandbox::children_of(parent).into_iter().chain([parent]);
    all.filter_map(|id| i32::try_from(id).ok())
        .map(Pid::from_raw)
        .collect()
}

fn signal(router: &Program, signal: Signal) {
    for process in processes(router) {
        let _gone = kill(process, signal);
    }
}

fn end(router: &mut Program) {
    signal(router, Signal::SIGKILL);
    router.kill();
}

fn configuration(node: NodeNumber, advert: f64) -> String {
    format!(
        "global_defs {{\n\
         router_id {name}\n\
         vrrp_version 3\n\
         vrrp_skip_check_adv_addr\n\
         }}\n\
         vrrp_instance lab {{\n\
         state BACKUP\n\
         nopreempt\n\
         interface eth0\n\
         virtual_router_id 51\n\
         priority {priority}\n\
         advert_int {advert}\n\
         virtual_ipaddress {{\n{ADDRESS}/32\n}}\n\
         }}\n",
        name = node.name(),
        priority = 100 - node.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_router_has_a_name_and_a_priority_of_its_own() {
        let text = configuration(NodeNumber(2), 0.1);
        for line in ["router_id node-2", "priority 98", "advert_int 0.1"] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
