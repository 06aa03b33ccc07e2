//! Telling the LAN unasked: at once on taking an address, then repeated (A4, A5, N5).
//!
//! A first pass over everything that was taken comes before any repeat, and nothing is sent faster
//! than [`RATE`]. What is queued is checked again when it is sent: an address that was lost
//! meanwhile is silent at once.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::arp::Arp;
use crate::ndp::{Advertisement, Solicitation};
use crate::requesters::Requesters;
use crate::{Frame, Interface, Transmit};

/// Frames per second, and how many may leave in one burst (A4, A8).
const RATE: u32 = 2_000;
const BURST: u32 = 64;

/// When an IPv4 announcement is repeated after the first (A5). Over one second apart: Linux ignores
/// what comes within its `locktime`.
const REPEAT_IPV4: [Duration; 5] = [
    Duration::from_millis(1_100),
    Duration::from_millis(2_200),
    Duration::from_millis(3_300),
    Duration::from_millis(4_400),
    Duration::from_secs(15),
];

/// MAX_NEIGHBOR_ADVERTISEMENT = 3, RetransTimer = 1 s (RFC 4861 §7.2.6, §10).
const REPEAT_IPV6: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// An address on an interface.
pub(crate) type Place = (IpAddr, u32);

#[derive(Debug, Clone, Copy)]
struct Task {
    place: Place,
    generation: u64,
    /// Not the first announcement of its generation.
    repeat: bool,
}

/// What is announced, and what is still to be said about it.
#[derive(Debug)]
pub(crate) struct Announcer {
    generations: BTreeMap<Place, u64>,
    last_generation: u64,
    first: VecDeque<Task>,
    repeats: BTreeMap<(Instant, Place), Task>,
    outbox: VecDeque<(Place, Frame)>,
    budget: Budget,
}

impl Announcer {
    pub(crate) fn new() -> Self {
        Self {
            generations: BTreeMap::new(),
            last_generation: 0,
            first: VecDeque::new(),
            repeats: BTreeMap::new(),
            outbox: VecDeque::new(),
            budget: Budget {
                tokens: BURST,
                since: None,
            },
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.generations.keys()
    }

    /// Starts the ladder for a place, from its foot if it was announced before.
    pub(crate) fn acquire(&mut self, place: Place) {
        self.last_generation += 1;
        self.generations.insert(place, self.last_generation);
        self.first.push_back(Task {
            place,
            generation: self.last_generation,
            repeat: false,
        });
    }

    /// Says nothing more about a place.
    pub(crate) fn release(&mut self, place: &Place) {
        self.generations.remove(place);
        self.outbox.retain(|(queued, _)| queued != place);
    }

    /// One announcement out of turn, against a foreign claim.
    pub(crate) fn defend(&mut self, place: Place, interface: &Interface) {
        self.outbox
            .push_front((place, announcement(place.0, interface)));
    }

    /// The next frame that may leave now.
    pub(crate) fn poll(
        &mut self,
        interfaces: &BTreeMap<u32, Interface>,
        requesters: &Requesters,
        holds: impl Fn(&IpAddr) -> bool,
        now: Instant,
    ) -> Option<Transmit> {
        loop {
            match self.outbox.front() {
                Some(((address, _), _)) if holds(address) => break,
                Some(_) => {
                    self.outbox.pop_front();
                }
                None => {
                    let task = self.next_task(now)?;
                    let current = self.generations.get(&task.place) == Some(&task.generation);
                    if let Some(interface) = interfaces.get(&task.place.1).filter(|_| current) {
                        self.expand(task, interface, requesters, now);
                    }
                }
            }
        }
        if !self.budget.take(now) {
            return None;
        }
        let ((_, interface), frame) = self.outbox.pop_front()?;
        Some(Transmit { interface, frame })
    }

    /// When [`Self::poll`] should be called again.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        if !self.outbox.is_empty() || !self.first.is_empty() {
            return self.budget.next();
        }
        self.repeats.keys().next().map(|(due, _)| *due)
    }

    fn next_task(&mut self, now: Instant) -> Option<Task> {
        if let Some(task) = self.first.pop_front() {
            return Some(task);
        }
        let (key, _) = self.repeats.first_key_value()?;
        if key.0 > now {
            return None;
        }
        self.repeats.pop_first().map(|(_, task)| task)
    }

    fn expand(&mut self, task: Task, interface: &Interface, requesters: &Requesters, now: Instant) {
        let (address, index) = task.place;
        let frames = &mut self.outbox;
        let mut say = |frame| frames.push_back((task.place, frame));
        say(announcement(address, interface));
        if let IpAddr::V4(address) = address {
            say(Arp::gratuitous_reply(
                address,
                interface.mac,
                crate::Mac::BROADCAST,
            ));
        }
        let ladder: &[Duration] = if address.is_ipv4() {
            &REPEAT_IPV4
        } else {
            &REPEAT_IPV6
        };
        if !task.repeat {
            for gateway in &interface.gateways {
                if let Some(frame) = directed(address, interface, *gateway) {
                    say(frame);
                }
            }
            for requester in requesters.of(address, index, now) {
                if let Some(frame) = told(address, interface, &requester) {
                    say(frame);
                }
            }
            let repeat = Task {
                repeat: true,
                ..task
            };
            self.repeats.extend(
                ladder
                    .iter()
                    .map(|delay| ((now + *delay, task.place), repeat)),
            );
        }
    }
}

