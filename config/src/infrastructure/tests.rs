use serde_json::{Value, json};

use super::*;

fn node(name: &str, addresses: &[(&str, &str)], pods: &[&str]) -> Arc<Node> {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|(kind, address)| json!({"type": kind, "address": address}))
        .collect();
    let object = json!({
        "metadata": {"name": name},
        "spec": {"podCIDR": pods.first(), "podCIDRs": pods},
        "status": {"addresses": addresses},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn speaker(name: &str, interfaces: &Value) -> Arc<Speaker> {
    let object = json!({"metadata": {"name": name}, "status": {"interfaces": interfaces}});
    Arc::new(serde_json::from_value(object).unwrap())
}

fn services(name: &str, ranges: &[&str]) -> BTreeSet<ServiceRange> {
    let object = json!({"metadata": {"name": name}, "spec": {"cidrs": ranges}});
    let ranges = ServiceRange::of(&serde_json::from_value(object).unwrap());
    ranges.into_iter().collect()
}

/// Whose they are, but for what no host can have.
fn owned(infrastructure: &Infrastructure) -> Vec<String> {
    let all = infrastructure.unusable.iter();
    let theirs = all.filter(|(_, owner)| !matches!(owner, Owner::NeverHost(_)));
    theirs
        .map(|(range, owner)| format!("{range} {owner}"))
        .collect()
}

#[test]
fn what_a_cluster_has_is_told_by_nodes_speakers_and_service_ranges() {
    let n1 = node(
        "n1",
        &[
            ("InternalIP", "10.73.0.11"),
            ("ExternalIP", "203.0.113.9"),
            ("Hostname", "n1"),
            ("InternalDNS", "n1.example.com"),
        ],
        &["10.244.0.0/24", "fd44::/64"],
    );
    let speaker = speaker(
        "n1",
        &json!([
            {"name": "eth0", "addresses": [
                "10.73.0.11/24", "10.73.0.21/24", "fe80::11/64", "fd73::11/64", "nonsense",
            ]},
            {"name": "eth1", "addresses": ["192.0.2.8/31", "192.0.2.20/32", "2001:db8::8/127"]},
            {"name": "kube-ipvs0", "addresses": ["10.73.0.200/32"], "reasonNotUsed": "NOARP"},
        ]),
    );
    let mut cache = InfrastructureCache::default();
    let ranges = services("kubernetes", &["10.96.0.0/16", "fd96::/108"]);
    let infrastructure = cache.look([(&n1, Some(&speaker))], ranges);
    assert_eq!(
        owned(&infrastructure),
        [
            "10.73.0.0 the network address of 10.73.0.0/24",
            "10.73.0.11 the InternalIP of node n1",
            "10.73.0.21 an address of interface eth0 of node n1",
            "10.73.0.255 the broadcast address of 10.73.0.0/24",
            "10.96.0.0/16 an address of ServiceCIDR kubernetes",
            "10.244.0.0/24 an address of spec.podCIDRs of node n1",
            "192.0.2.8 an address of interface eth1 of node n1",
            "192.0.2.20 an address of interface eth1 of node n1",
            "203.0.113.9 the ExternalIP of node n1",
            "2001:db8::8 an address of interface eth1 of node n1",
            "fd44::/64 an address of spec.podCIDRs of node n1",
            "fd73:: the subnet-router anycast address of fd73::/64",
            "fd73::11 an address of interface eth0 of node n1",
            "fd96::/108 an address of ServiceCIDR kubernetes",
        ]
    );
    let subnets: Vec<String> = infrastructure
        .subnets
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(subnets, ["10.73.0.0/24", "fd73::/64"]);
    let silent = |text: &str| {
        let address = text.parse().unwrap();
        infrastructure
            .unusable
            .is_answered_elsewhere(address)
            .is_some()
    };
    assert!(!silent("10.73.0.200"), "a Service's, on kube-ipvs0");
    assert!(silent("10.73.0.21") && silent("127.0.0.5") && !silent("10.96.0.1"));
}

#[test]
fn subnets_that_overlap_are_one_and_near_means_within_one() {
    let of = |addresses: &[&str]| speaker("n1", &json!([{"name": "eth0", "addresses": addresses}]));
    let one = of(&["10.0.1.1/24", "10.0.0.1/16", "10.2.0.1/24", "10.2.0.2/24"]);
    let n1 = node("n1", &[], &[]);
    let mut cache = InfrastructureCache::default();
    let infrastructure = cache.look([(&n1, Some(&one))], BTreeSet::new());
    let subnets: Vec<String> = infrastructure
        .subnets
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(subnets, ["10.0.0.0/16", "10.2.0.0/24"]);
    for (range, near) in [
        ("10.0.255.255", true),
        ("10.1.0.0/16", false),
        ("9.0.0.0-10.0.0.0", true),
        ("10.1.0.0-10.3.0.0", true),
        ("10.2.1.0/24", false),
        ("2001:db8::/64", false),
    ] {
        assert_eq!(
            infrastructure.is_near(range.parse().unwrap()),
            near,
            "{range}"
        );
    }
}

#[test]
fn a_heartbeat_changes_nothing_and_every_other_change_is_seen() {
    let mut cache = InfrastructureCache::default();
    let ranges = || services("kubernetes", &["10.96.0.0/16"]);
    let n1 = node("n1", &[("InternalIP", "10.73.0.11")], &[]);
    let eth0 =
        |addresses: &[&str]| speaker("n1", &json!([{"name": "eth0", "addresses": addresses}]));
    let first = eth0(&["10.73.0.11/24"]);
    let before = cache.look([(&n1, Some(&first))], ranges());
    let heartbeat = (Arc::new(Node::clone(&n1)), Arc::new(Speaker::clone(&first)));
    let same = cache.look([(&heartbeat.0, Some(&heartbeat.1))], ranges());
    assert!(Arc::ptr_eq(&before, &same));

    let n2 = node("n2", &[("InternalIP", "10.73.0.12")], &[]);
    let second = eth0(&["10.73.0.11/24", "10.73.0.13/24"]);
    let longer = eth0(&["10.73.0.11/24", "10.73.0.13/16"]);
    let looks = [
        (
            vec![(&n1, Some(&first)), (&n2, None)],
            ranges(),
            "10.73.0.12",
        ),
        (
            vec![(&n1, Some(&second)), (&n2, None)],
            ranges(),
            "10.73.0.13",
        ),
        (
            vec![(&n1, Some(&longer)), (&n2, None)],
            ranges(),
            "10.73.255.255",
        ),
        (
            vec![(&n1, Some(&longer)), (&n2, None)],
            services("more", &["10.97.0.0/16"]),
            "10.97.3.4",
        ),
    ];
    for (nodes, ranges, taken) in looks {
        let taken = taken.parse().unwrap();
        assert!(
            cache
                .outcome
                .as_ref()
                .unwrap()
                .unusable
                .owner(taken)
                .is_none()
        );
        let after = cache.look(nodes, ranges);
        assert!(after.unusable.owner(taken).is_some(), "{taken}");
    }
    let gone = cache.look([(&n1, Some(&first))], ranges());
    assert_eq!(owned(&gone), owned(&before));
}
