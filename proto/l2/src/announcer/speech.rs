//! The frames in which an address is announced and asked for, for both families.

use std::net::{IpAddr, Ipv6Addr};

use crate::arp::Arp;
use crate::ndp::{Advertisement, Solicitation};
use crate::requesters::Requester;
use crate::{Frame, Interface, Mac};

/// To everybody: corrects what caches hold.
pub(super) fn announcement(address: IpAddr, interface: &Interface) -> Frame {
    match address {
        IpAddr::V4(address) => Arp::gratuitous_request(address, interface.mac),
        IpAddr::V6(address) => {
            let source = interface.link_local.unwrap_or(address);
            Advertisement::unsolicited(address, source, interface.mac)
        }
    }
}

/// To everybody: the other form of an IPv4 announcement.
pub(super) fn reply(address: IpAddr, interface: &Interface) -> Option<Frame> {
    match address {
        IpAddr::V4(address) => {
            let everybody = Mac::BROADCAST;
            Some(Arp::gratuitous_reply(address, interface.mac, everybody))
        }
        IpAddr::V6(_) => None,
    }
}

/// To a gateway: a question from `address`, whose answer is the acknowledgement.
pub(super) fn directed(address: IpAddr, interface: &Interface, gateway: IpAddr) -> Option<Frame> {
    match (address, gateway) {
        (IpAddr::V4(address), IpAddr::V4(gateway)) => {
            Some(Arp::directed_request(address, interface.mac, gateway))
        }
        (IpAddr::V6(address), IpAddr::V6(gateway)) => {
            Some(Solicitation::directed(address, interface.mac, gateway))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// To one who asked lately.
pub(super) fn told(address: IpAddr, interface: &Interface, requester: &Requester) -> Option<Frame> {
    match (address, requester.ip) {
        (IpAddr::V4(address), IpAddr::V4(_)) => {
            Some(Arp::gratuitous_reply(address, interface.mac, requester.mac))
        }
        (IpAddr::V6(address), IpAddr::V6(asker)) => {
            let source = interface.link_local.unwrap_or(address);
            let mac = interface.mac;
            Some(Advertisement::solicited(
                address,
                source,
                mac,
                asker,
                requester.mac,
            ))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// "Does anybody have `address`?", from nobody: changes no cache.
pub(super) fn question(address: IpAddr, interface: &Interface) -> Frame {
    match address {
        IpAddr::V4(address) => Arp::probe(address, interface.mac),
        IpAddr::V6(address) => Solicitation::duplicate_check(address, interface.mac),
    }
}

/// "Is the gateway there?", from no service address.
pub(super) fn gateway_question(gateway: IpAddr, interface: &Interface) -> Frame {
    match (gateway, interface.link_local) {
        (IpAddr::V6(gateway), Some(link_local)) => {
            Solicitation::directed(link_local, interface.mac, gateway)
        }
        (IpAddr::V4(_), Some(Ipv6Addr { .. }) | None) | (IpAddr::V6(_), None) => {
            question(gateway, interface)
        }
    }
}
