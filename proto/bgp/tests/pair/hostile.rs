//! A router that means it ill: the session ends or goes on as the RFC says, memory stays bounded.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use herald_bgp::codec::{Capability, Kind, Notification, Open, frame};
use herald_bgp::{Action, Asn, Config, ConnectionId, Local, Opening, Peer, RemoteAs, State, Time};

use crate::world::{Chance, wish};

const ROUTER: Asn = Asn(64_513);

struct Victim {
    peer: Peer,
    connection: ConnectionId,
    now: Time,
}

fn open() -> Vec<u8> {
    let open = Open {
        short_as: ROUTER.two_octets(),
        hold_time: 90,
        id: Ipv4Addr::new(10, 0, 0, 254),
        capabilities: vec![
            Capability::Multiprotocol { afi: 1, safi: 1 },
            Capability::Multiprotocol { afi: 2, safi: 1 },
            Capability::RouteRefresh,
            Capability::ExtendedMessages,
            Capability::FourOctetAs(ROUTER),
        ],
    };
    let mut octets = vec![];
    open.encode(&mut octets).unwrap();
    octets
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    octets.extend((19 + body.len() as u16).to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

fn keepalive() -> Vec<u8> {
    message(4, &[])
}

const ATTRIBUTES: [u8; 20] = [
    0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1, 0x40, 3, 4, 10, 0, 0, 254,
];

fn announce(prefixes: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 20];
    body.extend(ATTRIBUTES);
    body.extend(prefixes);
    message(2, &body)
}

impl Victim {
    fn new(limit: u32) -> Self {
        let id = Ipv4Addr::new(10, 0, 0, 1);
        let mut config = Config::new(Asn(64_512), RemoteAs::Exactly(ROUTER), id);
        config.prefix_limit = limit;
        config.opening = Opening::Active;
        let now = Duration::from_secs(1);
        let mut peer = Peer::new(config, false, 1, now).unwrap();
        let Some(Action::Connect(connection)) = peer.poll_action() else {
            panic!("a connection is asked for");
        };
        peer.handle_connected(connection, Local::of(id.into()), now);
        Self {
            peer,
            connection,
            now,
        }
    }

    fn established(limit: u32) -> Self {
        let mut victim = Self::new(limit);
        victim.say(&open());
        victim.say(&keepalive());
        assert_eq!(victim.state(), State::Established);
        victim.listen();
        victim
    }

    fn say(&mut self, octets: &[u8]) {
        self.peer.handle_bytes(self.connection, octets, self.now);
    }

    fn listen(&mut self) {
        while self.peer.poll_transmit(self.now).is_some() {
            self.peer.handle_sent(self.connection, self.now);
        }
    }

    fn state(&self) -> State {
        self.peer.snapshot().state
    }

    /// The NOTIFICATION it closes with; none while it does not.
    fn verdict(&mut self) -> Option<(u8, u8)> {
        let Some(Action::Close { last_words, .. }) = self.peer.poll_action() else {
            return None;
        };
        let mut rest = last_words.as_slice();
        let mut verdict = None;
        while let Some(message) = frame(rest, true).unwrap() {
            if message.kind == Kind::Notification {
                let told = Notification::decode(message.body).unwrap();
                verdict = Some((told.code, told.subcode));
            }
            rest = &rest[message.length()..];
        }
        verdict
    }
}

#[test]
fn a_wrong_marker_ends_the_session_at_its_first_octet() {
    for at in 0..16 {
        let mut victim = Victim::established(10);
        let mut octets = keepalive();
        octets[at] ^= 1;
        victim.say(&octets[..=at]);
        assert_eq!(victim.verdict(), Some((1, 1)));
    }
}

/// An octet, by how much it is off, and the NOTIFICATION that follows; none: the session goes on.
type Case = (usize, i8, Option<(u8, u8)>);

/// Each length field of an OPEN and of an UPDATE, too small by one and too great by one.
#[test]
fn lengths_that_are_off_by_one_have_the_consequence_of_the_rfc() {
    let off = |octets: &[u8], at: usize, by: i8| {
        let mut octets = octets.to_vec();
        octets[at] = octets[at].wrapping_add_signed(by);
        octets
    };
    // The header: what is cut off or added begins the next message.
    let update = announce(&[24, 192, 0, 2]);
    let cases: &[Case] = &[
        (17, -1, Some((3, 10))),
        (17, 1, Some((3, 10))),
        // Withdrawn routes, attributes.
        (20, 1, Some((3, 1))),
        (22, -1, None),
        (22, 1, None),
        // ORIGIN, AS_PATH, its count, NEXT_HOP, the prefix.
        (25, -1, None),
        (25, 1, None),
        (29, -1, None),
        (29, 1, None),
        (31, -1, None),
        (31, 1, None),
        (38, -1, None),
        (38, 1, None),
        (43, 1, Some((3, 10))),
    ];
    for (at, by, expected) in cases {
        let mut victim = Victim::established(10);
        victim.say(&off(&update, *at, *by));
        victim.say(&keepalive());
        let verdict = victim.verdict();
        match expected {
            Some(_) => assert_eq!(verdict, *expected, "octet {at} by {by}"),
            // RFC 7606: the routes count as withdrawn, unless what follows became an attribute that
            // nobody knows or a prefix that cannot be.
            None => {
                let fits = matches!(verdict, None | Some((3, 2 | 10)));
                assert!(fits, "octet {at} by {by}: {verdict:?}");
                assert_eq!(victim.peer.snapshot().received, 0, "octet {at} by {by}");
            }
        }
    }
    let open = open();
    for (at, by, expected) in [
        (17, -1, (2, 0)),
        (28, -1, (2, 0)),
        (28, 1, (2, 0)),
        (30, -1, (2, 0)),
        (30, 1, (2, 0)),
        (32, 1, (2, 0)),
    ] {
        let mut victim = Victim::new(10);
        victim.say(&off(&open, at, by));
        assert_eq!(victim.verdict(), Some(expected), "octet {at} by {by}");
    }
}

/// Every bit of the flags of every attribute.
#[test]
fn flags_that_are_flipped_never_end_the_session_of_known_attributes() {
    for at in [23, 27, 36] {
        for bit in [0x80, 0x40] {
            let mut victim = Victim::established(10);
            let mut octets = announce(&[24, 192, 0, 2]);
            assert_eq!(octets[at], 0x40);
            octets[at] ^= bit;
            victim.say(&octets);
            assert_eq!(victim.verdict(), None);
            let told = victim.peer.snapshot();
            assert_eq!((told.received, told.malformed), (0, 1));
        }
    }
}

#[test]
fn messages_that_are_cut_are_waited_for_and_then_given_up() {
    let whole = announce(&[24, 192, 0, 2]);
    for length in 0..whole.len() {
        let mut victim = Victim::established(10);
        victim.say(&whole[..length]);
        assert_eq!(victim.verdict(), None);
        victim.now += Duration::from_secs(90);
        victim.peer.handle_timeout(victim.now);
        assert_eq!(victim.verdict(), Some((4, 0)), "{length}");
    }
}

/// The longest message there is, an octet at a time, and one that is longer.
#[test]
fn messages_without_end_are_refused_by_their_header() {
    let mut victim = Victim::established(100);
    let long = {
        let prefixes: Vec<u8> = (0..13_000_u32)
            .flat_map(|n| [32, 10, (n >> 8 & 1) as u8, 0, (n & 31) as u8])
            .collect();
        announce(&prefixes)
    };
    assert!(long.len() > 65_000);
    for part in long.chunks(7) {
        victim.say(part);
    }
    assert_eq!(
        (victim.verdict(), victim.peer.snapshot().received),
        (None, 64)
    );
    let mut header = vec![0xff; 16];
    header.extend([0x10, 1, 4]);
    victim.say(&header);
    assert_eq!(victim.verdict(), Some((1, 2)));
}

/// A flood of OPENs on one connection is one too many.
#[test]
fn a_second_open_ends_the_session() {
    let mut victim = Victim::new(10);
    let flood = open().repeat(1000);
    victim.say(&flood);
    assert_eq!(victim.verdict(), Some((5, 2)));
    assert_eq!(victim.peer.snapshot().messages_received.open, 2);
}

/// A million prefixes: known by name up to the limit, and then it is over.
#[test]
fn a_million_prefixes_end_at_the_limit() {
    let mut victim = Victim::established(1000);
    for block in 0..1000_u32 {
        let prefixes: Vec<u8> = (0..1000_u32)
            .flat_map(|n| {
                let [_, b, c, d] = (block * 1000 + n).to_be_bytes();
                [32, 11, b, c, d]
            })
            .collect();
        victim.say(&announce(&prefixes));
        let told = victim.peer.snapshot();
        assert!(told.received <= 1000);
        if block == 1 {
            assert_eq!(victim.verdict(), Some((6, 1)));
        }
    }
    assert_eq!(victim.peer.snapshot().messages_received.update, 2);
}

/// It never reads: one chunk, whatever is wished, and the end after eight minutes.
#[test]
fn a_router_that_never_reads_costs_one_chunk() {
    let mut victim = Victim::established(10);
    victim.peer.set_wish(wish(0..10_000, 0), victim.now);
    let chunk = victim.peer.poll_transmit(victim.now).unwrap();
    assert!(chunk.bytes.len() <= 128 * 1024);
    for round in 0..470 {
        victim.now += Duration::from_secs(1);
        victim.peer.handle_timeout(victim.now);
        victim.peer.set_wish(wish(0..round, round), victim.now);
        victim.say(&keepalive());
        victim.say(&message(5, &[0, 1, 0, 1]));
        assert_eq!(victim.peer.poll_transmit(victim.now), None);
    }
    victim.now += Duration::from_secs(10);
    victim.peer.handle_timeout(victim.now);
    assert_eq!(victim.verdict(), Some((8, 0)));
}

/// Any octets, in any state: no panic, and at most one verdict.
#[test]
fn noise_never_panics() {
    let mut chance = Chance::new(3);
    let seeds = [
        open(),
        keepalive(),
        announce(&[24, 192, 0, 2]),
        message(5, &[0, 1, 0, 1]),
    ];
    for _ in 0..20_000 {
        let mut victim = Victim::new(10);
        if chance.one_in(2) {
            victim.say(&open());
        }
        if chance.one_in(2) {
            victim.say(&keepalive());
        }
        victim.peer.set_wish(Arc::default(), victim.now);
        for _ in 0..4 {
            let mut octets = seeds[chance.below(4) as usize].clone();
            for _ in 0..chance.below(4) {
                let at = chance.below(octets.len() as u64) as usize;
                octets[at] = chance.below(256) as u8;
            }
            victim.say(&octets);
            victim.listen();
        }
        victim.now += Duration::from_secs(1);
        victim.peer.handle_timeout(victim.now);
    }
}
