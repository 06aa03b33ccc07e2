//! What the speaker counts.

use std::array;

use herald_l2::{Claim, ClaimKind, Discard};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClaimLabel {
    kind: &'static str,
    from: &'static str,
}

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
    discarded: [Counter; Discard::ALL.len()],
    claims: Family<ClaimLabel, Counter>,
}

impl Metrics {
    /// Registers everything under the prefix `herald_speaker`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("herald_speaker");
        let discarded: Family<ReasonLabel, Counter> = Family::default();
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
        registry.register("live_nodes", "Nodes seen alive", m.live_nodes.clone());
        metrics
    }

    pub(crate) fn discarded(&self, reason: Discard) {
        if let Some(index) = Discard::ALL.iter().position(|other| *other == reason) {
            self.discarded[index].inc();
        }
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
