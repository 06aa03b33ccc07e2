//! `cargo xtask`: the commands of this repository.

mod clock;
mod controlplane;
mod failures;
mod fuzz;
mod lab;
mod layers;
mod licences;
mod packages;
mod rooms;
mod steps;
mod workspace;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use lab::Profile;
use steps::Steps;
use workspace::{FUZZ_TARGETS, Metadata, cargo};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The commands of this repository"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show Herald's main job on a real control plane, from nothing.
    Demo {
        /// Options of `herald-lab demo`, as --keep or --bgp.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every check and every test.
    Test {
        /// Leave out the lab.
        #[arg(long)]
        fast: bool,
    },
    /// Search the quorum lease for faults for a long time: the model further than the tests do, and
    /// random faults on simulated clusters.
    Soak {
        /// Random runs.
        #[arg(long, default_value_t = 100_000)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
    /// Search everything that reads the network for faults, guided by what is reached: all targets of
    /// tests/fuzz, or these. Needs a C++ compiler; what was learned stays in target/fuzz.
    Fuzz {
        /// Targets, or how their names begin, as `bgp`.
        targets: Vec<String>,
        /// How long each of them is run.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// How many of them are run at a time.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        jobs: u32,
    },
    /// The lab: up [--keep], shell [PLACE], kubectl ..., check [FILTER], down; failover, drain,
    /// eviction, partition, calm, alloc, bgp and kills measure.
    Lab {
        /// Arguments of `herald-lab`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure on optimised programs: `alloc`, how fast Services get their addresses; `bgp`, how
    /// fast routers learn of routes; `codec`, how fast messages of BGP are read and written; as `lab` the
    /// commands failover, drain, eviction, partition, calm and kills.
    Bench {
        /// What, and arguments of `herald-lab`, as --json and --strict.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check who depends on whom.
    Layers,
    /// Check sizes, headers, orphans, links and clause ledgers.
    Rooms,
    /// Check that deploy/crds is what the types say.
    Crds {
        /// Write it instead.
        #[arg(long)]
        write: bool,
    },
    /// Check the licences of everything that is linked.
    Licences,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Demo { arguments } => {
            let mut words = vec!["demo".to_owned()];
            words.extend(arguments);
            hand_over(lab::prepared(&words, Profile::Debug)?)
        }
        Task::Bench { arguments } if arguments.first().is_some_and(|what| what == "codec") => {
            let words = [
                "run",
                "--release",
                "--package",
                "herald-bgp",
                "--example",
                "speed",
                "--",
            ];
            let mut command = cargo(&words);
            command.args(arguments.iter().skip(1));
            hand_over(command)
        }
        Task::Bench { arguments } => hand_over(lab::prepared(&arguments, Profile::Release)?),
        Task::Test { fast } => test(fast),
        Task::Soak { seeds, first } => Ok(soak(seeds, first)),
        Task::Fuzz {
            targets,
            seconds,
            jobs,
        } => fuzz::run(&targets, seconds, jobs),
        Task::Lab { arguments } => {
            let starts = [
                "up",
                "demo",
                "check",
                "failover",
                "drain",
                "eviction",
                "partition",
                "calm",
                "alloc",
                "bgp",
                "kills",
            ];
            let listing = arguments.iter().any(|word| word == "--list");
            if arguments
                .first()
                .is_some_and(|word| starts.contains(&word.as_str()))
                && !listing
            {
                hand_over(lab::prepared(&arguments, Profile::Debug)?)
            } else {
                hand_over(lab::plain(&arguments, Profile::Debug))
            }
        }
        Task::Layers => one(|steps, metadata| steps.check("layers", || layers::check(metadata))),
        Task::Rooms => one(check_rooms),
        Task::Crds { write } => {
            let mut command = crds(write);
            let mut steps = Steps::default();
            steps.command("crds", &mut command);
            Ok(steps.finish())
        }
        Task::Licences => one(check_licences),
    }
}

fn one(work: impl FnOnce(&mut Steps, &Metadata)) -> Result<ExitCode> {
    let metadata = Metadata::load()?;
    let mut steps = Steps::default();
    work(&mut steps, &metadata);
    Ok(steps.finish())
}

/// Optimised, since it is minutes to hours. A run that fails names its seed.
fn soak(seeds: u64, first: u64) -> ExitCode {
    let test = |name: &str, filter: &str| {
        let package = ["test", "--release", "--package", "herald-beacon"];
        let mut command = cargo(&package);
        command.args(["--test", name, "--", filter, "--nocapture"]);
        command
    };
    let mut steps = Steps::default();
    steps.tests(
        "model",
        test("quorum_lease", "").env("HERALD_SOAK", "1"),
        steps::cargo_counts,
    );
    steps.tests(
        "random faults",
        test("cluster", "random")
            .env("HERALD_SEEDS", seeds.to_string())
            .env("HERALD_FIRST_SEED", first.to_string()),
        steps::cargo_counts,
    );
    steps.finish()
}

/// Cheap first: what fails in a second is said in a second.
fn test(fast: bool) -> Result<ExitCode> {
    let metadata = Metadata::load()?;
    let mut steps = Steps::default();
    steps.check("layers", || layers::check(&metadata));
    check_rooms(&mut steps, &metadata);
    check_licences(&mut steps, &metadata);
    steps.command("fmt", &mut cargo(&["fmt", "--all", "--check"]));
    let apart = ["fmt", "--manifest-path", FUZZ_TARGETS, "--check"];
    steps.command("fmt of the fuzz targets", &mut cargo(&apart));
    steps.command("crds", &mut crds(false));
    steps.command(
        "clippy",
        &mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    );
    steps.tests(
        "unit tests",
        &mut cargo(&["test", "--workspace", "--no-fail-fast"]),
        steps::cargo_counts,
    );
    if fast {
        steps.skip("lab", "left out by --fast");
        return Ok(steps.finish());
    }
    let arguments = ["check", "--again", "1"].map(str::to_owned);
    match lab::prepared(&arguments, Profile::Debug) {
        Ok(mut command) => steps.tests("lab", &mut command, steps::lab_counts),
        Err(error) if in_ci() => steps.check("lab", || Err(error)),
        Err(error) => steps.skip("lab", &format!("{error:#}")),
    }
    Ok(steps.finish())
}

fn check_rooms(steps: &mut Steps, metadata: &Metadata) {
    steps.check("rooms", || {
        let findings = rooms::check(metadata)?;
        for remark in findings.remarks {
            println!("    remark: {remark}");
        }
        Ok(findings.problems)
    });
}

fn check_licences(steps: &mut Steps, metadata: &Metadata) {
    steps.check("licences", || {
        let (problems, exceptions) = licences::check(metadata);
        for exception in exceptions {
            println!("    by exception: {exception}");
        }
        Ok(problems)
    });
}

fn crds(write: bool) -> Command {
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--package",
        "herald-crds",
        "--bin",
        "crdgen",
        "--",
    ]);
    if !write {
        command.arg("--check");
    }
    command.arg("deploy/crds");
    command
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Runs a command in the foreground; its exit status is ours. An interrupt reaches it too, and it
/// cleans up after itself.
fn hand_over(mut command: Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let name = command.get_program().to_string_lossy().into_owned();
    Err(command.exec())
        .with_context(|| format!("cannot start {name}; `cargo xtask lab up` builds it"))
}
