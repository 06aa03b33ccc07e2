//! Two connections with one router.

use super::*;

fn both() -> Config {
    let mut config = config();
    config.opening = Opening::Both;
    config
}

/// A peer with a connection of each side, both in OpenSent.
fn crossed(config: Config) -> (Scene, ConnectionId, ConnectionId) {
    let mut scene = Scene::new(config);
    let ours = scene.connect();
    let theirs = scene.peer.handle_accepted(local(), scene.now).unwrap();
    while let Some(transmit) = scene.peer.poll_transmit(scene.now) {
        scene.peer.handle_sent(transmit.connection, scene.now);
    }
    (scene, ours, theirs)
}

/// RFC 4271 section 6.8: whoever has the higher identifier keeps the connection it opened, in
/// whichever order the OPENs come.
#[test]
fn of_two_connections_that_of_the_higher_identifier_is_kept() {
    for (router_id, router_wins) in [([10, 0, 0, 254], true), ([9, 0, 0, 1], false)] {
        for ours_first in [true, false] {
            let (mut scene, ours, theirs) = crossed(both());
            let mut open = router();
            open.id = router_id.into();
            let (first, second) = if ours_first {
                (ours, theirs)
            } else {
                (theirs, ours)
            };
            scene.say(first, &octets(&open));
            assert_eq!(scene.actions(), []);
            scene.say(second, &octets(&open));
            let (kept, dumped) = if router_wins {
                (theirs, ours)
            } else {
                (ours, theirs)
            };
            assert_eq!(scene.refused(dumped), (6, 7));
            scene.say(kept, &KEEPALIVE);
            assert_eq!(scene.state(), State::Established);
            let opener = if router_wins {
                Side::Theirs
            } else {
                Side::Ours
            };
            assert_eq!(scene.peer.snapshot().opened_by, Some(opener));
            assert_eq!(scene.events(), [Event::Established]);
            assert_eq!(scene.peer.snapshot().last_error, None);
            scene.pass(secs(60));
            assert_eq!(scene.actions(), [], "no further connection is wanted");
        }
    }
}

#[test]
fn a_second_connection_is_closed_when_the_first_is_established() {
    let (mut scene, ours, theirs) = crossed(both());
    scene.say(theirs, &octets(&router()));
    scene.say(theirs, &KEEPALIVE);
    assert_eq!(scene.state(), State::Established);
    assert_eq!(scene.refused(ours), (6, 7));
    assert_eq!(scene.peer.handle_accepted(local(), scene.now), None);
}

/// RFC 4724 section 5: a router that may restart did, when it connects again.
#[test]
fn a_new_connection_replaces_the_old_one_of_a_router_that_restarts() {
    let family = crate::codec::GracefulFamily {
        afi: 1,
        safi: 1,
        forwarding: true,
    };
    let restarts = Capability::GracefulRestart {
        restarting: false,
        notification: false,
        time: 60,
        families: vec![family],
    };
    let (mut scene, old) = Scene::established(both(), &router_with(vec![restarts]));
    let new = scene.peer.handle_accepted(local(), scene.now).unwrap();
    assert_eq!(scene.closed(old), None, "without a NOTIFICATION");
    scene.say(new, &octets(&router()));
    scene.say(new, &KEEPALIVE);
    assert_eq!(scene.state(), State::Established);
    assert_eq!(scene.peer.snapshot().established, 2);
}

#[test]
fn a_router_that_connects_again_before_it_said_anything_is_heard() {
    let (mut scene, _, first) = crossed(both());
    let second = scene.peer.handle_accepted(local(), scene.now).unwrap();
    assert_eq!(scene.closed(first), None);
    scene.say(second, &octets(&router()));
    scene.say(second, &KEEPALIVE);
    assert_eq!(scene.state(), State::Established);
}

#[test]
fn who_may_connect_is_configured() {
    let mut active = Scene::new(config());
    assert_eq!(active.peer.handle_accepted(local(), active.now), None);

    let mut passive = config();
    passive.opening = Opening::Passive;
    let mut scene = Scene::new(passive);
    scene.pass(secs(1000));
    assert_eq!((scene.state(), scene.actions()), (State::Active, vec![]));
    assert_eq!(scene.peer.snapshot().opened_by, None);
    let connection = scene.peer.handle_accepted(local(), scene.now).unwrap();
    assert_eq!(kinds(&scene.heard(connection)), [Kind::Open]);
    scene.say(connection, &octets(&router()));
    scene.say(connection, &KEEPALIVE);
    assert_eq!(scene.state(), State::Established);
    scene.peer.handle_closed(connection, "reset", scene.now);
    scene.pass(secs(2));
    assert!(scene.peer.handle_accepted(local(), scene.now).is_some());

    scene.peer.stop(&Stop::Deconfigured, scene.now);
    assert_eq!(scene.peer.handle_accepted(local(), scene.now), None);
}

