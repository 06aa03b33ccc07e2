//! Probers: is an address answered, and for how long was it not?
//!
//! The one here asks every 10 ms and needs nothing but sockets; [`fast`] asks every millisecond.
//! Each probe is a datagram to the pods' echo port from a socket of its own, so that no connection
//! state anywhere ties it to the probe before. A probe that is not answered within [`PATIENCE`] is
//! lost. An outage lasts from the first lost probe of a row to the next answered one.

pub mod answer;
pub mod fast;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::clock::Stopwatch;
use crate::netns::Netns;

/// From one probe to the next.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A time in which no probe was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// After the prober's start.
    pub start: Duration,
    /// How long.
    pub length: Duration,
}

/// What the prober saw: when each probe was sent, and whether it was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// From one probe to the next.
    pub interval: Duration,
    /// In the order they were sent.
    pub probes: Vec<(Duration, bool)>,
}

impl Record {
    /// Every row of lost probes.
    pub fn outages(&self) -> Vec<Outage> {
        let mut outages = Vec::new();
        let mut lost_since = None;
        for (sent, answered) in &self.probes {
            match (lost_since, answered) {
                (None, false) => lost_since = Some(*sent),
                (Some(start), true) => {
                    outages.push(Outage {
                        start,
                        length: sent.saturating_sub(start),
                    });
                    lost_since = None;
                }
                (None, true) | (Some(_), false) => {}
            }
        }
        if let (Some(start), Some((last, _))) = (lost_since, self.probes.last()) {
            outages.push(Outage {
                start,
                length: last.saturating_sub(start) + self.interval,
            });
        }
        outages
    }

    /// Only the probes sent from then on.
    #[must_use]
    pub fn since(&self, then: Duration) -> Self {
        let probes = self.probes.iter().filter(|(sent, _)| *sent >= then);
        Self {
            interval: self.interval,
            probes: probes.copied().collect(),
        }
    }

    /// The longest of them; zero when there was none.
    pub fn longest_outage(&self) -> Duration {
        self.outages()
            .iter()
            .map(|outage| outage.length)
            .max()
            .unwrap_or_default()
    }

    /// How many probes were answered.
    pub fn answered(&self) -> usize {
        self.probes.iter().filter(|(_, answered)| *answered).count()
    }

    /// How many were not.
    pub fn lost(&self) -> usize {
        self.probes.len() - self.answered()
    }

    /// When the last probe was sent.
    pub fn end(&self) -> Duration {
        self.probes
            .last()
            .map(|(sent, _)| *sent)
            .unwrap_or_default()
    }

    /// When the last lost probe was sent; nothing when none was lost.
    pub fn last_lost(&self) -> Option<Duration> {
        let lost = self.probes.iter().rev().find(|(_, answered)| !answered);
        lost.map(|(sent, _)| *sent)
    }

    /// The longest time in which probes were lost and never nothing for `calm`: from its first lost probe
    /// to its last. What a busy machine loses before or later does not count. Nothing when none was lost.
    pub fn spell(&self, calm: Duration) -> Option<(Duration, Duration)> {
        let lost = self.probes.iter().filter(|(_, answered)| !answered);
        let mut spells: Vec<(Duration, Duration)> = Vec::new();
        for (sent, _) in lost {
            match spells.last_mut() {
                Some((_, last)) if *sent <= *last + calm => *last = *sent,
                Some(_) | None => spells.push((*sent, *sent)),
            }
        }
        spells
            .into_iter()
            .max_by_key(|(first, last)| *last - *first)
    }
}

/// A running prober.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    state: Arc<State>,
    thread: JoinHandle<Result<Record>>,
}

/// What is known while it runs.
#[derive(Debug, Default)]
struct State {
    answered: AtomicBool,
    lost: AtomicBool,
}

