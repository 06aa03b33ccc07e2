//! The door with a scripted neighbour, on virtual time.

mod echo;
mod intervals;
mod silence;

use super::*;
use crate::{AuthSection, Authentication, Flags, Hops, Method, Packet};

const OURS: u32 = 7;
const THEIRS: u32 = 1000;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn fast() -> Config {
    Config {
        transmit: ms(50),
        receive: ms(60),
        multiplier: 3,
        ..Config::default()
    }
}

/// What a neighbour says that is in this state, wishes for 50 ms and knows this end.
fn said(state: State) -> Packet<'static> {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        flags: Flags::default(),
        multiplier: 4,
        my_discriminator: THEIRS,
        your_discriminator: OURS,
        desired_transmit: 50_000,
        required_receive: 40_000,
        required_echo: 0,
        authentication: None,
    }
}

/// A packet of ours without its section.
type Seen = Packet<'static>;

/// A session and a clock.
struct Scene {
    session: Session,
    now: Time,
}

impl Scene {
    fn new(config: Config) -> Self {
        let number = Discriminator::new(OURS).unwrap();
        let now = ms(100_000);
        let session = Session::new(config, number, 42, now).unwrap();
        Self { session, now }
    }

    /// Established as two ends do it.
    fn up(config: Config) -> Self {
        let mut scene = Self::new(config);
        scene.sent();
        scene.hear(&said(State::Down)).unwrap();
        scene.hear(&said(State::Init)).unwrap();
        assert_eq!(scene.state(), State::Up);
        scene.sent();
        scene.confirm();
        scene.events();
        scene
    }

    /// The neighbour answers a poll.
    fn confirm(&mut self) {
        let mut packet = said(State::Up);
        packet.flags.final_ = true;
        self.hear(&packet).unwrap();
    }

    fn hear(&mut self, packet: &Packet<'_>) -> Result<(), Discard> {
        self.session.handle_packet(&packet.encode(), 255, self.now)
    }

    fn state(&self) -> State {
        self.session.snapshot().state
    }

    /// Control packets that are sent now.
    fn sent(&mut self) -> Vec<Seen> {
        let mut sent = Vec::new();
        while let Some(transmit) = self.session.poll_transmit(self.now) {
            if let Transmit::Control(octets) = transmit {
                sent.push(own(&Packet::decode(&octets).unwrap()));
            }
        }
        sent
    }

