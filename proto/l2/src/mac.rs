//! Ethernet addresses.

use std::fmt;
use std::net::Ipv6Addr;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Everybody on the LAN.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// Nobody; what a request writes where it does not know the address.
    pub const ZERO: Self = Self([0; 6]);

    /// Whether the group bit is set; true of broadcast, too.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The Ethernet address of an IPv6 multicast group (RFC 2464 §7).
    #[must_use]
    pub const fn of_group(group: Ipv6Addr) -> Self {
        let octets = group.octets();
        Self([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]])
    }

    /// The six octets at `offset`, if there are so many.
    pub(crate) fn read(bytes: &[u8], offset: usize) -> Option<Self> {
        let octets = bytes.get(offset..offset + 6)?;
        octets.try_into().ok().map(Self)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
