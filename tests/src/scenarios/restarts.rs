//! Restarts: no address changes, none is withdrawn, the client notices nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::{Stage, expect_same};
use crate::figures::Figure;
use crate::lab::Lab;
use crate::neigh;
use crate::probe::Probe;
use crate::services::Wanted;

/// A scheduling hiccup of a busy machine, no more.
const NOISE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
enum Restarted {
    Controllers,
    Speakers,
    ApiServer,
}

use Restarted::{ApiServer, Controllers, Speakers};

const ORDERS: [[Restarted; 3]; 6] = [
    [Controllers, Speakers, ApiServer],
    [Controllers, ApiServer, Speakers],
    [Speakers, Controllers, ApiServer],
    [Speakers, ApiServer, Controllers],
    [ApiServer, Controllers, Speakers],
    [ApiServer, Speakers, Controllers],
];

/// Controllers, speakers and API server, killed and started in each of the six orders.
pub(super) fn any_order(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let addresses = lab.serve(&Wanted::dual("steady"))?;
    let client = lab.topology.client.clone();
    let probes: Vec<Probe> = addresses
        .iter()
        .map(|address| Probe::start(&client, *address))
        .collect();
    let seen = Witness::start(lab, "steady");
    for order in ORDERS {
        for restarted in order {
            match restarted {
                Controllers => lab.herald()?.restart_controllers()?,
                Speakers => lab.herald()?.restart_speakers()?,
                ApiServer => lab.restart_apiserver()?,
            }
        }
        lab.herald()?.wait_ready()?;
        for address in &addresses {
            neigh::forget(&client, *address)?;
            lab.wait_for_page(*address)?;
        }
    }
    let statuses = seen.finish()?;
    lab.forget_backoff()?;
    if statuses.len() != 1 {
        bail!("the Service's status changed: {statuses:?}");
    }
    let mut found = lab.addresses("steady")?;
    found.sort_by_key(std::net::IpAddr::is_ipv6);
    expect_same("the Service's addresses", &found, &addresses)?;
    let mut gaps = Vec::new();
    for (probe, address) in probes.into_iter().zip(&addresses) {
        let longest = probe.finish()?.longest_outage();
        gaps.push(longest);
        if longest > RESTART {
            bail!("{address} was not answered for {} ms", longest.as_millis());
        }
    }
    stage.figures.push(Figure::milliseconds(
        "gap over 18 restarts, client's entry forgotten",
        &gaps,
        Some(RESTART),
    ));
    Ok(())
}

/// A client that forgets its entry while every speaker is being started asks again after a second
/// (RFC 1122 section 2.3.2.1), and a speaker answers once it has seen the API server.
const RESTART: Duration = Duration::from_millis(2_500);

/// While the API server is away, a client that forgot is still answered.
pub(super) fn absent_api_server(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let addresses = lab.serve(&Wanted::dual("orphan"))?;
    let client = lab.topology.client.clone();
    let probes: Vec<Probe> = addresses
        .iter()
        .map(|address| Probe::start(&client, *address))
        .collect();
    lab.stop_apiserver();
    let mut asked = Ok(());
    for _ in 0..4 {
        thread::sleep(Duration::from_secs(1));
        for address in &addresses {
            let answer = neigh::forget(&client, *address).and_then(|()| lab.fetch(*address));
            asked = asked.and(answer.map(drop));
        }
    }
    lab.start_apiserver()?;
    lab.forget_backoff()?;
    asked?;
    lab.herald()?.wait_ready()?;
    thread::sleep(Duration::from_secs(2));
    let mut found = lab.addresses("orphan")?;
    found.sort_by_key(std::net::IpAddr::is_ipv6);
    expect_same("the Service's addresses", &found, &addresses)?;
    for (probe, address) in probes.into_iter().zip(&addresses) {
        let longest = probe.finish()?.longest_outage();
        if longest > NOISE {
            bail!("{address} was not answered for {} ms", longest.as_millis());
        }
    }
    Ok(())
}

/// Looks at a Service's addresses all the time and keeps every set it sees.
struct Witness {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<BTreeSet<String>>,
}

impl Witness {
    fn start(lab: &Lab, service: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let api = lab.api.clone();
        let path = format!("/api/v1/namespaces/default/services/{service}");
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut seen = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(Some(service)) = api.get(&path) {
                        seen.insert(service["status"]["loadBalancer"].to_string());
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                seen
            }
        });
        Self { stop, thread }
    }

    fn finish(self) -> Result<BTreeSet<String>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the witness panicked"))
    }
}
