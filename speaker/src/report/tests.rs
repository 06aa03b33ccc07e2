use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn usage(name: &str, used: Result<(), NotUsed>) -> Usage {
    Usage {
        link: Link {
            name: name.to_owned(),
            ..Link::default()
        },
        index: 2,
        used,
        lost: false,
    }
}

fn status(
    usages: &[Usage],
    stopping: bool,
    before: Option<&SpeakerStatus>,
    now: Timestamp,
) -> SpeakerStatus {
    status_of(&Telling::default(), usages, stopping, before, now)
}

fn status_of(
    telling: &Telling,
    usages: &[Usage],
    stopping: bool,
    before: Option<&SpeakerStatus>,
    now: Timestamp,
) -> SpeakerStatus {
    let names = ["a", "b"].map(|name| (crate::cluster::id(name), name.to_owned()));
    speaker_status(&Facts {
        usages,
        answered: &[],
        stopping,
        before,
        beacon_address: None,
        telling,
        names: &names.into(),
        me: "a",
        sessions: &routers::States::new(),
        boot: Duration::ZERO,
        now,
    })
}

#[test]
fn peers_are_alive_or_silent_since_that_changed_and_a_majority_is_a_condition() {
    let id = crate::cluster::id;
    let mut telling = Telling {
        member: true,
        view: 3,
        members: [id("a"), id("b"), id("gone")].into(),
        voters: [id("a"), id("b"), id("gone")].into(),
        live: [id("a"), id("b")].into(),
        quorum: true,
        ..Telling::default()
    };
    let first = status_of(&telling, &[], false, None, at(1));
    let said: Vec<_> = first
        .peers
        .iter()
        .map(|p| (p.node.clone(), &*p.state))
        .collect();
    let stranger = format!("{:016x}", id("gone"));
    assert_eq!(
        said,
        [(stranger.clone(), "Silent"), ("b".to_owned(), "Alive")]
    );
    telling.live = [id("a")].into();
    telling.refusing = [id("b")].into();
    telling.quorum = false;
    let second = status_of(&telling, &[], false, Some(&first), at(2));
    let since: Vec<_> = second
        .peers
        .iter()
        .map(|p| (&*p.state, p.since.clone()))
        .collect();
    assert_eq!(
        since,
        [
            ("Silent", Some(Time(at(1)))),
            ("Refusing", Some(Time(at(2))))
        ]
    );
    let reasons = [&first, &second].map(|status| status.conditions[2].reason.clone());
    assert_eq!(reasons, ["Majority", "NoMajority"]);
    assert_eq!(first.conditions[2].message, "2 of 3 speakers are heard");
    telling.voters = [id("a")].into();
    telling.quorum = true;
    let council = status_of(&telling, &[], false, None, at(3));
    assert_eq!(
        council.conditions[2].message,
        "1 of 1 voting speakers are heard"
    );
}

#[test]
fn a_network_on_which_a_node_is_not_heard_is_named() {
    let id = crate::cluster::id;
    let usages = [usage("eth0", Ok(())), usage("eth1", Ok(()))];
    let mut telling = Telling {
        unheard: [(id("b"), [Link::id("eth1")].into())].into(),
        ..Telling::default()
    };
    let others = status_of(&telling, &usages, false, None, at(1));
    assert_eq!(others.conditions[3].reason, "NotMissed");
    telling.unheard.insert(id("a"), [Link::id("eth1")].into());
    let own = status_of(&telling, &usages, false, None, at(1));
    let heard = &own.conditions[3];
    assert_eq!((&*heard.type_, &*heard.status), ("Heard", "False"));
    assert!(heard.message.starts_with("on eth1 "), "{}", heard.message);
}

fn ready_of(status: &SpeakerStatus) -> (&str, &str, Timestamp) {
    let ready = &status.conditions[0];
    (&ready.status, &ready.reason, ready.last_transition_time.0)
}

#[test]
fn a_speaker_is_ready_when_it_can_announce_somewhere() {
    let privilege = NotUsed::NoSocket {
        error: "add NET_RAW".to_owned(),
    };
    let cases = [
        (
            vec![usage("eth0", Ok(())), usage("eth1", Err(NotUsed::Down))],
            false,
            "Announcing",
        ),
        (
            vec![usage("eth0", Err(NotUsed::Down))],
            false,
            "NoInterface",
        ),
        (vec![usage("eth0", Err(privilege))], false, "NoSocket"),
        (vec![usage("eth0", Ok(()))], true, STOPPING),
        (vec![], false, "NoInterface"),
    ];
    for (usages, stopping, reason) in cases {
        let status = status(&usages, stopping, None, at(0));
        assert_eq!(ready_of(&status).1, reason);
    }
}

#[test]
fn a_condition_keeps_its_transition_time_while_its_status_stays() {
    let up = vec![usage("eth0", Ok(()))];
    let first = status(&up, false, None, at(1));
    let second = status(&up, false, Some(&first), at(2));
    assert_eq!(ready_of(&second).2, at(1));
    let third = status(&[], false, Some(&second), at(3));
    assert_eq!(ready_of(&third), ("False", "NoInterface", at(3)));
}

#[test]
fn pod_interfaces_are_not_listed() {
    let pod = NotUsed::Excluded {
        pattern: "veth*".to_owned(),
    };
    let usages = [usage("veth1", Err(pod)), usage("eth0", Ok(()))];
    let status = status(&usages, false, None, at(0));
    assert_eq!(status.interfaces.len(), 1);
}
