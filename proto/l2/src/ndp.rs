//! Neighbor Solicitation and Advertisement (RFC 4861 §4.3, §4.4) with the checks of §7.1.

use std::net::Ipv6Addr;

use crate::frame::{ETHERTYPE_IPV6, Frame};
use crate::{Discard, Mac};

mod checksum;

/// Octets of an IPv6 header.
const IPV6_HEADER: usize = 40;
/// Octets of an NS or NA without options.
const MESSAGE: usize = 24;
/// Next header value of ICMPv6.
const ICMPV6: u8 = 58;
/// Hop limit that proves a packet was not routed (RFC 4861 §7.1).
const NOT_ROUTED: u8 = 255;
/// ICMPv6 types.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Option types: source and target link-layer address.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// All nodes on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The group in which an address is asked for (RFC 4291 §2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let o = address.octets();
    let low = u16::from_be_bytes([o[14], o[15]]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | o[13] as u16, low)
}

/// "who has the target address?"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// IPv6 source; `::` when the sender is checking for duplicates (RFC 4862 §5.4).
    pub source: Ipv6Addr,
    /// IPv6 destination: the target itself, or its solicited-node group.
    pub destination: Ipv6Addr,
    /// The address asked for.
    pub target: Ipv6Addr,
    /// Source link-layer address option.
    pub source_mac: Option<Mac>,
}

/// "the target address is at the target link-layer address"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination: one host, or all nodes.
    pub destination: Ipv6Addr,
    /// The address spoken of.
    pub target: Ipv6Addr,
    /// R: the sender is a router.
    pub router: bool,
    /// S: this answers a solicitation.
    pub solicited: bool,
    /// O: replace what the cache holds.
    pub overrides: bool,
    /// Target link-layer address option.
    pub target_mac: Option<Mac>,
}

/// The two messages that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Type 135.
    Solicitation(Solicitation),
    /// Type 136.
    Advertisement(Advertisement),
}

impl Message {
    /// Reads the payload of an Ethernet frame: an IPv6 packet without extension headers.
    ///
    /// # Errors
    /// [`Discard::TooShort`] when it ends early, [`Discard::OtherProtocol`] when it is something
    /// else (extension headers included, as RFC 6980 demands of fragments),
    /// [`Discard::Malformed`] when a check of RFC 4861 §7.1.1 or §7.1.2 fails.
    pub fn parse(payload: &[u8]) -> Result<Self, Discard> {
        let header: &[u8; IPV6_HEADER] = payload.first_chunk().ok_or(Discard::TooShort)?;
        if header[0] >> 4 != 6 || header[6] != ICMPV6 {
            return Err(Discard::OtherProtocol);
        }
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let icmp = payload
            .get(IPV6_HEADER..IPV6_HEADER + length)
            .ok_or(Discard::TooShort)?;
        let kind = *icmp.first().ok_or(Discard::TooShort)?;
        if kind != SOLICITATION && kind != ADVERTISEMENT {
            return Err(Discard::OtherProtocol);
        }
        let message: &[u8; MESSAGE] = icmp.first_chunk().ok_or(Discard::TooShort)?;
        let source = address(header, 8);
        let destination = address(header, 24);
        let target = address(message, 8);
        let valid = header[7] == NOT_ROUTED
            && message[1] == 0
            && !target.is_multicast()
            && checksum::icmpv6(source, destination, icmp) == 0;
        if !valid {
            return Err(Discard::Malformed);
        }
        let options = Options::parse(&icmp[MESSAGE..])?;
        if kind == SOLICITATION {
            let duplicate_check = source.is_unspecified();
            let proper = !duplicate_check
                || (destination == solicited_node(target) && options.source_mac.is_none());
            if !proper {
                return Err(Discard::Malformed);
            }
            return Ok(Self::Solicitation(Solicitation {
                source,
                destination,
                target,
                source_mac: options.source_mac,
            }));
        }
        let flags = message[4];
        let solicited = flags & 0x40 != 0;
        if destination.is_multicast() && solicited {
            return Err(Discard::Malformed);
        }
        Ok(Self::Advertisement(Advertisement {
            source,
            destination,
            target,
            router: flags & 0x80 != 0,
            solicited,
            overrides: flags & 0x20 != 0,
            target_mac: options.target_mac,
        }))
    }
}

impl Solicitation {
    /// The message in an Ethernet frame, hop limit 255, checksum filled in.
    #[must_use]
    pub fn frame(&self, destination: Mac, source: Mac) -> Frame {
        let option = self.source_mac.map(|mac| (SOURCE_LINK_LAYER, mac));
        let body = Body {
            kind: SOLICITATION,
            flags: 0,
            target: self.target,
            option,
        };
        body.frame((self.source, self.destination), (destination, source))
    }

