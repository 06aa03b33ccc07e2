//! herald-controller: gives Services of type LoadBalancer their addresses.
//!
//! A thin shell: watches go in (`sources`), one pure decision is made for everything (`book`), the
//! difference to what stands on the API server is worked out (`assign`) and written (`apply`):
//! `rounds` is that loop. Behind it `reporter` says what was done (`announcements`, `allocated`,
//! `accepted`, `members`); between them is `desk`, where reports wait while addresses are given (`rush`). Beside both, `secret` sees to the speakers' key, and `eviction`, where it is asked for, to the pods of dead nodes. Any number of replicas
//! may run; the one that holds the Lease works.

mod absent;
mod accepted;
mod agreed;
#[cfg(test)]
mod agreement;
mod allocated;
mod announcements;
mod apply;
mod args;
mod assign;
mod book;
mod condition;
mod decision;
mod desk;
mod eviction;
mod facts;
mod fresh;
mod holders;
mod kept;
mod members;
mod metrics;
mod noted;
mod observed;
mod outcomes;
mod refusals;
mod report;
mod reporter;
mod rounds;
mod rush;
mod secret;
mod sources;
mod standing;
mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use args::Args;
use clap::Parser as _;
use herald_config::service::Class;
use herald_runtime::events::Events;
use herald_runtime::lease::election::Timing;
use herald_runtime::supervise::Tasks;
use herald_runtime::watch::Watches;
use herald_runtime::{admin, client, lease, logging};
use prometheus_client::registry::Registry;

/// Gives memory back: a round over many Services takes much, and the next may be hours away
/// (docs/adr/0014).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name of the Lease, and of the controller in Events.
const NAME: &str = "herald-controller";

#[tokio::main]
async fn main() -> ExitCode {
    // A huge page for a few objects is most of what an idle controller occupies, and is given back
    // only as a whole. A kernel without them has nothing to turn off.
    let _ = nix::sys::prctl::set_thp_disable(true);
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        common,
        admin_address,
        identity,
        fast_endpoint_eviction,
        eviction_max_share,
        lease_duration,
        pool_grace,
    } = args;
    logging::init(common.log_format, &common.log_level)?;
    let class = Class {
        name: common.lb_class,
        classless: common.classless,
    };
    let identity = identity.map_or_else(args::own_identity, Ok)?;
    let client = client::connect(common.kubeconfig.as_deref()).await?;

    let mut tasks = Tasks::new();
    let watches = Arc::new(Watches::new());
    let sources = Arc::new(sources::Sources::start(
        &watches, &mut tasks, &client, &class,
    ));
    let view = Arc::new(view::View::new(Arc::clone(&watches), Arc::clone(&sources)));
    let mut registry = Registry::default();
    let metrics = metrics::Metrics::register(&mut registry);
    let leadership = lease::compete(
        &mut tasks,
        client.clone(),
        &common.namespace,
        NAME,
        &identity,
        Timing::lasting(Duration::from_secs(lease_duration.into())),
    );
    let keep = secret::keep(client.clone(), common.namespace.clone(), leadership.clone());
    tasks.spawn_service("secret", keep);
    let events = Events::start(&mut tasks, client.clone(), NAME, &identity);
    if fast_endpoint_eviction {
        let (speakers, nodes) = sources.witnesses();
        let eviction = eviction::Eviction {
            speakers,
            nodes,
            watches: Arc::clone(&watches),
            hands: eviction::Hands::new(client.clone(), leadership.clone(), events.clone()),
            metrics: eviction::Metrics::register(&mut registry),
            namespace: common.namespace.clone(),
            memory: eviction::Memory::new(eviction_max_share),
        };
        tasks.spawn_service("eviction", eviction.run(leadership.clone()));
    }
    admin::serve(&mut tasks, admin_address, registry, Arc::clone(&view)).await?;
    let writer = apply::Writer::new(client, common.namespace, class, leadership.clone(), events);
    let desk = Arc::new(desk::Desk::default());
    let reporter = reporter::Reporter {
        sources: Arc::clone(&sources),
        writer: writer.clone(),
        metrics: metrics.clone(),
        view: Arc::clone(&view),
        desk: Arc::clone(&desk),
        memory: reporter::Memory::default(),
    };
    tasks.spawn_service("reporter", reporter.run());
    let grace = Duration::from_secs(pool_grace.into());
    let rounds = rounds::Rounds::new(sources, watches, writer, metrics, view, desk, grace);
    tasks.spawn_service("rounds", rounds.run(leadership));
    tracing::info!(identity, version = env!("CARGO_PKG_VERSION"), "started");
    tasks.run().await
}