    fn one(&mut self) -> Seen {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1);
        sent.remove(0)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Lets time pass, the neighbour saying the same every `every`; when control packets were sent.
    fn pass(&mut self, time: Duration, every: Option<(Duration, Packet<'_>)>) -> Vec<(Time, Seen)> {
        let end = self.now + time;
        let mut next = every.as_ref().map(|(every, _)| self.now + *every);
        let mut sent = Vec::new();
        loop {
            let due = self.session.poll_timeout();
            let at = due.into_iter().chain(next).min().unwrap_or(end).min(end);
            self.now = self.now.max(at);
            let at = self.now;
            if let (Some((every, packet)), Some(time)) = (&every, next)
                && time == at
            {
                let _ = self.hear(packet);
                next = Some(at + *every);
            }
            self.session.handle_timeout(at);
            sent.extend(self.sent().into_iter().map(|packet| (at, packet)));
            if at == end {
                return sent;
            }
        }
    }
}

fn own(packet: &Packet<'_>) -> Seen {
    Packet {
        diagnostic: packet.diagnostic,
        state: packet.state,
        flags: packet.flags,
        authentication: None,
        ..*packet
    }
}

/// RFC 5880 sections 6.2, 6.8.1 and 6.8.7: the fields of the first packets.
#[test]
fn a_session_comes_up_by_three_packets() {
    let mut scene = Scene::new(fast());
    let first = scene.one();
    assert_eq!((first.state, first.flags), (State::Down, Flags::default()));
    assert_eq!(
        (first.my_discriminator, first.your_discriminator),
        (OURS, 0)
    );
    assert_eq!(
        (first.desired_transmit, first.required_receive),
        (1_000_000, 60_000)
    );
    assert_eq!((first.multiplier, first.required_echo), (3, 0));
    let mut theirs = said(State::Down);
    theirs.your_discriminator = 0;
    scene.hear(&theirs).unwrap();
    let second = scene.one();
    assert_eq!(
        (second.state, second.your_discriminator),
        (State::Init, THEIRS)
    );
    assert_eq!(scene.session.path(), Path::Down);
    scene.hear(&said(State::Init)).unwrap();
    let third = scene.one();
    assert_eq!((third.state, third.desired_transmit), (State::Up, 50_000));
    assert!(third.flags.poll, "the interval changed");
    assert_eq!(scene.session.path(), Path::Up);
    assert!(matches!(
        scene.events()[..],
        [Event::Up, Event::Negotiated(_)]
    ));
}

/// RFC 5880 section 6.8.6, the last part of it, at the door.
#[test]
fn the_neighbours_state_moves_ours_and_leaves_a_diagnostic() {
    for state in [State::Down, State::AdminDown] {
        let mut scene = Scene::up(fast());
        let mut packet = said(state);
        packet.diagnostic = Diagnostic::EXPIRED;
        scene.hear(&packet).unwrap();
        let told = scene.one();
        assert_eq!(
            (told.state, told.diagnostic),
            (State::Down, Diagnostic::NEIGHBOR_DOWN)
        );
        let (cause, path) = if state == State::Down {
            (Cause::Neighbor(Diagnostic::EXPIRED), Path::Down)
        } else {
            (Cause::NeighborAdminDown, Path::AdminDown)
        };
        assert_eq!(scene.events(), [Event::Down(cause)]);
        assert_eq!(scene.session.path(), path);
    }
}

/// RFC 5880 section 6.8.6, the first part of it, at the door: the session is unchanged.
#[test]
fn what_does_not_fit_the_session_is_dropped() {
    let with = |change: fn(&mut Packet<'_>)| {
        let mut packet = said(State::Down);
        change(&mut packet);
        packet.encode()
    };
    let plain = said(State::Down).encode();
    let cases = [
        (plain.clone(), 254, Discard::Ttl),
        (plain[..23].to_vec(), 255, Discard::Length),
        (
            with(|p| p.your_discriminator = 8),
            255,
            Discard::UnknownSession,
        ),
        (
            with(|p| {
                p.your_discriminator = 0;
                p.state = State::Up;
            }),
            255,
            Discard::State,
        ),
        (
            with(|p| {
                p.authentication = Some(AuthSection {
                    kind: 1,
                    data: b"\x01x",
                });
            }),
            255,
            Discard::AuthenticationKind,
        ),
    ];
    let mut scene = Scene::up(fast());
    let before = scene.session.snapshot();
    for (octets, ttl, reason) in cases {
        let outcome = scene.session.handle_packet(&octets, ttl, scene.now);
        assert_eq!(outcome, Err(reason));
        let mut after = scene.session.snapshot();
        assert_eq!(
            std::mem::take(&mut after.packets.discarded),
            before.packets.discarded + 1
        );
        after.packets.discarded = before.packets.discarded;
        assert_eq!(after, before);
        scene = Scene::up(fast());
    }
}

/// RFC 5883 section 3 and `minimumTtl`.
#[test]
fn over_several_hops_a_lower_ttl_will_do() {
    let hops = Hops::Multi { minimum_ttl: 250 };
    let mut scene = Scene::new(Config { hops, ..fast() });
    let octets = said(State::Down).encode();
    for (ttl, outcome) in [(249, Err(Discard::Ttl)), (250, Ok(())), (255, Ok(()))] {
        assert_eq!(
            scene.session.handle_packet(&octets, ttl, scene.now),
            outcome
        );
    }
}

/// RFC 5880 section 6.1.
#[test]
fn a_passive_session_speaks_when_it_is_spoken_to() {
    let passive = Config {
        passive: true,
        ..fast()
    };
    let mut scene = Scene::new(passive);
    assert_eq!(scene.pass(ms(10_000), None), []);
    assert_eq!(scene.session.poll_timeout(), None);
    scene.hear(&said(State::Down)).unwrap();
    assert_eq!(scene.one().state, State::Init);
    // Silent again, it forgets the neighbour: four times 60 ms.
    assert_eq!(scene.pass(ms(239), None), []);
    let last = scene.pass(ms(20_000), None);
    assert!(last.is_empty(), "{last:?}");
}

/// RFC 5880 section 6.8.7: what a packet says anew is told at once, its discriminator included.
#[test]
fn a_neighbour_that_began_anew_is_answered_at_once() {
    let mut scene = Scene::new(fast());
    scene.hear(&said(State::Down)).unwrap();
    scene.sent();
    scene.hear(&said(State::Down)).unwrap();
    assert_eq!(scene.sent(), []);
    let mut anew = said(State::Down);
    anew.my_discriminator = 2000;
    anew.your_discriminator = 0;
    scene.hear(&anew).unwrap();
    let packet = scene.one();
    assert_eq!(
        (packet.state, packet.your_discriminator),
        (State::Init, 2000)
    );
}

/// RFC 5880 section 6.8.7: whatever the state, with F, without P.
#[test]
fn a_poll_is_answered_at_once() {
    for state in [State::Down, State::Init, State::Up] {
        let mut scene = Scene::up(fast());
        scene.pass(ms(10), None);
        let mut packet = said(state);
        packet.flags.poll = true;
        scene.hear(&packet).unwrap();
        let answer = scene.sent().remove(0);
        assert!(answer.flags.final_ && !answer.flags.poll);
    }
}

/// RFC 5880 sections 6.8.7 and 6.8.1.
#[test]
fn a_neighbour_that_wants_no_packets_gets_only_what_it_asks_for_and_news() {
    let mut scene = Scene::up(fast());
    let mut packet = said(State::Up);
    packet.required_receive = 0;
    scene.hear(&packet).unwrap();
    assert_eq!(scene.pass(ms(5000), Some((ms(50), packet.clone()))), []);
    packet.flags.poll = true;
    scene.hear(&packet).unwrap();
    assert!(scene.one().flags.final_);
    packet.flags.poll = false;
    packet.state = State::Down;
    scene.hear(&packet).unwrap();
    assert_eq!(scene.one().state, State::Down);
}

/// RFC 5880 section 6.6: only while both are up, and not during a poll sequence.
#[test]
fn a_neighbour_in_demand_mode_is_left_in_peace_while_both_are_up() {
    let mut demanding = said(State::Up);
    demanding.flags.demand = true;
    let mut scene = Scene::up(fast());
    scene.hear(&demanding).unwrap();
    assert_eq!(scene.pass(ms(2000), Some((ms(50), demanding.clone()))), []);
    let slower = Config {
        transmit: ms(80),
        ..fast()
    };
    scene.session.set_config(slower, scene.now).unwrap();
    let polls = scene.pass(ms(500), Some((ms(50), demanding.clone())));
    assert!(polls.len() >= 6 && polls.iter().all(|(_, packet)| packet.flags.poll));
    demanding.flags.final_ = true;
    scene.hear(&demanding).unwrap();
    demanding.flags.final_ = false;
    assert_eq!(scene.pass(ms(2000), Some((ms(50), demanding.clone()))), []);
    // The bit of one that is not up silences nobody.
    let mut scene = Scene::new(fast());
    demanding.state = State::Down;
    scene.hear(&demanding).unwrap();
    let sent = scene.pass(ms(5000), Some((ms(200), demanding)));
    assert!(sent.len() >= 5, "{}", sent.len());
}

/// RFC 5880 section 6.8.16, RFC 5882 section 3.2.
#[test]
fn switched_off_it_says_so_and_changes_for_no_packet() {
    let mut scene = Scene::up(fast());
    scene.session.admin_down(scene.now);
    assert_eq!(scene.events(), [Event::Down(Cause::AdminDown)]);
    let told = scene.one();
    assert_eq!(
        (told.state, told.diagnostic),
        (State::AdminDown, Diagnostic::ADMIN_DOWN)
    );
    assert_eq!(told.desired_transmit, 1_000_000);
    assert!(!scene.session.is_heeded());
    assert_eq!(scene.session.path(), Path::AdminDown);
    for state in State::ALL {
        assert_eq!(scene.hear(&said(state)), Err(Discard::AdminDown));
        assert_eq!(scene.state(), State::AdminDown);
        assert_eq!(scene.session.is_heeded(), state != State::Up);
    }
    scene.session.admin_up(scene.now);
    assert_eq!(scene.one().state, State::Down);
    scene.hear(&said(State::Down)).unwrap();
    scene.hear(&said(State::Init)).unwrap();
    assert_eq!(scene.events()[0], Event::Up);
}

/// RFC 5880 section 6.8.1.
#[test]
fn sequence_numbers_are_forgotten_after_two_detection_times_of_silence() {
    let by = Authentication {
        method: Method::MeticulousSha1,
        id: 1,
        key: b"key".to_vec(),
    };
    let config = Config {
        authentication: Some(by.clone()),
        ..fast()
    };
    let mut scene = Scene::new(config);
    let say = |scene: &mut Scene, number: u32| {
        let octets = Sequence::new(number).seal(&said(State::Down), Some(&by));
        scene.session.handle_packet(&octets, 255, scene.now)
    };
    assert_eq!(say(&mut scene, 5000), Ok(()));
    let late = Err(Discard::AuthenticationSequence);
    assert_eq!(say(&mut scene, 10), late);
    scene.pass(ms(479), None);
    assert_eq!(say(&mut scene, 10), late);
    scene.pass(ms(2), None);
    assert_eq!(say(&mut scene, 10), Ok(()));
}
