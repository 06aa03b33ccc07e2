//! Herald's main job, told step by step: an address, a page, a dead owner, a takeover.

pub mod routed;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock::Stopwatch;
use crate::lab::Lab;
use crate::probe::Probe;
use crate::services::{PATIENCE, Wanted};

/// Shows it on a lab with Herald installed; each step goes to `say`.
pub fn show(lab: &mut Lab, say: &dyn Fn(&str)) -> Result<()> {
    let mut addresses = Vec::new();
    for wanted in [Wanted::dual("shop"), Wanted::dual("shop-local").local()] {
        let (name, policy) = (&wanted.name, wanted.traffic);
        let watch = Stopwatch::start();
        lab.create_service(&wanted)?;
        addresses = lab.wait_for_addresses(&wanted)?;
        let shown: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        say(&format!(
            "Service {name} (externalTrafficPolicy {policy}) has {} after {:.1} s",
            shown.join(" and "),
            watch.elapsed().as_secs_f64()
        ));
        for address in &addresses {
            lab.wait_for_page(*address)?;
            let page = lab.fetch(*address)?;
            let host = if address.is_ipv6() {
                format!("[{address}]")
            } else {
                address.to_string()
            };
            say(&format!(
                "the client fetches http://{host}/ from pod {} on {}, which sees it as {}",
                page.pod, page.node, page.client
            ));
        }
    }
    let [address, ..] = addresses[..] else {
        bail!("the Service has no address")
    };
    lab.wait("no owner is reported", PATIENCE, |lab| {
        Ok(lab.reported_owner("shop-local", address)? == lab.believed_owner(address)?)
    })?;
    let owner = lab.reported_owner("shop-local", address)?;
    let probe = Probe::start(&lab.topology.client, address);
    std::thread::sleep(Duration::from_millis(500));
    say(&format!(
        "{} answers for {address}; it loses its power now",
        owner.name()
    ));
    lab.kill(owner)?;
    lab.wait("nobody takes the address over", PATIENCE, |_| {
        Ok(probe.answered_again())
    })?;
    std::thread::sleep(Duration::from_secs(1));
    let heir = lab.believed_owner(address)?;
    let outage = probe.finish()?.longest_outage();
    say(&format!(
        "{} answers for {address}: the client was without it for {} ms",
        heir.name(),
        outage.as_millis()
    ));
    lab.revive(owner)?;
    say(&format!("{} is back, and takes nothing back", owner.name()));
    Ok(())
}
