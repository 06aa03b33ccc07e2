use std::collections::BTreeSet;

use super::*;
use crate::asker::Question;

const OWNER: Mac = [2, 0, 0, 0, 0, 1];
const OTHER: Mac = [2, 0, 0, 0, 0, 2];
const STEP: Duration = Duration::from_millis(100);

/// One letter each 100 ms: `o`wner, `a`nother, `b`oth, `.` nobody.
fn asked(answers: &str) -> Asked {
    let questions = (0..).zip(answers.chars()).map(|(n, who)| Question {
        at: STEP * n,
        about: 0,
        answers: match who {
            'o' => BTreeSet::from([OWNER]),
            'a' => BTreeSet::from([OTHER]),
            'b' => BTreeSet::from([OWNER, OTHER]),
            _ => BTreeSet::new(),
        },
    });
    Asked {
        questions: questions.collect(),
        interval: STEP,
    }
}

#[test]
fn each_wish_is_fulfilled_by_what_it_says_and_nothing_else() {
    let silent = STEP * 3;
    let kept = Serving::Kept { silent };
    let taken = Serving::Taken { silent };
    for (answers, fulfilled) in [
        ("oooooooooo", [true, false, false]),
        ("oo...ooooo", [true, false, false]),
        ("oo....oooo", [false, false, false]),
        ("oo...aaaaa", [false, true, false]),
        ("oo....aaaa", [false, false, false]),
        ("ooaaaaaooo", [false, false, false]),
        ("ooo.......", [false, false, true]),
        ("oooo......", [false, false, true]),
        ("..........", [false, false, true]),
        ("oobbbaaaaa", [false, true, false]),
    ] {
        let asked = asked(answers);
        let found = [kept, taken, Serving::Nobody].map(|wish| as_wished(wish, &asked, OWNER));
        // Silence may begin within 500 ms: five letters.
        assert_eq!(found, fulfilled, "{answers}");
        assert!(as_wished(Serving::Anyhow, &asked, OWNER));
        let served = as_wished(Serving::Served { silent }, &asked, OWNER);
        assert!(served || !(fulfilled[0] || fulfilled[1]), "{answers}");
        assert!(!served || !fulfilled[2], "{answers}");
    }
}

#[test]
fn what_happened_is_said_in_words() {
    for (answers, text) in [
        ("........", "nobody answers in the end"),
        ("oo......", "nobody answers in the end"),
        ("bbbbbbbb", "two answer"),
        ("oo.ooooo", "the owner answers, silent for 100 ms"),
        ("o.aaaaaa", "another answers, silent for 100 ms"),
        ("oaoooooo", "moves and returns, silent for 0 ms"),
    ] {
        assert_eq!(outcome(&asked(answers), OWNER), text);
    }
}

#[test]
fn every_situation_has_a_name_of_its_own_and_is_played_with_two_or_three_nodes() {
    let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len());
    assert!(ROWS.iter().all(|row| (2..=3).contains(&row.nodes)));
    assert!(playable(2, "").is_ok() && playable(3, "").is_ok());
    assert!(playable(5, "").is_err());
}
