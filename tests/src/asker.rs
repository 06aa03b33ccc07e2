//! A machine that knows nothing: who says, each 5 ms, that an address is his?
//!
//! It asks by ARP (RFC 826) as a host does, from a machine of its own, so that no answer changes what
//! the client believes. ARP answers carry no number; so the questions are asked in the name of
//! [`NAMES`] addresses in turn, and an answer says by whose name it was asked for. A question's answers
//! are thus told apart from those to the questions around it for as long as a turn takes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::clock::Stopwatch;
use crate::netns::Netns;
use crate::probe::Record;
use crate::tap::Tap;
use crate::urgency;
use crate::wire::Wire;

/// From one question to the next.
pub const INTERVAL: Duration = Duration::from_millis(5);
/// How many addresses are asked from in turn.
pub const NAMES: u8 = 8;

/// A link-layer address.
pub type Mac = [u8; 6];

/// As `ip` prints it.
pub fn mac_text(mac: Mac) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

/// One question and who answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// When it was asked.
    pub at: Duration,
    /// About which of the addresses.
    pub about: usize,
    /// Everybody who said that it is his.
    pub answers: BTreeSet<Mac>,
}

/// All questions, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Each of them.
    pub questions: Vec<Question>,
    /// From one about an address to the next about the same.
    pub interval: Duration,
}

impl Asked {
    /// Time in which two or more answered for one address: so many questions, each for its interval.
    pub fn doubled(&self) -> Duration {
        let doubled = self.questions.iter().filter(|one| one.answers.len() > 1);
        self.interval * u32::try_from(doubled.count()).unwrap_or(u32::MAX)
    }

    /// Time in which somebody answered here and somebody else answered elsewhere, at the same moment as
    /// far as two askers can tell.
    pub fn doubled_with(&self, elsewhere: &Self) -> Duration {
        let doubled = self.questions.iter().filter(|here| {
            let at = elsewhere
                .questions
                .partition_point(|there| there.at < here.at);
            let there = elsewhere.questions.get(at).filter(|there| {
                there.about == here.about && there.at.saturating_sub(here.at) < self.interval
            });
            there.is_some_and(|there| here.answers.union(&there.answers).count() > 1)
        });
        self.interval * u32::try_from(doubled.count()).unwrap_or(u32::MAX)
    }

    /// Whether each question about one address was answered by anybody.
    pub fn record(&self, about: usize) -> Record {
        Record {
            interval: self.interval,
            probes: self
                .about(about)
                .map(|one| (one.at, !one.answers.is_empty()))
                .collect(),
        }
    }

    /// Who answered for one address, one after the other. Two at a time count as no change.
    pub fn owners(&self, about: usize) -> Vec<Mac> {
        let mut owners: Vec<Mac> = Vec::new();
        for question in self.about(about) {
            if let (Some(mac), 1) = (question.answers.first(), question.answers.len())
                && owners.last() != Some(mac)
            {
                owners.push(*mac);
            }
        }
        owners
    }

    /// Only the questions asked in that time.
    #[must_use]
    pub fn within(&self, time: Range<Duration>) -> Self {
        let questions = self.questions.iter().filter(|one| time.contains(&one.at));
        Self {
            questions: questions.cloned().collect(),
            interval: self.interval,
        }
    }

    fn about(&self, about: usize) -> impl Iterator<Item = &Question> {
        self.questions.iter().filter(move |one| one.about == about)
    }
}

/// A running asker. Times are since `watch` was started.
#[derive(Debug)]
pub struct Asker {
    stop: Arc<AtomicBool>,
    watch: Stopwatch,
    last: Arc<Mutex<BTreeMap<Mac, Duration>>>,
    sender: JoinHandle<Result<Vec<(Duration, usize)>>>,
    tap: Tap<Reply>,
    first: Ipv4Addr,
    addresses: Vec<Ipv4Addr>,
}

/// An ARP reply to one of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reply {
    address: Ipv4Addr,
    mac: Mac,
    name: Ipv4Addr,
}

