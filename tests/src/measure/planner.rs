//! How fast addresses are planned, without a cluster: large pools, many holders, many changes.
//!
//! Not here: writing what was planned. It needs no lab.

use std::sync::Arc;
use std::time::Duration;

use herald_model::address::{AddressRange, RangeSet};
use herald_model::alloc::{Planner, Snapshot};
use herald_model::labels::Labels;
use herald_model::pool::{Pool, Sharing};
use herald_model::service::{PortKey, Protocol, Service, ServiceKey};

use crate::clock;
use crate::figures::Figure;

/// The pool of the wishes is a /16.
const HOLDERS: u32 = 65_000;
const DIRTY: u32 = 10_000;
const MANY: u32 = 100_000;
const RUNS: usize = 15;

/// Every figure of the pure planner; run it in a release build.
pub fn run() -> Vec<Figure> {
    vec![
        next_address(),
        nothing_changed(),
        holders_changed(),
        newcomers("10 000 new on a /16 with 55 000 holders", Sharing::ByKey),
        newcomers("the same, sharing Automatic", Sharing::Automatic),
        waiting(),
        from_nothing("100 000 Services without an address", false),
        from_nothing("100 000 Services that hold one", true),
    ]
}

fn snapshot(range: &str, sharing: Sharing) -> Snapshot {
    let ranges: RangeSet = range.parse::<AddressRange>().into_iter().collect();
    let pool = Pool {
        sharing,
        ..Pool::new("lan", ranges)
    };
    let namespaces = (0..50).map(|n| (format!("team-{n}"), Labels::new()));
    Snapshot {
        pools: [(pool.name.clone(), pool)].into(),
        namespaces: namespaces.collect(),
        ..Snapshot::default()
    }
}

fn service(number: u32) -> Service {
    let key = ServiceKey::new(format!("team-{}", number % 50), format!("service-{number}"));
    let port = |port| PortKey {
        protocol: Protocol::Tcp,
        port,
    };
    Service {
        created: i64::from(number),
        labels: [("app".to_owned(), key.name().to_owned())].into(),
        ports: [port(80), port(443)].into(),
        ..Service::new(key)
    }
}

/// Service `number`, holding address `number` of 10.0.0.0/8.
fn holder(number: u32) -> Service {
    let address = std::net::Ipv4Addr::from(0x0a00_0000 + number);
    Service {
        held: vec![address.into()],
        held_pools: vec!["lan".to_owned()],
        ..service(number)
    }
}

fn insert(snapshot: &mut Snapshot, service: Service) {
    let key = service.key.clone();
    snapshot.services.insert(key, Arc::new(service));
}

fn holding(range: &str, sharing: Sharing, holders: u32) -> Snapshot {
    let mut snapshot = snapshot(range, sharing);
    for number in 0..holders {
        insert(&mut snapshot, holder(number));
    }
    snapshot
}

fn timed(planner: &mut Planner, snapshot: &Snapshot) -> Duration {
    let start = clock::now();
    planner.plan(snapshot);
    clock::now().duration_since(start)
}

/// What one more newcomer costs: the time for 500, less that for none, by 500.
fn next_address() -> Figure {
    let without = holding("10.0.0.0/16", Sharing::ByKey, HOLDERS);
    let mut with = without.clone();
    let newcomers = 500;
    for number in HOLDERS..HOLDERS + newcomers {
        insert(&mut with, service(number));
    }
    let mut planner = Planner::default();
    planner.plan(&without);
    let values = (0..RUNS).map(|_| {
        let idle = timed(&mut planner, &without);
        let busy = timed(&mut planner, &with);
        planner.plan(&without);
        busy.saturating_sub(idle).as_secs_f64() * 1e6 / f64::from(newcomers)
    });
    let values: Vec<f64> = values.collect();
    Figure::new(
        "the next address of a /16 with 65 000 holders",
        "us",
        &values,
        Some(20.0),
    )
}

fn nothing_changed() -> Figure {
    let snapshot = holding("10.0.0.0/16", Sharing::ByKey, HOLDERS);
    let mut planner = Planner::default();
    planner.plan(&snapshot);
    let measured: Vec<_> = (0..RUNS).map(|_| timed(&mut planner, &snapshot)).collect();
    Figure::milliseconds("65 000 holders, nothing changed", &measured, None)
}

fn holders_changed() -> Figure {
    let mut snapshot = holding("10.0.0.0/16", Sharing::ByKey, HOLDERS);
    let mut planner = Planner::default();
    planner.plan(&snapshot);
    let mut measured = Vec::new();
    for run in 0..RUNS {
        for number in 0..DIRTY {
            let mut service = holder(number * 6);
            let value = format!("{run}");
            service.labels.insert("run".to_owned(), value);
            insert(&mut snapshot, service);
        }
        measured.push(timed(&mut planner, &snapshot));
    }
    Figure::milliseconds(
        "10 000 changed of 65 000 holders on a /16",
        &measured,
        Some(Duration::from_millis(50)),
    )
}

fn newcomers(name: &str, sharing: Sharing) -> Figure {
    let without = holding("10.0.0.0/16", sharing, HOLDERS - DIRTY);
    let mut with = without.clone();
    for number in HOLDERS - DIRTY..HOLDERS {
        insert(&mut with, service(number));
    }
    let mut planner = Planner::default();
    planner.plan(&without);
    let mut measured = Vec::new();
    for _ in 0..RUNS {
        measured.push(timed(&mut planner, &with));
        planner.plan(&without);
    }
    Figure::milliseconds(name, &measured, Some(Duration::from_millis(50)))
}

/// Those who wait are asked again in each plan, whatever the plan is for.
fn waiting() -> Figure {
    let mut snapshot = holding("10.0.0.0/20", Sharing::ByKey, 4096);
    for number in 4096..4096 + DIRTY {
        insert(&mut snapshot, service(number));
    }
    let mut planner = Planner::default();
    planner.plan(&snapshot);
    let measured: Vec<_> = (0..RUNS).map(|_| timed(&mut planner, &snapshot)).collect();
    Figure::milliseconds("10 000 waiting for a full /20", &measured, None)
}

fn from_nothing(name: &str, hold: bool) -> Figure {
    let mut snapshot = snapshot("10.0.0.0/8", Sharing::ByKey);
    for number in 0..MANY {
        insert(
            &mut snapshot,
            if hold {
                holder(number)
            } else {
                service(number)
            },
        );
    }
    let runs = 0..RUNS.div_ceil(3);
    let measured = runs.map(|_| timed(&mut Planner::default(), &snapshot));
    Figure::milliseconds(name, &measured.collect::<Vec<_>>(), None)
}
