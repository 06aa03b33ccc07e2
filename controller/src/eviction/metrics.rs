//! What fast endpoint eviction counts; registered where it is asked for.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ledger::Refusal;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Every metric of the eviction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    nodes: Gauge,
    unready: Counter,
    restored: Counter,
    refused: Family<ReasonLabels, Gauge>,
}

impl Metrics {
    /// Registers them all.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        let registry = registry.sub_registry_with_prefix("herald_controller");
        let help = "Nodes whose pods were called unready because most speakers do not hear them";
        registry.register("evicted_nodes", help, m.nodes);
        let help = "Pods called unready because most speakers do not hear their node";
        registry.register("evicted_pods", help, m.unready);
        let help = "Pods called ready again because their node speaks again";
        registry.register("restored_pods", help, m.restored);
        let help =
            "Nodes that a speaker calls silent and whose pods are left as they are, by reason";
        registry.register("evictions_refused", help, m.refused);
        metrics.show(0, &BTreeMap::new());
        metrics
    }

    /// Shows how it stands.
    pub(crate) fn show(&self, nodes: usize, refused: &BTreeMap<String, Refusal>) {
        self.nodes.set(i64::try_from(nodes).unwrap_or(i64::MAX));
        for refusal in Refusal::ALL {
            let count = refused.values().filter(|other| **other == refusal).count();
            let labels = ReasonLabels {
                reason: refusal.label(),
            };
            let gauge = self.refused.get_or_create(&labels);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn called_unready(&self, pods: usize) {
        self.unready.inc_by(pods as u64);
    }

    pub(crate) fn gave_back(&self, pods: usize) {
        self.restored.inc_by(pods as u64);
    }
}
