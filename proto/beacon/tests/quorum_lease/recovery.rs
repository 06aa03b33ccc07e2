//! I2 and I3 on the model: from any state, once messages pass again, a living majority has one
//! owner after a bounded time, and then no other.
//!
//! Who claims is policy, not safety: here the first living node claims while nobody alive owns, and
//! a living loser withdraws.

use stateright::Model;

use crate::lease::{Lease, Step, World};

/// Ticks until a living majority has an owner: silence of a start, suspicion, and a round to learn
/// the highest epoch, for each of them twice over.
const PATIENCE: usize = 12;
/// Ticks in which the owner then must not change.
const CALM: usize = 6;

/// Whether `world` comes to one lasting owner when all but `dead` speak and hear.
pub(crate) fn recovers<const N: usize>(
    lease: &Lease<N>,
    world: &World<N>,
    dead: Option<usize>,
) -> bool {
    let alive: Vec<usize> = (0..N).filter(|node| Some(*node) != dead).collect();
    let mut world = world.clone();
    let mut owner = None;
    let mut lasted = 0;
    for _ in 0..PATIENCE + CALM {
        round(lease, &mut world, &alive);
        let owners: Vec<usize> = alive
            .iter()
            .copied()
            .filter(|node| world.nodes[*node].owns())
            .collect();
        match (owner, owners.as_slice()) {
            (None, [first]) => owner = Some(*first),
            (Some(before), [same]) if before == *same => lasted += 1,
            (None, []) => {}
            (Some(_) | None, _) => return false,
        }
    }
    lasted >= CALM
}

fn round<const N: usize>(lease: &Lease<N>, world: &mut World<N>, alive: &[usize]) {
    let mut take = |step| {
        if let Some(next) = lease.next_state(world, step) {
            *world = next;
        }
        alive.iter().any(|node| world.nodes[*node].owns())
    };
    take(Step::Tick);
    let tell_all = |take: &mut dyn FnMut(Step) -> bool| {
        let mut owned = false;
        for _ in 0..2 {
            for from in alive {
                for to in alive.iter().filter(|to| *to != from) {
                    owned = take(Step::Tell(*from as u8, *to as u8));
                }
            }
        }
        owned
    };
    if tell_all(&mut take) {
        return;
    }
    for (rank, node) in alive.iter().enumerate() {
        take(if rank == 0 {
            Step::Claim(*node as u8)
        } else {
            Step::Release(*node as u8)
        });
    }
    tell_all(&mut take);
}
