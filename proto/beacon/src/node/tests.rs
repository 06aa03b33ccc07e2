use proptest::prelude::*;

use super::*;
use crate::wire::tests::message;
use crate::wire::{self, Beacon, Heard, Message};
use crate::{Discard, Entry, Key, Policy, Timers};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn ms(count: u64) -> Time {
    Time::from_millis(count)
}

fn keys() -> Keys {
    Keys::new(1, Key([7; 32]))
}

fn config() -> Config {
    Config {
        cluster: 1,
        me: 1,
        life: 1,
        keys: keys(),
        timers: Timers::default(),
        policy: Policy::Exclusive,
    }
}

fn view(number: u64, members: impl IntoIterator<Item = NodeId>) -> View {
    let members = members.into_iter().collect();
    View::of_equals(number, members)
}

/// Node 1, not in any view yet; it knows the addresses of nodes 1 to 9.
fn outsider() -> Node {
    let mut node = Node::new(config(), Time::ZERO).expect("a sound configuration");
    let home = |id: NodeId| (id, SocketAddr::from(([10, 0, 0, 1], 7000 + id as u16)));
    node.set_peers(&(1..10).map(home).collect());
    node
}

/// Node 1 in view 5, of nodes 1 to `size`.
fn node(size: u64) -> Node {
    let mut node = outsider();
    assert!(node.set_view(view(5, 1..=size), Time::ZERO));
    node
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

fn beacon(seq: u64) -> Beacon {
    Beacon {
        seq,
        view: 5,
        ..Beacon::default()
    }
}

/// Node 2 proves its life to `node`.
fn prove(node: &mut Node, life: Life, now: Time) {
    let hello = sealed(life, Body::Beacon(beacon(1)));
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
                beacon.view = 5;
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

proptest! {
    /// What a node sends, changed at random and sealed again.
    #[test]
    fn changed_datagrams_of_real_nodes_never_panic(
        changes in proptest::collection::vec((0usize..1200, any::<u8>(), 0usize..3), 1..40),
    ) {
        let mut node = node(3);
        let mut peer = Node::new(Config { me: 2, ..config() }, Time::ZERO).expect("sound");
        let home = |id: NodeId| (id, SocketAddr::from(([10, 0, 0, 1], 7000 + id as u16)));
        peer.set_peers(&(1..10).map(home).collect());
        prop_assert!(peer.set_view(view(5, 1..=3), Time::ZERO));
        let wishes = BTreeMap::from([(HERE, Wish { rank: 0 })]);
        let mut changes = changes.into_iter();
        let mut now = Time::ZERO;
        for round in 0..60 {
            now += ms(20);
            if round == 15 {
                node.set_wish(&wishes, now);
                peer.set_wish(&wishes, now);
            }
            let mut sent = 0;
            while let Some(transmit) = node.poll_transmit(now) {
                let _ = peer.handle_datagram(&transmit.bytes, [4; 16], now);
                sent += 1;
                prop_assert!(sent < 100);
            }
            while let Some(mut transmit) = peer.poll_transmit(now) {
                if let Some((at, to, also)) = changes.next().filter(|_| round > 10) {
                    transmit.bytes.truncate(transmit.bytes.len() - 16);
                    let length = transmit.bytes.len();
                    for at in [at, 40, 48, 56, 64].iter().take(1 + also) {
                        transmit.bytes[at % length] = to;
                    }
                    keys().seal(&mut transmit.bytes);
                }
                let _ = node.handle_datagram(&transmit.bytes, [5; 16], now);
                sent += 1;
                prop_assert!(sent < 200);
            }
        }
        prop_assert!(node.poll_timeout() < now + ms(300));
    }
}

#[test]
fn a_flood_in_one_name_is_not_read_and_costs_no_other_name() {
    let mut node = node(3);
    prove(&mut node, 1, ms(1));
    let mut forged = sealed(1, Body::Challenge([1; 16]));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    forged[16..24].copy_from_slice(&3u64.to_be_bytes());
    let mut reasons = BTreeMap::new();
    for at in 0..3000 {
        let dropped = node.handle_datagram(&forged, [0; 16], ms(1000 + at / 30));
        *reasons.entry(dropped.expect_err("forged")).or_insert(0) += 1;
    }
    let read = reasons[&Discard::BadSeal];
    assert!((500..=700).contains(&read), "{reasons:?}");
    assert_eq!(reasons[&Discard::Flood], 3000 - read);
    let heard = sealed(1, Body::Beacon(beacon(2)));
    assert_eq!(node.handle_datagram(&heard, [0; 16], ms(1100)), Ok(()));
}

#[test]
fn beacons_are_spread_a_tenth_around_the_interval() {
    let mut node = node(2);
    let mut before = None;
    let mut pauses = BTreeSet::new();
    for now in 0..5000 {
        while node.poll_transmit(ms(now)).is_some() {
            pauses.extend(before.map(|before| now - before));
            before = Some(now);
        }
    }
    assert!(pauses.len() > 5, "{pauses:?}");
    assert!(
        pauses.iter().all(|pause| (45..=56).contains(pause)),
        "{pauses:?}"
    );
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
        let bytes = sealed(1, Body::Beacon(beacon(seq)));
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
    let earlier = sealed(3, Body::Beacon(beacon(100)));
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
        (Message { from: 18, ..base }, Discard::Stranger),
    ];
    for (message, expected) in cases {
        let bytes = wire::encode(&message, &keys());
        assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(1)), Err(expected));
    }
}

