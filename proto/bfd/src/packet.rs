//! The control packet (RFC 5880 section 4.1): octets to fields and back.
//!
//! Reading checks what can be told from the packet alone, in the order of section 6.8.6. Proving who
//! sent it is in `auth`.

use std::fmt;

use crate::Discard;

/// Octets of a packet without an authentication section.
pub(crate) const MANDATORY: usize = 24;

const VERSION: u8 = 1;

/// The state of a session (RFC 5880 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Switched off on purpose.
    AdminDown,
    /// The neighbour is not heard, or does not hear.
    Down,
    /// The neighbour is heard.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::AdminDown,
            1 => Self::Down,
            2 => Self::Init,
            _ => Self::Up,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }

    /// As RFC 5880 spells it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why a session last left the state Up, as its end tells it: 5 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// Nothing to tell.
    pub const NONE: Self = Self(0);
    /// No packet within the detection time.
    pub const EXPIRED: Self = Self(1);
    /// Echo packets did not come back.
    pub const ECHO_FAILED: Self = Self(2);
    /// The neighbour said that the session is down.
    pub const NEIGHBOR_DOWN: Self = Self(3);
    /// The forwarding plane was reset.
    pub const FORWARDING_RESET: Self = Self(4);
    /// The path is known to be down.
    pub const PATH_DOWN: Self = Self(5);
    /// A path behind this one is down.
    pub const CONCATENATED_PATH_DOWN: Self = Self(6);
    /// Switched off on purpose.
    pub const ADMIN_DOWN: Self = Self(7);
    /// A path behind the neighbour is down.
    pub const REVERSE_CONCATENATED_PATH_DOWN: Self = Self(8);

    /// Its number, below 32.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The lower five bits count.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code & 0x1f)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "no diagnostic",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            code => return write!(f, "diagnostic {code}"),
        })
    }
}

/// The bits of a packet that stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the wire has one bit for each"
)]
pub struct Flags {
    /// P: an answer is wanted.
    pub poll: bool,
    /// F: this is the answer.
    pub final_: bool,
    /// C: BFD goes on without the control plane.
    pub independent: bool,
    /// D: periodic packets are not wanted while both ends are up.
    pub demand: bool,
}

/// A control packet. Intervals are in microseconds, as the wire has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Why the sender last left Up.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// Poll, final, and what the sender can do.
    pub flags: Flags,
    /// The sender's detection multiplier, never zero.
    pub multiplier: u8,
    /// The sender's discriminator, never zero.
    pub my_discriminator: u32,
    /// The receiver's, or zero where the sender does not know it.
    pub your_discriminator: u32,
    /// Shortest interval the sender wishes to send at.
    pub desired_transmit: u32,
    /// Shortest interval of packets the sender supports; zero: it wants none.
    pub required_receive: u32,
    /// Shortest interval of echo packets the sender loops back; zero: it loops none back.
    pub required_echo: u32,
    /// What proves who sent it, unread.
    pub authentication: Option<AuthSection<'a>>,
}

/// An authentication section (RFC 5880 section 4.1), its length checked and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthSection<'a> {
    /// Which kind.
    pub kind: u8,
    /// What follows type and length.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram; octets behind the length that the packet tells are none of it.
    ///
    /// # Errors
    /// The first condition of RFC 5880 section 6.8.6 that it does not meet.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Discard> {
        let (mandatory, _) = datagram
            .split_first_chunk::<MANDATORY>()
            .ok_or(Discard::Length)?;
        let [head, bits, multiplier, length, rest @ ..] = mandatory;
        if head >> 5 != VERSION {
            return Err(Discard::Version);
        }
        let whole = datagram
            .get(..usize::from(*length))
            .ok_or(Discard::Length)?;
        let has = |bit: u8| bits & bit != 0;
        let authenticated = has(0x04);
        let behind = whole.get(MANDATORY..).ok_or(Discard::Length)?;
        let authentication = match (authenticated, behind) {
            (false, _) => None,
            (true, [kind, length, _, ..]) => {
                let end = usize::from(*length);
                let data = behind.get(2..end).filter(|data| !data.is_empty());
                let data = data.ok_or(Discard::Length)?;
                Some(AuthSection { kind: *kind, data })
            }
            (true, _) => return Err(Discard::Length),
        };
        if *multiplier == 0 {
            return Err(Discard::Multiplier);
        }
        if has(0x01) {
            return Err(Discard::Multipoint);
        }
        let (words, _) = rest.as_chunks::<4>();
        let [mine, yours, transmit, receive, echo] = words else {
            return Err(Discard::Length);
        };
        let my_discriminator = u32::from_be_bytes(*mine);
        if my_discriminator == 0 {
            return Err(Discard::NoDiscriminator);
        }
        let state = State::from_bits(bits >> 6);
        let your_discriminator = u32::from_be_bytes(*yours);
        Ok(Self {
            diagnostic: Diagnostic::from_code(*head),
            state,
            flags: Flags {
                poll: has(0x20),
                final_: has(0x10),
                independent: has(0x08),
                demand: has(0x02),
            },
            multiplier: *multiplier,
            my_discriminator,
            your_discriminator,
            desired_transmit: u32::from_be_bytes(*transmit),
            required_receive: u32::from_be_bytes(*receive),
            required_echo: u32::from_be_bytes(*echo),
            authentication,
        })
    }

    /// The sender knows no discriminator of this end, and so cannot be past Down.
    pub(crate) const fn claims_too_much(&self) -> bool {
        self.your_discriminator == 0 && matches!(self.state, State::Init | State::Up)
    }

    /// As octets, an authentication section of at most 231 octets included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Flags {
            poll,
            final_,
            independent,
            demand,
        } = self.flags;
        let section = self.authentication.map_or(0, |section| {
            u8::try_from(section.data.len().saturating_add(2)).unwrap_or(u8::MAX)
        });
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let bits = self.state.bits() << 6
            | bit(poll, 0x20)
            | bit(final_, 0x10)
            | bit(independent, 0x08)
            | bit(self.authentication.is_some(), 0x04)
            | bit(demand, 0x02);
        let length = section.saturating_add(24);
        let mut octets = vec![
            VERSION << 5 | self.diagnostic.code(),
            bits,
            self.multiplier,
            length,
        ];
        let words = [
            self.my_discriminator,
            self.your_discriminator,
            self.desired_transmit,
            self.required_receive,
            self.required_echo,
        ];
        octets.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        if let Some(AuthSection { kind, data }) = self.authentication {
            octets.extend([kind, section]);
            octets.extend(data);
        }
        octets
    }
}

#[cfg(test)]
mod tests;
