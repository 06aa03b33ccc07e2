use herald_model::service::{Endpoint, Usable};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::*;

fn service(metadata: Value, spec: Value) -> KubeService {
    let mut metadata = metadata;
    metadata["name"] = json!("web");
    metadata["namespace"] = json!("shop");
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn annotated(annotations: Value) -> KubeService {
    service(
        json!({"annotations": annotations}),
        json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}),
    )
}

fn read(service: &KubeService) -> (Service, Vec<Problem>) {
    from_service(service)
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn ours_are_load_balancers_without_class_or_of_our_class() {
    let cases = [
        (json!({"type": "LoadBalancer"}), true),
        (
            json!({"type": "LoadBalancer", "loadBalancerClass": DEFAULT_CLASS}),
            true,
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancerClass": "other/class"}),
            false,
        ),
        (json!({"type": "ClusterIP"}), false),
        (json!({}), false),
    ];
    for (spec, wanted) in cases {
        assert_eq!(
            Class::default().serves(&service(json!({}), spec.clone())),
            wanted,
            "{spec}"
        );
    }
    let mine = service(
        json!({}),
        json!({"type": "LoadBalancer", "loadBalancerClass": "mine/lb"}),
    );
    let class = |classless| Class {
        name: "mine/lb".to_owned(),
        classless,
    };
    assert!(class(true).serves(&mine) && class(false).serves(&mine));
    let without = service(json!({}), json!({"type": "LoadBalancer"}));
    assert!(class(true).serves(&without) && !class(false).serves(&without));
}

#[test]
fn our_annotations_win_over_metallbs_which_win_over_the_old_ones() {
    let all = json!({
        "metallb.universe.tf/address-pool": "oldest",
        "metallb.io/address-pool": "older",
        "heraldlb.io/address-pool": "ours",
        "metallb.universe.tf/allow-shared-ip": "key-old",
        "metallb.io/loadBalancerIPs": " 192.0.2.1 , 2001:db8::1 ",
    });
    let (service, problems) = read(&annotated(all));
    assert_eq!(service.requested_pool.as_deref(), Some("ours"));
    assert_eq!(service.sharing_key.as_deref(), Some("key-old"));
    assert_eq!(
        service.requested_addresses,
        addresses(&["192.0.2.1", "2001:db8::1"])
    );
    assert_eq!(problems, []);
}

#[test]
fn an_empty_annotation_is_as_good_as_none() {
    let (service, problems) = read(&annotated(json!({
        "heraldlb.io/address-pool": " ",
        "metallb.io/address-pool": "lan",
        "heraldlb.io/loadBalancerIPs": "",
        "heraldlb.io/allow-shared-ip": "",
    })));
    assert_eq!(service.requested_pool.as_deref(), Some("lan"));
    assert_eq!(
        (service.requested_addresses, service.sharing_key),
        (vec![], None)
    );
    assert_eq!(problems, []);
}

#[test]
fn a_request_that_cannot_be_understood_names_its_annotation() {
    let cases = [
        ("192.0.2.300", "\"192.0.2.300\" is not an IP address"),
        ("192.0.2.1,,2001:db8::1", "\"\" is not an IP address"),
        (
            "192.0.2.1,192.0.2.2",
            "192.0.2.1 and 192.0.2.2 are both IPv4",
        ),
    ];
    for (value, words) in cases {
        let (service, problems) = read(&annotated(json!({"metallb.io/loadBalancerIPs": value})));
        assert_eq!(problems.len(), 1, "{value}");
        assert_eq!(
            problems[0].field,
            "metadata.annotations[metallb.io/loadBalancerIPs]"
        );
        assert_eq!(problems[0].object.to_string(), "Service shop/web");
        assert!(
            problems[0].message.contains(words),
            "{}",
            problems[0].message
        );
        let unreadable = service.unreadable_request.unwrap();
        assert!(unreadable.starts_with("metadata.annotations[metallb.io/loadBalancerIPs]: "));
    }
}

#[test]
fn the_field_and_the_annotation_may_both_stand_when_they_agree() {
    let both = |field: &str| {
        let annotations = json!({"heraldlb.io/loadBalancerIPs": "192.0.2.1"});
        let spec = json!({"type": "LoadBalancer", "loadBalancerIP": field});
        read(&service(json!({ "annotations": annotations }), spec))
    };
    assert_eq!(both("192.0.2.1").1, []);
    let (_, problems) = both("192.0.2.2");
    assert_eq!(
        problems[0].message,
        "spec.loadBalancerIP asks for something else; remove one of the two"
    );
    let (field_only, problems) = read(&service(
        json!({}),
        json!({"type": "LoadBalancer", "loadBalancerIP": "192.0.2.7"}),
    ));
    assert_eq!(
        (field_only.requested_addresses, problems),
        (addresses(&["192.0.2.7"]), vec![])
    );
}

#[test]
fn families_follow_the_cluster_addresses() {
    let cases: [(Value, &[Family]); 5] = [
        (json!({"clusterIP": "10.0.0.1"}), &[Family::V4]),
        (
            json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.0.0.1"]}),
            &[Family::V6, Family::V4],
        ),
        (json!({"clusterIP": "None", "clusterIPs": ["None"]}), &[]),
        (json!({}), &[]),
        (json!({"clusterIP": ""}), &[]),
    ];
    for (spec, wanted) in cases {
        assert_eq!(
            read(&service(json!({}), spec.clone())).0.families,
            wanted,
            "{spec}"
        );
    }
}

#[test]
fn ports_policy_and_selector_are_translated() {
    let spec = json!({
        "type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "externalTrafficPolicy": "Local",
        "selector": {"b": "2", "a": "1"},
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 80}, {"port": 99999}],
    });
    let (service, _) = read(&service(
        json!({"creationTimestamp": "1970-01-01T00:01:00Z"}),
        spec,
    ));
    assert_eq!(service.family_policy, FamilyPolicy::RequireDual);
    assert_eq!(service.traffic_policy, TrafficPolicy::Local);
    assert_eq!(service.backend_key, "a=1,b=2");
    assert_eq!(service.created, 60);
    let ports: Vec<String> = service.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["TCP/80", "UDP/53"]);
}

