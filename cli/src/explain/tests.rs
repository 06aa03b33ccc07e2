use herald_model::alloc::Freed;
use serde_json::{Value, json};

use super::*;
use crate::cluster::Cluster;
use crate::fixture::{
    announcement, facts, node, object, pool, routed, service, slice, speaker, working,
};

fn explained(cluster: Cluster) -> Explanation {
    explain(&facts(cluster), &ServiceKey::new("shop", "web"))
}

/// Replaces the Service's part at a JSON pointer.
fn changed(mut value: Value, pointer: &str, new: Value) -> Value {
    *value.pointer_mut(pointer).unwrap() = new;
    value
}

#[test]
fn a_working_service_passes_every_check() {
    let explanation = explained(working());
    assert_eq!(
        text(&explanation),
        "Service shop/web
  ✓ Service: exists
  ✓ type and class: LoadBalancer, no class
  ✓ request: asks for any address
  ✓ cluster address: IPv4
  ✓ pools: in use: lan
  ✓ allocation: 192.0.2.240 from pool lan
  ✓ pool of the address: lan
  ✓ advertisement: L2Advertisement lan
  ✓ endpoints: serving, externalTrafficPolicy Cluster
      192.0.2.240: IPv4 endpoints: 1 ready on n2
  ✓ eligible nodes: 192.0.2.240 on n1, n2
  ✓ owner node: 192.0.2.240 on n1
  ✓ speaker: n1 is Ready
  ✓ interface: 192.0.2.240 on n1, eth0 (02:00:00:00:00:01)
"
    );
    assert!(explanation.ok);
}

/// The check that fails, words of what it found, words of what to do.
type Case = (
    &'static str,
    fn(&mut Cluster),
    &'static str,
    &'static str,
    &'static str,
);

