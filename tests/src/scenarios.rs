//! What is shown on the lab: plain functions over a running [`Lab`], run one after another.
//!
//! Each makes what it needs under names of its own; what it leaves behind is tidied up by the runner,
//! so one that fails does not fail the next.

mod addresses;
mod all;
mod bad_input;
mod bgp;
mod claims;
mod eviction;
mod families;
mod forms;
mod ground;
mod hygiene;
mod independence;
mod keeping;
mod lan;
mod moving_in;
mod narrow;
mod objects;
mod pages;
mod policies;
mod pools;
mod restarts;
mod rights;
mod sharing;
mod takeover;
mod tool;
mod unheard;
mod unusable;
mod writes;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::capture::Capture;
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::herald::Herald;
use crate::lab::Lab;
use crate::stalls::Stalls;
use crate::telling::tell;

pub use all::ALL;

/// What a scenario works with.
pub struct Stage {
    /// The lab; Herald is installed before the first scenario it takes part in.
    pub lab: Lab,
    /// What was measured so far.
    pub figures: Vec<Figure>,
    /// Everything the client has seen on its wire since the lab came up.
    capture: Option<Capture>,
}

/// One scenario; its name is a sentence.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What is shown.
    pub name: &'static str,
    /// Whether Herald takes part.
    herald: bool,
    run: fn(&mut Stage) -> Result<()>,
}

/// Why a scenario was not run.
#[derive(Debug)]
struct Skip {
    reason: String,
}

impl fmt::Display for Skip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Skip {}

/// Fails as skipped when a program is not installed.
fn needs(program: &str, package: &str) -> Result<()> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if found {
        return Ok(());
    }
    Err(Skip {
        reason: format!("{program} is missing (package {package})"),
    }
    .into())
}

/// How a run went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Scenarios that held.
    pub passed: usize,
    /// Scenarios that did not.
    pub failed: usize,
    /// Scenarios that could not be tried.
    pub skipped: usize,
}

impl Counts {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::Skipped => self.skipped += 1,
        }
    }
}

/// How scenarios are run.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// Those whose name contains this.
    pub filter: &'a str,
    /// One that could have been run had a package been installed is a failure.
    pub complete: bool,
    /// One that fails is run so often again; what failed is told in any case.
    pub again: usize,
}

/// Runs scenarios, printing one line each.
pub fn run(lab: Lab, manner: Manner<'_>, say: &dyn Fn(&str)) -> Result<(Counts, Vec<Figure>)> {
    let path = lab.files.state.join("client.pcap");
    let capture = Capture::start(&lab.topology.client, &path)?;
    let mut stage = Stage {
        lab,
        figures: Vec::new(),
        capture: Some(capture),
    };
    let stalls = Stalls::watch();
    let mut counts = Counts::default();
    let wanted = ALL
        .iter()
        .filter(|scenario| scenario.name.contains(manner.filter));
    for scenario in wanted {
        if scenario.herald && stage.lab.herald.is_none() {
            stage.lab.install_herald(say)?;
        }
        let mut left = manner.again;
        let mut verdict = attempt(&mut stage, scenario, manner.complete, &stalls, left);
        while verdict == Verdict::Failed && left > 0 {
            left -= 1;
            verdict = attempt(&mut stage, scenario, manner.complete, &stalls, left);
        }
        counts.count(verdict);
    }
    Ok((counts, stage.figures))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// Runs one scenario, prints the result and tidies up behind it. A failure is called unsteady while
/// tries are `left`.
fn attempt(
    stage: &mut Stage,
    scenario: &Scenario,
    complete: bool,
    stalls: &Stalls,
    left: usize,
) -> Verdict {
    let (watch, name) = (Stopwatch::start(), scenario.name);
    let before = logged(&stage.lab);
    stalls.longest();
    let result = (scenario.run)(stage).and_then(|()| alive(&mut stage.lab));
    let (seconds, stall) = (watch.elapsed().as_secs_f64(), stalls.longest());
    let verdict = match result {
        Ok(()) => {
            tell(&format!("test {name} ... ok ({seconds:.1} s)"));
            Verdict::Passed
        }
        Err(error) if error.is::<Skip>() && !complete => {
            tell(&format!("test {name} ... skipped: {error}"));
            Verdict::Skipped
        }
        Err(error) => {
            let word = if left == 0 { "FAILED" } else { "UNSTEADY" };
            tell(&format!("test {name} ... {word} ({seconds:.1} s)"));
            let error = format!("{error:#}").replace('\n', "\n    ");
            tell(&format!("    {error}"));
            let stall = stall.as_secs_f64() * 1e3;
            tell(&format!(
                "    the machine stood still for up to {stall:.0} ms"
            ));
            show_logs(&stage.lab, &before);
            Verdict::Failed
        }
    };
    if let Err(error) = tidy(&mut stage.lab) {
        tell(&format!("    tidying up after {name}: {error:#}"));
    }
    verdict
}

/// Fails when a program of Herald has ended by itself.
fn alive(lab: &mut Lab) -> Result<()> {
    for part in lab.herald.iter_mut().flat_map(Herald::parts_mut) {
        if let Some(status) = part.program.ended() {
            bail!("{} ended by itself: {status}", part.program.name());
        }
    }
    Ok(())
}

/// Brings the lab back to where every scenario starts from.
fn tidy(lab: &mut Lab) -> Result<()> {
    for service in lab.api.list("/api/v1/namespaces/default/services")? {
        match service["metadata"]["name"].as_str() {
            Some("kubernetes") | None => {}
            Some(name) => lab.delete_service(name)?,
        }
    }
    if lab.herald.is_none() {
        return Ok(());
    }
    for kind in [
        "ipaddresspools",
        "l2advertisements",
        "bgpadvertisements",
        "bgppeers",
        "bfdprofiles",
        "communities",
        "ipreservations",
    ] {
        let path = format!("/apis/heraldlb.io/v1beta1/{kind}");
        for object in lab.api.list(&path)? {
            match object["metadata"]["name"].as_str() {
                Some("lab") | None => {}
                Some(name) => lab.api.delete(&format!("{path}/{name}"))?,
            }
        }
    }
    crate::herald::apply_pool(lab)?;
    for part in lab.herald()?.parts_mut() {
        if part.program.ended().is_some() {
            part.restart()?;
        }
    }
    lab.herald()?.wait_ready()
}

/// How much each program of Herald has logged, in bytes.
fn logged(lab: &Lab) -> BTreeMap<String, usize> {
    let logs = lab.herald.iter().flat_map(Herald::logs);
    logs.map(|(name, log)| (name.to_owned(), log.len()))
        .collect()
}

/// What the cluster looks like, and the last lines of what each program of Herald logged since.
fn show_logs(lab: &Lab, since: &BTreeMap<String, usize>) {
    let cluster = lab.kubectl(&["get", "nodes,pods,services,endpointslices", "--no-headers"]);
    for line in cluster
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.is_empty())
    {
        tell(&format!("      {line}"));
    }
    for (name, log) in lab.herald.iter().flat_map(Herald::logs) {
        let new = log
            .get(since.get(name).copied().unwrap_or_default()..)
            .unwrap_or_default();
        let lines: Vec<&str> = new.lines().collect();
        for line in &lines[lines.len().saturating_sub(6)..] {
            tell(&format!("      {name}: {line}"));
        }
    }
}

/// Two answers that are not the same are a failure that shows both.
fn expect_same<T: PartialEq + fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    bail!("{what} is {found:?}, not {wanted:?}")
}

/// A moment for something that must not happen.
fn linger(time: Duration) {
    std::thread::sleep(time);
}
