//! What is counted of sessions with routers.

use herald_bgp::State;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::States;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabel {
    peer: String,
}

/// Handles on every metric; cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    up: Family<PeerLabel, Gauge>,
    wished: Family<PeerLabel, Gauge>,
    sent: Family<PeerLabel, Gauge>,
    received: Family<PeerLabel, Gauge>,
    established: Family<PeerLabel, Gauge>,
}

impl Metrics {
    /// Registers everything under the prefix `herald_bgp`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        let registry = registry.sub_registry_with_prefix("herald_bgp");
        registry.register("session_up", "1 while the session is established", m.up);
        let help = "Prefixes that the router is to know";
        registry.register("prefixes_wished", help, m.wished);
        let help = "Prefixes that were sent and not withdrawn";
        registry.register("prefixes_sent", help, m.sent);
        let help = "Prefixes that the router announces; none is used";
        registry.register("prefixes_received", help, m.received);
        let help = "How often the session was established since the speaker started";
        registry.register("established_sessions", help, m.established);
        metrics
    }

    /// Shows how sessions are doing; those that are gone are not shown any more.
    pub(super) fn show(&self, states: &States) {
        let every = [
            &self.up,
            &self.wished,
            &self.sent,
            &self.received,
            &self.established,
        ];
        for family in every {
            family.clear();
        }
        for (peer, session) in states {
            let label = PeerLabel { peer: peer.clone() };
            let set = |family: &Family<PeerLabel, Gauge>, value: i64| {
                family.get_or_create(&label).set(value);
            };
            let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            set(&self.up, i64::from(session.state == State::Established));
            set(&self.wished, count(session.wished));
            set(&self.sent, count(session.sent));
            set(&self.received, count(session.received));
            let established = i64::try_from(session.established).unwrap_or(i64::MAX);
            set(&self.established, established);
        }
    }
}
