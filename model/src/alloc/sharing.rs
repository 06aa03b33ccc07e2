//! Who may hold one address together, and what keeps the others apart.
//!
//! Not here: who holds what (`ledger`). Services that may share an address, their ports aside, form
//! a group: two may when their groups are equal.

use std::fmt;

use crate::pool::{Pool, Sharing, SharingScope};
use crate::service::{PortKey, Service, ServiceKey};

/// What Services on one address have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    key: Option<String>,
    namespace: Option<String>,
    backend: String,
}

/// The rules of one pool about sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    sharing: Sharing,
    scope: Option<SharingScope>,
}

impl Rules {
    pub(super) fn of(pool: &Pool) -> Self {
        Self {
            sharing: pool.sharing,
            scope: pool.sharing_scope,
        }
    }

    /// The group of the Service on an address of the pool; `None` when it shares with nobody.
    pub(super) fn group(self, service: &Service) -> Option<Group> {
        let key = service.sharing_key.as_ref();
        match (self.sharing, key) {
            (Sharing::Never, _) | (Sharing::ByKey, None) => return None,
            (Sharing::ByKey, Some(_)) | (Sharing::Automatic, _) => {}
        }
        Some(Group {
            key: key.cloned(),
            namespace: (!self.crosses_namespaces(key.is_some()))
                .then(|| service.key.namespace().to_owned()),
            backend: service.backend_key.clone(),
        })
    }

    fn crosses_namespaces(self, by_key: bool) -> bool {
        match self.scope {
            Some(SharingScope::Cluster) => true,
            Some(SharingScope::Namespace) => false,
            None => by_key,
        }
    }

    /// What keeps two Services of different groups, or without one, from sharing an address.
    pub(super) fn apart(self, pool: &str, one: &Service, other: &Service) -> ConflictKind {
        let pool = || pool.to_owned();
        let no_key = self.sharing == Sharing::ByKey && one.sharing_key.is_none();
        if self.sharing == Sharing::Never {
            ConflictKind::NeverShared { pool: pool() }
        } else if no_key || one.sharing_key != other.sharing_key {
            ConflictKind::SharingKey
        } else if one.backend_key != other.backend_key {
            ConflictKind::BackendKey
        } else {
            ConflictKind::OtherNamespace { pool: pool() }
        }
    }
}

/// Why a Service cannot join those who hold an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Who holds it.
    pub holder: ServiceKey,
    /// What keeps them apart.
    pub kind: ConflictKind,
}

/// What keeps two Services from sharing an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// One or both have no sharing key where one is needed, or the keys differ.
    SharingKey,
    /// Another `externalTrafficPolicy`, or Local with another pod selector.
    BackendKey,
    /// The pool lets only Services of one namespace share.
    OtherNamespace { pool: String },
    /// The pool lets nobody share.
    NeverShared { pool: String },
    /// Both want this port.
    Port(PortKey),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = &self.holder;
        match &self.kind {
            ConflictKind::SharingKey => write!(
                f,
                "{holder} holds it, and the two do not have the same allow-shared-ip annotation"
            ),
            ConflictKind::BackendKey => write!(
                f,
                "{holder} holds it, and to share it both need externalTrafficPolicy Cluster, or \
                 Local with the same pod selector"
            ),
            ConflictKind::OtherNamespace { pool } => write!(
                f,
                "{holder} holds it, and pool {pool} lets only Services of one namespace share \
                 (sharingScope)"
            ),
            ConflictKind::NeverShared { pool } => {
                write!(f, "{holder} holds it, and pool {pool} has sharing Never")
            }
            ConflictKind::Port(port) => write!(f, "{holder} holds it and also uses port {port}"),
        }
    }
}
