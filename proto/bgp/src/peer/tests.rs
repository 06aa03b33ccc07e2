use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::codec::{
    Attribute, Capability, Context, HEADER, Kind, Open, RouteRefresh, Subtype, Update, frame,
};
use crate::{
    Asn, Community, Families, Family, GracefulRestart, Prefix, RemoteAs, Role, RoleConfig, Route,
};

mod collide;
mod ending;
mod routes;

const US: Asn = Asn(64_512);
const THEM: Asn = Asn(64_513);
const KEEPALIVE: [u8; 19] = {
    let mut octets = [0xff; 19];
    (octets[16], octets[17], octets[18]) = (0, 19, 4);
    octets
};

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn config() -> Config {
    Config::new(US, RemoteAs::Exactly(THEM), Ipv4Addr::new(10, 0, 0, 1))
}

fn graceful() -> Config {
    let mut config = config();
    let restart_time = secs(120);
    config.graceful_restart = Some(GracefulRestart { restart_time });
    config
}

fn local() -> Local {
    Local::of(Ipv4Addr::new(10, 0, 0, 1).into())
}

/// What a router says of itself by default.
fn router() -> Open {
    let family = |afi| Capability::Multiprotocol { afi, safi: 1 };
    Open {
        short_as: THEM.two_octets(),
        hold_time: 90,
        id: Ipv4Addr::new(10, 0, 0, 254),
        capabilities: vec![
            family(1),
            family(2),
            Capability::RouteRefresh,
            Capability::EnhancedRefresh,
            Capability::FourOctetAs(THEM),
        ],
    }
}

fn router_with(more: Vec<Capability>) -> Open {
    let mut open = router();
    open.capabilities.extend(more);
    open
}

fn keeps_routes() -> Capability {
    Capability::GracefulRestart {
        restarting: false,
        notification: true,
        time: 60,
        families: vec![],
    }
}

fn octets(open: &Open) -> Vec<u8> {
    let mut out = vec![];
    open.encode(&mut out).unwrap();
    out
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff; 16];
    out.extend(((HEADER + body.len()) as u16).to_be_bytes());
    out.push(kind);
    out.extend(body);
    out
}

fn announce(prefixes: &[&str]) -> Vec<u8> {
    let attributes = [
        0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1, 0x40, 3, 4, 10, 0, 0, 254,
    ];
    let mut body = vec![0, 0, 0, attributes.len() as u8];
    body.extend(attributes);
    for prefix in prefixes {
        let prefix: Prefix = prefix.parse().unwrap();
        let IpAddr::V4(address) = prefix.address() else {
            panic!("IPv4 only");
        };
        body.push(prefix.length());
        let octets = usize::from(prefix.length()).div_ceil(8);
        body.extend(&address.octets()[..octets]);
    }
    message(2, &body)
}

/// What is said to the router, by type.
type Said = Vec<(Kind, Vec<u8>)>;

fn split(mut bytes: &[u8]) -> Said {
    let mut said = vec![];
    while let Some(message) = frame(bytes, true).unwrap() {
        said.push((message.kind, message.body.to_vec()));
        bytes = &bytes[message.length()..];
    }
    assert!(bytes.is_empty(), "only whole messages are handed out");
    said
}

fn kinds(said: &Said) -> Vec<Kind> {
    said.iter().map(|(kind, _)| *kind).collect()
}

/// A peer in the hands of a test, on virtual time.
struct Scene {
    peer: Peer,
    now: Time,
}

impl Scene {
    fn new(config: Config) -> Self {
        let now = secs(1000);
        let peer = Peer::new(config, false, 1, now).unwrap();
        Self { peer, now }
    }

    fn established(config: Config, router: &Open) -> (Self, ConnectionId) {
        let mut scene = Self::new(config);
        let connection = scene.connect();
        scene.say(connection, &octets(router));
        scene.say(connection, &KEEPALIVE);
        assert_eq!(scene.state(), State::Established);
        scene.heard(connection);
        (scene, connection)
    }