const CASES: &[Case] = &[
    (
        "an address from another load balancer that no pool can hold",
        |c| {
            c.announcements.clear();
            c.pools = vec![object(pool("lan", &["203.0.113.0/24"]))];
            let mut theirs = service();
            theirs["metadata"]["annotations"] =
                json!({"metallb.io/ip-allocated-from-pool": "prod"});
            c.services = vec![object(theirs)];
        },
        "allocation",
        "192.0.2.240 is not from Herald",
        "let an IPAddressPool hold it, or request another address",
    ),
    (
        "the pool was deleted and another is there",
        |c| c.pools = vec![object(pool("other", &["203.0.113.0/24"]))],
        "pool of the address",
        "IPAddressPool lan does not exist",
        "create lan again",
    ),
    (
        "no such Service",
        |c| c.services.clear(),
        "Service",
        "there is no Service shop/web",
        "create it",
    ),
    (
        "Service in another namespace",
        |c| {
            c.services = vec![object(changed(
                service(),
                "/metadata/namespace",
                json!("store"),
            ))]
        },
        "Service",
        "there is no Service shop/web",
        "did you mean store/web?",
    ),
    (
        "ClusterIP",
        |c| c.services = vec![object(changed(service(), "/spec/type", json!("ClusterIP")))],
        "type and class",
        "spec.type is ClusterIP",
        "set spec.type to LoadBalancer",
    ),
    (
        "another class",
        |c| {
            let mut service = service();
            service["spec"]["loadBalancerClass"] = json!("other/lb");
            c.services = vec![object(service)];
        },
        "type and class",
        "spec.loadBalancerClass is other/lb",
        "with class heraldlb.io/herald",
    ),
    (
        "a request nobody understands",
        |c| {
            let wish = json!({"metallb.io/loadBalancerIPs": "192.0.2"});
            c.services = vec![object(changed(service(), "/metadata/annotations", wish))];
        },
        "request",
        "metadata.annotations[metallb.io/loadBalancerIPs]: \"192.0.2\" is not an IP address",
        "correct the annotation",
    ),
    (
        "headless",
        |c| {
            let spec = json!({"type": "LoadBalancer", "clusterIP": "None"});
            c.services = vec![object(changed(service(), "/spec", spec))];
        },
        "cluster address",
        "no spec.clusterIP",
        "headless",
    ),
    (
        "no pools",
        |c| c.pools.clear(),
        "pools",
        "there is no IPAddressPool",
        "create one",
    ),
    (
        "only a bad pool",
        |c| c.pools = vec![object(pool("lan", &["192.0.2.9-192.0.2.1"]))],
        "pools",
        "no IPAddressPool can be used",
        "correct the pools",
    ),
    (
        "refused",
        |c| {
            let mut service = service();
            service["status"] = json!({});
            service["metadata"]["annotations"] = json!({"heraldlb.io/address-pool": "wan"});
            c.services = vec![object(service)];
        },
        "allocation",
        "the Service has no address",
        "requests pool wan, which does not exist",
    ),
    (
        "the controller lags",
        |c| c.services = vec![object(changed(service(), "/status", json!({})))],
        "allocation",
        "could get 192.0.2.240 from pool lan, and the controller has not done so",
        "log of herald-controller-a",
    ),
    (
        "no controller",
        |c| {
            c.services = vec![object(changed(service(), "/status", json!({})))];
            c.controller_lease = None;
        },
        "allocation",
        "the controller has not done so",
        "no controller leads",
    ),
    (
        "no advertisement",
        |c| c.l2_advertisements.clear(),
        "advertisement",
        "no L2Advertisement is for pool lan",
        "empty spec announces every pool",
    ),
    (
        "advertisement for other Services",
        |c| {
            let spec = json!({"serviceSelectors": [{"matchLabels": {"app": "db"}}]});
            c.l2_advertisements = vec![object(json!({"metadata": {"name": "db"}, "spec": spec}))];
        },
        "advertisement",
        "do not match the labels of Service shop/web",
        "label the Service",
    ),
    (
        "no endpoints",
        |c| c.slices.clear(),
        "endpoints",
        "has no endpoints",
        "kubectl get endpointslices -n shop",
    ),
    (
        "no ready endpoint",
        |c| {
            let unready = json!({"ready": false, "serving": false});
            c.slices = vec![object(changed(slice(), "/endpoints/0/conditions", unready))];
        },
        "endpoints",
        "no IPv4 endpoint of the Service is ready",
        "whether the pods are Ready",
    ),
    (
        "excluded nodes",
        |c| {
            for node in &mut c.nodes {
                let label = herald_config::node::EXCLUDE_LABEL.to_owned();
                node.metadata
                    .labels
                    .get_or_insert_default()
                    .insert(label, String::new());
            }
        },
        "eligible nodes",
        "no node may announce 192.0.2.240",
        "what stands against one of the nodes",
    ),
    (
        "no speakers",
        |c| c.speakers.clear(),
        "eligible nodes",
        "no node may announce",
        "what stands against",
    ),
    (
        "no nodes",
        |c| c.nodes.clear(),
        "eligible nodes",
        "there are no nodes",
        "join a node",
    ),
    (
        "nobody answers",
        |c| c.announcements.clear(),
        "owner node",
        "no speaker reports that it answers for 192.0.2.240",
        "heraldctl status",
    ),
    (
        "speaker not ready",
        |c| {
            let speaker = changed(speaker("n1"), "/status/conditions/0/status", json!("False"));
            c.speakers[0] = object(changed(
                speaker,
                "/status/conditions/0/message",
                json!("no NET_RAW"),
            ));
        },
        "speaker",
        "the speaker of n1 is not Ready: no NET_RAW",
        "see its log",
    ),
    (
        "no majority",
        |c| {
            c.announcements = vec![object(changed(announcement(), "/status/layer2", json!([])))];
            c.speakers = ["n1", "n2"]
                .map(|node| {
                    let alone = json!({
                        "type": "Quorum", "status": "False", "reason": "NoMajority",
                        "message": "only 1 of 3 speakers are heard",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    });
                    object(changed(speaker(node), "/status/conditions/0", alone))
                })
                .into();
        },
        "owner node",
        "no speaker answers for 192.0.2.240: only 1 of 3",
        "UDP",
    ),
    (
        "owner without a Speaker",
        |c| {
            c.announcements = vec![object(changed(
                announcement(),
                "/status/layer2/0/node",
                json!("n9"),
            ))];
        },
        "speaker",
        "there is no Speaker for node n9",
        "whether a speaker runs there",
    ),
    (
        "no interface",
        |c| {
            c.announcements = vec![object(changed(
                announcement(),
                "/status/layer2/0/interfaces",
                json!([]),
            ))];
        },
        "interface",
        "n1 answers for 192.0.2.240 on no interface",
        "bring an interface up",
    ),
];

