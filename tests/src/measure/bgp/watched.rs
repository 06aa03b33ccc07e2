//! A node falls silent behind a router that watches it at three times 50 ms: Herald's speakers, and BIRD
//! in their place, in turn.
//!
//! Half of what is seen is the router's own: it counts the last packet for 150 ms, and takes the route out
//! of the kernel. What is left to the node is when that last packet was, so many runs are needed.

use std::time::Duration;

use anyhow::Result;

use super::birds::Bird;
use super::ecmp::{Scene, peer};
use super::median;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::routers::{Bfd, Kind, Neighbour, Router};
use crate::telling::tell;

const TERMS: Bfd = Bfd {
    interval: Duration::from_millis(50),
    multiplier: 3,
};

/// What Herald may take of what BIRD takes, in percent.
const WANTED: f64 = 105.0;

/// So many times each.
pub(super) fn measure(lab: &mut Lab, scene: &Scene, runs: usize) -> Result<Vec<Figure>> {
    let nodes = lab.topology.nodes.iter();
    let neighbours = nodes.map(|node| Neighbour {
        bfd: Some(TERMS),
        ..Neighbour::plain(node.number, 0)
    });
    let mut router = Router::start(lab, Kind::Frr, neighbours.collect())?;
    lab.apply(
        "apiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {name: fast}\n\
         spec: {receiveInterval: 50, transmitInterval: 50, detectMultiplier: 3}\n",
    )?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        lab.apply(&peer("holdTime: 9s, drainTime: 0s, bfdProfile: fast"))?;
        ours.push(silent(lab, scene, &router, "Herald")?);
        lab.kubectl(&["delete", "bgppeer", "four"])?;
        forgotten(lab, scene, &router)?;
        let nodes = lab.topology.nodes.iter();
        let birds = nodes
            .map(|node| Bird::watched(lab, node, scene.address, &TERMS))
            .collect::<Result<Vec<_>>>()?;
        theirs.push(silent(lab, scene, &router, "BIRD")?);
        drop(birds);
        forgotten(lab, scene, &router)?;
    }
    router.stop();
    let ratio = median(&ours) / median(&theirs).max(f64::MIN_POSITIVE);
    let title = |who: &str| format!("silent node, BFD 50 ms x 3, {who}: losses for");
    Ok(vec![
        Figure::milliseconds(&title("Herald"), &ours, None),
        Figure::milliseconds(&title("BIRD"), &theirs, None),
        Figure::new(
            "silent node, BFD: Herald's middle one of BIRD's",
            "%",
            &[ratio * 100.0],
            Some(WANTED),
        ),
    ])
}

/// Once, with everybody watched.
fn silent(lab: &mut Lab, scene: &Scene, router: &Router, who: &str) -> Result<Duration> {
    scene.whole(lab, router)?;
    router.wait_for_bfd(lab)?;
    lab.wait_for_page(scene.address)?;
    let (outage, losses) = scene.silence(lab, router)?;
    tell(&format!(
        "silent, BFD, {who}: {:.1} % of the probes lost for {:.0} ms",
        losses * 100.0,
        outage.as_secs_f64() * 1e3
    ));
    Ok(outage)
}

/// Waits until the router knows no way: who comes next has not to wait for who went.
fn forgotten(lab: &Lab, scene: &Scene, router: &Router) -> Result<()> {
    let prefix = format!("{}/32", scene.address);
    let none = std::collections::BTreeSet::new();
    router.wait_for(lab, &prefix, &none).map(drop)
}
