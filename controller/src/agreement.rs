//! Whatever happens, a Service's status and condition, its ServiceAnnouncement and the counts of the pools
//! say the same once what was decided is written: random histories on a plain model of the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use herald_config::service::{self, Class};
use herald_model::announce::desired;
use herald_model::service::ServiceKey;
use herald_runtime::clock;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::book::Book;
use crate::condition::ADDRESS_ALLOCATED;
use crate::decision::world;
use crate::facts::Facts;
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::report::{Report, Sent};
use crate::{accepted, announcements, assign, kept};

/// What somebody does.
#[derive(Debug, Clone)]
enum Step {
    /// A Service comes, or is written anew: which, the address it asks for, whether it shares.
    Put(u8, Option<u8>, bool),
    Delete(u8),
    /// It is another controller's from now on.
    GiveAway(u8),
    /// The pool is so long from now on.
    Resize(u8),
    /// The API server refuses every write of this round.
    Refuse,
    /// The wall clock jumps to this many seconds since 1970.
    Clock(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..6_u8;
    let step = prop_oneof![
        4 => (name.clone(), prop::option::of(0..8_u8), any::<bool>())
            .prop_map(|(name, asks, shares)| Step::Put(name, asks, shares)),
        2 => name.clone().prop_map(Step::Delete),
        1 => name.prop_map(Step::GiveAway),
        2 => (1..8_u8).prop_map(Step::Resize),
        1 => Just(Step::Refuse),
        1 => (0..4_000_000_000_i64).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 1..30)
}

/// The API server, as far as it matters: objects and one version for all.
#[derive(Default)]
struct Server {
    services: BTreeMap<ServiceKey, Value>,
    announcements: BTreeMap<ServiceKey, Value>,
    pool: Value,
    version: u64,
    /// What the controller's wall clock says, in seconds since 1970.
    clock: i64,
}

impl Server {
    fn next(&mut self) -> Value {
        self.version += 1;
        json!(self.version.to_string())
    }

