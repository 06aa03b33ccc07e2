//! What the controller counts.
//!
//! Not here: serving it (`herald_runtime::admin`).

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::apply::Refused;
use crate::decision::Decision;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: String,
    family: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PortLabels {
    pool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    kind: &'static str,
    reason: &'static str,
}

/// Every metric of the controller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    leader: Gauge,
    plans: Counter,
    assigned: Family<PoolLabels, Gauge>,
    available: Family<PoolLabels, Gauge>,
    retained: Family<PoolLabels, Gauge>,
    reserved: Family<PoolLabels, Gauge>,
    ports_taken: Family<PortLabels, Gauge>,
    ports_capacity: Family<PortLabels, Gauge>,
    writes: Family<WriteLabels, Counter>,
    conflicts: Counter,
    problems: Family<ReasonLabels, Gauge>,
    refused: Family<ReasonLabels, Gauge>,
    events_dropped: Gauge,
}

impl Metrics {
    /// Registers them all.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        let registry = registry.sub_registry_with_prefix("herald_controller");
        registry.register("leader", "1 while this replica holds the Lease", m.leader);
        registry.register("plans", "Plans made", m.plans);
        let help = "Addresses of the pool that Services hold";
        registry.register("pool_addresses_assigned", help, m.assigned);
        let help = "Addresses of the pool that nobody holds";
        registry.register("pool_addresses_available", help, m.available);
        let help = "Addresses of the pool that wait for the Services that had them";
        registry.register("pool_addresses_retained", help, m.retained);
        let help = "Free addresses of the pool that are reserved";
        registry.register("pool_addresses_reserved", help, m.reserved);
        let help = "Ports taken on assigned addresses of a pool that names its ports";
        registry.register("pool_ports_taken", help, m.ports_taken);
        let help = "Ports that the addresses of a pool that names its ports carry";
        registry.register("pool_ports_capacity", help, m.ports_capacity);
        registry.register("writes", "Writes to the API server by outcome", m.writes);
        let help = "Writes refused because the object had changed";
        registry.register("write_conflicts", help, m.conflicts);
        let help = "What is wrong with objects, by kind of object and reason";
        registry.register("problems", help, m.problems);
        let help = "Services that do not get what they ask for, by reason";
        registry.register("services_refused", help, m.refused);
        let help = "Events not written because too many were waiting";
        registry.register("events_dropped", help, m.events_dropped);
        metrics
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    pub(crate) fn events_dropped(&self, dropped: u64) {
        self.events_dropped
            .set(i64::try_from(dropped).unwrap_or(i64::MAX));
    }

    /// Counts one write to an object of this kind.
    pub(crate) fn wrote(&self, kind: &'static str, refused: Option<&Refused>) {
        let outcome = refused.map_or("written", Refused::label);
        self.writes
            .get_or_create(&WriteLabels { kind, outcome })
            .inc();
        if refused == Some(&Refused::Conflict) {
            self.conflicts.inc();
        }
    }

    /// Counts one plan.
    pub(crate) fn planned(&self) {
        self.plans.inc();
    }

    /// Shows what a decision says.
    pub(crate) fn decided(&self, decision: &Decision) {
        for family in [
            &self.assigned,
            &self.available,
            &self.retained,
            &self.reserved,
        ] {
            family.clear();
        }
        self.ports_taken.clear();
        self.ports_capacity.clear();
        for (pool, c) in &decision.plan.counts {
            let set = |family: &Family<PoolLabels, Gauge>, four: i64, six: i64| {
                for (name, count) in [("ipv4", four), ("ipv6", six)] {
                    let labels = PoolLabels {
                        pool: pool.clone(),
                        family: name,
                    };
                    family.get_or_create(&labels).set(count);
                }
            };
            set(&self.assigned, c.assigned_ipv4, c.assigned_ipv6);
            set(&self.available, c.available_ipv4, c.available_ipv6);
            set(&self.retained, c.retained_ipv4, c.retained_ipv6);
            set(&self.reserved, c.reserved_ipv4, c.reserved_ipv6);
            if c.ports_capacity > 0 {
                let labels = PortLabels { pool: pool.clone() };
                self.ports_taken.get_or_create(&labels).set(c.ports_taken);
                self.ports_capacity
                    .get_or_create(&labels)
                    .set(c.ports_capacity);
            }
        }
        let problems = decision
            .compiled
            .problems
            .iter()
            .chain(&decision.service_problems);
        let problems = problems.map(|p| (p.object.kind, p.reason.label()));
        count(&self.problems, problems);
        let refused = decision
            .plan
            .refuse
            .values()
            .map(|refusal| ("Service", refusal.label()));
        count(&self.refused, refused);
    }
}

fn count(
    family: &Family<ReasonLabels, Gauge>,
    reasons: impl Iterator<Item = (&'static str, &'static str)>,
) {
    let mut counts: BTreeMap<_, i64> = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
    family.clear();
    for ((kind, reason), n) in counts {
        family.get_or_create(&ReasonLabels { kind, reason }).set(n);
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn a_series_goes_when_its_reason_does() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let text = |registry: &Registry| {
            let mut text = String::new();
            encode(&mut text, registry).unwrap();
            text
        };
        let reasons = [("Service", "NoPool"), ("Service", "NoPool")];
        count(&metrics.refused, reasons.into_iter());
        metrics.wrote("Service", Some(&Refused::Conflict));
        let before = text(&registry);
        let series = "herald_controller_services_refused{kind=\"Service\",reason=\"NoPool\"} 2";
        assert!(before.contains(series), "{before}");
        assert!(
            before.contains("herald_controller_write_conflicts_total 1"),
            "{before}"
        );
        count(&metrics.refused, std::iter::empty());
        assert!(!text(&registry).contains("NoPool"));
    }
}
