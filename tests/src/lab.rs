//! The lab as scenarios see it: bring it up, wait and ask. What breaks in it is in [`crate::faults`].
//!
//! Everything in it runs in the sandbox this process is the first process of; a `Lab` that is dropped
//! stops its programs in the right order, but nothing depends on that.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::api::Api;
use crate::clock::Stopwatch;
use crate::controlplane::{self, Files};
use crate::herald::{self, Extra, Herald};
use crate::netns::run;
use crate::pod::{self, Page};
use crate::pods::{Pod, WEB};
use crate::program::{Launch, Program};
use crate::programs::Programs;
use crate::standin::StandIn;
use crate::topology::{NodeNet, NodeNumber, Topology};

/// What lab is wanted.
#[derive(Debug, Clone)]
pub struct Options {
    /// The binaries.
    pub programs: Programs,
    /// Where files go; outlives the sandbox's own `/run`.
    pub state: PathBuf,
    /// How many nodes, 1 to 9.
    pub nodes: u8,
    /// How many pods of `app=web` on each node.
    pub pods: u8,
    /// Further arguments of Herald's programs.
    pub extra: Extra,
}

/// A running lab.
pub struct Lab {
    /// The network.
    pub topology: Topology,
    /// The API server with all rights.
    pub api: Api,
    /// The binaries.
    pub programs: Programs,
    /// Its files.
    pub files: Files,
    /// The tasks of every client of the API server.
    pub runtime: Arc<tokio::runtime::Runtime>,
    /// Herald, once installed.
    pub herald: Option<Herald>,
    /// Further arguments of Herald's programs.
    pub extra: Extra,
    pub(crate) standin: StandIn,
    pub(crate) pods: Vec<Pod>,
    pub(crate) proxies: Vec<(NodeNumber, Program)>,
    pub(crate) controllers: Program,
    pub(crate) apiserver: Program,
    etcd: Program,
}

impl Lab {
    /// Brings up network, control plane, nodes and pods, telling each step to `say`.
    pub fn up(options: &Options, say: &dyn Fn(&str)) -> Result<Self> {
        let Options {
            programs,
            state,
            nodes,
            pods,
            extra,
        } = options;
        let files = Files {
            state: state.clone(),
        };
        files.prepare(programs)?;
        let topology = Topology::build(*nodes)?;
        say("network is up");
        let logs = files.logs();
        let control = &topology.control;
        let data = PathBuf::from("/run/etcd");
        let etcd = Program::start(controlplane::etcd(programs, control, &data), &logs)?;
        wait_for_port(
            &topology,
            "etcd",
            SocketAddr::from(([127, 0, 0, 1], 2379)),
            &etcd,
        )?;
        say("etcd answers");
        let apiserver = Program::start(controlplane::apiserver(programs, control, &files), &logs)?;
        let runtime = Arc::new(
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?,
        );
        let kubeconfig = files.kubeconfig("admin");
        let server = SocketAddr::from((controlplane_address(), 6443));
        wait_for_port(&topology, "kube-apiserver", server, &apiserver)?;
        let api = Api::new(Arc::clone(&runtime), &kubeconfig)?;
        wait(
            "the API server is not ready",
            Duration::from_secs(60),
            || api.ready(),
        )
        .map_err(|error| with_log(error, &apiserver))?;
        say("kube-apiserver is ready");
        let controllers =
            Program::start(controlplane::controllers(programs, control, &files), &logs)?;
        let standin = StandIn::start(api.clone());
        prepare_namespaces(&api)?;
        for node in &topology.nodes {
            standin.register(node.number)?;
        }
        let mut proxies = Vec::new();
        for node in &topology.nodes {
            let launch = controlplane::proxy(programs, node.number, &node.machine, &files);
            proxies.push((node.number, Program::start(launch, &logs)?));
        }
        say("nodes are registered");
        let mut lab = Self {
            topology,
            api,
            programs: programs.clone(),
            files,
            runtime,
            herald: None,
            extra: extra.clone(),
            standin,
            pods: Vec::new(),
            proxies,
            controllers,
            apiserver,
            etcd,
        };
        lab.wait(
            "the default ServiceAccount does not appear",
            Duration::from_secs(60),
            |lab| {
                Ok(lab
                    .api
                    .get("/api/v1/namespaces/default/serviceaccounts/default")?
                    .is_some())
            },
        )?;
        for node in lab.topology.nodes.clone() {
            for _ in 0..*pods {
                lab.run_pod(WEB, node.number)?;
            }
        }
        say("pods are running");
        lab.wait(
            "a kube-proxy is not healthy",
            Duration::from_secs(60),
            |lab| Ok(lab.topology.nodes.iter().all(crate::faults::proxy_healthy)),
        )?;
        say("every kube-proxy is programmed");
        Ok(lab)
    }

