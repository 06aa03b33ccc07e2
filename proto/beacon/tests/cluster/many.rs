//! A thousand addresses on ten nodes: what a beacon costs while nothing changes, and how many
//! datagrams it takes to replace a dead owner of all. Counts, not times.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use herald_beacon::{NodeId, Policy, Wish};

use crate::ms;
use crate::world::World;

const ADDRESSES: u32 = 1000;
const NODES: u64 = 10;

fn addresses() -> impl Iterator<Item = IpAddr> {
    (1..=ADDRESSES).map(|at| IpAddr::V4(Ipv4Addr::from_bits(0xc633_0000 + at)))
}

fn wish_for_all(world: &mut World, ids: std::ops::RangeInclusive<NodeId>) {
    for id in 1..=NODES {
        let rank = |id: NodeId| Wish {
            rank: u32::try_from(id).expect("few nodes") - 1,
        };
        let wishes: BTreeMap<IpAddr, Wish> = addresses()
            .filter(|_| ids.contains(&id))
            .map(|address| (address, rank(id)))
            .collect();
        world.set_wishes(id, wishes);
    }
}

fn judgements(world: &World) -> u64 {
    let nodes = world
        .machines
        .values()
        .filter_map(|machine| machine.node.as_ref());
    nodes.map(|node| node.judgements()).sum()
}

fn datagrams(world: &World) -> usize {
    world.sent.values().map(|(count, _)| count).sum()
}

#[test]
fn a_thousand_addresses_cost_little_in_calm_and_change_hands_in_one_round() {
    let mut world = World::with(NODES, NODES, 1, Policy::Available);
    world.checked = false;
    wish_for_all(&mut world, 1..=1);
    world.run(ms(1000));
    wish_for_all(&mut world, 1..=NODES);
    world.run(ms(1000));
    assert!(addresses().all(|address| world.owners(address) == [1]));

    let (judged, sent) = (judgements(&world), datagrams(&world));
    world.run(ms(2000));
    let (judged, sent) = (judgements(&world) - judged, datagrams(&world) - sent);
    println!("calm: {sent} datagrams, {judged} judgements in 2 s");
    assert_eq!(judged, 0, "nothing changed");
    assert!(sent <= 2 * 90 * 25, "{sent}");

    world.crash(1);
    let start = world.now;
    let first = addresses().next().expect("an address");
    while world.owners(first).is_empty() || world.owners(first) == [1] {
        let before = world.sent.clone();
        world.step();
        let claimed = world.owners(first);
        if let Some(owner) = claimed.first().filter(|_| world.now > start) {
            let more = world.sent[owner].0 - before[owner].0;
            println!(
                "node {owner} owns after {:?}, {more} datagrams in the last step",
                world.now - start
            );
        }
        assert!(world.now < start + ms(500), "nobody claims");
    }
    let (judged, sent) = (judgements(&world), datagrams(&world));
    world.run(ms(3));
    let owned = addresses()
        .filter(|address| world.owners(*address).len() == 1)
        .count();
    assert_eq!(owned, ADDRESSES as usize, "all in the same round");
    world.run(ms(300));
    let (judged, sent) = (judgements(&world) - judged, datagrams(&world) - sent);
    println!("takeover: {sent} datagrams, {judged} judgements in the 300 ms after");
    assert!(sent <= 9 * 8 * 60, "{sent}");
}
