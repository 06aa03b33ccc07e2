//! What reports on Services are made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_model::announce::Desired;
use herald_model::service::{Service, ServiceKey};

use crate::decision::Decision;
use crate::observed::Observed;

/// What reports on Services are made from.
pub(crate) struct Facts<'a> {
    /// With the Services as they are after the addresses were written.
    pub(crate) observed: &'a Observed,
    /// Those of them that are ours, translated.
    pub(crate) services: &'a BTreeMap<ServiceKey, Arc<Service>>,
    pub(crate) decision: &'a Decision,
    pub(crate) desired: &'a Desired,
    /// Services whose addresses could not be written, and why.
    pub(crate) failed: &'a BTreeMap<ServiceKey, String>,
}
