//! Coverage-guided fuzzing: the programs of `tests/fuzz`, built to count what they reach, each run for a
//! while. What they found worth keeping stays under `target/fuzz`, and the next run goes on from there.
//!
//! Not here: what is fuzzed and what must hold (`tests/fuzz/src`).

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::packages::found;
use crate::workspace::{FUZZ_TARGETS, cargo, output_of, relative, root};

/// Every edge is counted, and libFuzzer sees what is compared with what; as `cargo fuzz --sanitizer none`
/// has it, on a stable toolchain. There is no unsafe code for a sanitizer to look at.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// An input that takes longer than this many seconds, or more than so many MiB, is a finding.
const LONGEST: &str = "-timeout=10";
const LARGEST: &str = "-rss_limit_mb=1024";

/// How many octets of a finding are shown; the rest is in its file.
const SHOWN: usize = 512;

/// What came of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    /// Edges of the program that some input reached, those of the target itself among them.
    edges: u64,
    /// Inputs that each reach something the others do not.
    corpus: u64,
    /// The first words of a panic, or what libFuzzer says.
    complaint: Option<String>,
    finding: Option<PathBuf>,
}

/// Builds and runs the targets whose names are `wanted` or begin so, all where there are none.
pub(crate) fn run(wanted: &[String], seconds: u32, jobs: u32) -> Result<ExitCode> {
    let targets = chosen(&targets()?, wanted)?;
    let programs = build()?;
    let queue = Mutex::new(targets.into_iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let work = || {
        let mut done = Vec::new();
        while let Some(target) = next() {
            eprintln!("{target}: {seconds} s ...");
            let outcome = fuzz(&programs.join(&target), &target, seconds);
            if let Ok(outcome) = &outcome {
                complain(&target, outcome);
            }
            done.push((target, outcome));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().filter_map(|worker| worker.join().ok());
        joined.flatten().collect::<Vec<_>>()
    });
    done.sort_by(|one, other| one.0.cmp(&other.0));
    let mut good = true;
    for (target, outcome) in done {
        let outcome = outcome.with_context(|| target.clone())?;
        let verdict = if outcome.complaint.is_none() {
            "ok"
        } else {
            "FAILED"
        };
        good &= outcome.complaint.is_none();
        println!(
            "{target:<16} {verdict:<8} {:>12} executions  {:>6} edges  {:>6} inputs",
            outcome.executions, outcome.edges, outcome.corpus
        );
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Every target there is: a file in `src/bin`.
fn targets() -> Result<BTreeSet<String>> {
    let directory = root().join("tests/fuzz/src/bin");
    let entries = std::fs::read_dir(&directory)
        .with_context(|| format!("cannot read {}", relative(&directory)))?;
    entries
        .map(|entry| {
            let path = entry?.path();
            Ok(path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned())
        })
        .collect()
}

/// Those that are meant: `bgp` is `bgp_message` and `bgp_peer`.
fn chosen(targets: &BTreeSet<String>, wanted: &[String]) -> Result<Vec<String>> {
    let is_meant = |target: &str, word: &String| {
        let rest = target.strip_prefix(word.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    if let Some(word) = wanted
        .iter()
        .find(|word| !targets.iter().any(|target| is_meant(target, word)))
    {
        let names: Vec<&str> = targets.iter().map(String::as_str).collect();
        bail!(
            "there is no fuzz target {word:?}: name one of {}",
            names.join(", ")
        );
    }
    let meant = targets
        .iter()
        .filter(|target| wanted.is_empty() || wanted.iter().any(|word| is_meant(target, word)));
    Ok(meant.cloned().collect())
}

/// Where the programs are.
fn build() -> Result<PathBuf> {
    if std::env::var_os("CXX").is_none() && !found("c++") && !found("g++") {
        bail!(
            "fuzzing needs a C++ compiler for libFuzzer: install g++, on Debian and Ubuntu with `sudo apt-get install g++`"
        );
    }
    let version = output_of(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say which machine it builds for")?;
    eprintln!("building the fuzz targets ...");
    let directory = root().join("target/fuzz/build");
    // Named, so that build scripts and macros are built without the flags.
    let status = cargo(&[
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        FUZZ_TARGETS,
    ])
    .args(["--target", host, "--target-dir"])
    .arg(&directory)
    .env("RUSTFLAGS", FLAGS.join(" "))
    .status()?;
    if !status.success() {
        bail!("the fuzz targets do not build");
    }
    Ok(directory.join(host).join("release"))
}

fn fuzz(program: &Path, target: &str, seconds: u32) -> Result<Outcome> {
    let home = root().join("target/fuzz");
    let (seeds, corpus) = (
        home.join("seeds").join(target),
        home.join("corpus").join(target),
    );
    let findings = home.join("findings").join(target);
    if seeds.exists() {
        std::fs::remove_dir_all(&seeds)?;
    }
    for directory in [&seeds, &corpus, &findings] {
        std::fs::create_dir_all(directory)?;
    }
    let mut prefix = findings.into_os_string();
    prefix.push("/");
    let mut argument = std::ffi::OsString::from("-artifact_prefix=");
    argument.push(prefix);
    output_of(Command::new(program).env("HERALD_FUZZ_SEEDS", &seeds))?;
    let mut child = Command::new(program)
        .args([LONGEST, LARGEST, "-print_final_stats=1"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(argument)
        .args([&corpus, &seeds])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", relative(program)))?;
    let mut outcome = Outcome::default();
    let mut panicked = false;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            // The words of a panic are on the line behind its place.
            if std::mem::take(&mut panicked) {
                let place = outcome.complaint.take().unwrap_or_default();
                outcome.complaint = Some(format!("{place} {line}"));
            }
            panicked = line.starts_with("thread ") && line.contains(" panicked at ");
            outcome.read(&line);
        }
    }
    let status = child.wait()?;
    if !status.success() && outcome.complaint.is_none() {
        outcome.complaint = Some(format!("{status}"));
    }
    Ok(outcome)
}

impl Outcome {
    /// Takes in what one line of libFuzzer says.
    fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = rest.trim().parse().unwrap_or_default();
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.finding = Some(PathBuf::from(path.trim()));
        } else if let Some((_, place)) = line.split_once(" panicked at ") {
            self.complaint = Some(place.to_owned());
        } else if line.contains("ERROR: libFuzzer: ") && self.complaint.is_none() {
            self.complaint = line.split_once("ERROR: ").map(|(_, what)| what.to_owned());
        } else if line.starts_with('#') {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                let number = |text: &str| text.split('/').next().and_then(|n| n.parse().ok());
                match word {
                    "cov:" => self.edges = words.next().and_then(number).unwrap_or(self.edges),
                    "corp:" => self.corpus = words.next().and_then(number).unwrap_or(self.corpus),
                    _ => {}
                }
            }
        }
    }
}

/// Tells a finding: the complaint, the octets, the file.
fn complain(target: &str, outcome: &Outcome) {
    let Some(complaint) = &outcome.complaint else {
        return;
    };
    println!("{target}: {complaint}");
    let Some(path) = &outcome.finding else {
        return;
    };
    let octets = std::fs::read(path).unwrap_or_default();
    let shown = octets.iter().take(SHOWN);
    let digits: String = shown.map(|octet| format!("{octet:02x}")).collect();
    let more = if octets.len() > SHOWN { " ..." } else { "" };
    println!("    {} octets: {digits}{more}", octets.len());
    println!("    in {}", relative(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of LLVM's libFuzzer, as it printed them.
    #[test]
    fn the_figures_and_the_finding_are_read_from_what_libfuzzer_says() {
        let mut outcome = Outcome::default();
        for line in [
            "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 38Mb",
            "#4096\tNEW    cov: 91 ft: 180 corp: 33/420b lim: 43 exec/s: 2048 rss: 39Mb L: 9/43 MS: 1 CopyPart-",
            "thread '<unnamed>' (77) panicked at src/arp.rs:30:5:",
            "==77== ERROR: libFuzzer: deadly signal",
            "stat::number_of_executed_units: 5120",
            "artifact_prefix='/x/'; Test unit written to /x/crash-da39",
        ] {
            outcome.read(line);
        }
        let expected = Outcome {
            executions: 5120,
            edges: 91,
            corpus: 33,
            complaint: Some("src/arp.rs:30:5:".to_owned()),
            finding: Some("/x/crash-da39".into()),
        };
        assert_eq!(outcome, expected);
    }

    #[test]
    fn a_word_means_a_target_or_all_that_begin_with_it() {
        let targets = ["arp", "bgp_message", "bgp_peer"].map(str::to_owned).into();
        let named = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            chosen(&targets, &words).map_err(|error| error.to_string())
        };
        let bgp = ["bgp_message", "bgp_peer"].map(str::to_owned).to_vec();
        assert_eq!(named(&["bgp"]), Ok(bgp));
        assert_eq!(named(&["arp"]), Ok(vec!["arp".to_owned()]));
        assert_eq!(named(&[]).map(|all| all.len()), Ok(3));
        assert_eq!(
            named(&["bg"]),
            Err(
                "there is no fuzz target \"bg\": name one of arp, bgp_message, bgp_peer".to_owned()
            )
        );
    }
}