    /// A node by its number, from 1.
    pub fn node(&self, number: u8) -> Result<&NodeNet> {
        self.topology
            .nodes
            .iter()
            .find(|node| node.number.0 == number)
            .with_context(|| format!("the lab has no node-{number}"))
    }

    /// Runs `kubectl` as the administrator; its standard output.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.programs.command("kubectl");
        command
            .env("KUBECONFIG", self.files.kubeconfig("admin"))
            .args(arguments);
        run(&mut command)
    }

    /// Applies YAML or JSON documents as a user does.
    pub fn apply(&self, documents: &str) -> Result<()> {
        let path = self.files.state.join("apply.yaml");
        std::fs::write(&path, documents)?;
        self.kubectl(&["apply", "-f", &path.display().to_string()])
            .map(drop)
    }

    /// Polls a condition until it holds; an error of the condition counts as "not yet" and is part of
    /// the sentence when the limit passes.
    pub fn wait(
        &self,
        otherwise: &str,
        limit: Duration,
        condition: impl Fn(&Self) -> Result<bool>,
    ) -> Result<Duration> {
        let last = std::cell::RefCell::new(None);
        let result = wait(otherwise, limit, || match condition(self) {
            Ok(holds) => {
                last.replace(None);
                holds
            }
            Err(error) => {
                last.replace(Some(error));
                false
            }
        });
        match last.into_inner() {
            Some(cause) => result.map_err(|error| anyhow!("{error}: {cause:#}")),
            None => result,
        }
    }

    /// Asks for a page from the client.
    pub fn fetch(&self, address: IpAddr) -> Result<Page> {
        pod::fetch(
            &self.topology.client,
            SocketAddr::new(address, 80),
            Duration::from_secs(2),
        )
    }

    /// Installs Herald, gives it the lab's pool and waits until its programs are ready.
    pub fn install_herald(&mut self, say: &dyn Fn(&str)) -> Result<()> {
        self.herald = Some(Herald::install(self, say)?);
        herald::apply_pool(self)?;
        say("pool and advertisement are applied");
        Ok(())
    }

    /// Herald's programs.
    pub fn herald(&mut self) -> Result<&mut Herald> {
        self.herald
            .as_mut()
            .context("herald is not installed in this lab")
    }

    /// Starts a program whose log is kept with the lab's.
    pub fn start(&self, launch: Launch) -> Result<Program> {
        Program::start(launch, &self.files.logs())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.herald = None;
        for (_, proxy) in &mut self.proxies {
            proxy.kill();
        }
        self.controllers.kill();
        controlplane::stop(&mut self.apiserver, &mut self.etcd);
    }
}

/// Polls until a condition holds; the time it took, or a sentence.
pub fn wait(
    otherwise: &str,
    limit: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<Duration> {
    let watch = Stopwatch::start();
    loop {
        if condition() {
            return Ok(watch.elapsed());
        }
        if watch.elapsed() > limit {
            bail!("{otherwise} (waited {:.0} s)", limit.as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An error with the end of a program's log.
pub fn with_log(error: anyhow::Error, program: &Program) -> anyhow::Error {
    let log = program.logged();
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n    ");
    anyhow!(
        "{error:#}\n  the end of {}:\n    {tail}",
        program.log().display()
    )
}

fn controlplane_address() -> IpAddr {
    crate::topology::CONTROL.into()
}

fn wait_for_port(
    topology: &Topology,
    name: &str,
    address: SocketAddr,
    program: &Program,
) -> Result<()> {
    let connects =
        || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok();
    wait(
        &format!("{name} does not answer"),
        Duration::from_secs(60),
        || topology.control.within(connects).unwrap_or(false),
    )
    .map(drop)
    .map_err(|error| with_log(error, program))
}

/// Makes the namespace of node Leases, which kube-apiserver otherwise makes at its leisure.
fn prepare_namespaces(api: &Api) -> Result<()> {
    for name in ["default", "kube-node-lease"] {
        let namespace: Value =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.create("/api/v1/namespaces", &namespace)?;
    }
    Ok(())
}