    fn state(&self) -> State {
        self.peer.snapshot().state
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.peer.poll_action()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.peer.poll_event()).collect()
    }

    /// TCP is opened as asked.
    fn connect(&mut self) -> ConnectionId {
        let connection = self.asked().expect("a connection is asked for");
        self.peer.handle_connected(connection, local(), self.now);
        connection
    }

    /// The connection that is asked for, if nothing else is wanted.
    fn asked(&mut self) -> Option<ConnectionId> {
        match self.actions().as_slice() {
            [] => None,
            [Action::Connect(connection)] => Some(*connection),
            other => panic!("{other:?}"),
        }
    }

    fn say(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.peer.handle_bytes(connection, bytes, self.now);
    }

    /// What is handed out; the router reads everything.
    fn heard(&mut self, connection: ConnectionId) -> Said {
        let mut said = vec![];
        while let Some(transmit) = self.peer.poll_transmit(self.now) {
            assert_eq!(transmit.connection, connection);
            assert!(transmit.bytes.len() <= 128 * 1024);
            said.extend(split(&transmit.bytes));
            self.peer.handle_sent(connection, self.now);
        }
        said
    }

    /// The NOTIFICATION that a connection is closed with; none where there is none.
    fn closed(&mut self, connection: ConnectionId) -> Option<Notification> {
        let actions = self.actions();
        let closed = actions.iter().find_map(|action| match action {
            Action::Close {
                connection: closed,
                last_words,
            } if *closed == connection => Some(last_words.clone()),
            Action::Connect(_) | Action::Close { .. } => None,
        });
        let words = split(&closed.unwrap_or_else(|| panic!("not closed: {actions:?}")));
        words.last().map(|(kind, body)| {
            assert_eq!(*kind, Kind::Notification);
            Notification::decode(body).unwrap()
        })
    }

    fn refused(&mut self, connection: ConnectionId) -> (u8, u8) {
        let told = self.closed(connection).expect("a NOTIFICATION");
        (told.code, told.subcode)
    }

    /// Lets time pass, timer by timer, with a router that reads everything; what it heard.
    fn pass(&mut self, time: Duration) -> Vec<(Duration, Kind)> {
        let (start, until) = (self.now, self.now + time);
        let mut said = vec![];
        loop {
            while let Some(transmit) = self.peer.poll_transmit(self.now) {
                let kinds = split(&transmit.bytes).into_iter().map(|(kind, _)| kind);
                said.extend(kinds.map(|kind| (self.now - start, kind)));
                self.peer.handle_sent(transmit.connection, self.now);
            }
            match self.peer.poll_timeout() {
                Some(due) if due <= until => {
                    assert!(due > self.now || self.now == start, "a timer that is stuck");
                    self.now = self.now.max(due);
                    self.peer.handle_timeout(self.now);
                }
                _ => break,
            }
        }
        self.now = until;
        said
    }
}

fn wish(prefixes: &[&str]) -> Arc<Wish> {
    let route = Arc::new(Route::default());
    let routes = prefixes
        .iter()
        .map(|prefix| (prefix.parse().unwrap(), Arc::clone(&route)));
    Arc::new(routes.collect())
}

/// The UPDATEs among what was said.
fn updates(said: &Said) -> Vec<Update> {
    updates_of(said, false)
}

fn updates_of(said: &Said, internal: bool) -> Vec<Update> {
    let context = Context {
        four_octet_as: true,
        internal,
        families: Families::both(),
        extended_next_hop: true,
    };
    said.iter()
        .filter(|(kind, _)| *kind == Kind::Update)
        .map(|(_, body)| Update::decode(body, &context).unwrap())
        .collect()
}

