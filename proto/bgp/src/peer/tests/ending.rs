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
    let error = told.last_error.unwrap();
    assert_eq!(error.at, scene.now);
    assert_eq!(
        error.reason.to_string(),
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

/// A router in the hands of a test, from one session to the next.
struct Router {
    scene: Scene,
    session: Option<ConnectionId>,
}

impl Router {
    /// TCP of the next attempt, which is waited for.
    fn attempt(&mut self) -> ConnectionId {
        loop {
            let asked = |action| match action {
                Action::Connect(connection) => Some(connection),
                Action::Close { .. } => None,
            };
            let asked = self
                .scene
                .actions()
                .into_iter()
                .filter_map(asked)
                .next_back();
            if let Some(connection) = asked.filter(|_| self.scene.state() == State::Connect) {
                return connection;
            }
            self.scene.pass(ms(100));
        }
    }

    fn connect(&mut self) -> ConnectionId {
        let connection = self.attempt();
        let now = self.scene.now;
        self.scene.peer.handle_connected(connection, local(), now);
        connection
    }

    fn play(&mut self, turn: Turn) {
        match turn {
            Turn::Up => {
                let connection = self.connect();
                self.scene.say(connection, &octets(&router()));
                self.scene.say(connection, &KEEPALIVE);
                assert_eq!(self.scene.state(), State::Established);
                self.session = Some(connection);
            }
            Turn::Says(code, subcode) => {
                let session = self.session.take();
                let connection = session.unwrap_or_else(|| self.connect());
                let words = message(3, &[code, subcode]);
                self.scene.say(connection, &words);
            }
            Turn::Misfits => {
                let connection = self.connect();
                let mut open = router();
                open.capabilities[4] = Capability::FourOctetAs(Asn(7));
                self.scene.say(connection, &octets(&open));
            }
            Turn::Breaks(why) => {
                let session = self.session.take();
                let connection = session.unwrap_or_else(|| self.attempt());
                let now = self.scene.now;
                self.scene.peer.handle_closed(connection, why, now);
            }
            Turn::HangsUp(why) => {
                let connection = self.connect();
                let now = self.scene.now;
                self.scene.peer.handle_closed(connection, why, now);
            }
            Turn::Silence => {
                self.attempt();
                self.scene.pass(secs(61));
            }
            Turn::Changed => {
                self.session = None;
                let mut other = self.scene.peer.config().clone();
                other.hold_time += secs(1);
                self.scene.peer.set_config(other, self.scene.now).unwrap();
            }
        }
    }
}

/// What happens to a session or to the attempt at the next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// It is established.
    Up,
    /// The router sends a NOTIFICATION of this code and subcode.
    Says(u8, u8),
    /// The router says who it is not to be.
    Misfits,
    /// TCP breaks, or does not come up.
    Breaks(&'static str),
    /// The router takes the connection and closes it without a word.
    HangsUp(&'static str),
    /// Nothing answers.
    Silence,
    /// Another configuration here.
    Changed,
}

/// After each turn: why there is no session or why the last one ended, whether that stays, and what the
/// last attempt since then came to.
#[test]
fn the_reason_of_an_end_is_told_until_there_is_a_newer_one() {
    use Turn::*;
    const SHUTDOWN: &str = "the peer said: Cease, Administrative Shutdown (6/2)";
    const HOLD: &str = "the peer said: Hold Timer Expired (4/0)";
    const REJECTED: &str = "the peer said: Cease, Connection Rejected (6/5)";
    const MISFIT: &str = "told the peer: Bad Peer AS (2/2)";
    const CHANGE: &str = "told the peer: Cease, Other Configuration Change (6/6)";
    const SILENT: &str = "no answer to the attempt to connect";
    type Told = (&'static str, bool, &'static str);
    let tables: [&[(Turn, Told)]; 6] = [
        // Attempts alone: the last one counts.
        &[
            (Breaks("refused"), ("refused", false, "")),
            (Silence, (SILENT, false, "")),
            (HangsUp("reset"), ("reset", false, "")),
            (Says(6, 5), (REJECTED, false, "")),
            (Up, (REJECTED, false, "")),
        ],
        // The router's words stay, whatever attempts come to.
        &[
            (Up, ("", false, "")),
            (Says(6, 2), (SHUTDOWN, true, "")),
            (Breaks("refused"), (SHUTDOWN, true, "refused")),
            (HangsUp("reset"), (SHUTDOWN, true, "reset")),
            (Says(6, 5), (SHUTDOWN, true, REJECTED)),
            (
                Says(6, 7),
                (
                    SHUTDOWN,
                    true,
                    "the peer said: Cease, Connection Collision Resolution (6/7)",
                ),
            ),
            (Silence, (SHUTDOWN, true, SILENT)),
            (Up, (SHUTDOWN, true, "")),
            (Says(4, 0), (HOLD, true, "")),
        ],
        // A session that is gone without a word: that is what is known of its end.
        &[
            (Up, ("", false, "")),
            (
                Breaks("the router closed the connection"),
                ("the router closed the connection", true, ""),
            ),
            (
                Breaks("refused"),
                ("the router closed the connection", true, "refused"),
            ),
            (Says(6, 2), (SHUTDOWN, true, "")),
        ],
        // An attempt that fails for a reason of its own is news.
        &[
            (Up, ("", false, "")),
            (Says(6, 2), (SHUTDOWN, true, "")),
            (Breaks("refused"), (SHUTDOWN, true, "refused")),
            (Misfits, (MISFIT, true, "")),
            (Breaks("refused"), (MISFIT, true, "refused")),
        ],
        // What was asked for here explains nothing about attempts after it.
        &[
            (Up, ("", false, "")),
            (Changed, (CHANGE, false, "")),
            (Silence, (SILENT, false, "")),
        ],
        // But it makes nothing of the router's words untrue.
        &[
            (Up, ("", false, "")),
            (Says(6, 2), (SHUTDOWN, true, "")),
            (Changed, (SHUTDOWN, true, "")),
            (Breaks("refused"), (SHUTDOWN, true, "refused")),
        ],
    ];
    for table in tables {
        let mut router = Router {
            scene: Scene::new(config()),
            session: None,
        };
        for (n, (turn, (reason, stays, attempt))) in table.iter().enumerate() {
            router.play(*turn);
            let told = router.scene.peer.snapshot().last_error;
            let words = |reason: &Reason| reason.to_string();
            let told = told.map(|told| {
                let attempt = told.attempt.as_ref().map(words).unwrap_or_default();
                (words(&told.reason), told.stays, attempt)
            });
            let wanted = (reason.to_string(), *stays, attempt.to_string());
            assert_eq!(told.unwrap_or_default(), wanted, "{n}: {turn:?}");
        }
    }
}
