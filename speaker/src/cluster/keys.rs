//! The shared secrets: from the Secret to keys that seal beacons. Pure.
//!
//! `active` is the number of the key to seal with; `key-N` are the keys, at least 16 octets each. To
//! rotate: add the new key, wait until every speaker has it, make it active, wait, remove the old one.

use std::collections::BTreeMap;

use herald_beacon::{Key, Keys};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Name of the Secret.
pub(crate) const NAME: &str = "herald-beacon";
/// Fewer octets than that are no secret.
const SHORTEST: usize = 16;

/// Secrets as they were given, before a key is derived for this cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    active: u8,
    keys: BTreeMap<u8, Vec<u8>>,
}

impl Secrets {
    /// From the data of the Secret.
    ///
    /// # Errors
    /// One sentence that names what is wrong.
    pub(crate) fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let active = data
            .get("active")
            .and_then(|text| std::str::from_utf8(text).ok()?.trim().parse().ok())
            .ok_or("Secret herald-beacon: active is not the number of a key, from 0 to 255")?;
        let numbered = |(name, key): (&String, &Vec<u8>)| {
            let number: u8 = name.strip_prefix("key-")?.parse().ok()?;
            Some((number, key.clone()))
        };
        let keys: BTreeMap<u8, Vec<u8>> = data.iter().filter_map(numbered).collect();
        match keys.get(&active) {
            None => Err(format!(
                "Secret herald-beacon: there is no key-{active}, which is the active one"
            )),
            Some(key) if key.len() < SHORTEST => Err(format!(
                "Secret herald-beacon: key-{active} has {} octets; give it at least {SHORTEST}",
                key.len()
            )),
            Some(_) if keys.len() > 2 => Err(
                "Secret herald-beacon: more than two keys; remove those that are not used any more"
                    .to_owned(),
            ),
            Some(_) => Ok(Self { active, keys }),
        }
    }

    /// The keys of one cluster: HKDF-SHA256 (RFC 5869) over each secret.
    pub(crate) fn derive(&self, cluster: u64) -> Keys {
        let key = |number: u8, secret: &[u8]| {
            let mut key = [0; 32];
            let purpose = [b"herald beacon".as_slice(), &[number]].concat();
            let derived = Hkdf::<Sha256>::new(Some(&cluster.to_be_bytes()), secret)
                .expand(&purpose, &mut key);
            debug_assert!(derived.is_ok(), "32 octets are fewer than 255 hashes");
            Key(key)
        };
        let active = self.keys.get(&self.active).map_or(&[][..], Vec::as_slice);
        let keys = Keys::new(self.active, key(self.active, active));
        let others = self
            .keys
            .iter()
            .filter(|(number, _)| **number != self.active);
        others.fold(keys, |keys, (number, secret)| {
            keys.accepting(*number, key(*number, secret))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
        let entries = entries.iter();
        entries
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect()
    }

    const ONE: &[u8] = b"one secret of many octets";
    const TWO: &[u8] = b"another one of many octets";

    #[test]
    fn a_secret_that_cannot_be_used_says_why() {
        type Entries<'a> = &'a [(&'a str, &'a [u8])];
        let cases: [(Entries<'_>, &str); 5] = [
            (&[("key-1", ONE)], "active is not"),
            (&[("active", b"x"), ("key-1", ONE)], "active is not"),
            (&[("active", b"2"), ("key-1", ONE)], "no key-2"),
            (&[("active", b"1"), ("key-1", b"short")], "at least 16"),
            (
                &[
                    ("active", b"1"),
                    ("key-1", ONE),
                    ("key-2", TWO),
                    ("key-3", TWO),
                ],
                "more than two",
            ),
        ];
        for (entries, expected) in cases {
            let error = Secrets::read(&data(entries)).err().unwrap_or_default();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn keys_differ_by_secret_number_and_cluster() {
        let read = |entries: &[(&str, &[u8])]| Secrets::read(&data(entries)).expect("usable");
        let one = read(&[("active", b"1\n"), ("key-1", ONE)]);
        let both = read(&[("active", b"2"), ("key-1", ONE), ("key-2", TWO)]);
        let renumbered = read(&[("active", b"3"), ("key-3", ONE)]);
        assert_eq!(one.derive(7), one.derive(7));
        assert_ne!(one.derive(7), one.derive(8));
        assert_ne!(one.derive(7), both.derive(7));
        assert_ne!(one.derive(7), renumbered.derive(7));
    }
}
