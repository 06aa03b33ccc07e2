//! OPEN (RFC 4271 section 4.2), with capabilities (RFC 5492) and long parameters (RFC 9072).
//!
//! ```text
//! version u8 = 4 · AS u16 · hold time u16 s · identifier u32 · length u8 · parameters
//! parameter: type u8 · length u8 · value          type 2: capabilities
//! long form: length 255 · type 255 · length u16 · parameters with lengths of u16
//! ```

use std::net::Ipv4Addr;

use super::bytes::{Reader, Short};
use super::capability::Capability;
use super::header::{self, Kind, MAX_MESSAGE, TooLong};
use crate::{Asn, Notification};

const VERSION: u8 = 4;
const CAPABILITIES: u8 = 2;
const EXTENDED: u8 = 255;

/// How a speaker introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its AS number where two octets hold it, else AS_TRANS.
    pub short_as: u16,
    /// Proposed hold time in seconds: 0 or at least 3.
    pub hold_time: u16,
    /// BGP identifier, not zero.
    pub id: Ipv4Addr,
    /// In the order of the message; duplicates are kept.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// Its AS number, by the capability where it is told (RFC 6793).
    #[must_use]
    pub fn asn(&self) -> Asn {
        let wide = self
            .capabilities
            .iter()
            .find_map(|capability| match capability {
                Capability::FourOctetAs(asn) => Some(*asn),
                Capability::Multiprotocol { .. }
                | Capability::RouteRefresh
                | Capability::ExtendedNextHop(_)
                | Capability::ExtendedMessages
                | Capability::Role(_)
                | Capability::GracefulRestart { .. }
                | Capability::EnhancedRefresh
                | Capability::Other { .. } => None,
            });
        wide.unwrap_or(Asn(self.short_as.into()))
    }

    /// Appends the message; all capabilities in one parameter, none where there are none.
    ///
    /// # Errors
    /// The capabilities do not fit a message.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let mut capabilities = Vec::new();
        for capability in &self.capabilities {
            capability.encode(&mut capabilities);
        }
        header::write(out, Kind::Open, MAX_MESSAGE, |out| {
            out.push(VERSION);
            out.extend(self.short_as.to_be_bytes());
            out.extend(self.hold_time.to_be_bytes());
            out.extend(self.id.octets());
            let length = capabilities.len();
            match u8::try_from(length) {
                Ok(0) => out.push(0),
                Ok(length @ ..=252) => out.extend([length + 2, CAPABILITIES, length]),
                // What does not fit u16 does not fit the message either.
                Ok(_) | Err(_) => {
                    let field = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
                    out.extend([EXTENDED, EXTENDED]);
                    out.extend(field(length + 3).to_be_bytes());
                    out.push(CAPABILITIES);
                    out.extend(field(length).to_be_bytes());
                }
            }
            out.extend(&capabilities);
        })
    }

    /// Reads the body of a message, and refuses what no peer may say.
    ///
    /// # Errors
    /// The NOTIFICATION to end the session with.
    pub fn decode(body: &[u8]) -> Result<Self, Notification> {
        let mut reader = Reader(body);
        if reader.u8()? != VERSION {
            return Err(Notification::bad_version());
        }
        let mut open = Self {
            short_as: reader.u16()?,
            hold_time: reader.u16()?,
            id: Ipv4Addr::from_bits(reader.u32()?),
            capabilities: Vec::new(),
        };
        open.capabilities = parameters(reader)?;
        if open.short_as == 0 || open.asn().0 == 0 {
            return Err(Notification::bad_peer_as());
        }
        if matches!(open.hold_time, 1 | 2) {
            return Err(Notification::bad_hold_time());
        }
        if open.id.is_unspecified() {
            return Err(Notification::bad_identifier());
        }
        Ok(open)
    }
}

/// An OPEN that ends too early.
impl From<Short> for Notification {
    fn from(_: Short) -> Self {
        Self::open_malformed()
    }
}

