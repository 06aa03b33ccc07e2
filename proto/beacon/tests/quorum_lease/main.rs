//! Model checking of the quorum lease (protocol section 2.4): never two owners, whatever the
//! network and the clocks do, and for every rule a run that shows two owners once it is left out.
//!
//! `HERALD_SOAK=1` goes on where the bounds of the ordinary run end, for minutes.

mod lease;
mod membership;
mod recovery;
mod sets;
mod views;

use std::fmt::Debug;
use std::hash::Hash;

use lease::{Lease, ONE_OWNER, Rule};
use sets::Sets;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Two candidates, two epochs, clocks that differ as much as they may.
fn bounds<const N: usize>() -> Lease<N> {
    Lease {
        candidates: 2,
        epochs: 2,
        restarting: 0,
        restarts: 0,
        releases: false,
        forgets: false,
        wire: 0,
        rates: (4, 5),
        without: None,
        recovery: false,
    }
}

/// Visits every state within the bounds.
fn exhaust<const N: usize>(name: &str, lease: Lease<N>) {
    check(name, lease, None);
}

/// Visits the states nearest to the start, so many.
fn search<const N: usize>(name: &str, lease: Lease<N>, transitions: usize) {
    check(name, lease, Some(transitions));
}

fn check<M>(name: &str, model: M, transitions: Option<usize>)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Debug + Clone + PartialEq,
    M::Action: Debug + Clone + PartialEq,
{
    let checker = model
        .checker()
        .threads(2)
        .target_state_count(transitions.unwrap_or(0))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let (all, unique, depth) = (
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
    );
    println!("{name}: {unique} states, {all} transitions, depth {depth}");
    for property in checker.model().properties() {
        let path = checker
            .discovery(property.name)
            .map(|path| path.into_actions());
        match property.expectation {
            Expectation::Always => {
                assert!(path.is_none(), "{name}: not {}: {path:?}", property.name);
            }
            Expectation::Sometimes | Expectation::Eventually => {
                let bounded = transitions.is_some();
                assert!(bounded || path.is_some(), "{name}: never {}", property.name);
            }
        }
    }
    assert!(
        transitions.is_some() || checker.is_done(),
        "{name}: not every state was visited"
    );
}

/// Finds the shortest run that ends with two owners.
fn two_owners<const N: usize>(lease: Lease<N>) {
    let without = format!("{:?}", lease.without);
    find_two_owners(&without, lease);
}

