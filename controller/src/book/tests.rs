use serde_json::{Value, json};

use super::*;
use crate::assign::tests::{kept, merge, pool};
use crate::condition::ADDRESS_ALLOCATED;
use herald_config::service::ALLOCATED_FROM_POOL;
use herald_runtime::clock;

const GRACE: Duration = Duration::from_secs(60);

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("shop", name)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A Service that has an address, with changes merged in.
fn service(name: &str, address: &str, changes: &Value) -> Service {
    let mut object = json!({
        "metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "7",
            "annotations": {}},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}},
    });
    merge(&mut object, changes);
    kept(&object)
}

fn marked(pool: &str) -> Value {
    json!({"metadata": {"annotations": {ALLOCATED_FROM_POOL: pool}}})
}

fn objects(pools: &[(&str, &str)]) -> Objects {
    Objects {
        pools: pools
            .iter()
            .map(|(name, range)| pool(name, range))
            .collect(),
        namespaces: Some([("shop".to_owned(), BTreeMap::new())].into()),
        nodes: Some(BTreeMap::new()),
        ..Objects::default()
    }
}

/// The addresses that Services have, lose and are left with.
fn outcome(book: &mut Book, now: Instant) -> BTreeMap<String, String> {
    let (plan, _) = book.plan(now, Timestamp::UNIX_EPOCH);
    let plan = plan.clone();
    let each = book.services().map(|key| {
        let has: Vec<String> = plan
            .places(key)
            .iter()
            .map(|p| p.address.to_string())
            .collect();
        let alone = plan.alone.get(key).into_iter().flatten();
        let alone = alone.map(|address| format!("{address} alone"));
        (
            key.name().to_owned(),
            has.into_iter().chain(alone).collect::<Vec<_>>().join(" "),
        )
    });
    each.collect()
}

fn of(outcome: &BTreeMap<String, String>, name: &str) -> String {
    outcome.get(name).cloned().unwrap_or_default()
}

#[test]
fn what_was_adopted_is_ours_from_then_on_and_what_was_not_is_left_alone() {
    let now = clock::now();
    let theirs = service("web", "192.0.2.7", &json!({}));
    let wide = objects(&[("lan", "192.0.2.0/24")]);
    let narrow = objects(&[("lan", "192.0.2.128/25")]);
    let relabelled = service(
        "web",
        "192.0.2.7",
        &json!({"metadata": {"labels": {"a": "b"}}}),
    );

    let mut book = Book::new(GRACE);
    book.configure(wide.clone());
    book.enter(&key("web"), Some(&theirs), Vec::new);
    assert_eq!(of(&outcome(&mut book, now), "web"), "192.0.2.7");
    book.enter(&key("web"), Some(&relabelled), Vec::new);
    book.configure(narrow.clone());
    assert_eq!(
        of(&outcome(&mut book, now), "web"),
        "192.0.2.128",
        "a changed pool takes it"
    );

    let mut book = Book::new(GRACE);
    book.configure(narrow.clone());
    book.enter(&key("web"), Some(&theirs), Vec::new);
    assert_eq!(of(&outcome(&mut book, now), "web"), "192.0.2.7 alone");
    book.enter(&key("web"), Some(&relabelled), Vec::new);
    assert_eq!(of(&outcome(&mut book, now), "web"), "192.0.2.7 alone");
    book.configure(wide.clone());
    assert_eq!(of(&outcome(&mut book, now), "web"), "192.0.2.7");

    // A new leader knows by the condition which addresses are Herald's.
    let condition = json!({"status": {"conditions": [{
        "type": ADDRESS_ALLOCATED, "status": "True", "reason": "Allocated",
        "message": "The Service has 192.0.2.7 from pool lan and 2001:db8::7 from pool six.",
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    }]}});
    for (address, has) in [
        ("192.0.2.7", "192.0.2.128"),
        ("192.0.2.70", "192.0.2.70 alone"),
    ] {
        let mut book = Book::new(GRACE);
        book.configure(narrow.clone());
        let ours = service("web", address, &condition);
        book.enter(&key("web"), Some(&ours), Vec::new);
        assert_eq!(of(&outcome(&mut book, now), "web"), has);
    }

    // Or by the ServiceAnnouncement.
    let mut book = Book::new(GRACE);
    book.configure(narrow.clone());
    book.enter(&key("web"), Some(&theirs), || vec![ip("192.0.2.7")]);
    assert_eq!(of(&outcome(&mut book, now), "web"), "192.0.2.128");
}