/// RFC 4271 section 8.2.2: OPEN, OPEN, KEEPALIVE, KEEPALIVE.
#[test]
fn a_session_is_opened_by_open_and_keepalive_of_both() {
    let mut scene = Scene::new(config());
    assert_eq!(scene.state(), State::Connect);
    let connection = scene.connect();
    assert_eq!(scene.state(), State::OpenSent);
    let said = scene.heard(connection);
    assert_eq!(kinds(&said), [Kind::Open]);
    let open = Open::decode(&said[0].1).unwrap();
    assert_eq!(
        (open.asn(), open.hold_time, open.id),
        (US, 90, config().router_id)
    );
    scene.say(connection, &octets(&router()));
    assert_eq!(scene.state(), State::OpenConfirm);
    assert_eq!(kinds(&scene.heard(connection)), [Kind::Keepalive]);
    scene.say(connection, &KEEPALIVE);
    assert_eq!(scene.state(), State::Established);
    assert_eq!(scene.events(), [Event::Established]);
    let told = scene.peer.snapshot();
    assert_eq!((told.established, told.since), (1, scene.now));
    let agreed = told.negotiated.unwrap();
    assert_eq!(
        (agreed.peer_as, agreed.hold_time, agreed.keepalive_time),
        (THEM, secs(90), secs(30))
    );
}

/// A stream may be cut anywhere.
#[test]
fn messages_are_found_however_the_octets_arrive() {
    let mut stream = octets(&router());
    stream.extend(KEEPALIVE);
    stream.extend(announce(&["192.0.2.0/24"]));
    for size in [1, 2, 3, 18, 19, 20, 1000] {
        let mut scene = Scene::new(config());
        let connection = scene.connect();
        for part in stream.chunks(size) {
            scene.say(connection, part);
        }
        assert_eq!(scene.peer.snapshot().received, 1, "{size}");
    }
}

/// RFC 4271 section 10: a third of the hold time, less up to a quarter.
#[test]
fn keepalives_are_sent_and_their_absence_is_noticed() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let said = scene.pass(secs(89));
    let times: Vec<Duration> = said.iter().map(|(at, _)| *at).collect();
    assert!(said.iter().all(|(_, kind)| *kind == Kind::Keepalive));
    assert!((2..=3).contains(&times.len()), "{times:?}");
    for pair in times.windows(2) {
        assert!((secs(22)..=secs(30)).contains(&(pair[1] - pair[0])));
    }
    assert_eq!(scene.state(), State::Established);
    scene.pass(secs(1));
    assert_eq!(scene.refused(connection), (4, 0));
    let sent = Notification::hold_expired();
    assert!(scene.events().contains(&Event::Lost(Reason::Sent(sent))));
}

#[test]
fn whatever_the_router_says_keeps_the_session_alive() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let mut refresh = vec![];
    let (afi, safi, subtype) = (1, 1, Subtype::Request);
    RouteRefresh { afi, safi, subtype }.encode(&mut refresh);
    for said in [KEEPALIVE.to_vec(), announce(&["192.0.2.0/24"]), refresh] {
        scene.pass(secs(80));
        scene.say(connection, &said);
        assert_eq!(scene.state(), State::Established);
    }
}

#[test]
fn without_a_hold_time_nobody_says_or_expects_keepalives() {
    let mut open = router();
    open.hold_time = 0;
    let (mut scene, _) = Scene::established(config(), &open);
    assert_eq!(scene.pass(secs(100_000)), []);
    assert_eq!(scene.state(), State::Established);
}

/// RFC 4271 section 8.2.2: four minutes are suggested while an OPEN is waited for.
#[test]
fn a_router_that_never_says_open_is_left_after_four_minutes() {
    let mut scene = Scene::new(config());
    let connection = scene.connect();
    scene.pass(secs(239));
    assert_eq!(scene.state(), State::OpenSent);
    scene.pass(secs(1));
    assert_eq!(scene.refused(connection), (4, 0));
}

