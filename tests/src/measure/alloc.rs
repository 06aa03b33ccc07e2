//! How fast Services get their addresses, beside the least that is possible; first the planner by itself.
//!
//! Eight connections create Services. In the bare run sixteen more write a status to each of them as
//! soon as it exists, as a controller would that had nothing to think about; in the other Herald does.
//! Both are measured by the same watch, from the first create until every Service has its address, and
//! the result is their ratio. The Services have no selector, no node ports, and no speaker or
//! kube-proxy runs: what is measured is the controller and the API server.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::crowd::{BARE, Crowd, HERALD};
use super::{Output, planner};
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::telling::tell;

/// A tenth of this is one wanted ratio.
const WANTED_RATIO: f64 = 1.3;

/// Of how many Services, in percent, reports may be written before all have their addresses: whatever
/// is written takes time from those who wait. In a rush of more than a minute a few are.
const WANTED_SHARE: f64 = 15.0;

/// What one Service may take on top of two round trips.
const WANTED_EXCESS: Duration = Duration::from_millis(20);

/// What the controller may occupy with the largest crowd, in MiB (60 MB).
const WANTED_MEMORY: f64 = 57.2;

/// How many Services are created one by one.
const SINGLES: usize = 30;

/// How long reports may take after the addresses.
const REPORTS: Duration = Duration::from_secs(900);

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How many Services; may be given several times.
    #[arg(long, default_values_t = [1_000, 10_000])]
    pub services: Vec<usize>,
    /// How often each number.
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// Measures on a lab with Herald installed.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<Vec<Figure>> {
    lab.quiet()?;
    let crowd = Crowd::new(lab)?;
    tell("the planner by itself");
    let mut figures = planner::run();
    for (place, count) in options.services.iter().enumerate() {
        let (mut bare, mut ours, mut ratios) = (vec![], vec![], vec![]);
        let (mut meanwhile, mut reports) = (vec![], vec![]);
        for _ in 0..options.runs {
            let least = crowd.fill(BARE, *count)?;
            crowd.clear()?;
            let took = crowd.fill(HERALD, *count)?;
            let told = Stopwatch::start();
            meanwhile.push(crowd.reported()?);
            lab.wait("a Service is not reported on", REPORTS, |_| {
                Ok(crowd.reported()? >= *count)
            })?;
            reports.push(told.elapsed());
            let ratio = took.as_secs_f64() / least.as_secs_f64();
            tell(&format!(
                "{count} Services: bare {:.2} s, Herald {:.2} s, ratio {ratio:.2}; reported after {:.1} s more",
                least.as_secs_f64(),
                took.as_secs_f64(),
                told.elapsed().as_secs_f64(),
            ));
            bare.push(least);
            ours.push(took);
            ratios.push(ratio);
            if ratios.len() < options.runs {
                crowd.clear()?;
            }
        }
        let title = |what: &str| format!("{count} Services: {what}");
        figures.push(Figure::milliseconds(&title("bare"), &bare, None));
        figures.push(Figure::milliseconds(&title("Herald"), &ours, None));
        let ratio = Figure::new(&title("ratio"), "", &ratios, None);
        figures.push(ratio.with_median(WANTED_RATIO));
        let share = |reported: &usize| *reported as f64 / *count as f64 * 1e2;
        let share: Vec<f64> = meanwhile.iter().map(share).collect();
        figures.push(Figure::new(
            &title("reported on meanwhile"),
            "%",
            &share,
            Some(WANTED_SHARE),
        ));
        figures.push(Figure::milliseconds(
            &title("reports behind"),
            &reports,
            None,
        ));
        let last = place + 1 == options.services.len();
        let memory = memory(lab)?;
        let wanted = last.then_some(WANTED_MEMORY);
        figures.push(Figure::new(
            &title("controllers' memory"),
            "MiB",
            &memory,
            wanted,
        ));
        if last {
            let excess = crowd.one_by_one(SINGLES)?;
            let figure =
                Figure::milliseconds(&title("one more, beyond two round trips"), &excess, None);
            figures.push(figure.with_median(WANTED_EXCESS.as_secs_f64() * 1e3));
        }
        crowd.clear()?;
    }
    Ok(figures)
}

/// What both controllers occupy, in MiB.
fn memory(lab: &mut Lab) -> Result<Vec<f64>> {
    let controllers = &lab.herald()?.controllers;
    controllers
        .iter()
        .map(|part| {
            let path = format!("/proc/{}/status", part.program.id());
            let status = std::fs::read_to_string(&path)?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes: f64 = line
                .and_then(|line| line.split_whitespace().next())
                .and_then(|number| number.parse().ok())
                .with_context(|| format!("{path} has no VmRSS"))?;
            Ok(kilobytes / 1024.0)
        })
        .collect()
}
