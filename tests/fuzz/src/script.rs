//! A script: octets that say what is done step by step. What is missing at its end is zero.

/// What is left of a script.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// All of it.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The next step, while there is one.
    pub fn step(&mut self) -> Option<u8> {
        let (step, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*step)
    }

    /// One octet.
    pub fn u8(&mut self) -> u8 {
        self.step().unwrap_or_default()
    }

    /// Two octets, in network order.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// Four octets, in network order.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// Eight octets, in network order.
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    /// So many octets, or what there is.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A length in one octet, and so many octets.
    pub fn chunk(&mut self) -> &'a [u8] {
        let length = self.u8();
        self.take(length.into())
    }

    /// A chunk of up to 65 535 octets, its length in two.
    pub fn long_chunk(&mut self) -> &'a [u8] {
        let length = self.u16();
        self.take(length.into())
    }

    /// Changes octets of a message: how many times in two bits, then each time where and to what.
    pub fn change(&mut self, message: &mut [u8]) {
        for _ in 0..self.u8() & 3 {
            let (at, to) = (usize::from(self.u16()), self.u8());
            if let Some(octet) = message.get_mut(at) {
                *octet = to;
            }
        }
    }
}
