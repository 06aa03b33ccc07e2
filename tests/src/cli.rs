//! The command line of `herald-lab`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use herald_tests::measure::{
    Output, alloc, bgp, calm, drain, eviction, failover, kills, partition,
};

#[derive(Debug, Parser)]
#[command(
    name = "herald-lab",
    version,
    about = "Herald on a real control plane, in disposable namespaces"
)]
pub(crate) struct Cli {
    /// The first process of a sandbox, with its files.
    #[arg(long, hide = true)]
    pub(crate) inside: Option<PathBuf>,
    /// The holder of a kept lab.
    #[arg(long, hide = true)]
    pub(crate) held: bool,
    /// Name of the lab, where several are wanted.
    #[arg(long, global = true, default_value = "lab")]
    pub(crate) name: String,
    /// Nodes; 3 unless given.
    #[arg(long, global = true, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) nodes: Option<u8>,
    /// A further argument of every speaker; may be given several times.
    #[arg(
        long,
        global = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) speaker_arg: Vec<String>,
    /// A further argument of both controllers; may be given several times.
    #[arg(
        long,
        global = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    pub(crate) controller_arg: Vec<String>,
    /// Directory of herald-controller, herald-speaker and heraldctl; this program's own by default.
    #[arg(long, global = true)]
    pub(crate) bin_dir: Option<PathBuf>,
    /// Kustomize directory that installs Herald.
    #[arg(
        long,
        global = true,
        env = "HERALD_MANIFESTS",
        default_value = "deploy"
    )]
    pub(crate) manifests: PathBuf,
    /// Another etcd than the control plane's own.
    #[arg(long, global = true)]
    pub(crate) etcd: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Bring the lab up; Ctrl-C ends it.
    Up {
        /// Leave it up and return.
        #[arg(long)]
        keep: bool,
        /// Without Herald.
        #[arg(long)]
        bare: bool,
    },
    /// Show Herald's main job step by step.
    Demo {
        /// Leave the lab up afterwards.
        #[arg(long)]
        keep: bool,
        /// By BGP, with a router that has equal-cost paths over the nodes.
        #[arg(long)]
        bgp: bool,
    },
    /// Run the scenarios on one lab.
    Check {
        /// Only those whose name contains this.
        #[arg(default_value = "")]
        filter: String,
        /// Print their names and do nothing.
        #[arg(long)]
        list: bool,
        /// Run one that fails so often again; it counts as passed when it holds then, and is called
        /// unsteady.
        #[arg(long, default_value_t = 0)]
        again: usize,
        /// Print the figures as one JSON object a line.
        #[arg(long)]
        json: bool,
        /// Fail when a figure is not as wanted.
        #[arg(long)]
        strict: bool,
    },
    /// Measure how long an address is dark when its owner fails, beside keepalived.
    Failover(failover::Options),
    /// Count the probes that planned moves lose.
    Drain(drain::Options),
    /// Count the connections that fail when a node with pods dies.
    Eviction(eviction::Options),
    /// See who answers when the LAN parts, beacons are lost, or the majority dies.
    Partition(partition::Options),
    /// See that nothing moves while nothing happens.
    Calm(calm::Options),
    /// See how fast Services get their addresses, beside bare writes.
    Alloc(alloc::Options),
    /// See how fast routers learn of routes, beside BIRD, and what a client loses behind one.
    Bgp(bgp::Options),
    /// Kill the leading controller again and again while Services come and go.
    Kills(kills::Options),
    /// A shell in a kept lab.
    Shell {
        /// client, router, control, sw, node-N or pods-N.
        #[arg(default_value = "control")]
        place: String,
        /// A command instead of a shell.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// kubectl in a kept lab.
    Kubectl {
        /// Arguments of kubectl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// End a kept lab.
    Down,
    /// What runs in a pod.
    #[command(hide = true)]
    Pod {
        #[arg(long)]
        pod: String,
        #[arg(long)]
        node: String,
        #[arg(long)]
        listen: Vec<SocketAddr>,
    },
}

impl Cli {
    /// How many nodes the lab has.
    pub(crate) fn nodes(&self) -> u8 {
        self.nodes.unwrap_or(3)
    }
}

impl Action {
    /// How a command that measures gives its figures.
    pub(crate) fn output(&self) -> Option<Output> {
        match self {
            Self::Check { json, strict, .. } => Some(Output {
                json: *json,
                strict: *strict,
            }),
            Self::Failover(options) => Some(options.output),
            Self::Drain(options) => Some(options.output),
            Self::Eviction(options) => Some(options.output),
            Self::Partition(options) => Some(options.output),
            Self::Calm(options) => Some(options.output),
            Self::Alloc(options) => Some(options.output),
            Self::Bgp(options) => Some(options.output),
            Self::Kills(options) => Some(options.output),
            Self::Up { .. }
            | Self::Demo { .. }
            | Self::Shell { .. }
            | Self::Kubectl { .. }
            | Self::Down
            | Self::Pod { .. } => None,
        }
    }
}
