//! NOTIFICATION: why a session ends, in numbers and in words (RFC 4271 section 4.5, 9003, 8538).

use std::fmt;

use super::header::{self, HEADER, Kind};

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What the error is about; its form depends on the two numbers.
    pub data: Vec<u8>,
}

/// Error codes of RFC 4271 section 4.5, 7313 and 9687.
mod code {
    pub(super) const HEADER: u8 = 1;
    pub(super) const OPEN: u8 = 2;
    pub(super) const UPDATE: u8 = 3;
    pub(super) const HOLD: u8 = 4;
    pub(super) const FSM: u8 = 5;
    pub(super) const CEASE: u8 = 6;
    pub(super) const REFRESH: u8 = 7;
    pub(super) const SEND_HOLD: u8 = 8;
}

/// Subcodes of Cease (RFC 4486, 8538, 9384).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cease {
    /// The peer sent more prefixes than it may.
    MaximumPrefixes = 1,
    /// An operator stopped the session.
    AdministrativeShutdown = 2,
    /// The peer is no longer configured.
    PeerDeconfigured = 3,
    /// An operator restarts the session.
    AdministrativeReset = 4,
    /// The connection is not wanted.
    ConnectionRejected = 5,
    /// The configuration changed so that the session must be opened anew.
    ConfigurationChange = 6,
    /// Another connection with this peer was kept.
    CollisionResolution = 7,
    /// Out of memory or the like.
    OutOfResources = 8,
    /// Flush the routes, whatever graceful restart says.
    HardReset = 9,
    /// BFD says the path is broken.
    BfdDown = 10,
}

/// The longest shutdown text, in octets (RFC 9003).
pub const SHUTDOWN_TEXT: usize = 255;

impl Notification {
    const fn new(code: u8, subcode: u8, data: Vec<u8>) -> Self {
        Self {
            code,
            subcode,
            data,
        }
    }

    /// 1/1: the marker is not all ones.
    pub(crate) const fn not_synchronized() -> Self {
        Self::new(code::HEADER, 1, Vec::new())
    }

    /// 1/2: this length is impossible for the message.
    pub(crate) fn bad_length(length: u16) -> Self {
        Self::new(code::HEADER, 2, length.to_be_bytes().to_vec())
    }

    /// 1/3: there is no such type.
    pub(crate) fn bad_type(kind: u8) -> Self {
        Self::new(code::HEADER, 3, vec![kind])
    }

    /// 2/0: the OPEN cannot be read.
    pub(crate) const fn open_malformed() -> Self {
        Self::new(code::OPEN, 0, Vec::new())
    }

    /// 2/1: version 4 is the only one spoken.
    pub(crate) fn bad_version() -> Self {
        Self::new(code::OPEN, 1, vec![0, 4])
    }

    /// 2/2: the peer has another AS number than it is to have.
    pub(crate) const fn bad_peer_as() -> Self {
        Self::new(code::OPEN, 2, Vec::new())
    }

    /// 2/3: the identifier is zero, or ours within one AS.
    pub(crate) const fn bad_identifier() -> Self {
        Self::new(code::OPEN, 3, Vec::new())
    }

    /// 2/4: an optional parameter of a kind nobody knows.
    pub(crate) const fn unsupported_parameter() -> Self {
        Self::new(code::OPEN, 4, Vec::new())
    }

    /// 2/6: a hold time of one or two seconds.
    pub(crate) const fn bad_hold_time() -> Self {
        Self::new(code::OPEN, 6, Vec::new())
    }

    /// 2/7: the peer lacks these capabilities (RFC 5492), here as octets.
    pub(crate) const fn missing_capability(capabilities: Vec<u8>) -> Self {
        Self::new(code::OPEN, 7, capabilities)
    }

    /// 2/11: the roles do not fit each other (RFC 9234).
    pub(crate) const fn role_mismatch() -> Self {
        Self::new(code::OPEN, 11, Vec::new())
    }