#[test]
fn a_pool_that_is_deleted_and_made_again_within_the_grace_moves_nobody() {
    let start = clock::now();
    let both = objects(&[("lan", "192.0.2.0/24"), ("other", "198.51.100.0/24")]);
    let mut one = both.clone();
    one.pools
        .retain(|pool| pool.metadata.name.as_deref() == Some("other"));
    // It holds what the pool held, too.
    one.pools[0].spec.addresses.push("192.0.2.9".to_owned());

    let mut book = Book::new(GRACE);
    book.configure(both.clone());
    let holder = service("web", "192.0.2.7", &marked("lan"));
    book.enter(&key("web"), Some(&holder), || vec![ip("192.0.2.7")]);
    outcome(&mut book, start);
    book.configure(one.clone());
    let asks = json!({
        "metadata": {"annotations": {"heraldlb.io/loadBalancerIPs": "192.0.2.9"}},
        "status": {"loadBalancer": {"ingress": null}},
    });
    book.enter(&key("new"), Some(&service("new", "", &asks)), Vec::new);
    let meanwhile = outcome(&mut book, start + GRACE / 2);
    assert_eq!(of(&meanwhile, "web"), "192.0.2.7");
    assert_eq!(
        of(&meanwhile, "new"),
        "",
        "nobody gets an address of it meanwhile"
    );
    book.configure(both.clone());
    assert_eq!(
        of(&outcome(&mut book, start + GRACE * 2), "web"),
        "192.0.2.7"
    );

    book.configure(one.clone());
    outcome(&mut book, start + GRACE * 2);
    let (_, aside) = book.plan(start + GRACE * 2, Timestamp::UNIX_EPOCH);
    assert_eq!(aside.next, Some(start + GRACE * 3));
    let after = outcome(&mut book, start + GRACE * 3);
    assert_eq!(of(&after, "web"), "198.51.100.0");
    assert_eq!(of(&after, "new"), "192.0.2.9");
}

#[test]
fn who_edits_pays_also_when_the_edit_was_made_while_no_controller_ran() {
    let now = clock::now();
    let sharing = |port: u16, policy: &str| {
        json!({
            "metadata": {"annotations": {
                ALLOCATED_FROM_POOL: "lan", "heraldlb.io/allow-shared-ip": "dns"}},
            "spec": {"ports": [{"port": port}], "externalTrafficPolicy": policy,
                "selector": {"app": "dns"}},
        })
    };
    let listed = || vec![ip("192.0.2.200")];
    let objects = objects(&[("lan", "192.0.2.0/24")]);
    // The first by name is preferred where nobody knows better.
    let (old, young) = (key("a-old"), key("b-young"));
    let mut book = Book::new(GRACE);
    book.configure(objects.clone());
    for (name, port) in [(&old, 53), (&young, 54)] {
        let object = service(name.name(), "192.0.2.200", &sharing(port, "Cluster"));
        book.enter(name, Some(&object), listed);
    }
    outcome(&mut book, now);
    let stale = book.take_stale();
    let mut pages: BTreeMap<u8, Page> = stale.into_iter().map(|n| (n, Page::new())).collect();
    book.write_on(&mut pages);
    assert_eq!(pages.len(), 1, "{pages:?}");

    for edit in [sharing(53, "Local"), sharing(54, "Cluster")] {
        for restarted in [false, true] {
            let mut book = match restarted {
                true => Book::new(GRACE),
                false => {
                    let mut book = Book::new(GRACE);
                    book.configure(objects.clone());
                    for (name, port) in [(&old, 53), (&young, 54)] {
                        let sharing = sharing(port, "Cluster");
                        let object = service(name.name(), "192.0.2.200", &sharing);
                        book.enter(name, Some(&object), listed);
                    }
                    outcome(&mut book, now);
                    book
                }
            };
            if restarted {
                book.recall(agreed::recall(pages.values()));
                book.configure(objects.clone());
                let object = service(young.name(), "192.0.2.200", &sharing(54, "Cluster"));
                book.enter(&young, Some(&object), listed);
            }
            let object = service(old.name(), "192.0.2.200", &edit);
            book.enter(&old, Some(&object), listed);
            for _ in 0..3 {
                let outcome = outcome(&mut book, now);
                assert_eq!(of(&outcome, "b-young"), "192.0.2.200", "{edit} {restarted}");
                assert_eq!(of(&outcome, "a-old"), "192.0.2.0", "{edit} {restarted}");
            }
        }
    }
}

