//! How many datagrams are read in the name of one sender, before it is known whether they are its:
//! a flood in one name costs that name, and no other.

use std::time::Duration;

use crate::Time;

/// One datagram in this time, on average.
const EACH: Duration = Duration::from_millis(1);
/// What may come at once after a time of silence.
const BURST: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(crate) struct Limit {
    /// When what was read would have come at an even pace.
    paced: Time,
}

impl Limit {
    /// Whether one more may be read.
    pub(crate) fn admit(&mut self, now: Time) -> bool {
        if self.paced > now + BURST {
            return false;
        }
        self.paced = self.paced.max(now) + EACH;
        true
    }
}
