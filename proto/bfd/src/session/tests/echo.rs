//! The echo function (RFC 5880 sections 6.4, 6.8.5 and 6.8.8).

use super::*;

fn echoing() -> Config {
    Config {
        echo: Some(ms(20)),
        ..fast()
    }
}

fn looping(state: State, echo: u32) -> Packet<'static> {
    Packet {
        required_echo: echo,
        ..said(state)
    }
}

impl Scene {
    /// Time passes with a neighbour that loops back while `loops`; how many echo packets were sent.
    fn pass_echo(&mut self, time: Duration, packet: &Packet<'_>, loops: bool) -> Vec<Time> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while self.now < end {
            self.now += ms(1);
            if self.now.as_millis().is_multiple_of(20) {
                let _ = self.hear(packet);
            }
            self.session.handle_timeout(self.now);
            while let Some(transmit) = self.session.poll_transmit(self.now) {
                if let Transmit::Echo(octets) = transmit {
                    sent.push(self.now);
                    if loops {
                        self.session.handle_echo(&octets, self.now).unwrap();
                    }
                }
            }
        }
        sent
    }
}

/// RFC 5880 section 6.8.8: no sooner than the neighbour loops back, and not unless it does.
#[test]
fn echo_packets_are_sent_as_often_as_both_want() {
    for (theirs, interval) in [(0, None), (10_000, Some(20)), (50_000, Some(50))] {
        let mut scene = Scene::up(echoing());
        let packet = looping(State::Up, theirs);
        scene.hear(&packet).unwrap();
        let sent = scene.pass_echo(ms(2000), &packet, true);
        let Some(interval) = interval else {
            assert_eq!(sent, []);
            continue;
        };
        let gaps = sent.windows(2).map(|two| two[1] - two[0]);
        // Polled every millisecond.
        let fits = |gap: Duration| gap >= ms(interval) * 3 / 4 && gap <= ms(interval + 1);
        assert!(sent.len() > 35 && gaps.into_iter().all(fits));
        let negotiated = scene.session.snapshot().negotiated.unwrap();
        assert_eq!(negotiated.echo, Some(ms(interval)));
    }
}

/// RFC 5880 section 6.8.3: control packets need not be fast where echo is; section 6.8.5.
#[test]
fn echo_packets_that_stop_coming_back_end_the_session() {
    let mut scene = Scene::up(echoing());
    let packet = looping(State::Up, 10_000);
    scene.pass_echo(ms(300), &packet, true);
    assert!(
        scene.session.snapshot().polls,
        "control packets are to be slow"
    );
    scene.confirm();
    scene.hear(&packet).unwrap();
    scene.pass_echo(ms(300), &packet, true);
    scene.events();
    scene.pass_echo(ms(39), &packet, false);
    assert_eq!(scene.events(), []);
    scene.pass_echo(ms(22), &packet, false);
    assert_eq!(scene.events()[0], Event::Down(Cause::EchoFailed));
    assert_eq!(scene.session.snapshot().diagnostic, Diagnostic::ECHO_FAILED);
}

/// A neighbour that offers to loop back and does not is watched by control packets as without echo.
#[test]
fn echo_that_never_came_back_fails_nothing() {
    let mut scene = Scene::up(echoing());
    let packet = looping(State::Up, 10_000);
    scene.pass_echo(ms(2000), &packet, false);
    assert_eq!(scene.state(), State::Up);
    let negotiated = scene.session.snapshot().negotiated.unwrap();
    assert_eq!((negotiated.echo, negotiated.detection), (None, ms(240)));
}

#[test]
fn an_echo_of_somebody_else_does_not_count() {
    let mut scene = Scene::up(echoing());
    scene.hear(&looping(State::Up, 10_000)).unwrap();
    let echo = std::iter::from_fn(|| scene.session.poll_transmit(scene.now));
    let octets = echo.filter_map(|transmit| match transmit {
        Transmit::Echo(octets) => Some(octets),
        Transmit::Control(_) => None,
    });
    let octets = octets.last().unwrap();
    for at in 4..octets.len() {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        assert_eq!(
            scene.session.handle_echo(&changed, scene.now),
            Err(Discard::Echo)
        );
    }
    for length in 0..octets.len() {
        let cut = scene.session.handle_echo(&octets[..length], scene.now);
        assert_eq!(cut, Err(Discard::Echo));
    }
    assert_eq!(scene.session.handle_echo(&octets, scene.now), Ok(()));
}

/// RFC 5880 section 6.8.16, 6.8.9: it ends with the session, and when the neighbour ends it.
#[test]
fn echo_ends_with_the_session() {
    let packet = looping(State::Up, 10_000);
    let mut scene = Scene::up(echoing());
    scene.pass_echo(ms(300), &packet, true);
    let none = looping(State::Up, 0);
    scene.hear(&none).unwrap();
    assert_eq!(scene.pass_echo(ms(300), &none, true), []);
    let mut scene = Scene::up(echoing());
    scene.pass_echo(ms(300), &packet, true);
    scene.session.admin_down(scene.now);
    assert_eq!(scene.pass_echo(ms(300), &packet, true), []);
}

