//! Forty nodes of which seven vote: what holds for a few holds for many, and costs little.

use std::collections::BTreeSet;
use std::time::Duration;

use herald_beacon::{NodeId, Policy, View};

use crate::ms;
use crate::world::{World, address};

const NODES: u64 = 40;
const VOTERS: u64 = 7;

fn council(number: u64) -> View {
    View {
        number,
        members: (1..=NODES).collect(),
        voters: (1..=VOTERS).collect(),
    }
}

/// So many, or in a soak all of them.
fn seeds(ordinary: u64) -> std::ops::Range<u64> {
    if std::env::var_os("HERALD_SOAK").is_some() {
        0..200
    } else {
        0..ordinary
    }
}

/// Five addresses, each with three candidates that do not vote and one that does.
fn settled(seed: u64, policy: Policy) -> World {
    let mut world = World::in_view(NODES, council(1), seed, policy);
    for at in 1..=5 {
        let first = 10 + NodeId::from(at) * 3;
        world.wish(
            address(at),
            &[first, first + 1, 1 + NodeId::from(at), first + 2],
        );
    }
    world.run(ms(1500));
    for at in 1..=5 {
        let first = 10 + NodeId::from(at) * 3;
        assert_eq!(world.owners(address(at)), [first], "seed {seed}");
    }
    world
}

#[test]
fn forty_nodes_of_which_seven_vote_replace_a_dead_owner_in_time() {
    for seed in seeds(2) {
        let mut world = settled(seed, Policy::Exclusive);
        world.crash(13);
        let took = world.until_owned(address(1), Some(13));
        assert!(took <= ms(450), "seed {seed}: {took:?}");
        assert_eq!(world.owners(address(1)), [14]);
        world.start(13);
        world.run(ms(2000));
        assert_eq!(
            world.owners(address(1)),
            [14],
            "a returning node takes nothing back"
        );
        let moved: BTreeSet<_> = world.moves.iter().skip(5).map(|(at, _, _)| *at).collect();
        assert_eq!(moved, BTreeSet::from([address(1)]));
        let live = world.machines[&20].node.as_ref().expect("it runs");
        assert_eq!(live.live(world.clock(20)).len(), 40);
    }
}

#[test]
fn a_node_without_a_vote_knows_who_lives_by_those_who_have_one() {
    let mut world = settled(1, Policy::Exclusive);
    for id in [30, 31, 7] {
        world.crash(id);
    }
    world.run(ms(400));
    for id in [1, 20] {
        let node = world.machines[&id].node.as_ref().expect("it runs");
        let live = node.live(world.clock(id));
        assert_eq!(live.len(), 37, "{id}");
        assert!([30, 31, 7].iter().all(|dead| !live.contains(dead)), "{id}");
    }
}

#[test]
fn three_of_seven_voters_may_die_and_a_fourth_may_not() {
    let mut world = settled(2, Policy::Exclusive);
    for id in [5, 6, 7] {
        world.crash(id);
    }
    world.run(ms(1000));
    for at in [1, 2, 3] {
        assert_eq!(world.owners(address(at)).len(), 1);
    }
    assert_eq!(world.moves.len(), 5, "{:?}", world.moves);
    world.crash(4);
    world.run(ms(300));
    assert!((1..=5).all(|at| world.owners(address(at)).is_empty()));
    world.start(4);
    world.run(ms(1500));
    assert!((1..=5).all(|at| world.owners(address(at)).len() == 1));
}

#[test]
fn a_handover_between_nodes_without_a_vote_takes_a_round() {
    let mut world = settled(3, Policy::Exclusive);
    let now = world.clock(16);
    let machine = world.machines.get_mut(&16).expect("a member");
    let node = machine.node.as_mut().expect("it runs");
    node.hand_over(address(2), now);
    let took = world.until_owned(address(2), None);
    assert!(took <= ms(30), "{took:?}");
    assert_eq!(
        world.owners(address(2)),
        [17],
        "the next in line, after its pause of 20 ms"
    );
}

#[test]
fn beacons_grow_with_the_voters_and_not_with_the_nodes() {
    let mut world = settled(4, Policy::Exclusive);
    let before = world.sent.clone();
    world.run(ms(2000));
    let sent = |id: NodeId| world.sent[&id].0 - before[&id].0;
    assert!(sent(20) <= VOTERS as usize * 45, "{}", sent(20));
    assert!(sent(1) <= (NODES as usize - 1) * 45, "{}", sent(1));
}

#[test]
fn without_voters_the_lan_is_asked_and_an_owner_that_lives_keeps_its_address() {
    for seed in seeds(2) {
        let mut world = settled(seed, Policy::Available);
        for id in 1..=VOTERS {
            world.crash(id);
        }
        world.crash(16);
        world.run(ms(3000));
        let owner = world.owners(address(1));
        assert_eq!(owner, [13], "seed {seed}");
        assert!(world.hold(13, address(1)).is_some_and(|hold| hold.degraded));
        let heirs = world.owners(address(2));
        assert!(heirs.len() == 1 && heirs != [16], "seed {seed}: {heirs:?}");
        for id in 1..=VOTERS {
            world.start(id);
        }
        world.run(ms(2000));
        let hold = world.hold(13, address(1));
        assert!(hold.is_some_and(|hold| !hold.degraded), "seed {seed}");
    }
}

/// One voter after the other is replaced while addresses are owned.
#[test]
fn votes_change_hands_without_a_move() {
    let mut world = settled(5, Policy::Exclusive);
    let moves = world.moves.len();
    for (leaves, joins) in [(1, 20), (2, 13), (3, 1)] {
        for (id, votes) in [(leaves, false), (joins, true)] {
            let mut next = world.chain.last().expect("a view").clone();
            next.number += 1;
            if votes {
                next.voters.insert(id);
            } else {
                next.voters.remove(&id);
            }
            let start = world.now;
            while !world.write(4, next.clone()) {
                world.step();
                assert!(world.now < start + Duration::from_secs(3), "it may not");
            }
        }
    }
    world.run(ms(1000));
    assert_eq!(world.moves.len(), moves, "{:?}", world.moves);
    assert!((1..=5).all(|at| world.owners(address(at)).len() == 1));
    let views = world
        .machines
        .values()
        .filter_map(|machine| machine.node.as_ref()?.view());
    assert!(views.into_iter().all(|view| view.number == 7));
}

/// Crashes, sleeps, cuts and loss among forty: never two owners, and peace makes one.
#[test]
fn faults_among_forty_never_make_two_owners_and_peace_makes_one() {
    for seed in seeds(2) {
        let mut world = settled(100 + seed, Policy::Exclusive);
        world.loss = 20;
        world.delay = ms(3);
        for _ in 0..25 {
            let id = 1 + world.dice.below(NODES);
            match world.dice.below(6) {
                0 => world.crash(id),
                1 => world.start(id),
                2 => world.isolate(id),
                3 => {
                    let until = world.now + ms(world.dice.below(800));
                    world.machines.get_mut(&id).expect("a member").paused_until = until;
                }
                4 => {
                    let votes = 1 + world.dice.below(VOTERS);
                    world.cut.insert((id, votes));
                }
                _ => world.heal(),
            }
            let pause = ms(20 + world.dice.below(200));
            world.run(pause);
        }
        world.heal();
        world.loss = 0;
        for id in 1..=NODES {
            if world.machines[&id].node.is_none() {
                world.start(id);
            }
        }
        world.run(ms(3000));
        for at in 1..=5 {
            assert_eq!(world.owners(address(at)).len(), 1, "seed {seed}");
        }
    }
}
