//! What ends in a row say about the next attempt: pauses, and the door shut for a while (RFC 4271
//! section 8.1.1, DampPeerOscillations; RFC 4486 section 4).
//!
//! Two things are at stake. This speaker is not to knock again and again where it is not wanted; and a
//! router that makes the same mistake again and again is not to be let in each time. A Cease by the
//! operator there is a reason for the first and none for the second: who connects is wanted again.

use std::time::Duration;

use super::timers;
use crate::{Notification, Reason};

/// Mistakes in a row after which the peer may not connect either while this speaker waits.
const PATIENCE: u32 = 3;

/// What one end says about the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Nothing.
    None,
    /// The next attempt of this speaker comes later.
    Pause,
    /// It counts against attempts of the peer.
    Knock,
    /// Both.
    Mistake,
}

/// How far a connection had come when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ended {
    /// The peer's OPEN was heard.
    pub(crate) agreed: bool,
    /// The session was established.
    pub(crate) stood: bool,
    /// The other connection with the peer goes on.
    pub(crate) spare: bool,
}

/// Ends in a row without a session that stood.
#[derive(Debug, Default)]
pub(crate) struct Damping {
    pauses: u32,
    mistakes: u32,
}

impl Damping {
    /// A session ended, or an attempt did.
    pub(crate) fn count(&mut self, reason: Option<&Reason>, ended: Ended) {
        let weight = match reason {
            // The next OPEN will be another; asked for that twice, the peer does not mean it.
            Some(Reason::Received(told)) if told.asks_for_no_parameters() && self.pauses == 0 => {
                Weight::None
            }
            Some(Reason::Received(told)) => weigh(told, ended),
            // Taken and closed: as if it were refused. RFC 4271 section 8.2.2, event 18 in OpenSent.
            Some(Reason::Transport(_)) if !ended.agreed => Weight::Knock,
            Some(
                Reason::Sent(_)
                | Reason::Transport(_)
                | Reason::ConnectTimeout
                | Reason::Restart
                | Reason::Replaced,
            )
            | None => Weight::Mistake,
        };
        let (pause, mistake) = match weight {
            Weight::None => (0, 0),
            Weight::Pause => (1, 0),
            Weight::Knock => (0, 1),
            Weight::Mistake => (1, 1),
        };
        self.pauses = self.pauses.saturating_add(pause);
        self.mistakes = self.mistakes.saturating_add(mistake);
    }

    /// Forgives everything.
    pub(crate) fn forgive(&mut self) {
        *self = Self::default();
    }

    /// Whether the peer is not let in either, while this speaker waits.
    pub(crate) const fn shuts(&self) -> bool {
        self.mistakes >= PATIENCE
    }

    /// How long to wait before a session is tried again.
    pub(crate) fn wait(&self, connect_time: Duration) -> Duration {
        timers::wait(connect_time, self.pauses)
    }

    /// How long an attempt may take, and the pause after one that came to nothing.
    pub(crate) fn attempt(&self, connect_time: Duration) -> Duration {
        timers::wait(connect_time, self.pauses.max(1))
    }
}

/// What the peer's words come to; what is in a hard reset counts, and not that it is one.
fn weigh(told: &Notification, ended: Ended) -> Weight {
    let inner = told.inner();
    let told = inner.as_ref().unwrap_or(told);
    match (told.code, told.subcode) {
        // A reset, another configuration: the peer waits for the next session.
        (6, 4 | 6) if ended.stood => Weight::None,
        // The connection that is kept is the other one.
        (6, 7) if ended.spare => Weight::None,
        // No error, whatever it is (RFC 4271 section 6.7): shut down, removed, rejected, or one of the
        // above before there was a session.
        (6, 0 | 2..=7) => Weight::Pause,
        // Too many prefixes, out of resources, BFD, and every error.
        _ => Weight::Mistake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn told(code: u8, subcode: u8, data: &[u8]) -> Reason {
        let body = [&[code, subcode], data].concat();
        Reason::Received(Notification::decode(&body).unwrap())
    }

    /// RFC 4486 section 4 names the subcodes after which to wait; RFC 4271 section 6.7 says that a Cease
    /// is no error. Each end five times in a row: the pause that follows, and whether the door is shut.
    #[test]
    fn an_operator_is_waited_for_and_mistakes_shut_the_door() {
        let sent = |n: Notification| Reason::Sent(n);
        let gone = || Reason::Transport("reset".to_owned());
        let cases = [
            ("maximum prefixes", told(6, 1, &[]), true, (60, true)),
            ("shutdown", told(6, 2, b"\x03bye"), true, (60, false)),
            ("removed", told(6, 3, &[]), true, (60, false)),
            ("reset", told(6, 4, &[]), true, (1, false)),
            ("reset of none", told(6, 4, &[]), false, (60, false)),
            ("rejected", told(6, 5, &[]), false, (60, false)),
            ("configuration", told(6, 6, &[]), true, (1, false)),
            ("configuration, none", told(6, 6, &[]), false, (60, false)),
            ("collision with what?", told(6, 7, &[]), false, (60, false)),
            ("out of resources", told(6, 8, &[]), true, (60, true)),
            ("hard: shutdown", told(6, 9, &[6, 2]), true, (60, false)),
            ("hard: reset", told(6, 9, &[6, 4]), true, (1, false)),
            ("hard: hold time", told(6, 9, &[4, 0]), true, (60, true)),
            ("hard: of nothing", told(6, 9, &[]), true, (60, true)),
            ("BFD", told(6, 10, &[]), true, (60, true)),
            ("Cease, no more", told(6, 0, &[]), true, (60, false)),
            ("header", told(1, 2, &[0, 18]), true, (60, true)),
            ("OPEN", told(2, 2, &[]), false, (60, true)),
            ("UPDATE", told(3, 1, &[]), true, (60, true)),
            ("hold timer", told(4, 0, &[]), true, (60, true)),
            ("state machine", told(5, 2, &[4]), false, (60, true)),
            ("send hold", told(8, 0, &[]), true, (60, true)),
            ("unknown", told(6, 77, &[]), true, (60, true)),
            (
                "found by us",
                sent(Notification::hold_expired()),
                true,
                (60, true),
            ),
            ("without a word", gone(), true, (60, true)),
            ("taken and closed", gone(), false, (1, true)),
        ];
        for (name, reason, stood, expected) in cases {
            let mut damping = Damping::default();
            for _ in 0..5 {
                let (agreed, spare) = (stood, false);
                damping.count(
                    Some(&reason),
                    Ended {
                        agreed,
                        stood,
                        spare,
                    },
                );
            }
            let wait = damping.wait(SECOND * 5).as_secs();
            assert_eq!((wait, damping.shuts()), expected, "{name}");
            damping.forgive();
            assert_eq!((damping.wait(SECOND * 5), damping.shuts()), (SECOND, false));
        }
    }

    /// RFC 4271 section 6.8: one of two connections goes in each collision.
    #[test]
    fn a_collision_says_nothing_while_the_other_connection_goes_on() {
        let spare = Ended {
            spare: true,
            ..Ended::default()
        };
        let mut damping = Damping::default();
        for _ in 0..5 {
            damping.count(Some(&told(6, 7, &[])), spare);
        }
        assert_eq!((damping.wait(SECOND * 5), damping.shuts()), (SECOND, false));
        for _ in 0..3 {
            damping.count(Some(&told(2, 2, &[])), spare);
        }
        assert!(damping.shuts(), "a spare connection excuses no mistake");
    }
}