#[test]
fn what_it_holds_is_read_from_status_and_annotation() {
    let mut service = annotated(json!({ALLOCATED_FROM_POOL: "lan, six"}));
    service.status = serde_json::from_value(json!({
        "loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "x"}, {"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]},
    }))
    .unwrap();
    let (service, _) = read(&service);
    assert_eq!(service.held, addresses(&["192.0.2.1", "2001:db8::1"]));
    assert_eq!(service.held_pools, ["lan", "six"]);
}

#[test]
fn endpoint_conditions_default_as_the_api_documents() {
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.1.0.1"], "nodeName": "n1"},
            {"addresses": ["10.1.0.2"], "nodeName": "n2", "conditions": {"ready": false}},
            {"addresses": ["10.1.0.3"], "nodeName": "n3",
             "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.1.0.4"], "nodeName": "n4", "conditions": {"ready": false, "terminating": true}},
        ],
    }))
    .unwrap();
    assert_eq!(owner(&slice), Some(ServiceKey::new("shop", "web")));
    let endpoints = endpoints([&slice]);
    let told: Vec<_> = endpoints
        .iter()
        .map(|e| (e.node.as_deref(), e.ready, e.serving, e.terminating))
        .collect();
    assert_eq!(
        told,
        [
            (Some("n1"), true, true, false),
            (Some("n2"), false, true, false),
            (Some("n3"), false, true, true),
            (Some("n4"), false, true, true),
        ]
    );
    let usable: Vec<_> = endpoints.iter().map(Endpoint::usable).collect();
    let terminating = Some(Usable::Terminating);
    assert_eq!(
        usable,
        [Some(Usable::Ready), None, terminating, terminating]
    );
}

#[test]
fn endpoints_are_of_the_family_of_their_slice() {
    let slice = |kind: &str, address: &str, node: &str| -> EndpointSlice {
        let slice = json!({
            "metadata": {"namespace": "shop", "name": "web-1"}, "addressType": kind,
            "endpoints": [{"addresses": [address], "nodeName": node}],
        });
        serde_json::from_value(slice).unwrap()
    };
    let slices = [
        slice("IPv6", "fd00::1", "n1"),
        slice("IPv4", "10.1.0.1", "n1"),
        slice("IPv4", "10.1.0.2", "n1"),
        slice("IPv6", "fd00::2", "n2"),
        slice("FQDN", "web.example", "n3"),
        slice("IPv8", "10.1.0.8", "n4"),
    ];
    let all = endpoints(&slices);
    let found: Vec<_> = all.iter().map(|e| (e.family, e.node.as_deref())).collect();
    let expected = [
        (Family::V4, Some("n1")),
        (Family::V6, Some("n1")),
        (Family::V6, Some("n2")),
    ];
    assert_eq!(found, expected, "each kind once");
    let found = by_address(&slices);
    let found: Vec<_> = found
        .iter()
        .map(|(a, e)| (a.to_string(), e.family))
        .collect();
    let expected = [
        ("10.1.0.1", Family::V4),
        ("10.1.0.2", Family::V4),
        ("fd00::1", Family::V6),
        ("fd00::2", Family::V6),
    ];
    assert_eq!(found, expected.map(|(a, f)| (a.to_owned(), f)));
}

/// The same address in two slices, in either order: who takes more traffic counts.
#[test]
fn of_two_endpoints_with_one_address_the_better_one_counts() {
    let slice = |ready: bool, serving: bool| -> EndpointSlice {
        let conditions = json!({"ready": ready, "serving": serving, "terminating": !ready});
        let slice = json!({
            "metadata": {"namespace": "shop", "name": "web-1"}, "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.0.1"], "conditions": conditions}],
        });
        serde_json::from_value(slice).unwrap()
    };
    for (worse, better) in [
        (slice(false, true), slice(true, true)),
        (slice(false, false), slice(false, true)),
    ] {
        let expected = by_address([&better]);
        assert_eq!(by_address([&worse, &better]), expected);
        assert_eq!(by_address([&better, &worse]), expected);
    }
}