#[test]
fn each_fault_fails_its_check_says_what_to_do_and_leaves_the_rest_unchecked() {
    for (title, break_it, name, found, advice) in CASES {
        let mut cluster = working();
        break_it(&mut cluster);
        let explanation = explained(cluster);
        assert!(!explanation.ok, "{title}");
        let position = explanation
            .checks
            .iter()
            .position(|c| c.outcome == Outcome::Failed);
        let position = position.unwrap_or_else(|| panic!("{title}: nothing failed"));
        let check = &explanation.checks[position];
        assert_eq!(check.name, *name, "{title}: {check:?}");
        assert!(check.found.contains(found), "{title}: {}", check.found);
        assert!(check.advice.contains(advice), "{title}: {}", check.advice);
        let rest = &explanation.checks[position + 1..];
        assert!(
            rest.iter().all(|c| c.outcome == Outcome::NotChecked),
            "{title}"
        );
    }
}

/// [`working`] with an address of each family, and these endpoints: family, node, whether it is ready.
fn dual(policy: &str, endpoints: &[(&str, &str, bool)]) -> Cluster {
    let mut cluster = working();
    cluster.pools = vec![object(pool(
        "lan",
        &["192.0.2.240-192.0.2.250", "2001:db8::240-2001:db8::250"],
    ))];
    let mut service = service();
    service["spec"]["externalTrafficPolicy"] = json!(policy);
    service["spec"]["clusterIPs"] = json!(["10.0.0.1", "fd01::1"]);
    service["spec"]["ipFamilyPolicy"] = json!("PreferDualStack");
    service["status"]["loadBalancer"]["ingress"] =
        json!([{"ip": "192.0.2.240", "ipMode": "VIP"}, {"ip": "2001:db8::240", "ipMode": "VIP"}]);
    cluster.services = vec![object(service)];
    let mut announced = announcement();
    announced["status"]["addresses"] = json!([
        {"address": "192.0.2.240", "pool": "lan"}, {"address": "2001:db8::240", "pool": "lan"},
    ]);
    announced["status"]["layer2"] = json!([
        {"address": "192.0.2.240", "node": "n1", "interfaces": ["eth0"]},
        {"address": "2001:db8::240", "node": "n2", "interfaces": ["eth0"]},
    ]);
    cluster.announcements = vec![object(announced)];
    let slices = endpoints.iter().enumerate().map(|(at, (family, node, ready))| {
        let address = if *family == "IPv4" {
            format!("10.1.0.{at}")
        } else {
            format!("fd00::{at}")
        };
        let mut slice = slice();
        slice["addressType"] = json!(family);
        slice["endpoints"] = json!([
            {"addresses": [address], "nodeName": node, "conditions": {"ready": ready, "serving": ready}},
        ]);
        object(slice)
    });
    cluster.slices = slices.collect();
    cluster
}

#[test]
fn endpoints_are_shown_for_each_address() {
    let (four, six) = (("IPv4", "n1", true), ("IPv6", "n2", true));
    let explanation = explained(dual("Local", &[four, six]));
    assert!(explanation.ok, "{}", text(&explanation));
    let check = |name: &str| {
        let mut checks = explanation.checks.iter();
        checks.find(|c| c.name == name).unwrap()
    };
    assert_eq!(
        check("endpoints").details,
        [
            "192.0.2.240: IPv4 endpoints: 1 ready on n1",
            "2001:db8::240: IPv6 endpoints: 1 ready on n2",
        ]
    );
    let eligible = check("eligible nodes");
    assert_eq!(eligible.found, "192.0.2.240 on n1; 2001:db8::240 on n2");
    assert_eq!(
        eligible.details,
        [
            "node n1 has no ready IPv6 endpoint, which externalTrafficPolicy Local needs",
            "node n2 has no ready IPv4 endpoint, which externalTrafficPolicy Local needs",
        ]
    );
}