fn parameters(mut reader: Reader<'_>) -> Result<Vec<Capability>, Notification> {
    let mut length = usize::from(reader.u8()?);
    let extended = length != 0 && reader.0.first() == Some(&EXTENDED);
    if extended {
        reader.u8()?;
        length = reader.u16()?.into();
    }
    if length != reader.0.len() {
        return Err(Notification::open_malformed());
    }
    let mut capabilities = Vec::new();
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let length = if extended {
            reader.u16()?.into()
        } else {
            reader.u8()?.into()
        };
        let mut value = Reader(reader.take(length)?);
        if kind != CAPABILITIES {
            return Err(Notification::unsupported_parameter());
        }
        while !value.is_empty() {
            capabilities.push(Capability::decode(&mut value)?);
        }
    }
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parameters: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1];
        body.extend(parameters);
        body
    }

    fn told(body: &[u8]) -> (u8, u8, Vec<u8>) {
        let told = Open::decode(body).unwrap_err();
        (told.code, told.subcode, told.data)
    }

    /// RFC 4271 section 6.2, RFC 6286, RFC 7607.
    #[test]
    fn each_mistake_has_its_subcode() {
        let change = |at: usize, octets: &[u8]| {
            let mut body = body(&[0]);
            body[at..at + octets.len()].copy_from_slice(octets);
            body
        };
        assert!(Open::decode(&body(&[0])).is_ok());
        assert_eq!(told(&change(0, &[3])), (2, 1, vec![0, 4]));
        assert_eq!(told(&change(0, &[5])), (2, 1, vec![0, 4]));
        assert_eq!(told(&change(1, &[0, 0])), (2, 2, vec![]));
        assert_eq!(told(&change(3, &[0, 1])), (2, 6, vec![]));
        assert_eq!(told(&change(3, &[0, 2])), (2, 6, vec![]));
        assert!(Open::decode(&change(3, &[0, 0])).is_ok());
        assert!(Open::decode(&change(3, &[0, 3])).is_ok());
        assert_eq!(told(&change(5, &[0, 0, 0, 0])), (2, 3, vec![]));
        assert_eq!(told(&body(&[2, 1, 0])), (2, 4, vec![]));
        assert_eq!(told(&body(&[1, 0])), (2, 0, vec![]));
        assert_eq!(told(&body(&[0, 0])), (2, 0, vec![]));
        assert_eq!(told(&body(&[4, 2, 2, 65, 4])), (2, 0, vec![]));
        assert_eq!(told(&body(&[3, 2, 2, 2])), (2, 0, vec![]));
        let zero = [8, 2, 6, 65, 4, 0, 0, 0, 0];
        assert_eq!(told(&body(&zero)), (2, 2, vec![]));
    }

    /// RFC 5492 section 4: split, repeated and unknown ones are in order.
    #[test]
    fn capabilities_may_be_split_repeated_and_unknown() {
        let octets = [
            20, 2, 6, 1, 4, 0, 1, 0, 1, 2, 10, 2, 0, 2, 0, 99, 1, 7, 1, 1, 9,
        ];
        let multiprotocol = Capability::Multiprotocol { afi: 1, safi: 1 };
        let other = |code, value: &[u8]| Capability::Other {
            code,
            value: value.to_vec(),
        };
        assert_eq!(
            Open::decode(&body(&octets)).unwrap().capabilities,
            [
                multiprotocol,
                Capability::RouteRefresh,
                Capability::RouteRefresh,
                other(99, &[7]),
                other(1, &[9]),
            ]
        );
    }

    /// RFC 9072 section 2.
    #[test]
    fn long_parameters_are_read_and_written() {
        let short = body(&[4, 2, 2, 2, 0]);
        let long = body(&[255, 255, 0, 5, 2, 0, 2, 2, 0]);
        let odd = body(&[9, 255, 0, 5, 2, 0, 2, 2, 0]);
        assert_eq!(Open::decode(&short), Open::decode(&long));
        assert_eq!(Open::decode(&short), Open::decode(&odd));
        let mut open = Open::decode(&short).unwrap();
        for (count, extended) in [(126, false), (127, true), (2000, true)] {
            open.capabilities = vec![Capability::RouteRefresh; count];
            let mut out = vec![];
            open.encode(&mut out).unwrap();
            assert_eq!(out[29] == 255, extended, "{count}");
            assert_eq!(Open::decode(&out[19..]).unwrap(), open);
        }
        open.capabilities = vec![Capability::RouteRefresh; 2040];
        assert_eq!(open.encode(&mut vec![]), Err(TooLong));
    }

    /// RFC 6793 section 4.1.
    #[test]
    fn the_as_number_is_that_of_the_capability() {
        let octets = [8, 2, 6, 65, 4, 0xfa, 0x56, 0xea, 0];
        let open = Open::decode(&body(&octets)).unwrap();
        assert_eq!(open.asn(), Asn(4_200_000_000));
        assert_eq!(Open::decode(&body(&[0])).unwrap().asn(), Asn(65_001));
    }
}
