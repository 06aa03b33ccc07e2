//! Text to ranges. Every error is one sentence that names the text and says what to write.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{AddressRange, Family};

/// Why a text is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("\"{text}\" is not an IP address: write an IPv4 or IPv6 address such as 192.0.2.10")]
    NotAnAddress { text: String },
    #[error(
        "{text} has numbers with leading zeros, which some programs read as octal: write {address}"
    )]
    LeadingZeros { text: String, address: IpAddr },
    #[error("{text} is an IPv4 address written as IPv6: write {address}")]
    MappedAddress { text: String, address: IpAddr },
    #[error("\"{length}\" in \"{text}\" is not a prefix length: {family} takes 0 to {}", .family.bits())]
    BadPrefixLength {
        text: String,
        length: String,
        family: Family,
    },
    #[error(
        "{address}/{length} has host bits set: write {network}/{length} for the whole network or {address} for the one address"
    )]
    HostBitsSet {
        address: IpAddr,
        length: u8,
        network: IpAddr,
    },
    #[error("{first}-{last} mixes IPv4 and IPv6: a range has one family")]
    MixedFamilies { first: IpAddr, last: IpAddr },
    #[error("{first}-{last} starts after it ends: write {last}-{first}")]
    StartAfterEnd { first: IpAddr, last: IpAddr },
}

impl RangeError {
    /// The reason as one CamelCase word.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotAnAddress { .. } | Self::LeadingZeros { .. } => "NotAnAddress",
            Self::MappedAddress { .. } => "MappedAddress",
            Self::BadPrefixLength { .. } => "BadPrefixLength",
            Self::HostBitsSet { .. } => "HostBitsSet",
            Self::MixedFamilies { .. } => "MixedFamilies",
            Self::StartAfterEnd { .. } => "StartAfterEnd",
        }
    }
}

/// One address; surrounding spaces are ignored.
///
/// # Errors
/// Not an address, or an IPv4 address in IPv6's mapped form (`::ffff:192.0.2.1`), which never
/// appears on a wire.
pub fn parse_address(text: &str) -> Result<IpAddr, RangeError> {
    let text = text.trim();
    let address: IpAddr = text.parse().map_err(|_| {
        let text = text.to_owned();
        match without_leading_zeros(&text) {
            Some(address) => RangeError::LeadingZeros { text, address },
            None => RangeError::NotAnAddress { text },
        }
    })?;
    let mapped = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(a) => Ipv6Addr::to_ipv4_mapped(&a),
    };
    match mapped {
        Some(v4) => Err(RangeError::MappedAddress {
            text: text.to_owned(),
            address: IpAddr::V4(v4),
        }),
        None => Ok(address),
    }
}

/// The IPv4 address that is meant by one such as `010.0.0.1`, as Kubernetes reads it.
fn without_leading_zeros(text: &str) -> Option<IpAddr> {
    let number = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            .then(|| part.trim_start_matches('0'))
            .map(|rest| match rest {
                "" => "0".to_owned(),
                rest => rest.to_owned(),
            })
    };
    let parts: Option<Vec<String>> = text.split('.').map(number).collect();
    parts?.join(".").parse().ok()
}

/// See [`AddressRange::from_str`](std::str::FromStr).
pub(super) fn range(text: &str) -> Result<AddressRange, RangeError> {
    if let Some((first, last)) = text.split_once('-') {
        return AddressRange::new(parse_address(first)?, parse_address(last)?);
    }
    match text.split_once('/') {
        Some((address, length)) => network(text.trim(), parse_address(address)?, length.trim()),
        None => parse_address(text).map(AddressRange::single),
    }
}

fn network(text: &str, address: IpAddr, length: &str) -> Result<AddressRange, RangeError> {
    let family = Family::of(address);
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let parsed = length
        .parse::<u8>()
        .ok()
        .filter(|n| digits && *n <= family.bits());
    let Some(length) = parsed else {
        return Err(RangeError::BadPrefixLength {
            text: text.to_owned(),
            length: length.to_owned(),
            family,
        });
    };
    let bad_length = |_| RangeError::BadPrefixLength {
        text: text.to_owned(),
        length: length.to_string(),
        family,
    };
    let network = IpNet::new(address, length).map_err(bad_length)?;
    if network.network() != address {
        return Err(RangeError::HostBitsSet {
            address,
            length,
            network: network.network(),
        });
    }
    AddressRange::new(network.network(), network.broadcast())
}