#[test]
fn endpoints_are_counted_by_what_they_do_on_each_node() {
    let mut cluster = working();
    let mut slice = slice();
    let endpoint = |last: usize, node: &str, ready: bool, serving: bool, terminating: bool| {
        let conditions = json!({"ready": ready, "serving": serving, "terminating": terminating});
        json!({"addresses": [format!("10.1.0.{last}")], "nodeName": node, "conditions": conditions})
    };
    let mut endpoints = vec![
        endpoint(1, "n1", true, true, false),
        endpoint(2, "n1", true, true, false),
        endpoint(3, "n1", false, true, true),
        endpoint(4, "n1", false, false, true),
        endpoint(5, "n1", false, false, false),
        json!({"addresses": ["10.1.0.6"]}),
    ];
    endpoints.extend((2..8).map(|n| endpoint(5 + n, &format!("n{n}"), true, true, false)));
    slice["endpoints"] = json!(endpoints);
    // It moves between slices and is one.
    cluster.slices = vec![object(slice.clone()), object(slice)];
    let explanation = explained(cluster);
    let mut checks = explanation.checks.iter();
    let check = checks.find(|c| c.name == "endpoints").unwrap();
    assert_eq!(
        check.details,
        [
            "192.0.2.240: IPv4 endpoints: 1 ready on no node that is named; 2 ready, 1 terminating and serving, \
          1 terminating, 1 not ready on n1; 1 ready on n2; 1 ready on n3; 1 ready on n4; and 3 ready on 3 more \
          nodes"
        ]
    );
}

#[test]
fn an_address_without_endpoints_of_its_family_fails_with_the_fix() {
    let four = ("IPv4", "n1", true);
    for (endpoints, found, advice, line) in [
        (
            &[four][..],
            "has no IPv6 endpoint, and kube-proxy passes traffic for 2001:db8::240 to no IPv4 endpoint",
            "give the pods IPv6 addresses, or, if they are to have none, take IPv6 out of spec.ipFamilies",
            "2001:db8::240: no IPv6 endpoints",
        ),
        (
            &[four, ("IPv6", "n2", false)],
            "no IPv6 endpoint of the Service is ready",
            "whether the pods are Ready",
            "2001:db8::240: IPv6 endpoints: 1 not ready on n2",
        ),
    ] {
        for policy in ["Cluster", "Local"] {
            let explanation = explained(dual(policy, endpoints));
            assert!(!explanation.ok);
            let mut checks = explanation.checks.iter();
            let check = checks.find(|c| c.outcome == Outcome::Failed).unwrap();
            assert_eq!(check.name, "endpoints");
            assert!(check.found.contains(found), "{}", check.found);
            assert!(check.advice.contains(advice), "{}", check.advice);
            let served = "192.0.2.240: IPv4 endpoints: 1 ready on n1";
            assert_eq!(check.details, [served, line]);
        }
    }
}

#[test]
fn every_node_that_may_not_announce_has_its_reason() {
    let mut cluster = working();
    let mut local = service();
    local["spec"]["externalTrafficPolicy"] = json!("Local");
    cluster.services = vec![object(local)];
    cluster.nodes.push(object(node("n3")));
    cluster.announcements = vec![object(changed(
        announcement(),
        "/status/layer2/0/node",
        json!("n2"),
    ))];
    let explanation = explained(cluster);
    assert!(explanation.ok, "{}", text(&explanation));
    let eligible = explanation
        .checks
        .iter()
        .find(|c| c.name == "eligible nodes")
        .unwrap();
    assert_eq!(eligible.found, "192.0.2.240 on n2");
    assert_eq!(
        eligible.details,
        [
            "node n1 has no ready IPv4 endpoint, which externalTrafficPolicy Local needs",
            "node n3 has no speaker that reports an interface",
        ]
    );
}

#[test]
fn a_wish_that_is_refused_while_the_address_is_kept_is_a_remark() {
    let mut cluster = working();
    let wish = json!({
        "heraldlb.io/address-pool": "wan", "heraldlb.io/ip-allocated-from-pool": "lan",
    });
    cluster.services = vec![object(changed(service(), "/metadata/annotations", wish))];
    let explanation = explained(cluster);
    assert!(explanation.ok);
    let allocation = explanation
        .checks
        .iter()
        .find(|c| c.name == "allocation")
        .unwrap();
    assert_eq!(allocation.outcome, Outcome::Remark);
    assert!(allocation.details[0].contains("pool wan, which does not exist"));
}

