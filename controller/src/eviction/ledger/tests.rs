use herald_runtime::clock;

use super::super::hearing::Heard;
use super::*;

/// Each node's standing in a letter: Silent, Ended, Heard, Doubted (one calls it silent), Unclear.
fn hearing(standings: &[(&str, char)]) -> Hearing {
    let heard = |letter| match letter {
        's' => (Standing::Silent, 2),
        'e' => (Standing::Ended, 2),
        'h' => (Standing::Speaks, 0),
        'd' => (Standing::Speaks, 1),
        _ => (Standing::Unclear, 0),
    };
    let nodes = standings.iter().map(|(node, letter)| {
        let (standing, silent) = heard(*letter);
        ((*node).to_owned(), Heard { standing, silent })
    });
    Hearing {
        majority: true,
        nodes: nodes.collect(),
    }
}

/// A ledger that has seen a majority for long, and these nodes silent.
fn settled(share: f64, start: Instant, silent: &[&str]) -> Ledger {
    let mut ledger = Ledger::new(share);
    ledger.majority = Some(start - SETTLED);
    let silent = silent
        .iter()
        .map(|node| ((*node).to_owned(), start - CONFIRMED));
    ledger.silent = silent.collect();
    ledger
}

fn nodes(names: &[&str]) -> BTreeMap<String, bool> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), true))
        .collect()
}

const ABC: &[&str] = &["a", "b", "c"];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nodes_are_taken_by_majority_within_the_share_and_nothing_else_is() {
    let six = &["a", "b", "c", "d", "e", "f"][..];
    // Share, each node's standing, taken before, and then: taken now, refused.
    type Case<'a> = (
        f64,
        &'a [(&'a str, char)],
        &'a [&'a str],
        &'a [&'a str],
        &'a [(&'a str, Refusal)],
    );
    let cases: [Case<'_>; 8] = [
        (
            0.34,
            &[("a", 's'), ("b", 'h'), ("c", 'h')],
            &[],
            &["a"],
            &[],
        ),
        (
            0.34,
            &[("a", 's'), ("b", 's'), ("c", 'h')],
            &[],
            &["a"],
            &[("b", Refusal::ShareExceeded)],
        ),
        // Whoever was first has the place.
        (
            0.34,
            &[("a", 's'), ("b", 's'), ("c", 'h')],
            &["b"],
            &["b"],
            &[("a", Refusal::ShareExceeded)],
        ),
        // One that is taken counts until it is given back.
        (
            0.34,
            &[("a", 's'), ("b", 'u'), ("c", 'h')],
            &["b"],
            &[],
            &[("a", Refusal::ShareExceeded)],
        ),
        (
            0.34,
            &[("a", 'd'), ("b", 'e'), ("c", 'u')],
            &[],
            &[],
            &[("a", Refusal::NoMajority), ("b", Refusal::SpeakerEnded)],
        ),
        (
            0.34,
            &[
                ("a", 's'),
                ("b", 's'),
                ("c", 's'),
                ("d", 'h'),
                ("e", 'h'),
                ("f", 'h'),
            ],
            &[],
            &["a", "b"],
            &[("c", Refusal::ShareExceeded)],
        ),
        // However small the share is, it allows one.
        (
            0.01,
            &[("a", 's'), ("b", 'h'), ("c", 'h')],
            &[],
            &["a"],
            &[],
        ),
        // A member whose Node does not exist has no pods to speak of.
        (0.34, &[("x", 's'), ("b", 'h'), ("c", 'h')], &[], &[], &[]),
    ];
    for (share, standings, before, evict, refused) in cases {
        let start = clock::now();
        let mut ledger = settled(share, start, six);
        ledger.found(before.iter().map(|node| (*node).to_owned()));
        let steps = ledger.decide(&hearing(standings), &nodes(six), start);
        assert_eq!(steps.evict, evict, "{standings:?}");
        let expected: BTreeMap<String, Refusal> = refused
            .iter()
            .map(|(node, refusal)| ((*node).to_owned(), *refusal))
            .collect();
        assert_eq!(steps.refused, expected, "{standings:?}");
        assert!(steps.restore.is_empty(), "{standings:?}");
    }
}

#[test]
fn a_node_is_taken_until_that_is_done_and_then_no_more() {
    let start = clock::now();
    let mut ledger = settled(0.34, start, &["a"]);
    let silent = hearing(&[("a", 's'), ("b", 'h'), ("c", 'h')]);
    for second in 0..3 {
        let steps = ledger.decide(&silent, &nodes(ABC), start + seconds(second));
        assert_eq!(steps.evict, ["a"], "not done yet");
    }
    ledger.evicted("a");
    let steps = ledger.decide(&silent, &nodes(ABC), start + seconds(60));
    assert_eq!(steps, Steps::default(), "the kubelet is not contradicted");
    assert_eq!(ledger.len(), 1);
}

