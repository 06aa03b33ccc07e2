use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald_config::service::Class;
use herald_runtime::clock;
use serde_json::json;

use super::*;

use crate::book::Book;
use crate::decision::Decision;
use crate::kept::Announcement;
use crate::observed::Observed;

/// A Service of type LoadBalancer with changes merged in.
pub(crate) fn service(changes: &Value) -> Arc<Service> {
    let mut object = json!({
        "metadata": {
            "namespace": "shop", "name": "web", "uid": "u1", "resourceVersion": "7",
            "annotations": {},
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80}],
        },
    });
    merge(&mut object, changes);
    Arc::new(kept(&object))
}

pub(crate) fn kept(object: &Value) -> Service {
    Service::of(
        &serde_json::from_value(object.clone()).unwrap(),
        &Class::default(),
    )
}

pub(crate) fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

pub(crate) fn pool(name: &str, address: &str) -> herald_crds::IPAddressPool {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": "p1", "generation": 3, "resourceVersion": "4"},
        "spec": {"addresses": [address]},
    }))
    .unwrap()
}

pub(crate) fn observed(service: Arc<Service>, pools: &[(&str, &str)]) -> Observed {
    let mut observed = Observed {
        services: [(ServiceKey::new("shop", "web"), service)].into(),
        ..Observed::default()
    };
    observed.objects.pools = pools
        .iter()
        .map(|(name, address)| pool(name, address))
        .collect();
    observed.objects.namespaces = Some([("shop".to_owned(), BTreeMap::new())].into());
    observed.objects.nodes = Some(BTreeMap::new());
    observed
}

/// What a new book says of everything.
pub(crate) fn decide(observed: &Observed) -> Decision {
    let mut book = Book::new(Duration::ZERO);
    book.configure(observed.objects.clone());
    for (key, object) in &observed.services {
        // Whatever carries our mark is ours.
        let listed = || match object.pools.is_some() {
            true => object.ingress.addresses().into_iter().collect(),
            false => Vec::new(),
        };
        book.enter(key, Some(object), listed);
    }
    book.plan(clock::now(), Timestamp::UNIX_EPOCH);
    book.decision()
}

fn patches_of(observed: &Observed) -> Vec<Patch> {
    let plan = decide(observed).plan;
    let services = observed.services.iter();
    let write = |(key, object): (&ServiceKey, &Arc<Service>)| {
        let listed = || {
            let announcement = observed.announcements.get(key);
            announcement.map_or_else(Vec::new, |one| one.listed(object))
        };
        patch(key, object, &plan, listed, Timestamp::UNIX_EPOCH)
    };
    services.filter_map(write).collect()
}

fn holding(address: &str, pool: &str) -> Value {
    json!({
        "metadata": {"annotations": {ALLOCATED_FROM_POOL: pool}},
        "status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}},
    })
}

