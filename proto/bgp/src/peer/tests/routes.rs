//! What a router is told, as octets on the connection.

use super::*;
use crate::ExtendedCommunity;

fn host(number: u32) -> Prefix {
    Prefix::host(Ipv4Addr::from_bits(0xc612_0000 + number).into())
}

fn host6(number: u32) -> Prefix {
    let base = 0x2001_0db8_u128 << 96;
    let address = std::net::Ipv6Addr::from_bits(base + u128::from(number));
    Prefix::host(address.into())
}

fn wish_of(prefixes: impl Iterator<Item = Prefix>) -> Arc<Wish> {
    let route = Arc::new(Route::default());
    Arc::new(
        prefixes
            .map(|prefix| (prefix, Arc::clone(&route)))
            .collect(),
    )
}

fn local6() -> Local {
    Local {
        ipv6: Some("2001:db8:1::1".parse().unwrap()),
        ..local()
    }
}

/// A session with addresses of both families.
fn dual(config: Config, router: &Open) -> (Scene, ConnectionId) {
    let mut scene = Scene::new(config);
    let connection = scene.asked().unwrap();
    scene.peer.handle_connected(connection, local6(), scene.now);
    scene.say(connection, &octets(router));
    scene.say(connection, &KEEPALIVE);
    scene.heard(connection);
    (scene, connection)
}

/// R4: the numbers of messages and octets that were measured with a packing speaker.
#[test]
fn ten_thousand_prefixes_take_thirteen_messages() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene
        .peer
        .set_wish(wish_of((0..10_000).map(host)), scene.now);
    let mut octets = 0;
    let mut said = vec![];
    let mut chunks = 0;
    while let Some(transmit) = scene.peer.poll_transmit(scene.now) {
        octets += transmit.bytes.len();
        chunks += 1;
        said.extend(split(&transmit.bytes));
        scene.peer.handle_sent(connection, scene.now);
    }
    assert_eq!((said.len(), octets, chunks), (13, 50_559, 1));
    let updates = updates(&said);
    assert_eq!(updates[0].announced.len(), 810);
    let all: Vec<Prefix> = updates.into_iter().flat_map(|u| u.announced).collect();
    assert_eq!(all, (0..10_000).map(host).collect::<Vec<_>>());
    assert_eq!(scene.peer.snapshot().sent, 10_000);

    scene.peer.set_wish(Arc::default(), scene.now);
    let said = scene.heard(connection);
    assert_eq!(
        (said.len(), updates_of(&said, false)[0].withdrawn.len()),
        (13, 814)
    );
    assert_eq!(scene.peer.snapshot().sent, 0);
}

/// R2, R4: routes with different shares of the traffic are in different messages. One that changes is told
/// anew by itself, in place of what was told before (RFC 4271 section 3.1), and never withdrawn.
#[test]
fn shares_of_five_sizes_take_fifteen_messages_and_one_that_changes_one() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let share = |megabits: u8| {
        let rate = f32::from(megabits) * 125_000.0;
        let bandwidth = ExtendedCommunity::link_bandwidth(Asn(64_512), rate, true);
        Arc::new(Route {
            extended_communities: [bandwidth].into(),
            ..Route::default()
        })
    };
    let shares = [1, 2, 3, 4, 5].map(share);
    let shared = (0..10_000).zip(shares.iter().cycle());
    let mut wish: Wish = shared
        .map(|(number, share)| (host(number), Arc::clone(share)))
        .collect();
    scene.peer.set_wish(Arc::new(wish.clone()), scene.now);
    assert_eq!(scene.heard(connection).len(), 15);
    scene.pass(secs(1));
    wish.insert(host(7), share(6));
    scene.peer.set_wish(Arc::new(wish), scene.now);
    let said = updates(&scene.heard(connection));
    assert_eq!(said.len(), 1);
    assert_eq!(
        (&said[0].announced, said[0].withdrawn.len()),
        (&vec![host(7)], 0)
    );
}

