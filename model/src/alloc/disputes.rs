//! Who goes first among Services that claim an address they cannot share.
//!
//! Whoever changed since they held it together gives way; where nobody knows who changed, the one that
//! disagrees with fewer of the others stays.
//!
//! Not here: whether an address may be kept at all (`settle`), and who may share (`sharing`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::Snapshot;
use super::ledger::Ledger;
use super::sharing::Group;
use crate::service::{Service, ServiceKey};

/// Less goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    /// With how many it cannot share of those that held the address together, as they were then.
    at_fault: usize,
    /// With how many it cannot share of those that claim the address now.
    disagrees: usize,
}

/// For every Service on each address that its claimants cannot share.
#[derive(Debug, Default)]
pub(super) struct Disputes<'s>(BTreeMap<(IpAddr, &'s ServiceKey), Precedence>);

impl<'s> Disputes<'s> {
    pub(super) fn new(services: &[&'s Arc<Service>], snapshot: &Snapshot, ledger: &Ledger) -> Self {
        let each = services.iter().copied();
        let mut claims: Vec<(IpAddr, &'s Arc<Service>)> = each
            .flat_map(|service| service.held.iter().map(move |address| (*address, service)))
            .collect();
        claims.sort_by_key(|(address, service)| (*address, &service.key));
        claims.dedup_by_key(|(address, service)| (*address, &service.key));
        let mut disputes = Self::default();
        for claims in claims.chunk_by(|one, next| one.0 == next.0) {
            let [(address, _), _, ..] = claims else {
                continue;
            };
            let claimant = |service: &'s Arc<Service>| Claimant::new(service, *address, ledger);
            let claimants: Vec<_> = claims
                .iter()
                .map(|(_, service)| claimant(service))
                .collect();
            if !agree(&claimants) {
                let agreed = snapshot.agreed.get(address).into_iter().flatten();
                let agreed: Vec<_> = agreed
                    .map(|service| Claimant::new(service, *address, ledger))
                    .collect();
                disputes.enter(*address, &claimants, &agreed);
            }
        }
        disputes
    }

    /// The precedence of the Service on the address; none where nobody disputes it.
    pub(super) fn of(&self, service: &ServiceKey, address: IpAddr) -> Option<Precedence> {
        self.0.get(&(address, service)).copied()
    }

    fn enter(&mut self, address: IpAddr, claimants: &[Claimant<'s>], agreed: &[Claimant<'_>]) {
        for one in claimants {
            let against = |others: &[Claimant<'_>]| {
                let others = others.iter().filter(|other| !one.shares_with(other));
                others.count()
            };
            let precedence = Precedence {
                at_fault: against(agreed),
                disagrees: against(claimants),
            };
            self.0.insert((address, &one.service.key), precedence);
        }
    }
}

/// A Service on one address.
struct Claimant<'s> {
    service: &'s Service,
    group: Option<Group>,
}

impl<'s> Claimant<'s> {
    fn new(service: &'s Service, address: IpAddr, ledger: &Ledger) -> Self {
        Self {
            service,
            group: ledger.group(service, address),
        }
    }

    /// Nobody is in its own way.
    fn shares_with(&self, other: &Claimant<'_>) -> bool {
        self.service.key == other.service.key
            || (self.group.is_some()
                && self.group == other.group
                && self.service.ports.is_disjoint(&other.service.ports))
    }
}

/// Whether all of them can share.
fn agree(claimants: &[Claimant<'_>]) -> bool {
    let mut ports = BTreeSet::new();
    let mut all = claimants.iter().flat_map(|one| &one.service.ports);
    claimants
        .windows(2)
        .all(|pair| pair[0].group.is_some() && pair[0].group == pair[1].group)
        && all.all(|port| ports.insert(*port))
}
