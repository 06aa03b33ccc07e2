use super::*;
use crate::NodeFacts;

fn two_pools() -> Vec<IPAddressPool> {
    vec![
        pool("lan", json!({"addresses": ["192.0.2.0/24"]})),
        pool("dmz", json!({"addresses": ["203.0.113.0/24"]})),
    ]
}

fn pools_of(compiled: &Compiled) -> Option<Vec<&str>> {
    let pools = compiled.config.l2_advertisements[0].pools.as_ref()?;
    Some(pools.iter().map(String::as_str).collect())
}

fn node(labels: &[(&str, &str)], interfaces: Option<&[&str]>) -> NodeFacts {
    NodeFacts {
        labels: labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        interfaces: interfaces.map(|names| names.iter().map(|n| (*n).to_owned()).collect()),
        ..NodeFacts::default()
    }
}

#[test]
fn without_names_and_selectors_an_advertisement_is_for_every_pool() {
    assert_eq!(pools_of(&with_l2(two_pools(), json!({}))), None);
}

#[test]
fn names_and_selectors_of_pools_join() {
    let selector = json!([{"matchLabels": {"pool": "dmz"}}]);
    let spec = json!({"ipAddressPools": ["lan"], "ipAddressPoolSelectors": selector});
    let compiled = with_l2(two_pools(), spec);
    assert_eq!(pools_of(&compiled), Some(vec!["dmz", "lan"]));
    assert_eq!(compiled.problems, []);
}

#[test]
fn an_unknown_pool_name_is_reported_and_does_not_widen_the_advertisement() {
    let compiled = with_l2(two_pools(), json!({"ipAddressPools": ["lna"]}));
    let about_ad: Vec<_> = compiled
        .problems
        .iter()
        .filter(|p| p.object.kind == "L2Advertisement")
        .collect();
    assert_eq!(about_ad.len(), 1);
    assert_eq!(about_ad[0].field, "spec.ipAddressPools[0]");
    assert_eq!(about_ad[0].reason, Reason::UnknownPool);
    assert!(!about_ad[0].quarantined);
    assert!(!verdict(&compiled, "L2Advertisement", "ad").accepted);
    assert_eq!(pools_of(&compiled), Some(vec!["lna"]));
    assert!(
        verdict(&compiled, "IPAddressPool", "lan")
            .message
            .contains("no L2Advertisement")
    );
}

#[test]
fn a_pool_selector_that_matches_nothing_is_a_notice() {
    let spec = json!({"ipAddressPoolSelectors": [{"matchLabels": {"pool": "none"}}]});
    let compiled = with_l2(two_pools(), spec);
    let problem = compiled
        .problems
        .iter()
        .find(|p| p.object.kind == "L2Advertisement")
        .unwrap();
    assert_eq!(problem.reason, Reason::NothingSelected);
    assert!(verdict(&compiled, "L2Advertisement", "ad").accepted);
    assert_eq!(pools_of(&compiled), Some(vec![]));
}

#[test]
fn a_quarantined_pool_is_still_a_known_name() {
    let pools = vec![pool("lan", json!({"addresses": ["nonsense"]}))];
    let compiled = with_l2(pools, json!({"ipAddressPools": ["lan"]}));
    assert!(verdict(&compiled, "L2Advertisement", "ad").accepted);
}

#[test]
fn weights_and_interfaces_are_checked() {
    let preferred =
        |weight: i32| json!({"preferredNodeSelectors": [{"weight": weight, "preference": {}}]});
    let cases = [
        (
            preferred(0),
            "spec.preferredNodeSelectors[0].weight",
            Reason::OutOfBounds,
        ),
        (
            preferred(101),
            "spec.preferredNodeSelectors[0].weight",
            Reason::OutOfBounds,
        ),
        (
            json!({"interfaces": ["eth0", "a b"]}),
            "spec.interfaces[1]",
            Reason::InvalidInterface,
        ),
        (
            json!({"interfaces": [""]}),
            "spec.interfaces[0]",
            Reason::InvalidInterface,
        ),
    ];
    for (spec, field, reason) in cases {
        let compiled = with_l2(vec![], spec);
        assert_eq!(
            (told(&compiled)[0].0, told(&compiled)[0].1),
            (field, reason)
        );
        assert!(compiled.config.l2_advertisements.is_empty());
    }
    let compiled = with_l2(vec![], preferred(100));
    assert_eq!(compiled.config.l2_advertisements[0].preferred[0].0, 100);
}

#[test]
fn an_interface_that_no_selected_node_has_is_a_notice() {
    let with_nodes = |interfaces: Value, nodes: Vec<(&str, NodeFacts)>| {
        let spec =
            json!({"interfaces": interfaces, "nodeSelectors": [{"matchLabels": {"zone": "a"}}]});
        compile(&Objects {
            l2_advertisements: vec![l2("ad", spec)],
            nodes: Some(nodes.into_iter().map(|(n, f)| (n.to_owned(), f)).collect()),
            ..Objects::default()
        })
    };
    let zone = &[("zone", "a")];
    let known = || {
        vec![
            ("n1", node(zone, Some(&["eth0", "bond1"]))),
            ("n2", node(&[], Some(&["eth9"]))),
        ]
    };
    let compiled = with_nodes(json!(["eth9", "bond*", "eth0"]), known());
    assert_eq!(
        told(&compiled),
        [(
            "spec.interfaces[0]",
            Reason::NothingSelected,
            "no selected node can announce on an interface eth9; the interfaces there are: bond1, eth0"
        )]
    );
    let mut unknown = known();
    unknown.push(("n3", node(zone, None)));
    assert_eq!(with_nodes(json!(["eth9"]), unknown).problems, []);
}

#[test]
fn a_node_selector_that_matches_no_node_is_a_notice() {
    let compiled = compile(&Objects {
        l2_advertisements: vec![l2(
            "ad",
            json!({"nodeSelectors": [{}, {"matchLabels": {"x": "y"}}]}),
        )],
        nodes: Some([("n1".to_owned(), node(&[], None))].into()),
        ..Objects::default()
    });
    assert_eq!(
        (told(&compiled)[0].0, compiled.problems.len()),
        ("spec.nodeSelectors[1]", 1)
    );
}