#[test]
fn each_difference_between_plan_and_service_is_one_patch_with_one_event() {
    let ip = |address: &str| json!([{"ip": address, "ipMode": "VIP"}]);
    let bare = json!({
        "metadata": {"annotations": {ALLOCATED_FROM_POOL: "lan"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    });
    let other = json!({
        "metadata": {"annotations": {ALLOCATED_FROM_POOL: "old-name"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}},
    });
    for (what, changes, pools, ingress, annotation, said) in [
        (
            "new",
            json!({}),
            &[("lan", "192.0.2.1")][..],
            ip("192.0.2.1"),
            json!("lan"),
            Some("Normal IPAllocated Assigned 192.0.2.1 from pool lan."),
        ),
        (
            "no ipMode",
            bare,
            &[("lan", "192.0.2.1")],
            ip("192.0.2.1"),
            json!("lan"),
            None,
        ),
        (
            "pool renamed",
            other,
            &[("lan", "192.0.2.1")],
            ip("192.0.2.1"),
            json!("lan"),
            None,
        ),
        (
            "moved",
            holding("192.0.2.9", "lan"),
            &[("lan", "192.0.2.1")],
            ip("192.0.2.1"),
            json!("lan"),
            Some(
                "Warning IPMoved Took 192.0.2.9 (PoolShrunk: pool lan no longer contains it) \
                 away. The Service now has 192.0.2.1 from pool lan.",
            ),
        ),
        (
            "released",
            holding("192.0.2.9", "lan"),
            &[("six", "2001:db8::1")],
            Value::Null,
            Value::Null,
            Some(
                "Warning IPReleased Took 192.0.2.9 (PoolDeleted: pool lan no longer exists) away. \
                 The Service has no address now.",
            ),
        ),
        (
            "another type",
            {
                let mut changes = holding("192.0.2.1", "lan");
                merge(&mut changes, &json!({"spec": {"type": "ClusterIP"}}));
                changes
            },
            &[("lan", "192.0.2.1")],
            Value::Null,
            Value::Null,
            Some(
                "Normal IPReleased Released its address: it is not of type LoadBalancer any more.",
            ),
        ),
    ] {
        let observed = observed(service(&changes), pools);
        let patches = patches_of(&observed);
        let [patch] = patches.as_slice() else {
            panic!("{what}: {patches:?}")
        };
        let body = json!({
            "metadata": {"resourceVersion": "7", "annotations": {ALLOCATED_FROM_POOL: annotation}},
            "status": {"loadBalancer": {"ingress": ingress}},
        });
        let mut written = patch.body.clone();
        let conditions = written["status"]
            .as_object_mut()
            .unwrap()
            .remove("conditions");
        assert_eq!(written, body, "{what}");
        let condition = &conditions.unwrap()[0];
        assert_eq!(condition["type"], ADDRESS_ALLOCATED, "{what}");
        let told = match what {
            "released" => json!("False"),
            "another type" => Value::Null,
            _ => json!("True"),
        };
        assert_eq!(condition["status"], told, "{what}");
        let unasked = matches!(what, "moved" | "released");
        assert_eq!(patch.unasked, unasked, "{what}");
        let happening = patch.happening.as_ref();
        let heard = happening.map(|h| format!("{:?} {} {}", h.kind, h.reason, h.note));
        assert_eq!(heard.as_deref(), said, "{what}");
        assert!(happening.is_none_or(|h| h.regarding.uid.as_deref() == Some("u1")));
    }
}

#[test]
fn what_stands_as_planned_is_not_written() {
    for (changes, pools) in [
        (holding("192.0.2.1", "lan"), &[("lan", "192.0.2.1")][..]),
        (json!({}), &[]),
        (
            json!({"spec": {"type": "ClusterIP"}}),
            &[("lan", "192.0.2.1")],
        ),
        (
            json!({"spec": {"loadBalancerClass": "example.com/other"}}),
            &[("lan", "192.0.2.1")],
        ),
    ] {
        assert_eq!(
            patches_of(&observed(service(&changes), pools)),
            [],
            "{changes}"
        );
    }
}

#[test]
fn two_families_stand_in_order_and_two_pools_in_the_annotation() {
    let dual = json!({"spec": {
        "clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilyPolicy": "RequireDualStack",
    }});
    let observed = observed(
        service(&dual),
        &[("six", "2001:db8::1"), ("four", "192.0.2.1")],
    );
    let patches = patches_of(&observed);
    assert_eq!(
        patches[0].body["status"]["loadBalancer"]["ingress"],
        json!([{"ip": "192.0.2.1", "ipMode": "VIP"}, {"ip": "2001:db8::1", "ipMode": "VIP"}])
    );
    assert_eq!(
        patches[0].body["metadata"]["annotations"][ALLOCATED_FROM_POOL],
        "four,six"
    );
    let note = &patches[0].happening.as_ref().unwrap().note;
    assert_eq!(
        note,
        "Assigned 192.0.2.1 from pool four and 2001:db8::1 from pool six."
    );
}

#[test]
fn a_service_that_is_not_ours_any_more_is_left_with_what_it_has_and_without_our_marks() {
    let ingress = json!([{"ip": "192.0.2.1"}, {"ip": "203.0.113.9"}]);
    let changes = json!({
        "metadata": {"annotations": {ALLOCATED_FROM_POOL: "lan"}},
        "spec": {"loadBalancerClass": "example.com/other"},
        "status": {"loadBalancer": {"ingress": ingress}},
    });
    let mut observed = observed(service(&changes), &[("lan", "192.0.2.1")]);
    let announcement = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web", "ownerReferences": [
            {"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "u1"}]},
        "status": {"addresses": [{"address": "192.0.2.1", "pool": "lan"}]},
    }));
    let key = ServiceKey::new("shop", "web");
    observed
        .announcements
        .insert(key, Arc::new(Announcement::of(&announcement.unwrap())));
    let patches = patches_of(&observed);
    let [patch] = patches.as_slice() else {
        panic!("{patches:?}")
    };
    assert_eq!(patch.body["status"]["loadBalancer"]["ingress"], ingress);
    let annotations = json!({ALLOCATED_FROM_POOL: null});
    assert_eq!(patch.body["metadata"]["annotations"], annotations);
    let note = &patch.happening.as_ref().unwrap().note;
    assert_eq!(
        note,
        "Left 192.0.2.1 to others: Herald does not serve its loadBalancerClass."
    );
}

