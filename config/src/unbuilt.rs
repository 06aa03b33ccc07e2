//! Kinds this version stores and checks but does not act on: everything BGP.
//!
//! Each gets the notice FieldNotImplemented, and its references to other objects are checked, so
//! that nobody is left guessing.

use std::collections::{BTreeMap, BTreeSet};

use herald_crds::{BGPAdvertisement, BGPPeer, Community};

use crate::l2;
use crate::objects::{Objects, unique};
use crate::problem::{ObjectRef, Problem, Reason, Report};
use crate::selector;

pub(crate) const BGP_ADVERTISEMENT: &str = "BGPAdvertisement";
pub(crate) const BGP_PEER: &str = "BGPPeer";
pub(crate) const BFD_PROFILE: &str = "BFDProfile";
pub(crate) const COMMUNITY: &str = "Community";

/// Names that RFC 1997, 3765, 7611, 7999, 8326 and 9494 give to communities.
const WELL_KNOWN: [&str; 9] = [
    "accept-own",
    "blackhole",
    "graceful-shutdown",
    "llgr-stale",
    "no-advertise",
    "no-export",
    "no-export-subconfed",
    "no-llgr",
    "no-peer",
];

pub(crate) fn compile(objects: &Objects, problems: &mut Vec<Problem>) {
    let aliases = communities(&objects.communities, problems);
    let pools = l2::pool_labels(&objects.pools);
    let peers = unique(BGP_PEER, &objects.bgp_peers, problems);
    for (name, object) in unique(BGP_ADVERTISEMENT, &objects.bgp_advertisements, problems) {
        let mut report = report(BGP_ADVERTISEMENT, &name, problems);
        let spec = &object.spec;
        l2::selected_pools(
            &spec.ip_address_pools,
            &spec.ip_address_pool_selectors,
            &pools,
            &mut report,
        );
        advertisement(object, &peers, &aliases, &mut report);
    }
    let profiles = unique(BFD_PROFILE, &objects.bfd_profiles, problems);
    for name in profiles.keys() {
        report(BFD_PROFILE, name, problems).not_built("spec");
    }
    for (name, object) in &peers {
        let mut report = report(BGP_PEER, name, problems);
        selector::list(
            "spec.nodeSelectors",
            &object.spec.node_selectors,
            &mut report,
        );
        if let Some(profile) = object
            .spec
            .bfd_profile
            .as_ref()
            .filter(|p| !profiles.contains_key(*p))
        {
            let message =
                format!("there is no BFDProfile {profile}; create it or correct the name");
            report.note("spec.bfdProfile", Reason::UnknownBfdProfile, message);
        }
        report.not_built("spec");
    }
}

fn report<'a>(kind: &'static str, name: &str, problems: &'a mut Vec<Problem>) -> Report<'a> {
    Report::new(ObjectRef::new(kind, name), problems)
}

/// The aliases that exist; one that is defined again is reported where it comes second.
fn communities(objects: &[Community], problems: &mut Vec<Problem>) -> BTreeSet<String> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for (name, object) in unique(COMMUNITY, objects, problems) {
        let mut report = report(COMMUNITY, &name, problems);
        for (i, alias) in object.spec.communities.iter().enumerate() {
            if let Some(owner) = owners.get(&alias.name) {
                let message = format!(
                    "{} is defined in {COMMUNITY} {owner} too; rename or remove one",
                    alias.name
                );
                let field = format!("spec.communities[{i}].name");
                report.note(field, Reason::CommunityDefinedTwice, message);
            } else {
                owners.insert(alias.name.clone(), name.clone());
            }
        }
        report.not_built("spec");
    }
    owners.into_keys().collect()
}

fn advertisement(
    object: &BGPAdvertisement,
    peers: &BTreeMap<String, &BGPPeer>,
    aliases: &BTreeSet<String>,
    report: &mut Report<'_>,
) {
    let spec = &object.spec;
    selector::list("spec.nodeSelectors", &spec.node_selectors, report);
    selector::list("spec.serviceSelectors", &spec.service_selectors, report);
    for (i, peer) in spec.peers.iter().enumerate() {
        if !peers.contains_key(peer) {
            let message = format!("there is no BGPPeer {peer}; create it or correct the name");
            report.note(format!("spec.peers[{i}]"), Reason::UnknownPeer, message);
        }
    }
    for (i, community) in spec.communities.iter().enumerate() {
        let known = community.contains(':')
            || WELL_KNOWN.contains(&community.as_str())
            || aliases.contains(community);
        if !known {
            let message =
                format!("no Community defines {community}; define it or write its numbers");
            report.note(
                format!("spec.communities[{i}]"),
                Reason::UnknownCommunity,
                message,
            );
        }
    }
    report.not_built("spec");
}
