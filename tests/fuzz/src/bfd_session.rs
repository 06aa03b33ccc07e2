//! The door [`Session`], with a neighbour that is one too, and with anybody who sends what he likes.
//!
//! A script. First three octets: the configuration of both ends. Then steps, by the octet modulo 10:
//!
//! ```text
//! 0–2  what the neighbour has to say arrives, changed in some octets or not
//! 3    a packet of anybody: state and flags u8, multiplier u8, whom to u8, three intervals u32
//! 4    any datagram: a chunk, TTL
//! 5    time until either end has something to do
//! 6    time: microseconds u16, or milliseconds
//! 7    another configuration: three octets, of this end alone
//! 8    this end is switched off, or on
//! 9    the echo packets that are under way come back, changed or not; or one of the neighbour's comes: TTL
//! ```
//!
//! A session is up only after packets that counted said Init or Up, never by packets without the right
//! digest, and while it is up it knows when to give up: silence ends it within the detection time it tells.
//! Not up, it is slow (RFC 5880 section 6.8.3). It never asks to be woken for nothing.

use std::time::Duration;

use herald_bfd::{
    Authentication, Config, Diagnostic, Discriminator, Flags, Hops, Method, Packet, Session, State,
    TTL, Time, Transmit,
};

use crate::Script;

const OURS: u32 = 7;
const THEIRS: u32 = 1000;
const STEPS: usize = 200;

struct Scene {
    session: Session,
    neighbour: Session,
    now: Time,
    /// Packets of the neighbour, and echo packets of ours.
    under_way: Vec<Vec<u8>>,
    echoes: Vec<Vec<u8>>,
    /// Packets that counted and that could bring the session up.
    raised: u64,
}

fn config(script: &mut Script<'_>) -> Config {
    let (bits, times, more) = (script.u8(), script.u8(), script.u8());
    let method = match bits & 7 {
        0..=2 => None,
        kind => Some(Method::ALL[usize::from(kind - 3)]),
    };
    let multihop = bits & 8 != 0;
    let time = |number: u8| match number & 7 {
        0 => Duration::from_micros(1),
        1 => Duration::from_millis(1),
        2 => Duration::from_micros(u32::MAX.into()),
        number => Duration::from_millis(u64::from(number) * 50),
    };
    Config {
        hops: if multihop {
            Hops::Multi { minimum_ttl: 250 }
        } else {
            Hops::Single
        },
        transmit: time(times),
        receive: time(times >> 3),
        multiplier: (more >> 4).max(1),
        passive: bits & 0x10 != 0,
        echo: (bits & 0x20 != 0 && !multihop).then_some(time(more)),
        authentication: method.map(|method| Authentication {
            method,
            id: 7,
            key: b"a key of the target".to_vec()[..16].to_vec(),
        }),
        independent: bits & 0x40 != 0,
    }
}

fn session(config: Config, number: u32, now: Time) -> Session {
    let number = Discriminator::new(number).expect("not zero");
    Session::new(config, number, number.get().into(), now).expect("a sound configuration")
}

impl Scene {
    fn digests(&self) -> bool {
        let method = self.session.config().authentication.as_ref();
        method.is_some_and(|by| by.method != Method::Simple)
    }

    fn hear(&mut self, datagram: &[u8], ttl: u8) -> bool {
        let heard = self.session.handle_packet(datagram, ttl, self.now).is_ok();
        if heard {
            let packet = Packet::decode(datagram).expect("it counted");
            let raises = matches!(packet.state, State::Init | State::Up);
            assert!(!raises || packet.your_discriminator == OURS);
            self.raised += u64::from(raises);
            assert!(ttl >= 250);
        }
        heard
    }

    /// Everything both ends have to say, and everything that is due.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 3, "woken for nothing");
            self.session.handle_timeout(self.now);
            self.neighbour.handle_timeout(self.now);
            self.poll();
            // One timer that expires may make another due.
            let due = self.session.poll_timeout();
            if due.is_none_or(|due| due > self.now) {
                break;
            }
        }
        let told = self.session.snapshot();
        assert!(told.ups <= self.raised && told.ups - told.downs <= 1);
        if told.state == State::Up {
            let due = self.session.poll_timeout();
            assert!(told.ups > told.downs && told.negotiated.is_some() && due.is_some());
        }
    }

    fn poll(&mut self) {
        for count in 0.. {
            assert!(count < 8, "packets without end");
            match self.session.poll_transmit(self.now) {
                None => break,
                Some(Transmit::Control(octets)) => {
                    self.check(&octets);
                    let _ = self.neighbour.handle_packet(&octets, TTL, self.now);
                }
                Some(Transmit::Echo(octets)) => self.echoes.push(octets),
            }
        }
        while let Some(transmit) = self.neighbour.poll_transmit(self.now) {
            if let Transmit::Control(octets) = transmit {
                self.under_way.push(octets);
            }
        }
        for old in [&mut self.under_way, &mut self.echoes] {
            old.drain(..old.len().saturating_sub(8));
        }
        let events = std::iter::from_fn(|| self.session.poll_event());
        assert!(events.count() <= 16);
        while self.neighbour.poll_event().is_some() {}
    }

    fn check(&self, octets: &[u8]) {
        let packet = Packet::decode(octets).expect("what is sent is in order");
        assert_eq!(packet.my_discriminator, OURS);
        let Flags { poll, final_, .. } = packet.flags;
        assert!(!packet.flags.demand);
        assert!(!poll || !final_);
        let wanted = self.session.config().authentication.is_some();
        assert_eq!(packet.authentication.is_some(), wanted);
        assert!(packet.state == State::Up || packet.desired_transmit >= 1_000_000);
    }
}