/// One that is in two slices, as it may be for a while, is one; each family has slices of its own.
#[test]
fn endpoints_that_serve_are_counted_once_where_they_are() {
    let slice = |kind: &str, endpoints: Value| -> EndpointSlice {
        let slice = json!({
            "metadata": {"namespace": "shop", "name": "web-1"},
            "addressType": kind, "endpoints": endpoints,
        });
        serde_json::from_value(slice).unwrap()
    };
    let slices = [
        slice(
            "IPv4",
            json!([
                {"addresses": ["10.1.0.1"], "nodeName": "n1"},
                {"addresses": ["10.1.0.2", "10.1.0.9"], "nodeName": "n1",
                 "conditions": {"ready": false, "serving": true, "terminating": true}},
                {"addresses": ["10.1.0.3"], "nodeName": "n1", "conditions": {"ready": false}},
                {"addresses": ["10.1.0.4"], "nodeName": "n2", "conditions": {"ready": true}},
                {"addresses": ["10.1.0.5"]},
            ]),
        ),
        slice(
            "IPv4",
            json!([{"addresses": ["10.1.0.1"], "nodeName": "n1"}]),
        ),
        slice(
            "IPv6",
            json!([{"addresses": ["fd00::1"], "nodeName": "n1"}]),
        ),
        slice(
            "FQDN",
            json!([{"addresses": ["web.example"], "nodeName": "n1"}]),
        ),
    ];
    let of = |texts: &[&str]| addresses(texts).into_iter().collect::<BTreeSet<_>>();
    let expected = [
        ("n1".to_owned(), of(&["10.1.0.1", "10.1.0.2", "fd00::1"])),
        ("n2".to_owned(), of(&["10.1.0.4"])),
    ];
    assert_eq!(serving(&slices), expected.into());
}

/// MetalLB's `address-pool`, `loadBalancerIPs` and `allow-shared-ip`, and the pool it writes, under
/// its two prefixes and ours.
#[test]
fn each_annotation_of_metallb_is_read_under_each_prefix() {
    for prefix in PREFIXES {
        let annotations: serde_json::Map<String, Value> = [
            ("address-pool", "lan"),
            ("loadBalancerIPs", "192.0.2.1,2001:db8::1"),
            ("allow-shared-ip", "k"),
            ("ip-allocated-from-pool", "old"),
        ]
        .map(|(suffix, value)| (format!("{prefix}/{suffix}"), json!(value)))
        .into_iter()
        .collect();
        let (service, problems) = read(&annotated(Value::Object(annotations)));
        assert_eq!(service.requested_pool.as_deref(), Some("lan"), "{prefix}");
        assert_eq!(
            service.requested_addresses,
            addresses(&["192.0.2.1", "2001:db8::1"])
        );
        assert_eq!(service.sharing_key.as_deref(), Some("k"), "{prefix}");
        let ours = prefix == "heraldlb.io";
        assert_eq!(service.held_pools == ["old"], ours, "{prefix}");
        assert_eq!(problems, []);
    }
}

#[test]
fn external_ips_are_those_that_the_service_does_not_hold_itself() {
    let of = |spec: Value, ingress: Value| {
        let mut object = serde_json::to_value(service(json!({}), spec)).unwrap();
        object["status"] = json!({"loadBalancer": {"ingress": ingress}});
        external_ips(&serde_json::from_value(object).unwrap())
    };
    let two = json!({"externalIPs": ["192.0.2.1", "2001:DB8::1", "nonsense"]});
    for (spec, ingress, expected) in [
        (json!({}), json!([]), &[][..]),
        (two.clone(), json!([]), &["192.0.2.1", "2001:db8::1"]),
        (
            two,
            json!([{"ip": "192.0.2.1"}, {"hostname": "x"}]),
            &["2001:db8::1"],
        ),
    ] {
        assert_eq!(of(spec, ingress), addresses(expected));
    }
}

#[test]
fn an_address_in_an_unusual_spelling_is_read_as_kubernetes_does_or_refused_with_what_to_write() {
    let asks = |text: &str| {
        let spec = json!({"type": "LoadBalancer", "loadBalancerIP": text});
        let (service, problems) = read(&service(json!({}), spec));
        let problems: Vec<String> = problems.into_iter().map(|one| one.message).collect();
        (service.requested_addresses, problems.join("; "))
    };
    let fine = (addresses(&["10.0.0.1"]), String::new());
    assert_eq!(asks("10.0.0.1"), fine);
    assert_eq!(asks("::ffff:10.0.0.1"), fine);
    assert_eq!(asks("::ffff:a00:1"), fine);
    let zeros = "010.0.0.1 has numbers with leading zeros, which some programs read as octal: write \
                 10.0.0.1";
    assert_eq!(asks("010.0.0.1"), (Vec::new(), zeros.to_owned()));
    for text in ["10.0.0.256", "0x0a.0.0.1", "10.0.0", "010.0.0.1.1", "..."] {
        let (asked, problem) = asks(text);
        assert!(
            asked.is_empty() && problem.contains("is not an IP address"),
            "{text}: {problem}"
        );
    }
}