/// B1: the time between attempts, less up to a quarter, and no more than that.
#[test]
fn a_connection_that_cannot_be_opened_is_tried_again_at_the_same_pace() {
    let mut scene = Scene::new(config());
    for _ in 0..20 {
        let connection = scene.asked().unwrap();
        scene
            .peer
            .handle_closed(connection, "connection refused", scene.now);
        assert_eq!(scene.state(), State::Active);
        let Action::Close { .. } = scene.actions()[0] else {
            panic!("the shell forgets what failed");
        };
        scene.pass(ms(3749));
        assert_eq!(scene.actions(), []);
        scene.pass(ms(1251));
        assert_eq!(scene.state(), State::Connect);
    }
    let told = scene.peer.snapshot().last_error.unwrap();
    assert!(told.at < scene.now);
    assert_eq!(told.reason.to_string(), "connection refused");
}

#[test]
fn an_attempt_without_an_answer_is_given_up() {
    let mut scene = Scene::new(config());
    let connection = scene.asked().unwrap();
    scene.pass(secs(5));
    let actions = scene.actions();
    let [
        Action::Close {
            connection: closed, ..
        },
        Action::Connect(next),
    ] = actions.as_slice()
    else {
        panic!("{actions:?}");
    };
    assert!(*closed == connection && *next != connection);
    assert_eq!(
        scene.peer.snapshot().last_error.unwrap().reason,
        Reason::ConnectTimeout
    );
    scene.peer.handle_connected(connection, local(), scene.now);
    assert_eq!(scene.state(), State::Connect, "the old one does not count");
}

/// B1, MetalLB issue 1114: a router that always refuses is not asked in a tight loop.
#[test]
fn refusals_make_attempts_rare_and_a_session_that_stood_forgives_them() {
    let mut scene = Scene::new(config());
    let mut waits = vec![];
    for _ in 0..8 {
        let connection = scene.connect();
        scene.say(connection, &octets(&router()));
        scene.say(connection, &KEEPALIVE);
        scene.say(connection, &message(3, &[6, 5]));
        let start = scene.now;
        scene.actions();
        while scene.state() == State::Idle {
            scene.pass(ms(100));
        }
        waits.push((scene.now - start).as_millis());
    }
    let within = |wait: u128, most: u128| (most * 3 / 4..=most + 100).contains(&wait);
    for (wait, most) in waits.iter().zip([5, 10, 20, 40, 60, 60, 60, 60]) {
        assert!(within(*wait, most * 1000), "{waits:?}");
    }
    let connection = scene.connect();
    scene.say(connection, &octets(&router()));
    scene.say(connection, &KEEPALIVE);
    scene.pass(secs(61));
    scene.peer.handle_closed(connection, "reset", scene.now);
    scene.actions();
    scene.pass(secs(1));
    assert!(scene.asked().is_some());
}

/// RFC 5492 section 3.
#[test]
fn a_router_that_knows_no_capabilities_is_asked_without() {
    let mut scene = Scene::new(config());
    let connection = scene.connect();
    scene.heard(connection);
    scene.say(connection, &message(3, &[2, 4]));
    scene.actions();
    scene.pass(secs(1));
    let connection = scene.connect();
    let said = scene.heard(connection);
    assert_eq!(Open::decode(&said[0].1).unwrap().capabilities, []);
    let mut old = router();
    old.capabilities.clear();
    scene.say(connection, &octets(&old));
    scene.say(connection, &KEEPALIVE);
    let agreed = scene.peer.snapshot().negotiated.unwrap();
    assert_eq!(agreed.families, Families::only(Family::Ipv4));
    assert!(!agreed.four_octet_as);
}

