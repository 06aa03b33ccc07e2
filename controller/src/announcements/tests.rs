use std::collections::BTreeMap;
use std::sync::Arc;

use herald_config::{InfrastructureCache, NodeFacts};
use herald_model::announce::desired;
use serde_json::json;

use super::*;
use crate::assign::tests::{decide, merge, observed, service};
use crate::decision::world;
use crate::kept::Slice;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key() -> ServiceKey {
    ServiceKey::new("shop", "web")
}

/// One Service that holds 192.0.2.1, one node with a speaker, one advertisement, one endpoint.
fn scene(changes: &Value) -> Observed {
    let mut holding =
        json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}}});
    merge(&mut holding, changes);
    let mut observed = observed(service(&holding), &[("lan", "192.0.2.0/30")]);
    let facts = NodeFacts {
        interfaces: Some(vec!["eth0".into()]),
        ..NodeFacts::default()
    };
    observed.objects.nodes = Some([("n1".to_owned(), facts)].into());
    let advertisement = json!({"metadata": {"name": "all"}, "spec": {}});
    observed.objects.l2_advertisements = vec![serde_json::from_value(advertisement).unwrap()];
    let slice = json!({
        "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": true}}],
    });
    observed.slices.insert(
        key(),
        vec![Arc::new(Slice::of(&serde_json::from_value(slice).unwrap()))],
    );
    observed
}

/// 192.0.2.1 is a node's from now on.
fn give_to_a_node(observed: &mut Observed) {
    let node = json!({
        "metadata": {"name": "n2"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    });
    let node = Arc::new(serde_json::from_value(node).unwrap());
    let infrastructure = InfrastructureCache::default().look([(&node, None)], [].into());
    observed.objects.infrastructure = Some(infrastructure);
}

fn announcement(observed: &mut Observed, status: &Value) {
    let object = json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "a1", "resourceVersion": "5",
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "u1"}
            ],
        },
        "status": status,
    });
    let kept = Announcement::of(&serde_json::from_value(object).unwrap());
    observed.announcements.insert(key(), Arc::new(kept));
}

fn reports_on(observed: &Observed, failed: &[(&str, &str)], second: i64) -> Vec<Report> {
    let decision = decide(observed);
    let world = world(observed, &decision);
    let desired = desired(&world);
    let failed = failed
        .iter()
        .map(|(name, error)| (ServiceKey::new("shop", *name), (*error).to_owned()));
    let facts = Facts {
        observed,
        services: &world.services,
        decision: &decision,
        desired: &desired,
        failed: &failed.collect(),
    };
    let mut sent = Sent::default();
    let reports = reports(&facts, &mut sent, at(second));
    let (about_services, reports): (Vec<_>, Vec<_>) = reports
        .into_iter()
        .partition(|report| report.target.kind == "Service");
    for report in &about_services {
        agree(observed, report, &reports);
    }
    reports
}

/// A Service's own condition says what its ServiceAnnouncement says.
fn agree(observed: &Observed, about: &Report, reports: &[Report]) {
    let own = &about.status["conditions"][0];
    assert_eq!(own["type"], crate::condition::ADDRESS_ALLOCATED);
    let key = ServiceKey::new(&about.target.namespace, &about.target.name);
    let written = reports.iter().find(|report| report.target == target(&key));
    let stands = observed.announcements.get(&key);
    let status = written.map_or_else(
        || json!({"conditions": stands.unwrap().conditions()}),
        |report| report.status.clone(),
    );
    let conditions = status["conditions"].as_array().unwrap();
    let other = conditions.iter().find(|c| c["type"] == ALLOCATED).unwrap();
    for field in ["status", "reason", "message"] {
        assert_eq!(own[field], other[field]);
    }
}

