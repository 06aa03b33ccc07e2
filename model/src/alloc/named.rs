//! Services in ordered collections without a copy of their names.
//!
//! Not here: what is done with them.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::service::{Service, ServiceKey};

/// A Service that is known by its name.
#[derive(Debug, Clone)]
pub(super) struct Named(pub(super) Arc<Service>);

impl Borrow<ServiceKey> for Named {
    fn borrow(&self) -> &ServiceKey {
        &self.0.key
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

/// A Service in its turn: the oldest first, among equals by name.
#[derive(Debug, Clone)]
pub(super) struct InTurn(pub(super) Arc<Service>);

impl Ord for InTurn {
    fn cmp(&self, other: &Self) -> Ordering {
        let turn = |one: &Self, other: &Self| one.0.created.cmp(&other.0.created);
        turn(self, other).then_with(|| self.0.key.cmp(&other.0.key))
    }
}

macro_rules! equal_as_ordered {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

equal_as_ordered!(Named);
equal_as_ordered!(InTurn);
