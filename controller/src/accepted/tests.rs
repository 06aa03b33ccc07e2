use std::sync::Arc;

use herald_config::Objects;
use serde_json::json;

use super::*;
use crate::assign::tests::decide;
use crate::assign::tests::{observed, pool, service};
use crate::kept::Service;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn reports_on(objects: &Objects, sent: &mut Sent, second: i64) -> Vec<Report> {
    reports_with(service(&json!({})), objects, sent, second)
}

fn reports_with(
    service: Arc<Service>,
    objects: &Objects,
    sent: &mut Sent,
    second: i64,
) -> Vec<Report> {
    let mut observed = observed(service, &[]);
    let namespaces = observed.objects.namespaces.take();
    observed.objects = Objects {
        namespaces,
        ..objects.clone()
    };
    let decision = decide(&observed);
    reports(&observed, &decision, sent, at(second))
}

fn pools(address: &str) -> Objects {
    Objects {
        pools: vec![pool("lan", address)],
        ..Objects::default()
    }
}

/// The object as it is once the report was written.
fn written(objects: &mut Objects, report: &Report, version: &str) {
    let mut object = serde_json::to_value(&objects.pools[0]).unwrap();
    object["status"] = report.status.clone();
    object["metadata"]["resourceVersion"] = json!(version);
    objects.pools[0] = serde_json::from_value(object).unwrap();
}

#[test]
fn a_pool_gets_its_condition_and_counts_once() {
    let mut objects = pools("192.0.2.0/30");
    let mut sent = Sent::default();
    let reports = reports_on(&objects, &mut sent, 10);
    let [report] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (report.target.kind, report.target.name.as_str()),
        ("IPAddressPool", "lan")
    );
    let condition = &report.status["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("Accepted"), &json!("True"))
    );
    assert_eq!(condition["observedGeneration"], 3);
    let counts = [
        "assignedIPv4",
        "availableIPv4",
        "capacityIPv4",
        "assignedIPv6",
    ];
    assert_eq!(
        counts.map(|c| report.status[c].as_i64()),
        [Some(1), Some(3), Some(4), Some(0)]
    );
    assert_eq!(
        report.happenings,
        [],
        "a new object that is fine is not worth an Event"
    );

    written(&mut objects, report, "9");
    assert_eq!(
        reports_on(&objects, &mut sent, 20),
        [],
        "nothing new, nothing written"
    );
}

#[test]
fn nothing_is_said_twice_while_the_watch_lags() {
    let objects = pools("192.0.2.1/30");
    let mut sent = Sent::default();
    let reports = reports_on(&objects, &mut sent, 10);
    assert_eq!(reports[0].happenings.len(), 1);
    sent.remember(&reports[0], 9);
    assert_eq!(reports_on(&objects, &mut sent, 20), []);
}

#[test]
fn a_mistake_is_a_warning_and_its_repair_a_normal_event() {
    let mut objects = pools("192.0.2.1/30");
    let mut sent = Sent::default();
    let broken = reports_on(&objects, &mut sent, 10).remove(0);
    let condition = &broken.status["conditions"][0];
    assert_eq!(
        (&condition["status"], &condition["reason"]),
        (&json!("False"), &json!("HostBitsSet"))
    );
    assert_eq!(
        broken.status.get("assignedIPv4"),
        None,
        "a pool set aside counts nothing"
    );
    let [warning] = broken.happenings.as_slice() else {
        panic!("{broken:?}")
    };
    assert_eq!(
        (warning.kind, warning.reason),
        (Kind::Warning, "HostBitsSet")
    );
    assert_eq!(warning.note, condition["message"]);
    assert_eq!(warning.regarding.uid.as_deref(), Some("p1"));

    written(&mut objects, &broken, "9");
    assert_eq!(reports_on(&objects, &mut sent, 15), []);
    objects.pools[0].spec.addresses = vec!["192.0.2.0/30".into()];
    let repaired = reports_on(&objects, &mut sent, 20).remove(0);
    let condition = &repaired.status["conditions"][0];
    assert_eq!(condition["status"], "True");
    assert_eq!(condition["lastTransitionTime"], "1970-01-01T00:00:20Z");
    assert_eq!(repaired.happenings[0].kind, Kind::Normal);
}

