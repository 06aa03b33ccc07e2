//! Membership checked: no chain of views has two owners by the rules of ADR 8, and each rule left
//! out has.

use crate::membership::{Membership, Nodes, Rule};
use crate::{check, far, find_two_owners};

/// Members of each view, the lowest bit is node 0.
const GROW_TO_3: &[u8] = &[0b001, 0b011, 0b111];
const SHRINK_TO_1: &[u8] = &[0b111, 0b011, 0b001];
const REPLACE: &[u8] = &[0b0111, 0b1111, 0b1110];
const GROW_TO_4: &[u8] = &[0b0011, 0b0111, 0b1111];
const GROW_TO_5: &[u8] = &[0b00111, 0b01111, 0b11111];
const SHRINK_TO_3: &[u8] = &[0b11111, 0b01111, 0b00111];

fn bounds(chain: &'static [u8]) -> Membership {
    Membership {
        chain,
        clients: 0,
        candidates: 0b11,
        epochs: 2,
        restarting: 0,
        restarts: 0,
        mortal: 0,
        wire: false,
        gossip: false,
        grant: 1,
        suspect: 1,
        without: None,
    }
}

#[test]
fn chains_of_up_to_three_nodes_never_have_two_owners() {
    for (name, chain) in [("1, 2, 3", GROW_TO_3), ("3, 2, 1", SHRINK_TO_1)] {
        let run = Membership {
            restarting: 0b100,
            restarts: 1,
            gossip: true,
            ..bounds(chain)
        };
        check(name, Nodes::<3>(run), None);
        let late = Membership {
            wire: true,
            epochs: far(1, 2),
            ..bounds(chain)
        };
        check(&format!("{name}, late messages"), Nodes::<3>(late), None);
    }
}

#[test]
fn chains_of_up_to_three_nodes_with_longer_grants_never_have_two_owners() {
    for (name, chain) in [("1, 2, 3", GROW_TO_3), ("3, 2, 1", SHRINK_TO_1)] {
        let run = Membership {
            grant: 2,
            suspect: far(2, 3),
            epochs: far(1, 2),
            ..bounds(chain)
        };
        check(&format!("{name}, longer grants"), Nodes::<3>(run), None);
    }
}

#[test]
fn a_node_replaced_by_another_never_makes_two_owners() {
    let run = Membership {
        candidates: 0b0101,
        restarting: 0b0010,
        restarts: far(0, 1),
        epochs: far(1, 2),
        ..bounds(REPLACE)
    };
    check("3, 4, other 3", Nodes::<4>(run), None);
}

#[test]
fn members_that_are_gone_for_good_never_make_two_owners() {
    let run = Membership {
        mortal: 0b110,
        ..bounds(SHRINK_TO_1)
    };
    check("3, 2, 1 by death", Nodes::<3>(run), None);
}

#[test]
fn four_and_five_nodes_never_have_two_owners_as_far_as_the_search_goes() {
    let transitions = far(1_000_000, 60_000_000);
    let four = Membership {
        candidates: 0b1011,
        restarting: 0b0100,
        restarts: 1,
        ..bounds(GROW_TO_4)
    };
    check("2, 3, 4", Nodes::<4>(four), Some(transitions));
    for (name, chain) in [("3, 4, 5", GROW_TO_5), ("5, 4, 3", SHRINK_TO_3)] {
        let five = Membership {
            candidates: 0b00101,
            restarting: 0b00010,
            restarts: 1,
            mortal: 0b11000,
            epochs: 1,
            ..bounds(chain)
        };
        check(name, Nodes::<5>(five), Some(transitions));
    }
}

/// Node 3 replaces node 0, once a majority of the four settled.
fn mutated(rule: Rule) -> Membership {
    Membership {
        candidates: 0b0101,
        epochs: 1,
        without: Some(rule),
        ..bounds(REPLACE)
    }
}

fn two_owners<const N: usize>(run: Membership) {
    let without = format!("{:?} {:?}", run.without, run.chain);
    find_two_owners(&without, Nodes::<N>(run));
}

#[test]
fn an_acknowledgement_from_another_view_would_make_two_owners() {
    two_owners::<4>(mutated(Rule::SameView));
}

#[test]
fn a_view_written_when_a_majority_only_adopted_the_one_before_would_make_two_owners() {
    two_owners::<4>(mutated(Rule::Settled));
}

#[test]
fn a_restart_into_an_older_view_would_make_two_owners() {
    two_owners::<4>(Membership {
        restarting: 0b0010,
        restarts: 1,
        ..mutated(Rule::KeptNumber)
    });
}

#[test]
fn a_promise_of_a_former_member_that_counts_would_make_two_owners() {
    two_owners::<4>(Membership {
        chain: &[0b1111, 0b0111],
        candidates: 0b0011,
        ..mutated(Rule::MembersOnly)
    });
}

#[test]
fn a_member_that_is_taken_for_gone_and_runs_on_would_make_two_owners() {
    two_owners::<3>(Membership {
        mortal: 0b110,
        epochs: 1,
        without: Some(Rule::GoneForGood),
        ..bounds(SHRINK_TO_1)
    });
}

#[test]
fn two_nodes_changed_in_one_step_would_make_two_owners() {
    let two_more: &[u8] = &[0b001, 0b111];
    two_owners::<3>(Membership {
        epochs: 1,
        ..bounds(two_more)
    });
    let two_others: &[u8] = &[0b00111, 0b11100];
    two_owners::<5>(Membership {
        candidates: 0b01001,
        epochs: 1,
        ..bounds(two_others)
    });
}

/// Three nodes vote, two do not; these own, or one of them and one that votes.
fn council(candidates: u8) -> Membership {
    Membership {
        clients: 0b11000,
        candidates,
        ..bounds(&[0b00111])
    }
}

#[test]
fn owners_without_a_vote_are_never_two() {
    for candidates in [0b11000, 0b01001] {
        let name = format!("three of five vote, candidates {candidates:05b}");
        let run = Membership {
            restarting: 0b00010,
            restarts: 1,
            epochs: far(1, 2),
            ..council(candidates)
        };
        check(&name, Nodes::<5>(run), None);
        let late = Membership {
            wire: true,
            epochs: 1,
            ..council(candidates)
        };
        check(&format!("{name}, late messages"), Nodes::<5>(late), None);
    }
}

#[test]
fn owners_without_a_vote_are_never_two_while_those_who_have_one_change() {
    // One more votes, one less; an owner gets a vote, and loses it. Nodes 3 and 4 claim.
    let chains: [&[u8]; 4] = [
        &[0b00011, 0b00111],
        &[0b00111, 0b00011],
        &[0b00011, 0b01011],
        &[0b01011, 0b00011],
    ];
    for chain in chains {
        let run = Membership {
            chain,
            epochs: 1,
            ..council(0b11000)
        };
        let transitions = far(Some(2_000_000), None);
        check(&format!("votes {chain:?}"), Nodes::<5>(run), transitions);
    }
}

#[test]
fn an_acknowledgement_of_a_node_without_a_vote_that_counts_would_make_two_owners() {
    two_owners::<5>(Membership {
        epochs: 1,
        without: Some(Rule::VotersOnly),
        ..council(0b11000)
    });
}
