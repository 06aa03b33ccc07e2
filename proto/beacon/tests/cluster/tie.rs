//! Two nodes and a Lease: what breaks the tie when they do not hear each other.
//!
//! The API server is played here: one Lease, and the object that holds the chain of views, whose writes
//! name the version they replace and may arrive late. The rules are those of `speaker/src/cluster/tie.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use herald_beacon::{NodeId, Policy, Tie, View};

use crate::ms;
use crate::world::{World, address};

/// As the speaker has them.
const HELD: Duration = Duration::from_secs(4);
const EXPIRES: Duration = Duration::from_secs(6);
const RETRY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Api {
    /// Who cannot reach it.
    cut: BTreeSet<NodeId>,
    holder: Option<NodeId>,
    renewals: u64,
    /// When each first saw the Lease as it is, by its own clock.
    seen: BTreeMap<NodeId, (u64, Duration)>,
    /// Who has it, until when by its own clock, and in which view; when each looks again.
    held: BTreeMap<NodeId, (Duration, u64)>,
    look: BTreeMap<NodeId, Duration>,
    /// The version of the chain's object, and who must be asked before it is replaced.
    version: u64,
    guard: Option<NodeId>,
    late: Vec<(Duration, u64, View)>,
}

impl Api {
    fn run(&mut self, world: &mut World, time: Duration) {
        let end = world.now + time;
        while world.now < end {
            world.step();
            let arrived: Vec<_> = self
                .late
                .extract_if(.., |(at, ..)| *at <= world.now)
                .collect();
            for (_, version, view) in arrived {
                if version == self.version {
                    self.version += 1;
                    world.chain.push(view);
                }
            }
            for id in [1, 2] {
                self.serve(world, id);
            }
        }
    }

    fn serve(&mut self, world: &mut World, id: NodeId) {
        let clock = world.clock(id);
        let (now, cut) = (world.now, self.cut.contains(&id));
        let machine = world.machines.get_mut(&id).expect("a member");
        let Some(node) = machine
            .node
            .as_mut()
            .filter(|_| machine.paused_until <= now)
        else {
            self.held.remove(&id);
            return;
        };
        let Some(view) = node.wants_tie(clock) else {
            if self.held.remove(&id).is_some() {
                node.set_tie(None, clock);
                if !cut && self.holder == Some(id) {
                    self.holder = None;
                    self.renewals += 1;
                }
            }
            if !cut && self.guard == Some(id) {
                self.guard = None;
                self.version += 1;
            }
            return;
        };
        if cut || self.look.get(&id).is_some_and(|look| now < *look) {
            return;
        }
        self.look.insert(id, now + RETRY);
        let seen = self.seen.entry(id).or_insert((self.renewals, clock));
        if seen.0 != self.renewals {
            *seen = (self.renewals, clock);
        }
        let mine = self.holder == Some(id);
        let free = self.holder.is_none() || clock >= seen.1 + EXPIRES;
        if !mine && !free {
            return;
        }
        self.holder = Some(id);
        self.renewals += 1;
        let goes_on = self
            .held
            .get(&id)
            .is_some_and(|(until, of)| clock < *until && *of == view);
        if !goes_on {
            if world.chain.last().is_none_or(|last| last.number != view) {
                return;
            }
            self.guard = Some(id);
            self.version += 1;
        }
        let until = clock + HELD;
        self.held.insert(id, (until, view));
        node.set_tie(Some(Tie { view, until }), clock);
    }

    /// Node `id` writes the next view, which arrives after `late`, if it may.
    fn write_view(&mut self, world: &mut World, id: NodeId, other: NodeId, late: Duration) {
        let free = self.guard.is_none() || self.guard == Some(id);
        let last = world.chain.last().expect("a view").clone();
        let Some(node) = world.machines[&id].node.as_ref() else {
            return;
        };
        let may = node.view() == Some(&last) && node.may_step(&world.gone);
        if self.cut.contains(&id) || !free || !may {
            return;
        }
        let mut next = last;
        next.number += 1;
        if !next.members.remove(&other) {
            next.members.insert(other);
        }
        next.voters.clone_from(&next.members);
        if !next.members.is_empty() {
            self.late.push((world.now + late, self.version, next));
        }
    }
}

fn two(seed: u64) -> (World, Api) {
    let mut world = World::with(2, 2, seed, Policy::Witnessed);
    let mut api = Api::default();
    world.wish(address(1), &[1, 2]);
    api.run(&mut world, ms(1500));
    assert_eq!(world.owners(address(1)), [1], "seed {seed}");
    assert_eq!(api.renewals, 0, "nobody asks while there is a majority");
    (world, api)
}