/// R4 and B24: 237 to a message; everything in one where messages may be long.
#[test]
fn messages_are_filled_up_to_what_was_agreed_on() {
    let (mut scene, connection) = dual(config(), &router());
    scene
        .peer
        .set_wish(wish_of((0..1000).map(host6)), scene.now);
    let said = updates(&scene.heard(connection));
    let sizes: Vec<usize> = said
        .iter()
        .map(|update| update.reach.as_ref().unwrap().prefixes.len())
        .collect();
    assert_eq!(sizes, [237, 237, 237, 237, 52]);
    scene.peer.set_wish(Arc::default(), scene.now);
    let said = updates(&scene.heard(connection));
    let first = said[0].unreach.as_ref().unwrap().prefixes.len();
    assert_eq!(first, (4096 - 23 - 7) / 17);

    let long = router_with(vec![Capability::ExtendedMessages]);
    let (mut scene, connection) = Scene::established(config(), &long);
    scene
        .peer
        .set_wish(wish_of((0..10_000).map(host)), scene.now);
    assert_eq!(scene.heard(connection).len(), 1);
    scene
        .peer
        .set_wish(wish_of((0..40_000).map(host)), scene.now);
    assert_eq!(scene.heard(connection).len(), 3);
}

/// R4: withdrawals first and alone; R5: at once.
#[test]
fn withdrawals_go_first_and_alone() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.peer.set_wish(wish_of((0..3).map(host)), scene.now);
    scene.heard(connection);
    scene.peer.set_wish(wish_of((2..5).map(host)), scene.now);
    let said = updates(&scene.heard(connection));
    assert_eq!(said.len(), 2);
    assert_eq!(
        (&said[0].withdrawn, &said[0].announced),
        (&vec![host(0), host(1)], &vec![])
    );
    assert_eq!(
        (&said[1].withdrawn, &said[1].announced),
        (&vec![], &vec![host(3), host(4)])
    );
}

/// R5: nothing is said twice, whatever is wished how often.
#[test]
fn what_the_router_knows_is_not_told_again() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
    assert_eq!(scene.heard(connection).len(), 1);
    scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
    assert_eq!(scene.pass(secs(20)), []);
}

/// R5, P7: a thousand flaps a second are fifty batches a second.
#[test]
fn flaps_are_gathered_and_the_last_wish_is_what_the_router_has() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let mut messages = 0;
    let mut known: std::collections::BTreeSet<Prefix> = Default::default();
    let mut listen = |scene: &mut Scene| {
        for update in updates(&scene.heard(connection)) {
            messages += 1;
            update
                .withdrawn
                .iter()
                .for_each(|gone| assert!(known.remove(gone)));
            known.extend(update.announced);
        }
    };
    for flap in 0..6000_u32 {
        let gone = (flap % 2 == 0).then_some(host(flap / 2 % 100));
        let there = (0..100).map(host).filter(|prefix| Some(*prefix) != gone);
        scene.peer.set_wish(wish_of(there), scene.now);
        listen(&mut scene);
        scene.now += Duration::from_micros(500);
        scene.say(connection, &KEEPALIVE);
    }
    scene.now += ms(20);
    listen(&mut scene);
    assert!(
        messages <= 3 * 100 + 20,
        "{messages} messages in three seconds"
    );
    assert_eq!(known, (0..100).map(host).collect());
}

/// R8: a single event never waits.
#[test]
fn a_single_withdrawal_never_waits() {
    let (mut scene, connection) = Scene::established(config(), &router());
    for round in 0..100 {
        scene.peer.set_wish(wish_of((0..100).map(host)), scene.now);
        assert!(!scene.heard(connection).is_empty());
        scene.now += ms(5);
        scene.peer.set_wish(wish_of((1..100).map(host)), scene.now);
        assert_eq!(scene.heard(connection).len(), 1, "{round}");
        scene.now += ms(500);
        scene.say(connection, &KEEPALIVE);
    }
}

