use std::time::Duration;

use super::*;

const BOOT: Time = Duration::from_secs(1000);

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

/// A session that ended a minute ago, and an attempt since.
fn ended() -> Session {
    Session {
        last_error_at: Some(BOOT - Duration::from_mins(1)),
        last_attempt: Some("refused".to_owned()),
        ..Session::impossible("the peer said: bye".to_owned())
    }
}

fn shown(session: &Session, before: &[BgpSession], now: Timestamp) -> BgpSession {
    let states = States::from([("tor".to_owned(), session.clone())]);
    sessions(&states, before, BOOT, now).remove(0)
}

fn time(moment: Option<Moment>) -> Option<String> {
    moment.map(|moment| moment.0.to_string())
}

#[test]
fn the_end_of_a_session_is_told_with_its_time_and_attempts_beside_it() {
    let told = shown(&ended(), &[], now());
    assert_eq!(told.last_error.as_deref(), Some("the peer said: bye"));
    assert_eq!(
        time(told.last_error_time).as_deref(),
        Some("2026-01-01T00:59:00Z")
    );
    assert_eq!(told.last_attempt.as_deref(), Some("refused"));
}

/// The two clocks drift, and nothing is written again for that.
#[test]
fn the_time_of_an_end_stays_as_it_was_told() {
    let before = [shown(&ended(), &[], now())];
    for (drift, stays) in [(-2, true), (0, true), (2, true), (3, false)] {
        let now = now() + SignedDuration::from_secs(drift);
        let told = shown(&ended(), &before, now);
        assert_eq!(told == before[0], stays, "{drift}");
    }
}

/// Of a session that stands and cannot tell everything, that is what is wrong.
#[test]
fn prefixes_that_are_not_told_come_before_an_earlier_end() {
    let session = Session {
        untold: Some("1 prefixes are not told".to_owned()),
        ..ended()
    };
    let told = shown(&session, &[], now());
    assert_eq!(told.last_error.as_deref(), Some("1 prefixes are not told"));
    assert_eq!((told.last_error_time, told.last_attempt), (None, None));
}