/// Control packets are slow beside echo: when echo fails, the last one is older than is expected from then
/// on. What follows from that happens at once, and no deadline is left behind.
#[test]
fn echo_that_fails_leaves_no_deadline_in_the_past() {
    let mut scene = Scene::up(echoing());
    let packet = looping(State::Up, 10_000);
    scene.pass_echo(ms(300), &packet, true);
    scene.confirm();
    scene.hear(&packet).unwrap();
    for _ in 0..500 {
        scene.now += ms(1);
        scene.session.handle_timeout(scene.now);
        while let Some(transmit) = scene.session.poll_transmit(scene.now) {
            if let Transmit::Echo(octets) = transmit {
                scene.session.handle_echo(&octets, scene.now).unwrap();
            }
        }
    }
    assert_eq!(scene.state(), State::Up);
    scene.events();
    while scene.state() == State::Up {
        scene.now = scene.session.poll_timeout().unwrap();
        scene.session.handle_timeout(scene.now);
        while scene.session.poll_transmit(scene.now).is_some() {}
        let next = scene.session.poll_timeout().unwrap();
        assert!(next > scene.now, "{next:?} at {:?}", scene.now);
    }
    assert_eq!(scene.events(), [Event::Down(Cause::EchoFailed)]);
}

/// RFC 5880 sections 6.4 and 6.8.9, RFC 5881 section 5: what was forwarded once does not go back and forth.
#[test]
fn the_neighbours_echo_goes_back_while_it_is_up_and_from_the_link_only() {
    let mut scene = Scene::up(echoing());
    for ttl in [0, 1, 64, 254] {
        assert_eq!(scene.session.loop_back(ttl, scene.now), Err(Discard::Ttl));
    }
    assert_eq!(scene.session.loop_back(255, scene.now), Ok(()));
    scene.hear(&said(State::Down)).unwrap();
    let refused = Err(Discard::State);
    assert_eq!(scene.session.loop_back(255, scene.now), refused);
    let mut young = Scene::new(echoing());
    assert_eq!(young.session.loop_back(255, young.now), refused);
    let mut none = Scene::up(fast());
    let refused = Err(Discard::EchoOffer);
    assert_eq!(none.session.loop_back(255, none.now), refused);
}

/// RFC 5880 section 6.8.9: no sooner than the Required Min Echo RX Interval, but for the jitter.
#[test]
fn as_many_of_the_neighbours_echoes_go_back_as_it_may_send() {
    let offered = ms(20);
    for (gap, every) in [(20, true), (15, true), (14, false), (1, false), (0, false)] {
        let mut scene = Scene::up(echoing());
        let began = scene.now;
        let (mut asked, mut back) = (0_u32, 0_u32);
        while scene.now < began + ms(3000) && asked < 10_000 {
            asked += 1;
            back += u32::from(scene.session.loop_back(255, scene.now).is_ok());
            scene.now += ms(gap);
        }
        // What a neighbour sends that takes off all it may, and what waited for a busy reader.
        let most = (scene.now - began).as_millis() / (offered * 3 / 4).as_millis() + 8;
        assert!(u128::from(back) <= most, "{gap}: {back} of {most}");
        assert_eq!(back == asked, every, "{gap}: {back} of {asked}");
    }
    // Five come at once where nobody read for as long.
    let mut scene = Scene::up(echoing());
    for _ in 0..100 {
        for _ in 0..5 {
            assert_eq!(scene.session.loop_back(255, scene.now), Ok(()));
        }
        scene.now += ms(100);
    }
}

/// A shorter interval, wished for by either end, fails nothing that was in order by the longer one.
#[test]
fn sooner_echo_takes_nobody_for_silent() {
    let slow = |theirs| {
        let config = Config {
            echo: Some(ms(1000)),
            ..echoing()
        };
        let mut scene = Scene::up(config);
        let packet = looping(State::Up, theirs);
        scene.pass_echo(ms(3500), &packet, true);
        scene.confirm();
        scene.pass_echo(ms(500), &packet, true);
        scene.events();
        scene
    };
    let mut ours = slow(10_000);
    ours.session.set_config(echoing(), ours.now).unwrap();
    let mut theirs = slow(2_000_000);
    theirs.pass_echo(ms(3000), &looping(State::Up, 2_000_000), true);
    theirs.session.set_config(echoing(), theirs.now).unwrap();
    for mut scene in [ours, theirs] {
        let packet = looping(State::Up, 10_000);
        let sent = scene.pass_echo(ms(1000), &packet, true);
        assert!(sent.len() >= 40, "{} packets", sent.len());
        assert_eq!(scene.session.snapshot().downs, 0);
        scene.pass_echo(ms(61), &packet, false);
        assert_eq!(scene.session.snapshot().downs, 1, "and silence is noticed");
    }
}

/// A neighbour that may send more often from now on need not wait for what it was allowed before.
#[test]
fn a_shorter_interval_is_allowed_at_once() {
    let slow = Config {
        echo: Some(ms(1000)),
        ..echoing()
    };
    let mut scene = Scene::up(slow);
    for _ in 0..5 {
        assert_eq!(scene.session.loop_back(255, scene.now), Ok(()));
        scene.now += ms(20);
    }
    scene.session.set_config(echoing(), scene.now).unwrap();
    for _ in 0..50 {
        assert_eq!(scene.session.loop_back(255, scene.now), Ok(()));
        scene.now += ms(20);
    }
}