#[test]
fn an_owner_that_is_no_longer_eligible_is_a_remark() {
    let mut cluster = working();
    let labels = cluster.nodes[0].metadata.labels.get_or_insert_default();
    labels.insert(herald_config::node::EXCLUDE_LABEL.to_owned(), String::new());
    let explanation = explained(cluster);
    let owner = explanation
        .checks
        .iter()
        .find(|c| c.name == "owner node")
        .unwrap();
    assert_eq!(owner.outcome, Outcome::Remark);
    assert!(explanation.ok);
}

#[test]
fn a_cordoned_node_is_told_apart_from_the_others() {
    let mut cluster = working();
    cluster.nodes[0].spec.get_or_insert_default().unschedulable = Some(true);
    let explanation = explained(cluster);
    let details = explanation.checks.iter().flat_map(|check| &check.details);
    let remarks: Vec<_> = details
        .filter(|line| line.contains("is cordoned"))
        .collect();
    assert_eq!(remarks.len(), 1, "{explanation:?}");
    assert!(explanation.ok);
}

#[test]
fn a_quota_a_reservation_and_retention_are_explained_with_their_names() {
    let mut limited = pool("lan", &["192.0.2.240-192.0.2.250"]);
    limited["spec"]["quotas"] = json!([{"namespaces": ["shop"], "maxAddresses": 1}]);
    let mut second = service();
    second["metadata"]["name"] = json!("second");
    second["metadata"]["annotations"] = json!({});
    second["status"] = json!({});
    limited["spec"]["retain"] = json!("1h");
    for (reserve, wish, words) in [
        (
            false,
            json!({"heraldlb.io/loadBalancerIPs": "192.0.2.246"}),
            "shop/old had it last, and retain of pool lan keeps it from others for a while",
        ),
        (
            false,
            json!({}),
            "quotas[0] allows namespace shop 1, and it has 1; release one or raise maxAddresses",
        ),
        (
            true,
            json!({"heraldlb.io/loadBalancerIPs": "192.0.2.245"}),
            "IPReservation r keeps it from every Service",
        ),
    ] {
        let mut cluster = working();
        cluster.pools = vec![object(limited.clone())];
        let freed = Freed {
            holder: ServiceKey::new("shop", "old"),
            at: 0,
            deleted: true,
        };
        cluster.given_up = [("192.0.2.246".parse().unwrap(), freed)].into();
        let mut second = second.clone();
        second["metadata"]["annotations"] = wish;
        cluster.services.push(object(second));
        if reserve {
            let spec = json!({"addresses": ["192.0.2.245"]});
            cluster.reservations = vec![object(json!({"metadata": {"name": "r"}, "spec": spec}))];
        }
        let explanation = explain(&facts(cluster), &ServiceKey::new("shop", "second"));
        let failed = explanation
            .checks
            .iter()
            .find(|c| c.outcome == Outcome::Failed);
        let failed = failed.unwrap();
        assert_eq!(failed.name, "allocation");
        assert!(failed.advice.contains(words), "{}", failed.advice);
    }
}

#[test]
fn an_address_for_routers_alone_is_followed_to_the_routers() {
    let explanation = explained(routed());
    assert_eq!(
        text(&explanation),
        "Service shop/web
  ✓ Service: exists
  ✓ type and class: LoadBalancer, no class
  ✓ request: asks for any address
  ✓ cluster address: IPv4
  ✓ pools: in use: routed
  ✓ allocation: 198.51.100.1 from pool routed
  ✓ pool of the address: routed
  ✓ advertisement: BGPAdvertisement routed
  ✓ endpoints: serving, externalTrafficPolicy Cluster
      198.51.100.1: IPv4 endpoints: 1 ready on n2
  ✓ announcing nodes: 198.51.100.1 from n1, n2
  ! sessions: 1 of 2 established
      n2 to tor-a: Active since 2026-01-01T00:01:00Z: 192.0.2.1 refuses connections to port 179: is BGP running there?
  ✓ routers: 198.51.100.1 is told to tor-a by n1
"
    );
    assert!(explanation.ok);
}

