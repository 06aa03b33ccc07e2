//! Herald in the lab: the shipped manifests, and the programs with exactly their rights.
//!
//! There is no kubelet to start the Deployment and the DaemonSet, so the lab starts the binaries: two
//! controllers beside the control plane and a speaker in each node's namespace, each with a token of
//! the ServiceAccount that the manifests give it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::http;
use crate::lab::{Lab, wait, with_log};
use crate::netns::Netns;
use crate::program::{Launch, Program};
use crate::topology::{NodeNumber, POOL_RANGES};

/// The namespace Herald is installed in.
pub const NAMESPACE: &str = "herald-system";
/// The speaker's admin port; the controllers have this and the next on loopback.
const SPEAKER_PORT: u16 = 7472;
const CONTROLLER_PORTS: [u16; 2] = [7473, 7474];
/// How long a program may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program of Herald and where to ask it.
#[derive(Debug)]
pub struct Part {
    /// The process.
    pub program: Program,
    /// What it is always started with.
    base: Vec<String>,
    netns: Netns,
    admin: SocketAddr,
}

/// Arguments beside those that the lab needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// Of every speaker.
    pub speaker: Vec<String>,
    /// Of both controllers.
    pub controller: Vec<String>,
}

/// Herald's programs.
#[derive(Debug)]
pub struct Herald {
    /// What the API server remarked about the manifests.
    pub warnings: Vec<String>,
    /// Both replicas of the controller.
    pub controllers: Vec<Part>,
    /// The speaker of each node.
    pub speakers: Vec<(NodeNumber, Part)>,
}

impl Herald {
    /// Applies the manifests and starts every program.
    pub fn install(lab: &Lab, say: &dyn Fn(&str)) -> Result<Self> {
        let manifests = lab.programs.manifests.display().to_string();
        if !lab.programs.manifests.join("kustomization.yaml").is_file() {
            bail!("{manifests} has no kustomization.yaml; --manifests names the directory");
        }
        let warnings = apply(lab, &manifests)?;
        wait_for_definitions(lab)?;
        say("herald's manifests are applied");
        let controller = account(lab, "herald-controller")?;
        let speaker = account(lab, "herald-speaker")?;
        let mut controllers = Vec::new();
        for (number, port) in (1..).zip(CONTROLLER_PORTS) {
            controllers.push(start_controller(lab, &controller, number, port)?);
        }
        let mut speakers = Vec::new();
        for node in &lab.topology.nodes {
            let part = start_speaker(lab, &speaker, node.number, &node.machine)?;
            speakers.push((node.number, part));
        }
        let mut herald = Self {
            warnings,
            controllers,
            speakers,
        };
        herald.wait_ready()?;
        say("herald's programs are ready");
        Ok(herald)
    }

    /// Deletes everything that the manifests make, as `kubectl delete -k` does, and waits until it is gone.
    /// The programs go on, as long as nobody ends them.
    pub fn delete_manifests(lab: &Lab) -> Result<()> {
        let manifests = lab.programs.manifests.display().to_string();
        lab.kubectl(&[
            "delete",
            "-k",
            &manifests,
            "--ignore-not-found",
            "--timeout=60s",
        ])
        .map(drop)
    }

    /// Applies the manifests again after they were deleted. Programs have new tokens from their next start
    /// on.
    pub fn apply_again(lab: &Lab) -> Result<()> {
        apply(lab, &lab.programs.manifests.display().to_string())?;
        wait_for_definitions(lab)?;
        account(lab, "herald-controller")?;
        account(lab, "herald-speaker").map(drop)
    }

    /// Every program.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.controllers
            .iter()
            .chain(self.speakers.iter().map(|(_, part)| part))
    }

    /// Every program, to be restarted or killed.
    pub fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        self.controllers
            .iter_mut()
            .chain(self.speakers.iter_mut().map(|(_, part)| part))
    }

    /// Waits until every program says it is ready; one that ended is an error with its log.
    pub fn wait_ready(&mut self) -> Result<()> {
        for part in self.parts_mut() {
            part.wait_ready()?;
        }
        Ok(())
    }

    /// The speaker of a node.
    pub fn speaker(&mut self, node: NodeNumber) -> Result<&mut Part> {
        self.speakers
            .iter_mut()
            .find_map(|(number, part)| (*number == node).then_some(part))
            .with_context(|| format!("{} has no speaker", node.name()))
    }

    /// Kills both controllers and starts them again.
    pub fn restart_controllers(&mut self) -> Result<()> {
        self.controllers.iter_mut().try_for_each(Part::restart)
    }

    /// Kills every speaker and starts it with these further arguments.
    pub fn restart_speakers_with(&mut self, extra: &[String]) -> Result<()> {
        for (_, part) in &mut self.speakers {
            part.with(extra);
        }
        self.restart_speakers()?;
        self.wait_ready()
    }

    /// Kills every speaker and starts it with further arguments of its own.
    pub fn restart_speakers_each(
        &mut self,
        extra: impl Fn(NodeNumber) -> Vec<String>,
    ) -> Result<()> {
        for (node, part) in &mut self.speakers {
            part.with(&extra(*node));
        }
        self.restart_speakers()?;
        self.wait_ready()
    }

    /// Kills both controllers and starts them with these further arguments.
    pub fn restart_controllers_with(&mut self, extra: &[String]) -> Result<()> {
        for part in &mut self.controllers {
            part.with(extra);
        }
        self.restart_controllers()?;
        self.wait_ready()
    }

    /// Kills every speaker and starts it again.
    pub fn restart_speakers(&mut self) -> Result<()> {
        self.speakers
            .iter_mut()
            .try_for_each(|(_, part)| part.restart())
    }

    /// What any program logged, by its name.
    pub fn logs(&self) -> impl Iterator<Item = (&str, String)> {
        self.parts()
            .map(|part| (part.program.name(), part.program.logged()))
    }
}