/// A change of attributes waits 20 ms at most, and not at all after a silence.
#[test]
fn changes_are_gathered_for_twenty_milliseconds() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let with_med = |med| {
        let route = Arc::new(Route {
            med: Some(med),
            ..Route::default()
        });
        Arc::new(Wish::from([(host(1), route)]))
    };
    scene.peer.set_wish(with_med(0), scene.now);
    scene.heard(connection);
    scene.pass(secs(1));
    for med in 1..=20 {
        scene.peer.set_wish(with_med(med), scene.now);
        let said = updates(&scene.heard(connection));
        assert_eq!(said.len(), usize::from(med == 1), "{med}");
        assert!(med == 1 || scene.peer.poll_timeout().unwrap() <= scene.now + ms(20));
        scene.now += ms(1);
    }
    let said = updates(&scene.heard(connection));
    assert_eq!(said.len(), 1);
    assert!(said[0].attributes.contains(&Attribute::Med(20)));
}

/// B8: nothing is said, not even that there is nothing, before the wish is known.
#[test]
fn the_marker_of_the_end_follows_the_routes_of_each_family() {
    let (mut scene, connection) = dual(graceful(), &router_with(vec![keeps_routes()]));
    let said = scene.pass(secs(20));
    assert_eq!(said, []);
    let both = [host(1), host6(1)].into_iter();
    scene.peer.set_wish(wish_of(both), scene.now);
    let said = updates(&scene.heard(connection));
    let ends: Vec<Option<Family>> = said.iter().map(Update::ends).collect();
    assert_eq!(ends, [None, None, Some(Family::Ipv4), Some(Family::Ipv6)]);
    assert!(scene.events().contains(&Event::Synchronized));
    scene.peer.set_wish(Arc::default(), scene.now);
    let said = updates(&scene.heard(connection));
    assert!(
        said.iter().all(|update| update.ends().is_none()),
        "once a session"
    );

    let (mut scene, connection) = dual(config(), &router());
    scene.peer.set_wish(Arc::default(), scene.now);
    assert_eq!(
        scene.heard(connection),
        [],
        "the router did not ask for markers"
    );
    assert!(scene.peer.snapshot().synchronized);
}

/// B7: all of the family that was asked for, and nothing else, within brackets where agreed on.
#[test]
fn a_refresh_is_answered_with_the_routes_of_its_family() {
    let plain = {
        let mut open = router();
        open.capabilities.remove(3);
        open
    };
    for (open, bracketed) in [(router(), true), (plain, false)] {
        let (mut scene, connection) = dual(config(), &open);
        let all = (0..3).map(host).chain((0..2).map(host6));
        scene.peer.set_wish(wish_of(all), scene.now);
        scene.heard(connection);
        scene.say(connection, &message(5, &[0, 2, 0, 1]));
        let said = scene.heard(connection);
        let again = updates(&said);
        assert_eq!(
            again[0].reach.as_ref().unwrap().prefixes,
            [host6(0), host6(1)]
        );
        let brackets: Vec<Vec<u8>> = said
            .iter()
            .filter(|(kind, _)| *kind == Kind::RouteRefresh)
            .map(|(_, body)| body.clone())
            .collect();
        if bracketed {
            assert_eq!(brackets, [[0, 2, 1, 1], [0, 2, 2, 1]]);
            assert_eq!(
                kinds(&said),
                [Kind::RouteRefresh, Kind::Update, Kind::RouteRefresh]
            );
        } else {
            assert_eq!((brackets.len(), said.len()), (0, 1));
        }
        for ignored in [[0, 1, 0, 128], [0, 25, 0, 70], [0, 1, 9, 1]] {
            scene.say(connection, &message(5, &ignored));
            assert_eq!(scene.heard(connection), []);
        }
        assert_eq!(scene.state(), State::Established);
        scene.say(connection, &message(5, &[0, 1, 1, 1, 0]));
        assert_eq!(scene.refused(connection), (7, 1));
    }
}

