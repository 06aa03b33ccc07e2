//! What proves who sent a packet (RFC 5880 section 6.7).
//!
//! Not by the letter: a sequence number counts as known only after the digest was right, or anybody
//! could set it.

use std::fmt;

use md5::Md5;
use sha1::{Digest as _, Sha1};

use crate::packet::MANDATORY;
use crate::{AuthSection, Discard, Packet};

/// Octets between the start of a section and its digest: type, length, key, reserved, sequence number.
const BEFORE_DIGEST: usize = 8;

/// How packets are proved to be genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A password anybody on the path can read.
    Simple,
    /// MD5; a packet may be repeated by anybody for a while.
    KeyedMd5,
    /// MD5; each packet counts once.
    MeticulousMd5,
    /// SHA-1; a packet may be repeated by anybody for a while.
    KeyedSha1,
    /// SHA-1; each packet counts once.
    MeticulousSha1,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Simple,
        Self::KeyedMd5,
        Self::MeticulousMd5,
        Self::KeyedSha1,
        Self::MeticulousSha1,
    ];

    const fn kind(self) -> u8 {
        match self {
            Self::Simple => 1,
            Self::KeyedMd5 => 2,
            Self::MeticulousMd5 => 3,
            Self::KeyedSha1 => 4,
            Self::MeticulousSha1 => 5,
        }
    }

    pub(crate) const fn is_sha1(self) -> bool {
        matches!(self, Self::KeyedSha1 | Self::MeticulousSha1)
    }

    const fn is_meticulous(self) -> bool {
        matches!(self, Self::MeticulousMd5 | Self::MeticulousSha1)
    }

    /// The most octets of a key.
    #[must_use]
    pub const fn longest_key(self) -> usize {
        self.room()
    }

    /// The longest key, and the length of the digest where there is one.
    const fn room(self) -> usize {
        if self.is_sha1() { 20 } else { 16 }
    }
}

/// A key and what is done with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// How.
    pub method: Method,
    /// By which number both ends know the key.
    pub id: u8,
    /// The secret: 1 to 16 octets, for SHA-1 up to 20.
    pub key: Vec<u8>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, id, .. } = self;
        write!(f, "Authentication({method:?}, key {id})")
    }
}

impl Authentication {
    pub(crate) fn has_fitting_key(&self) -> bool {
        (1..=self.method.room()).contains(&self.key.len())
    }

    /// The digest of a packet whose digest field holds the key.
    fn digest(&self, before: &[u8]) -> Vec<u8> {
        let mut key = self.key.clone();
        key.resize(self.method.room(), 0);
        if self.method.is_sha1() {
            Sha1::new()
                .chain_update(before)
                .chain_update(key)
                .finalize()
                .to_vec()
        } else {
            Md5::new()
                .chain_update(before)
                .chain_update(key)
                .finalize()
                .to_vec()
        }
    }
}

/// The sequence numbers of one session.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    /// Of the next packet that is sent.
    next: u32,
    /// Of the last packet that was received, if it still counts.
    heard: Option<u32>,
}

impl Sequence {
    pub(crate) const fn new(first: u32) -> Self {
        Self {
            next: first,
            heard: None,
        }
    }

    /// Whatever comes next is taken (`bfd.AuthSeqKnown` is 0).
    pub(crate) const fn forget(&mut self) {
        self.heard = None;
    }

    /// The packet as octets, with its section.
    pub(crate) fn seal(&mut self, packet: &Packet<'_>, by: Option<&Authentication>) -> Vec<u8> {
        let Some(by) = by else {
            return packet.encode();
        };
        let kind = by.method.kind();
        let with = |data: &[u8]| {
            let authentication = Some(AuthSection { kind, data });
            Packet {
                authentication,
                ..packet.clone()
            }
            .encode()
        };
        if by.method == Method::Simple {
            let mut data = vec![by.id];
            data.extend(&by.key);
            return with(&data);
        }
        let mut data = vec![by.id, 0];
        data.extend(self.next.to_be_bytes());
        self.next = self.next.wrapping_add(1);
        data.resize(data.len() + by.method.room(), 0);
        let mut octets = with(&data);
        octets.truncate(MANDATORY + BEFORE_DIGEST);
        let digest = by.digest(&octets);
        octets.extend(digest);
        octets
    }

    /// Whether the packet, whose octets are `datagram`, is of somebody who knows the key.
    pub(crate) fn check(
        &mut self,
        packet: &Packet<'_>,
        datagram: &[u8],
        by: Option<&Authentication>,
    ) -> Result<(), Discard> {
        let (by, section) = match (by, packet.authentication) {
            (None, None) => return Ok(()),
            (Some(by), Some(section)) if section.kind == by.method.kind() => (by, section),
            (_, _) => return Err(Discard::AuthenticationKind),
        };
        let (id, rest) = section.data.split_first().ok_or(Discard::Length)?;
        if *id != by.id {
            return Err(Discard::AuthenticationKey);
        }
        if by.method == Method::Simple {
            return if same(rest, &by.key) {
                Ok(())
            } else {
                Err(Discard::AuthenticationKey)
            };
        }
        let [_, a, b, c, d, digest @ ..] = rest else {
            return Err(Discard::Length);
        };
        let before = datagram.get(..MANDATORY + BEFORE_DIGEST);
        let before = before.ok_or(Discard::Length)?;
        if !same(digest, &by.digest(before)) {
            return Err(Discard::AuthenticationKey);
        }
        let number = u32::from_be_bytes([*a, *b, *c, *d]);
        let first = u32::from(by.method.is_meticulous());
        let window = first..=3 * u32::from(packet.multiplier);
        let fits = |heard: u32| window.contains(&number.wrapping_sub(heard));
        if !self.heard.is_none_or(fits) {
            return Err(Discard::AuthenticationSequence);
        }
        self.heard = Some(number);
        Ok(())
    }
}

/// Compares without telling by the time it takes where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = |(one, other): (&u8, &u8)| one ^ other;
    one.len() == other.len() && one.iter().zip(other).map(differ).fold(0, |a, b| a | b) == 0
}

#[cfg(test)]
mod tests;