/// A router whose OPENs are refused again and again is not let in for a while.
#[test]
fn a_flood_of_connections_is_damped() {
    let mut scene = Scene::new(both());
    let mut wrong = router();
    wrong.capabilities = vec![Capability::FourOctetAs(Asn(7))];
    let mut let_in = 0;
    for _ in 0..10_000 {
        scene.pass(ms(1));
        let ours = scene.actions().into_iter().find_map(|action| match action {
            Action::Connect(connection) => Some(connection),
            Action::Close { .. } => None,
        });
        if let Some(connection) = ours {
            scene.peer.handle_connected(connection, local(), scene.now);
            scene.say(connection, &octets(&wrong));
        }
        if let Some(connection) = scene.peer.handle_accepted(local(), scene.now) {
            let_in += 1;
            scene.say(connection, &octets(&wrong));
            scene.actions();
        }
    }
    assert!((1..10).contains(&let_in), "{let_in}");
    assert!(scene.events().len() <= 256);
}

/// Three sessions in a row that the router ends: with which words it is let in again at once.
#[test]
fn an_operator_who_resets_a_session_three_times_is_no_flood() {
    let cases: [(&str, &[u8], bool); 7] = [
        ("shutdown", b"\x06\x02\x05until", true),
        ("reset", &[6, 4], true),
        ("hard reset", &[6, 9, 6, 4], true),
        ("another configuration", &[6, 6], true),
        ("too many prefixes", &[6, 1], false),
        ("hold timer", &[4, 0], false),
        ("UPDATE", &[3, 1], false),
    ];
    for (name, words, open) in cases {
        let mut passive = config();
        passive.opening = Opening::Passive;
        let mut scene = Scene::new(passive);
        for _ in 0..3 {
            let connection = scene.peer.handle_accepted(local(), scene.now).unwrap();
            scene.say(connection, &octets(&router()));
            scene.say(connection, &KEEPALIVE);
            assert_eq!(scene.state(), State::Established);
            scene.say(connection, &message(3, words));
            scene.actions();
        }
        let accepted = scene.peer.handle_accepted(local(), scene.now);
        assert_eq!(accepted.is_some(), open, "{name}");
        scene.pass(secs(60));
        let accepted = scene.peer.handle_accepted(local(), scene.now);
        assert!(accepted.is_some(), "{name}: not for ever");
    }
}

/// Our own connection is established, and the router's, for which the identifiers are, has our OPEN. It is
/// the router that says which of the two goes: it may have heard the OPEN there before the KEEPALIVE here.
#[test]
fn an_established_connection_does_not_cost_the_one_that_the_router_may_keep() {
    let begun = || {
        let (mut scene, ours, theirs) = crossed(both());
        scene.say(ours, &octets(&router()));
        scene.say(ours, &KEEPALIVE);
        assert_eq!(scene.state(), State::Established);
        assert_eq!(scene.actions(), [], "neither is closed yet");
        scene.say(theirs, &octets(&router()));
        assert_eq!(scene.actions(), []);
        (scene, ours, theirs)
    };
    let collision = message(3, &[6, 7]);

    // It keeps its own: the session goes over to that one, at once.
    let (mut scene, ours, theirs) = begun();
    scene.say(ours, &collision);
    assert_eq!(scene.closed(ours), None);
    assert_eq!(scene.state(), State::OpenConfirm);
    scene.say(theirs, &KEEPALIVE);
    let told = scene.peer.snapshot();
    assert_eq!(
        (told.state, told.opened_by),
        (State::Established, Some(Side::Theirs))
    );
    scene.pass(secs(60));
    assert_eq!(scene.actions(), [], "no further connection is wanted");

    // It keeps ours, and closes its own with words or without.
    for words in [Some(&collision), None] {
        let (mut scene, _, theirs) = begun();
        if let Some(words) = words {
            scene.say(theirs, words);
        }
        scene.peer.handle_closed(theirs, "closed", scene.now);
        scene.actions();
        scene.pass(secs(60));
        assert_eq!(scene.actions(), []);
        let told = scene.peer.snapshot();
        assert_eq!(
            (told.state, told.opened_by),
            (State::Established, Some(Side::Ours))
        );
        assert_eq!((told.established, told.last_error), (1, None));
    }

    // It says nothing, or too much.
    let (mut scene, _, theirs) = begun();
    scene.pass(secs(3));
    assert_eq!(scene.refused(theirs), (6, 7));
    assert_eq!(scene.state(), State::Established);
    let (mut scene, _, theirs) = begun();
    for _ in 0..1000 {
        scene.say(theirs, &KEEPALIVE);
    }
    assert_eq!(scene.refused(theirs), (6, 7));
    assert_eq!(scene.state(), State::Established);
}

/// What has no OPEN of ours cannot be kept by the router.
#[test]
fn a_connection_that_the_router_heard_nothing_on_is_closed_at_once() {
    let mut scene = Scene::new(both());
    let ours = scene.connect();
    scene.heard(ours);
    scene.say(ours, &octets(&router()));
    let theirs = scene.peer.handle_accepted(local(), scene.now).unwrap();
    scene.say(ours, &KEEPALIVE);
    assert_eq!(scene.refused(theirs), (6, 7));
    assert_eq!(scene.state(), State::Established);
}
