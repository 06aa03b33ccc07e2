//! Taking Herald off a cluster: what stays on Services, and taking that off too where it is asked for.
//!
//! Without its programs nobody changes a Service any more: whatever stands in its status stays there, so
//! that Herald, or another load balancer, can take it over later.
//!
//! Not here: deleting the programs and the objects, which `kubectl delete` does.

use std::net::IpAddr;

use anyhow::Context as _;
use herald_config::service::{ALLOCATED_FROM_POOL, LAST_ADDRESSES, held, key};
use herald_model::service::ServiceKey;
use herald_runtime::{client, clock};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cluster::CONTROLLER_LEASE;

const CONDITION: &str = "heraldlb.io/AddressAllocated";

/// What Herald left on one Service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Left {
    pub(crate) service: String,
    /// The addresses in its status that Herald gave or adopted.
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether they were taken off; absent where that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Result<(), String>>,
}

/// What was found, and done.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) services: Vec<Left>,
}

impl Report {
    /// Whether everything that was asked for was done.
    pub(crate) fn is_done(&self) -> bool {
        let mut outcomes = self
            .services
            .iter()
            .filter_map(|left| left.outcome.as_ref());
        outcomes.all(Result::is_ok)
    }
}

/// Looks at every Service, and with `release` takes off what Herald left on it.
///
/// # Errors
/// With `release`, a controller still runs and would give the addresses again; or the API server says no.
pub(crate) async fn uninstall(
    client: &Client,
    namespace: &str,
    release: bool,
) -> anyhow::Result<Report> {
    if release {
        let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
        let lease = leases.get_opt(CONTROLLER_LEASE).await;
        let lease = lease.context("the Lease of the controller cannot be read")?;
        if let Some(leader) = lease
            .as_ref()
            .and_then(|lease| leader(lease, clock::wall().as_second()))
        {
            anyhow::bail!(
                "{leader} still works and would give the addresses again: end the controllers first, as by \
                 kubectl -n {namespace} delete deployment herald-controller"
            );
        }
    }
    let all: Api<Service> = Api::all(client.clone());
    let all = all.list(&ListParams::default()).await;
    let all = all.map_err(|error| {
        anyhow::anyhow!("Services cannot be read: {}", client::describe(&error))
    })?;
    let mut services = Vec::new();
    for service in &all.items {
        let Some(mut left) = left_on(service) else {
            continue;
        };
        if release {
            left.outcome = Some(take_off(client, service).await);
        }
        services.push(left);
    }
    Ok(Report { services })
}

/// Who holds the Lease at a time in seconds since 1970; nobody when it was not renewed in time.
fn leader(lease: &Lease, now: i64) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    let renewed = spec.renew_time.as_ref()?.0.as_second();
    let lasts = i64::from(spec.lease_duration_seconds?);
    let holder = spec.holder_identity.as_deref()?;
    (!holder.is_empty() && now <= renewed.saturating_add(lasts)).then_some(holder)
}

fn left_on(service: &Service) -> Option<Left> {
    let annotations = service.metadata.annotations.as_ref();
    let has = |name: &str| annotations.is_some_and(|all| all.contains_key(name));
    let conditions = service
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    let is_marked = has(ALLOCATED_FROM_POOL);
    let is_touched =
        is_marked || has(LAST_ADDRESSES) || conditions.any(|one| one.type_ == CONDITION);
    is_touched.then(|| Left {
        service: key(service).to_string(),
        addresses: if is_marked { held(service) } else { Vec::new() },
        outcome: None,
    })
}

/// The write that takes everything of Herald's off a Service, if it is still as it was read.
fn body(service: &Service) -> Value {
    let is_marked = left_on(service).is_some_and(|left| !left.addresses.is_empty());
    let mut status = json!({"conditions": [{"$patch": "delete", "type": CONDITION}]});
    if is_marked {
        status["loadBalancer"] = json!({"ingress": null});
    }
    json!({
        "metadata": {
            "resourceVersion": service.metadata.resource_version,
            "annotations": {ALLOCATED_FROM_POOL: null, LAST_ADDRESSES: null},
        },
        "status": status,
    })
}