/// Without the mark an address would be somebody else's, and those are never taken.
#[test]
fn a_user_who_strips_the_mark_does_not_keep_what_she_may_not() {
    let now = clock::now();
    let sharing = |port: u16, mark: Option<&str>| {
        let mut changes = mark.map(marked).unwrap_or_default();
        let shares = json!({
            "metadata": {"annotations": {"heraldlb.io/allow-shared-ip": "dns"}},
            "spec": {"ports": [{"port": port}]},
        });
        match changes.is_null() {
            true => changes = shares,
            false => merge(&mut changes, &shares),
        }
        changes
    };
    let listed = || vec![ip("192.0.2.200")];
    let mut book = Book::new(GRACE);
    book.configure(objects(&[("lan", "192.0.2.0/24")]));
    for (name, port) in [("a-hers", 80), ("b-theirs", 443)] {
        let object = service(name, "192.0.2.200", &sharing(port, Some("lan")));
        book.enter(&key(name), Some(&object), listed);
    }
    outcome(&mut book, now);
    let edited = service("a-hers", "192.0.2.200", &sharing(443, None));
    book.enter(&key("a-hers"), Some(&edited), Vec::new);
    let outcome = outcome(&mut book, now);
    assert_eq!(of(&outcome, "b-theirs"), "192.0.2.200");
    assert_eq!(of(&outcome, "a-hers"), "192.0.2.0");
}

#[test]
fn what_a_service_of_another_load_balancer_has_is_given_to_nobody() {
    let now = clock::now();
    let theirs = json!({"spec": {"loadBalancerClass": "example.com/theirs"}});
    let free = json!({"status": {"loadBalancer": {"ingress": null}}});
    let mut book = Book::new(GRACE);
    book.configure(objects(&[("lan", "192.0.2.1-192.0.2.2")]));
    let theirs = service("theirs", "192.0.2.1", &theirs);
    book.enter(&key("theirs"), Some(&theirs), Vec::new);
    book.enter(&key("ours"), Some(&service("ours", "", &free)), Vec::new);
    assert_eq!(of(&outcome(&mut book, now), "ours"), "192.0.2.2");
    let asks = json!({
        "metadata": {"annotations": {"heraldlb.io/loadBalancerIPs": "192.0.2.1"}},
        "status": {"loadBalancer": {"ingress": null}},
    });
    book.enter(&key("asks"), Some(&service("asks", "", &asks)), Vec::new);
    assert_eq!(of(&outcome(&mut book, now), "asks"), "");
    let (plan, _) = book.plan(now, Timestamp::UNIX_EPOCH);
    let refusal = plan.refuse[&key("asks")].to_string();
    let whose = "an address of Service shop/theirs, which another load balancer serves";
    assert!(refusal.contains(whose), "{refusal}");
    book.enter(&key("theirs"), None, Vec::new);
    assert_eq!(of(&outcome(&mut book, now), "asks"), "192.0.2.1");
}

#[test]
fn external_ips_of_any_service_are_told_once_they_change_and_only_then() {
    let told = |book: &mut Book| {
        book.configure(objects(&[("lan", "192.0.2.0/30")]));
        let decision = book.decision();
        let problems = decision.compiled.problems.iter();
        problems
            .map(|problem| problem.reason.label())
            .collect::<Vec<_>>()
    };
    let inner = |external: &[&str]| {
        kept(&json!({
            "metadata": {"namespace": "shop", "name": "inner", "resourceVersion": "1"},
            "spec": {"type": "ClusterIP", "externalIPs": external},
        }))
    };
    let mut book = Book::new(GRACE);
    book.enter(&key("inner"), Some(&inner(&[])), Vec::new);
    assert!(!book.is_outdated());
    assert_eq!(told(&mut book), ["NotAdvertised"]);
    book.enter(&key("inner"), Some(&inner(&["192.0.2.2"])), Vec::new);
    assert!(book.is_outdated());
    assert_eq!(told(&mut book), ["NotAdvertised", "ExternalIP"]);
    book.enter(&key("inner"), Some(&inner(&["192.0.2.2"])), Vec::new);
    assert!(!book.is_outdated());
    book.enter(&key("inner"), None, Vec::new);
    assert!(book.is_outdated());
    assert_eq!(told(&mut book), ["NotAdvertised"]);
}
