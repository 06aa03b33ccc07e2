use herald_model::service::ServiceKey;
use serde_json::json;

use super::*;
use crate::fixture::{facts, object, pool, service, working};

/// Pool lan with a port pool beside it, two sharers, a reservation and something retained.
fn facts_of_two_pools() -> Facts {
    let mut cluster = working();
    let mut lan = pool("lan", &["192.0.2.240-192.0.2.242", "2001:db8::/64"]);
    lan["spec"]["retain"] = json!("1h");
    let mut shared = pool("shared", &["198.51.100.1"]);
    shared["spec"]["sharing"] = json!("Automatic");
    shared["spec"]["ports"] = json!(["1000-1099/TCP"]);
    cluster.pools = vec![object(lan), object(shared)];
    for (name, port) in [("a", 1000), ("b", 1001)] {
        let mut sharer = service();
        sharer["metadata"]["name"] = json!(name);
        sharer["metadata"]["annotations"] = json!({});
        sharer["spec"]["ports"] = json!([{"port": port}]);
        sharer["status"]["loadBalancer"]["ingress"] = json!([{"ip": "198.51.100.1"}]);
        cluster.services.push(object(sharer));
    }
    cluster.reservations = vec![object(json!({
        "metadata": {"name": "api"},
        "spec": {
            "addresses": ["192.0.2.241"], "service": {"namespace": "shop", "name": "api"},
        },
    }))];
    let freed = |at| Freed {
        holder: ServiceKey::new("shop", "old"),
        at,
        deleted: true,
    };
    cluster.given_up = [("192.0.2.242", 100), ("2001:db8::7", 90)]
        .map(|(address, at)| (address.parse().unwrap(), freed(at)))
        .into();
    cluster.now = 3695;
    facts(cluster)
}

#[test]
fn a_pool_says_who_holds_what_and_what_is_left() {
    assert_eq!(
        text(&pools(&facts_of_two_pools(), &[]).unwrap()),
        "\
POOL    FAMILY  CAPACITY  USED  RETAINED  RESERVED  FREE
lan     IPv4    3         1     1         1         full
lan     IPv6    many      0     0         0         many
shared  IPv4    1         1     0         0         full

POOL    ADDRESS       HELD BY         PORTS
lan     192.0.2.240   shop/web        TCP/80
shared  198.51.100.1  shop/a, shop/b  TCP/1000,TCP/1001 (2 of 100)

POOL  RESERVED     FOR       IPRESERVATION
lan   192.0.2.241  shop/api  api

POOL  RETAINED     FOR       SINCE
lan   192.0.2.242  shop/old  deleted 1970-01-01T00:01:40Z
"
    );
}

#[test]
fn only_the_named_pools_are_shown_and_unknown_names_are_refused() {
    let facts = facts_of_two_pools();
    let shown = pools(&facts, &["shared".to_owned()]).unwrap();
    let value = serde_json::to_value(&shown).unwrap();
    assert_eq!(value["pools"].as_array().unwrap().len(), 1);
    assert_eq!(value["pools"][0]["addresses"][0]["services"][1], "shop/b");
    assert_eq!(value["pools"][0]["portsPerAddress"], 100);
    let error = pools(&facts, &["lna".to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no pool lna: the pools are lan, shared"
    );
}

#[test]
fn without_pools_there_is_nothing_to_show() {
    let facts = facts(crate::cluster::Cluster::default());
    assert_eq!(text(&pools(&facts, &[]).unwrap()), "POOL  none\n");
}

#[test]
fn addresses_of_nodes_count_only_while_a_service_holds_them() {
    let mut cluster = working();
    let mut node = crate::fixture::node("n3");
    node["status"]["addresses"] = json!([
        {"type": "InternalIP", "address": "192.0.2.240"},
        {"type": "ExternalIP", "address": "192.0.2.250"},
    ]);
    cluster.nodes.push(object(node));
    let shown = |cluster| {
        let facts = facts(cluster);
        let planned = facts.plan.counts["lan"];
        let (four, _) = counts(&facts, &facts.compiled.config.pools["lan"]);
        assert_eq!(
            (four.capacity, four.assigned, four.available),
            (
                planned.capacity_ipv4,
                planned.assigned_ipv4,
                planned.available_ipv4
            )
        );
        (four.capacity, four.assigned, four.available)
    };
    assert_eq!(shown(cluster.clone()), (10, 1, 9), "shop/web holds .240");
    cluster.services.clear();
    assert_eq!(shown(cluster), (9, 0, 9));
}