#[test]
fn of_two_nodes_the_one_that_is_left_takes_over_with_the_lease() {
    for seed in 0..20 {
        let (mut world, mut api) = two(seed);
        world.crash(1);
        let start = world.now;
        while world.owners(address(1)).is_empty() {
            api.run(&mut world, ms(1));
            assert!(world.now < start + ms(600), "seed {seed}");
        }
        assert!(world.hold(2, address(1)).is_some_and(|hold| hold.degraded));
        api.run(&mut world, Duration::from_secs(20));
        assert_eq!(world.owners(address(1)), [2], "it is renewed");
        world.start(1);
        api.run(&mut world, ms(2000));
        let hold = world.hold(2, address(1));
        assert!(hold.is_some_and(|hold| !hold.degraded), "seed {seed}");
        assert_eq!(api.holder, None, "given back");
    }
}

#[test]
fn of_two_that_do_not_hear_each_other_one_serves_and_they_agree_again() {
    for seed in 0..20 {
        let (mut world, mut api) = two(seed);
        world.isolate(1);
        api.run(&mut world, ms(800));
        assert_eq!(world.owners(address(1)).len(), 1, "seed {seed}");
        api.run(&mut world, Duration::from_secs(10));
        assert_eq!(world.owners(address(1)).len(), 1, "seed {seed}");
        world.heal();
        api.run(&mut world, ms(1500));
        assert_eq!(world.owners(address(1)).len(), 1, "seed {seed}");
    }
}

#[test]
fn without_the_api_server_or_a_gateway_nobody_serves() {
    for api_away in [true, false] {
        let (mut world, mut api) = two(3);
        world.crash(1);
        if api_away {
            api.cut = [1, 2].into();
        } else {
            world.gateways.clear();
        }
        api.run(&mut world, Duration::from_secs(10));
        assert!(world.owners(address(1)).is_empty());
    }
}

#[test]
fn who_cannot_renew_is_silent_before_the_other_may_have_it() {
    for seed in 0..20 {
        let (mut world, mut api) = two(seed);
        world.isolate(1);
        api.run(&mut world, ms(800));
        let first = world.owners(address(1));
        api.cut = first.iter().copied().collect();
        api.run(&mut world, Duration::from_secs(15));
        let second = world.owners(address(1));
        assert_eq!(second.len(), 1, "seed {seed}");
        assert_ne!(first, second, "seed {seed}");
    }
}

/// A write of the next view that was asked for before the cut arrives while the tie is held.
#[test]
fn no_view_is_written_around_the_one_that_holds_the_lease() {
    for seed in 0..20 {
        for asked_before in [true, false] {
            let mut world = World::with(3, 2, seed, Policy::Witnessed);
            let mut api = Api::default();
            world.wish(address(1), &[1, 2, 3]);
            api.run(&mut world, ms(1500));
            if asked_before {
                api.write_view(&mut world, 2, 3, ms(2000));
            }
            world.isolate(1);
            api.cut.insert(2);
            api.run(&mut world, ms(1000));
            assert_eq!(world.owners(address(1)), [1], "seed {seed}");
            api.cut.clear();
            if !asked_before {
                api.write_view(&mut world, 2, 3, ms(1000));
            }
            for _ in 0..20 {
                api.run(&mut world, ms(100));
                world.read_view(2);
                world.read_view(3);
            }
            assert_eq!(world.owners(address(1)), [1], "seed {seed}");
            assert_eq!(world.chain.len(), 1, "seed {seed}");
        }
    }
}

/// Cuts, sleeps, restarts, an API server that some do not reach, a third node that joins and leaves by
/// writes that arrive late.
#[test]
fn random_faults_with_a_lease_never_make_two_owners() {
    let soak = std::env::var_os("HERALD_SOAK").is_some();
    for seed in 0..if soak { 5000 } else { 60 } {
        let mut world = World::with(3, 2, seed, Policy::Witnessed);
        let mut api = Api::default();
        world.wish(address(1), &[1, 2, 3]);
        world.wish(address(2), &[2, 1, 3]);
        api.run(&mut world, ms(1000));
        for _ in 0..30 {
            let id = 1 + world.dice.below(3);
            match world.dice.below(12) {
                0 => world.crash(id),
                1 => world.start(id),
                2 | 3 => world.isolate(id),
                4 | 5 => world.heal(),
                6 => {
                    let until = world.now + ms(world.dice.below(6000));
                    world.machines.get_mut(&id).expect("a machine").paused_until = until;
                }
                7 => drop(api.cut.insert(id)),
                8 => api.cut.clear(),
                9 | 10 => {
                    let late = ms(world.dice.below(8000));
                    api.write_view(&mut world, id, 3, late);
                }
                _ => {
                    if !api.cut.contains(&id) {
                        world.read_view(id);
                    }
                }
            }
            let pause = ms(50 + world.dice.below(2000));
            api.run(&mut world, pause);
        }
        api.cut.clear();
        world.heal();
        for id in 1..=3 {
            if world.machines[&id].node.is_none() {
                world.start(id);
            }
            world.read_view(id);
        }
        api.run(&mut world, Duration::from_secs(9));
        for at in [1, 2] {
            assert_eq!(world.owners(address(at)).len(), 1, "seed {seed}");
        }
    }
}