#[test]
fn an_acknowledgement_holds_up_ownership_from_when_the_beacon_was_sent() {
    let mut node = node(3);
    prove(&mut node, 1, ms(150));
    while node.poll_transmit(ms(200)).is_some() {}
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
            ..beacon(seq)
        }
    };
    let other = Claim::default();
    let refused = [
        accepted(3, 0, record),
        Beacon {
            quiet: true,
            ..accepted(4, 1, record)
        },
        Beacon {
            view: 4,
            ..accepted(5, 1, record)
        },
        Beacon {
            view: 6,
            ..accepted(6, 1, record)
        },
        Beacon {
            table: 2,
            ..accepted(7, 1, record)
        },
        accepted(8, 1, other),
    ];
    let granted = accepted(9, 1, record);
    for beacon in refused {
        let bytes = sealed(1, Body::Beacon(beacon.clone()));
        assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(310)), Ok(()));
        assert_eq!(node.owns(HERE, ms(310)), None, "{beacon:?}");
    }
    let bytes = sealed(1, Body::Beacon(granted));
    assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(320)), Ok(()));
    let hold = Hold {
        until: ms(500),
        degraded: false,
    };
    assert_eq!(node.owns(HERE, ms(320)), Some(hold), "sent at 300 ms");
    assert_eq!(node.owns(HERE, ms(499)), Some(hold));
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
    let long = Timers {
        grant: ms(201),
        suspect: ms(300),
        ..timers
    };
    for timers in [short, sparse, long] {
        let made = Node::new(Config { timers, ..config() }, Time::ZERO);
        assert_eq!(made.err(), Some(ConfigError::Timers));
    }
}

#[test]
fn a_node_with_short_timers_keeps_its_promise_to_one_with_long_ones() {
    let timers = Timers {
        interval: ms(30),
        grant: ms(100),
        suspect: ms(130),
        ..Timers::default()
    };
    let silent_after = |grant| {
        let mut node = Node::new(Config { timers, ..config() }, ms(0)).expect("sound");
        node.set_view(view(5, 1..=3), ms(0));
        prove(&mut node, 1, ms(1000));
        let beacon = Beacon { grant, ..beacon(2) };
        let datagram = sealed(1, Body::Beacon(beacon));
        assert_eq!(node.handle_datagram(&datagram, [0; 16], ms(1000)), Ok(()));
        let mut later = (1000..2000).map(ms);
        let silent = later.find(|now| !node.live(*now).contains(&2));
        silent.map(|silent| silent - ms(1000))
    };
    assert_eq!(silent_after(ms(100)), Some(ms(130)));
    assert_eq!(silent_after(ms(200)), Some(ms(250)));
    let mut node = Node::new(Config { timers, ..config() }, ms(0)).expect("sound");
    node.set_view(view(5, 1..=3), ms(0));
    assert!(
        !node.awake(ms(249)),
        "an earlier life may have had longer timers"
    );
}

#[test]
fn a_node_adopts_later_views_only() {
    let mut node = outsider();
    assert!(node.set_view(view(5, 1..=3), ms(0)));
    assert!(!node.set_view(view(5, 1..=4), ms(1)));
    assert!(!node.set_view(view(4, 1..=4), ms(1)));
    assert!(!node.set_view(view(6, 1..=33), ms(1)), "too many");
    assert!(node.set_view(view(9, 1..=4), ms(1)));
    assert_eq!(node.view(), Some(&view(9, 1..=4)));
}

