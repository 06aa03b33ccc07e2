//! The status as tables, one for each kind.
//!
//! Not here: what stands in them (`status`).

use super::{
    Advertisement, BgpAdvertisement, BgpPeer, Established, Pool, ServiceLine, SpeakerLine, State,
    Status,
};
use crate::table::table;

/// The status for people.
pub(crate) fn text(status: &Status) -> String {
    let mut text = format!(
        "CONTROLLER  {}\n\n",
        status
            .leader
            .as_deref()
            .unwrap_or("no replica leads: no address is given or changed")
    );
    let pools: Vec<[String; 6]> = status.pools.iter().map(pool_row).collect();
    text += &section(
        "POOL",
        table(
            ["POOL", "ADDRESSES", "IPV4", "IPV6", "ACCEPTED", "REASON"],
            &pools,
        ),
        pools.is_empty(),
    );
    let advertisements: Vec<[String; 4]> = status
        .advertisements
        .iter()
        .map(advertisement_row)
        .collect();
    text += &section(
        "L2ADVERTISEMENT",
        table(
            ["L2ADVERTISEMENT", "POOLS", "ACCEPTED", "REASON"],
            &advertisements,
        ),
        advertisements.is_empty(),
    );
    let routed: Vec<[String; 5]> = status
        .bgp_advertisements
        .iter()
        .map(bgp_advertisement_row)
        .collect();
    let peers: Vec<[String; 4]> = status.bgp_peers.iter().map(bgp_peer_row).collect();
    // Who does not use BGP reads nothing of it.
    if !routed.is_empty() || !peers.is_empty() {
        text += &section(
            "BGPADVERTISEMENT",
            table(
                ["BGPADVERTISEMENT", "POOLS", "PEERS", "ACCEPTED", "REASON"],
                &routed,
            ),
            routed.is_empty(),
        );
        text += &section(
            "BGPPEER",
            table(["BGPPEER", "ROUTER", "ACCEPTED", "REASON"], &peers),
            peers.is_empty(),
        );
    }
    let speakers: Vec<[String; 7]> = status.speakers.iter().map(speaker_row).collect();
    text += &section(
        "SPEAKER",
        table(
            [
                "SPEAKER",
                "READY",
                "HEARS",
                "INTERFACES",
                "OWNS",
                "SESSIONS",
                "VERSION",
            ],
            &speakers,
        ),
        speakers.is_empty(),
    );
    let services: Vec<[String; 5]> = status.services.iter().map(service_row).collect();
    text += &section(
        "SERVICE",
        table(["SERVICE", "ADDRESSES", "NODE", "STATE", "WHY"], &services),
        services.is_empty(),
    );
    for (mark, sentences) in [("✗", &status.problems), ("!", &status.notices)] {
        for sentence in sentences {
            text += &format!("{mark} {sentence}\n");
        }
    }
    text
}

fn section(title: &str, table: String, empty: bool) -> String {
    if empty {
        format!("{title}  none\n\n")
    } else {
        table + "\n"
    }
}

fn accepted(accepted: bool) -> String {
    if accepted { "True" } else { "False" }.to_owned()
}

fn pool_row(pool: &Pool) -> [String; 6] {
    let used = |assigned: i64, available: i64| match (assigned, available) {
        (0, 0) => String::new(),
        (assigned, i64::MAX) => format!("{assigned} used"),
        (assigned, available) => format!("{assigned} used, {available} free"),
    };
    let counts = pool.counts.as_ref();
    [
        pool.name.clone(),
        pool.addresses.join(","),
        counts
            .map(|c| used(c.assigned_ipv4, c.available_ipv4))
            .unwrap_or_default(),
        counts
            .map(|c| used(c.assigned_ipv6, c.available_ipv6))
            .unwrap_or_default(),
        accepted(pool.accepted),
        pool.reason.to_owned(),
    ]
}

fn advertisement_row(advertisement: &Advertisement) -> [String; 4] {
    let pools = advertisement
        .pools
        .as_ref()
        .map_or_else(|| "all".to_owned(), |p| p.join(","));
    [
        advertisement.name.clone(),
        pools,
        accepted(advertisement.accepted),
        advertisement.reason.to_owned(),
    ]
}

fn bgp_advertisement_row(advertisement: &BgpAdvertisement) -> [String; 5] {
    let shown = |names: &Option<Vec<String>>| match names {
        Some(names) => names.join(","),
        None => "all".to_owned(),
    };
    [
        advertisement.name.clone(),
        shown(&advertisement.pools),
        shown(&advertisement.peers),
        accepted(advertisement.accepted),
        advertisement.reason.to_owned(),
    ]
}

fn bgp_peer_row(peer: &BgpPeer) -> [String; 4] {
    [
        peer.name.clone(),
        peer.router.clone(),
        accepted(peer.accepted),
        peer.reason.to_owned(),
    ]
}

fn speaker_row(speaker: &SpeakerLine) -> [String; 7] {
    let sessions = match speaker.sessions {
        Established { of: 0, .. } => String::new(),
        Established { established, of } => format!("{established} of {of}"),
    };
    [
        speaker.node.clone(),
        speaker.ready.clone(),
        speaker.hears.clone().unwrap_or_default(),
        speaker.interfaces.join(","),
        speaker.owns.join(","),
        sessions,
        speaker.version.clone().unwrap_or_default(),
    ]
}

fn service_row(service: &ServiceLine) -> [String; 5] {
    let state = match service.state {
        State::Announced => "Announced",
        State::Waiting => "Waiting",
        State::NotAnnounced => "NotAnnounced",
        State::Pending => "Pending",
    };
    [
        service.service.clone(),
        service.addresses.join(","),
        service.nodes.join(","),
        state.to_owned(),
        service.message.clone(),
    ]
}
