//! Nodes whose beacons pass and whose announced network may not.

use std::collections::BTreeSet;
use std::time::Duration;

use herald_beacon::{NodeId, Policy};

use crate::world::World;

/// Nodes that have heard each other on the LAN for a while.
fn acquainted(size: u64, seed: u64) -> World {
    let mut world = World::with(size, size, seed, Policy::Available);
    world.run(Duration::from_secs(2));
    assert_eq!(world.unheard(), BTreeSet::new());
    world
}

fn cable(world: &mut World, id: NodeId, segment: u64) {
    world.machines.get_mut(&id).expect("a member").segment = segment;
}

/// Runs until somebody is unheard, for five seconds at most; who, and after how long.
fn until_unheard(world: &mut World) -> (BTreeSet<NodeId>, Duration) {
    let start = world.now;
    while world.unheard().is_empty() && world.now < start + Duration::from_secs(5) {
        world.run(Duration::from_millis(10));
    }
    (world.unheard(), world.now - start)
}

#[test]
fn of_three_the_one_whose_network_fails_is_unheard_and_then_heard_again() {
    for seed in 0..20 {
        let mut world = acquainted(3, seed);
        world.loss = 10;
        cable(&mut world, 2, 7);
        let (unheard, after) = until_unheard(&mut world);
        assert_eq!(unheard, BTreeSet::from([2]), "seed {seed}");
        let about = Duration::from_millis(900)..Duration::from_millis(1700);
        assert!(about.contains(&after), "seed {seed}: {after:?}");
        world.run(Duration::from_secs(3));
        assert_eq!(world.unheard(), BTreeSet::from([2]), "seed {seed}");
        let told = world.machines[&1].node.as_ref().expect("it runs");
        let told = told.unheard(world.clock(1));
        assert_eq!(
            told.keys().copied().collect::<Vec<_>>(),
            [2],
            "the others know"
        );
        world.heal();
        world.run(Duration::from_secs(1));
        assert_eq!(world.unheard(), BTreeSet::new(), "seed {seed}");
    }
}

#[test]
fn of_two_the_one_that_lost_its_gateway_is_unheard() {
    for seed in 0..20 {
        let mut world = acquainted(2, seed);
        cable(&mut world, 1, 7);
        assert_eq!(
            until_unheard(&mut world).0,
            BTreeSet::from([1]),
            "seed {seed}"
        );
        world.run(Duration::from_secs(3));
        assert_eq!(world.unheard(), BTreeSet::from([1]), "seed {seed}");
    }
}

#[test]
fn where_nobody_hears_anybody_nobody_is_unheard() {
    for seed in 0..20 {
        // The network is gone for all at once; the gateway with it, or there is none.
        for size in [1, 2, 3, 5] {
            let mut world = acquainted(size, seed);
            world.loss = 20;
            for id in 1..=size {
                cable(&mut world, id, 100 + id);
            }
            for _ in 0..40 {
                world.run(Duration::from_millis(100));
                assert_eq!(world.unheard(), BTreeSet::new(), "seed {seed}");
            }
        }
    }
}

#[test]
fn a_switch_that_never_passed_the_copies_proves_nothing() {
    let mut world = World::with(3, 3, 1, Policy::Available);
    for id in 1..=3 {
        cable(&mut world, id, 100 + id);
    }
    world.run(Duration::from_secs(5));
    assert_eq!(world.unheard(), BTreeSet::new());
}

#[test]
fn who_hears_its_gateway_is_not_unheard() {
    let mut world = acquainted(3, 1);
    world.gateways.insert(7);
    cable(&mut world, 2, 7);
    for _ in 0..40 {
        world.run(Duration::from_millis(100));
        assert_eq!(world.unheard(), BTreeSet::new());
    }
}

#[test]
fn a_node_that_was_stopped_is_not_unheard_for_that() {
    for seed in 0..20 {
        let mut world = acquainted(3, seed);
        let until = world.now + Duration::from_secs(3);
        world.machines.get_mut(&3).expect("a member").paused_until = until;
        world.run(Duration::from_secs(3));
        for _ in 0..200 {
            world.run(Duration::from_millis(10));
            assert_eq!(world.unheard(), BTreeSet::new(), "seed {seed}");
        }
    }
}