    /// 3/1: lengths or the list of attributes do not add up.
    pub(crate) const fn attribute_list() -> Self {
        Self::new(code::UPDATE, 1, Vec::new())
    }

    /// 3/2: a well-known attribute that nobody knows, whole.
    pub(crate) const fn unrecognized_attribute(attribute: Vec<u8>) -> Self {
        Self::new(code::UPDATE, 2, attribute)
    }

    /// 3/9: MP_REACH_NLRI or MP_UNREACH_NLRI cannot be read (RFC 4760 section 7).
    pub(crate) const fn optional_attribute(attribute: Vec<u8>) -> Self {
        Self::new(code::UPDATE, 9, attribute)
    }

    /// 3/10: prefixes cannot be read.
    pub(crate) const fn invalid_network() -> Self {
        Self::new(code::UPDATE, 10, Vec::new())
    }

    /// 4/0: the peer was silent for the hold time.
    pub(crate) const fn hold_expired() -> Self {
        Self::new(code::HOLD, 0, Vec::new())
    }

    /// 5/1 to 5/3: a message of this type has no place in the state (RFC 6608).
    pub(crate) fn unexpected(subcode: u8, kind: u8) -> Self {
        Self::new(code::FSM, subcode, vec![kind])
    }

    /// 6/…: an end without an error.
    #[must_use]
    pub const fn cease(why: Cease) -> Self {
        Self::new(code::CEASE, why as u8, Vec::new())
    }

    /// 6/2 or 6/4 with a text for the operator there (RFC 9003); cut at 255 octets.
    pub(crate) fn shutdown(why: Cease, text: &str) -> Self {
        let mut notification = Self::cease(why);
        let mut end = text.len().min(SHUTDOWN_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if let (Ok(length @ 1..), Some(text)) = (u8::try_from(end), text.get(..end)) {
            notification.data.push(length);
            notification.data.extend(text.as_bytes());
        }
        notification
    }

    /// 6/1: more prefixes of a family than the limit (RFC 4486 section 4).
    pub(crate) fn maximum_prefixes(family: crate::Family, limit: u32) -> Self {
        let mut notification = Self::cease(Cease::MaximumPrefixes);
        notification.data.extend(family.afi().to_be_bytes());
        notification.data.push(1);
        notification.data.extend(limit.to_be_bytes());
        notification
    }

    /// 6/9 around this one: the peer flushes what graceful restart would have it keep (RFC 8538).
    pub(crate) fn hardened(self) -> Self {
        let mut hard = Self::cease(Cease::HardReset);
        hard.data.extend([self.code, self.subcode]);
        hard.data.extend(self.data);
        hard
    }

    /// 7/1: a ROUTE-REFRESH of the wrong length, whole (RFC 7313).
    pub(crate) const fn bad_refresh(message: Vec<u8>) -> Self {
        Self::new(code::REFRESH, 1, message)
    }

    /// 8/0: the peer read nothing for the send hold time (RFC 9687).
    pub(crate) const fn send_hold_expired() -> Self {
        Self::new(code::SEND_HOLD, 0, Vec::new())
    }

    /// Appends the message; what does not fit `longest` of the data is left out.
    pub fn encode(&self, longest: usize, out: &mut Vec<u8>) {
        let most = longest.saturating_sub(HEADER + 2);
        let data = self.data.get(..most).unwrap_or(&self.data);
        let written = header::write(out, Kind::Notification, longest, |out| {
            out.extend([self.code, self.subcode]);
            out.extend(data);
        });
        debug_assert_eq!(written, Ok(()));
    }

    /// Reads the body of a message, whatever the numbers are.
    ///
    /// # Errors
    /// It has less than two octets.
    pub fn decode(body: &[u8]) -> Result<Self, Self> {
        match body {
            [code, subcode, data @ ..] => Ok(Self::new(*code, *subcode, data.to_vec())),
            _ => Err(Self::bad_length(
                u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX),
            )),
        }
    }

