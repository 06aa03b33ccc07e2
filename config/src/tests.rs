mod bgp;
mod l2;
mod policy;
mod pools;
mod properties;
mod reservations;
mod usable;

use herald_crds::{IPAddressPool, L2Advertisement};
use serde_json::{Value, json};

use crate::{Compiled, ObjectRef, Objects, Reason, Verdict, compile};

fn pool(name: &str, spec: Value) -> IPAddressPool {
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"pool": name}}, "spec": spec}),
    )
    .unwrap()
}

/// A pool created `second` seconds after midnight.
fn pool_at(name: &str, second: u32, addresses: &[&str]) -> IPAddressPool {
    let mut pool = pool(name, json!({ "addresses": addresses }));
    pool.metadata.creation_timestamp =
        Some(serde_json::from_value(json!(format!("2026-01-01T00:00:{second:02}Z"))).unwrap());
    pool
}

fn l2(name: &str, spec: Value) -> L2Advertisement {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

/// These pools and an advertisement for all pools.
fn with_pools(pools: Vec<IPAddressPool>) -> Compiled {
    compile(&Objects {
        pools,
        l2_advertisements: vec![l2("all", json!({}))],
        ..Objects::default()
    })
}

fn with_l2(pools: Vec<IPAddressPool>, advertisement: Value) -> Compiled {
    let l2_advertisements = vec![l2("ad", advertisement)];
    compile(&Objects {
        pools,
        l2_advertisements,
        ..Objects::default()
    })
}

/// Field, reason and message of every problem, in order.
fn told(compiled: &Compiled) -> Vec<(&str, Reason, &str)> {
    compiled
        .problems
        .iter()
        .map(|p| (p.field.as_str(), p.reason, p.message.as_str()))
        .collect()
}

fn ranges(compiled: &Compiled, pool: &str) -> Vec<String> {
    compiled.config.pools[pool]
        .ranges
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn verdict(compiled: &Compiled, kind: &'static str, name: &str) -> Verdict {
    compiled.verdict(&ObjectRef::new(kind, name))
}
