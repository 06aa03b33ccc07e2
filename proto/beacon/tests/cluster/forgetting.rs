//! Addresses that nobody wants any more leave nothing behind.

use std::time::Duration;

use herald_beacon::Policy;

use crate::ms;
use crate::world::{World, address};

/// Longer than two looks at the votes, by the slowest clock.
const LONG: Duration = Duration::from_secs(1100);

fn known(world: &World) -> Vec<usize> {
    let nodes = world.machines.values();
    let nodes = nodes.filter_map(|machine| machine.node.as_ref());
    nodes.map(|node| node.records().count()).collect()
}

#[test]
fn what_nobody_wishes_for_is_forgotten_by_all_and_what_is_owned_is_not() {
    let mut world = World::with(3, 3, 1, Policy::Exclusive);
    world.wish(address(1), &[1, 2]);
    world.wish(address(2), &[2, 1]);
    world.run(ms(1000));
    assert_eq!(known(&world), [2, 2, 2]);
    world.wish(address(2), &[]);
    world.run(ms(100));
    assert!(world.owners(address(2)).is_empty());
    assert_eq!(known(&world), [2, 2, 2]);
    world.checked = false;
    world.run(LONG);
    world.checked = true;
    assert_eq!(
        known(&world),
        [1, 1, 1],
        "nobody teaches it the others again"
    );
    assert_eq!(world.owners(address(1)), [1]);
    let epoch = |world: &World| {
        let node = world.machines[&2].node.as_ref().expect("it runs");
        node.record(address(2)).map(|claim| claim.epoch)
    };
    world.wish(address(2), &[2, 1]);
    let took = world.until_owned(address(2), None);
    assert!(took <= ms(400), "{took:?}");
    assert_eq!(world.owners(address(2)), [2]);
    assert!(epoch(&world) >= Some(2), "no claim is made twice");
    assert_eq!(world.owners(address(1)), [1]);
}