    /// The OPEN had an optional parameter that the peer does not know: it is of before RFC 5492.
    pub(crate) const fn asks_for_no_parameters(&self) -> bool {
        self.code == code::OPEN && self.subcode == 4
    }

    /// The peer says that the version of the OPEN does not suit it.
    pub(crate) const fn is_version_error(&self) -> bool {
        self.code == code::OPEN && self.subcode == 1
    }

    /// What a hard reset wraps (RFC 8538).
    #[must_use]
    pub fn inner(&self) -> Option<Self> {
        let hard = (self.code, self.subcode) == (code::CEASE, Cease::HardReset as u8);
        match self.data.as_slice() {
            [code, subcode, data @ ..] if hard => Some(Self::new(*code, *subcode, data.to_vec())),
            _ => None,
        }
    }

    /// The text for the operator that came with a shutdown or reset (RFC 9003), with control
    /// characters replaced, also from within a hard reset.
    #[must_use]
    pub fn shutdown_text(&self) -> Option<String> {
        let inner = self.inner();
        let told = inner.as_ref().unwrap_or(self);
        let [length, text @ ..] = told.data.as_slice() else {
            return None;
        };
        let may_carry_text = told.code == code::CEASE && matches!(told.subcode, 2 | 4);
        let text = text.get(..usize::from(*length))?;
        if !may_carry_text || text.is_empty() {
            return None;
        }
        let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Some(String::from_utf8_lossy(text).chars().map(shown).collect())
    }

    fn name(&self) -> Option<&'static str> {
        Some(match (self.code, self.subcode) {
            (1, 0) => "Message Header Error",
            (1, 1) => "Connection Not Synchronized",
            (1, 2) => "Bad Message Length",
            (1, 3) => "Bad Message Type",
            (2, 0) => "OPEN Message Error",
            (2, 1) => "Unsupported Version Number",
            (2, 2) => "Bad Peer AS",
            (2, 3) => "Bad BGP Identifier",
            (2, 4) => "Unsupported Optional Parameter",
            (2, 5) => "Authentication Failure",
            (2, 6) => "Unacceptable Hold Time",
            (2, 7) => "Unsupported Capability",
            (2, 11) => "Role Mismatch",
            (3, 0) => "UPDATE Message Error",
            (3, 1) => "Malformed Attribute List",
            (3, 2) => "Unrecognized Well-known Attribute",
            (3, 3) => "Missing Well-known Attribute",
            (3, 4) => "Attribute Flags Error",
            (3, 5) => "Attribute Length Error",
            (3, 6) => "Invalid ORIGIN Attribute",
            (3, 8) => "Invalid NEXT_HOP Attribute",
            (3, 9) => "Optional Attribute Error",
            (3, 10) => "Invalid Network Field",
            (3, 11) => "Malformed AS_PATH",
            (4, _) => "Hold Timer Expired",
            (5, 0) => "Finite State Machine Error",
            (5, 1) => "Unexpected Message in OpenSent",
            (5, 2) => "Unexpected Message in OpenConfirm",
            (5, 3) => "Unexpected Message in Established",
            (6, 0) => "Cease",
            (6, 1) => "Cease, Maximum Number of Prefixes Reached",
            (6, 2) => "Cease, Administrative Shutdown",
            (6, 3) => "Cease, Peer De-configured",
            (6, 4) => "Cease, Administrative Reset",
            (6, 5) => "Cease, Connection Rejected",
            (6, 6) => "Cease, Other Configuration Change",
            (6, 7) => "Cease, Connection Collision Resolution",
            (6, 8) => "Cease, Out of Resources",
            (6, 9) => "Cease, Hard Reset",
            (6, 10) => "Cease, BFD Down",
            (7, 0) => "ROUTE-REFRESH Message Error",
            (7, 1) => "Invalid ROUTE-REFRESH Length",
            (8, _) => "Send Hold Timer Expired",
            _ => return None,
        })
    }

    /// What the data says, where it says something to people.
    fn detail(&self) -> Option<String> {
        match (self.code, self.subcode, self.data.as_slice()) {
            (1, 2, [a, b, ..]) => Some(format!("length {}", u16::from_be_bytes([*a, *b]))),
            (1, 3, [kind, ..]) | (5, _, [kind]) => Some(format!("type {kind}")),
            (2, 1, [a, b, ..]) => Some(format!("highest version {}", u16::from_be_bytes([*a, *b]))),
            (2, 2, [a, b]) => Some(format!("AS {}", u16::from_be_bytes([*a, *b]))),
            (2, 7, [capability, ..]) => Some(format!("capability {capability}")),
            (3, 2..=10, [_, kind, ..]) => Some(format!("attribute {kind}")),
            (6, 1, [_, _, _, a, b, c, d]) => {
                let limit = u32::from_be_bytes([*a, *b, *c, *d]);
                Some(format!("limit {limit}"))
            }
            _ => None,
        }
    }
}