/// RFC 2918 section 4: who sends one needs to have heard the capability, not to have told it.
#[test]
fn a_refresh_is_answered_to_a_router_that_takes_none_itself() {
    let mut open = router();
    let silent = [Capability::RouteRefresh, Capability::EnhancedRefresh];
    open.capabilities
        .retain(|capability| !silent.contains(capability));
    let (mut scene, connection) = Scene::established(config(), &open);
    scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
    scene.heard(connection);
    scene.say(connection, &message(5, &[0, 1, 0, 1]));
    assert_eq!(kinds(&scene.heard(connection)), [Kind::Update]);
}

/// RFC 9234 section 5: what goes down or sideways is marked, what goes up is not.
#[test]
fn routes_for_customers_are_marked() {
    for (role, theirs, marked) in [
        (Role::Provider, 3, true),
        (Role::RouteServer, 2, true),
        (Role::Peer, 4, true),
        (Role::Customer, 0, false),
        (Role::RouteServerClient, 1, false),
    ] {
        let mut config = config();
        let strict = false;
        config.role = Some(RoleConfig { role, strict });
        let open = router_with(vec![Capability::Role(theirs)]);
        let (mut scene, connection) = Scene::established(config, &open);
        scene.peer.set_wish(wish(&["192.0.2.1/32"]), scene.now);
        let said = updates(&scene.heard(connection));
        let mark = said[0].attributes.contains(&Attribute::OnlyToCustomer(US));
        assert_eq!(mark, marked, "{role:?}");
    }
}

/// Asked a thousand times while it does not read, it is answered twice.
#[test]
fn a_flood_of_refreshes_is_answered_once_more() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene
        .peer
        .set_wish(wish_of((0..40_000).map(host)), scene.now);
    scene.heard(connection);
    let before = scene.peer.snapshot().messages_sent.update;
    scene.say(connection, &message(5, &[0, 1, 0, 1]));
    let chunk = scene.peer.poll_transmit(scene.now).unwrap();
    assert!(chunk.bytes.len() < 128 * 1024);
    for _ in 0..1000 {
        scene.say(connection, &message(5, &[0, 1, 0, 1]));
    }
    scene.peer.handle_sent(connection, scene.now);
    scene.heard(connection);
    let sent = scene.peer.snapshot().messages_sent.update - before;
    assert_eq!(sent, 2 * 40_000_u64.div_ceil(810));
}

/// What changes while the answer is under way is told as it is, and what is gone stays gone.
#[test]
fn a_wish_that_changes_within_a_refresh_is_told_right() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene
        .peer
        .set_wish(wish_of((0..40_000).map(host)), scene.now);
    scene.heard(connection);
    scene.say(connection, &message(5, &[0, 1, 0, 1]));
    let chunk = scene.peer.poll_transmit(scene.now).unwrap();
    let mut known: std::collections::BTreeSet<Prefix> = (0..40_000).map(host).collect();
    let mut said = split(&chunk.bytes);
    scene
        .peer
        .set_wish(wish_of((0..20_000).map(host)), scene.now);
    scene.peer.handle_sent(connection, scene.now);
    said.extend(scene.heard(connection));
    for update in updates(&said) {
        update
            .withdrawn
            .iter()
            .for_each(|gone| assert!(known.remove(gone)));
        known.extend(update.announced);
    }
    assert_eq!(known, (0..20_000).map(host).collect());
    assert_eq!(said.last().unwrap().0, Kind::RouteRefresh);
}