impl Part {
    fn start(lab: &Lab, mut launch: Launch, extra: &[String], admin: SocketAddr) -> Result<Self> {
        let (base, netns) = (launch.arguments.clone(), launch.netns.clone());
        launch.arguments.extend(extra.iter().cloned());
        Ok(Self {
            program: lab.start(launch)?,
            base,
            netns,
            admin,
        })
    }

    /// From its next start on, with these further arguments.
    fn with(&mut self, extra: &[String]) {
        let all = self.base.iter().chain(extra).cloned();
        self.program.set_arguments(all.collect());
    }

    /// Whether it says it is ready.
    pub fn ready(&self) -> bool {
        http::get(&self.netns, self.admin, "/readyz", Duration::from_secs(1))
            .is_ok_and(|answer| answer.status == 200)
    }

    /// What it shows at a path of its admin port.
    pub fn shown(&self, path: &str) -> Result<String> {
        http::get(&self.netns, self.admin, path, Duration::from_secs(2)).map(|answer| answer.body)
    }

    /// Waits until it is ready.
    pub fn wait_ready(&mut self) -> Result<()> {
        let mut ended = None;
        wait(
            &format!("{} is not ready", self.program.name()),
            Duration::from_secs(40),
            || {
                ended = self.program.ended();
                ended.is_some() || self.ready()
            },
        )
        .map_err(|error| with_log(error, &self.program))?;
        if let Some(status) = ended {
            let error = anyhow::anyhow!("{} ended by itself: {status}", self.program.name());
            return Err(with_log(error, &self.program));
        }
        Ok(())
    }

    /// Kills it and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.program.restart()
    }

    /// Asks it to end, as a node's shutdown or an update does; true when it then ends well.
    pub fn terminate(&mut self) -> bool {
        self.program.terminate(PATIENCE).success()
    }

    /// Stops it in its tracks without ending it (SIGSTOP), or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        self.program.signal(if frozen {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        });
    }
}

/// Gives Herald the lab's pool and announces it on the LAN.
pub fn apply_pool(lab: &Lab) -> Result<()> {
    let [four, six] = POOL_RANGES;
    lab.apply(&format!(
        "apiVersion: heraldlb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata: {{name: lab}}\n\
         spec: {{addresses: [\"{four}\", \"{six}\"]}}\n\
         ---\n\
         apiVersion: heraldlb.io/v1beta1\n\
         kind: L2Advertisement\n\
         metadata: {{name: lab}}\n\
         spec: {{ipAddressPools: [lab]}}\n"
    ))
}

/// Applies the definitions of Herald's objects alone.
pub fn apply_definitions(lab: &Lab) -> Result<()> {
    let definitions = lab.programs.manifests.join("crds");
    lab.kubectl(&[
        "apply",
        "--server-side",
        "-k",
        &definitions.display().to_string(),
    ])?;
    wait_for_definitions(lab)
}

fn wait_for_definitions(lab: &Lab) -> Result<()> {
    lab.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd",
        "--all",
    ])
    .map(drop)
}

/// Applies the manifests; the warnings among what kubectl says.
fn apply(lab: &Lab, manifests: &str) -> Result<Vec<String>> {
    let output = lab
        .programs
        .command("kubectl")
        .args(["apply", "--server-side", "-k", manifests])
        .env("KUBECONFIG", lab.files.kubeconfig("admin"))
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "kubectl apply --server-side -k {manifests}: {}",
            said.trim()
        );
    }
    Ok(said
        .lines()
        .filter(|line| line.starts_with("Warning:"))
        .map(str::to_owned)
        .collect())
}

/// A kubeconfig with a token of a shipped ServiceAccount.
fn account(lab: &Lab, name: &str) -> Result<PathBuf> {
    let token = lab.kubectl(&["create", "token", name, "-n", NAMESPACE, "--duration=24h"])?;
    lab.files.write_kubeconfig(name, token.trim())
}

fn start_controller(lab: &Lab, kubeconfig: &Path, number: u8, port: u16) -> Result<Part> {
    let name = format!("herald-controller-{number}");
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let launch = Launch {
        name: name.clone(),
        netns: lab.topology.control.clone(),
        path: lab.programs.herald("herald-controller")?,
        arguments: vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--identity={name}"),
            format!("--admin-address={admin}"),
        ],
        environment: Vec::new(),
    };
    Part::start(lab, launch, &lab.extra.controller, admin)
}

/// A speaker; one that keeps a snapshot keeps it in a directory of its own, which outlives it as a
/// node's disk does.
fn start_speaker(lab: &Lab, kubeconfig: &Path, node: NodeNumber, machine: &Netns) -> Result<Part> {
    let mut arguments = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--node-name={}", node.name()),
    ];
    if lab.programs.offers("herald-speaker", "--state-directory")? {
        let directory = lab.files.state.join(format!("speaker-{}", node.0));
        std::fs::create_dir_all(&directory)?;
        arguments.push(format!("--state-directory={}", directory.display()));
    }
    let launch = Launch {
        name: format!("herald-speaker-{}", node.0),
        netns: machine.clone(),
        path: lab.programs.herald("herald-speaker")?,
        arguments,
        environment: Vec::new(),
    };
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, SPEAKER_PORT));
    Part::start(lab, launch, &lab.extra.speaker, admin)
}
