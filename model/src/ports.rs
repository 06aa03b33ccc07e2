//! Sets of ports: what the addresses of a port pool carry.
//!
//! Not here: which of them are taken (`alloc::ledger`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::service::{PortKey, Protocol};

/// Every protocol, in order.
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

/// Why a text is not a range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    #[error(
        "\"{text}\" is not a port or a range of ports: write 443, 443/TCP, 1000-3000 or 1000-3000/UDP"
    )]
    NotPorts { text: String },
    #[error(
        "\"{protocol}\" in \"{text}\" is not a protocol: write TCP, UDP or SCTP, or none for all"
    )]
    NotAProtocol { text: String, protocol: String },
    #[error("{first}-{last} starts after it ends: write {last}-{first}")]
    StartAfterEnd { first: u16, last: u16 },
}

/// The ports `first ..= last` of one protocol or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    protocol: Option<Protocol>,
    first: u16,
    last: u16,
}

impl FromStr for PortRange {
    type Err = PortError;

    /// `443`, `443/TCP`, `1000-3000` or `1000-3000/UDP`; ports from 1, protocols in any case.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, Some(parse_protocol(text, protocol.trim())?)),
            None => (text, None),
        };
        let port = |part: &str| {
            let number = part.trim().parse::<u16>().ok();
            number
                .filter(|n| *n > 0)
                .ok_or_else(|| PortError::NotPorts {
                    text: text.to_owned(),
                })
        };
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(ports)?, port(ports)?),
        };
        if first > last {
            return Err(PortError::StartAfterEnd { first, last });
        }
        Ok(Self {
            protocol,
            first,
            last,
        })
    }
}

fn parse_protocol(text: &str, protocol: &str) -> Result<Protocol, PortError> {
    let known = |known: &Protocol| known.to_string().eq_ignore_ascii_case(protocol);
    PROTOCOLS
        .into_iter()
        .find(known)
        .ok_or_else(|| PortError::NotAProtocol {
            text: text.to_owned(),
            protocol: protocol.to_owned(),
        })
}

/// Ports, each once however often it was written; empty means that nothing is said of ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortSet(Vec<(Protocol, u16, u16)>);

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let each = |range: PortRange| {
            let protocols = PROTOCOLS
                .into_iter()
                .filter(move |p| range.protocol.is_none_or(|only| only == *p));
            protocols.map(move |protocol| (protocol, range.first, range.last))
        };
        let mut sorted: Vec<_> = ranges.into_iter().flat_map(each).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(Protocol, u16, u16)> = Vec::new();
        for (protocol, first, last) in sorted {
            match merged.last_mut() {
                Some((before, _, end)) if *before == protocol && first <= end.saturating_add(1) => {
                    *end = last.max(*end);
                }
                Some(_) | None => merged.push((protocol, first, last)),
            }
        }
        Self(merged)
    }
}

impl PortSet {
    /// True when nothing is said of ports.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ports, those of each protocol counted on their own.
    #[must_use]
    pub fn count(&self) -> u32 {
        let runs = self.0.iter();
        runs.map(|(_, first, last)| u32::from(last - first) + 1)
            .sum()
    }

    /// True when the port is in the set.
    #[must_use]
    pub fn contains(&self, port: PortKey) -> bool {
        let mut runs = self.0.iter();
        runs.any(|(protocol, first, last)| {
            *protocol == port.protocol && (*first..=*last).contains(&port.port)
        })
    }

    /// The first of the ports that is not in the set; none when nothing is said of ports.
    #[must_use]
    pub fn first_outside(&self, ports: &BTreeSet<PortKey>) -> Option<PortKey> {
        let outside = |port: &&PortKey| !self.0.is_empty() && !self.contains(**port);
        ports.iter().find(outside).copied()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first != self.last {
            write!(f, "-{}", self.last)?;
        }
        match self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> PortSet {
        texts
            .iter()
            .map(|t| t.parse::<PortRange>().unwrap())
            .collect()
    }

    fn port(protocol: Protocol, port: u16) -> PortKey {
        PortKey { protocol, port }
    }

    #[test]
    fn each_way_to_write_ports_is_read_and_shown() {
        for (text, shown) in [
            ("443", "443"),
            ("443/tcp", "443/TCP"),
            (" 1000 - 3000 / UDP", "1000-3000/UDP"),
            ("1-65535", "1-65535"),
            ("7-7/SCTP", "7/SCTP"),
        ] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn each_mistake_gets_a_sentence_that_says_what_to_write() {
        for (text, words) in [
            ("", "write 443, 443/TCP, 1000-3000 or 1000-3000/UDP"),
            ("0", "is not a port"),
            ("65536", "is not a port"),
            ("1-2-3", "is not a port"),
            ("http", "is not a port"),
            ("80/ICMP", "write TCP, UDP or SCTP, or none for all"),
            ("9-1", "9-1 starts after it ends: write 1-9"),
        ] {
            let error = text.parse::<PortRange>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_set_counts_each_port_once_and_without_protocol_all_three() {
        assert_eq!(set(&[]).count(), 0);
        assert_eq!(set(&["80"]).count(), 3);
        assert_eq!(
            set(&["80/TCP", "70-90/TCP", "91/TCP", "80/UDP"]).count(),
            23
        );
        assert_eq!(set(&["1-65535"]).count(), 3 * 65_535);
    }

    #[test]
    fn what_is_outside_is_found_by_protocol_and_number() {
        let ports = set(&["1000-3000/TCP", "53"]);
        for (inside, one) in [
            (true, port(Protocol::Tcp, 1000)),
            (true, port(Protocol::Tcp, 3000)),
            (true, port(Protocol::Sctp, 53)),
            (false, port(Protocol::Udp, 1000)),
            (false, port(Protocol::Tcp, 3001)),
        ] {
            assert_eq!(ports.contains(one), inside, "{one}");
            let outside = ports.first_outside(&[port(Protocol::Udp, 53), one].into());
            assert_eq!(outside, (!inside).then_some(one));
        }
        let any = [port(Protocol::Tcp, 1)].into();
        assert_eq!(PortSet::default().first_outside(&any), None);
    }
}
