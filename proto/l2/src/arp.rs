//! ARP for IPv4 over Ethernet (RFC 826): 28 octets, five fields that matter.

use std::net::Ipv4Addr;

use crate::frame::{ETHERTYPE_ARP, Frame};
use crate::{Discard, Mac};

/// Octets of an ARP packet for IPv4 over Ethernet.
pub const LENGTH: usize = 28;

/// Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
const PREFIX: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Who asks and who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// "who has the target address?"
    Request,
    /// "the sender address is at the sender's hardware address"
    Reply,
}

/// One ARP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// `ar$op`.
    pub operation: Operation,
    /// `ar$sha`.
    pub sender_mac: Mac,
    /// `ar$spa`; 0.0.0.0 in a probe (RFC 5227 §1.1).
    pub sender_ip: Ipv4Addr,
    /// `ar$tha`.
    pub target_mac: Mac,
    /// `ar$tpa`.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Reads the payload of an Ethernet frame; trailing padding is ignored.
    ///
    /// # Errors
    /// [`Discard::TooShort`] below 28 octets; [`Discard::Malformed`] for other hardware, protocols,
    /// address lengths or operations.
    pub fn parse(payload: &[u8]) -> Result<Self, Discard> {
        let packet: &[u8; LENGTH] = payload.first_chunk().ok_or(Discard::TooShort)?;
        if packet[..6] != PREFIX {
            return Err(Discard::Malformed);
        }
        let operation = match (packet[6], packet[7]) {
            (0, 1) => Operation::Request,
            (0, 2) => Operation::Reply,
            _ => return Err(Discard::Malformed),
        };
        let mac = |at: usize| Mac::read(packet, at).ok_or(Discard::TooShort);
        let ip =
            |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        Ok(Self {
            operation,
            sender_mac: mac(8)?,
            sender_ip: ip(14),
            target_mac: mac(18)?,
            target_ip: ip(24),
        })
    }

    /// The packet in an Ethernet frame.
    #[must_use]
    pub fn frame(&self, destination: Mac, source: Mac) -> Frame {
        let mut frame = Frame::new(destination, source, ETHERTYPE_ARP);
        frame.push(&PREFIX);
        frame.push(match self.operation {
            Operation::Request => &[0, 1],
            Operation::Reply => &[0, 2],
        });
        frame.push(&self.sender_mac.0);
        frame.push(&self.sender_ip.octets());
        frame.push(&self.target_mac.0);
        frame.push(&self.target_ip.octets());
        frame
    }

    /// Gratuitous request: tells every cache that has an entry (RFC 5944 §4.6).
    #[must_use]
    pub fn gratuitous_request(address: Ipv4Addr, mac: Mac) -> Frame {
        Self {
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip: address,
            target_mac: Mac::ZERO,
            target_ip: address,
        }
        .frame(Mac::BROADCAST, mac)
    }

    /// Gratuitous reply with target = sender hardware address (RFC 5944 §4.6), the form that Linux
    /// recognises as gratuitous. `to` is broadcast, or one host to tell.
    #[must_use]
    pub fn gratuitous_reply(address: Ipv4Addr, mac: Mac, to: Mac) -> Frame {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: address,
            target_mac: mac,
            target_ip: address,
        }
        .frame(to, mac)
    }

    /// "who has `asked`? tell `address`": RFC 826 makes the asked host merge the sender's mapping,
    /// whatever state its entry is in.
    #[must_use]
    pub fn directed_request(address: Ipv4Addr, mac: Mac, asked: Ipv4Addr) -> Frame {
        Self {
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip: address,
            target_mac: Mac::ZERO,
            target_ip: asked,
        }
        .frame(Mac::BROADCAST, mac)
    }

    /// Probe: "does anybody have `asked`?", from nobody (RFC 5227 §1.1). No cache takes notice.
    #[must_use]
    pub fn probe(asked: Ipv4Addr, mac: Mac) -> Frame {
        Self {
            operation: Operation::Request,
            sender_mac: mac,
            sender_ip: Ipv4Addr::UNSPECIFIED,
            target_mac: Mac::ZERO,
            target_ip: asked,
        }
        .frame(Mac::BROADCAST, mac)
    }

    /// The answer to a request: to the Ethernet source that asked, about the address it asked for.
    #[must_use]
    pub fn reply(request: &Self, asker: Mac, mac: Mac) -> Frame {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: request.target_ip,
            target_mac: request.sender_mac,
            target_ip: request.sender_ip,
        }
        .frame(asker, mac)
    }
}

#[cfg(test)]
mod tests;
