//! BGPPeers, BGPAdvertisements, Communities and BFDProfiles: names resolved, numbers checked.
//!
//! A mistake sets its object aside; what only names something that does not exist goes on without it.

mod advertisement;
mod bfd;
mod community;
mod opening;
mod peer;
mod tcp_ao;

use std::collections::BTreeMap;

use herald_model::bgp::{Peer, Policy};

use crate::l2;
use crate::objects::{Objects, unique};
use crate::problem::{ObjectRef, Problem, Reason, Report};

pub(crate) const BGP_ADVERTISEMENT: &str = "BGPAdvertisement";
pub(crate) const BGP_PEER: &str = "BGPPeer";
pub(crate) const BFD_PROFILE: &str = "BFDProfile";
pub(crate) const COMMUNITY: &str = "Community";

/// The usable peers and advertisements.
pub(crate) fn compile(objects: &Objects, problems: &mut Vec<Problem>) -> Policy {
    let profiles = unique(BFD_PROFILE, &objects.bfd_profiles, problems);
    let mut bfd_profiles = BTreeMap::new();
    for (name, object) in &profiles {
        let mut report = report(BFD_PROFILE, name, problems);
        let profile = bfd::translate(&object.spec, &mut report);
        if !report.is_quarantined() {
            bfd_profiles.insert(name.clone(), profile);
        }
    }
    let written = unique(BGP_PEER, &objects.bgp_peers, problems);
    let mut peers: BTreeMap<String, Peer> = BTreeMap::new();
    for (name, object) in &written {
        let mut report = report(BGP_PEER, name, problems);
        let known = |profile: &str| bfd_profiles.contains_key(profile);
        let peer = peer::translate(
            name,
            &object.spec,
            &known,
            objects.nodes.as_ref(),
            &mut report,
        );
        let Some(peer) = peer else { continue };
        let nodes = objects.nodes.as_ref();
        if let Some(first) = peers.values().find(|first| peer::meet(first, &peer, nodes)) {
            let message = format!(
                "BGPPeer {} finds its router on this interface of the same nodes; an interface has one \
                 router: write other nodeSelectors, or the peerAddress of both",
                first.name
            );
            report.reject("spec.interface", Reason::InterfaceTaken, message);
        }
        if !report.is_quarantined() {
            peers.insert(name.clone(), peer);
        }
    }
    for (name, field, message) in opening::conflicts(&peers, objects.nodes.as_ref()) {
        report(BGP_PEER, &name, problems).note(field, Reason::AmbiguousRouter, message);
    }
    let aliases = community::aliases(&objects.communities, problems);
    let context = advertisement::Context {
        pools: l2::pool_labels(&objects.pools),
        peers: written.keys().cloned().collect(),
        aliases,
        nodes: objects.nodes.as_ref(),
    };
    let mut advertisements = Vec::new();
    for (name, object) in unique(BGP_ADVERTISEMENT, &objects.bgp_advertisements, problems) {
        let mut report = report(BGP_ADVERTISEMENT, &name, problems);
        let advertisement = advertisement::translate(&name, &object.spec, &context, &mut report);
        if !report.is_quarantined() {
            advertisements.push(advertisement);
        }
    }
    for conflict in advertisement::conflicts(&advertisements) {
        let mut report = report(BGP_ADVERTISEMENT, &conflict.name, problems);
        report.note(conflict.field, conflict.reason, conflict.message);
    }
    Policy {
        peers,
        bfd_profiles,
        advertisements,
    }
}

fn report<'a>(kind: &'static str, name: &str, problems: &'a mut Vec<Problem>) -> Report<'a> {
    Report::new(ObjectRef::new(kind, name), problems)
}