#[test]
fn the_share_that_a_node_tells_stands_beside_it() {
    let nodes = |link_bandwidth: Value| {
        let mut cluster = routed();
        let spec = json!({"linkBandwidth": link_bandwidth});
        let object_of = |spec| object(json!({"metadata": {"name": "routed"}, "spec": spec}));
        cluster.bgp_advertisements = vec![object_of(spec)];
        let mut slice = slice();
        slice["endpoints"] = json!([
            {"addresses": ["10.1.0.1"], "nodeName": "n2"},
            {"addresses": ["10.1.0.2"], "nodeName": "n2"},
            {"addresses": ["10.1.0.3"], "nodeName": "n1"},
        ]);
        cluster.slices = vec![object(slice)];
        let spec = cluster.services[0].spec.as_mut().unwrap();
        spec.external_traffic_policy = Some("Local".to_owned());
        let checks = explained(cluster).checks;
        let mut checks = checks.into_iter();
        checks.find(|c| c.name == "announcing nodes").unwrap().found
    };
    assert_eq!(
        nodes(json!({})),
        "198.51.100.1 from n1 (link bandwidth 1 Mbit/s), n2 (link bandwidth 2 Mbit/s)"
    );
    assert_eq!(nodes(Value::Null), "198.51.100.1 from n1, n2");
}

/// As [`CASES`], of an address that is announced to routers alone.
const ROUTED: &[Case] = &[
    (
        "no BGPAdvertisement",
        |c| c.bgp_advertisements.clear(),
        "advertisement",
        "no L2Advertisement is for pool routed",
        "a BGPAdvertisement to every router",
    ),
    (
        "no peer",
        |c| c.bgp_peers.clear(),
        "announcing nodes",
        "no node announces 198.51.100.1 to a router",
        "create a BGPPeer",
    ),
    (
        "excluded nodes",
        |c| {
            for node in &mut c.nodes {
                let label = herald_config::node::EXCLUDE_LABEL.to_owned();
                let labels = node.metadata.labels.get_or_insert_default();
                labels.insert(label, String::new());
            }
        },
        "announcing nodes",
        "no node announces 198.51.100.1 to a router",
        "what stands against one of the nodes",
    ),
    (
        "no endpoints",
        |c| c.slices.clear(),
        "endpoints",
        "has no endpoints",
        "kubectl get endpointslices -n shop",
    ),
    (
        "no session",
        |c| drop(c.speakers.remove(0)),
        "sessions",
        "no session with a router is established: 0 of 2",
        "docs/runbook.md",
    ),
    (
        "nobody reports",
        |c| c.announcements.clear(),
        "routers",
        "no speaker reports that a router knows 198.51.100.1",
        "heraldctl sessions",
    ),
];

#[test]
fn each_fault_on_the_way_to_a_router_fails_its_check() {
    for (title, break_it, name, found, advice) in ROUTED {
        let mut cluster = routed();
        break_it(&mut cluster);
        let explanation = explained(cluster);
        let mut checks = explanation.checks.iter();
        let failed = checks.find(|c| c.outcome == Outcome::Failed);
        let failed = failed.unwrap_or_else(|| panic!("{title}: nothing failed"));
        assert_eq!(failed.name, *name, "{title}: {failed:?}");
        assert!(failed.found.contains(found), "{title}: {}", failed.found);
        assert!(failed.advice.contains(advice), "{title}: {}", failed.advice);
        assert!(!explanation.ok, "{title}");
    }
}

#[test]
fn the_lan_and_the_routers_are_checked_apart() {
    let mut cluster = routed();
    cluster.l2_advertisements = working().l2_advertisements;
    let explanation = explained(cluster);
    let outcome = |name: &str| {
        let mut checks = explanation.checks.iter();
        checks.find(|c| c.name == name).unwrap().outcome
    };
    assert_eq!(outcome("owner node"), Outcome::Failed);
    assert_eq!(outcome("interface"), Outcome::NotChecked);
    assert_eq!(outcome("sessions"), Outcome::Remark);
    assert_eq!(outcome("routers"), Outcome::Passed);
    assert!(!explanation.ok);
}