fn announcement(address: IpAddr, interface: &Interface) -> Frame {
    match address {
        IpAddr::V4(address) => Arp::gratuitous_request(address, interface.mac),
        IpAddr::V6(address) => {
            let source = interface.link_local.unwrap_or(address);
            Advertisement::unsolicited(address, source, interface.mac)
        }
    }
}

fn directed(address: IpAddr, interface: &Interface, gateway: IpAddr) -> Option<Frame> {
    match (address, gateway) {
        (IpAddr::V4(address), IpAddr::V4(gateway)) => {
            Some(Arp::directed_request(address, interface.mac, gateway))
        }
        (IpAddr::V6(address), IpAddr::V6(gateway)) => {
            Some(Solicitation::directed(address, interface.mac, gateway))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn told(
    address: IpAddr,
    interface: &Interface,
    requester: &crate::requesters::Requester,
) -> Option<Frame> {
    match (address, requester.ip) {
        (IpAddr::V4(address), IpAddr::V4(_)) => {
            Some(Arp::gratuitous_reply(address, interface.mac, requester.mac))
        }
        (IpAddr::V6(address), IpAddr::V6(asker)) => {
            let source = interface.link_local.unwrap_or(address);
            let mac = interface.mac;
            Some(Advertisement::solicited(
                address,
                source,
                mac,
                asker,
                requester.mac,
            ))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// A token bucket: [`RATE`] frames a second, [`BURST`] at once.
#[derive(Debug)]
struct Budget {
    tokens: u32,
    /// Since when the missing tokens are growing back; none while the bucket is full.
    since: Option<Instant>,
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        self.since.get_or_insert(now);
        true
    }

    fn refill(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let period = Duration::from_secs(1) / RATE;
        let grown = now.saturating_duration_since(since).as_nanos() / period.as_nanos();
        let grown = u32::try_from(grown).unwrap_or(u32::MAX).min(BURST);
        self.tokens = (self.tokens + grown).min(BURST);
        self.since = (self.tokens < BURST).then(|| since + period * grown);
    }

    /// When there is a token; none if there is one now and the bucket is full.
    fn next(&self) -> Option<Instant> {
        let since = self.since?;
        let wait = if self.tokens == 0 {
            Duration::from_secs(1) / RATE
        } else {
            Duration::ZERO
        };
        Some(since + wait)
    }
}