#[test]
fn a_node_outside_the_view_owns_nothing_and_lets_the_voters_hear_it() {
    let alone = |node: &mut Node, voters: &[NodeId]| {
        node.set_wish(&BTreeMap::from([(HERE, Wish { rank: 0 })]), ms(300));
        let told = std::iter::from_fn(|| node.poll_transmit(ms(300)));
        let told = told.map(|sent| wire::decode(&sent.bytes, &keys()).expect("well made"));
        let told: Vec<Message> = told.collect();
        assert_eq!(told.iter().map(|one| one.to).collect::<Vec<_>>(), voters);
        let beacons = |one: &Message| matches!(one.body, Body::Beacon(_));
        assert!(told.iter().all(beacons));
        assert_eq!(node.owns(HERE, ms(300)), None);
        assert!(!node.quorum(ms(300)) && !node.may_step(&BTreeSet::new()));
        assert!(node.poll_timeout() > ms(300));
    };
    let mut without = outsider();
    alone(&mut without, &[]);
    let mut left_out = outsider();
    assert!(left_out.set_view(view(5, [2]), ms(0)));
    alone(&mut left_out, &[2]);
    for mut node in [without, left_out] {
        let later = view(6, [1, 2]);
        let told = sealed(7, Body::View(later.clone()));
        assert_eq!(node.handle_datagram(&told, [0; 16], ms(310)), Ok(()));
        assert_eq!(node.handle_datagram(&told, [0; 16], ms(320)), Ok(()));
        assert_eq!(node.poll_event(), Some(Event::View(later)));
        assert_eq!(node.poll_event(), None, "once");
        assert_eq!(node.handle_datagram(&told, [0; 16], ms(2000)), Ok(()));
        assert!(node.poll_event().is_some(), "the shell may have failed");
    }
    let mut member = node(1);
    member.set_wish(&BTreeMap::from([(HERE, Wish { rank: 0 })]), ms(300));
    assert!(member.owns(HERE, ms(300)).is_some(), "alone in its view");
    assert!(member.set_view(view(6, [2]), ms(310)));
    assert_eq!(member.owns(HERE, ms(310)), None);
}

#[test]
fn what_a_node_outside_the_view_acknowledges_holds_up_nobody_and_lets_it_join() {
    let mut node = outsider();
    assert!(node.set_view(view(5, [1, 3]), Time::ZERO));
    prove(&mut node, 1, ms(260));
    node.set_wish(&BTreeMap::from([(HERE, Wish { rank: 0 })]), ms(300));
    let mut newest = 0;
    for (count, now) in (2..).zip([300, 320, 340].map(ms)) {
        while let Some(sent) = node.poll_transmit(now) {
            let message = wire::decode(&sent.bytes, &keys()).expect("well made");
            if let Body::Beacon(beacon) = message.body {
                newest = beacon.seq;
            }
        }
        assert!(node.knocking(now).is_empty(), "it hears too few");
        let heard = |node, seq| Heard { node, life: 1, seq };
        let acknowledging = Beacon {
            heard: vec![heard(1, newest), heard(3, count)],
            ..beacon(count)
        };
        let hears_one = Beacon {
            heard: vec![heard(1, newest)],
            ..beacon(count)
        };
        let last = now == ms(340);
        let body = Body::Beacon(if last { acknowledging } else { hears_one });
        assert_eq!(node.handle_datagram(&sealed(1, body), [0; 16], now), Ok(()));
        assert!(!node.quorum(now) && node.owns(HERE, now).is_none());
    }
    assert_eq!(node.knocking(ms(341)), BTreeSet::from([2]));
    assert!(node.knocking(ms(600)).is_empty(), "silent again");
}

#[test]
fn a_peer_that_is_behind_is_sent_the_view() {
    let mut node = node(3);
    prove(&mut node, 1, ms(1));
    while node.poll_transmit(ms(1)).is_some() {}
    let mut views = |seq, number, now| {
        let behind = Beacon {
            view: number,
            ..beacon(seq)
        };
        let bytes = sealed(1, Body::Beacon(behind));
        assert_eq!(node.handle_datagram(&bytes, [0; 16], now), Ok(()));
        let mut views = 0;
        while let Some(sent) = node.poll_transmit(now) {
            let message = wire::decode(&sent.bytes, &keys()).expect("well made");
            views += usize::from(message.body == Body::View(view(5, 1..=3)));
        }
        views
    };
    assert_eq!(views(2, 5, ms(10)), 0);
    assert_eq!(views(3, 4, ms(20)), 1);
    assert_eq!(views(4, 4, ms(30)), 0, "not twice in an interval");
    assert_eq!(views(5, 4, ms(80)), 1);
    assert_eq!(views(6, 6, ms(140)), 0);
}

