//! How often packets are sent, and how that changes (RFC 5880 sections 6.8.2, 6.8.3 and 6.8.7).

use super::*;

fn gaps(sent: &[(Time, Seen)]) -> Vec<Duration> {
    sent.windows(2).map(|two| two[1].0 - two[0].0).collect()
}

fn assert_within(gaps: &[Duration], least: Duration, most: Duration) {
    let wrong: Vec<_> = gaps
        .iter()
        .filter(|gap| !(least..=most).contains(gap))
        .collect();
    assert!(wrong.is_empty(), "{least:?} to {most:?}: {wrong:?}");
    assert!(gaps.len() > 5);
}

#[test]
fn nothing_is_sent_faster_than_once_a_second_before_it_is_up() {
    let mut scene = Scene::new(fast());
    let sent = scene.pass(ms(60_000), None);
    assert_within(&gaps(&sent), ms(750), ms(1000));
    assert!(
        sent.iter()
            .all(|(_, packet)| packet.desired_transmit == 1_000_000)
    );
}

/// The slower of what this end wishes for and the neighbour supports, less up to a quarter.
#[test]
fn packets_go_out_at_the_negotiated_interval_with_jitter() {
    for (theirs, least, most) in [(40_000, 37_500, 50_000), (90_000, 67_500, 90_000)] {
        let mut packet = said(State::Up);
        packet.required_receive = theirs;
        let mut scene = Scene::up(fast());
        scene.hear(&packet).unwrap();
        scene.pass(ms(200), Some((ms(50), packet.clone())));
        let sent = scene.pass(ms(20_000), Some((ms(50), packet)));
        let gaps = gaps(&sent);
        assert_within(
            &gaps,
            Duration::from_micros(least),
            Duration::from_micros(most),
        );
        let different: std::collections::BTreeSet<_> = gaps.iter().collect();
        assert!(different.len() > 50, "there is chance in them");
    }
}

/// RFC 5880 section 6.8.7: no more than 90 % where one lost packet is a failure.
#[test]
fn with_a_multiplier_of_one_packets_come_early() {
    let one = Config {
        multiplier: 1,
        ..fast()
    };
    let mut scene = Scene::up(one);
    let sent = scene.pass(ms(20_000), Some((ms(50), said(State::Up))));
    assert_within(&gaps(&sent), Duration::from_micros(37_500), ms(45));
}

/// RFC 5880 sections 6.5 and 6.8.3: on scheduled packets, until F; slower only then.
#[test]
fn sending_slower_waits_for_the_neighbours_answer() {
    let mut scene = Scene::up(fast());
    let slower = Config {
        transmit: ms(400),
        ..fast()
    };
    scene.session.set_config(slower, scene.now).unwrap();
    let polls = scene.pass(ms(1000), Some((ms(50), said(State::Up))));
    assert!(
        polls
            .iter()
            .all(|(_, p)| p.flags.poll && p.desired_transmit == 400_000)
    );
    assert_within(&gaps(&polls), Duration::from_micros(37_500), ms(50));
    scene.confirm();
    scene.pass(ms(400), Some((ms(50), said(State::Up))));
    let sent = scene.pass(ms(20_000), Some((ms(50), said(State::Up))));
    assert!(sent.iter().all(|(_, packet)| !packet.flags.poll));
    assert_within(&gaps(&sent), ms(300), ms(400));
    assert_eq!(scene.state(), State::Up);
}

/// RFC 5880 section 6.8.3: the old interval counts for detection until F.
#[test]
fn expecting_packets_sooner_waits_for_the_neighbours_answer() {
    let mut scene = Scene::up(fast());
    let detection = |scene: &Scene| scene.session.snapshot().negotiated.unwrap().detection;
    let mut packet = said(State::Up);
    packet.desired_transmit = 10_000;
    scene.hear(&packet).unwrap();
    assert_eq!(detection(&scene), ms(240));
    let sooner = Config {
        receive: ms(20),
        ..fast()
    };
    scene.session.set_config(sooner, scene.now).unwrap();
    assert_eq!(scene.one().required_receive, 20_000);
    scene.hear(&packet).unwrap();
    assert_eq!(detection(&scene), ms(240));
    packet.flags.final_ = true;
    scene.hear(&packet).unwrap();
    assert_eq!(detection(&scene), ms(80));
    let later = Config {
        receive: ms(100),
        ..fast()
    };
    scene.session.set_config(later, scene.now).unwrap();
    assert_eq!(detection(&scene), ms(400), "longer counts at once");
}

/// RFC 5880 section 6.8.3: the sender cannot wait longer than the new interval.
#[test]
fn a_neighbour_that_wants_packets_sooner_gets_them_at_once() {
    let mut slow = said(State::Up);
    slow.required_receive = 10_000_000;
    let mut scene = Scene::up(fast());
    scene.hear(&slow).unwrap();
    scene.pass(ms(100), Some((ms(50), slow.clone())));
    assert_eq!(scene.pass(ms(1000), Some((ms(50), slow))), []);
    scene.hear(&said(State::Up)).unwrap();
    scene.session.handle_timeout(scene.now);
    assert_eq!(scene.sent().len(), 1);
}

/// A state is told at once and not at the next interval (RFC 5880 section 6.8.7).
#[test]
fn a_change_of_state_is_told_at_once() {
    let mut scene = Scene::new(fast());
    scene.sent();
    scene.now += ms(1);
    scene.hear(&said(State::Down)).unwrap();
    assert_eq!(scene.one().state, State::Init);
    scene.hear(&said(State::Down)).unwrap();
    assert_eq!(scene.sent(), [], "nothing changed");
}

/// RFC 5880 section 6.8.12: no poll sequence is needed, and none that runs is missed.
#[test]
fn a_new_multiplier_is_told() {
    let mut scene = Scene::up(fast());
    let patient = Config {
        multiplier: 9,
        ..fast()
    };
    scene.session.set_config(patient, scene.now).unwrap();
    let packet = scene.one();
    assert_eq!((packet.multiplier, packet.flags.poll), (9, false));
}

#[test]
fn an_impossible_configuration_changes_nothing() {
    let mut scene = Scene::up(fast());
    let impossible = Config {
        multiplier: 0,
        ..fast()
    };
    let refused = scene.session.set_config(impossible, scene.now);
    assert_eq!(refused, Err(ConfigError::Multiplier));
    assert_eq!(scene.session.config(), &fast());
    assert_eq!(scene.sent(), []);
}