impl Probe {
    /// Probes port 80 of an address from a namespace until it is finished.
    pub fn start(from: &Netns, address: IpAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let state = Arc::new(State::default());
        let thread = thread::spawn({
            let (stop, state) = (Arc::clone(&stop), Arc::clone(&state));
            let from = from.clone();
            move || {
                from.enter()?;
                probe(SocketAddr::new(address, 80), &stop, &state)
            }
        });
        Self {
            stop,
            state,
            thread,
        }
    }

    /// Whether a probe was lost and a later one answered.
    pub fn answered_again(&self) -> bool {
        self.state.lost.load(Ordering::Relaxed) && self.state.answered.load(Ordering::Relaxed)
    }

    /// Waits for the fate of the last probe and says what was seen.
    pub fn finish(self) -> Result<Record> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the prober panicked"))?
    }
}

struct Sent {
    index: usize,
    at: Duration,
    socket: Option<UdpSocket>,
}

fn probe(target: SocketAddr, stop: &AtomicBool, state: &State) -> Result<Record> {
    let watch = Stopwatch::start();
    let mut record = Record {
        interval: INTERVAL,
        probes: Vec::new(),
    };
    let mut open: VecDeque<Sent> = VecDeque::new();
    let mut next = Duration::ZERO;
    loop {
        let now = watch.elapsed();
        let ending = stop.load(Ordering::Relaxed);
        if now >= next && !ending {
            let socket = send(target).ok();
            open.push_back(Sent {
                index: record.probes.len(),
                at: now,
                socket,
            });
            record.probes.push((now, false));
            // A machine that was busy sends the probe it owes once, not all it missed.
            next = (next + INTERVAL).max(now);
        }
        open.retain(|sent| {
            let heard = sent.socket.as_ref().is_some_and(heard);
            if heard {
                record.probes[sent.index].1 = true;
                state.answered.store(true, Ordering::Relaxed);
            }
            !heard
        });
        while open
            .front()
            .is_some_and(|sent| now.saturating_sub(sent.at) > PATIENCE)
        {
            open.pop_front();
            state.answered.store(false, Ordering::Relaxed);
            state.lost.store(true, Ordering::Relaxed);
        }
        if ending && open.is_empty() {
            return Ok(record);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn send(target: SocketAddr) -> Result<UdpSocket> {
    let own: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0)).context("the prober has no socket")?;
    socket.set_nonblocking(true)?;
    socket.connect(target)?;
    socket.send(b"probe")?;
    Ok(socket)
}

fn heard(socket: &UdpSocket) -> bool {
    let mut answer = [0_u8; 16];
    socket.recv(&mut answer).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(answers: &str) -> Record {
        let probes = (0..).zip(answers.chars());
        Record {
            interval: INTERVAL,
            probes: probes.map(|(n, c)| (INTERVAL * n, c == '!')).collect(),
        }
    }

    #[test]
    fn an_outage_lasts_from_the_first_lost_probe_to_the_next_answered_one() {
        assert_eq!(record("!!!").outages(), []);
        let outage = |start, length| Outage {
            start: INTERVAL * start,
            length: INTERVAL * length,
        };
        assert_eq!(record("!..!.!").outages(), [outage(1, 2), outage(4, 1)]);
        assert_eq!(record("!!..").outages(), [outage(2, 2)]);
        assert_eq!(record("!..!.!").longest_outage(), INTERVAL * 2);
    }

    #[test]
    fn lost_probes_are_counted_and_the_last_is_known() {
        let record = record("!..!.!");
        assert_eq!((record.answered(), record.lost()), (3, 3));
        assert_eq!(record.last_lost(), Some(INTERVAL * 4));
    }

    #[test]
    fn a_spell_goes_on_over_answers_that_are_few() {
        let record = record("!..!.!");
        let from_to = |first, last| Some((INTERVAL * first, INTERVAL * last));
        assert_eq!(record.spell(INTERVAL * 2), from_to(1, 4));
        assert_eq!(record.spell(INTERVAL), from_to(1, 2));
    }
}