/// Whatever is wished while the router does not read, it costs one chunk, and the last counts.
#[test]
fn a_router_that_does_not_read_finds_the_last_wish() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.peer.set_wish(wish_of((0..100).map(host)), scene.now);
    let chunk = scene.peer.poll_transmit(scene.now).unwrap();
    let mut known: std::collections::BTreeSet<Prefix> = Default::default();
    for update in updates(&split(&chunk.bytes)) {
        known.extend(update.announced);
    }
    for round in 0..1000 {
        scene
            .peer
            .set_wish(wish_of((round..round + 100).map(host)), scene.now);
        assert_eq!(scene.peer.poll_transmit(scene.now), None);
    }
    scene.peer.handle_sent(connection, scene.now);
    let said = updates(&scene.heard(connection));
    assert_eq!(said.len(), 2, "one withdraws, one announces");
    for update in said {
        update
            .withdrawn
            .iter()
            .for_each(|gone| assert!(known.remove(gone)));
        known.extend(update.announced);
    }
    assert_eq!(known, (999..1099).map(host).collect());
}

/// What cannot be told is counted with the reason, and the rest is told.
#[test]
fn what_cannot_be_told_is_told_apart() {
    let (mut scene, connection) = Scene::established(config(), &router());
    let mut crowded = Route::default();
    crowded.communities.extend((0..2000).map(Community));
    let mut wished = wish_of([host(1), host6(1)].into_iter()).as_ref().clone();
    wished.insert(host(2), Arc::new(crowded.clone()));
    scene.peer.set_wish(Arc::new(wished), scene.now);
    let said = updates(&scene.heard(connection));
    assert_eq!((said.len(), &said[0].announced), (1, &vec![host(1)]));
    let told = scene.peer.snapshot();
    assert_eq!(
        told.untold,
        [(Obstacle::NextHop, 1), (Obstacle::TooLong, 1)]
    );
    assert_eq!((told.wished, told.sent), (3, 1));
    crowded.communities = crowded.communities.into_iter().take(1000).collect();
    scene.peer.set_wish(
        Arc::new(Wish::from([(host(2), Arc::new(crowded))])),
        scene.now,
    );
    let said = updates(&scene.heard(connection));
    assert_eq!(said[1].announced, [host(2)], "a thousand communities fit");

    let mut only6 = config();
    only6.families = Families::only(Family::Ipv6);
    let (mut scene, connection) = dual(only6, &router());
    scene
        .peer
        .set_wish(wish_of([host(1), host6(1)].into_iter()), scene.now);
    scene.heard(connection);
    assert_eq!(scene.peer.snapshot().untold, [(Obstacle::Family, 1)]);
}

/// R9, RFC 4486: counted exactly, not kept, and too many end the session.
#[test]
fn received_prefixes_are_counted_up_to_the_limit() {
    let mut config = config();
    config.prefix_limit = 3;
    let (mut scene, connection) = Scene::established(config, &router());
    scene.say(
        connection,
        &announce(&["0.0.0.0/0", "192.0.2.0/24", "192.0.2.0/24"]),
    );
    scene.say(connection, &announce(&["192.0.2.0/24"]));
    let told = scene.peer.snapshot();
    assert_eq!((told.received, told.received_default.ipv4), (2, true));
    scene.say(connection, &message(2, &[0, 1, 0, 0, 0]));
    let told = scene.peer.snapshot();
    assert_eq!((told.received, told.received_default.ipv4), (1, false));
    scene.say(connection, &announce(&["10.0.0.0/8", "11.0.0.0/8"]));
    assert_eq!(scene.state(), State::Established);
    scene.say(connection, &announce(&["12.0.0.0/8"]));
    let told = scene.closed(connection).unwrap();
    assert_eq!((told.code, told.subcode), (6, 1));
    assert_eq!(told.data, [0, 1, 1, 0, 0, 0, 3]);
    assert_eq!(scene.peer.snapshot().received, 0);
}

