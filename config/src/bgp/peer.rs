//! BGPPeers: addresses, numbers and times.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use herald_crds::{BGPPeerSpec, DynamicASN};
use herald_model::bgp::{Dialing, Peer, RemoteAs, Security, Target};
use herald_model::labels::any_or_all;

use super::advertisement::bounded;
use super::{opening, tcp_ao};
use crate::node::NodeFacts;
use crate::policy::parse_duration;
use crate::problem::{Reason, Report};
use crate::selector;

/// What is in force where a peer says nothing.
const HOLD_TIME: Duration = Duration::from_secs(90);
const CONNECT_TIME: Duration = Duration::from_secs(5);
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// The peer; none when where it is cannot be told, or this version cannot speak to it.
pub(super) fn translate(
    name: &str,
    spec: &BGPPeerSpec,
    known_profile: &dyn Fn(&str) -> bool,
    nodes: Option<&BTreeMap<String, NodeFacts>>,
    report: &mut Report<'_>,
) -> Option<Peer> {
    let node_selectors = selector::list("spec.nodeSelectors", &spec.node_selectors, report);
    if let Some(nodes) = nodes {
        let labels = nodes.values().map(|node| &node.labels);
        selector::note_idle(
            "spec.nodeSelectors",
            &node_selectors,
            labels,
            "node",
            report,
        );
    }
    let my_asn = bounded("spec.myASN", spec.my_asn, 1, i64::from(u32::MAX), report);
    let local_asn = spec
        .local_asn
        .map(|asn| bounded("spec.localASN", asn, 1, i64::from(u32::MAX), report));
    let remote_as = remote_as(spec, report)?;
    let external = match remote_as {
        RemoteAs::Exactly(asn) => asn != local_asn.unwrap_or(my_asn),
        RemoteAs::Internal => false,
        RemoteAs::External => true,
    };
    if spec.ebgp_multi_hop && !external {
        let message = "the router is of the same AS; remove ebgpMultiHop, which internal sessions do not need";
        report.reject("spec.ebgpMultiHop", Reason::OutOfBounds, message.to_owned());
    }
    let hold_time = time(
        "spec.holdTime",
        spec.hold_time.as_deref(),
        HOLD_TIME,
        report,
    );
    if matches!(hold_time.as_secs(), 1 | 2) || hold_time.subsec_nanos() != 0 {
        let message =
            format!("{hold_time:?} cannot be told to a router; write 0s, or whole seconds from 3s");
        report.reject("spec.holdTime", Reason::OutOfBounds, message);
    }
    let keepalive_time = spec
        .keepalive_time
        .as_deref()
        .map(|text| time("spec.keepaliveTime", Some(text), hold_time, report));
    if keepalive_time.is_some_and(|keepalive| keepalive > hold_time) {
        let message =
            "it is longer than holdTime, and the router would give up; write a third of it";
        report.reject(
            "spec.keepaliveTime",
            Reason::OutOfBounds,
            message.to_owned(),
        );
    }
    let connect_time = time(
        "spec.connectTime",
        spec.connect_time.as_deref(),
        CONNECT_TIME,
        report,
    );
    if !(1..=65_535).contains(&connect_time.as_secs()) {
        let message = format!("{connect_time:?} is out of bounds; write 1s to 65535s");
        report.reject("spec.connectTime", Reason::OutOfBounds, message);
    }
    let drain_time = time(
        "spec.drainTime",
        spec.drain_time.as_deref(),
        DRAIN_TIME,
        report,
    );
    unknown_names(spec, known_profile, report);
    let dialing = Dialing {
        target: target(spec, report)?,
        port: bounded("spec.peerPort", spec.peer_port, 1, 65_535, report),
        opening: opening::translate(spec, report)?,
        source: address("spec.sourceAddress", spec.source_address.as_deref(), report),
        vrf: spec.vrf.clone(),
        multihop: spec.ebgp_multi_hop,
    };
    check_source(&dialing, report);
    Some(Peer {
        name: name.to_owned(),
        node_selectors,
        my_asn,
        local_asn,
        remote_as,
        dialing,
        security: Security {
            password: spec.password_secret.as_ref().map(tcp_ao::secret),
            tcp_ao: tcp_ao::translate(spec, report),
            ttl_security: spec
                .ttl_security
                .map(|hops| bounded("spec.ttlSecurity", hops, 1, 254, report)),
        },
        hold_time,
        keepalive_time,
        connect_time,
        router_id: router_id(spec, report),
        bfd_profile: spec.bfd_profile.clone(),
        bfd_strict: spec.bfd_strict,
        graceful_restart: spec.enable_graceful_restart,
        drain_time,
        dual_stack: spec.dual_stack_address_family,
    })
}

fn remote_as(spec: &BGPPeerSpec, report: &mut Report<'_>) -> Option<RemoteAs> {
    match (spec.peer_asn, spec.dynamic_asn) {
        (Some(asn), None) => {
            let asn = bounded("spec.peerASN", asn, 1, i64::from(u32::MAX), report);
            Some(RemoteAs::Exactly(asn))
        }
        (None, Some(DynamicASN::Internal)) => Some(RemoteAs::Internal),
        (None, Some(DynamicASN::External)) => Some(RemoteAs::External),
        (None, Some(DynamicASN::Unknown)) => {
            let message = "the value is not known to this version; write internal or external";
            report.reject("spec.dynamicASN", Reason::UnknownValue, message.to_owned());
            None
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = "write exactly one of peerASN and dynamicASN".to_owned();
            report.reject("spec.peerASN", Reason::OutOfBounds, message);
            None
        }
    }
}

