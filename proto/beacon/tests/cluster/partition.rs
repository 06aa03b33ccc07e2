//! The rows of protocol section 2.6, under both policies.

use std::time::Duration;

use herald_beacon::{NodeId, Policy};

use crate::ms;
use crate::world::{World, address};

/// Nodes 1 to `size`; 1 owns address 1, and every node wishes for it.
fn settled(size: u64, policy: Policy, seed: u64) -> World {
    let mut world = World::with(size, size, seed, policy);
    world.wish(address(1), &[1]);
    world.run(ms(1000));
    assert_eq!(world.owners(address(1)), [1]);
    let all: Vec<NodeId> = (1..=size).collect();
    world.wish(address(1), &all);
    world.run(ms(100));
    world
}

fn owners(world: &World) -> Vec<NodeId> {
    world.owners(address(1))
}

fn degraded(world: &World, id: NodeId) -> Option<bool> {
    world.hold(id, address(1)).map(|hold| hold.degraded)
}

/// All beacons are lost, the LAN is whole.
fn block_beacons(world: &mut World) {
    let ids: Vec<NodeId> = world.machines.keys().copied().collect();
    ids.iter().for_each(|id| world.isolate(*id));
}

const BOTH: [Policy; 2] = [Policy::Available, Policy::Exclusive];

#[test]
fn an_owner_isolated_from_all_is_replaced_and_stays_silent_without_its_gateway() {
    for policy in BOTH {
        let mut world = settled(3, policy, 1);
        world.unplug(1, 1);
        let took = world.until_owned(address(1), Some(1));
        assert!(took <= ms(400), "{policy:?}: {took:?}");
        world.run(ms(3000));
        assert_eq!(owners(&world).len(), 1);
        assert_eq!(degraded(&world, 1), None, "{policy:?}");
    }
}

#[test]
fn a_cut_between_switches_leaves_the_minority_owner_only_if_it_has_the_gateway() {
    for (policy, gateway, resumes) in [
        (Policy::Available, true, true),
        (Policy::Available, false, false),
        (Policy::Exclusive, true, false),
    ] {
        let mut world = settled(3, policy, 2);
        world.unplug(1, 1);
        if gateway {
            world.gateways.insert(1);
        }
        let start = world.now;
        while degraded(&world, 1) != Some(true) && world.now < start + ms(3000) {
            world.step();
            let silent = world.now > start + ms(230) && world.now < start + ms(500);
            assert!(
                !silent || degraded(&world, 1).is_none(),
                "350 ms of silence"
            );
        }
        let expected = resumes.then_some(true);
        assert_eq!(
            degraded(&world, 1),
            expected,
            "{policy:?}, gateway {gateway}"
        );
        world.run(ms(1000));
        let majority: Vec<NodeId> = owners(&world).into_iter().filter(|id| *id != 1).collect();
        assert_eq!(majority.len(), 1, "the majority has an owner");
        world.heal();
        world.run(ms(100));
        assert_eq!(
            owners(&world),
            majority,
            "{policy:?}: the higher epoch wins"
        );
        let moves = world.moves.len();
        world.run(ms(2000));
        assert_eq!(world.moves.len(), moves);
    }
}

#[test]
fn claims_of_equal_epoch_after_a_cut_have_one_winner_at_once() {
    for seed in 0..20 {
        let mut world = settled(4, Policy::Available, seed);
        world.gateways.insert(1);
        world.crash(1);
        world.isolate(2);
        world.unplug(3, 1);
        world.isolate(4);
        world.run(ms(1200));
        assert!(owners(&world).contains(&3), "{:?}", owners(&world));
        assert_eq!(owners(&world).len(), 2, "one on each side");
        world.cut.clear();
        world.isolate(1);
        world.machines.get_mut(&3).expect("node 3").segment = 0;
        world.run(ms(80));
        assert!(
            owners(&world).len() <= 1,
            "seed {seed}: {:?}",
            owners(&world)
        );
        world.run(ms(1000));
        assert_eq!(owners(&world).len(), 1, "seed {seed}");
        let moves = world.moves.len();
        world.run(ms(2000));
        assert_eq!(world.moves.len(), moves, "seed {seed}");
    }
}

