//! What a Service asks for: addresses, a pool, a sharing key.

use std::collections::BTreeSet;
use std::net::IpAddr;

use herald_model::address::{Family, RangeError, parse_address};
use k8s_openapi::api::core::v1::ServiceSpec;

use super::annotations::{
    ADDRESS_POOL, ALLOW_SHARED_IP, Annotation, Annotations, LOAD_BALANCER_IPS,
};

const LOAD_BALANCER_IP: &str = "spec.loadBalancerIP";

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// At most one per family when there is no fault.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) pool: Option<String>,
    pub(super) sharing_key: Option<String>,
}

/// Why a part of the request cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: String,
    pub(super) message: String,
}

pub(super) fn read(annotations: &Annotations<'_>, spec: &ServiceSpec) -> (Request, Vec<Fault>) {
    let mut faults = Vec::new();
    let addresses = addresses(annotations.find(LOAD_BALANCER_IPS), spec, &mut faults);
    let value = |annotation: Annotation| annotation.value;
    let request = Request {
        addresses,
        pool: annotations.find(ADDRESS_POOL).map(value),
        sharing_key: annotations.find(ALLOW_SHARED_IP).map(value),
    };
    (request, faults)
}

fn addresses(
    annotation: Option<Annotation>,
    spec: &ServiceSpec,
    faults: &mut Vec<Fault>,
) -> Vec<IpAddr> {
    let single = spec
        .load_balancer_ip
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let from_field: Option<Vec<IpAddr>> = single.map(|text| parse(LOAD_BALANCER_IP, text, faults));
    let Some(annotation) = annotation else {
        return from_field.unwrap_or_default();
    };
    let field = annotation.field();
    let addresses = parse(&field, &annotation.value, faults);
    if let Some((family, first, second)) = two_of_one_family(&addresses) {
        let message = format!(
            "{first} and {second} are both {family}; a Service has at most one address per family, so remove one"
        );
        faults.push(Fault {
            field: field.clone(),
            message,
        });
    }
    if from_field.is_some_and(|single| single != addresses) {
        let message = format!("{LOAD_BALANCER_IP} asks for something else; remove one of the two");
        faults.push(Fault { field, message });
    }
    addresses
}

fn parse(field: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for part in text.split(',').map(str::trim) {
        match parse_address(part) {
            // As Kubernetes and MetalLB read it.
            Ok(address) | Err(RangeError::MappedAddress { address, .. }) => addresses.push(address),
            Err(error) => {
                faults.push(Fault {
                    field: field.to_owned(),
                    message: error.to_string(),
                });
            }
        }
    }
    addresses
}

fn two_of_one_family(addresses: &[IpAddr]) -> Option<(Family, IpAddr, IpAddr)> {
    let mut seen = BTreeSet::new();
    for address in addresses {
        let family = Family::of(*address);
        if !seen.insert(family) {
            let first = addresses
                .iter()
                .find(|other| Family::of(**other) == family)?;
            return Some((family, *first, *address));
        }
    }
    None
}
