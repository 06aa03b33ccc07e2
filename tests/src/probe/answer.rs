//! What a frame on the client's wire answers: an echo, or the second step of a TCP handshake.
//!
//! Pure. It reads Ethernet, IPv4 (RFC 791), IPv6 without extension headers (RFC 8200), UDP (RFC 768)
//! and TCP (RFC 9293), as far as an answer needs; anything else is no answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An answer from the probed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The echo of a datagram: the probe's number.
    Echo(u64),
    /// SYN and ACK to a connection from this port.
    Connected(u16),
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN_ACK: u8 = 0x12;

/// The answer of `from` in a frame, if it is one.
pub fn answer(frame: &[u8], from: SocketAddr) -> Option<Answer> {
    let kind: [u8; 2] = frame.get(12..14)?.try_into().ok()?;
    let packet = frame.get(14..)?;
    let (source, protocol, segment): (IpAddr, u8, &[u8]) = match kind {
        IPV4 => {
            let header = usize::from(packet.first()? & 0x0f) * 4;
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            (
                Ipv4Addr::from(source).into(),
                *packet.get(9)?,
                packet.get(header..)?,
            )
        }
        IPV6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            (
                Ipv6Addr::from(source).into(),
                *packet.get(6)?,
                packet.get(40..)?,
            )
        }
        _ => return None,
    };
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            segment.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    if source != from.ip() || port(0)? != from.port() {
        return None;
    }
    match protocol {
        UDP => Some(Answer::Echo(u64::from_be_bytes(
            segment.get(8..16)?.try_into().ok()?,
        ))),
        TCP if segment.get(13)? & 0x3f == SYN_ACK => Some(Answer::Connected(port(2)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBED: &str = "10.73.0.200:80";

    /// Ethernet and an IPv4 header without options around a segment.
    fn frame(source: [u8; 4], protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend(IPV4);
        frame.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend(source);
        frame.extend([10, 73, 0, 50]);
        frame.extend(segment);
        frame
    }

    fn tcp(flags: u8) -> Vec<u8> {
        let mut segment = vec![0, 80, 0x27, 0x10];
        segment.extend([0; 9]);
        segment.push(flags);
        segment
    }

    #[test]
    fn an_echo_carries_the_number_of_its_probe() {
        let mut segment = vec![0, 80, 0x27, 0x10, 0, 16, 0, 0];
        segment.extend(258_u64.to_be_bytes());
        let probed = PROBED.parse().unwrap();
        assert_eq!(
            answer(&frame([10, 73, 0, 200], UDP, &segment), probed),
            Some(Answer::Echo(258))
        );
        assert_eq!(
            answer(&frame([10, 73, 0, 201], UDP, &segment), probed),
            None
        );
        assert_eq!(
            answer(&frame([10, 73, 0, 200], UDP, &segment[..9]), probed),
            None
        );
    }

    #[test]
    fn only_syn_with_ack_is_a_connection() {
        let probed = PROBED.parse().unwrap();
        for (flags, wanted) in [
            (0x12, Some(Answer::Connected(10_000))),
            (0x14, None),
            (0x10, None),
        ] {
            assert_eq!(
                answer(&frame([10, 73, 0, 200], TCP, &tcp(flags)), probed),
                wanted,
                "flags {flags:#x}"
            );
        }
    }

    #[test]
    fn ipv6_is_read_as_well() {
        let probed: SocketAddr = "[fd73::f000]:80".parse().unwrap();
        let IpAddr::V6(source) = probed.ip() else {
            unreachable!("the address above is IPv6")
        };
        let mut frame = vec![0; 12];
        frame.extend(IPV6);
        frame.extend([0x60, 0, 0, 0, 0, 14, TCP, 64]);
        frame.extend(source.octets());
        frame.extend([0; 16]);
        frame.extend(tcp(SYN_ACK));
        assert_eq!(answer(&frame, probed), Some(Answer::Connected(10_000)));
        for end in 0..frame.len() {
            assert_eq!(answer(&frame[..end], probed), None, "{end} octets");
        }
    }
}
