//! Which of two connections with one peer is kept (RFC 4271 section 6.8, RFC 6286 section 2.3).

use std::net::Ipv4Addr;

use crate::Asn;

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This speaker.
    Ours,
    /// The peer.
    Theirs,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

/// The connection that is kept is the one that the speaker with the higher identifier opened; of
/// equal identifiers the larger AS number decides.
pub(crate) fn kept(ours: (Ipv4Addr, Asn), theirs: (Ipv4Addr, Asn)) -> Side {
    if ours > theirs {
        Side::Ours
    } else {
        Side::Theirs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_identifier_keeps_its_connection_and_both_ends_agree() {
        let (low, high) = (Ipv4Addr::new(9, 255, 0, 1), Ipv4Addr::new(10, 0, 0, 1));
        for (ours, theirs, side) in [
            ((high, Asn(1)), (low, Asn(2)), Side::Ours),
            ((low, Asn(2)), (high, Asn(1)), Side::Theirs),
            ((low, Asn(2)), (low, Asn(1)), Side::Ours),
            ((low, Asn(1)), (low, Asn(2)), Side::Theirs),
        ] {
            assert_eq!(kept(ours, theirs), side);
            assert_eq!(kept(theirs, ours), side.other());
        }
    }
}
