//! Those who hold one address together.
//!
//! Not here: whether they may (`ledger`). Nearly every address has one tenant, which costs no more
//! than a pointer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::named::Named;
use super::sharing::Group;
use crate::service::{PortKey, Service, ServiceKey};

/// One address in use.
#[derive(Debug, Clone)]
pub(super) struct Tenancy {
    /// What all of its tenants have in common; `None` when there can be only one.
    pub(super) group: Option<Group>,
    tenants: Tenants,
}

#[derive(Debug, Clone)]
enum Tenants {
    One(Arc<Service>),
    Several {
        by_name: BTreeSet<Named>,
        by_port: BTreeMap<PortKey, Arc<Service>>,
    },
}

impl Tenancy {
    pub(super) fn new(service: &Arc<Service>, group: Option<Group>) -> Self {
        Self {
            group,
            tenants: Tenants::One(Arc::clone(service)),
        }
    }

    /// Adds a tenant, whose ports nobody else uses.
    pub(super) fn enter(&mut self, service: &Arc<Service>) {
        if let Tenants::One(first) = &self.tenants {
            let mut several = Tenants::Several {
                by_name: BTreeSet::new(),
                by_port: BTreeMap::new(),
            };
            several.add(first);
            self.tenants = several;
        }
        self.tenants.add(service);
    }

    /// Takes a tenant out, and tells whether it was the last.
    pub(super) fn strike(&mut self, service: &ServiceKey) -> Option<(Arc<Service>, bool)> {
        match &mut self.tenants {
            Tenants::One(tenant) => (tenant.key == *service).then(|| (Arc::clone(tenant), true)),
            Tenants::Several { by_name, by_port } => {
                let Named(tenant) = by_name.take(service)?;
                for port in &tenant.ports {
                    by_port.remove(port);
                }
                Some((tenant, by_name.is_empty()))
            }
        }
    }

    /// A tenant other than this Service, the first by name.
    pub(super) fn other(&self, service: &ServiceKey) -> Option<&Arc<Service>> {
        match &self.tenants {
            Tenants::One(tenant) => Some(tenant).filter(|t| t.key != *service),
            Tenants::Several { by_name, .. } => {
                let mut tenants = by_name.iter().map(|Named(tenant)| tenant);
                tenants.find(|tenant| tenant.key != *service)
            }
        }
    }

    /// All of them, by name.
    pub(super) fn tenants(&self) -> Vec<Arc<Service>> {
        match &self.tenants {
            Tenants::One(tenant) => vec![Arc::clone(tenant)],
            Tenants::Several { by_name, .. } => by_name
                .iter()
                .map(|Named(tenant)| Arc::clone(tenant))
                .collect(),
        }
    }

    /// Who uses the port.
    pub(super) fn by_port(&self, port: PortKey) -> Option<&Arc<Service>> {
        match &self.tenants {
            Tenants::One(tenant) => Some(tenant).filter(|t| t.ports.contains(&port)),
            Tenants::Several { by_port, .. } => by_port.get(&port),
        }
    }

    /// Whether somebody of the namespace is among them.
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        match &self.tenants {
            Tenants::One(tenant) => tenant.key.namespace() == namespace,
            Tenants::Several { by_name, .. } => {
                let from = ServiceKey::new(namespace, "");
                let first = by_name.range::<ServiceKey, _>(from..).next();
                first.is_some_and(|Named(tenant)| tenant.key.namespace() == namespace)
            }
        }
    }
}

impl Tenants {
    fn add(&mut self, service: &Arc<Service>) {
        if let Self::Several { by_name, by_port } = self {
            for port in &service.ports {
                by_port.insert(*port, Arc::clone(service));
            }
            by_name.insert(Named(Arc::clone(service)));
        }
    }
}
