//! Authentication of a datagram: HMAC-SHA256 (RFC 2104) over every byte before the tag, truncated
//! to 128 bits. Not the place of replay protection; that needs to know the sender.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Discard;

/// Length of the tag, in bytes.
pub(crate) const TAG: usize = 16;

/// A shared secret, already derived for this cluster and key number.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        #[allow(clippy::expect_used)]
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(bytes);
        mac
    }
}

/// The key to seal with, and during a rotation another one to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    sealing: u8,
    known: BTreeMap<u8, Key>,
}

impl Keys {
    /// Seals and accepts with `key`, number `number`.
    #[must_use]
    pub fn new(number: u8, key: Key) -> Self {
        Self {
            sealing: number,
            known: BTreeMap::from([(number, key)]),
        }
    }

    /// Also accepts what is sealed with `key`. A second such key replaces the first: two are active
    /// at most. The sealing key keeps its number.
    #[must_use]
    pub fn accepting(mut self, number: u8, key: Key) -> Self {
        self.known.retain(|known, _| *known == self.sealing);
        self.known.entry(number).or_insert(key);
        self
    }

    /// The number of the key that seals.
    pub(crate) fn number(&self) -> u8 {
        self.sealing
    }

    /// Appends the tag.
    pub(crate) fn seal(&self, bytes: &mut Vec<u8>) {
        if let Some(key) = self.known.get(&self.sealing) {
            let tag = key.mac(bytes).finalize().into_bytes();
            bytes.extend(tag.iter().take(TAG));
        }
    }

    /// Whether `tag` is the seal of `bytes` by key `number`, in constant time.
    pub(crate) fn check(&self, number: u8, bytes: &[u8], tag: &[u8]) -> Result<(), Discard> {
        let key = self.known.get(&number).ok_or(Discard::UnknownKey)?;
        if tag.len() != TAG {
            return Err(Discard::BadSeal);
        }
        key.mac(bytes)
            .verify_truncated_left(tag)
            .map_err(|_| Discard::BadSeal)
    }
}