/// `Cease, Administrative Shutdown (6/2): "maintenance until noon"`.
impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or("an error this speaker does not know");
        write!(f, "{name} ({}/{})", self.code, self.subcode)?;
        if let Some(inner) = self.inner() {
            let name = inner.name().unwrap_or("unknown");
            write!(f, " of {name} ({}/{})", inner.code, inner.subcode)?;
        }
        if let Some(detail) = self.detail() {
            write!(f, ", {detail}")?;
        }
        match self.shutdown_text() {
            Some(text) => write!(f, ": \"{text}\""),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_told_in_words() {
        let shutdown = Notification::shutdown(Cease::AdministrativeShutdown, "bye\n\u{1b}[2J");
        for (notification, words) in [
            (
                shutdown.clone(),
                "Cease, Administrative Shutdown (6/2): \"bye\u{fffd}\u{fffd}[2J\"",
            ),
            (
                shutdown.hardened(),
                "Cease, Hard Reset (6/9) of Cease, Administrative Shutdown (6/2): \"bye\u{fffd}\u{fffd}[2J\"",
            ),
            (
                Notification::bad_length(18),
                "Bad Message Length (1/2), length 18",
            ),
            (
                Notification::new(2, 2, vec![0xfd, 0xe9]),
                "Bad Peer AS (2/2), AS 65001",
            ),
            (
                Notification::maximum_prefixes(crate::Family::Ipv4, 1000),
                "Cease, Maximum Number of Prefixes Reached (6/1), limit 1000",
            ),
            (
                Notification::new(9, 7, vec![]),
                "an error this speaker does not know (9/7)",
            ),
        ] {
            assert_eq!(notification.to_string(), words);
        }
    }

    /// RFC 9003 section 2: a length octet and at most 255 octets of UTF-8.
    #[test]
    fn a_long_shutdown_text_is_cut_between_characters() {
        let notification = Notification::shutdown(Cease::AdministrativeReset, &"ä".repeat(200));
        assert_eq!(notification.data.len(), 255);
        assert_eq!(notification.data[0], 254);
        assert_eq!(notification.shutdown_text(), Some("ä".repeat(127)));
        let none = Notification::shutdown(Cease::AdministrativeShutdown, "");
        assert_eq!(none.data, []);
    }

    /// RFC 9003 section 4: a wrong length or wrong UTF-8 does no harm.
    #[test]
    fn a_shutdown_text_that_cannot_be_read_is_left_out_or_mended() {
        let of = |data: &[u8]| Notification::new(6, 2, data.to_vec()).shutdown_text();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[0]), None);
        assert_eq!(of(&[5, b'a']), None);
        assert_eq!(of(&[2, b'a', 0xff]), Some("a\u{fffd}".to_owned()));
        assert_eq!(of(&[1, b'a', b'b']), Some("a".to_owned()));
        assert_eq!(Notification::new(6, 3, vec![1, b'a']).shutdown_text(), None);
    }
}