async fn take_off(client: &Client, service: &Service) -> Result<(), String> {
    let key: ServiceKey = key(service);
    let api: Api<Service> = Api::namespaced(client.clone(), key.namespace());
    let body = Patch::Strategic(body(service));
    let written = api
        .patch_status(key.name(), &PatchParams::default(), &body)
        .await;
    written.map(drop).map_err(|error| client::describe(&error))
}

pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    for Left {
        service,
        addresses,
        outcome,
    } in &report.services
    {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let what = match addresses.is_empty() {
            true => "marks of Herald, no address".to_owned(),
            false => addresses.join(" and "),
        };
        text.push_str(&match outcome {
            None => format!("Service {service} keeps {what}\n"),
            Some(Ok(())) => format!("Service {service} released {what}\n"),
            Some(Err(error)) => format!("Service {service} keeps {what}: {error}\n"),
        });
    }
    let count = report.services.len();
    let released = report.services.iter().any(|left| left.outcome.is_some());
    text.push_str(&match (count, released) {
        (0, _) => "No Service has anything from Herald.\n".to_owned(),
        (_, false) => format!(
            "{} when Herald is deleted. Delete it in this order: its \
             Deployment and DaemonSet, its objects, its definitions; or all in one stroke with \
             kubectl delete -k deploy/. To take the addresses off the Services too, run this again with \
             --release once the controllers have ended.\n",
            match count {
                1 => "1 Service keeps what it has".to_owned(),
                several => format!("{several} Services keep what they have"),
            }
        ),
        (_, true) => String::new(),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(annotations: &Value, status: &Value) -> Service {
        let object = json!({
            "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "7",
                "annotations": annotations},
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_what_herald_left_is_taken_off() {
        let ingress = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
        let marked = service(&json!({ALLOCATED_FROM_POOL: "lan"}), &ingress);
        let left = left_on(&marked).unwrap();
        assert_eq!(left.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            body(&marked)["status"]["loadBalancer"],
            json!({"ingress": null})
        );
        assert_eq!(body(&marked)["metadata"]["resourceVersion"], "7");

        // Left alone by Herald: the address is somebody else's.
        let mut status = ingress.clone();
        status["conditions"] = json!([{"type": CONDITION, "status": "False", "reason": "NotAdopted",
            "message": "", "lastTransitionTime": "2026-11-21T10:00:00Z"}]);
        let foreign = service(&json!({}), &status);
        assert_eq!(left_on(&foreign).unwrap().addresses, [] as [IpAddr; 0]);
        assert!(body(&foreign)["status"].get("loadBalancer").is_none());

        assert_eq!(left_on(&service(&json!({}), &ingress)), None);
        let theirs = service(
            &json!({"metallb.io/ip-allocated-from-pool": "lan"}),
            &ingress,
        );
        assert_eq!(left_on(&theirs), None);
    }

    #[test]
    fn a_controller_works_while_its_lease_lasts() {
        let lease = |holder: &str| -> Lease {
            let object = json!({"metadata": {}, "spec": {"holderIdentity": holder,
                "leaseDurationSeconds": 15, "renewTime": "1970-01-01T00:01:40.000000Z"}});
            serde_json::from_value(object).unwrap()
        };
        for (holder, now, working) in [
            ("a", 100, true),
            ("a", 115, true),
            ("a", 116, false),
            ("", 100, false),
        ] {
            assert_eq!(
                leader(&lease(holder), now).is_some(),
                working,
                "{holder} {now}"
            );
        }
        assert_eq!(leader(&Lease::default(), 0), None);
    }

    #[test]
    fn what_stays_and_what_went_is_told() {
        let left = |outcome| Left {
            service: "shop/web".to_owned(),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            outcome,
        };
        let said = |outcome| {
            text(&Report {
                services: vec![left(outcome)],
            })
        };
        assert!(said(None).starts_with("Service shop/web keeps 192.0.2.1\n1 Service keeps"));
        assert_eq!(said(Some(Ok(()))), "Service shop/web released 192.0.2.1\n");
        let refused = said(Some(Err("forbidden (403)".to_owned())));
        assert_eq!(
            refused,
            "Service shop/web keeps 192.0.2.1: forbidden (403)\n"
        );
        let nothing = text(&Report {
            services: Vec::new(),
        });
        assert_eq!(nothing, "No Service has anything from Herald.\n");
    }
}
