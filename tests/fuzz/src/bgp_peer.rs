//! The door [`Peer`], with a router that may be hostile: any octets, cut anywhere, and time.
//!
//! A script. First two octets: the configuration. Then steps, by the octet modulo 16:
//!
//! ```text
//! 0      what is being connected: is, over IPv4 or IPv6, or failed
//! 1      the router connects: IPv4 or IPv6
//! 2, 3   an OPEN: connection u8, capabilities u16, hold time u16, changes
//! 4, 5   a KEEPALIVE: connection
//! 6      an UPDATE that BIRD, FRR or GoBGP sent: connection, which, changes
//! 7      a message: connection, type, a long chunk
//! 8      any octets: connection, a long chunk
//! 9      an UPDATE with prefixes of IPv4: connection, first, how many
//! 10     time: milliseconds u16
//! 11     time until the peer has something to do
//! 12     the wish: how many routes, which look
//! 13     the shell: stop, start, drain, BFD, another configuration
//! 14     the connection is gone: which
//! 15     the router reads, or does not
//! ```
//!
//! No session stands without an OPEN and a KEEPALIVE for it, with the AS number that is configured and
//! a hold time of RFC 4271 section 4.2. What is sent are whole messages of at most 128 KiB, one chunk at a
//! time, and every UPDATE among them is without fault; prefixes are counted up to the limit; there are
//! two connections at most; the peer never asks to be woken for nothing.

mod words;

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use herald_bgp::codec::{Context, HEADER, Kind, Update, frame};
use herald_bgp::{Action, BfdState, ConnectionId, Peer, RemoteAs, State, Stop, Time};
use words::{LIMIT, announce, config, local, open, wish};

use crate::Script;
use crate::bgp_message::framed;
use crate::vectors::{BGP, messages};

const STEPS: usize = 200;
/// Chunks of one moment: OPEN, KEEPALIVE, routes, and as many refreshes as were asked for.
const AT_ONCE: usize = 64;

/// UPDATEs of other speakers.
static UPDATES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut updates = messages(&BGP);
    updates.retain(|octets| octets[18] == 2);
    updates
});

struct Scene {
    peer: Peer,
    now: Time,
    connecting: Option<ConnectionId>,
    open: Vec<ConnectionId>,
    /// What the peer may close.
    known: BTreeSet<ConnectionId>,
    flying: BTreeSet<ConnectionId>,
    reads: bool,
}

/// Splits octets that are to be whole messages.
fn split(mut octets: &[u8]) -> Vec<(Kind, &[u8])> {
    let mut said = Vec::new();
    while let Some(message) = frame(octets, true).expect("what is sent is in order") {
        said.push((message.kind, message.body));
        octets = &octets[message.length()..];
    }
    assert!(octets.is_empty(), "only whole messages are sent");
    said
}