#[test]
fn a_reservation_names_the_service_that_holds_what_it_keeps_while_it_does() {
    let reservation = |status: &Value| {
        let object = json!({
            "metadata": {"name": "r", "uid": "r1", "generation": 1, "resourceVersion": "4"},
            "spec": {"addresses": ["192.0.2.1"], "service": {"namespace": "shop", "name": "web"}},
            "status": status,
        });
        Objects {
            reservations: vec![serde_json::from_value(object).unwrap()],
            ..pools("192.0.2.0/30")
        }
    };
    let holding = |address: &str| {
        let ingress = json!([{"ip": address, "ipMode": "VIP"}]);
        service(&json!({"status": {"loadBalancer": {"ingress": ingress}}}))
    };
    let status = |service: Arc<Service>, objects: &Objects| {
        let reports = reports_with(service, objects, &mut Sent::default(), 10);
        let mut reports = reports.into_iter();
        let report = reports.find(|report| report.target.kind == "IPReservation");
        report.map(|report| report.status)
    };
    let bound = json!({"namespace": "shop", "name": "web"});
    let first = status(holding("192.0.2.1"), &reservation(&json!({}))).unwrap();
    assert_eq!(first["boundService"], bound);
    assert_eq!(
        status(holding("192.0.2.1"), &reservation(&first)),
        None,
        "nothing new, nothing written"
    );
    let left = status(holding("192.0.2.2"), &reservation(&first)).unwrap();
    assert_eq!(left.get("boundService"), None, "it holds another address");

    let other = json!({
        "metadata": {"name": "other"}, "spec": {"loadBalancerClass": "other/lb"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    });
    let foreign = status(service(&other), &reservation(&json!({}))).unwrap();
    assert_eq!(
        foreign.get("boundService"),
        None,
        "that Service is not ours"
    );
}

#[test]
fn every_kind_gets_its_condition() {
    let named = |spec: Value| json!({"metadata": {"name": "x"}, "spec": spec});
    let from = |value: Value| value;
    let objects = Objects {
        pools: vec![pool("lan", "192.0.2.0/30")],
        reservations: vec![
            serde_json::from_value(from(named(json!({"addresses": ["192.0.2.1"]})))).unwrap(),
        ],
        l2_advertisements: vec![serde_json::from_value(named(json!({}))).unwrap()],
        bgp_advertisements: vec![serde_json::from_value(named(json!({}))).unwrap()],
        bgp_peers: vec![
            serde_json::from_value(named(json!({
                "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.200",
            })))
            .unwrap(),
        ],
        bfd_profiles: vec![serde_json::from_value(named(json!({}))).unwrap()],
        communities: vec![serde_json::from_value(named(json!({"communities": []}))).unwrap()],
        ..Objects::default()
    };
    let reports = reports_on(&objects, &mut Sent::default(), 10);
    let kinds: Vec<_> = reports
        .iter()
        .map(|r| {
            (
                r.target.kind,
                r.status["conditions"][0]["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("IPAddressPool", "Accepted"),
            ("IPReservation", "Accepted"),
            ("L2Advertisement", "Accepted"),
            ("BGPAdvertisement", "Accepted"),
            ("BGPPeer", "Accepted"),
            ("BFDProfile", "Accepted"),
            ("Community", "Accepted"),
        ]
    );
    assert!(
        reports
            .iter()
            .all(|r| r.status["conditions"][0]["status"] == "True")
    );
    assert!(reports.iter().all(|r| r.happenings.is_empty()));
    assert!(reports.iter().all(|r| r.resource.kind == r.target.kind));
}
