//! AS numbers (RFC 6793), and how people write them (RFC 5396).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An autonomous system number of four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Asn {
    /// Stands for a number that needs four octets where only two fit (RFC 6793).
    pub const TRANS: Self = Self(23_456);

    /// The number where two octets fit: itself, or AS_TRANS.
    #[must_use]
    pub fn two_octets(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23_456)
    }

    /// It needs four octets.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.0 > 0xffff
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no AS number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no AS number: write 64512 or 1.10, from 1 to 4294967295")]
pub struct AsnError(String);

impl FromStr for Asn {
    type Err = AsnError;

    /// Reads asplain (`4200000000`) and asdot (`64086.59904`); AS 0 is nobody's (RFC 7607).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = match text.split_once('.') {
            None => digits(text),
            Some((high, low)) => digits::<u16>(high).zip(digits::<u16>(low)).map(wide),
        };
        number
            .filter(|number| *number != 0)
            .map(Self)
            .ok_or_else(|| AsnError(text.to_owned()))
    }
}

fn wide((high, low): (u16, u16)) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// Decimal digits and nothing else: no sign, no space.
pub(crate) fn digits<T: FromStr>(text: &str) -> Option<T> {
    let only = text.bytes().all(|byte| byte.is_ascii_digit());
    only.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5396 section 2 and RFC 7607.
    #[test]
    fn numbers_are_read_as_asplain_and_asdot() {
        for (text, number) in [
            ("1", Some(1)),
            ("65535", Some(65_535)),
            ("65536", Some(65_536)),
            ("4294967295", Some(u32::MAX)),
            ("1.0", Some(65_536)),
            ("0.65526", Some(65_526)),
            ("1.10", Some(65_546)),
            ("65535.65535", Some(u32::MAX)),
            ("0", None),
            ("0.0", None),
            ("4294967296", None),
            ("1.65536", None),
            ("1.", None),
            (".1", None),
            ("1.2.3", None),
            ("+1", None),
            (" 1", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Asn>().ok(), number.map(Asn), "{text:?}");
        }
    }

    #[test]
    fn two_octets_hold_small_numbers_and_a_stand_in_for_others() {
        assert_eq!(Asn(64_512).two_octets(), 64_512);
        assert_eq!(Asn(65_536).two_octets(), 23_456);
        assert!(!Asn(65_535).is_wide() && Asn(65_536).is_wide());
    }
}