#[test]
fn the_addresses_of_a_service_that_stops_being_a_load_balancer_are_noted_until_it_is_one_again() {
    let announcement = json!({
        "metadata": {"namespace": "shop", "name": "web", "ownerReferences": [
            {"apiVersion": "v1", "kind": "Service", "name": "web", "uid": "u1"}]},
        "status": {"addresses": [{"address": "192.0.2.7", "pool": "lan"}]},
    });
    // The API server empties the status itself.
    let mut retyped = json!({
        "metadata": {"annotations": {ALLOCATED_FROM_POOL: "lan"}}, "spec": {"type": "ClusterIP"},
    });
    let mut observed = observed(service(&retyped), &[("lan", "192.0.2.0/24")]);
    let key = ServiceKey::new("shop", "web");
    let announcement = serde_json::from_value(announcement).unwrap();
    let announcement = Arc::new(Announcement::of(&announcement));
    observed.announcements.insert(key.clone(), announcement);
    let noted = patches_of(&observed)[0].body["metadata"]["annotations"].clone();
    assert_eq!(
        noted,
        json!({ALLOCATED_FROM_POOL: null, LAST_ADDRESSES: "192.0.2.7"})
    );

    retyped["spec"]["type"] = json!("LoadBalancer");
    retyped["metadata"]["annotations"] = json!({LAST_ADDRESSES: "192.0.2.7"});
    observed.services.insert(key, service(&retyped));
    let again = patches_of(&observed)[0].body.clone();
    let ingress = json!([{"ip": "192.0.2.7", "ipMode": "VIP"}]);
    assert_eq!(again["status"]["loadBalancer"]["ingress"], ingress);
    let annotations = json!({ALLOCATED_FROM_POOL: "lan", LAST_ADDRESSES: null});
    assert_eq!(again["metadata"]["annotations"], annotations);
}

#[test]
fn an_address_from_somebody_else_is_adopted_or_left_alone() {
    let theirs = json!({
        "metadata": {"annotations": {"metallb.io/ip-allocated-from-pool": "prod"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
    });
    let adopted = observed(service(&theirs), &[("lan", "192.0.2.0/24")]);
    let patches = patches_of(&adopted);
    let [patch] = patches.as_slice() else {
        panic!("{patches:?}")
    };
    let annotations = json!({ALLOCATED_FROM_POOL: "lan"});
    assert_eq!(patch.body["metadata"]["annotations"], annotations);
    assert!(!patch.unasked && !patch.frees());
    let happening = patch.happening.as_ref().unwrap();
    assert_eq!(happening.reason, "IPAdopted");
    let note = "Adopted 192.0.2.7 from pool lan: the Service had it already.";
    assert_eq!(happening.note, note);
    for pools in [&[][..], &[("lan", "198.51.100.0/24")]] {
        assert_eq!(patches_of(&observed(service(&theirs), pools)), []);
    }
}

#[test]
fn an_address_that_was_taken_out_of_the_status_is_written_again() {
    let emptied = json!({"metadata": {"annotations": {ALLOCATED_FROM_POOL: "lan"}}});
    let before = service(&holding("192.0.2.7", "lan"));
    let observed = observed(Arc::clone(&before), &[("lan", "192.0.2.0/24")]);
    let key = ServiceKey::new("shop", "web");
    let had = || vec!["192.0.2.7".parse().unwrap()];
    let emptied = service(&emptied);
    // Remembered in this life, or listed since an earlier one.
    for remembers in [true, false] {
        let mut book = Book::new(Duration::ZERO);
        book.configure(observed.objects.clone());
        if remembers {
            book.enter(&key, Some(&before), had);
            book.plan(clock::now(), Timestamp::UNIX_EPOCH);
        }
        book.enter(&key, Some(&emptied), || {
            if remembers { Vec::new() } else { had() }
        });
        let (plan, _) = book.plan(clock::now(), Timestamp::UNIX_EPOCH);
        let patch = patch(&key, &emptied, plan, Vec::new, Timestamp::UNIX_EPOCH).unwrap();
        let ingress = json!([{"ip": "192.0.2.7", "ipMode": "VIP"}]);
        assert_eq!(patch.body["status"]["loadBalancer"]["ingress"], ingress);
        assert_eq!(patch.happening.unwrap().reason, "IPRestored");
    }
}

#[test]
fn a_patch_that_makes_an_address_free_goes_first() {
    let frees = |changes: &Value, pools: &[(&str, &str)]| {
        patches_of(&observed(service(changes), pools))[0].frees()
    };
    assert!(!frees(&json!({}), &[("lan", "192.0.2.1")]));
    assert!(frees(&holding("192.0.2.9", "lan"), &[("lan", "192.0.2.1")]));
    assert!(frees(
        &holding("192.0.2.9", "lan"),
        &[("six", "2001:db8::1")]
    ));
}