impl Scene {
    /// Does what the peer asks for, lets it speak, and looks at everything.
    fn settle(&mut self) {
        self.peer.handle_timeout(self.now);
        self.act();
        for count in 0.. {
            assert!(count < AT_ONCE, "chunks without end");
            let Some(transmit) = self.peer.poll_transmit(self.now) else {
                break;
            };
            assert!(self.open.contains(&transmit.connection));
            assert!(!self.flying.contains(&transmit.connection), "one at a time");
            assert!(transmit.bytes.len() <= 128 * 1024);
            self.check(&transmit.bytes);
            if self.reads {
                self.peer.handle_sent(transmit.connection, self.now);
            } else {
                self.flying.insert(transmit.connection);
            }
            self.act();
        }
        let events = std::iter::from_fn(|| self.peer.poll_event());
        assert!(events.count() <= 256);
        let due = self.peer.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "woken for nothing");
        self.assert_sound();
    }

    fn act(&mut self) {
        for count in 0.. {
            assert!(count < 32, "actions without end");
            match self.peer.poll_action() {
                None => break,
                Some(Action::Connect(connection)) => {
                    assert_eq!(self.connecting, None);
                    self.connecting = Some(connection);
                    assert!(self.known.insert(connection), "never used twice");
                }
                Some(Action::Close {
                    connection,
                    last_words,
                }) => {
                    assert!(self.known.remove(&connection));
                    self.open.retain(|open| *open != connection);
                    self.connecting = self.connecting.filter(|open| *open != connection);
                    self.flying.remove(&connection);
                    let said = split(&last_words);
                    let last = said.last().is_none_or(|said| said.0 == Kind::Notification);
                    assert!(last && said.len() <= 2);
                }
            }
        }
        assert!(self.open.len() <= 2);
    }

    /// Every UPDATE is without fault to who knows what was agreed on.
    fn check(&self, bytes: &[u8]) {
        let agreed = self.peer.snapshot().negotiated;
        let long = agreed
            .as_ref()
            .is_some_and(|agreed| agreed.extended_messages);
        for (kind, body) in split(bytes) {
            assert!(long || body.len() + HEADER <= 4096);
            if kind != Kind::Update {
                continue;
            }
            let agreed = agreed.as_ref().expect("routes come after an agreement");
            let context = Context {
                four_octet_as: agreed.four_octet_as,
                internal: agreed.internal,
                families: agreed.families,
                extended_next_hop: agreed.extended_next_hop,
            };
            let update = Update::decode(body, &context).expect("an UPDATE of ours can be read");
            assert_eq!(update.faults, []);
        }
    }

    fn assert_sound(&self) {
        let told = self.peer.snapshot();
        let heard = told.messages_received;
        assert!(told.established <= heard.open.min(heard.keepalive));
        assert!(told.received <= LIMIT as usize * 2 && told.sent <= 256 * 2);
        assert!(told.state != State::Established || !self.open.is_empty());
        let Some(agreed) = told.negotiated else {
            assert!(told.state <= State::OpenSent);
            return;
        };
        let config = self.peer.config();
        let fits = match config.remote_as {
            RemoteAs::Exactly(asn) => agreed.peer_as == asn,
            RemoteAs::Internal => agreed.peer_as == config.local_as,
            RemoteAs::External => agreed.peer_as != config.local_as,
        };
        assert!(fits && agreed.internal == (agreed.peer_as == config.local_as));
        let hold = agreed.hold_time;
        assert!(hold.is_zero() || hold >= Duration::from_secs(3) && hold <= config.hold_time);
        assert!(agreed.keepalive_time <= hold);
    }

    fn say(&mut self, which: u8, octets: &[u8]) {
        let connection = self.open.get(usize::from(which & 1)).or(self.open.first());
        if let Some(connection) = connection.copied() {
            self.peer.handle_bytes(connection, octets, self.now);
        }
    }
}

fn shell(scene: &mut Scene, script: &mut Script<'_>) {
    let (peer, now) = (&mut scene.peer, scene.now);
    let text = || "maintenance".to_owned();
    match script.u8() % 12 {
        0 => peer.start(now),
        1 => peer.stop(&Stop::Shutdown(text()), now),
        2 => peer.stop(&Stop::Deconfigured, now),
        3 => peer.stop(&Stop::Reset(text()), now),
        4 => peer.stop(&Stop::Restart, now),
        5 => peer.stop(&Stop::OutOfResources, now),
        6 => peer.drain(Duration::from_millis(script.u16().into()), text(), now),
        7 => peer.handle_bfd(BfdState::Up, now),
        8 => peer.handle_bfd(BfdState::Down, now),
        9 => peer.handle_bfd(BfdState::AdminDown, now),
        _ => peer.set_config(config(script), now).expect("a sound one"),
    }
}

