//! herald-speaker: announces Service addresses from one node.
//!
//! A thin shell. Decisions are made in `herald_model`, frames in `herald_l2`; what is here brings
//! facts in and answers out. [`node`] is the summary.

use std::process::ExitCode;
use std::sync::{Arc, RwLock};

use clap::Parser as _;
use herald_config::service::Class;
use herald_runtime::events::Events;
use herald_runtime::supervise::Tasks;
use herald_runtime::watch::{Keepsake, Watches};
use herald_runtime::{admin, client, logging};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

mod args;
mod chronicle;
mod cluster;
mod decision;
mod fast;
mod flaps;
mod inspect;
mod intent;
mod io;
mod links;
mod metrics;
mod moves;
mod netlink;
mod node;
mod ports;
mod publish;
mod rebalance;
mod report;
mod routers;
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
    args.check()?;
    let client = client::connect(args.common.kubeconfig.as_deref()).await?;
    let mut tasks = Tasks::new();
    let mut registry = Registry::default();
    let metrics = metrics::Metrics::new(&mut registry);
    let router_metrics = routers::Metrics::register(&mut registry);

    let class = Class {
        name: args.common.lb_class.clone(),
        classless: args.common.classless,
    };
    let keepsake = args.state_directory.as_ref();
    let keepsake = keepsake.map(|directory| Keepsake::new(directory.join("objects")));
    let watches = Arc::new(Watches::with(keepsake.unwrap_or_default()));
    let copies = Arc::new(world::Copies::watch(&watches, &mut tasks, &client));
    let links = netlink::follow(&mut tasks).await?;
    let (fast, ends) = fast::Fast::start(&mut tasks, metrics.clone(), settings(&args))?;
    let sources = cluster::Sources::watch(
        &watches,
        &mut tasks,
        &client,
        &args.common.namespace,
        copies.speakers.clone(),
        copies.nodes.clone(),
    );
    let membership = cluster::Membership {
        me: args.node_name.clone(),
        namespace: args.common.namespace.clone(),
        client: client.clone(),
        watches: Arc::clone(&watches),
        sources,
        disk: cluster::Disk::new(args.state_directory.clone()),
        fast: fast.clone(),
        notices: ends.notices,
        telling: ends.telling.clone(),
        breaks_ties: args.lease_witness,
    };
    tasks.spawn("keepsake", Arc::clone(&watches).keep(tasks.stop()));
    tasks.spawn("membership", membership.run(tasks.stop()));
    let running = Arc::new(RwLock::new(inspect::Running::default()));
    let state = inspect::SpeakerState {
        watches: watches.reports(),
        running: Arc::clone(&running),
    };
    admin::serve(&mut tasks, args.admin_address, registry, Arc::new(state)).await?;

    let sessions = Arc::new(watch::Sender::new(routers::States::new()));
    let routes = Arc::default();
    let routers = routers::Routers {
        name: args.node_name.clone(),
        class: class.clone(),
        watches: Arc::clone(&watches),
        copies: Arc::clone(&copies),
        links: links.clone(),
        secrets: routers::Secrets {
            client: client.clone(),
            namespace: args.common.namespace.clone(),
        },
        states: Arc::clone(&sessions),
        routes: Arc::clone(&routes),
        metrics: router_metrics,
        port: args.bgp_listen_port,
        has_tcp_ao: io::tcp_ao::is_supported(),
    };
    tasks.spawn("routers", routers.run(tasks.stop()));

    let (reports, to_publish) = watch::channel(publish::Report::default());
    let publisher = publish::Publisher::new(client.clone(), &args.node_name);
    tasks.spawn("publish", publisher.run(to_publish));
    let events = Events::start(&mut tasks, client, "herald-speaker", &args.node_name);

    let node = node::Node {
        chronicle: chronicle::Chronicle::new(&args.node_name, events),
        name: args.node_name,
        class,
        excluded: args.exclude_interfaces,
        rebalances: args.rebalance,
        beacons: node::Beacons {
            address: args.beacon_address,
            port: args.beacon_port,
        },
        watches,
        copies,
        links,
        fast,
        news: ends.news,
        telling: ends.telling,
        sessions: sessions.subscribe(),
        routes,
        reports,
        metrics,
        running,
    };
    tasks.spawn("node", node.run(tasks.stop()));
    tasks.run().await
}

fn settings(args: &Args) -> fast::Settings {
    fast::Settings {
        beacon: fast::Template {
            me: cluster::id(&args.node_name),
            timers: args.failover_profile.timers(),
            policy: args.policy(),
        },
        port: args.beacon_port,
        limits: args.arp_profile.limits(),
    }
}
