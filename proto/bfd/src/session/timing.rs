//! Which intervals this end offers, which it goes by, and the poll sequence between the two (RFC 5880
//! sections 6.5 and 6.8.3).
//!
//! A change that could make an end give up too early counts only after the neighbour has confirmed it:
//! this end sends no slower, and expects packets no sooner, before that.

use std::time::Duration;

/// A pair of intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Desired Min TX.
    pub(crate) transmit: Duration,
    /// Required Min RX.
    pub(crate) receive: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Poll {
    /// Nothing is to be confirmed.
    Off,
    /// No packet with P has been sent.
    Begun,
    /// One was sent.
    Sent,
    /// One was sent, and what it told is not what is offered any more: another sequence follows.
    Stale,
}

/// The intervals of this end.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    offered: Pair,
    in_use: Pair,
    poll: Poll,
}

impl Timing {
    pub(crate) const fn new(offered: Pair) -> Self {
        Self {
            offered,
            in_use: offered,
            poll: Poll::Off,
        }
    }

    /// What packets tell.
    pub(crate) const fn offered(&self) -> Pair {
        self.offered
    }

    /// What this end goes by.
    pub(crate) const fn in_use(&self) -> Pair {
        self.in_use
    }

    /// Packets ask for an answer.
    pub(crate) fn polls(&self) -> bool {
        self.poll != Poll::Off
    }

    /// Offers this from now on, to a neighbour that goes by the old offer.
    pub(crate) fn offer(&mut self, wanted: Pair) {
        if wanted != self.offered {
            self.offered = wanted;
            self.in_use.transmit = self.in_use.transmit.min(wanted.transmit);
            self.in_use.receive = self.in_use.receive.max(wanted.receive);
            self.poll();
        }
    }

    /// Begins a poll sequence; behind the one that runs, if that says something else.
    pub(crate) fn poll(&mut self) {
        self.poll = match self.poll {
            Poll::Off | Poll::Begun => Poll::Begun,
            Poll::Sent | Poll::Stale => Poll::Stale,
        };
    }

    /// Goes by this at once: nobody relies on what was offered.
    pub(crate) fn reset(&mut self, wanted: Pair) {
        *self = Self::new(wanted);
    }

    /// A packet with P has been sent.
    pub(crate) fn handle_sent(&mut self) {
        if self.poll == Poll::Begun {
            self.poll = Poll::Sent;
        }
    }

    /// The neighbour answered by F.
    pub(crate) fn handle_final(&mut self) {
        match self.poll {
            Poll::Off | Poll::Begun => {}
            Poll::Sent => {
                self.in_use = self.offered;
                self.poll = Poll::Off;
            }
            Poll::Stale => self.poll = Poll::Begun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn pair(transmit: u64, receive: u64) -> Pair {
        Pair {
            transmit: Duration::from_millis(transmit),
            receive: Duration::from_millis(receive),
        }
    }

    /// RFC 5880 section 6.8.3.
    #[test]
    fn slower_sending_and_sooner_expecting_wait_for_the_answer() {
        let cases = [
            (pair(600, 300), pair(300, 300)),
            (pair(100, 300), pair(100, 300)),
            (pair(300, 100), pair(300, 300)),
            (pair(300, 600), pair(300, 600)),
            (pair(600, 100), pair(300, 300)),
            (pair(100, 600), pair(100, 600)),
        ];
        for (wanted, before_answer) in cases {
            let mut timing = Timing::new(pair(300, 300));
            timing.offer(wanted);
            assert_eq!(timing.offered(), wanted);
            assert_eq!(timing.in_use(), before_answer, "{wanted:?}");
            assert!(timing.polls());
            timing.handle_sent();
            timing.handle_final();
            assert_eq!(timing.in_use(), wanted);
            assert!(!timing.polls());
        }
    }

    #[test]
    fn the_same_offer_polls_nothing() {
        let mut timing = Timing::new(pair(300, 300));
        timing.offer(pair(300, 300));
        assert!(!timing.polls());
    }

    /// RFC 5880 section 6.5: F ends a sequence of which P was sent, and nothing else.
    #[test]
    fn an_answer_to_nothing_or_to_something_else_confirms_nothing() {
        let mut timing = Timing::new(pair(300, 300));
        timing.offer(pair(300, 100));
        timing.handle_final();
        assert_eq!(timing.in_use(), pair(300, 300));
        timing.handle_sent();
        timing.offer(pair(300, 50));
        timing.handle_final();
        assert_eq!(timing.in_use(), pair(300, 300), "the answer is to 100");
        assert!(timing.polls());
        timing.handle_final();
        assert!(timing.polls(), "no P was sent since");
        timing.handle_sent();
        timing.handle_final();
        assert_eq!(timing.in_use(), pair(300, 50));
    }
}
