//! From the Service to its address: the controller's side.

use herald_config::ObjectRef;
use herald_model::alloc::{Change, Place};
use herald_model::service::{Service, ServiceKey};

use super::{Failure, Finding, Found};
use crate::facts::Facts;

/// The Service, once [`ours`] has passed.
pub(super) fn ours_or_fail<'a>(facts: &'a Facts, key: &ServiceKey) -> Result<&'a Service, Failure> {
    facts.services.get(key).map(AsRef::as_ref).ok_or_else(|| {
        Failure::new(
            format!("Service {key} is not served by Herald"),
            "see the checks above",
        )
    })
}

pub(super) fn exists(facts: &Facts, key: &ServiceKey) -> Finding {
    if facts.all_services.contains_key(key) {
        return Ok(Found::new("exists"));
    }
    let elsewhere: Vec<String> = facts
        .all_services
        .keys()
        .filter(|other| other.name() == key.name())
        .map(ToString::to_string)
        .collect();
    let advice = if elsewhere.is_empty() {
        format!(
            "create it, or look for its name: kubectl get services -n {}",
            key.namespace()
        )
    } else {
        format!("did you mean {}?", elsewhere.join(" or "))
    };
    Err(Failure::new(format!("there is no Service {key}"), advice))
}

pub(super) fn ours(facts: &Facts, key: &ServiceKey) -> Finding {
    let spec = facts
        .all_services
        .get(key)
        .and_then(|service| service.spec.as_ref());
    let type_ = spec
        .and_then(|spec| spec.type_.as_deref())
        .unwrap_or("ClusterIP");
    let class = spec.and_then(|spec| spec.load_balancer_class.as_deref());
    if type_ != "LoadBalancer" {
        return Err(Failure::new(
            format!("spec.type is {type_}"),
            "set spec.type to LoadBalancer; other types get no external address",
        ));
    }
    match class {
        None if facts.class.classless => Ok(Found::new("LoadBalancer, no class")),
        None => Err(Failure::new(
            "the Service has no spec.loadBalancerClass, and Herald runs with --classless=false",
            format!(
                "create the Service anew with class {} (the field cannot be changed), or run Herald without --classless=false",
                facts.class.name
            ),
        )),
        Some(class) if class == facts.class.name => {
            Ok(Found::new(format!("LoadBalancer, class {class}")))
        }
        Some(class) => Err(Failure::new(
            format!("spec.loadBalancerClass is {class}, which another implementation serves"),
            format!(
                "create the Service anew without class or with class {} (the field cannot be changed), or give heraldctl the --lb-class that Herald runs with",
                facts.class.name
            ),
        )),
    }
}

pub(super) fn readable(facts: &Facts, key: &ServiceKey) -> Finding {
    let service = ours_or_fail(facts, key)?;
    if let Some(problem) = &service.unreadable_request {
        return Err(Failure::new(
            problem,
            "correct the annotation or field; until then the Service keeps what it has",
        ));
    }
    let addresses: Vec<String> = service
        .requested_addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut wishes = Vec::new();
    if !addresses.is_empty() {
        wishes.push(format!("address {}", addresses.join(" and ")));
    }
    wishes.extend(
        service
            .requested_pool
            .iter()
            .map(|pool| format!("pool {pool}")),
    );
    wishes.extend(
        service
            .sharing_key
            .iter()
            .map(|sharing| format!("sharing key {sharing}")),
    );
    Ok(Found::new(match wishes.as_slice() {
        [] => "asks for any address".to_owned(),
        wishes => format!("asks for {}", wishes.join(", ")),
    }))
}

pub(super) fn cluster_address(facts: &Facts, key: &ServiceKey) -> Finding {
    let service = ours_or_fail(facts, key)?;
    if service.families.is_empty() {
        return Err(Failure::new(
            "the Service has no spec.clusterIP",
            "a headless Service (clusterIP None) cannot have a load-balancer address; create it anew without clusterIP",
        ));
    }
    let families: Vec<String> = service.families.iter().map(ToString::to_string).collect();
    Ok(Found::new(families.join(" and ")))
}

pub(super) fn pools(facts: &Facts, _: &ServiceKey) -> Finding {
    let config = &facts.compiled.config;
    let names: Vec<&str> = config.pools.keys().map(String::as_str).collect();
    let rejected: Vec<String> = config
        .quarantined_pools
        .iter()
        .map(|name| {
            let verdict = facts
                .compiled
                .verdict(&ObjectRef::new("IPAddressPool", name));
            format!("{name} is set aside: {}", verdict.message)
        })
        .collect();
    match (names.as_slice(), rejected.is_empty()) {
        ([], true) => Err(Failure::new(
            "there is no IPAddressPool",
            "create one with addresses of your network that nothing else uses",
        )),
        ([], false) => Err(Failure::new(
            "no IPAddressPool can be used",
            "correct the pools; heraldctl status lists what is wrong",
        )
        .with(rejected)),
        (names, true) => Ok(Found::new(format!("in use: {}", names.join(", ")))),
        (names, false) => Ok(Found::remark(format!("in use: {}", names.join(", "))).with(rejected)),
    }
}

pub(super) fn allocated(facts: &Facts, key: &ServiceKey) -> Finding {
    let service = ours_or_fail(facts, key)?;
    let refusal = facts.plan.refuse.get(key).map(ToString::to_string);
    if let Some(assignment) = facts.plan.assign.get(key) {
        let (what, to) = match &assignment.change {
            Change::New => ("get", list(&assignment.places)),
            Change::Added(_) => ("also get", list(&assignment.places)),
            Change::Moved(_) => ("be moved to", list(&assignment.places)),
        };
        return Err(Failure::new(
            format!("the Service could {what} {to}, and the controller has not done so"),
            controller_advice(facts),
        ));
    }
    if let Some(release) = facts.plan.release.get(key) {
        let lost: Vec<String> = release
            .lost
            .iter()
            .map(|lost| format!("{} is no longer its own: {}", lost.address, lost.cause))
            .collect();
        let advice = refusal.unwrap_or_else(|| controller_advice(facts));
        return Err(Failure::new("the Service loses what it has", advice).with(lost));
    }
    if let Some(alone) = facts.plan.alone.get(key) {
        let alone: Vec<String> = alone.iter().map(ToString::to_string).collect();
        let what = format!("{} is not from Herald", alone.join(" and "));
        return Err(Failure::new(what, refusal.unwrap_or_default()));
    }
    let places = facts.plan.places(key);
    match (refusal, places) {
        (Some(refusal), []) => Err(Failure::new("the Service has no address", refusal)),
        (Some(refusal), places) => {
            Ok(Found::remark(format!("keeps {}", list(places))).with(vec![refusal]))
        }
        (None, []) => Err(Failure::new(
            "the Service has no address",
            controller_advice(facts),
        )),
        (None, places) => {
            debug_assert!(!service.held.is_empty());
            Ok(Found::new(list(places)))
        }
    }
}

fn list(places: &[Place]) -> String {
    let place = |place: &Place| format!("{} from pool {}", place.address, place.pool);
    places.iter().map(place).collect::<Vec<_>>().join(" and ")
}

/// What to look at when the controller lags.
fn controller_advice(facts: &Facts) -> String {
    match facts.leader() {
        Some(leader) => format!(
            "try again; when it stays so, see the log of {leader}, which leads the controllers"
        ),
        None => {
            "no controller leads: kubectl get pods -A -l app.kubernetes.io/component=controller"
                .to_owned()
        }
    }
}
