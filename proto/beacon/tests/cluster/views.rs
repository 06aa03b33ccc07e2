//! Views that change under real nodes: growing and shrinking moves nothing, and a node that was left
//! out learns it from its peers.

use std::time::Duration;

use herald_beacon::{NodeId, Policy};

use crate::ms;
use crate::world::{World, address};

/// Lets `by` write the next view as soon as it may; how long the address was nobody's meanwhile and
/// in the second after.
fn step_view(world: &mut World, by: NodeId, other: NodeId) -> Duration {
    let start = world.now;
    let mut dark = Duration::ZERO;
    let mut written = None;
    while written.is_none_or(|written| world.now < written + ms(1000)) {
        world.step();
        if written.is_none() && world.write_view(by, other) {
            written = Some(world.now);
        }
        if world.owners(address(1)).is_empty() {
            dark += ms(1);
        }
        assert!(world.now < start + ms(3000), "it never may write");
    }
    dark
}

#[test]
fn a_cluster_grows_from_one_node_to_five_and_shrinks_again_without_a_move() {
    for policy in [Policy::Available, Policy::Exclusive] {
        let mut world = World::with(5, 1, 1, policy);
        world.wish(address(1), &[1, 2, 3, 4, 5]);
        world.run(ms(1000));
        assert_eq!(world.owners(address(1)), [1]);
        for (by, other) in [(1, 2), (2, 3), (1, 4), (3, 5)] {
            let dark = step_view(&mut world, by, other);
            let limit = if other == 2 { ms(200) } else { Duration::ZERO };
            assert!(dark <= limit, "{policy:?}, {other} joins: {dark:?}");
        }
        for (by, other) in [(1, 5), (4, 4), (2, 3), (1, 2)] {
            let dark = step_view(&mut world, by, other);
            assert_eq!(dark, Duration::ZERO, "{policy:?}, {other} leaves");
            assert!(world.hold(other, address(1)).is_none());
        }
        assert_eq!(world.moves.len(), 1, "{:?}", world.moves);
        assert_eq!(world.chain.len(), 9);
        let node = world.machines[&1].node.as_ref().expect("running");
        assert_eq!(node.view(), world.chain.last());
    }
}

#[test]
fn a_member_that_heard_nothing_of_the_change_is_sent_the_view() {
    let mut world = World::with(4, 3, 2, Policy::Exclusive);
    world.run(ms(1000));
    assert!(world.write_view(1, 4));
    world.run(ms(200));
    for id in 1..=4 {
        let node = world.machines[&id].node.as_ref().expect("running");
        assert_eq!(node.view(), world.chain.last(), "{id}");
    }
    world.run(ms(1000));
    assert!(world.write_view(4, 3), "the new member has settled too");
    world.run(ms(200));
    let left = world.machines[&3].node.as_ref().expect("running");
    assert_eq!(
        left.view(),
        world.chain.last(),
        "the one that was left out knows"
    );
}

#[test]
fn who_is_outside_is_heard_before_it_joins_and_not_where_its_beacons_are_blocked() {
    let mut world = World::with(5, 3, 5, Policy::Exclusive);
    world.read_view(4);
    world.read_view(5);
    world.isolate(5);
    world.cut.extend([(2, 4), (3, 4)]);
    world.wish(address(1), &[1, 2, 3, 4, 5]);
    world.run(ms(1000));
    let knocking = |world: &World| {
        let node = world.machines[&1].node.as_ref().expect("it runs");
        node.knocking(world.clock(1))
    };
    assert!(knocking(&world).is_empty(), "4 hears one of three");
    world.cut.remove(&(2, 4));
    world.run(ms(1000));
    assert_eq!(knocking(&world), [4].into());
    world.heal();
    world.run(ms(1000));
    assert_eq!(knocking(&world), [4, 5].into());
    assert_eq!(world.moves.len(), 1, "{:?}", world.moves);
}

#[test]
fn the_next_view_is_not_written_before_a_majority_settled() {
    let mut world = World::with(4, 3, 3, Policy::Exclusive);
    world.run(ms(1000));
    assert!(world.write_view(1, 4));
    let first = world.now;
    while !world.write_view(1, 4) {
        world.step();
    }
    let took = world.now - first;
    assert!(took >= ms(225) && took <= ms(400), "{took:?}");
}

#[test]
fn dead_members_are_removed_one_by_one_until_the_rest_is_a_majority() {
    let mut world = World::with(5, 5, 4, Policy::Exclusive);
    world.wish(address(1), &[1]);
    world.run(ms(1000));
    assert_eq!(world.owners(address(1)), [1], "nobody else wishes for it");
    for id in [3, 4, 5] {
        world.crash(id);
    }
    world.run(ms(1000));
    assert!(world.owners(address(1)).is_empty(), "two of five");
    world.gone.extend([3, 4, 5]);
    for id in [3, 4, 5] {
        while !world.write_view(1, id) {
            world.step();
        }
        world.run(ms(300));
    }
    assert_eq!(world.owners(address(1)), [1], "two of two");
}
