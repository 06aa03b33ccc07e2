//! Random faults by seed. `HERALD_SEED=n` runs that one, `HERALD_SEEDS=n` so many from
//! `HERALD_FIRST_SEED` (0), `HERALD_SOAK=1` 100 000. A seed that fails says so.

use std::collections::BTreeSet;
use std::time::Duration;

use herald_beacon::{NodeId, Policy};

use crate::ms;
use crate::world::{STEP, World, address};

/// Random faults, then peace.
fn storm(seed: u64) -> [Duration; 2] {
    let size = 2 + seed % 4;
    let spare = size + 1;
    let policy = if (seed / 4).is_multiple_of(2) {
        Policy::Exclusive
    } else {
        Policy::Available
    };
    let mut world = World::with(spare, size, seed, policy);
    let nodes: Vec<NodeId> = (1..=spare).collect();
    let addresses = [address(1), address(2)];
    for (turn, address) in addresses.iter().enumerate() {
        let mut candidates = nodes.clone();
        candidates.rotate_left(turn);
        world.wish(*address, &candidates);
    }
    while world.now < ms(3000) {
        let pause = 5 + world.dice.below(150);
        world.run(ms(pause));
        fault(&mut world, &nodes);
    }
    peace(&mut world, &nodes);
    let members = world.chain.last().expect("a view").members.clone();
    for address in addresses {
        if seed.is_multiple_of(3) {
            // Most only vote.
            let lucky = world.dice.below(members.len() as u64) as usize;
            let one: Vec<NodeId> = members.iter().copied().skip(lucky).take(1).collect();
            world.wish(address, &one);
        } else {
            world.wish(address, &nodes);
        }
    }
    world.run(ms(3500));
    let moves = world.moves.len();
    for address in addresses {
        let owners = world.owners(address);
        if owners.len() != 1 {
            world.show(address);
        }
        assert!(owners.len() == 1, "{owners:?} own {address} in peace");
    }
    world.run(ms(1000));
    assert_eq!(world.moves.len(), moves, "a move without a cause");
    assert!(world.in_flight() < 200);
    world.longest_overlap
}

fn fault(world: &mut World, nodes: &[NodeId]) {
    let size = nodes.len() as u64;
    let node = 1 + world.dice.below(size);
    let other = 1 + world.dice.below(size);
    match world.dice.below(16) {
        0 => world.loss = world.dice.below(400),
        1 => world.delay = ms(1 + world.dice.below(400)),
        2 => world.delay = STEP,
        3 => world.doubled = world.dice.below(500),
        4 | 5 => {
            let until = world.now + ms(world.dice.below(700));
            let machine = world.machines.get_mut(&node).expect("a machine");
            machine.paused_until = until;
        }
        6 => world.crash(node),
        7 => world.start(node),
        8 if node != other => {
            world.cut.insert((node, other));
        }
        9 => world.isolate(node),
        10 => world.heal(),
        11 => {
            let segment = world.dice.below(2);
            world.unplug(node, segment);
        }
        12 => world.gateways = BTreeSet::from_iter((0..2).filter(|_| other.is_multiple_of(2))),
        13 => {
            // Everybody still running may write the next view, with or without one node.
            let _ = nodes.iter().any(|id| world.write_view(*id, node));
        }
        14 => world.read_view(node),
        _ => {
            let mut candidates = nodes.to_vec();
            candidates.rotate_left(node as usize % nodes.len());
            candidates.truncate(other as usize);
            world.wish(address(1 + (other % 2) as u8), &candidates);
        }
    }
}

fn peace(world: &mut World, nodes: &[NodeId]) {
    world.loss = 0;
    world.doubled = 0;
    world.delay = STEP;
    world.gateways = BTreeSet::from([0]);
    world.heal();
    for node in nodes {
        if world.machines[node].node.is_none() {
            world.start(*node);
        }
        world.read_view(*node);
    }
}

/// Says which seed it was when a storm ends in a panic.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing seed: HERALD_SEED={}", self.0);
        }
    }
}

#[test]
fn random_faults_never_make_two_owners_and_peace_makes_one() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let first = number("HERALD_FIRST_SEED").unwrap_or(0);
    let soak = std::env::var_os("HERALD_SOAK").map(|_| 100_000);
    let seeds = match number("HERALD_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("HERALD_SEEDS").or(soak).unwrap_or(80),
    };
    let ran = seeds.clone();
    let mut overlap = [Duration::ZERO; 2];
    for seed in seeds {
        let named = Seed(seed);
        let longest = storm(seed);
        overlap = [0, 1].map(|kind| longest[kind].max(overlap[kind]));
        drop(named);
        if (seed + 1).is_multiple_of(1000) {
            println!(
                "seeds {first} to {seed}: longest overlap on one LAN, and with beacons: {overlap:?}"
            );
        }
    }
    println!("seeds {ran:?}, longest overlap on one LAN, and with beacons: {overlap:?}");
}