/// Plays the script.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let mut script = Script::new(octets);
    let agreed = config(&mut script);
    let now = Duration::from_secs(1000);
    let mut scene = Scene {
        session: session(agreed.clone(), OURS, now),
        neighbour: session(
            Config {
                passive: false,
                ..agreed
            },
            THEIRS,
            now,
        ),
        now,
        under_way: Vec::new(),
        echoes: Vec::new(),
        raised: 0,
    };
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        let now = scene.now;
        match step % 10 {
            0..=2 => {
                let changes = script.u8();
                for mut datagram in std::mem::take(&mut scene.under_way) {
                    let genuine = datagram.clone();
                    if changes & 1 == 1 {
                        script.change(&mut datagram);
                    }
                    let changed = datagram != genuine;
                    let proven = !scene.digests() || !changed;
                    let heard = scene.hear(&datagram, TTL - (changes >> 6));
                    assert!(proven || !heard, "a wrong digest counted");
                }
            }
            3 => {
                let (bits, multiplier, to) = (script.u8(), script.u8(), script.u8());
                let packet = Packet {
                    diagnostic: Diagnostic::from_code(bits),
                    state: State::ALL[usize::from(bits >> 6)],
                    flags: Flags {
                        poll: bits & 0x20 != 0,
                        final_: bits & 0x10 != 0,
                        independent: false,
                        demand: bits & 8 != 0,
                    },
                    multiplier,
                    my_discriminator: u32::from(to >> 4),
                    your_discriminator: if to & 1 == 1 { OURS } else { 0 },
                    desired_transmit: script.u32(),
                    required_receive: script.u32(),
                    required_echo: script.u32(),
                    authentication: None,
                };
                let heard = scene.hear(&packet.encode(), TTL);
                let open = scene.session.config().authentication.is_none();
                assert!(open || !heard, "authentication was left out");
            }
            4 => {
                let datagram = script.chunk();
                let heard = scene.hear(datagram, script.u8());
                assert!(!heard || !scene.digests(), "nobody knows the key");
            }
            5 => {
                let due = [&scene.session, &scene.neighbour].map(Session::poll_timeout);
                scene.now = due.into_iter().flatten().min().unwrap_or(now).max(now);
            }
            6 => {
                let (time, unit) = (u64::from(script.u16()), script.u8());
                scene.now += if unit & 1 == 1 {
                    Duration::from_millis(time)
                } else {
                    Duration::from_micros(time)
                };
            }
            7 => {
                let new = config(&mut script);
                scene.session.set_config(new, now).expect("a sound one");
            }
            8 => match script.u8() & 1 {
                0 => scene.session.admin_down(now),
                _ => scene.session.admin_up(now),
            },
            _ => {
                let how = script.u8();
                if how & 2 == 2 {
                    let (ttl, before) = (script.u8(), scene.session.snapshot().state);
                    let back = scene.session.loop_back(ttl, now).is_ok();
                    let offered = scene.session.config().echo.is_some();
                    assert!(!back || offered && ttl == TTL && before == State::Up);
                }
                for mut echo in std::mem::take(&mut scene.echoes) {
                    if how & 1 == 1 {
                        script.change(&mut echo);
                    }
                    let _ = scene.session.handle_echo(&echo, now);
                }
            }
        }
        scene.settle();
    }
    if scene.session.snapshot().state == State::Up {
        let agreed = scene.session.snapshot().negotiated;
        scene.now += agreed.expect("it is up").detection + Duration::from_nanos(1);
        scene.session.handle_timeout(scene.now);
        assert_ne!(
            scene.session.snapshot().state,
            State::Up,
            "silence was not noticed"
        );
    }
}

/// Two ends that come up, change their minds and fall silent, by each method, with echo and without.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let meet = [0, 0, 5, 0, 0, 5, 0, 0, 5, 0, 0];
    let mut seeds = Vec::new();
    for bits in [0, 3, 4, 5, 6, 7, 8, 0x10, 0x20, 0x21] {
        let begin = [&[bits, 0x1b, 0x33][..], &meet].concat();
        let echo = [5, 9, 0, 5, 9, 2, 255, 5, 9, 1, 1, 0, 4, 9];
        let slower = [7, bits, 0x3f, 0x55, 5, 0, 0, 5, 0, 0];
        seeds.push([&begin[..], &echo, &[6, 1, 0, 1]].concat());
        seeds.push([&begin[..], &slower, &[8, 0, 5, 0, 0, 8, 1]].concat());
        seeds.push([&begin[..], &[0, 1, 2, 0, 8, 1, 0, 30, 0, 6, 9, 9, 0]].concat());
    }
    let anybody = |state: u8| {
        [
            3,
            state << 6,
            3,
            0x51,
            0,
            0,
            0xc3,
            0x50,
            0,
            0,
            0xc3,
            0x50,
            0,
            0,
            0,
            9,
        ]
    };
    seeds.push([&[0, 0x1b, 0x33][..], &anybody(1), &anybody(2), &anybody(3)].concat());
    let datagram = [
        0x20, 0x40, 3, 24, 0, 0, 0, 9, 0, 0, 0, 7, 0, 15, 0x42, 0x40, 0, 0, 0xc3, 0x50,
    ];
    seeds.push([&[0, 0x1b, 0x33, 4, 24][..], &datagram, &[0, 0, 0, 0, 255]].concat());
    seeds
}