#[test]
fn a_cordoned_node_announces_to_routers_as_their_last_choice() {
    let mut cluster = routed();
    cluster.nodes[0].spec.get_or_insert_default().unschedulable = Some(true);
    let explanation = explained(cluster);
    let mut checks = explanation.checks.iter();
    let nodes = checks.find(|c| c.name == "announcing nodes").unwrap();
    assert_eq!(nodes.found, "198.51.100.1 from n1, n2");
    assert_eq!(
        nodes.details,
        ["node n1 is cordoned or about to go, and the routers' last choice"]
    );
}

#[test]
fn a_session_of_a_speaker_that_may_be_gone_is_a_remark_and_of_a_lost_node_none() {
    let sessions = |state: &str, ready: &str| {
        let mut cluster = routed();
        let mut other = speaker("n2");
        other["status"]["peers"] = json!([{"node": "n1", "state": state}]);
        cluster.speakers[1] = object(other);
        let mut first = node("n1");
        first["status"] = json!({"conditions": [{"type": "Ready", "status": ready}]});
        cluster.nodes[0] = object(first);
        let explanation = explained(cluster);
        let mut checks = explanation.checks.into_iter();
        checks.find(|c| c.name == "sessions").unwrap()
    };
    let refusing = sessions("Refusing", "True");
    assert_eq!(refusing.outcome, Outcome::Remark);
    assert!(refusing.details[1].contains("none runs on n1"));
    assert_eq!(sessions("Silent", "Unknown").outcome, Outcome::Failed);
}

#[test]
fn a_router_that_was_not_told_yet_is_a_remark() {
    let mut cluster = routed();
    let established = json!({"peer": "tor-a", "state": "Established"});
    let mut second = speaker("n2");
    second["status"]["bgpSessions"] = json!([established]);
    cluster.speakers[1] = object(second);
    let explanation = explained(cluster);
    let last = explanation.checks.last().unwrap();
    assert_eq!(last.outcome, Outcome::Remark);
    assert_eq!(last.details, ["n2 has not told tor-a everything yet"]);
}

#[test]
fn an_advertisement_to_routers_that_is_not_for_the_service_is_named() {
    let mut cluster = routed();
    let spec = json!({"serviceSelectors": [{"matchLabels": {"app": "db"}}]});
    cluster.bgp_advertisements = vec![object(json!({"metadata": {"name": "db"}, "spec": spec}))];
    let explanation = explained(cluster);
    let mut checks = explanation.checks.iter();
    let failed = checks.find(|c| c.outcome == Outcome::Failed).unwrap();
    assert_eq!(failed.name, "advertisement");
    assert!(
        failed.details[0].contains("BGPAdvertisement db, whose serviceSelectors do not match"),
        "{:?}",
        failed.details
    );
}

#[test]
fn an_address_that_became_a_nodes_own_is_explained_by_whose_it_is() {
    let mut cluster = working();
    let mut third = node("n3");
    third["status"]["addresses"] = json!([{"type": "InternalIP", "address": "192.0.2.240"}]);
    cluster.nodes.push(object(third));
    for cluster in [cluster.clone(), {
        // Routers change nothing about that.
        let advertisement = json!({"metadata": {"name": "all"}, "spec": {}});
        cluster.bgp_advertisements = vec![object(advertisement)];
        cluster
    }] {
        let explanation = explained(cluster);
        let failed: Vec<_> = explanation
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Failed)
            .collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].name, "pool of the address");
        assert_eq!(
            failed[0].found,
            "192.0.2.240 is the InternalIP of node n3: request another address for Service \
             shop/web, or take it off its owner"
        );
    }
}

#[test]
fn a_request_for_an_address_of_the_cluster_is_refused_with_whose_it_is() {
    let mut cluster = working();
    cluster.service_cidrs = vec![object(json!({
        "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["192.0.2.248/29"]},
    }))];
    let mut asking = service();
    asking["status"] = json!({});
    asking["metadata"]["annotations"] = json!({"heraldlb.io/loadBalancerIPs": "192.0.2.249"});
    cluster.services = vec![object(asking)];
    let explanation = explained(cluster);
    let failed = explanation
        .checks
        .iter()
        .find(|check| check.outcome == Outcome::Failed)
        .unwrap();
    assert_eq!(
        failed.advice,
        "Service shop/web cannot have 192.0.2.249 of pool lan, which is an address of ServiceCIDR \
         kubernetes: request another address"
    );
}
