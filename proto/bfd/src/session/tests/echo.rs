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