/// B3: OPENs that are refused, by what they say.
#[test]
fn an_open_that_does_not_fit_is_refused_with_its_subcode() {
    let mut strict = config();
    let (role, required) = (Role::Customer, true);
    strict.role = Some(RoleConfig {
        role,
        strict: required,
    });
    let other_as = |asn: Asn| {
        let mut open = router();
        open.capabilities = vec![Capability::FourOctetAs(asn)];
        open
    };
    let mut v6 = config();
    v6.families = Families::only(Family::Ipv6);
    let mut no_id = router();
    no_id.id = Ipv4Addr::UNSPECIFIED;
    let mut short_hold = router();
    short_hold.hold_time = 2;
    for (config, open, expected) in [
        (config(), other_as(Asn(1)), (2, 2)),
        (v6, other_as(THEM), (2, 7)),
        (config(), no_id, (2, 3)),
        (config(), short_hold, (2, 6)),
        (strict.clone(), router(), (2, 11)),
        (strict, router_with(vec![Capability::Role(3)]), (2, 11)),
    ] {
        let mut scene = Scene::new(config);
        let connection = scene.connect();
        scene.say(connection, &octets(&open));
        assert_eq!(scene.refused(connection), expected);
        assert_eq!(scene.state(), State::Idle);
    }
}

/// RFC 6608: messages that have no place in a state.
#[test]
fn a_message_out_of_place_ends_the_session() {
    let update = message(2, &[0, 0, 0, 0]);
    let refresh = message(5, &[0, 1, 0, 1]);
    let open = octets(&router());
    for (before, unexpected, expected) in [
        (0, &KEEPALIVE.to_vec(), (5, 1)),
        (0, &update, (5, 1)),
        (0, &refresh, (5, 1)),
        (1, &open, (5, 2)),
        (1, &update, (5, 2)),
        (1, &refresh, (5, 2)),
        (2, &open, (5, 3)),
    ] {
        let mut scene = Scene::new(config());
        let connection = scene.connect();
        for said in [open.clone(), KEEPALIVE.to_vec()].iter().take(before) {
            scene.say(connection, said);
        }
        scene.say(connection, unexpected);
        let told = scene.closed(connection).unwrap();
        assert_eq!((told.code, told.subcode), expected);
        assert_eq!(told.data, [unexpected[18]]);
    }
}

/// R7: what an OPEN does not say is changed in place.
#[test]
fn a_change_of_configuration_opens_anew_only_what_it_must() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let mut changed = config();
    changed.keepalive_time = Some(secs(5));
    changed.connect_time = secs(9);
    changed.prefix_limit = 5;
    scene.peer.set_config(changed.clone(), scene.now).unwrap();
    assert_eq!(
        (scene.state(), scene.actions()),
        (State::Established, vec![])
    );
    let said = scene.pass(secs(80));
    assert!((16..=22).contains(&said.len()), "{}", said.len());
    scene.say(connection, &KEEPALIVE);
    changed.hold_time = secs(30);
    scene.peer.set_config(changed.clone(), scene.now).unwrap();
    let actions = scene.actions();
    let [Action::Close { last_words, .. }, Action::Connect(_)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(split(last_words)[0].1, [6, 6]);
    changed.router_id = Ipv4Addr::UNSPECIFIED;
    assert_eq!(
        scene.peer.set_config(changed, scene.now),
        Err(ConfigError::RouterId)
    );
    assert_eq!(scene.peer.config().hold_time, secs(30));
}

/// A plain shell may do it in any order and as often as it likes.
#[test]
fn what_is_said_of_closed_connections_is_ignored() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.peer.handle_closed(connection, "reset", scene.now);
    let before = (scene.peer.snapshot(), scene.actions());
    scene.peer.handle_closed(connection, "again", scene.now);
    scene.peer.handle_sent(connection, scene.now);
    scene.peer.handle_connected(connection, local(), scene.now);
    scene.say(connection, &KEEPALIVE);
    scene.peer.handle_timeout(scene.now);
    assert_eq!((scene.peer.snapshot(), scene.actions()), (before.0, vec![]));
}
