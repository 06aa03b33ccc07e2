//! ROUTE-REFRESH (RFC 2918), with the brackets of RFC 7313.

use super::header::{self, HEADER, Kind, MAX_MESSAGE};
use crate::Notification;

/// What a ROUTE-REFRESH says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subtype {
    /// Send the routes again.
    Request,
    /// The answer begins.
    Begin,
    /// The answer is complete.
    End,
    /// Nothing that is known: ignored.
    Unknown(u8),
}

/// About the routes of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRefresh {
    /// Address family.
    pub afi: u16,
    /// Subsequent address family.
    pub safi: u8,
    /// What about them.
    pub subtype: Subtype,
}

impl RouteRefresh {
    /// Appends the message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let subtype = match self.subtype {
            Subtype::Request => 0,
            Subtype::Begin => 1,
            Subtype::End => 2,
            Subtype::Unknown(number) => number,
        };
        // 23 octets fit.
        let written = header::write(out, Kind::RouteRefresh, MAX_MESSAGE, |out| {
            out.extend(self.afi.to_be_bytes());
            out.extend([subtype, self.safi]);
        });
        debug_assert_eq!(written, Ok(()));
    }

    /// Reads the body of a message. What follows a request is a filter (RFC 5291) that was not agreed
    /// on, and is ignored.
    ///
    /// # Errors
    /// A bracket of the wrong length (RFC 7313 section 5).
    pub fn decode(body: &[u8]) -> Result<Self, Notification> {
        let malformed = || {
            let mut message = Vec::with_capacity(HEADER + body.len());
            // It came in a message, so it fits one.
            let written = header::write(&mut message, Kind::RouteRefresh, usize::MAX, |out| {
                out.extend(body);
            });
            debug_assert_eq!(written, Ok(()));
            Notification::bad_refresh(message)
        };
        let [a, b, subtype, safi, filter @ ..] = body else {
            return Err(malformed());
        };
        let subtype = match subtype {
            0 => Subtype::Request,
            1 if filter.is_empty() => Subtype::Begin,
            2 if filter.is_empty() => Subtype::End,
            1 | 2 => return Err(malformed()),
            other => Subtype::Unknown(*other),
        };
        Ok(Self {
            afi: u16::from_be_bytes([*a, *b]),
            safi: *safi,
            subtype,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7313 sections 3 and 5.
    #[test]
    fn brackets_have_four_octets_and_what_is_unknown_is_let_be() {
        for (octets, subtype) in [
            (vec![0, 1, 0, 1], Subtype::Request),
            (vec![0, 1, 1, 1], Subtype::Begin),
            (vec![0, 1, 2, 1], Subtype::End),
            (vec![0, 1, 3, 1], Subtype::Unknown(3)),
            (vec![0, 1, 255, 1, 9], Subtype::Unknown(255)),
            (vec![0, 1, 0, 1, 1, 64, 0, 0], Subtype::Request),
        ] {
            let read = RouteRefresh::decode(&octets).unwrap();
            assert_eq!(
                read,
                RouteRefresh {
                    afi: 1,
                    safi: 1,
                    subtype
                }
            );
        }
        for octets in [vec![0, 1, 1, 1, 0], vec![0, 2, 2, 1, 0, 0]] {
            let told = RouteRefresh::decode(&octets).unwrap_err();
            let mut message = vec![0xff; 16];
            message.extend([0, 19 + octets.len() as u8, 5]);
            message.extend(&octets);
            assert_eq!((told.code, told.subcode, told.data), (7, 1, message));
        }
    }
}
