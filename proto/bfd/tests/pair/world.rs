//! Two sessions, the pipe between them and the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use herald_bfd::{Config, Discriminator, Event, Path, Session, Snapshot, TTL, Time, Transmit};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    One,
    Other,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::One, Self::Other];

    const fn opposite(self) -> Self {
        match self {
            Self::One => Self::Other,
            Self::Other => Self::One,
        }
    }
}

pub(crate) struct World {
    one: Session,
    other: Session,
    now: Time,
    delay: Duration,
    /// More delay, up to so many milliseconds, packet by packet.
    wobble: u64,
    /// Of a thousand packets.
    loss: u32,
    /// Loses a single packet among the next so many.
    lose_in: Option<u64>,
    chance: u64,
    /// Packets under way, in the order of arrival.
    pipe: BTreeMap<(Time, u64), (End, Vec<u8>)>,
    count: u64,
}

impl World {
    pub(crate) fn new(one: Config, other: Config, seed: u64, delay: Duration, wobble: u64) -> Self {
        let now = Duration::from_secs(500);
        let session = |config, number, seed| {
            Session::new(config, Discriminator::new(number).unwrap(), seed, now).unwrap()
        };
        Self {
            one: session(one, 11, seed),
            other: session(other, 22, !seed),
            now,
            delay,
            wobble,
            loss: 0,
            lose_in: None,
            chance: seed | 1,
            pipe: BTreeMap::new(),
            count: 0,
        }
    }

    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn set_loss(&mut self, per_mille: u32) {
        self.loss = per_mille;
        if per_mille == 1000 {
            self.pipe.clear();
        }
    }

    /// One packet of the next so many is lost.
    pub(crate) fn lose_one_of(&mut self, packets: u64) {
        self.lose_in = Some(self.draw() % packets);
    }

    pub(crate) fn set_config(&mut self, end: End, config: &Config) {
        let now = self.now;
        self.session(end).set_config(config.clone(), now).unwrap();
    }

    pub(crate) fn admin_down(&mut self, end: End) {
        let now = self.now;
        self.session(end).admin_down(now);
    }

    pub(crate) fn admin_up(&mut self, end: End) {
        let now = self.now;
        self.session(end).admin_up(now);
    }

    pub(crate) fn is_heeded(&mut self, end: End) -> bool {
        self.session(end).is_heeded()
    }

    pub(crate) fn path(&mut self, end: End) -> Path {
        self.session(end).path()
    }

    pub(crate) fn snapshot(&mut self, end: End) -> Snapshot {
        self.session(end).snapshot()
    }

    /// Since the last look.
    pub(crate) fn events(&mut self, end: End) -> Vec<Event> {
        let session = self.session(end);
        std::iter::from_fn(|| session.poll_event()).collect()
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.deliver();
            for side in End::BOTH {
                let now = self.now;
                self.session(side).handle_timeout(now);
                while let Some(transmit) = self.session(side).poll_transmit(now) {
                    self.send(side, transmit);
                }
            }
            let arrival = self.pipe.keys().next().map(|(at, _)| *at);
            let due = [self.one.poll_timeout(), self.other.poll_timeout(), arrival];
            let next = due.into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            assert!(
                next > self.now || arrival == Some(self.now),
                "time stands still"
            );
            self.now = next;
        }
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.pipe.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, octets) = entry.remove();
            let now = self.now;
            // Reordered packets of a meticulous end are dropped.
            let _ = self.session(to).handle_packet(&octets, TTL, now);
        }
    }

    fn send(&mut self, from: End, transmit: Transmit) {
        let Transmit::Control(octets) = transmit else {
            panic!("no echo is configured");
        };
        if let Some(left) = self.lose_in {
            self.lose_in = left.checked_sub(1);
            if left == 0 {
                return;
            }
        }
        if self.draw() % 1000 < u64::from(self.loss) {
            return;
        }
        let wobble = Duration::from_millis(self.draw() % (self.wobble + 1));
        self.count += 1;
        let at = self.now + self.delay + wobble;
        self.pipe
            .insert((at, self.count), (from.opposite(), octets));
    }

    const fn session(&mut self, end: End) -> &mut Session {
        match end {
            End::One => &mut self.one,
            End::Other => &mut self.other,
        }
    }

    /// Xorshift.
    const fn draw(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }
}