fn find_two_owners<M>(without: &str, model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + Debug + Clone + PartialEq,
    M::Action: Debug + Clone + PartialEq,
{
    let checker = model
        .checker()
        .target_state_count(12_000_000)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let run = checker.discovery(ONE_OWNER).map(|run| run.into_actions());
    let (all, unique) = (checker.state_count(), checker.unique_state_count());
    println!("without {without}: {unique} states, {all} transitions, {run:?}");
    assert!(run.is_some(), "no run without {without} has two owners");
}

fn mutated(rule: Rule) -> Lease<3> {
    Lease {
        rates: (5, 5),
        without: Some(rule),
        ..bounds()
    }
}

/// The small bound in the ordinary run, the large one in a soak.
fn far<T>(ordinary: T, soak: T) -> T {
    if std::env::var_os("HERALD_SOAK").is_some() {
        soak
    } else {
        ordinary
    }
}

#[test]
fn three_nodes_with_drifting_clocks_never_have_two_owners() {
    let drift = Lease::<3> {
        candidates: far(2, 3),
        epochs: 3,
        ..bounds()
    };
    exhaust("drift", drift);
}

#[test]
fn three_nodes_with_late_and_repeated_messages_never_have_two_owners() {
    let wire = Lease::<3> {
        wire: 1,
        rates: far((5, 5), (4, 5)),
        ..bounds()
    };
    exhaust("late messages", wire);
}

#[test]
fn three_nodes_with_longer_grants_never_have_two_owners() {
    let long = Lease::<3> {
        rates: far((2, 2), (1, 1)),
        ..bounds()
    };
    exhaust("longer grants", long);
}

#[test]
fn three_nodes_with_handovers_never_have_two_owners() {
    let handover = Lease::<3> {
        releases: true,
        rates: far((5, 5), (4, 5)),
        ..bounds()
    };
    exhaust("handover", handover);
}

#[test]
fn three_nodes_that_forget_votes_never_have_two_owners() {
    let forgetting = Lease::<3> {
        epochs: 3,
        releases: true,
        forgets: true,
        rates: (5, 5),
        ..bounds()
    };
    let transitions = far(3_000_000, 60_000_000);
    search("forgetting", forgetting, transitions);
    let late = Lease::<3> {
        releases: true,
        forgets: true,
        wire: 1,
        rates: (5, 5),
        ..bounds()
    };
    search("forgetting, late messages", late, transitions);
}

#[test]
fn three_nodes_with_restarts_never_have_two_owners() {
    let restart = Lease::<3> {
        restarting: far(2, 3),
        restarts: 1,
        rates: (5, 5),
        ..bounds()
    };
    exhaust("restart", restart);
}

#[test]
fn three_nodes_with_everything_at_once_never_have_two_owners_as_far_as_the_search_goes() {
    let everything = Lease::<3> {
        epochs: 3,
        releases: true,
        restarting: 2,
        restarts: 1,
        wire: 1,
        ..bounds()
    };
    search("everything", everything, far(600_000, 30_000_000));
}

#[test]
fn four_and_five_nodes_never_have_two_owners_as_far_as_the_search_goes() {
    let transitions = far(600_000, 30_000_000);
    let four = Lease::<4> {
        rates: (5, 5),
        ..bounds()
    };
    search("four nodes", four, transitions);
    let five = Lease::<5> {
        rates: (5, 5),
        ..bounds()
    };
    search("five nodes", five, transitions);
}

#[test]
fn a_living_majority_finds_one_lasting_owner_from_every_state() {
    let recovery = Lease::<3> {
        releases: true,
        rates: (5, 5),
        recovery: true,
        ..bounds()
    };
    exhaust("recovery", recovery);
}

#[test]
fn an_acknowledgement_with_another_record_would_make_two_owners() {
    two_owners(mutated(Rule::IdenticalRecord));
}

#[test]
fn a_grant_from_the_receipt_of_its_acknowledgement_would_make_two_owners() {
    two_owners(Lease {
        rates: (1, 1),
        ..mutated(Rule::GrantFromSend)
    });
}

#[test]
fn an_acknowledgement_of_an_earlier_life_would_make_two_owners() {
    two_owners(Lease {
        restarting: 1,
        restarts: 1,
        ..mutated(Rule::AcknowledgedLife)
    });
}

#[test]
fn a_record_that_changes_to_a_lower_epoch_would_make_two_owners() {
    two_owners(Lease {
        releases: true,
        ..mutated(Rule::HigherEpoch)
    });
}

#[test]
fn an_acceptor_that_believes_the_candidates_suspicion_would_make_two_owners() {
    two_owners(mutated(Rule::OwnSuspicion));
}

#[test]
fn a_table_merged_without_conditions_would_make_two_owners() {
    two_owners(Lease {
        epochs: 3,
        restarting: 1,
        restarts: 1,
        ..mutated(Rule::MergeLikeClaim)
    });
}

#[test]
fn an_owner_that_accepts_another_claim_and_stays_would_make_two_owners() {
    two_owners(mutated(Rule::StepDown));
}

#[test]
fn a_release_that_counts_for_a_later_claim_would_make_two_owners() {
    two_owners(Lease {
        epochs: 3,
        releases: true,
        ..mutated(Rule::ExactRelease)
    });
}

#[test]
fn a_claim_of_an_older_life_that_counts_would_make_two_owners() {
    two_owners(Lease {
        epochs: 3,
        restarting: 1,
        restarts: 1,
        ..mutated(Rule::NoOlderLife)
    });
}

#[test]
fn a_node_that_votes_right_after_its_start_would_make_two_owners() {
    two_owners(Lease {
        restarting: 1,
        restarts: 1,
        ..mutated(Rule::QuietStart)
    });
}

#[test]
fn a_node_that_takes_up_its_own_old_claim_would_make_two_owners() {
    two_owners(Lease {
        restarting: 1,
        restarts: 1,
        ..mutated(Rule::NoRevival)
    });
}

#[test]
fn witness_sets_of_each_node_make_two_owners_once_a_witness_restarts() {
    check("witness sets, no restart", Sets { restarts: 0 }, None);
    find_two_owners("one set for all", Sets { restarts: 1 });
}

#[test]
fn a_node_that_votes_right_after_it_forgot_would_make_two_owners() {
    two_owners(Lease {
        releases: true,
        forgets: true,
        ..mutated(Rule::QuietForgetting)
    });
}

#[test]
fn a_claim_that_is_made_twice_would_make_two_owners() {
    two_owners(Lease {
        releases: true,
        forgets: true,
        ..mutated(Rule::NeverTwice)
    });
}

#[test]
fn clocks_that_differ_more_than_suspect_and_grant_would_make_two_owners() {
    two_owners(Lease::<3> {
        rates: (3, 5),
        ..bounds()
    });
}