impl Asker {
    /// Asks about the addresses in turn, one question each [`INTERVAL`], in the name of `first` and
    /// the addresses after it, which nobody else has.
    pub fn start(
        from: &Netns,
        watch: Stopwatch,
        first: Ipv4Addr,
        addresses: &[Ipv4Addr],
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let last = Arc::new(Mutex::new(BTreeMap::new()));
        let wire = Wire::open(from)?;
        let own = wire.mac()?;
        let about = addresses.to_vec();
        let tap = Tap::start(from, watch, {
            let (last, about) = (Arc::clone(&last), about.clone());
            move |at, frame| {
                let reply = reply(frame)?;
                about.contains(&reply.address).then(|| {
                    lock(&last).insert(reply.mac, at);
                    reply
                })
            }
        })?;
        let sender = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                urgency::raise();
                let mut asked = Vec::new();
                let mut next = watch.elapsed();
                while !stop.load(Ordering::Relaxed) {
                    let which = asked.len() % about.len().max(1);
                    let name = name(first, asked.len(), about.len());
                    asked.push((watch.elapsed(), which));
                    if let Some(address) = about.get(which) {
                        // A cable that is out is a question nobody hears.
                        let _unheard = wire.send(&request(own, name, *address));
                    }
                    next = (next + INTERVAL).max(watch.elapsed());
                    thread::sleep(next.saturating_sub(watch.elapsed()));
                }
                Ok(asked)
            }
        });
        Ok(Self {
            stop,
            watch,
            last,
            sender,
            tap,
            first,
            addresses: addresses.to_vec(),
        })
    }

    /// Who answered within this time.
    pub fn answering(&self, within: Duration) -> BTreeSet<Mac> {
        let now = self.watch.elapsed();
        let last = lock(&self.last);
        let fresh = last
            .iter()
            .filter(|(_, at)| now.saturating_sub(**at) <= within);
        fresh.map(|(mac, _)| *mac).collect()
    }

    /// Ends it; what was asked and answered.
    pub fn finish(self) -> Result<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let asked = self
            .sender
            .join()
            .map_err(|_| anyhow!("the asker panicked"))??;
        let replies = self.tap.finish()?;
        Ok(Asked {
            questions: judge(&asked, &replies, self.first, &self.addresses),
            interval: INTERVAL * u32::try_from(self.addresses.len()).unwrap_or(u32::MAX),
        })
    }
}

fn lock(last: &Mutex<BTreeMap<Mac, Duration>>) -> MutexGuard<'_, BTreeMap<Mac, Duration>> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name a question is asked in: each address' questions go through all names.
fn name(first: Ipv4Addr, question: usize, addresses: usize) -> Ipv4Addr {
    let turn = question / addresses.max(1) % usize::from(NAMES);
    Ipv4Addr::from(u32::from(first) + u32::try_from(turn).unwrap_or_default())
}

/// Gives each reply to the last question about its address in its name before it.
fn judge(
    asked: &[(Duration, usize)],
    replies: &[(Duration, Reply)],
    first: Ipv4Addr,
    addresses: &[Ipv4Addr],
) -> Vec<Question> {
    let mut questions: Vec<Question> = asked
        .iter()
        .map(|(at, about)| Question {
            at: *at,
            about: *about,
            answers: BTreeSet::new(),
        })
        .collect();
    for (at, reply) in replies {
        let before = questions.partition_point(|question| question.at <= *at);
        let found = (0..before).rev().find(|index| {
            addresses.get(questions[*index].about) == Some(&reply.address)
                && name(first, *index, addresses.len()) == reply.name
        });
        if let Some(index) = found {
            questions[index].answers.insert(reply.mac);
        }
    }
    questions
}