    /// Asks `asked` on behalf of `address`: the asked host learns where `address` is, and its
    /// answer is the acknowledgement (RFC 4861 §7.2.3).
    #[must_use]
    pub fn directed(address: Ipv6Addr, mac: Mac, asked: Ipv6Addr) -> Frame {
        let group = solicited_node(asked);
        Self {
            source: address,
            destination: group,
            target: asked,
            source_mac: Some(mac),
        }
        .frame(Mac::of_group(group), mac)
    }

    /// "Does anybody have `asked`?", from nobody, as for duplicate address detection (RFC 4862
    /// §5.4.2). No cache takes notice; whoever has the address answers to all nodes.
    #[must_use]
    pub fn duplicate_check(asked: Ipv6Addr, mac: Mac) -> Frame {
        let group = solicited_node(asked);
        Self {
            source: Ipv6Addr::UNSPECIFIED,
            destination: group,
            target: asked,
            source_mac: None,
        }
        .frame(Mac::of_group(group), mac)
    }
}

impl Advertisement {
    /// The message in an Ethernet frame, hop limit 255, checksum filled in.
    #[must_use]
    pub fn frame(&self, destination: Mac, source: Mac) -> Frame {
        let option = self.target_mac.map(|mac| (TARGET_LINK_LAYER, mac));
        let flags = u8::from(self.router) << 7
            | u8::from(self.solicited) << 6
            | u8::from(self.overrides) << 5;
        let body = Body {
            kind: ADVERTISEMENT,
            flags,
            target: self.target,
            option,
        };
        body.frame((self.source, self.destination), (destination, source))
    }

    /// Unsolicited: to all nodes, S=0, O=1 (RFC 4861 §7.2.6).
    #[must_use]
    pub fn unsolicited(address: Ipv6Addr, source: Ipv6Addr, mac: Mac) -> Frame {
        Self {
            source,
            destination: ALL_NODES,
            target: address,
            router: false,
            solicited: false,
            overrides: true,
            target_mac: Some(mac),
        }
        .frame(Mac::of_group(ALL_NODES), mac)
    }

    /// The answer to one host: S=1, O=1 (RFC 4861 §7.2.4).
    #[must_use]
    pub fn solicited(
        address: Ipv6Addr,
        source: Ipv6Addr,
        mac: Mac,
        asker: Ipv6Addr,
        asker_mac: Mac,
    ) -> Frame {
        Self {
            source,
            destination: asker,
            target: address,
            router: false,
            solicited: true,
            overrides: true,
            target_mac: Some(mac),
        }
        .frame(asker_mac, mac)
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Options {
    source_mac: Option<Mac>,
    target_mac: Option<Mac>,
}

impl Options {
    /// RFC 4861 §4.6: type, length in units of eight octets, never zero.
    fn parse(mut rest: &[u8]) -> Result<Self, Discard> {
        let mut options = Self::default();
        while let [kind, units, ..] = *rest {
            let length = usize::from(units) * 8;
            if length == 0 {
                return Err(Discard::Malformed);
            }
            let option = rest.get(..length).ok_or(Discard::Malformed)?;
            let mac = if length == 8 {
                Mac::read(option, 2)
            } else {
                None
            };
            match kind {
                SOURCE_LINK_LAYER => options.source_mac = options.source_mac.or(mac),
                TARGET_LINK_LAYER => options.target_mac = options.target_mac.or(mac),
                _ => {}
            }
            rest = &rest[length..];
        }
        if rest.is_empty() {
            Ok(options)
        } else {
            Err(Discard::Malformed)
        }
    }
}

/// The part that NS and NA share.
struct Body {
    kind: u8,
    flags: u8,
    target: Ipv6Addr,
    option: Option<(u8, Mac)>,
}

impl Body {
    fn frame(&self, ips: (Ipv6Addr, Ipv6Addr), macs: (Mac, Mac)) -> Frame {
        let mut icmp = [0; MESSAGE + 8];
        icmp[0] = self.kind;
        icmp[4] = self.flags;
        icmp[8..MESSAGE].copy_from_slice(&self.target.octets());
        let length: u16 = if let Some((kind, mac)) = self.option {
            icmp[MESSAGE] = kind;
            icmp[MESSAGE + 1] = 1;
            icmp[MESSAGE + 2..].copy_from_slice(&mac.0);
            32
        } else {
            24
        };
        let icmp = &mut icmp[..usize::from(length)];
        let sum = checksum::icmpv6(ips.0, ips.1, icmp);
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());

        let mut frame = Frame::new(macs.0, macs.1, ETHERTYPE_IPV6);
        frame.push(&[0x60, 0, 0, 0]);
        frame.push(&length.to_be_bytes());
        frame.push(&[ICMPV6, NOT_ROUTED]);
        frame.push(&ips.0.octets());
        frame.push(&ips.1.octets());
        frame.push(icmp);
        frame
    }
}

fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests;
