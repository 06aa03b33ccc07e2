use proptest::prelude::*;

use super::*;
use crate::wire::tests::message;
use crate::{Entry, Key};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn ms(count: u64) -> Time {
    Time::from_millis(count)
}

fn keys() -> Keys {
    Keys::new(1, Key([7; 32]))
}

fn config(size: u64) -> Config {
    let member = |id: NodeId| {
        let address = SocketAddr::from(([10, 0, 0, 1], 7000 + id as u16));
        (id, Member { address })
    };
    Config {
        cluster: 1,
        me: 1,
        life: 1,
        members: (1..=size).map(member).collect(),
        keys: keys(),
        timers: Timers::default(),
    }
}

fn node(size: u64) -> Node {
    Node::new(config(size), Time::ZERO).expect("a sound configuration")
}

/// What node 2 sends to node 1.
fn sealed(life: Life, body: Body) -> Vec<u8> {
    let message = Message {
        cluster: 1,
        from: 2,
        to: 1,
        life,
        body,
    };
    wire::encode(&message, &keys())
}

fn beacon(node: &Node, seq: u64) -> Beacon {
    Beacon {
        seq,
        members: node.members,
        ..Beacon::default()
    }
}

/// Node 2 proves its life to `node`.
fn prove(node: &mut Node, life: Life, now: Time) {
    let hello = sealed(life, Body::Beacon(beacon(node, 1)));
    assert_eq!(
        node.handle_datagram(&hello, [9; 16], now),
        Err(Discard::Unproven)
    );
    let answer = sealed(life, Body::Answer([9; 16]));
    assert_eq!(node.handle_datagram(&answer, [0; 16], now), Ok(()));
}

proptest! {
    #[test]
    fn whatever_a_member_says_the_node_goes_on(
        messages in proptest::collection::vec((message(), 0u64..4, 0u64..3), 1..20),
    ) {
        let mut node = node(3);
        let mut now = ms(300);
        prove(&mut node, 1, now);
        node.set_wish(&BTreeMap::from([(HERE, Wish { rank: 0 })]), now);
        for (mut message, from, life) in messages {
            (message.cluster, message.from, message.to) = (1, from, 1);
            message.life = life;
            if let Body::Beacon(beacon) = &mut message.body {
                beacon.members = node.members;
                beacon.base = 0;
            }
            let _ = node.handle_datagram(&wire::encode(&message, &keys()), [9; 16], now);
            let mut sent = 0;
            while node.poll_transmit(now).is_some() {
                sent += 1;
                prop_assert!(sent < 10);
            }
            now += ms(40);
        }
        prop_assert!(node.poll_timeout() < now + ms(300));
    }
}

#[test]
fn a_beacon_counts_once_and_only_in_order() {
    let mut node = node(3);
    prove(&mut node, 1, ms(1));
    for (seq, expected) in [
        (5, Ok(())),
        (5, Err(Discard::Replayed)),
        (4, Err(Discard::Replayed)),
        (6, Ok(())),
    ] {
        let bytes = sealed(1, Body::Beacon(beacon(&node, seq)));
        assert_eq!(
            node.handle_datagram(&bytes, [0; 16], ms(2)),
            expected,
            "{seq}"
        );
    }
}

#[test]
fn a_life_is_proven_by_answering_the_question_of_this_node() {
    let mut node = node(3);
    let answer = sealed(1, Body::Answer([9; 16]));
    let unasked = node.handle_datagram(&answer, [0; 16], ms(1));
    assert_eq!(unasked, Err(Discard::NotAsked));
    prove(&mut node, 4, ms(2));
    let again = sealed(4, Body::Answer([9; 16]));
    let again = node.handle_datagram(&again, [0; 16], ms(3));
    assert_eq!(again, Err(Discard::NotAsked), "a question is answered once");
    let earlier = sealed(3, Body::Beacon(beacon(&node, 100)));
    let earlier = node.handle_datagram(&earlier, [0; 16], ms(4));
    assert_eq!(earlier, Err(Discard::Replayed));
}

#[test]
fn what_is_for_others_or_from_strangers_is_dropped() {
    let mut node = node(3);
    let base = Message {
        cluster: 1,
        from: 2,
        to: 1,
        life: 1,
        body: Body::Challenge([0; 16]),
    };
    let cases = [
        (
            Message {
                cluster: 2,
                ..base.clone()
            },
            Discard::OtherCluster,
        ),
        (
            Message {
                to: 3,
                ..base.clone()
            },
            Discard::OtherReceiver,
        ),
        (
            Message {
                from: 1,
                ..base.clone()
            },
            Discard::OtherReceiver,
        ),
        (
            Message {
                from: 8,
                ..base.clone()
            },
            Discard::NotAMember,
        ),
        (
            Message {
                body: Body::Beacon(Beacon::default()),
                ..base
            },
            Discard::OtherMembers,
        ),
    ];
    for (message, expected) in cases {
        let bytes = wire::encode(&message, &keys());
        assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(1)), Err(expected));
    }
}

#[test]
fn an_acknowledgement_holds_up_ownership_from_when_the_beacon_was_sent() {
    let mut node = node(3);
    prove(&mut node, 1, ms(290));
    node.set_wish(&BTreeMap::from([(HERE, Wish { rank: 0 })]), ms(300));
    let record = node.record(HERE).expect("a claim");
    while node.poll_transmit(ms(300)).is_some() {}
    let accepted = |seq, life, record| {
        let heard = Heard {
            node: 1,
            life,
            seq: node.seq,
        };
        let entry = Entry {
            address: HERE,
            record,
            released: Claim::default(),
        };
        Beacon {
            table: 1,
            complete: 1,
            heard: vec![heard],
            entries: vec![entry],
            ..beacon(&node, seq)
        }
    };
    let other = Claim::default();
    let refused = [
        accepted(2, 1, other),
        accepted(3, 0, record),
        Beacon {
            quiet: true,
            ..accepted(4, 1, record)
        },
        Beacon {
            table: 2,
            ..accepted(5, 1, record)
        },
    ];
    let granted = accepted(6, 1, record);
    for beacon in refused {
        let bytes = sealed(1, Body::Beacon(beacon.clone()));
        assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(310)), Ok(()));
        assert_eq!(node.owns(HERE, ms(310)), None, "{beacon:?}");
    }
    let bytes = sealed(1, Body::Beacon(granted));
    assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(320)), Ok(()));
    assert_eq!(node.owns(HERE, ms(320)), Some(ms(500)), "sent at 300 ms");
    assert_eq!(node.owns(HERE, ms(499)), Some(ms(500)));
    assert_eq!(node.owns(HERE, ms(500)), None);
}

#[test]
fn timers_that_cannot_be_safe_are_refused() {
    let timers = Timers::default();
    let short = Timers {
        suspect: ms(249),
        ..timers
    };
    let sparse = Timers {
        interval: ms(67),
        ..timers
    };
    for timers in [short, sparse] {
        let made = Node::new(
            Config {
                timers,
                ..config(3)
            },
            Time::ZERO,
        );
        assert_eq!(made.err(), Some(ConfigError::Timers));
    }
    let stranger = Node::new(Config { me: 7, ..config(3) }, Time::ZERO);
    assert_eq!(stranger.err(), Some(ConfigError::NotAMember));
    let crowd = Node::new(config(33), Time::ZERO);
    assert_eq!(crowd.err(), Some(ConfigError::TooManyMembers(33)));
}
