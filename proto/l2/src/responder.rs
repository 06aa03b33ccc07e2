//! Answering who asks (A2, A3, N1, N2), and noticing who claims (A10, N7).
//!
//! A pure reading of one frame against what this node owns at this moment: no lock, no allocation,
//! nothing remembered here.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::arp::{Arp, Operation};
use crate::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Header, split};
use crate::ndp::{Advertisement, Message, Solicitation};
use crate::{Addressed, Discard, Frame, Interface, Mac, Received};

/// A question older than this is not answered: whoever stalled may have lost the address (A3).
const STALE: Duration = Duration::from_millis(100);

/// What a frame means to a node, before ownership is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// `asker` wants to know where `address` is; `answer` says so.
    Question {
        address: IpAddr,
        asker: Option<IpAddr>,
        asker_mac: Mac,
        answer: Frame,
    },
    /// `mac` says that `address` is its own; `to` is the address it says so to, if that is one.
    Claim {
        address: IpAddr,
        mac: Mac,
        to: Option<IpAddr>,
    },
}

/// Reads a frame that came in on `interface`.
pub(crate) fn read(received: &Received<'_>, interface: &Interface) -> Result<Meaning, Discard> {
    if received.tagged {
        return Err(Discard::Tagged);
    }
    if received.addressed == Addressed::OtherHost {
        return Err(Discard::OtherHost);
    }
    let (header, payload) = split(received.bytes).ok_or(Discard::TooShort)?;
    if header.source == interface.mac || !is_a_station(header.source) {
        return Err(Discard::BadSender);
    }
    match header.ethertype {
        ETHERTYPE_ARP => read_arp(header, &Arp::parse(payload)?, interface),
        ETHERTYPE_IPV6 => match Message::parse(payload)? {
            Message::Solicitation(asked) => read_solicitation(header, &asked, interface),
            Message::Advertisement(said) => Ok(Meaning::Claim {
                address: IpAddr::V6(said.target),
                mac: said.target_mac.unwrap_or(header.source),
                to: said.solicited.then_some(IpAddr::V6(said.destination)),
            }),
        },
        _ => Err(Discard::OtherProtocol),
    }
}

/// Whether a question may still be answered.
pub(crate) fn is_fresh(received: &Received<'_>) -> bool {
    received.age <= STALE
}

/// Whether ownership that ends at `until` still holds.
pub(crate) fn holds(until: Option<Instant>, now: Instant) -> bool {
    until.is_none_or(|until| now < until)
}

fn read_arp(header: Header, arp: &Arp, interface: &Interface) -> Result<Meaning, Discard> {
    if arp.sender_mac == interface.mac || !is_a_station(arp.sender_mac) {
        return Err(Discard::BadSender);
    }
    let probe = arp.sender_ip.is_unspecified();
    if arp.operation == Operation::Reply || arp.sender_ip == arp.target_ip {
        if probe {
            return Err(Discard::Malformed);
        }
        return Ok(Meaning::Claim {
            address: IpAddr::V4(arp.sender_ip),
            mac: arp.sender_mac,
            to: Some(IpAddr::V4(arp.target_ip)),
        });
    }
    if header.destination != Mac::BROADCAST && header.destination != interface.mac {
        return Err(Discard::OtherHost);
    }
    Ok(Meaning::Question {
        address: IpAddr::V4(arp.target_ip),
        asker: (!probe).then_some(IpAddr::V4(arp.sender_ip)),
        asker_mac: arp.sender_mac,
        answer: Arp::reply(arp, header.source, interface.mac),
    })
}

fn read_solicitation(
    header: Header,
    asked: &Solicitation,
    interface: &Interface,
) -> Result<Meaning, Discard> {
    let asker_mac = asked.source_mac.unwrap_or(header.source);
    if asker_mac == interface.mac || !is_a_station(asker_mac) {
        return Err(Discard::BadSender);
    }
    let source = interface.link_local.unwrap_or(asked.target);
    let mac = interface.mac;
    let (asker, answer) = if asked.source.is_unspecified() {
        (None, Advertisement::unsolicited(asked.target, source, mac))
    } else {
        let answer = Advertisement::solicited(asked.target, source, mac, asked.source, asker_mac);
        (Some(IpAddr::V6(asked.source)), answer)
    };
    Ok(Meaning::Question {
        address: IpAddr::V6(asked.target),
        asker,
        asker_mac,
        answer,
    })
}

fn is_a_station(mac: Mac) -> bool {
    !mac.is_multicast() && mac != Mac::ZERO
}
