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
mod forms;
mod ground;
mod hygiene;
mod independence;
mod lan;
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

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::capture::Capture;
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::herald::Herald;
use crate::lab::Lab;
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

/// Runs the scenarios whose name contains `filter`, printing one line each. With `complete`, one that
/// could have been run had a package been installed is a failure.
pub fn run(
    lab: Lab,
    filter: &str,
    complete: bool,
    say: &dyn Fn(&str),
) -> Result<(Counts, Vec<Figure>)> {
    let path = lab.files.state.join("client.pcap");
    let capture = Capture::start(&lab.topology.client, &path)?;
    let mut stage = Stage {
        lab,
        figures: Vec::new(),
        capture: Some(capture),
    };
    let mut counts = Counts::default();
    for scenario in ALL.iter().filter(|scenario| scenario.name.contains(filter)) {
        if scenario.herald && stage.lab.herald.is_none() {
            stage.lab.install_herald(say)?;
        }
        let watch = Stopwatch::start();
        let before = logged(&stage.lab);
        let result = (scenario.run)(&mut stage).and_then(|()| alive(&mut stage.lab));
        let name = scenario.name;
        let good = report(name, result, complete, watch.elapsed(), &mut counts);
        if !good {
            show_logs(&stage.lab, &before);
        }
        if let Err(error) = tidy(&mut stage.lab) {
            tell(&format!(
                "    tidying up after {}: {error:#}",
                scenario.name
            ));
        }
    }
    Ok((counts, stage.figures))
}

/// Prints and counts one result; whether it is a good one.
fn report(
    name: &str,
    result: Result<()>,
    complete: bool,
    took: Duration,
    counts: &mut Counts,
) -> bool {
    let seconds = took.as_secs_f64();
    match result {
        Ok(()) => {
            counts.passed += 1;
            tell(&format!("test {name} ... ok ({seconds:.1} s)"));
        }
        Err(error) if error.is::<Skip>() && !complete => {
            counts.skipped += 1;
            tell(&format!("test {name} ... skipped: {error}"));
        }
        Err(error) => {
            counts.failed += 1;
            tell(&format!("test {name} ... FAILED ({seconds:.1} s)"));
            tell(&format!(
                "    {}",
                format!("{error:#}").replace('\n', "\n    ")
            ));
            return false;
        }
    }
    true
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
