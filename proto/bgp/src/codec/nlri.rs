//! Prefixes as they stand in messages (RFC 4271 section 4.3): a length in bits, and as many octets
//! as it takes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{Reader, Short};
use crate::{Family, Prefix};

/// How many octets a prefix takes.
pub(crate) fn size(prefix: Prefix) -> usize {
    1 + usize::from(prefix.length()).div_ceil(8)
}

pub(crate) fn encode(prefix: Prefix, out: &mut Vec<u8>) {
    let octets = usize::from(prefix.length()).div_ceil(8);
    out.push(prefix.length());
    match prefix.address() {
        IpAddr::V4(address) => {
            out.extend_from_slice(address.octets().get(..octets).unwrap_or_default())
        }
        IpAddr::V6(address) => {
            out.extend_from_slice(address.octets().get(..octets).unwrap_or_default())
        }
    }
}

/// All prefixes up to the end.
pub(crate) fn decode(octets: &[u8], family: Family) -> Result<Vec<Prefix>, Short> {
    let mut reader = Reader(octets);
    // As many as there are if each names a host: no more than the octets that are there.
    let whole = match family {
        Family::Ipv4 => 5,
        Family::Ipv6 => 17,
    };
    let mut prefixes = Vec::with_capacity(octets.len() / whole);
    while !reader.is_empty() {
        let length = reader.u8()?;
        let octets = reader.take(usize::from(length).div_ceil(8))?;
        let address = match family {
            Family::Ipv4 => Ipv4Addr::from(padded(octets)?).into(),
            Family::Ipv6 => IpAddr::from(Ipv6Addr::from(padded(octets)?)),
        };
        prefixes.push(Prefix::new(address, length).map_err(|_| Short)?);
    }
    Ok(prefixes)
}

fn padded<const LENGTH: usize>(octets: &[u8]) -> Result<[u8; LENGTH], Short> {
    let mut all = [0; LENGTH];
    all.get_mut(..octets.len())
        .ok_or(Short)?
        .copy_from_slice(octets);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_as_many_octets_as_its_length_needs() {
        for (text, octets) in [
            ("0.0.0.0/0", vec![0]),
            ("10.0.0.0/8", vec![8, 10]),
            ("10.128.0.0/9", vec![9, 10, 128]),
            ("192.0.2.1/32", vec![32, 192, 0, 2, 1]),
            ("2001:db8::/33", vec![33, 0x20, 1, 0x0d, 0xb8, 0]),
        ] {
            let prefix: Prefix = text.parse().unwrap();
            let mut out = vec![];
            encode(prefix, &mut out);
            assert_eq!(out, octets);
            assert_eq!(size(prefix), octets.len());
            assert_eq!(decode(&octets, prefix.family()), Ok(vec![prefix]));
        }
    }

    /// RFC 4271 section 4.3: the value of trailing bits is irrelevant. RFC 7606 section 5.3: too
    /// long, or cut.
    #[test]
    fn trailing_bits_do_not_count_and_impossible_lengths_do() {
        let ten = "10.0.0.0/8".parse().unwrap();
        let default = "0.0.0.0/0".parse().unwrap();
        assert_eq!(
            decode(&[8, 10, 9, 10, 0x7f, 0], Family::Ipv4),
            Ok(vec![ten, "10.0.0.0/9".parse().unwrap(), default])
        );
        for octets in [&[33, 1, 2, 3, 4, 5][..], &[32, 1, 2, 3], &[255]] {
            assert_eq!(decode(octets, Family::Ipv4), Err(Short));
        }
        assert_eq!(decode(&[129; 18], Family::Ipv6), Err(Short));
    }
}
