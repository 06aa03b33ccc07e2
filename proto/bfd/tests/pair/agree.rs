//! What both ends come to, whatever is lost and changed.

use std::time::Duration;

use herald_bfd::{Authentication, Cause, Config, Event, Method, Path, SLOW};
use proptest::prelude::*;

use crate::world::{End, World};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn authentication() -> impl Strategy<Value = Option<Authentication>> {
    let method = prop::sample::select(Method::ALL.to_vec());
    prop::option::of(method.prop_map(|method| Authentication {
        method,
        id: 3,
        key: b"secret".to_vec(),
    }))
}

/// Intervals of 10 to 700 ms, as often short as long.
fn interval() -> impl Strategy<Value = u64> {
    prop_oneof![10_u64..30, 30_u64..150, 150_u64..700]
}

fn config() -> impl Strategy<Value = Config> {
    (interval(), interval(), 2_u8..6).prop_map(|(transmit, receive, multiplier)| Config {
        transmit: ms(transmit),
        receive: ms(receive),
        multiplier,
        ..Config::default()
    })
}

/// What the RFC lets an end wait for: the other's multiplier times the slower of the two wishes.
fn detection(ours: &Config, theirs: &Config) -> Duration {
    ours.receive.max(theirs.transmit) * u32::from(theirs.multiplier)
}

/// Both are up, and were all the time since the last look.
fn assert_no_flap(world: &mut World) {
    for end in End::BOTH {
        let downs = world
            .events(end)
            .into_iter()
            .filter(|event| matches!(event, Event::Down(_)));
        assert_eq!(downs.collect::<Vec<_>>(), []);
        assert_eq!(world.path(end), Path::Up);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// RFC 5880 section 6.2, over a pipe that loses up to four of ten packets.
    #[test]
    fn two_sessions_come_up_whatever_is_lost(
        seed in any::<u64>(),
        (one, other) in (config(), config()),
        authentication in authentication(),
        loss in 0_u32..400,
        delay in 0_u64..20,
        passive in any::<bool>(),
    ) {
        let one = Config { authentication: authentication.clone(), passive, ..one };
        let other = Config { authentication, multiplier: other.multiplier, ..other };
        let mut world = World::new(one, other, seed, ms(delay), 0);
        world.set_loss(loss);
        world.run(SLOW * 30);
        // What was lost may have made them fail meanwhile, too; without loss both are up in no time.
        world.set_loss(0);
        world.run(SLOW * 10);
        for end in End::BOTH {
            prop_assert_eq!(world.path(end), Path::Up);
            prop_assert!(!world.snapshot(end).polls);
        }
    }

    /// RFC 5880 section 6.8.3: any change of intervals, at one end or both at once, and of the first
    /// packets after it one is lost.
    #[test]
    fn intervals_change_without_a_flap(
        seed in any::<u64>(),
        mut configs in prop::collection::vec((config(), config()), 2..6),
        both in any::<bool>(),
        authentication in authentication(),
        delay in 0_u64..4,
    ) {
        let first = configs[0].1.clone();
        for (one, other) in &mut configs {
            if !both {
                other.clone_from(&first);
            }
            for config in [one, other] {
                config.multiplier = 3;
                config.authentication.clone_from(&authentication);
            }
        }
        let (one, other) = configs[0].clone();
        let mut world = World::new(one, other, seed, ms(delay), 0);
        world.run(SLOW * 10);
        world.events(End::One);
        world.events(End::Other);
        for (one, other) in &configs[1..] {
            world.lose_one_of(3);
            world.set_config(End::One, one);
            world.set_config(End::Other, other);
            world.run(SLOW * 8);
            assert_no_flap(&mut world);
            for (end, ours, theirs) in [(End::One, one, other), (End::Other, other, one)] {
                let snapshot = world.snapshot(end);
                let negotiated = snapshot.negotiated.unwrap();
                prop_assert_eq!(negotiated.transmit, ours.transmit.max(theirs.receive));
                prop_assert_eq!(negotiated.receive, ours.receive.max(theirs.transmit));
                prop_assert_eq!(negotiated.detection, detection(ours, theirs));
                prop_assert!(!snapshot.polls);
            }
        }
    }

    /// RFC 5880 section 6.8.4: not before the detection time since the last packet, and not after it.
    #[test]
    fn silence_is_noticed_within_the_detection_time(
        seed in any::<u64>(),
        (one, other) in (config(), config()),
        delay in 0_u64..5,
        more in 0_u64..1000,
    ) {
        let mut world = World::new(one.clone(), other.clone(), seed, ms(delay), 0);
        world.run(SLOW * 10 + ms(more));
        let cut_at = world.now();
        world.set_loss(1000);
        world.run(detection(&one, &other).max(detection(&other, &one)) + ms(delay));
        for (end, ours, theirs) in [(End::One, &one, &other), (End::Other, &other, &one)] {
            let detection = detection(ours, theirs);
            let down = world.snapshot(end).since;
            prop_assert_eq!(world.path(end), Path::Down);
            prop_assert_eq!(world.events(end).pop(), Some(Event::Down(Cause::Expired)));
            prop_assert!(down <= cut_at + ms(delay) + detection, "late");
            // The last packet was sent at most one interval before the cut.
            let interval = ours.receive.max(theirs.transmit);
            prop_assert!(down + interval >= cut_at + detection, "early");
        }
        world.set_loss(0);
        world.run(SLOW * 4);
        prop_assert_eq!((world.path(End::One), world.path(End::Other)), (Path::Up, Path::Up));
    }

    /// RFC 5880 section 6.8.16 and RFC 5882 section 3.2.
    #[test]
    fn switching_off_is_no_failure_and_on_again_comes_up(
        seed in any::<u64>(),
        (one, other) in (config(), config()),
    ) {
        let mut world = World::new(one, other, seed, ms(1), 0);
        world.run(SLOW * 5);
        world.events(End::Other);
        world.admin_down(End::One);
        world.run(ms(3));
        prop_assert_eq!(world.path(End::Other), Path::AdminDown);
        prop_assert_eq!(world.events(End::Other), [Event::Down(Cause::NeighborAdminDown)]);
        prop_assert!(world.is_heeded(End::One));
        world.run(SLOW * 5);
        prop_assert_eq!(world.path(End::Other), Path::AdminDown);
        world.admin_up(End::One);
        world.run(SLOW * 3);
        prop_assert_eq!((world.path(End::One), world.path(End::Other)), (Path::Up, Path::Up));
    }
}

/// 6 % of the packets for ten minutes, and ten in a row are not among them.
#[test]
fn lost_packets_alone_do_not_end_a_session() {
    let patient = Config {
        transmit: ms(50),
        receive: ms(50),
        multiplier: 10,
        ..Config::default()
    };
    let mut world = World::new(patient.clone(), patient, 11, ms(2), 3);
    world.run(SLOW * 5);
    world.events(End::One);
    world.events(End::Other);
    world.set_loss(60);
    world.run(SLOW * 600);
    assert_no_flap(&mut world);
}
