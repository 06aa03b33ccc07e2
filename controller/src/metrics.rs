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
struct AddressLabels {
    pool: String,
    address: String,
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
    ports_per_address: Family<PortLabels, Gauge>,
    address_ports_taken: Family<AddressLabels, Gauge>,
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
        let help = "Ports that each address of a pool that names its ports carries";
        registry.register("pool_ports_per_address", help, m.ports_per_address);
        let help = "Ports taken on each assigned address of a pool that names its ports";
        registry.register("address_ports_taken", help, m.address_ports_taken);
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
        }
        self.ports(decision);
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

    /// Shows how full the pools that name their ports are, address by address.
    fn ports(&self, decision: &Decision) {
        for family in [
            &self.ports_taken,
            &self.ports_capacity,
            &self.ports_per_address,
        ] {
            family.clear();
        }
        self.address_ports_taken.clear();
        let pools = &decision.compiled.config.pools;
        for (pool, addresses) in &decision.plan.ports_taken {
            let labels = PortLabels { pool: pool.clone() };
            let set = |family: &Family<PortLabels, Gauge>, ports| {
                family.get_or_create(&labels).set(ports);
            };
            if let Some(counts) = decision.plan.counts.get(pool) {
                set(&self.ports_taken, counts.ports_taken);
                set(&self.ports_capacity, counts.ports_capacity);
            }
            if let Some(pool) = pools.get(pool) {
                set(&self.ports_per_address, pool.ports.count().into());
            }
            for (address, ports) in addresses {
                let labels = AddressLabels {
                    pool: pool.clone(),
                    address: address.to_string(),
                };
                let series = self.address_ports_taken.get_or_create(&labels);
                series.set(i64::from(*ports));
            }
        }
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
    use std::net::IpAddr;
    use std::sync::Arc;

    use herald_model::address::RangeSet;
    use herald_model::pool::Pool;
    use herald_model::ports::PortSet;
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

    #[test]
    fn an_address_whose_ports_run_out_can_be_alerted_on() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let ports: PortSet = ["1000-1003/TCP"]
            .into_iter()
            .map(|p| p.parse().unwrap())
            .collect();
        let pool = Pool {
            ports,
            ..Pool::new("media", RangeSet::default())
        };
        let mut decision = Decision::default();
        let compiled = Arc::make_mut(&mut decision.compiled);
        compiled.config.pools = [("media".to_owned(), pool)].into();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let taken = [("media".to_owned(), [(address, 3)].into())];
        decision.plan.ports_taken = taken.into();
        metrics.decided(&decision);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for series in [
            "address_ports_taken{pool=\"media\",address=\"192.0.2.1\"} 3",
            "pool_ports_per_address{pool=\"media\"} 4",
        ] {
            assert!(
                text.contains(&format!("herald_controller_{series}\n")),
                "{text}"
            );
        }
    }
}