    fn put(&mut self, name: u8, asks: Option<u8>, shares: bool) {
        let version = self.next();
        let key = ServiceKey::new("shop", format!("s{name}"));
        let object = self.services.entry(key.clone()).or_insert_with(|| {
            json!({
                "metadata": {"namespace": "shop", "name": key.name(), "annotations": {},
                    "uid": format!("u{version}")},
                "spec": {"type": "LoadBalancer", "clusterIP": "10.0.0.1",
                    "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80 + u16::from(name)}]},
                "status": {},
            })
        });
        object["metadata"]["resourceVersion"] = version;
        let annotations = &mut object["metadata"]["annotations"];
        set(
            annotations,
            service::LOAD_BALANCER_IPS,
            asks.map(|n| json!(format!("192.0.2.{n}"))),
        );
        set(
            annotations,
            service::ALLOW_SHARED_IP,
            shares.then(|| json!("key")),
        );
    }

    /// A strategic merge patch as `assign` writes it.
    fn patch(&mut self, patch: &assign::Patch) {
        let version = self.next();
        let object = self.services.get_mut(&patch.key).unwrap();
        assert_eq!(
            object["metadata"]["resourceVersion"],
            json!(patch.version.to_string())
        );
        object["metadata"]["resourceVersion"] = version;
        let annotations = patch.body["metadata"]["annotations"].as_object().unwrap();
        for (name, value) in annotations {
            let value = (!value.is_null()).then(|| value.clone());
            set(&mut object["metadata"]["annotations"], name, value);
        }
        let ingress = &patch.body["status"]["loadBalancer"]["ingress"];
        let list = ingress.as_array().cloned().unwrap_or_default();
        object["status"]["loadBalancer"]["ingress"] = json!(list);
        merge_conditions(&mut object["status"], &patch.body["status"]["conditions"]);
    }

    fn report(&mut self, report: &Report) {
        let version = self.next();
        let key = ServiceKey::new(&report.target.namespace, &report.target.name);
        let object = match report.target.kind {
            "Service" => self.services.get_mut(&key).unwrap(),
            "ServiceAnnouncement" => self.announcements.entry(key).or_insert_with(|| {
                let mut object = report.object.clone().unwrap();
                object["metadata"]["uid"] = json!("a");
                object
            }),
            "IPAddressPool" => &mut self.pool,
            _ => return,
        };
        object["metadata"]["resourceVersion"] = version;
        for (field, value) in report.status.as_object().unwrap() {
            if field == "conditions" {
                merge_conditions(&mut object["status"], value);
            } else {
                object["status"][field] = value.clone();
            }
        }
    }

    fn observed(&self) -> Observed {
        let read = |object: &Value| kept::Service::of(&typed(object), &Class::default());
        let mut observed = Observed {
            services: self
                .services
                .iter()
                .map(|(key, object)| (key.clone(), Arc::new(read(object))))
                .collect(),
            announcements: self
                .announcements
                .iter()
                .map(|(key, object)| {
                    let object = serde_json::from_value(object.clone()).unwrap();
                    (key.clone(), Arc::new(kept::Announcement::of(&object)))
                })
                .collect(),
            ..Observed::default()
        };
        observed.objects.pools = vec![serde_json::from_value(self.pool.clone()).unwrap()];
        observed.objects.namespaces = Some([("shop".to_owned(), BTreeMap::new())].into());
        observed.objects.nodes = Some(BTreeMap::new());
        observed
    }
}

fn typed(object: &Value) -> Service {
    serde_json::from_value(object.clone()).unwrap()
}

fn set(map: &mut Value, name: &str, value: Option<Value>) {
    let map = map.as_object_mut().unwrap();
    match value {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    };
}

/// Merges a list whose key is `type`.
fn merge_conditions(status: &mut Value, changes: &Value) {
    let mut list = status["conditions"].as_array().cloned().unwrap_or_default();
    for change in changes.as_array().unwrap() {
        list.retain(|one| one["type"] != change["type"]);
        if change.get("$patch").is_none() {
            list.push(change.clone());
        }
    }
    status["conditions"] = json!(list);
}

/// One round of the controller, and the look of the reporter behind it.
fn round(server: &mut Server, book: &mut Book, sent: &mut Sent, refuses: bool) {
    let now = Timestamp::from_second(server.clock).unwrap();
    let observed = server.observed();
    book.configure(observed.objects.clone());
    let known: BTreeSet<ServiceKey> = book.services().cloned().collect();
    for key in known.iter().chain(observed.services.keys()) {
        let object = observed.services.get(key).map(AsRef::as_ref);
        book.enter(key, object, || listed(server.announcements.get(key)));
    }
    let (plan, _) = book.plan(clock::now(), now);
    let plan = plan.clone();
    let mut failed = BTreeMap::new();
    for (key, object) in &observed.services {
        let listed = || listed(server.announcements.get(key));
        let Some(patch) = assign::patch(key, object, &plan, listed, now) else {
            continue;
        };
        if refuses {
            failed.insert(key.clone(), "forbidden (403)".to_owned());
        } else {
            server.patch(&patch);
        }
    }
    let observed = server.observed();
    let decision = book.decision();
    let world = world(&observed, &decision);
    let desired = desired(&world);
    let facts = Facts {
        observed: &observed,
        services: &world.services,
        decision: &decision,
        desired: &desired,
        failed: &failed,
    };
    let mut reports = accepted::reports(&observed, &decision, sent, now);
    reports.extend(announcements::reports(&facts, sent, now));
    for report in &reports {
        server.report(report);
    }
    for (key, _) in announcements::orphans(&observed) {
        server.announcements.remove(&key);
    }
}

/// The addresses a ServiceAnnouncement lists.
fn addresses(announcement: Option<&Value>) -> Vec<String> {
    let listed = announcement.and_then(|a| a["status"]["addresses"].as_array());
    let listed = listed.into_iter().flatten();
    listed
        .map(|one| one["address"].as_str().unwrap().to_owned())
        .collect()
}

fn listed(announcement: Option<&Value>) -> Vec<IpAddr> {
    let addresses = addresses(announcement).into_iter();
    addresses.map(|address| address.parse().unwrap()).collect()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut conditions = object["status"]["conditions"].as_array()?.iter();
    conditions.find(|one| one["type"] == kind)
}

/// Status, condition and ServiceAnnouncement of every Service say the same.
fn services_agree(server: &Server) -> Result<(), TestCaseError> {
    for (key, object) in &server.services {
        let announcement = server.announcements.get(key);
        if !Class::default().serves(&typed(object)) {
            prop_assert!(announcement.is_none() && condition(object, ADDRESS_ALLOCATED).is_none());
            continue;
        }
        let ingress = object["status"]["loadBalancer"]["ingress"].as_array();
        let ingress = ingress.into_iter().flatten();
        let held: Vec<String> = ingress
            .map(|one| one["ip"].as_str().unwrap().to_owned())
            .collect();
        prop_assert_eq!(&addresses(announcement), &held, "{}", key);
        let (own, told) = (
            condition(object, ADDRESS_ALLOCATED).unwrap(),
            condition(announcement.unwrap(), "Allocated").unwrap(),
        );
        for field in ["status", "reason", "message"] {
            prop_assert_eq!(&own[field], &told[field], "{}", key);
        }
        prop_assert!(own["status"] == "False" || !held.is_empty());
    }
    Ok(())
}

/// What each Service has, as its status says.
fn held(server: &Server) -> BTreeMap<ServiceKey, Value> {
    let each = server.services.iter();
    each.map(|(key, object)| (key.clone(), object["status"]["loadBalancer"].clone()))
        .collect()
}

/// The pool and the metrics count what the Services hold, each address once.
fn pool_agrees(server: &Server, book: &mut Book) -> Result<(), TestCaseError> {
    let held: BTreeSet<IpAddr> = server
        .announcements
        .values()
        .flat_map(|announcement| addresses(Some(announcement)))
        .map(|address| address.parse().unwrap())
        .collect();
    prop_assert_eq!(&server.pool["status"]["assignedIPv4"], &json!(held.len()));
    let mut registry = Registry::default();
    Metrics::register(&mut registry).decided(&book.decision());
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let series = "herald_controller_pool_addresses_assigned{pool=\"lan\",family=\"ipv4\"}";
    let line = format!("{series} {}\n", held.len());
    prop_assert!(text.contains(&line), "{}", text);
    let (assigned, available, capacity) = (
        &server.pool["status"]["assignedIPv4"],
        &server.pool["status"]["availableIPv4"],
        &server.pool["status"]["capacityIPv4"],
    );
    let sum = assigned.as_i64().unwrap() + available.as_i64().unwrap();
    prop_assert_eq!(Some(sum), capacity.as_i64());
    Ok(())
}

proptest! {
    #[test]
    fn what_is_said_agrees_after_every_round(steps in steps()) {
        let mut server = Server {
            pool: json!({
                "metadata": {"name": "lan", "uid": "p", "generation": 1, "resourceVersion": "1"},
                "spec": {"addresses": ["192.0.2.0-192.0.2.3"]},
                "status": {},
            }),
            version: 1,
            ..Server::default()
        };
        let (mut book, mut sent) = (Book::new(Duration::ZERO), Sent::default());
        for step in steps {
            let refuses = matches!(step, Step::Refuse);
            let key = |name: u8| ServiceKey::new("shop", format!("s{name}"));
            match step {
                Step::Put(name, asks, shares) => server.put(name, asks, shares),
                Step::Delete(name) => {
                    server.services.remove(&key(name));
                }
                Step::GiveAway(name) => {
                    let version = server.next();
                    if let Some(object) = server.services.get_mut(&key(name)) {
                        object["metadata"]["resourceVersion"] = version;
                        object["spec"]["loadBalancerClass"] = json!("example.com/other");
                    }
                }
                Step::Resize(last) => {
                    let version = server.next();
                    server.pool["metadata"]["resourceVersion"] = version;
                    server.pool["spec"]["addresses"] = json!([format!("192.0.2.0-192.0.2.{last}")]);
                }
                Step::Clock(second) => {
                    // What the steps before left to do is done first, what that frees is given.
                    round(&mut server, &mut book, &mut sent, false);
                    round(&mut server, &mut book, &mut sent, false);
                    let before = held(&server);
                    server.clock = second;
                    round(&mut server, &mut book, &mut sent, false);
                    prop_assert_eq!(held(&server), before);
                }
                Step::Refuse => {}
            }
            round(&mut server, &mut book, &mut sent, refuses);
            services_agree(&server)?;
        }
        // The last step may be one that frees what others wait for.
        round(&mut server, &mut book, &mut sent, false);
        round(&mut server, &mut book, &mut sent, false);
        services_agree(&server)?;
        pool_agrees(&server, &mut book)?;
    }
}