fn target(spec: &BGPPeerSpec, report: &mut Report<'_>) -> Option<Target> {
    match (&spec.peer_address, &spec.interface) {
        (Some(text), None) => peer_address(text, report),
        (None, Some(interface)) if !names_an_interface(interface) => {
            let message =
                format!("\"{interface}\" cannot be the name of an interface; write one as eth1");
            report.reject("spec.interface", Reason::InvalidInterface, message);
            None
        }
        (None, Some(_)) if spec.ebgp_multi_hop => {
            let message =
                "a router on an interface is one hop away; remove it, or write peerAddress";
            report.reject("spec.ebgpMultiHop", Reason::OutOfBounds, message.to_owned());
            None
        }
        (None, Some(interface)) => Some(Target::Interface(interface.clone())),
        (Some(_), Some(_)) | (None, None) => {
            let message = "write exactly one of peerAddress and interface".to_owned();
            report.reject("spec.peerAddress", Reason::NotAnAddress, message);
            None
        }
    }
}

/// An address; behind a link-local one and a `%`, its interface.
fn peer_address(text: &str, report: &mut Report<'_>) -> Option<Target> {
    const FIELD: &str = "spec.peerAddress";
    let is_local =
        |address: &IpAddr| matches!(address, IpAddr::V6(six) if six.is_unicast_link_local());
    let Some((bare, interface)) = text.split_once('%') else {
        let address = address(FIELD, Some(text), report)?;
        if is_local(&address) {
            let message = format!(
                "{address} may be on any link; write its interface behind it, as {address}%eth1"
            );
            report.reject(FIELD, Reason::NotAnAddress, message);
            return None;
        }
        return Some(Target::Address(address));
    };
    let address = match address(FIELD, Some(bare), report)? {
        IpAddr::V6(six) if six.is_unicast_link_local() => six,
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => {
            let message = format!(
                "{other} is not link-local and has no interface behind it; write {other} alone"
            );
            report.reject(FIELD, Reason::NotAnAddress, message);
            return None;
        }
    };
    if !names_an_interface(interface) {
        let message = format!(
            "\"{interface}\" cannot be the name of an interface; write one as {address}%eth1"
        );
        report.reject(FIELD, Reason::InvalidInterface, message);
        return None;
    }
    let interface = interface.to_owned();
    Some(Target::LinkLocal { address, interface })
}

/// What Linux takes as a name.
fn names_an_interface(name: &str) -> bool {
    let foul = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%');
    !name.is_empty() && name.len() <= 15 && !name.contains(foul)
}

fn check_source(dialing: &Dialing, report: &mut Report<'_>) {
    let Some(source) = dialing.source else { return };
    let (is_ipv4, router) = match &dialing.target {
        Target::Address(router) => (router.is_ipv4(), router.to_string()),
        Target::LinkLocal { address, .. } => (false, address.to_string()),
        Target::Interface(interface) => (false, format!("the link-local router on {interface}")),
    };
    if is_ipv4 != source.is_ipv4() {
        let message = format!(
            "{source} is of another family than {router}; write an address of the nodes of the same family"
        );
        report.reject("spec.sourceAddress", Reason::MixedFamilies, message);
    }
}

/// Whether two peers find their routers on the same interface of the same node: one interface has one
/// router. Where nodes are not known, only what is certain counts.
pub(super) fn meet(one: &Peer, other: &Peer, nodes: Option<&BTreeMap<String, NodeFacts>>) -> bool {
    let (Target::Interface(here), Target::Interface(there)) =
        (&one.dialing.target, &other.dialing.target)
    else {
        return false;
    };
    let (one, other) = (&one.node_selectors, &other.node_selectors);
    here == there
        && match nodes {
            Some(nodes) => nodes
                .values()
                .any(|node| any_or_all(one, &node.labels) && any_or_all(other, &node.labels)),
            None => one.is_empty() || other.is_empty() || one == other,
        }
}

fn address(field: &str, text: Option<&str>, report: &mut Report<'_>) -> Option<IpAddr> {
    let text = text?;
    let address = text.parse().ok();
    if address.is_none() {
        let message =
            format!("\"{text}\" is not an address; write one as 192.0.2.1 or 2001:db8::1");
        report.reject(field, Reason::NotAnAddress, message);
    }
    address
}

fn router_id(spec: &BGPPeerSpec, report: &mut Report<'_>) -> Option<Ipv4Addr> {
    let text = spec.router_id.as_deref()?;
    let id = text
        .parse()
        .ok()
        .filter(|id: &Ipv4Addr| !id.is_unspecified());
    if id.is_none() {
        let message = format!(
            "\"{text}\" cannot be a BGP identifier; write an IPv4 address other than 0.0.0.0"
        );
        report.reject("spec.routerID", Reason::NotAnAddress, message);
    }
    id
}

fn time(field: &str, text: Option<&str>, absent: Duration, report: &mut Report<'_>) -> Duration {
    let Some(text) = text else { return absent };
    parse_duration(text).unwrap_or_else(|| {
        let message = format!("\"{text}\" is not a duration; write for example 90s, 5m or 500ms");
        report.reject(field, Reason::NotADuration, message);
        absent
    })
}

/// Names that do not exist.
fn unknown_names(
    spec: &BGPPeerSpec,
    known_profile: &dyn Fn(&str) -> bool,
    report: &mut Report<'_>,
) {
    if let Some(profile) = &spec.bfd_profile
        && !known_profile(profile)
    {
        let message = format!(
            "there is no usable BFDProfile {profile}; create or correct it, or correct the name"
        );
        report.note("spec.bfdProfile", Reason::UnknownBfdProfile, message);
    }
}