/// Plays the script.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let mut script = Script::new(octets);
    let now = Duration::from_secs(1000);
    let peer = Peer::new(config(&mut script), false, 1, now).expect("a sound configuration");
    let mut scene = Scene {
        peer,
        now,
        connecting: None,
        open: Vec::new(),
        known: BTreeSet::new(),
        flying: BTreeSet::new(),
        reads: true,
    };
    scene.settle();
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        let now = scene.now;
        match step % 16 {
            0 => {
                let how = script.u8();
                if let Some(connection) = scene.connecting.take() {
                    if how & 1 == 1 {
                        scene.open.push(connection);
                        scene.peer.handle_connected(connection, local(how), now);
                    } else {
                        scene.peer.handle_closed(connection, "refused", now);
                    }
                }
            }
            1 => {
                let accepted = scene.peer.handle_accepted(local(script.u8()), now);
                scene.open.extend(accepted);
                scene.known.extend(accepted);
            }
            2 | 3 => {
                let (which, bits, hold_time) = (script.u8(), script.u16(), script.u16());
                let mut octets = open(bits, hold_time);
                script.change(&mut octets);
                scene.say(which, &octets);
            }
            4 | 5 => scene.say(script.u8(), &framed(4, &[])),
            6 => {
                let (which, number) = (script.u8(), usize::from(script.u8()));
                let mut octets = UPDATES[number % UPDATES.len()].clone();
                script.change(&mut octets);
                scene.say(which, &octets);
            }
            7 => {
                let (which, kind) = (script.u8(), script.u8());
                let octets = framed(kind, script.long_chunk());
                scene.say(which, &octets);
            }
            8 => {
                let which = script.u8();
                scene.say(which, script.long_chunk());
            }
            9 => {
                let which = script.u8();
                scene.say(which, &announce(script.u8(), script.u8() % 16));
            }
            10 => scene.now += Duration::from_millis(script.u16().into()),
            11 => scene.now = scene.peer.poll_timeout().unwrap_or(now).max(now),
            12 => scene.peer.set_wish(wish(script.u8(), script.u8()), now),
            13 => shell(&mut scene, &mut script),
            14 => {
                let which = usize::from(script.u8() & 1);
                if which < scene.open.len() {
                    let connection = scene.open.remove(which);
                    scene.flying.remove(&connection);
                    scene.peer.handle_closed(connection, "gone", now);
                }
            }
            _ => {
                scene.reads = script.u8() & 1 == 1;
                for connection in std::mem::take(&mut scene.flying) {
                    scene.peer.handle_sent(connection, now);
                }
            }
        }
        scene.settle();
    }
}

/// Sessions of several kinds, opened from both sides; routes of other speakers, floods, drains.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let external = [2, 0, 0x80 | 0x28, 0x7e, 0, 90, 0];
    let internal = [2, 0, 0x80 | 0x28, 0x7f, 0, 90, 0];
    let alive = [4, 0];
    let up = |config: [u8; 2], open: &[u8]| [&config[..], &[0, 1], open, &alive].concat();
    let (plain, graceful) = (up([0x10, 0], &external), up([0xf0, 2], &external));
    let routes = [12, 20, 0x15, 10, 0, 50, 10, 0, 50];
    let mut seeds = vec![
        plain.clone(),
        [&plain[..], &routes, &[12, 3, 0, 10, 0, 50, 11, 11, 11]].concat(),
        [
            &up([2, 0], &internal)[..],
            &routes,
            &[9, 0, 1, 5, 9, 0, 4, 9],
        ]
        .concat(),
        [&graceful[..], &routes, &[13, 6, 1, 0, 10, 1, 1, 13, 0, 11]].concat(),
        [&graceful[..], &routes, &[13, 7, 13, 8, 10, 255, 255, 11]].concat(),
        [&plain[..], &[9, 0, 0, 6, 9, 0, 6, 6], &alive].concat(),
        [
            &plain[..],
            &[15, 0],
            &routes,
            &[7, 0, 5, 0, 4, 0, 1, 0, 1, 15, 1],
        ]
        .concat(),
        [&plain[..], &[7, 0, 3, 0, 4, 6, 2, 1, b'x', 11, 0, 1]].concat(),
        [
            &[0x18, 0, 0, 1, 1, 1][..],
            &external,
            &alive,
            &[2, 1],
            &external[2..],
            &[4, 1],
        ]
        .concat(),
        [&[0x04, 0, 1, 1][..], &external, &alive, &routes].concat(),
    ];
    for number in 0..UPDATES.len() {
        let number = u8::try_from(number).unwrap_or_default();
        seeds.push([&plain[..], &[6, 0, number, 0], &alive].concat());
    }
    seeds
}
