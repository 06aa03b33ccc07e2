//! How sessions end: stops, drains, BFD, NOTIFICATIONs, routers that do not read.

use super::*;
use crate::codec::GracefulFamily;

/// B12, RFC 4486, RFC 9003; RFC 8538 section 4: what would be kept otherwise is flushed.
#[test]
fn each_stop_has_its_words() {
    let with_text = |code| vec![6, code, 3, b'b', b'y', b'e'];
    let hard = |words: Vec<u8>| [vec![6, 9], words].concat();
    let cases: [(Stop, Option<Vec<u8>>, bool); 6] = [
        (Stop::Shutdown("bye".into()), Some(with_text(2)), true),
        (Stop::Deconfigured, Some(vec![6, 3]), true),
        (Stop::Reset("bye".into()), Some(with_text(4)), false),
        (Stop::ConfigurationChange, Some(vec![6, 6]), false),
        (Stop::OutOfResources, Some(vec![6, 8]), false),
        (Stop::Restart, None, false),
    ];
    for (stop, words, flushes) in cases {
        for keeps in [false, true] {
            let more = if keeps { vec![keeps_routes()] } else { vec![] };
            let (mut scene, connection) = Scene::established(graceful(), &router_with(more));
            scene.peer.stop(&stop, scene.now);
            let told = scene.closed(connection);
            let wrap = |words| {
                if keeps && flushes { hard(words) } else { words }
            };
            let octets = told.map(|told| [vec![told.code, told.subcode], told.data].concat());
            assert_eq!(octets, words.clone().map(wrap), "{stop:?}");
            scene.pass(secs(1000));
            assert_eq!((scene.state(), scene.actions()), (State::Idle, vec![]));
            assert_eq!(scene.peer.snapshot().waiting, Some(Waiting::Stopped));
            scene.peer.start(scene.now);
            assert_eq!(scene.state(), State::Connect);
        }
    }
}

/// Before the OPEN was handed out, it still comes first.
#[test]
fn a_notification_follows_the_open() {
    let mut scene = Scene::new(config());
    let connection = scene.connect();
    scene.say(connection, &message(9, &[]));
    let Some(Action::Close { last_words, .. }) = scene.actions().pop() else {
        panic!("closed");
    };
    assert_eq!(kinds(&split(&last_words)), [Kind::Open, Kind::Notification]);
    assert_eq!(split(&last_words)[1].1, [1, 3, 9]);
}

#[test]
fn the_words_of_the_router_are_kept_for_the_operator() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.say(connection, &message(3, b"\x06\x02\x0bmaintenance"));
    assert_eq!(
        scene.closed(connection),
        None,
        "a NOTIFICATION is not answered"
    );
    let told = scene.peer.snapshot();
    assert_eq!(told.shutdown_text.as_deref(), Some("maintenance"));
    let (at, reason) = told.last_error.unwrap();
    assert_eq!(at, scene.now);
    assert_eq!(
        reason.to_string(),
        "the peer said: Cease, Administrative Shutdown (6/2): \"maintenance\""
    );
    assert!(matches!(told.waiting, Some(Waiting::Retry(at)) if at > scene.now));
    assert!(matches!(scene.events().last(), Some(Event::Lost(_))));
}

/// R3, RFC 8326: told as leaving, withdrawn, closed; LOCAL_PREF 0 within an AS.
#[test]
fn a_drain_says_so_then_withdraws_then_closes() {
    for internal in [false, true] {
        let mut config = config();
        let mut open = router();
        if internal {
            config.remote_as = RemoteAs::Internal;
            open.capabilities[4] = Capability::FourOctetAs(US);
        }
        let updates = |said: &Said| updates_of(said, internal);
        let (mut scene, connection) = Scene::established(config, &open);
        scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
        scene.heard(connection);
        scene.pass(secs(1));
        scene
            .peer
            .drain(secs(10), "node worker-3 draining", scene.now);
        let said = updates(&scene.heard(connection));
        let attributes = &said[0].attributes;
        let shutdown = Attribute::Communities(vec![Community::GRACEFUL_SHUTDOWN]);
        assert_eq!((said.len(), attributes.contains(&shutdown)), (1, true));
        assert_eq!(attributes.contains(&Attribute::LocalPref(0)), internal);
        assert_eq!(scene.pass(ms(9999)), []);
        assert_eq!(scene.peer.snapshot().draining, Some(scene.now + ms(1)));
        scene.now += ms(1);
        scene.peer.handle_timeout(scene.now);
        assert_eq!(scene.state(), State::Established);
        let said = updates(&scene.heard(connection));
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].withdrawn, ["192.0.2.1/32".parse().unwrap()]);
        let told = scene.closed(connection).unwrap();
        assert_eq!((told.code, told.subcode), (6, 2));
        assert_eq!(
            told.shutdown_text().as_deref(),
            Some("node worker-3 draining")
        );
        assert!(scene.events().contains(&Event::Drained));
        scene.peer.start(scene.now);
        let connection = scene.connect();
        scene.say(connection, &octets(&open));
        scene.say(connection, &KEEPALIVE);
        let said = updates(&scene.heard(connection));
        assert!(
            !said[0].attributes.contains(&shutdown),
            "told as ever after a start"
        );
    }
}

