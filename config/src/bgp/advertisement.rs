//! BGPAdvertisements: what a prefix looks like, and for whom.

use std::collections::{BTreeMap, BTreeSet};

use herald_crds::{BGPAdvertisementSpec, BandwidthPer};
use herald_model::bgp::{Advertisement, Attributes, Community, LinkBandwidth, Per};
use herald_model::labels::Labels;

use super::community;
use crate::l2;
use crate::node::NodeFacts;
use crate::problem::{Reason, Report};
use crate::selector;

/// What advertisements name.
pub(super) struct Context<'a> {
    pub(super) pools: BTreeMap<String, Labels>,
    /// Every peer that exists, usable or not.
    pub(super) peers: BTreeSet<String>,
    pub(super) aliases: BTreeMap<String, Community>,
    pub(super) nodes: Option<&'a BTreeMap<String, NodeFacts>>,
}

pub(super) fn translate(
    name: &str,
    spec: &BGPAdvertisementSpec,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> Advertisement {
    let pools = l2::selected_pools(
        &spec.ip_address_pools,
        &spec.ip_address_pool_selectors,
        &context.pools,
        report,
    );
    let node_selectors = selector::list("spec.nodeSelectors", &spec.node_selectors, report);
    if let Some(nodes) = context.nodes {
        let labels = nodes.values().map(|node| &node.labels);
        selector::note_idle(
            "spec.nodeSelectors",
            &node_selectors,
            labels,
            "node",
            report,
        );
    }
    let service_selectors =
        selector::list("spec.serviceSelectors", &spec.service_selectors, report);
    for (i, peer) in spec.peers.iter().enumerate() {
        if !context.peers.contains(peer) {
            let message = format!("there is no BGPPeer {peer}; create it or correct the name");
            report.note(format!("spec.peers[{i}]"), Reason::UnknownPeer, message);
        }
    }
    let peers = (!spec.peers.is_empty()).then(|| spec.peers.iter().cloned().collect());
    let aggregation_v4 = bounded(
        "spec.aggregationLength",
        spec.aggregation_length,
        1,
        32,
        report,
    );
    let aggregation_v6 = bounded(
        "spec.aggregationLengthV6",
        spec.aggregation_length_v6,
        1,
        128,
        report,
    );
    if !service_selectors.is_empty() && (aggregation_v4, aggregation_v6) != (32, 128) {
        let message = "an aggregate cannot be announced for some of its Services; remove \
                       serviceSelectors, or write aggregationLength 32 and aggregationLengthV6 128"
            .to_owned();
        report.reject("spec.serviceSelectors", Reason::OutOfBounds, message);
    }
    Advertisement {
        name: name.to_owned(),
        pools,
        node_selectors,
        service_selectors,
        peers,
        aggregation_v4,
        aggregation_v6,
        attributes: Attributes {
            local_pref: spec
                .local_pref
                .map(|value| bounded("spec.localPref", value, 0, i64::from(u32::MAX), report)),
            med: spec
                .med
                .map(|value| bounded("spec.med", value, 0, i64::from(u32::MAX), report)),
            prepend: spec
                .prepend
                .map_or(0, |value| bounded("spec.prepend", value, 1, 10, report)),
            communities: communities(spec, context, report),
            link_bandwidth: None,
            leaving: false,
        },
        link_bandwidth: spec
            .link_bandwidth
            .as_ref()
            .and_then(|written| link_bandwidth(written, report)),
    }
}

/// A number within its bounds; another one quarantines the object.
pub(super) fn bounded<I, O>(field: &str, value: I, least: I, most: I, report: &mut Report<'_>) -> O
where
    I: Copy + PartialOrd + std::fmt::Display + TryInto<O>,
    O: Default,
{
    let fits = (least..=most).contains(&value);
    value.try_into().ok().filter(|_| fits).unwrap_or_else(|| {
        let message = format!("{value} is out of bounds; write {least} to {most}");
        report.reject(field, Reason::OutOfBounds, message);
        O::default()
    })
}

fn communities(
    spec: &BGPAdvertisementSpec,
    context: &Context<'_>,
    report: &mut Report<'_>,
) -> BTreeSet<Community> {
    let mut communities = BTreeSet::new();
    for (i, text) in spec.communities.iter().enumerate() {
        let field = format!("spec.communities[{i}]");
        match (context.aliases.get(text).copied(), community::parse(text)) {
            (Some(community), _) | (None, Ok(community)) => {
                communities.insert(community);
            }
            (None, Err(_)) if !text.contains(':') => {
                let message =
                    format!("no Community defines {text}; define it or write its numbers");
                report.note(field, Reason::UnknownCommunity, message);
            }
            (None, Err(message)) => report.reject(field, Reason::NotACommunity, message),
        }
    }
    communities
}

/// How shares are reckoned; none where only a later version knows.
fn link_bandwidth(
    written: &herald_crds::LinkBandwidth,
    report: &mut Report<'_>,
) -> Option<LinkBandwidth> {
    let per = match written.per {
        BandwidthPer::Endpoint => Per::Endpoint,
        BandwidthPer::Node => Per::Node,
        BandwidthPer::Unknown => {
            let message = "the value is not known to this version; write Endpoint or Node";
            let field = "spec.linkBandwidth.per";
            report.reject(field, Reason::UnknownValue, message.to_owned());
            return None;
        }
    };
    let field = "spec.linkBandwidth.megabitsPerSecond";
    Some(LinkBandwidth {
        megabits: bounded(field, written.megabits_per_second, 1, 1_000_000, report),
        per,
        transitive: written.transitive,
    })
}

/// What may not be said twice, and differently, of one prefix.
pub(super) struct Conflict {
    /// The second of two advertisements, by name.
    pub(super) name: String,
    pub(super) field: &'static str,
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// Advertisements that give a prefix of one pool to one peer with different localPref or linkBandwidth: the
/// second of each two, by name, and a sentence. The higher one is told.
pub(super) fn conflicts(advertisements: &[Advertisement]) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (i, second) in advertisements.iter().enumerate() {
        let rivals = || {
            let before = advertisements.iter().take(i);
            before.filter(|first| announce_the_same(first, second))
        };
        let mut note = |first: &Advertisement, field: &'static str, reason| {
            let what = field.trim_start_matches("spec.");
            let message = format!(
                "BGPAdvertisement {} announces the same prefixes to the same peers with another \
                 {what}, and the higher of the two is told; make them agree",
                first.name
            );
            conflicts.push(Conflict {
                name: second.name.clone(),
                field,
                reason,
                message,
            });
        };
        let preferred = second.attributes.local_pref;
        if let Some(first) = rivals().find(|first| first.attributes.local_pref != preferred) {
            note(first, "spec.localPref", Reason::ConflictingLocalPref);
        }
        if let Some(first) = rivals().find(|first| first.link_bandwidth != second.link_bandwidth) {
            let reason = Reason::ConflictingLinkBandwidth;
            note(first, "spec.linkBandwidth", reason);
        }
    }
    conflicts
}

/// Whether two advertisements announce prefixes of one pool to one peer from the same nodes.
fn announce_the_same(first: &Advertisement, second: &Advertisement) -> bool {
    meet(&first.pools, &second.pools)
        && meet(&first.peers, &second.peers)
        && (first.aggregation_v4 == second.aggregation_v4
            || first.aggregation_v6 == second.aggregation_v6)
        && first.service_selectors == second.service_selectors
        && first.node_selectors == second.node_selectors
}

/// Whether two sets have something in common; none stands for everything.
fn meet(one: &Option<BTreeSet<String>>, other: &Option<BTreeSet<String>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !one.is_disjoint(other),
        (None, _) | (_, None) => true,
    }
}
