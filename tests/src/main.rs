//! `herald-lab`: the lab from the command line.

mod cli;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser as _;
use herald_tests::clock::Stopwatch;
use herald_tests::figures::Figure;
use herald_tests::herald::Extra;
use herald_tests::lab::{Lab, Options};
use herald_tests::measure::{
    Output, Profile, alloc, bgp, calm, drain, eviction, failover, kills, partition,
};
use herald_tests::programs::Programs;
use herald_tests::sandbox::{self, Sandbox};
use herald_tests::scenarios::{self, Counts, Manner};
use herald_tests::{demo, figures, pod, telling};

use cli::{Action, Cli};

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
        Action::Up { keep, .. } | Action::Demo { keep, .. } => in_sandbox(&cli, &sandbox, *keep),
        Action::Partition(options) if options.list => {
            for (name, nodes) in partition::names(&options.filter) {
                println!("{name} ({nodes} nodes)");
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::Partition(options) if cli.nodes.is_none() => {
            let counts: Vec<u8> = [3, 2]
                .into_iter()
                .filter(|nodes| partition::playable(*nodes, &options.filter).is_ok())
                .collect();
            in_turn(&cli, &counts)
        }
        Action::Check { .. }
        | Action::Failover(_)
        | Action::Drain(_)
        | Action::Eviction(_)
        | Action::Partition(_)
        | Action::Calm(_)
        | Action::Alloc(_)
        | Action::Bgp(_)
        | Action::Kills(_) => in_sandbox(&cli, &apart(&cli)?, false),
    }
}

/// A lab of its own, so that one that is kept is not in the way.
fn apart(cli: &Cli) -> Result<Sandbox> {
    Sandbox::named(&format!("{}-own-{}", cli.name, std::process::id()))
}

/// The same command on labs of different sizes, one after the other. A failure of any is the result.
fn in_turn(cli: &Cli, sizes: &[u8]) -> Result<ExitCode> {
    if sizes.is_empty() {
        bail!("no situation has such a name; --list names them");
    }
    let mut result = ExitCode::SUCCESS;
    for size in sizes {
        let mut arguments: Vec<String> = std::env::args().skip(1).collect();
        arguments.push(format!("--nodes={size}"));
        let code = apart(cli)?.hold(&arguments)?;
        if code == ExitCode::from(sandbox::INTERRUPTED) {
            return Ok(code);
        }
        if code != ExitCode::SUCCESS {
            result = code;
        }
    }
    Ok(result)
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
    if cli.command.output().is_some_and(|output| output.json) {
        telling::leave_output_to_figures();
    }
    let say = |text: &str| {
        telling::tell(&format!("[{:6.1} s] {text}", watch.elapsed().as_secs_f64()));
    };
    let programs = Programs::find(cli.etcd.clone(), cli.bin_dir.clone(), cli.manifests.clone())?;
    let options = Options {
        programs,
        state: state.to_path_buf(),
        nodes: cli.nodes(),
        pods: 1,
        extra: extra(cli),
    };
    let mut lab = Lab::up(&options, &say)?;
    let code = match &cli.command {
        Action::Up { bare, .. } => {
            if !bare {
                lab.install_herald(&say)?;
            }
            ExitCode::SUCCESS
        }
        Action::Demo { bgp, .. } => {
            lab.install_herald(&say)?;
            if *bgp {
                demo::routed::show(&mut lab, &say)?;
            } else {
                demo::show(&mut lab, &say)?;
            }
            ExitCode::SUCCESS
        }
        Action::Check { filter, again, .. } => {
            let manner = Manner {
                filter,
                complete: in_ci(),
                again: *again,
            };
            let (counts, figures) = scenarios::run(lab, manner, &say)?;
            let Counts {
                passed,
                failed,
                skipped,
            } = counts;
            let code = conclude(cli, &figures, failed == 0);
            telling::tell(&format!(
                "{passed} passed, {failed} failed, {skipped} skipped"
            ));
            return Ok(code);
        }
        Action::Failover(options) => {
            lab.install_herald(&say)?;
            let (figures, whole) = failover::measure(&mut lab, options)?;
            conclude(cli, &figures, whole)
        }
        Action::Drain(options) => {
            lab.install_herald(&say)?;
            let (figures, whole) = drain::measure(&mut lab, options)?;
            conclude(cli, &figures, whole)
        }
        Action::Eviction(options) => {
            lab.install_herald(&say)?;
            let figures = eviction::measure(&mut lab, options)?;
            conclude(cli, &figures, true)
        }
        Action::Partition(options) => {
            partition::playable(cli.nodes(), &options.filter)?;
            lab.install_herald(&say)?;
            let (figures, whole) = partition::measure(&mut lab, options)?;
            conclude(cli, &figures, whole)
        }
        Action::Calm(options) => {
            lab.install_herald(&say)?;
            let figures = calm::measure(&mut lab, options)?;
            conclude(cli, &figures, true)
        }
        Action::Alloc(options) => {
            lab.install_herald(&say)?;
            let figures = alloc::measure(&mut lab, options)?;
            conclude(cli, &figures, true)
        }
        Action::Bgp(options) => {
            lab.install_herald(&say)?;
            let figures = bgp::measure(&mut lab, options)?;
            conclude(cli, &figures, true)
        }
        Action::Kills(options) => {
            lab.install_herald(&say)?;
            let figures = kills::measure(&mut lab, options)?;
            conclude(cli, &figures, true)
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

/// Prints figures. A run that is not whole fails; one whose figures are not as wanted fails if that is
/// asked for.
fn conclude(cli: &Cli, figures: &[Figure], whole: bool) -> ExitCode {
    let Output { json, strict } = cli.command.output().unwrap_or_default();
    let as_wanted = figures::print(figures, json);
    if whole && (as_wanted || !strict) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Further arguments of Herald's programs.
fn extra(cli: &Cli) -> Extra {
    let mut extra = Extra {
        speaker: cli.speaker_arg.clone(),
        controller: cli.controller_arg.clone(),
    };
    if let Action::Failover(options) = &cli.command
        && options.profile == Profile::Fast
    {
        extra.speaker.push("--failover-profile=fast".to_owned());
    }
    extra
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
