//! Router Solicitation and Advertisement (RFC 4861 §4.1, §4.2) with the checks of §6.1.
//!
//! As a raw ICMPv6 socket has them: from the type on, without IPv6 header, checksum seen to.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::{Discard, Mac};

/// Hop limit that proves a packet was not routed.
const NOT_ROUTED: u8 = 255;
/// ICMPv6 types.
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// Octets before the options.
const SOLICITATION_LENGTH: usize = 8;
const ADVERTISEMENT_LENGTH: usize = 16;
/// The option that tells the sender's hardware address.
const SOURCE_LINK_LAYER: u8 = 1;

/// "who routes here?"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Solicitation {
    /// Source link-layer address option.
    pub mac: Option<Mac>,
}

/// "I route here", as far as it matters to a session. What is sent says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement {
    /// For how long the sender is a default router; zero: it is none. In whole seconds, up to 65 535.
    pub lifetime: Duration,
    /// Source link-layer address option.
    pub mac: Option<Mac>,
}

/// The two messages of router discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Type 133.
    Solicitation(Solicitation),
    /// Type 134.
    Advertisement(Advertisement),
}

impl Message {
    /// Reads an ICMPv6 message that came from `source` with `hop_limit`.
    ///
    /// # Errors
    /// [`Discard::OtherProtocol`] when it is something else, [`Discard::TooShort`] when it ends early,
    /// [`Discard::BadSender`] when it cannot come from there, [`Discard::Malformed`] when another check
    /// of RFC 4861 §6.1.1 or §6.1.2 fails.
    pub fn parse(octets: &[u8], source: Ipv6Addr, hop_limit: u8) -> Result<Self, Discard> {
        let [kind, code, _, _, rest @ ..] = octets else {
            return Err(Discard::TooShort);
        };
        let length = match *kind {
            SOLICITATION => SOLICITATION_LENGTH,
            ADVERTISEMENT => ADVERTISEMENT_LENGTH,
            _ => return Err(Discard::OtherProtocol),
        };
        let options = octets.get(length..).ok_or(Discard::TooShort)?;
        if hop_limit != NOT_ROUTED || *code != 0 {
            return Err(Discard::Malformed);
        }
        let mac = source_mac(options)?;
        if *kind == SOLICITATION {
            if source.is_multicast() || source.is_unspecified() && mac.is_some() {
                return Err(Discard::BadSender);
            }
            return Ok(Self::Solicitation(Solicitation { mac }));
        }
        if !source.is_unicast_link_local() {
            return Err(Discard::BadSender);
        }
        let [_, _, high, low, ..] = rest else {
            return Err(Discard::TooShort);
        };
        let lifetime = Duration::from_secs(u16::from_be_bytes([*high, *low]).into());
        Ok(Self::Advertisement(Advertisement { lifetime, mac }))
    }
}

impl Solicitation {
    /// The message, its checksum zero.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        push_mac(&mut octets, self.mac);
        octets
    }
}

impl Advertisement {
    /// The message, its checksum zero. It leaves hop limit, reachable time and retransmission timer of
    /// its readers alone.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let lifetime = u16::try_from(self.lifetime.as_secs()).unwrap_or(u16::MAX);
        let mut octets = vec![ADVERTISEMENT, 0, 0, 0, 0, 0];
        octets.extend(lifetime.to_be_bytes());
        octets.extend([0; 8]);
        push_mac(&mut octets, self.mac);
        octets
    }
}

fn push_mac(octets: &mut Vec<u8>, mac: Option<Mac>) {
    if let Some(mac) = mac {
        octets.extend([SOURCE_LINK_LAYER, 1]);
        octets.extend(mac.0);
    }
}

/// The sender's hardware address; every option has to have a length.
fn source_mac(mut options: &[u8]) -> Result<Option<Mac>, Discard> {
    let mut mac = None;
    while let [kind, eights, ..] = *options {
        let length = usize::from(eights) * 8;
        let option = options.get(..length).ok_or(Discard::Malformed)?;
        if length == 0 {
            return Err(Discard::Malformed);
        }
        // Of Ethernet: other links have options of other lengths.
        if kind == SOURCE_LINK_LAYER && eights == 1 && mac.is_none() {
            mac = Mac::read(option, 2);
        }
        options = options.get(length..).unwrap_or_default();
    }
    if options.is_empty() {
        Ok(mac)
    } else {
        Err(Discard::Malformed)
    }
}
