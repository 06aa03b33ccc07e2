//! Communities of all three kinds (RFC 1997, 4360, 8092), as the wire has them.
//!
//! Not here: how people write them, which is the shell's.

use crate::Asn;

/// A community of four octets (RFC 1997).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// Traffic is about to end here: prefer any other path (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
}

/// A community of twelve octets (RFC 8092).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// Global administrator: the AS that gives it its meaning.
    pub global: u32,
    /// Local data, part 1.
    pub local1: u32,
    /// Local data, part 2.
    pub local2: u32,
}

/// A community of eight octets (RFC 4360).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

const LINK_BANDWIDTH: u8 = 4;
const NOT_TRANSITIVE: u8 = 0x40;

impl ExtendedCommunity {
    /// Link bandwidth, by which routers weigh paths: a `rate` in octets per second, positive and finite, of the
    /// AS that tells it (RFC 10005). A route has one at most.
    #[must_use]
    pub fn link_bandwidth(asn: Asn, rate: f32, transitive: bool) -> Self {
        let kind = if transitive { 0 } else { NOT_TRANSITIVE };
        let [a, b] = asn.two_octets().to_be_bytes();
        let [c, d, e, f] = rate.to_be_bytes();
        Self([kind, LINK_BANDWIDTH, a, b, c, d, e, f])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 10005: IEEE floating point, octets per second.
    #[test]
    fn link_bandwidth_is_a_float() {
        let community = ExtendedCommunity::link_bandwidth(Asn(64_512), 125_000_000.0, false);
        assert_eq!(community.0, [0x40, 4, 0xfc, 0, 0x4c, 0xee, 0x6b, 0x28]);
        let transitive = ExtendedCommunity::link_bandwidth(Asn(64_512), 1.0, true);
        assert_eq!(transitive.0[..2], [0, 4]);
    }
}
