use serde_json::{Value, json};

use super::*;

/// What one speaker says: its node, its view, and the states of the others.
type Word<'a> = (&'a str, i64, &'a [(&'a str, &'a str)]);

/// What it is about, the members, what is said, and what that makes of `a`.
type Case<'a> = (&'a str, &'a [&'a str], &'a [Word<'a>], Option<Standing>);

fn speakers(members: &[&str], words: &[Word<'_>]) -> BTreeMap<String, Arc<Speaker>> {
    let speaker = |(node, view, peers): &Word<'_>| {
        let peers: Vec<Value> = peers
            .iter()
            .map(|(node, state)| json!({"node": node, "state": state}))
            .collect();
        let object = json!({
            "metadata": {"name": node},
            "status": {
                "membership": {"view": view, "members": members, "quorum": true},
                "peers": peers,
            },
        });
        let speaker: Speaker = serde_json::from_value(object).unwrap();
        ((*node).to_owned(), Arc::new(speaker))
    };
    words.iter().map(speaker).collect()
}

fn standing(speakers: &BTreeMap<String, Arc<Speaker>>, node: &str) -> Option<Standing> {
    hear(speakers).nodes.get(node).map(|heard| heard.standing)
}

const S: &str = "Silent";
const A: &str = "Alive";

#[test]
fn a_node_is_silent_by_the_word_of_a_majority_of_all_members_about_another() {
    let (abc, abcde) = (&["a", "b", "c"][..], &["a", "b", "c", "d", "e"][..]);
    let cases: [Case<'_>; 12] = [
        (
            "both others of three",
            abc,
            &[
                ("a", 1, &[("b", A), ("c", A)]),
                ("b", 1, &[("a", S), ("c", A)]),
                ("c", 1, &[("a", S), ("b", A)]),
            ],
            Some(Standing::Silent),
        ),
        (
            "the dead node has never written anything",
            abc,
            &[
                ("b", 1, &[("a", S), ("c", A)]),
                ("c", 1, &[("a", S), ("b", A)]),
            ],
            Some(Standing::Silent),
        ),
        (
            "one of two others",
            abc,
            &[
                ("b", 1, &[("a", S), ("c", A)]),
                ("c", 1, &[("a", A), ("b", A)]),
            ],
            Some(Standing::Speaks),
        ),
        (
            "its own word about itself does not count",
            abc,
            &[
                ("a", 1, &[("a", S), ("b", A), ("c", A)]),
                ("b", 1, &[("a", S), ("c", A)]),
                ("c", 1, &[("a", "Refusing"), ("b", A)]),
            ],
            Some(Standing::Unclear),
        ),
        (
            "a host that refuses is not dead, and not back",
            abc,
            &[
                ("b", 1, &[("a", "Refusing"), ("c", A)]),
                ("c", 1, &[("a", "Refusing"), ("b", A)]),
            ],
            Some(Standing::Unclear),
        ),
        (
            "two of five",
            abcde,
            &[
                ("b", 1, &[("a", S), ("c", A), ("d", A), ("e", A)]),
                ("c", 1, &[("a", S), ("b", A), ("d", A), ("e", A)]),
                ("d", 1, &[("a", A), ("b", A), ("c", A), ("e", A)]),
                ("e", 1, &[("a", A), ("b", A), ("c", A), ("d", A)]),
            ],
            Some(Standing::Speaks),
        ),
        (
            "three of five, of whom one is silent itself",
            abcde,
            &[
                ("a", 1, &[("b", S), ("c", A), ("d", A), ("e", A)]),
                ("b", 1, &[("a", S), ("c", A), ("d", A), ("e", A)]),
                ("c", 1, &[("a", S), ("b", S), ("d", A), ("e", A)]),
                ("d", 1, &[("a", S), ("b", S), ("c", A), ("e", A)]),
                ("e", 1, &[("a", A), ("b", A), ("c", A), ("d", A)]),
            ],
            // b is called silent by a, c and d: its word about a leaves two.
            Some(Standing::Unclear),
        ),
        (
            "everybody hears nobody, and one has not written that yet",
            abc,
            &[
                ("a", 1, &[("b", A), ("c", A)]),
                ("b", 1, &[("a", S), ("c", S)]),
                ("c", 1, &[("a", S), ("b", S)]),
            ],
            Some(Standing::Unclear),
        ),
        (
            "a word of an older view does not count",
            abc,
            &[
                ("a", 2, &[("b", A), ("c", A)]),
                ("b", 2, &[("a", S), ("c", A)]),
                ("c", 1, &[("a", S), ("b", A)]),
            ],
            Some(Standing::Unclear),
        ),
        (
            "a newer view that no majority reports is not in force",
            abc,
            &[
                ("a", 7, &[("b", A), ("c", A)]),
                ("b", 1, &[("a", S), ("c", A)]),
                ("c", 1, &[("a", S), ("b", A)]),
            ],
            Some(Standing::Silent),
        ),
        (
            "no view is reported by a majority",
            abc,
            &[("b", 1, &[("a", S), ("c", A)]), ("c", 2, &[("a", S)])],
            None,
        ),
        (
            "two speakers never are a majority about each other",
            &["a", "b"],
            &[("a", 1, &[("b", A)]), ("b", 1, &[("a", S)])],
            Some(Standing::Unclear),
        ),
    ];
    for (what, members, words, expected) in cases {
        assert_eq!(standing(&speakers(members, words), "a"), expected, "{what}");
    }
}

#[test]
fn the_minority_side_of_a_parted_lan_evicts_nobody() {
    let minority: &[(&str, &str)] = &[("a", A), ("b", A), ("c", S), ("d", S), ("e", S)];
    let majority: &[(&str, &str)] = &[("a", S), ("b", S), ("c", A), ("d", A), ("e", A)];
    let speakers = speakers(
        &["a", "b", "c", "d", "e"],
        &[
            ("a", 3, minority),
            ("b", 3, minority),
            ("c", 3, majority),
            ("d", 3, majority),
            ("e", 3, majority),
        ],
    );
    let silent: Vec<String> = hear(&speakers)
        .nodes
        .into_iter()
        .filter_map(|(node, heard)| (heard.standing == Standing::Silent).then_some(node))
        .collect();
    assert_eq!(silent, ["a", "b"]);
}

#[test]
fn a_speaker_that_said_it_was_about_to_end_is_no_dead_node() {
    let mut speakers = speakers(
        &["a", "b", "c"],
        &[
            ("a", 1, &[]),
            ("b", 1, &[("a", S), ("c", A)]),
            ("c", 1, &[("a", S), ("b", A)]),
        ],
    );
    assert_eq!(standing(&speakers, "a"), Some(Standing::Silent));
    let mut object = serde_json::to_value(&*speakers["a"]).unwrap();
    object["status"]["conditions"] = json!([{
        "type": "Ready", "status": "False", "reason": "Stopping", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let leaving = Arc::new(serde_json::from_value(object).unwrap());
    speakers.insert("a".to_owned(), leaving);
    assert_eq!(standing(&speakers, "a"), Some(Standing::Ended));
}
