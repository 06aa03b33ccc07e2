//! The controller that works is killed again and again while Services come, change and go.
//!
//! A watch sees every version of every Service in the order the API server made them. From it follows
//! who held what at any time: nobody holds what another holds, and who asks for nothing else keeps what
//! it has.

mod churn;
mod seen;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Output;
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::herald::NAMESPACE;
use crate::lab::Lab;
use crate::telling::tell;
use churn::Churn;

/// How long the Lease of a dead leader stands, in seconds.
const LEASE: u64 = 3;

/// Until another leads: the Lease, two looks at it, and a busy machine.
const WANTED: Duration = Duration::from_secs(LEASE + 3);

/// How long a leader may be missing before the run is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How often the leader is killed.
    #[arg(long, default_value_t = 200)]
    pub runs: usize,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// Measures on a lab with Herald installed.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<Vec<Figure>> {
    lab.quiet()?;
    let lease = format!("--lease-duration={LEASE}");
    lab.herald()?.restart_controllers_with(&[lease])?;
    let mut leader = leader(lab, None)?;
    let churn = Churn::start(lab)?;
    let mut gaps = Vec::new();
    for run in 1..=options.runs {
        let watch = Stopwatch::start();
        let controllers = &mut lab.herald()?.controllers;
        let dead = controllers
            .iter_mut()
            .find(|part| part.program.name() == leader)
            .with_context(|| format!("nobody is {leader}"))?;
        dead.program.kill();
        let next = self::leader(lab, Some(&leader))?;
        gaps.push(watch.elapsed());
        lab.herald()?
            .controllers
            .iter_mut()
            .find(|part| part.program.name() == leader)
            .context("the dead one is gone")?
            .restart()?;
        lab.herald()?.wait_ready()?;
        leader = next;
        if run % 20 == 0 {
            tell(&format!("{run} leaders killed"));
        }
    }
    let seen = churn.finish()?;
    for sentence in seen.complaints.iter().take(10) {
        tell(sentence);
    }
    tell(&format!(
        "{} Services came, {} versions of Services were seen, {} times one got an address",
        seen.services, seen.versions, seen.given
    ));
    if seen.given < options.runs {
        bail!("too little happened between the kills to show anything");
    }
    let complaints = u32::try_from(seen.complaints.len()).unwrap_or(u32::MAX);
    Ok(vec![
        Figure::milliseconds("leader killed: another leads after", &gaps, Some(WANTED)),
        Figure::new(
            "leader killed: addresses changed, lost or given twice",
            "",
            &[complaints.into()],
            Some(0.0),
        ),
    ])
}

/// Waits until a replica other than `not` holds the Lease.
fn leader(lab: &Lab, not: Option<&str>) -> Result<String> {
    let path =
        format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/herald-controller");
    let holder = || -> Result<Option<String>> {
        let lease = lab.api.get(&path)?;
        let holder = lease
            .as_ref()
            .and_then(|l| l["spec"]["holderIdentity"].as_str());
        Ok(holder
            .filter(|holder| !holder.is_empty() && Some(*holder) != not)
            .map(str::to_owned))
    };
    lab.wait("nobody leads", LIMIT, |_| Ok(holder()?.is_some()))?;
    holder()?.context("the leader is gone again")
}
