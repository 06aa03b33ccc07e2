//! Where a message begins and ends in a stream of octets (RFC 4271 section 4.1, RFC 8654).
//!
//! ```text
//! marker 16 × ff · length u16, of the whole message · type u8
//! ```

use crate::Notification;

/// Octets before the body.
pub const HEADER: usize = 19;
/// The longest message.
pub const MAX_MESSAGE: usize = 4096;
/// The longest message where extended messages were told of; never an OPEN or KEEPALIVE.
pub const MAX_EXTENDED: usize = 65_535;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// OPEN.
    Open = 1,
    /// UPDATE.
    Update = 2,
    /// NOTIFICATION.
    Notification = 3,
    /// KEEPALIVE.
    Keepalive = 4,
    /// ROUTE-REFRESH (RFC 2918).
    RouteRefresh = 5,
}

impl Kind {
    /// The shortest and the longest it may be.
    const fn lengths(self, longest: usize) -> (usize, usize) {
        match self {
            Self::Open => (29, MAX_MESSAGE),
            Self::Update | Self::RouteRefresh => (23, longest),
            Self::Notification => (21, longest),
            Self::Keepalive => (HEADER, HEADER),
        }
    }
}

/// A message whose length and type are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type.
    pub kind: Kind,
    /// What follows the header.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Its length on the wire.
    #[must_use]
    pub const fn length(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// The message that `bytes` begin with; none while it is not all there. What cannot become a message
/// is told as soon as it is seen. With `extended`, messages may be long.
///
/// # Errors
/// The NOTIFICATION to end the session with.
pub fn frame(bytes: &[u8], extended: bool) -> Result<Option<Frame<'_>>, Notification> {
    if bytes.iter().take(16).any(|octet| *octet != 0xff) {
        return Err(Notification::not_synchronized());
    }
    let Some([high, low]) = bytes.get(16..18) else {
        return Ok(None);
    };
    let told = u16::from_be_bytes([*high, *low]);
    let length = usize::from(told);
    let longest = if extended { MAX_EXTENDED } else { MAX_MESSAGE };
    if !(HEADER..=longest).contains(&length) {
        return Err(Notification::bad_length(told));
    }
    let Some(kind) = bytes.get(18) else {
        return Ok(None);
    };
    let kind = match kind {
        1 => Kind::Open,
        2 => Kind::Update,
        3 => Kind::Notification,
        4 => Kind::Keepalive,
        5 => Kind::RouteRefresh,
        other => return Err(Notification::bad_type(*other)),
    };
    let (least, most) = kind.lengths(longest);
    if !(least..=most).contains(&length) {
        return Err(Notification::bad_length(told));
    }
    Ok(bytes.get(HEADER..length).map(|body| Frame { kind, body }))
}

/// Writes a message whose body `write` appends. What would be longer than `longest` is not written.
///
/// # Errors
/// The message is too long; `out` is as it was.
pub(crate) fn write(
    out: &mut Vec<u8>,
    kind: Kind,
    longest: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), TooLong> {
    let start = out.len();
    out.extend([0xff; 16]);
    out.extend([0, 0, kind as u8]);
    write(out);
    let length = out.len() - start;
    match (u16::try_from(length), out.get_mut(start + 16..start + 18)) {
        (Ok(told), Some(field)) if length <= longest => {
            field.copy_from_slice(&told.to_be_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(TooLong)
        }
    }
}

/// More is to be said than fits a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content does not fit a BGP message")]
pub struct TooLong;

#[cfg(test)]
mod tests {
    use super::*;

    fn header(length: u16, kind: u8) -> Vec<u8> {
        let mut bytes = vec![0xff; 16];
        bytes.extend(length.to_be_bytes());
        bytes.push(kind);
        bytes.resize(usize::from(length).max(HEADER), 0);
        bytes
    }

    /// RFC 4271 section 6.1, RFC 2918, RFC 8654 section 4: every type at its limits.
    #[test]
    fn each_type_has_its_least_and_greatest_length() {
        let bad = Notification::bad_length;
        for (kind, least, most, most_extended) in [
            (1, 29, 4096_u16, 4096_u16),
            (2, 23, 4096, 65_535),
            (3, 21, 4096, 65_535),
            (4, 19, 19, 19),
            (5, 23, 4096, 65_535),
        ] {
            for (extended, most) in [(false, most), (true, most_extended)] {
                for length in [0, 1, 18, least - 1, most.saturating_add(1)] {
                    if length < least || length > most {
                        let told = frame(&header(length, kind), extended).unwrap_err();
                        assert_eq!(told, bad(length), "type {kind}, length {length}");
                    }
                }
                for length in [least, most] {
                    let bytes = header(length, kind);
                    let read = frame(&bytes, extended).unwrap().unwrap();
                    assert_eq!(
                        (read.kind as u8, read.length()),
                        (kind, usize::from(length))
                    );
                    assert_eq!(frame(&bytes[..bytes.len() - 1], extended), Ok(None));
                }
            }
        }
    }

    #[test]
    fn marker_and_type_are_refused_as_soon_as_they_are_wrong() {
        for at in 0..16 {
            let mut bytes = vec![0xff; at];
            bytes.push(0xfe);
            let told = frame(&bytes, false).unwrap_err();
            assert_eq!((told.code, told.subcode), (1, 1));
        }
        for kind in [0, 6, 255] {
            let told = frame(&header(23, kind), false).unwrap_err();
            assert_eq!((told.code, told.subcode, told.data), (1, 3, vec![kind]));
        }
        for part in 0..HEADER {
            assert_eq!(frame(&header(19, 4)[..part], false), Ok(None));
        }
    }
}
