//! What is counted of sessions with routers.

use herald_bgp::State;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::States;
use super::listen::ListenMetrics;

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
    pub(super) bfd: BfdMetrics,
    pub(super) discovery: DiscoveryMetrics,
    pub(super) listening: ListenMetrics,
}

impl Metrics {
    /// Registers everything under the prefixes `herald_bgp` and `herald_bfd`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        m.bfd.register(registry);
        let registry = registry.sub_registry_with_prefix("herald_bgp");
        m.discovery.register(registry);
        m.listening.register(registry);
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InterfaceLabel {
    interface: String,
}

/// What is counted of the search for routers; cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct DiscoveryMetrics {
    sent: Family<InterfaceLabel, Counter>,
    received: Family<InterfaceLabel, Counter>,
    discarded: Family<InterfaceLabel, Counter>,
}

impl DiscoveryMetrics {
    fn register(&self, registry: &mut Registry) {
        let m = self.clone();
        let help = "Router solicitations and advertisements sent";
        registry.register("discovery_messages_sent", help, m.sent);
        let help = "Router solicitations and advertisements that counted";
        registry.register("discovery_messages_received", help, m.received);
        let help = "Router solicitations and advertisements that were dropped";
        registry.register("discovery_messages_discarded", help, m.discarded);
    }

    pub(super) fn sent(&self, interface: &str) {
        self.sent.get_or_create_owned(&label(interface)).inc();
    }

    pub(super) fn heard(&self, interface: &str, counts: bool) {
        let family = if counts {
            &self.received
        } else {
            &self.discarded
        };
        family.get_or_create_owned(&label(interface)).inc();
    }

    /// Nothing is shown of this interface any more.
    pub(super) fn forget(&self, interface: &str) {
        let label = label(interface);
        self.sent.remove(&label);
        self.received.remove(&label);
        self.discarded.remove(&label);
    }
}

fn label(interface: &str) -> InterfaceLabel {
    InterfaceLabel {
        interface: interface.to_owned(),
    }
}

/// What is counted of watched paths; cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct BfdMetrics {
    up: Family<PeerLabel, Gauge>,
    ups: Family<PeerLabel, Counter>,
    downs: Family<PeerLabel, Counter>,
    received: Family<PeerLabel, Counter>,
    sent: Family<PeerLabel, Counter>,
    discarded: Family<PeerLabel, Counter>,
}

/// What is counted of one watched path.
#[derive(Debug)]
pub(super) struct BfdCounters {
    pub(super) up: Gauge,
    pub(super) ups: Counter,
    pub(super) downs: Counter,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) discarded: Counter,
}

impl BfdMetrics {
    fn register(&self, registry: &mut Registry) {
        let m = self.clone();
        let registry = registry.sub_registry_with_prefix("herald_bfd");
        registry.register("session_up", "1 while both ends hear each other", m.up);
        let help = "How often the path came up";
        registry.register("session_up_events", help, m.ups);
        let help = "How often the path went down, switched off on purpose included";
        registry.register("session_down_events", help, m.downs);
        let help = "Control packets that counted";
        registry.register("control_packets_received", help, m.received);
        registry.register("control_packets_sent", "Control packets sent", m.sent);
        let help = "Control packets of the router that were dropped";
        registry.register("control_packets_discarded", help, m.discarded);
    }

    pub(super) fn of(&self, peer: &str) -> BfdCounters {
        let label = PeerLabel {
            peer: peer.to_owned(),
        };
        BfdCounters {
            up: self.up.get_or_create_owned(&label),
            ups: self.ups.get_or_create_owned(&label),
            downs: self.downs.get_or_create_owned(&label),
            received: self.received.get_or_create_owned(&label),
            sent: self.sent.get_or_create_owned(&label),
            discarded: self.discarded.get_or_create_owned(&label),
        }
    }

    /// Nothing is shown of this peer any more.
    pub(super) fn forget(&self, peer: &str) {
        let label = PeerLabel {
            peer: peer.to_owned(),
        };
        self.up.remove(&label);
        self.ups.remove(&label);
        self.downs.remove(&label);
        self.received.remove(&label);
        self.sent.remove(&label);
        self.discarded.remove(&label);
    }
}
