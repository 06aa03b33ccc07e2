//! When silence is a failure (RFC 5880 section 6.8.4).

use super::*;

/// The neighbour's multiplier times the slower of what this end supports and it wishes for.
#[test]
fn the_detection_time_is_negotiated() {
    // Receive here, transmit there, multiplier there, detection in microseconds.
    let cases = [
        (60, 50_000, 4, 240_000),
        (60, 90_000, 4, 360_000),
        (10, 10_000, 3, 30_000),
        (300, 1, 1, 300_000),
        (60, u32::MAX, 255, u64::from(u32::MAX) * 255),
    ];
    for (receive, transmit, multiplier, detection) in cases {
        let config = Config {
            receive: ms(receive),
            ..fast()
        };
        let mut scene = Scene::up(config);
        let mut packet = said(State::Up);
        packet.desired_transmit = transmit;
        packet.multiplier = multiplier;
        scene.hear(&packet).unwrap();
        let detection = Duration::from_micros(detection);
        assert_eq!(
            scene.session.snapshot().negotiated.unwrap().detection,
            detection
        );
        scene.now += detection - Duration::from_micros(1);
        scene.session.handle_timeout(scene.now);
        assert_eq!(scene.state(), State::Up);
        scene.now += Duration::from_micros(1);
        scene.session.handle_timeout(scene.now);
        assert_eq!(scene.state(), State::Down);
        assert_eq!(scene.session.snapshot().diagnostic, Diagnostic::EXPIRED);
    }
}

/// RFC 5880 sections 6.8.4 and 6.8.1: down, told once at once, and the neighbour's number is forgotten.
#[test]
fn a_silent_neighbour_is_given_up_in_time() {
    let mut scene = Scene::up(fast());
    let heard = scene.now;
    scene.pass(ms(239), None);
    assert_eq!(scene.state(), State::Up);
    let sent = scene.pass(ms(1), None);
    assert_eq!(scene.now, heard + ms(240));
    assert_eq!(scene.events(), [Event::Down(Cause::Expired)]);
    let (_, told) = &sent[0];
    assert_eq!(
        (told.state, told.diagnostic),
        (State::Down, Diagnostic::EXPIRED)
    );
    assert_eq!(
        (told.your_discriminator, told.desired_transmit),
        (0, 1_000_000)
    );
    assert_eq!(scene.session.snapshot().neighbor, None);
}

#[test]
fn silence_counts_before_the_session_is_up_as_well() {
    let mut scene = Scene::new(fast());
    scene.hear(&said(State::Down)).unwrap();
    assert_eq!(scene.state(), State::Init);
    scene.pass(ms(240), None);
    assert_eq!((scene.state(), scene.events()), (State::Down, vec![]));
}

/// A packet that waits in the socket is handled first; then nothing has expired.
#[test]
fn who_wakes_late_and_reads_first_gives_nobody_up() {
    let mut scene = Scene::up(fast());
    scene.now += ms(900);
    scene.hear(&said(State::Up)).unwrap();
    scene.session.handle_timeout(scene.now);
    assert_eq!(scene.state(), State::Up);
}

#[test]
fn dropped_packets_do_not_count_as_heard() {
    let mut scene = Scene::up(fast());
    let octets = said(State::Up).encode();
    for _ in 0..24 {
        scene.now += ms(10);
        let _ = scene.session.handle_packet(&octets, 254, scene.now);
        scene.session.handle_timeout(scene.now);
    }
    assert_eq!(scene.state(), State::Down);
}

/// RFC 5882 section 3.2: switched off is told apart from silent, until nothing is heard.
#[test]
fn a_neighbour_that_is_switched_off_is_no_failure_while_it_says_so() {
    let mut scene = Scene::up(fast());
    scene.hear(&said(State::AdminDown)).unwrap();
    assert_eq!(scene.session.path(), Path::AdminDown);
    scene.pass(ms(500), Some((ms(100), said(State::AdminDown))));
    assert_eq!(scene.session.path(), Path::AdminDown);
    scene.pass(ms(241), None);
    assert_eq!(scene.session.path(), Path::Down);
}
