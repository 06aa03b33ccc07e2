use std::time::Duration;

use herald_model::pool::{Sharing, SharingScope};

use super::*;

fn with(fields: Value) -> Compiled {
    let mut spec = json!({"addresses": ["192.0.2.0/24"]});
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    with_pools(vec![pool("lan", spec)])
}

#[test]
fn every_policy_is_translated_and_nothing_is_said_of_it() {
    let compiled = with(json!({
        "retain": "24h", "reuseDelay": "1m30s", "sharing": "Automatic", "sharingScope": "Cluster",
        "quotas": [
            {"namespaces": ["a"], "maxAddresses": 2},
            {"namespaceSelectors": [{"matchLabels": {"team": "web"}}], "maxAddresses": 5},
        ],
        "ports": ["1000-3000/TCP", "53"],
    }));
    assert_eq!(compiled.problems, []);
    let pool = &compiled.config.pools["lan"];
    assert_eq!(
        (pool.retain, pool.reuse_delay),
        (Duration::from_secs(86_400), Duration::from_secs(90))
    );
    assert_eq!(
        (pool.sharing, pool.sharing_scope),
        (Sharing::Automatic, Some(SharingScope::Cluster))
    );
    let namespaces = [
        ("a".to_owned(), [].into()),
        (
            "b".to_owned(),
            [("team".to_owned(), "web".to_owned())].into(),
        ),
    ]
    .into();
    let limits = |namespace: &str| {
        let quotas = pool.quotas.iter();
        let mine = quotas.filter(|quota| quota.limits(namespace, &namespaces));
        mine.map(|quota| quota.max_addresses).collect::<Vec<_>>()
    };
    assert_eq!(["a", "b", "c"].map(limits), [vec![2], vec![5], vec![]]);
    assert_eq!(pool.ports.count(), 2001 + 3);
}

#[test]
fn a_quota_without_namespaces_is_for_every_namespace() {
    let compiled = with(json!({"quotas": [{"maxAddresses": 1}]}));
    let quota = &compiled.config.pools["lan"].quotas[0];
    assert!(quota.limits("any", &[].into()));
}

#[test]
fn a_policy_that_cannot_be_read_quarantines_the_pool() {
    for (fields, field, reason, words) in [
        (
            json!({"retain": "a day"}),
            "spec.retain",
            Reason::NotADuration,
            "write for example 90s, 5m or 24h",
        ),
        (
            json!({"reuseDelay": "5"}),
            "spec.reuseDelay",
            Reason::NotADuration,
            "is not a duration",
        ),
        (
            json!({"quotas": [{"maxAddresses": 0}]}),
            "spec.quotas[0].maxAddresses",
            Reason::OutOfBounds,
            "write 1 or more",
        ),
        (
            json!({"ports": ["80", "http"]}),
            "spec.ports[1]",
            Reason::NotPorts,
            "write 443, 443/TCP, 1000-3000 or 1000-3000/UDP",
        ),
    ] {
        let compiled = with(fields);
        let told = told(&compiled);
        assert_eq!((told.len(), told[0].0, told[0].1), (1, field, reason));
        assert!(told[0].2.contains(words), "{}", told[0].2);
        assert!(compiled.config.quarantined_pools.contains("lan"));
    }
}

#[test]
fn a_value_of_a_later_version_is_a_notice_and_the_careful_one_is_in_force() {
    let compiled = with(json!({"sharing": "Sometimes", "sharingScope": "Galaxy"}));
    let pool = &compiled.config.pools["lan"];
    assert_eq!(
        (pool.sharing, pool.sharing_scope),
        (Sharing::ByKey, Some(SharingScope::Namespace))
    );
    let told: Vec<_> = told(&compiled).iter().map(|t| (t.0, t.1)).collect();
    assert_eq!(
        told,
        [
            ("spec.sharing", Reason::UnknownValue),
            ("spec.sharingScope", Reason::UnknownValue)
        ]
    );
}

#[test]
fn a_quota_for_namespaces_that_do_not_exist_is_a_notice() {
    let spec = json!({
        "addresses": ["192.0.2.0/24"],
        "quotas": [{"namespaces": ["gone"], "namespaceSelectors": [{"matchLabels": {"a": "b"}}], "maxAddresses": 1}],
    });
    let compiled = compile(&Objects {
        pools: vec![pool("lan", spec)],
        l2_advertisements: vec![l2("all", json!({}))],
        namespaces: Some([("shop".to_owned(), [].into())].into()),
        ..Objects::default()
    });
    let told: Vec<_> = told(&compiled).iter().map(|t| (t.0, t.1)).collect();
    assert_eq!(
        told,
        [
            (
                "spec.quotas[0].namespaceSelectors[0]",
                Reason::NothingSelected
            ),
            ("spec.quotas[0].namespaces[0]", Reason::NothingSelected)
        ]
    );
    assert!(verdict(&compiled, "IPAddressPool", "lan").accepted);
}
