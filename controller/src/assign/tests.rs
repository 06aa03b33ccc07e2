use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::book::Book;
use crate::decision::Decision;
use crate::kept::Announcement;
use crate::observed::Observed;

const CLASS: &str = "heraldlb.io/herald";

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
    Service::of(&serde_json::from_value(object.clone()).unwrap(), CLASS)
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
    let mut book = Book::default();
    book.configure(observed.objects.clone());
    for (key, object) in &observed.services {
        book.enter(key, Some(object));
    }
    book.decision()
}

fn patches_of(observed: &Observed) -> Vec<Patch> {
    let plan = decide(observed).plan;
    let services = observed.services.iter();
    let write = |(key, object): (&ServiceKey, &Arc<Service>)| {
        let given = || {
            let announcement = observed.announcements.get(key);
            let listed = announcement.into_iter().flat_map(|a| &a.addresses);
            listed.map(|one| one.address.clone()).collect()
        };
        patch(key, object, &plan, given, Timestamp::UNIX_EPOCH)
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
            &[],
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
fn a_service_that_went_to_another_class_keeps_what_others_gave_it() {
    let mut changes = json!({
        "metadata": {"annotations": {ALLOCATED_FROM_POOL: "lan"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "203.0.113.9"}]}},
    });
    merge(
        &mut changes,
        &json!({"spec": {"loadBalancerClass": "example.com/other"}}),
    );
    let mut observed = observed(service(&changes), &[("lan", "192.0.2.1")]);
    let announcement = serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": "web"},
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
    assert_eq!(
        patch.body["status"]["loadBalancer"]["ingress"],
        json!([{"ip": "203.0.113.9"}])
    );
    let note = &patch.happening.as_ref().unwrap().note;
    assert_eq!(
        note,
        "Released 192.0.2.1: its loadBalancerClass is not Herald's."
    );
}

#[test]
fn a_patch_that_makes_an_address_free_goes_first() {
    let frees = |changes: &Value, pools: &[(&str, &str)]| {
        patches_of(&observed(service(changes), pools))[0].frees()
    };
    assert!(!frees(&json!({}), &[("lan", "192.0.2.1")]));
    assert!(frees(&holding("192.0.2.9", "lan"), &[("lan", "192.0.2.1")]));
    assert!(frees(&holding("192.0.2.9", "lan"), &[]));
}
