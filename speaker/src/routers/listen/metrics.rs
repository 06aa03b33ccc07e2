//! What is counted of connections that routers open.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(in crate::routers) enum Refusal {
    /// No peer waits for one of that address.
    UnknownRouter,
    /// The session has not looked at earlier ones yet.
    Crowded,
    /// The session has one that it keeps, or wants none just now.
    NotWanted,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Where {
    family: &'static str,
    vrf: String,
}

/// Handles on every metric; cloning shares them.
#[derive(Debug, Clone, Default)]
pub(in crate::routers) struct ListenMetrics {
    open: Family<Where, Gauge>,
    accepted: Counter,
    refused: Family<Why, Counter>,
}

impl ListenMetrics {
    pub(in crate::routers) fn register(&self, registry: &mut Registry) {
        let m = self.clone();
        let help =
            "1 where connections of routers can be taken, 0 where they are wanted and cannot";
        registry.register("listening", help, m.open);
        let help = "Connections that routers opened and sessions took";
        registry.register("connections_accepted", help, m.accepted);
        let help = "Connections that were closed at once";
        registry.register("connections_refused", help, m.refused);
    }

    /// Shows where connections are wanted, by family and VRF, and whether they can be taken.
    pub(super) fn show(&self, wanted: impl Iterator<Item = ((&'static str, String), bool)>) {
        self.open.clear();
        for ((family, vrf), open) in wanted {
            let label = Where { family, vrf };
            self.open.get_or_create(&label).set(i64::from(open));
        }
    }

    pub(in crate::routers) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(in crate::routers) fn refused(&self, reason: Refusal) {
        self.refused.get_or_create(&Why { reason }).inc();
    }
}
