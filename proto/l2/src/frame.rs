//! An Ethernet frame to send, built in place: announcing allocates nothing per frame.

use std::fmt;

use crate::Mac;

/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Octets of an Ethernet header without tags.
pub(crate) const HEADER: usize = 14;

/// The longest frame this crate makes: Ethernet, IPv6, and an NS or NA with one option.
const LONGEST: usize = HEADER + 40 + 24 + 8;

/// The shortest frame on Ethernet, without its check sequence (IEEE 802.3).
const SHORTEST: usize = 60;

/// One Ethernet frame, padded with zeros to the 60 octets a LAN demands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Frame {
    pub(crate) fn new(destination: Mac, source: Mac, ethertype: u16) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[..6].copy_from_slice(&destination.0);
        bytes[6..12].copy_from_slice(&source.0);
        bytes[12..HEADER].copy_from_slice(&ethertype.to_be_bytes());
        Self {
            bytes,
            length: HEADER,
        }
    }

    /// Appends octets. The messages of this crate fit by construction; what would not is cut.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        let end = (self.length + octets.len()).min(LONGEST);
        let taken = end - self.length;
        self.bytes[self.length..end].copy_from_slice(&octets[..taken]);
        self.length = end;
    }

    /// The octets to send.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length.max(SHORTEST)]
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.bytes() {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// What an Ethernet header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub destination: Mac,
    pub source: Mac,
    pub ethertype: u16,
}

/// Splits a frame into header and payload; `None` when it is shorter than a header.
pub(crate) fn split(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let header = Header {
        destination: Mac::read(bytes, 0)?,
        source: Mac::read(bytes, 6)?,
        ethertype: u16::from_be_bytes([*bytes.get(12)?, *bytes.get(13)?]),
    };
    Some((header, bytes.get(HEADER..)?))
}
