//! herald-speaker: announces Service addresses from one node.
//!
//! A thin shell. Decisions are made in `herald_model`, frames in `herald_l2`; what is here brings
//! facts in and answers out. [`node`] is the summary.

use std::process::ExitCode;
use std::sync::{Arc, RwLock};

use clap::Parser as _;
use herald_runtime::events::Events;
use herald_runtime::supervise::Tasks;
use herald_runtime::watch::Watches;
use herald_runtime::{admin, client, logging};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

mod args;
mod chronicle;
mod fast;
mod inspect;
mod intent;
mod io;
mod links;
mod liveness;
mod metrics;
mod netlink;
mod node;
mod ports;
mod publish;
mod report;
mod strict_arp;
mod world;

use args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herald-speaker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    logging::init(args.common.log_format, &args.common.log_level)?;
    let client = client::connect(args.common.kubeconfig.as_deref()).await?;
    let mut tasks = Tasks::new();
    let mut registry = Registry::default();
    let metrics = metrics::Metrics::new(&mut registry);

    let watches = Watches::new();
    let copies = world::Copies::watch(&watches, &mut tasks, &client);
    let links = netlink::follow(&mut tasks).await?;
    let (fast, l2_events) = fast::Fast::start(&mut tasks, metrics.clone())?;
    let running = Arc::new(RwLock::new(inspect::Running::default()));
    let state = inspect::SpeakerState {
        watches: watches.reports(),
        running: Arc::clone(&running),
    };
    admin::serve(&mut tasks, args.admin_address, registry, Arc::new(state)).await?;

    let (reports, to_publish) = watch::channel(publish::Report::default());
    let publisher = publish::Publisher::new(client.clone(), &args.node_name);
    tasks.spawn("publish", publisher.run(to_publish));
    let events = Events::start(&mut tasks, client, "herald-speaker", &args.node_name);

    let node = node::Node {
        chronicle: chronicle::Chronicle::new(&args.node_name, events),
        name: args.node_name,
        class: args.common.lb_class,
        excluded: args.exclude_interfaces,
        watches,
        copies,
        links,
        fast,
        l2_events,
        reports,
        metrics,
        running,
    };
    tasks.spawn("node", node.run(tasks.stop()));
    tasks.run().await
}
