//! How many addresses: exact up to 2^128 - 1, saturating there.

use std::fmt;

/// A number of addresses. `::/0` holds 2^128, one more than `u128` can say, and is counted as
/// 2^128 - 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(u128);

impl Count {
    /// No addresses.
    pub const ZERO: Self = Self(0);

    /// Exactly `n`.
    #[must_use]
    pub fn new(n: u128) -> Self {
        Self(n)
    }

    /// The number, at most 2^128 - 1.
    #[must_use]
    pub fn get(self) -> u128 {
        self.0
    }

    /// The sum, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, not below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// As Kubernetes status fields carry it: saturating at `i64::MAX`.
    #[must_use]
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