const ARP: [u8; 2] = [0x08, 0x06];
/// Ethernet, IPv4, and their lengths (RFC 826).
const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// A broadcast request: `who-has address tell name`.
fn request(own: Mac, name: Ipv4Addr, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(own);
    frame.extend(ARP);
    frame.extend(KIND);
    frame.extend([0, 1]);
    frame.extend(own);
    frame.extend(name.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// The reply in a frame, if it is one. Who announces (sender and target alike) answers nobody.
fn reply(frame: &[u8]) -> Option<Reply> {
    let body = frame.get(14..42)?;
    if frame.get(12..14)? != ARP || body.get(..6)? != KIND || body.get(6..8)? != [0, 2] {
        return None;
    }
    let address = |at: usize| {
        let octets: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    let (sender, target) = (address(14)?, address(24)?);
    (sender != target).then_some(Reply {
        address: sender,
        mac: body.get(8..14)?.try_into().ok()?,
        name: target,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Ipv4Addr = Ipv4Addr::new(10, 73, 0, 60);
    const VIPS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 73, 0, 200), Ipv4Addr::new(10, 73, 0, 201)];
    const ONE: Mac = [2, 0, 0, 0, 0, 1];
    const TWO: Mac = [2, 0, 0, 0, 0, 2];

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn answered(address: Ipv4Addr, mac: Mac, name: u32) -> Reply {
        Reply {
            address,
            mac,
            name: Ipv4Addr::from(u32::from(FIRST) + name),
        }
    }

    #[test]
    fn a_reply_is_read_and_an_announcement_or_a_request_is_not_one() {
        let mut frame = request(ONE, FIRST, VIPS[0]);
        assert_eq!(frame.len(), 42);
        assert_eq!(reply(&frame), None, "a request");
        // What the owner answers: both pairs exchanged, operation 2.
        frame[21] = 2;
        frame[22..28].copy_from_slice(&TWO);
        frame[28..32].copy_from_slice(&VIPS[0].octets());
        frame[32..38].copy_from_slice(&ONE);
        frame[38..42].copy_from_slice(&FIRST.octets());
        assert_eq!(reply(&frame), Some(answered(VIPS[0], TWO, 0)));
        for end in 0..frame.len() {
            assert_eq!(reply(&frame[..end]), None, "{end} octets");
        }
        frame[38..42].copy_from_slice(&VIPS[0].octets());
        assert_eq!(reply(&frame), None, "an announcement");
    }

    #[test]
    fn a_late_reply_is_given_to_the_question_that_asked_in_its_name() {
        let asked: Vec<(Duration, usize)> = (0..4).map(|n| (at(5 * n), 0)).collect();
        let replies = [
            (at(1), answered(VIPS[0], ONE, 0)),
            (at(11), answered(VIPS[0], ONE, 1)),
            (at(12), answered(VIPS[0], ONE, 2)),
            (at(13), answered(VIPS[0], TWO, 2)),
            (at(14), answered(VIPS[0], TWO, 3)),
        ];
        let asked = Asked {
            questions: judge(&asked, &replies, FIRST, &VIPS[..1]),
            interval: INTERVAL,
        };
        let answers: Vec<usize> = asked.questions.iter().map(|q| q.answers.len()).collect();
        assert_eq!(answers, [1, 1, 2, 0], "the last was before its question");
        assert_eq!(asked.doubled(), INTERVAL);
        assert_eq!(asked.owners(0), [ONE]);
        assert_eq!(asked.record(0).longest_outage(), INTERVAL);
        assert_eq!(asked.within(at(10)..at(15)).questions.len(), 1);
    }

    #[test]
    fn two_sides_answered_by_two_are_doubled_where_the_times_agree() {
        let asked = |start: u64, macs: &[Option<Mac>]| Asked {
            interval: INTERVAL,
            questions: (0..)
                .zip(macs)
                .map(|(n, mac)| Question {
                    at: at(start + 5 * n),
                    about: 0,
                    answers: mac.iter().copied().collect(),
                })
                .collect(),
        };
        let here = asked(0, &[Some(ONE), Some(ONE), None, Some(ONE)]);
        let there = asked(2, &[Some(ONE), Some(TWO), Some(TWO), None]);
        assert_eq!(here.doubled_with(&there), INTERVAL);
        assert_eq!(here.doubled_with(&asked(100, &[Some(TWO)])), Duration::ZERO);
    }

    #[test]
    fn each_address_has_its_own_owners() {
        let asked: Vec<(Duration, usize)> = (0..4).map(|n| (at(5 * n), n as usize % 2)).collect();
        let replies = [
            (at(1), answered(VIPS[0], ONE, 0)),
            (at(6), answered(VIPS[1], TWO, 0)),
            (at(11), answered(VIPS[0], TWO, 1)),
            (at(16), answered(VIPS[1], TWO, 1)),
        ];
        let asked = Asked {
            questions: judge(&asked, &replies, FIRST, &VIPS),
            interval: INTERVAL * 2,
        };
        assert_eq!(asked.owners(0), [ONE, TWO]);
        assert_eq!(asked.owners(1), [TWO]);
        assert_eq!(asked.doubled(), Duration::ZERO);
    }

    #[test]
    fn a_link_layer_address_is_written_as_ip_writes_it() {
        assert_eq!(mac_text([2, 0xab, 0, 0, 0, 0x0f]), "02:ab:00:00:00:0f");
    }
}
