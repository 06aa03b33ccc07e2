//! How segments of a session are signed, and what a socket that is signing has to be told when that changes.
//! Pure.
//!
//! Not here: the socket options (`io::tcp`, `io::tcp_ao`), and where keys come from (`passwords`).

use crate::io::tcp_ao::AoKey;

/// How segments are signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Keys {
    /// Not at all.
    #[default]
    None,
    /// By TCP MD5 (RFC 2385).
    Md5(Vec<u8>),
    /// By TCP-AO (RFC 5925); the first key is preferred.
    Ao(Vec<AoKey>),
}

/// One thing to tell a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Segments may be signed by this key, too.
    Add(AoKey),
    /// The router is to sign by the key that is received by this identifier.
    AskFor(u8),
    /// Of this SendID and RecvID no segments are wanted.
    Delete(u8, u8),
}

/// What leads from one list of TCP-AO keys to another on a connection that stands, without a segment that is
/// signed by no key: the new ones first, then the preference, then the old ones. None: an identifier stands
/// for another key than before, which two ends cannot change at the same moment.
pub(super) fn changes(before: &[AoKey], after: &[AoKey]) -> Option<Vec<Change>> {
    let is_in = |keys: &[AoKey], key: &AoKey| keys.contains(key);
    let added: Vec<&AoKey> = after.iter().filter(|key| !is_in(before, key)).collect();
    let clashes = |key: &&AoKey| {
        let same = |old: &AoKey| old.send_id == key.send_id || old.receive_id == key.receive_id;
        before.iter().any(same)
    };
    if added.iter().any(clashes) {
        return None;
    }
    let mut changes: Vec<Change> = added.into_iter().cloned().map(Change::Add).collect();
    if before.first() != after.first() {
        changes.extend(after.first().map(|key| Change::AskFor(key.receive_id)));
    }
    let gone = before.iter().filter(|key| !is_in(after, key));
    changes.extend(gone.map(|key| Change::Delete(key.send_id, key.receive_id)));
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::tcp_ao::AoAlgorithm;

    fn key(id: u8, text: &str) -> AoKey {
        AoKey {
            send_id: id,
            receive_id: id + 100,
            algorithm: AoAlgorithm::HmacSha1,
            key: text.as_bytes().to_vec(),
        }
    }

    /// RFC 5925 section 2.2 and 7.3: keys are added at both ends, one end asks, and only then the old ones go.
    #[test]
    fn keys_roll_over_without_a_moment_that_has_none() {
        let (one, two, three) = (key(1, "a"), key(2, "b"), key(3, "c"));
        let told = |before: &[&AoKey], after: &[&AoKey]| {
            let owned = |keys: &[&AoKey]| keys.iter().map(|key| (*key).clone()).collect::<Vec<_>>();
            changes(&owned(before), &owned(after))
        };
        assert_eq!(told(&[&one], &[&one]), Some(vec![]));
        assert_eq!(
            told(&[&one], &[&one, &two]),
            Some(vec![Change::Add(two.clone())])
        );
        assert_eq!(
            told(&[&one, &two], &[&two, &one]),
            Some(vec![Change::AskFor(102)])
        );
        assert_eq!(
            told(&[&one, &two], &[&two]),
            Some(vec![Change::AskFor(102), Change::Delete(1, 101)])
        );
        assert_eq!(
            told(&[&one], &[&three]),
            Some(vec![
                Change::Add(three.clone()),
                Change::AskFor(103),
                Change::Delete(1, 101)
            ])
        );
        assert_eq!(told(&[&one], &[&key(1, "other")]), None);
    }
}