#[test]
fn a_node_is_given_back_when_it_is_heard_without_a_break_and_its_node_is_ready() {
    let mut ledger = Ledger::new(0.34);
    // A leader that starts finds what an earlier one wrote.
    ledger.found(["a".to_owned()]);
    let heard = hearing(&[("a", 'h'), ("b", 'h'), ("c", 'h')]);
    let unclear = hearing(&[("a", 'u'), ("b", 'h'), ("c", 'h')]);
    let start = clock::now();
    let mut down = nodes(ABC);
    down.insert("a".to_owned(), false);
    let half = STEADY / 2;
    let timeline = [
        (&heard, &nodes(ABC), 0, Some(STEADY), false),
        (&heard, &nodes(ABC), 1, Some(half), false),
        (&unclear, &nodes(ABC), 2, None, false),
        (&heard, &nodes(ABC), 3, Some(STEADY), false),
        (&heard, &down, 5, None, false),
        (&heard, &nodes(ABC), 6, Some(STEADY), false),
        (&heard, &nodes(ABC), 8, None, true),
        (&heard, &nodes(ABC), 9, None, true),
    ];
    for (hearing, nodes, halves, again, restored) in timeline {
        let steps = ledger.decide(hearing, nodes, start + half * halves);
        assert_eq!(steps.again, again, "after {halves} halves");
        assert_eq!(steps.restore == ["a"], restored, "after {halves} halves");
        assert!(steps.evict.is_empty());
    }
    ledger.restored("a");
    let steps = ledger.decide(&heard, &nodes(ABC), start + seconds(60));
    assert_eq!((steps, ledger.len()), (Steps::default(), 0));
}

#[test]
fn a_node_that_left_the_members_stays_taken_until_its_node_object_goes() {
    let start = clock::now();
    let mut ledger = settled(0.34, start, &["b"]);
    ledger.found(["a".to_owned()]);
    let others = hearing(&[("b", 's'), ("c", 'h')]);
    let steps = ledger.decide(&others, &nodes(ABC), start);
    assert_eq!(steps.refused["b"], Refusal::ShareExceeded);
    let steps = ledger.decide(&others, &nodes(&["b", "c"]), start);
    assert_eq!(steps.evict, ["b"]);
}

#[test]
fn a_node_that_comes_and_goes_is_taken_as_often_as_the_rate_allows() {
    let start = clock::now();
    let mut ledger = settled(0.34, start, &["a"]);
    let silent = hearing(&[("a", 's'), ("b", 'h'), ("c", 'h')]);
    for _ in 0..BURST {
        assert_eq!(ledger.decide(&silent, &nodes(ABC), start).evict, ["a"]);
        ledger.restored("a");
    }
    let steps = ledger.decide(&silent, &nodes(ABC), start + seconds(4));
    assert_eq!(steps.refused["a"], Refusal::RateLimited);
    assert_eq!(steps.again, Some(seconds(6)));
    let steps = ledger.decide(&silent, &nodes(ABC), start + seconds(10));
    assert_eq!(steps.evict, ["a"]);
}

#[test]
fn a_majority_that_has_only_just_come_together_takes_nobody() {
    let mut ledger = Ledger::new(0.34);
    let silent = hearing(&[("a", 's'), ("b", 'h'), ("c", 'h')]);
    let nobody = Hearing {
        majority: false,
        ..hearing(&[("a", 'u'), ("b", 'u'), ("c", 'u')])
    };
    let start = clock::now();
    for (hearing, second, again) in [
        (&silent, 0, Some(SETTLED)),
        (&silent, 2, Some(SETTLED - seconds(2))),
        (&nobody, 3, None),
        (&silent, 4, Some(SETTLED)),
    ] {
        let steps = ledger.decide(hearing, &nodes(ABC), start + seconds(second));
        assert_eq!(steps.again, again, "at {second} s");
        assert!(steps.evict.is_empty(), "at {second} s");
        let refusal = again.map(|_| &Refusal::Unsettled);
        assert_eq!(steps.refused.get("a"), refusal, "at {second} s");
    }
    let steps = ledger.decide(&silent, &nodes(ABC), start + seconds(4) + SETTLED);
    assert_eq!(steps.evict, ["a"]);
}

#[test]
fn a_silence_is_acted_upon_when_it_lasts() {
    let start = clock::now();
    let mut ledger = settled(0.34, start, &[]);
    let silent = hearing(&[("a", 's'), ("b", 'h'), ("c", 'h')]);
    let heard = hearing(&[("a", 'h'), ("b", 'h'), ("c", 'h')]);
    let third = CONFIRMED / 3;
    for (hearing, thirds, again) in [
        (&silent, 0, Some(CONFIRMED)),
        (&silent, 1, Some(CONFIRMED - third)),
        (&heard, 2, None),
        (&silent, 3, Some(CONFIRMED)),
    ] {
        let steps = ledger.decide(hearing, &nodes(ABC), start + third * thirds);
        assert_eq!(steps.again, again, "after {thirds} thirds");
        assert!(steps.evict.is_empty(), "after {thirds} thirds");
    }
    let steps = ledger.decide(&silent, &nodes(ABC), start + third * 6);
    assert_eq!(steps.evict, ["a"]);
}