/// The withdrawals must be on the wire before the session ends.
#[test]
fn a_drain_waits_until_the_withdrawals_are_written() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
    scene.heard(connection);
    scene.peer.drain(Duration::ZERO, "", scene.now);
    let chunk = scene.peer.poll_transmit(scene.now).unwrap();
    assert_eq!(kinds(&split(&chunk.bytes)), [Kind::Update]);
    assert_eq!(
        (scene.state(), scene.actions()),
        (State::Established, vec![])
    );
    scene.peer.handle_sent(connection, scene.now);
    assert_eq!(scene.refused(connection), (6, 2));
}

#[test]
fn a_drain_without_a_session_is_over_at_once() {
    let mut scene = Scene::new(config());
    scene.peer.drain(secs(10), "bye", scene.now);
    assert_eq!(scene.events(), [Event::Drained]);
    assert_eq!(scene.state(), State::Idle);
}

/// B13, RFC 9384; RFC 5882 section 3.2.
#[test]
fn bfd_ends_a_session_when_it_goes_down_after_it_was_up() {
    let mut watched = graceful();
    watched.bfd = BfdMode::Watch;
    for (keeps, words) in [(false, vec![6, 10]), (true, vec![6, 9, 6, 10])] {
        let more = if keeps { vec![keeps_routes()] } else { vec![] };
        let (mut scene, connection) = Scene::established(watched.clone(), &router_with(more));
        scene.peer.handle_bfd(BfdState::Down, scene.now);
        assert_eq!(scene.state(), State::Established, "it was never up");
        scene.peer.handle_bfd(BfdState::Up, scene.now);
        scene.peer.handle_bfd(BfdState::AdminDown, scene.now);
        assert_eq!(
            scene.state(),
            State::Established,
            "switched off is no failure"
        );
        scene.peer.handle_bfd(BfdState::Up, scene.now);
        scene.peer.handle_bfd(BfdState::Down, scene.now);
        let told = scene.closed(connection).unwrap();
        let octets = [vec![told.code, told.subcode], told.data].concat();
        assert_eq!(octets, words);
    }
    let (mut scene, _) = Scene::established(config(), &router());
    scene.peer.handle_bfd(BfdState::Up, scene.now);
    scene.peer.handle_bfd(BfdState::Down, scene.now);
    assert_eq!(scene.state(), State::Established, "not asked for");
}

/// B14.
#[test]
fn a_strict_session_waits_for_bfd() {
    let mut strict = config();
    strict.bfd = BfdMode::Strict;
    strict.opening = Opening::Both;
    let mut scene = Scene::new(strict);
    scene.pass(secs(100));
    assert_eq!((scene.state(), scene.actions()), (State::Idle, vec![]));
    assert_eq!(scene.peer.snapshot().waiting, Some(Waiting::Bfd));
    assert_eq!(scene.peer.handle_accepted(local(), scene.now), None);
    scene.peer.handle_bfd(BfdState::Up, scene.now);
    let connection = scene.connect();
    scene.say(connection, &octets(&router()));
    scene.say(connection, &KEEPALIVE);
    assert_eq!(scene.state(), State::Established);
    scene.peer.handle_bfd(BfdState::Down, scene.now);
    assert_eq!(scene.refused(connection), (6, 10));
    scene.pass(secs(1000));
    assert_eq!((scene.state(), scene.actions()), (State::Idle, vec![]));
    scene.peer.handle_bfd(BfdState::AdminDown, scene.now);
    assert_eq!(scene.state(), State::Connect, "switched off is no failure");
    scene.peer.handle_bfd(BfdState::Up, scene.now);
    scene.peer.handle_bfd(BfdState::Down, scene.now);
    assert_eq!(scene.state(), State::Idle);
}

/// RFC 9687: eight minutes, or twice the hold time.
#[test]
fn a_router_that_does_not_read_is_left_after_eight_minutes() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
    let chunk = scene.peer.poll_transmit(scene.now).unwrap();
    assert_eq!(chunk.connection, connection);
    for _ in 0..479 {
        scene.now += secs(1);
        scene.say(connection, &KEEPALIVE);
        scene.peer.handle_timeout(scene.now);
        assert_eq!(scene.peer.poll_transmit(scene.now), None);
    }
    assert_eq!(scene.state(), State::Established);
    scene.now += secs(1);
    scene.peer.handle_timeout(scene.now);
    assert_eq!(scene.refused(connection), (8, 0));
}

/// RFC 4724 sections 3 and 4.1: also over a session that broke before the routes were told.
#[test]
fn a_restarted_speaker_says_so_until_its_routes_are_told() {
    let mut scene = Scene::new(graceful());
    scene.peer = Peer::new(graceful(), true, 1, scene.now).unwrap();
    let families = [1, 2].map(|afi| GracefulFamily {
        afi,
        safi: 1,
        forwarding: true,
    });
    let families = families.to_vec();
    for (says, wished) in [(true, false), (true, true), (false, true)] {
        let connection = scene.connect();
        let open = Open::decode(&scene.heard(connection)[0].1).unwrap();
        let restarts = |says| {
            let expected = Capability::GracefulRestart {
                restarting: says,
                notification: true,
                time: 120,
                families: families.clone(),
            };
            open.capabilities.contains(&expected)
        };
        assert!(restarts(says) && !restarts(!says));
        scene.say(connection, &octets(&router_with(vec![keeps_routes()])));
        scene.say(connection, &KEEPALIVE);
        if wished {
            scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
        }
        scene.heard(connection);
        assert_eq!(scene.peer.snapshot().synchronized, wished);
        scene.peer.handle_closed(connection, "reset", scene.now);
        scene.actions();
        while scene.state() == State::Idle {
            scene.pass(ms(100));
        }
    }
}
