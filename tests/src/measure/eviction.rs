//! What clients of a `Cluster` Service lose when a node with some of its pods dies.
//!
//! However fast the address moves, kube-proxy goes on sending a share of new connections to the dead
//! node's pods until it is told that they are gone: by the node lifecycle controller, or, where that is
//! asked for, by Herald's.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::Output;
use super::scene::{Behind, Scene, Watchers, linger};
use crate::faults::Fault;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::telling::tell;

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How long connections are counted after the node's death.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// How many nodes die, one after the other.
    #[arg(long, default_value_t = 1)]
    pub runs: usize,
    /// Kustomize directory with the rights that fast eviction needs; the shipped one by default.
    #[arg(long)]
    pub rights: Option<std::path::PathBuf>,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// The controller's flag.
pub(crate) const OPTION: &str = "--fast-endpoint-eviction";

/// Its rights, among the manifests.
pub(crate) const RIGHTS: &str = "addons/fast-endpoint-eviction";

/// Measures on a lab with Herald installed: without fast eviction, and with it where there is such.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<Vec<Figure>> {
    let mut figures = half(lab, options, "without", 0, None)?;
    if !lab.programs.offers("herald-controller", OPTION)? {
        tell(&format!(
            "fast eviction is left out: this controller has no {OPTION}"
        ));
        return Ok(figures);
    }
    let shipped = || lab.programs.manifests.join(RIGHTS);
    let rights = options.rights.clone().unwrap_or_else(shipped);
    lab.kubectl(&["apply", "-k", &rights.display().to_string()])?;
    let mut extra = lab.extra.controller.clone();
    extra.push(OPTION.to_owned());
    lab.herald()?.restart_controllers_with(&extra)?;
    // One of them is to be leader again.
    linger(Duration::from_secs(20));
    figures.extend(half(lab, options, "with", options.runs, Some(WHOLE_AGAIN))?);
    Ok(figures)
}

/// How soon traffic is to be whole again with fast eviction.
const WHOLE_AGAIN: Duration = Duration::from_secs(1);

fn half(
    lab: &mut Lab,
    options: &Options,
    with: &str,
    first: usize,
    wanted: Option<Duration>,
) -> Result<Vec<Figure>> {
    let (mut shares, mut until) = (Vec::new(), Vec::new());
    for run in 0..options.runs {
        let scene = Scene::set(lab, first + run, Behind::AllPods)?;
        let watchers = Watchers::start(lab, scene.address)?;
        linger(Duration::from_secs(1));
        let struck = watchers.watch.elapsed();
        lab.strike(Fault::NodeGone, scene.owner)?;
        linger(Duration::from_secs(options.seconds));
        let seen = watchers.finish()?.probes.tcp.since(struck);
        lab.mend(Fault::NodeGone, scene.owner)?;
        scene.clear(lab)?;
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let share = count(seen.lost()) / count(seen.probes.len()) * 100.0;
        shares.push((share * 100.0).round() / 100.0);
        let last = seen.last_lost().unwrap_or(struck).saturating_sub(struck);
        until.push(last);
        tell(&format!(
            "{with} fast eviction: {} of {} connections failed, the last {:.1} s after the node's death",
            seen.lost(),
            seen.probes.len(),
            last.as_secs_f64()
        ));
    }
    let name = format!("{with} fast eviction");
    Ok(vec![
        Figure::new(&format!("{name}: failed connections"), "%", &shares, None),
        Figure::milliseconds(&format!("{name}: until whole again"), &until, wanted),
    ])
}
