use serde_json::{Value, json};

use crate::check::{Report, check_live, text};
use crate::cluster::Cluster;
use crate::fixture::{object, pool, service, working};
use crate::manifests::parse;

fn checked(cluster: Cluster, manifests: &str) -> Report {
    let class = herald_config::service::Class::default();
    check_live(&parse("f.yaml", manifests), cluster, &class)
}

fn changes(cluster: Cluster, manifests: &str) -> Vec<String> {
    let report = checked(cluster, manifests);
    assert_eq!(report.problems, [""; 0]);
    report.changes.unwrap()
}

fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: heraldlb.io/v1beta1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// The working cluster with a second pool for those who have to move.
fn with_refuge() -> Cluster {
    let mut cluster = working();
    cluster
        .pools
        .push(object(pool("refuge", &["198.51.100.1"])));
    cluster
}

#[test]
fn a_pool_change_first_says_whom_it_moves_from_where_and_to_where() {
    for (spec, sentence) in [
        (
            "{addresses: [192.0.2.245-192.0.2.250]}",
            "Service shop/web moves from 192.0.2.240 to 192.0.2.245 of pool lan: pool lan no longer contains it",
        ),
        (
            "{addresses: [192.0.2.240-192.0.2.250], excludedAddresses: [192.0.2.240]}",
            "Service shop/web moves from 192.0.2.240 to 192.0.2.241 of pool lan: pool lan lists it in excludedAddresses",
        ),
        (
            "{addresses: [192.0.2.240-192.0.2.250], serviceAllocation: {namespaces: [other]}}",
            "Service shop/web moves from 192.0.2.240 to 198.51.100.1 of pool refuge: pool lan's serviceAllocation does not admit its namespace",
        ),
        (
            "{addresses: [192.0.2.240-192.0.2.250], ports: [443/TCP]}",
            "Service shop/web moves from 192.0.2.240 to 198.51.100.1 of pool refuge: pool lan's ports do not include TCP/80",
        ),
    ] {
        let told = changes(with_refuge(), &manifest("IPAddressPool", "lan", spec));
        assert_eq!(told, [sentence]);
    }
}

#[test]
fn a_service_that_would_be_left_without_is_named_with_the_reason() {
    let spec = "{addresses: [192.0.2.240-192.0.2.250], serviceAllocation: {namespaces: [other]}}";
    let told = changes(working(), &manifest("IPAddressPool", "lan", spec));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("Service shop/web loses 192.0.2.240: pool lan's serviceAllocation does not admit its namespace; Service shop/web gets no IPv4 address"),
        "{told:?}"
    );
}

#[test]
fn a_reservation_and_a_service_of_the_manifests_are_laid_over_the_cluster() {
    let reserved = manifest("IPReservation", "printer", "{addresses: [192.0.2.240]}");
    assert_eq!(
        changes(working(), &reserved),
        [
            "Service shop/web moves from 192.0.2.240 to 192.0.2.241 of pool lan: IPReservation printer keeps it from every Service"
        ]
    );
    let wish = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, annotations: {heraldlb.io/loadBalancerIPs: 192.0.2.245}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    assert_eq!(
        changes(working(), wish),
        [
            "Service shop/web moves from 192.0.2.240 to 192.0.2.245 of pool lan: the Service asks for another address or pool"
        ]
    );
    let new = wish.replace("name: web", "name: new").replace("245", "240");
    let told = changes(working(), &new);
    assert!(told[0].starts_with("Service shop/new cannot have 192.0.2.240: shop/web holds it"));
}

#[test]
fn what_changes_nothing_says_so_and_what_lags_already_is_not_blamed_on_the_manifests() {
    let mut cluster = working();
    let mut late = service();
    late["metadata"]["name"] = json!("late");
    late["metadata"]["annotations"] = json!({});
    late["status"] = Value::Null;
    cluster.services.push(object(late));
    let same = manifest(
        "IPAddressPool",
        "lan",
        "{addresses: [192.0.2.240-192.0.2.250]}",
    );
    let report = checked(cluster, &same);
    assert_eq!(
        text(&report),
        "1 object: 0 problems, 0 notices, no address changes\n"
    );
}

#[test]
fn a_mistake_is_told_with_what_follows_from_it() {
    let bad = manifest("IPAddressPool", "young", "{addresses: [192.0.2.240/24]}");
    let report = checked(working(), &bad);
    assert!(!report.ok);
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].contains("has host bits set"));
    assert_eq!(report.changes, Some(vec![]));
}

#[test]
fn a_manifest_of_a_pool_is_as_old_as_the_pool_in_the_cluster() {
    let mut cluster = working();
    cluster
        .pools
        .push(object(pool("other", &["198.51.100.0/24"])));
    cluster.pools[1].metadata.creation_timestamp =
        Some(serde_json::from_value(json!("2026-02-01T00:00:00Z")).unwrap());
    let wider = "{addresses: [192.0.2.240-192.0.2.250, 198.51.100.0/25]}";
    let report = checked(cluster, &manifest("IPAddressPool", "lan", wider));
    assert_eq!(report.problems.len(), 1);
    assert!(
        report.problems[0].starts_with("IPAddressPool other, spec.addresses[0]: "),
        "the younger gives way: {:?}",
        report.problems
    );
}