fn said(status: &Value, type_: &str) -> String {
    let conditions = status["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|c| c["type"] == type_).unwrap();
    let text = |field: &str| condition[field].as_str().unwrap().to_owned();
    format!("{} {} {}", text("status"), text("reason"), text("message"))
}

#[test]
fn the_first_report_creates_the_object_and_names_its_owner() {
    let reports = reports_on(&scene(&json!({})), &[], 10);
    let [report] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    let object = report.object.as_ref().unwrap();
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u1");
    assert_eq!(
        report.status["addresses"],
        json!([{"address": "192.0.2.1", "pool": "lan"}])
    );
    assert_eq!(
        said(&report.status, ALLOCATED),
        "True Allocated The Service has 192.0.2.1 from pool lan."
    );
    assert_eq!(
        said(&report.status, ANNOUNCED),
        "False WaitingForSpeaker No speaker answers for 192.0.2.1 yet; n1 may."
    );
    assert_eq!(report.happenings, []);
}

#[test]
fn a_speakers_entry_makes_it_announced_and_then_nothing_is_written() {
    let entry = json!({"address": "192.0.2.1", "node": "n1", "interfaces": ["eth0"]});
    let mut observed = scene(&json!({}));
    announcement(&mut observed, &json!({"layer2": [entry]}));
    let report = reports_on(&observed, &[], 10).remove(0);
    assert_eq!(report.object, None);
    assert_eq!(
        said(&report.status, ANNOUNCED),
        "True Announced n1 answers for 192.0.2.1 on eth0."
    );
    assert_eq!(
        report.status.get("layer2"),
        None,
        "the speakers' entries are theirs"
    );
    let mut status = report.status;
    status["layer2"] = json!([entry]);
    announcement(&mut observed, &status);
    assert_eq!(reports_on(&observed, &[], 20), []);
}

#[test]
fn an_entry_of_a_node_that_is_gone_or_for_another_address_does_not_count() {
    for entry in [
        json!({"address": "192.0.2.1", "node": "gone"}),
        json!({"address": "192.0.2.2", "node": "n1"}),
    ] {
        let mut observed = scene(&json!({}));
        announcement(&mut observed, &json!({"layer2": [entry]}));
        let report = reports_on(&observed, &[], 10).remove(0);
        assert!(said(&report.status, ANNOUNCED).starts_with("False WaitingForSpeaker"));
    }
}

#[test]
fn each_reason_not_to_be_announced_is_told_and_mistakes_are_warned_of_once() {
    type Spoil = fn(&mut Observed);
    let spoils: [(Spoil, &str, bool); 6] = [
        (give_to_a_node, "AddressUnusable", true),
        (
            |o| {
                give_to_a_node(o);
                let all = json!({"metadata": {"name": "all"}, "spec": {}});
                o.objects.bgp_advertisements = vec![serde_json::from_value(all).unwrap()];
            },
            "AddressUnusable",
            true,
        ),
        (|o| o.slices.clear(), "NoEndpoints", false),
        (
            |o| o.objects.l2_advertisements.clear(),
            "NoAdvertisement",
            true,
        ),
        (
            |o| {
                o.objects
                    .nodes
                    .iter_mut()
                    .flatten()
                    .for_each(|(_, n)| n.excluded = true)
            },
            "NoEligibleNode",
            true,
        ),
        (
            |o| o.objects.nodes.iter_mut().for_each(BTreeMap::clear),
            "NoNodes",
            false,
        ),
    ];
    for (spoil, reason, warned) in spoils {
        let mut observed = scene(&json!({}));
        spoil(&mut observed);
        let report = reports_on(&observed, &[], 10).remove(0);
        let announced = said(&report.status, ANNOUNCED);
        assert!(
            announced.starts_with(&format!("False {reason} ")),
            "{announced}"
        );
        let reasons: Vec<_> = report.happenings.iter().map(|h| h.reason).collect();
        assert_eq!(reasons, if warned { vec![reason] } else { vec![] });
        announcement(&mut observed, &report.status);
        assert_eq!(reports_on(&observed, &[], 20), []);
    }
}

#[test]
fn a_refusal_is_a_warning_once_and_again_when_it_changes() {
    let asking = |address: &str| {
        json!({
            "metadata": {"annotations": {"heraldlb.io/loadBalancerIPs": address}},
            "status": {"loadBalancer": {"ingress": []}},
        })
    };
    let mut observed = scene(&asking("203.0.113.1"));
    let report = reports_on(&observed, &[], 10).remove(0);
    assert_eq!(
        said(&report.status, ALLOCATED),
        "False OutsideEveryPool Service shop/web requests 203.0.113.1, which is in no pool: \
         choose an address of lan or add it to one of them."
    );
    assert_eq!(
        said(&report.status, ANNOUNCED),
        "False NotAllocated The Service has no address to announce."
    );
    let [happening] = report.happenings.as_slice() else {
        panic!("{report:?}")
    };
    assert_eq!(
        (happening.kind, happening.reason),
        (Kind::Warning, "OutsideEveryPool")
    );
    announcement(&mut observed, &report.status);
    assert_eq!(reports_on(&observed, &[], 20), []);

    let mut changed = scene(&asking("203.0.113.2"));
    announcement(&mut changed, &report.status);
    let report = reports_on(&changed, &[], 30).remove(0);
    assert_eq!(report.happenings.len(), 1);
    let time = &report.status["conditions"][0]["lastTransitionTime"];
    assert_eq!(time, "1970-01-01T00:00:10Z", "refused all the time");
}

#[test]
fn a_holder_whose_wish_is_refused_reads_what_it_keeps() {
    let observed = scene(&json!({"metadata": {"annotations": {"metallb.io/address-pool": "x"}}}));
    let report = reports_on(&observed, &[], 10).remove(0);
    assert_eq!(
        said(&report.status, ALLOCATED),
        "False UnknownPool Service shop/web requests pool x, which does not exist: the pools are \
         lan. It keeps 192.0.2.1 from pool lan."
    );
}

#[test]
fn what_could_not_be_written_is_told_and_only_applied_addresses_are_listed() {
    let observed = scene(&json!({"status": {"loadBalancer": {"ingress": []}}}));
    let report = reports_on(&observed, &[("web", "forbidden (403)")], 10).remove(0);
    assert_eq!(report.happenings[0].reason, "NotWritten");
    assert_eq!(report.status["addresses"], json!([]));
    assert_eq!(
        said(&report.status, ALLOCATED),
        "False NotWritten The status of the Service could not be written: forbidden (403)."
    );
}

#[test]
fn a_new_service_of_the_same_name_becomes_the_owner_and_orphans_are_found() {
    let mut observed = scene(&json!({"metadata": {"uid": "u2"}}));
    announcement(&mut observed, &json!({}));
    let report = reports_on(&observed, &[], 10).remove(0);
    assert_eq!(
        report.object.unwrap()["metadata"]["ownerReferences"][0]["uid"],
        "u2"
    );
    assert_eq!(orphans(&observed), []);
    for changes in [
        json!({"spec": {"type": "ClusterIP"}}),
        json!({"spec": {"loadBalancerClass": "example.com/other"}}),
    ] {
        let mut observed = scene(&changes);
        announcement(&mut observed, &json!({}));
        assert_eq!(orphans(&observed), [(key(), "a1".to_owned())]);
    }
    observed.services.clear();
    assert_eq!(orphans(&observed).len(), 1);
}

#[test]
fn an_address_that_routers_know_is_announced_without_the_lan() {
    let mut observed = scene(&json!({}));
    observed.objects.l2_advertisements.clear();
    let advertisement = json!({"metadata": {"name": "all"}, "spec": {}});
    observed.objects.bgp_advertisements = vec![serde_json::from_value(advertisement).unwrap()];
    let first = reports_on(&observed, &[], 10);
    assert_eq!(
        said(&first[0].status, ANNOUNCED),
        "False WaitingForRouter No router knows 192.0.2.1 yet; heraldctl sessions shows why."
    );
    assert!(first[0].happenings.is_empty(), "nothing to be warned of");

    let mut status = first[0].status.clone();
    status["bgp"] = json!([
        {"node": "n1", "peers": ["spine", "tor"]},
        {"node": "gone", "peers": ["tor"]},
    ]);
    announcement(&mut observed, &status);
    let then = reports_on(&observed, &[], 20);
    assert_eq!(
        said(&then[0].status, ANNOUNCED),
        "True Announced n1 announces 192.0.2.1 to spine, tor."
    );
}

/// [`scene`] with an address of each family; the one endpoint is of IPv4.
fn dual(policy: &str) -> Observed {
    let mut observed = scene(&json!({
        "spec": {
            "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilyPolicy": "PreferDualStack",
            "externalTrafficPolicy": policy,
        },
        "status": {"loadBalancer": {"ingress": [
            {"ip": "192.0.2.1", "ipMode": "VIP"}, {"ip": "2001:db8::1", "ipMode": "VIP"},
        ]}},
    }));
    let pool = json!({
        "metadata": {"name": "six"}, "spec": {"addresses": ["2001:db8::/120"]},
    });
    observed
        .objects
        .pools
        .push(serde_json::from_value(pool).unwrap());
    observed.slices.insert(key(), vec![slice("IPv4", "n1")]);
    let nodes = observed.objects.nodes.as_mut().unwrap();
    let facts = nodes["n1"].clone();
    nodes.insert("n2".to_owned(), facts);
    observed
}

fn slice(family: &str, node: &str) -> Arc<Slice> {
    let slice = json!({
        "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": family,
        "endpoints": [{"addresses": ["::1"], "nodeName": node, "conditions": {"ready": true}}],
    });
    Arc::new(Slice::of(&serde_json::from_value(slice).unwrap()))
}

const IPV4_ALONE: &str = "2001:db8::1 is not announced: Service shop/web has ready IPv4 endpoints and no IPv6 \
                          endpoint: give its pods IPv6 addresses, or take IPv6 out of spec.ipFamilies.";

#[test]
fn an_address_without_endpoints_of_its_family_is_told_beside_one_that_is_announced() {
    for policy in ["Cluster", "Local"] {
        let mut observed = dual(policy);
        let entry = json!({"address": "192.0.2.1", "node": "n1", "interfaces": ["eth0"]});
        announcement(&mut observed, &json!({"layer2": [entry]}));
        let report = reports_on(&observed, &[], 10).remove(0);
        assert_eq!(
            said(&report.status, ANNOUNCED),
            format!("False NoEndpoints n1 answers for 192.0.2.1 on eth0. {IPV4_ALONE}")
        );
        assert_eq!(report.happenings, []);
    }
}

/// The speakers name the peers of a Service's addresses, and not which of them each node announces.
#[test]
fn routers_know_an_address_of_nodes_that_have_endpoints_of_its_family() {
    let (four_on_n1, six_on_n2) = (slice("IPv4", "n1"), slice("IPv6", "n2"));
    for (policy, slices, expected) in [
        (
            "Cluster",
            vec![four_on_n1.clone()],
            format!("False NoEndpoints n1, n2 announce 192.0.2.1 to tor. {IPV4_ALONE}"),
        ),
        (
            "Local",
            vec![four_on_n1.clone(), six_on_n2.clone()],
            "True Announced n1 announces 192.0.2.1 to tor. n2 announces 2001:db8::1 to tor."
                .to_owned(),
        ),
        (
            "Cluster",
            vec![four_on_n1, six_on_n2],
            "True Announced n1, n2 announce 192.0.2.1 to tor. n1, n2 announce 2001:db8::1 to tor."
                .to_owned(),
        ),
    ] {
        let mut observed = dual(policy);
        observed.slices.insert(key(), slices);
        observed.objects.l2_advertisements.clear();
        let advertisement = json!({"metadata": {"name": "all"}, "spec": {}});
        observed.objects.bgp_advertisements = vec![serde_json::from_value(advertisement).unwrap()];
        let entries = json!([{"node": "n1", "peers": ["tor"]}, {"node": "n2", "peers": ["tor"]}]);
        announcement(&mut observed, &json!({"bgp": entries}));
        let report = reports_on(&observed, &[], 10).remove(0);
        assert_eq!(said(&report.status, ANNOUNCED), expected, "{policy}");
    }
}

/// A condition that was never written has the time of the look that wants it.
#[test]
fn a_report_that_is_refused_is_the_same_report_in_a_later_look() {
    let observed = scene(&json!({}));
    let mut rejections = herald_runtime::rejections::Rejections::default();
    let start = herald_runtime::clock::now();
    let mut sent = Vec::new();
    for second in 0..40 {
        let now = start + std::time::Duration::from_secs(second);
        for report in reports_on(&observed, &[], i64::try_from(second).unwrap()) {
            let (target, content) = (report.target.clone(), report.content());
            if !rejections.waits(&target, || report.content(), now) {
                sent.push(second);
                rejections.note(target, content, now);
            }
        }
    }
    assert_eq!(sent, [0, 1, 3, 7, 15, 31]);
}