#[test]
fn the_next_view_waits_until_a_majority_settled() {
    let none = BTreeSet::new();
    let mut node = node(3);
    prove(&mut node, 1, ms(1));
    assert!(!node.may_step(&none));
    let mut settle = |settled, view, seq, now| {
        let beacon = Beacon {
            settled,
            view,
            ..beacon(seq)
        };
        let bytes = sealed(1, Body::Beacon(beacon));
        assert_eq!(node.handle_datagram(&bytes, [0; 16], now), Ok(()));
        node.may_step(&none)
    };
    assert!(!settle(false, 5, 2, ms(260)), "only this node");
    assert!(!settle(true, 4, 3, ms(270)), "in another view");
    assert!(settle(true, 5, 4, ms(280)));
    assert!(settle(false, 5, 5, ms(290)), "a fact that stays");
    let gone = BTreeSet::from([3, 77]);
    assert!(node.set_view(view(6, 1..=3), ms(300)));
    assert!(!node.may_step(&none), "of the view before");
    assert!(!node.may_step(&gone), "this node is not settled");
    while node.poll_transmit(ms(550)).is_some() {}
    assert!(node.may_step(&gone), "this node and one that is gone");
    assert!(!node.may_step(&none));
}

#[test]
fn a_node_that_forgot_a_vote_gives_none_until_what_it_held_up_has_ended() {
    let mut node = node(2);
    prove(&mut node, 1, ms(260));
    let mut seq = 1;
    let mut tell = |node: &mut Node, epoch, released, now| {
        let record = Claim {
            epoch,
            owner: 2,
            life: 1,
        };
        let entry = Entry {
            address: HERE,
            record,
            released: if released { record } else { Claim::default() },
        };
        seq += 1;
        let told = Beacon {
            table: seq,
            complete: seq,
            entries: vec![entry],
            ..beacon(seq)
        };
        let bytes = sealed(1, Body::Beacon(told));
        assert_eq!(node.handle_datagram(&bytes, [0; 16], now), Ok(()));
        while node.poll_transmit(now).is_some() {}
        node.record(HERE).map(|claim| claim.epoch)
    };
    assert_eq!(tell(&mut node, 5, false, ms(300)), Some(5));
    assert_eq!(tell(&mut node, 5, true, ms(310)), Some(5), "released");
    for second in 1..=601 {
        while node.poll_transmit(ms(second * 1000)).is_some() {}
        let known = node.record(HERE).is_some();
        assert_eq!(known, second < 601, "{second}");
    }
    assert_eq!(tell(&mut node, 5, true, ms(601_010)), None, "not again");
    assert_eq!(tell(&mut node, 6, false, ms(601_020)), None, "not yet");
    while node.poll_transmit(ms(601_300)).is_some() {}
    assert_eq!(node.record(HERE).map(|claim| claim.epoch), Some(6));
}

#[test]
fn a_node_learns_that_it_was_outlived() {
    let mut node = node(3);
    prove(&mut node, 1, ms(1));
    for (seq, life, expected) in [(2, 1, None), (3, 4, Some(Event::Outlived(4))), (4, 4, None)] {
        let heard = vec![Heard {
            node: 1,
            life,
            seq: 1,
        }];
        let beacon = Beacon {
            heard,
            ..beacon(seq)
        };
        let bytes = sealed(1, Body::Beacon(beacon));
        assert_eq!(node.handle_datagram(&bytes, [0; 16], ms(2)), Ok(()));
        assert_eq!(node.poll_event(), expected, "{seq}");
    }
}

#[test]
fn what_was_handed_over_and_not_taken_is_taken_back() {
    let mut node = node(1);
    node.set_wish(&BTreeMap::from([(HERE, Wish { rank: 0 })]), ms(300));
    assert!(node.owns(HERE, ms(300)).is_some());
    node.hand_over(HERE, ms(310));
    while node.poll_transmit(ms(409)).is_some() {}
    assert_eq!(node.owns(HERE, ms(409)), None);
    while node.poll_transmit(ms(410)).is_some() {}
    assert!(node.owns(HERE, ms(410)).is_some());
}
