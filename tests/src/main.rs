//! `herald-lab`: the lab from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use herald_tests::clock::Stopwatch;
use herald_tests::herald::Extra;
use herald_tests::lab::{Lab, Options};
use herald_tests::programs::Programs;
use herald_tests::sandbox::{self, Sandbox};
use herald_tests::scenarios::{self, Counts};
use herald_tests::{demo, figures, pod, telling};

#[derive(Debug, Parser)]
#[command(
    name = "herald-lab",
    version,
    about = "Herald on a real control plane, in disposable namespaces"
)]
struct Cli {
    /// The first process of a sandbox, with its files.
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
    /// The holder of a kept lab.
    #[arg(long, hide = true)]
    held: bool,
    /// Name of the lab, where several are wanted.
    #[arg(long, global = true, default_value = "lab")]
    name: String,
    /// Nodes.
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Directory of herald-controller, herald-speaker and heraldctl; this program's own by default.
    #[arg(long, global = true)]
    bin_dir: Option<PathBuf>,
    /// Kustomize directory that installs Herald.
    #[arg(
        long,
        global = true,
        env = "HERALD_MANIFESTS",
        default_value = "deploy"
    )]
    manifests: PathBuf,
    /// Another etcd than the control plane's own.
    #[arg(long, global = true)]
    etcd: Option<PathBuf>,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
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
    },
    /// Run the scenarios on one lab.
    Check {
        /// Only those whose name contains this.
        #[arg(default_value = "")]
        filter: String,
        /// Print their names and do nothing.
        #[arg(long)]
        list: bool,
        /// Print the figures as one JSON object a line.
        #[arg(long)]
        json: bool,
        /// Fail when a figure is not as wanted.
        #[arg(long)]
        strict: bool,
    },
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

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let sandbox = Sandbox::named(&cli.name)?;
    match &cli.command {
        Action::Pod { pod, node, listen } => {
            pod::serve(pod, node, listen)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Down => {
            let was_up = sandbox.down()?;
            println!(
                "{}",
                if was_up {
                    "the lab is gone"
                } else {
                    "no lab was up"
                }
            );
            Ok(ExitCode::SUCCESS)
        }
        Action::Kubectl { arguments } => {
            let mut command = sandbox.command("kubectl")?;
            enter(&sandbox, &mut command, arguments)
        }
        Action::Shell { place, command } => {
            let mut shell = sandbox.command("ip")?;
            shell.args(["netns", "exec", place]);
            let fallback = ["bash".to_owned()];
            enter(
                &sandbox,
                &mut shell,
                if command.is_empty() {
                    &fallback
                } else {
                    command
                },
            )
        }
        Action::Check {
            list: true, filter, ..
        } => {
            for scenario in scenarios::ALL
                .iter()
                .filter(|one| one.name.contains(filter))
            {
                println!("{}", scenario.name);
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Up { keep, .. } | Action::Demo { keep } => in_sandbox(&cli, &sandbox, *keep),
        Action::Check { .. } => {
            // A lab of its own, so that one that is kept is not in the way.
            let own = Sandbox::named(&format!("{}-check-{}", cli.name, std::process::id()))?;
            in_sandbox(&cli, &own, false)
        }
    }
}

/// Runs a command in a kept lab with kubectl and its kubeconfig at hand.
fn enter(
    sandbox: &Sandbox,
    command: &mut std::process::Command,
    arguments: &[String],
) -> Result<ExitCode> {
    let state = sandbox.state();
    let path = std::env::var("PATH").unwrap_or_default();
    let status = command
        .args(arguments)
        .env("PATH", format!("{}:{path}", state.join("bin").display()))
        .env("KUBECONFIG", state.join("admin.kubeconfig"))
        .status()
        .context("cannot start nsenter (package util-linux)")?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The three lives of a command that needs a lab: starter, holder, and first process.
fn in_sandbox(cli: &Cli, sandbox: &Sandbox, keep: bool) -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != sandbox::HELD)
        .collect();
    match &cli.inside {
        Some(state) => inside(cli, state, keep),
        None if keep && !cli.held => sandbox.hold_apart(&arguments),
        None => {
            if cli.held {
                sandbox::detach()?;
            }
            sandbox.hold(&arguments)
        }
    }
}

fn inside(cli: &Cli, state: &std::path::Path, keep: bool) -> Result<ExitCode> {
    sandbox::settle()?;
    let watch = Stopwatch::start();
    if matches!(cli.command, Action::Check { json: true, .. }) {
        telling::leave_output_to_figures();
    }
    let say = |text: &str| {
        telling::tell(&format!("[{:6.1} s] {text}", watch.elapsed().as_secs_f64()));
    };
    let programs = Programs::find(cli.etcd.clone(), cli.bin_dir.clone(), cli.manifests.clone())?;
    let options = Options {
        programs,
        state: state.to_path_buf(),
        nodes: cli.nodes,
        pods: 1,
        extra: Extra::default(),
    };
    let mut lab = Lab::up(&options, &say)?;
    let code = match &cli.command {
        Action::Up { bare, .. } => {
            if !bare {
                lab.install_herald(&say)?;
            }
            ExitCode::SUCCESS
        }
        Action::Demo { .. } => {
            lab.install_herald(&say)?;
            demo::show(&mut lab, &say)?;
            ExitCode::SUCCESS
        }
        Action::Check {
            filter,
            json,
            strict,
            ..
        } => {
            let (counts, figures) = scenarios::run(lab, filter, in_ci(), &say)?;
            let as_wanted = figures::print(&figures, *json);
            let Counts {
                passed,
                failed,
                skipped,
            } = counts;
            telling::tell(&format!(
                "{passed} passed, {failed} failed, {skipped} skipped"
            ));
            let good = failed == 0 && (as_wanted || !strict);
            return Ok(if good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Action::Shell { .. } | Action::Kubectl { .. } | Action::Down | Action::Pod { .. } => {
            ExitCode::SUCCESS
        }
    };
    if keep {
        println!("enter it:  cargo xtask lab shell client|router|control|node-1");
        println!("ask it:    cargo xtask lab kubectl get nodes");
        println!("logs:      {}", state.join("logs").display());
        println!("end it:    cargo xtask lab down");
        sandbox::keep(state)?;
    }
    if matches!(cli.command, Action::Up { .. }) {
        println!("Ctrl-C ends it");
        loop {
            std::thread::park();
        }
    }
    Ok(code)
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
