//! What the speaker counts.

use std::array;
use std::time::Duration;

use herald_l2::{Claim, ClaimKind, Discard};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClaimLabel {
    kind: &'static str,
    from: &'static str,
}

/// From an answer on the same switch to the patience of an operator, in seconds.
const TAKEOVER_BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0, 5.0,
];

/// Handles on every metric; cloning shares them. Counting takes no lock.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub answered: Counter,
    pub announced: Counter,
    pub send_errors: Counter,
    pub receive_errors: Counter,
    pub owned: Gauge,
    pub leaving: Gauge,
    pub standby: Gauge,
    pub interfaces: Gauge,
    pub groups: Gauge,
    pub live_nodes: Gauge,
    pub quorum: Gauge,
    pub beacons_sent: Counter,
    pub beacon_errors: Counter,
    pub wakeups: Counter,
    pub late_wakeups: Counter,
    pub fruitless_wakeups: Counter,
    pub unacknowledged: Counter,
    beacons_received: Counter,
    beacons_discarded: [Counter; herald_beacon::Discard::ALL.len()],
    takeovers: Family<StageLabel, Histogram>,
    discarded: [Counter; Discard::ALL.len()],
    claims: Family<ClaimLabel, Counter>,
}

impl Metrics {
    /// Registers everything under the prefix `herald_speaker`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let outer = registry;
        let registry = outer.sub_registry_with_prefix("herald_speaker");
        let discarded: Family<ReasonLabel, Counter> = Family::default();
        let dropped: Family<ReasonLabel, Counter> = Family::default();
        let metrics = Self {
            answered: Counter::default(),
            announced: Counter::default(),
            send_errors: Counter::default(),
            receive_errors: Counter::default(),
            owned: Gauge::default(),
            leaving: Gauge::default(),
            standby: Gauge::default(),
            interfaces: Gauge::default(),
            groups: Gauge::default(),
            live_nodes: Gauge::default(),
            quorum: Gauge::default(),
            beacons_sent: Counter::default(),
            beacon_errors: Counter::default(),
            wakeups: Counter::default(),
            late_wakeups: Counter::default(),
            fruitless_wakeups: Counter::default(),
            unacknowledged: Counter::default(),
            beacons_received: Counter::default(),
            beacons_discarded: array::from_fn(|index| {
                let reason = herald_beacon::Discard::ALL[index].label();
                dropped.get_or_create(&ReasonLabel { reason }).clone()
            }),
            takeovers: Family::new_with_constructor(|| Histogram::new(TAKEOVER_BOUNDS)),
            discarded: array::from_fn(|index| {
                let reason = Discard::ALL[index].label();
                discarded.get_or_create(&ReasonLabel { reason }).clone()
            }),
            claims: Family::default(),
        };
        let m = &metrics;
        registry.register(
            "answers",
            "ARP and NDP questions answered",
            m.answered.clone(),
        );
        registry.register("announcements", "Frames sent unasked", m.announced.clone());
        registry.register(
            "send_errors",
            "Frames the kernel refused",
            m.send_errors.clone(),
        );
        registry.register(
            "receive_errors",
            "Failed socket reads",
            m.receive_errors.clone(),
        );
        registry.register(
            "discards",
            "Frames that got no answer, by reason",
            discarded,
        );
        registry.register(
            "claims",
            "Owned addresses claimed by others",
            m.claims.clone(),
        );
        registry.register(
            "owned_addresses",
            "Addresses announced here",
            m.owned.clone(),
        );
        registry.register(
            "leaving_addresses",
            "Addresses announced here until another node has them",
            m.leaving.clone(),
        );
        registry.register(
            "standby_addresses",
            "Addresses this node may own",
            m.standby.clone(),
        );
        registry.register(
            "interfaces",
            "Interfaces announced on",
            m.interfaces.clone(),
        );
        registry.register("groups", "Solicited-node groups joined", m.groups.clone());
        registry.register("live_nodes", "Nodes heard", m.live_nodes.clone());
        registry.register(
            "quorum",
            "Whether a majority of the speakers is heard",
            m.quorum.clone(),
        );
        registry.register("beacons_sent", "Beacons sent", m.beacons_sent.clone());
        registry.register(
            "beacon_errors",
            "Beacons the kernel refused",
            m.beacon_errors.clone(),
        );
        registry.register(
            "wakeups",
            "Times the announcing thread woke up",
            m.wakeups.clone(),
        );
        registry.register(
            "fruitless_wakeups",
            "Times the announcing thread was woken again and again for nothing, and paused",
            m.fruitless_wakeups.clone(),
        );
        registry.register(
            "late_wakeups",
            "Times the announcing thread woke up more than a beacon interval late",
            m.late_wakeups.clone(),
        );
        registry.register(
            "beacons_received",
            "Beacons of other speakers that counted",
            m.beacons_received.clone(),
        );
        registry.register(
            "beacon_discards",
            "Datagrams that were dropped, by reason",
            dropped,
        );
        registry.register(
            "gateways_silent",
            "Takeovers that a gateway did not acknowledge",
            m.unacknowledged.clone(),
        );
        outer.sub_registry_with_prefix("herald_l2").register(
            "takeover_seconds",
            "Takeovers from a silent owner: from its last beacon to this node's claim (suspected) \
             and to ownership (owned); from the first question to a gateway to its answer \
             (acknowledged)",
            m.takeovers.clone(),
        );
        metrics
    }

    pub(crate) fn discarded(&self, reason: Discard) {
        if let Some(index) = Discard::ALL.iter().position(|other| *other == reason) {
            self.discarded[index].inc();
        }
    }

    pub(crate) fn beacon_received(&self) {
        self.beacons_received.inc();
    }

    pub(crate) fn beacon_discarded(&self, reason: herald_beacon::Discard) {
        let all = herald_beacon::Discard::ALL;
        if let Some(index) = all.iter().position(|other| *other == reason) {
            self.beacons_discarded[index].inc();
        }
    }

    /// An address of a silent owner was taken; both counted from that owner's last beacon.
    pub(crate) fn took_over(&self, suspected: Duration, owned: Duration) {
        for (stage, took) in [("suspected", suspected), ("owned", owned)] {
            self.stage(stage, took);
        }
    }

    /// A gateway answered an address that was taken.
    pub(crate) fn acknowledged(&self, after: Duration) {
        self.stage("acknowledged", after);
    }

    fn stage(&self, stage: &'static str, took: Duration) {
        let histogram = self.takeovers.get_or_create(&StageLabel { stage });
        histogram.observe(took.as_secs_f64());
    }

    pub(crate) fn claimed(&self, claim: &Claim) {
        let kind = match claim.kind {
            ClaimKind::Announced => "announced",
            ClaimKind::Probed => "probed",
            ClaimKind::InUse => "in_use",
        };
        let from = if claim.peer { "peer" } else { "foreign" };
        self.claims.get_or_create(&ClaimLabel { kind, from }).inc();
    }
}