#[test]
fn blocked_beacons_pause_an_owner_and_move_nothing() {
    for size in [2, 3, 5] {
        let mut world = settled(size, Policy::Available, 3 + size);
        block_beacons(&mut world);
        let mut silent = Duration::ZERO;
        for _ in 0..4000 {
            world.step();
            if owners(&world).is_empty() {
                silent += ms(1);
            }
        }
        assert_eq!(world.moves.len(), 1, "{size} nodes: {:?}", world.moves);
        assert_eq!(degraded(&world, 1), Some(true));
        assert!(silent >= ms(350) && silent <= ms(600), "{size}: {silent:?}");
        let asked = world.asked;
        world.run(ms(10_000));
        let asked = world.asked - asked;
        assert!(
            asked <= 10 * 12 * size as usize,
            "{size}: {asked} questions"
        );
        world.heal();
        world.run(ms(300));
        assert_eq!(degraded(&world, 1), Some(false), "{size}");
        assert_eq!(world.moves.len(), 1);
    }
    let mut world = settled(3, Policy::Exclusive, 3);
    block_beacons(&mut world);
    world.run(ms(4000));
    assert!(owners(&world).is_empty());
    assert_eq!(world.asked, 0, "it asks nothing");
}

#[test]
fn of_two_nodes_the_one_that_is_left_takes_over_by_asking() {
    for seed in 0..10 {
        let mut world = settled(2, Policy::Available, seed);
        world.crash(1);
        let took = world.until_owned(address(1), Some(1));
        assert!(took >= ms(350) && took <= ms(620), "seed {seed}: {took:?}");
        assert_eq!(degraded(&world, 2), Some(true));
        world.start(1);
        world.run(ms(3000));
        assert_eq!(owners(&world), [2], "the returning node takes nothing back");
        assert_eq!(degraded(&world, 2), Some(false));
    }
    let mut world = settled(2, Policy::Exclusive, 1);
    world.crash(1);
    world.run(ms(5000));
    assert!(owners(&world).is_empty());
}

#[test]
fn of_two_nodes_without_beacons_the_owner_keeps_what_it_answers_for() {
    let mut world = settled(2, Policy::Available, 5);
    block_beacons(&mut world);
    world.run(ms(10_000));
    assert_eq!(owners(&world), [1]);
    assert_eq!(world.moves.len(), 1, "{:?}", world.moves);
}

#[test]
fn of_two_nodes_one_that_is_not_heard_keeps_the_address() {
    for cut in [(1, 2), (2, 1)] {
        let mut world = settled(2, Policy::Available, 6);
        world.cut.insert(cut);
        world.run(ms(5000));
        assert_eq!(owners(&world), [1], "{cut:?}");
        assert_eq!(world.moves.len(), 1);
    }
}

#[test]
fn when_a_majority_dies_at_once_a_survivor_takes_over_by_asking() {
    for seed in 0..10 {
        let mut world = settled(5, Policy::Available, seed);
        for id in [1, 2, 3] {
            world.crash(id);
        }
        let took = world.until_owned(address(1), Some(1));
        assert!(took >= ms(350) && took <= ms(700), "seed {seed}: {took:?}");
        let moves = world.moves.len();
        world.run(ms(5000));
        assert_eq!(world.moves.len(), moves, "one survivor");
        for id in [1, 2, 3] {
            world.start(id);
        }
        world.run(ms(3000));
        assert_eq!(world.moves.len(), moves, "nothing moves back");
        assert_eq!(owners(&world).len(), 1);
    }
}

#[test]
fn an_owner_that_slept_wakes_up_silent_and_finds_itself_replaced() {
    for (size, policy) in [
        (2, Policy::Available),
        (3, Policy::Available),
        (3, Policy::Exclusive),
    ] {
        let mut world = settled(size, policy, 7);
        let until = world.now + ms(2000);
        world.machines.get_mut(&1).expect("node 1").paused_until = until;
        world.run(ms(4000));
        let owners = owners(&world);
        assert!(owners.len() == 1 && owners != [1], "{size}: {owners:?}");
        let back = world
            .moves
            .iter()
            .filter(|(_, owner, _)| *owner == 1)
            .count();
        assert_eq!(back, 1, "{:?}", world.moves);
    }
}

#[test]
fn an_owner_without_majority_that_loses_its_gateway_falls_silent() {
    let mut world = settled(3, Policy::Available, 8);
    block_beacons(&mut world);
    world.run(ms(2000));
    assert_eq!(degraded(&world, 1), Some(true));
    world.gateways.clear();
    world.run(ms(1300));
    assert!(owners(&world).is_empty());
    world.gateways.insert(0);
    world.run(ms(2500));
    assert_eq!(degraded(&world, 1), Some(true));
}

#[test]
fn a_node_alone_at_its_start_waits_three_seconds_before_it_asks() {
    let mut world = World::with(3, 3, 9, Policy::Available);
    world.crash(2);
    world.crash(3);
    world.wish(address(1), &[1, 2, 3]);
    let took = world.until_owned(address(1), None);
    assert!(took >= ms(2600) && took <= ms(3600), "{took:?}");
}
