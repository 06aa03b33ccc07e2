//! The ICMPv6 checksum over pseudo-header and message (RFC 4443 §2.3, RFC 8200 §8.1).

use std::net::Ipv6Addr;

/// The checksum to write when the field is zero; 0 when a filled-in field is right.
pub(super) fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let sum = words(&source.octets())
        + words(&destination.octets())
        + words(&length.to_be_bytes())
        + u64::from(super::ICMPV6)
        + words(message);
    !fold(sum)
}

fn words(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0)))
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