/// RFC 4271 section 9: FRR sends all routes back to where they came from; they are not its own.
#[test]
fn routes_that_come_back_are_not_counted() {
    let mut config = config();
    config.prefix_limit = 1;
    let (mut scene, connection) = Scene::established(config, &router());
    let back = |prefixes: &[&str]| {
        let mut octets = announce(prefixes);
        let at = octets.windows(4).position(|four| four == [0, 0, 0xfc, 1]);
        let at = at.unwrap();
        octets[at..at + 4].copy_from_slice(&US.0.to_be_bytes());
        octets
    };
    scene.say(connection, &announce(&["192.0.2.0/24"]));
    scene.say(
        connection,
        &back(&["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"]),
    );
    assert_eq!(
        (scene.state(), scene.peer.snapshot().received),
        (State::Established, 1)
    );
    scene.say(connection, &back(&["192.0.2.0/24"]));
    assert_eq!(
        scene.peer.snapshot().received,
        0,
        "it took the place of the other"
    );
}

/// RFC 4456 section 8: a reflector told who began it.
#[test]
fn own_routes_that_a_reflector_sends_are_not_counted() {
    let mut config = config();
    config.remote_as = RemoteAs::Internal;
    let mut open = router();
    open.capabilities[4] = Capability::FourOctetAs(US);
    let (mut scene, connection) = Scene::established(config, &open);
    for (last, count) in [(1, 0), (7, 1)] {
        let attributes = [
            0x40, 1, 1, 0, 0x40, 2, 0, 0x40, 3, 4, 10, 0, 0, 254, 0x40, 5, 4, 0, 0, 0, 100, 0x80,
            9, 4, 10, 0, 0, last,
        ];
        let mut body = vec![0, 0, 0, attributes.len() as u8];
        body.extend(attributes);
        body.extend([8, 10]);
        scene.say(connection, &message(2, &body));
        let told = scene.peer.snapshot();
        assert_eq!((told.received, told.malformed), (count, 0));
    }
}

/// B18, RFC 8950: IPv4 over a session of IPv6, with what was agreed on and without.
#[test]
fn ipv4_routes_go_over_an_ipv6_session() {
    let next_hop = crate::codec::NextHopFamily {
        afi: 1,
        safi: 1,
        next_hop: 2,
    };
    let extended = router_with(vec![Capability::ExtendedNextHop(vec![next_hop])]);
    let address: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
    for (open, agreed) in [(extended, true), (router(), false)] {
        let mut config = config();
        config.extended_next_hop = true;
        let mut scene = Scene::new(config);
        let connection = scene.asked().unwrap();
        let local = Local::of(address.into());
        scene.peer.handle_connected(connection, local, scene.now);
        scene.say(connection, &octets(&open));
        scene.say(connection, &KEEPALIVE);
        scene.heard(connection);
        scene
            .peer
            .set_wish(wish_of([host(1), host6(1)].into_iter()), scene.now);
        let said = updates(&scene.heard(connection));
        let reaches: Vec<_> = said
            .iter()
            .filter_map(|update| update.reach.clone())
            .collect();
        let of = |family, prefix| crate::codec::Reach {
            family,
            next_hop: crate::codec::NextHop::V6(address),
            prefixes: vec![prefix],
        };
        let v6 = of(Family::Ipv6, host6(1));
        if agreed {
            assert_eq!(reaches, [of(Family::Ipv4, host(1)), v6]);
        } else {
            assert_eq!(reaches, [v6]);
            assert_eq!(scene.peer.snapshot().untold, [(Obstacle::NextHop, 1)]);
        }
    }
}

/// RFC 7606: the session goes on, and the routes of the UPDATE count as withdrawn.
#[test]
fn a_malformed_update_does_not_end_the_session() {
    let (mut scene, connection) = Scene::established(config(), &router());
    scene.say(connection, &announce(&["192.0.2.0/24"]));
    scene.events();
    let mut wrong = announce(&["192.0.2.0/24"]);
    wrong[23 + 3] = 9;
    scene.say(connection, &wrong);
    let told = scene.peer.snapshot();
    assert_eq!(
        (told.state, told.received, told.malformed),
        (State::Established, 0, 1)
    );
    assert!(matches!(scene.events().as_slice(), [Event::Malformed(_)]));
}
