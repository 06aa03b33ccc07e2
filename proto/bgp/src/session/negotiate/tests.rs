use std::net::Ipv4Addr;

use super::*;
use crate::codec::Capability as C;
use crate::{GracefulRestart, RoleConfig};

const US: Asn = Asn(64_512);
const THEM: Asn = Asn(4_200_000_000);

fn config() -> Config {
    let mut config = Config::new(US, RemoteAs::Exactly(THEM), Ipv4Addr::new(192, 0, 2, 1));
    config.extended_next_hop = true;
    config.graceful_restart = Some(GracefulRestart {
        restart_time: Duration::from_secs(120),
    });
    config
}

fn family(afi: u16) -> C {
    C::Multiprotocol { afi, safi: 1 }
}

fn graceful(notification: bool, families: Vec<GracefulFamily>) -> C {
    C::GracefulRestart {
        restarting: false,
        notification,
        time: 60,
        families,
    }
}

fn open(capabilities: Vec<C>) -> Open {
    let mut all = vec![C::FourOctetAs(THEM)];
    all.extend(capabilities);
    Open {
        short_as: THEM.two_octets(),
        hold_time: 90,
        id: Ipv4Addr::new(192, 0, 2, 2),
        capabilities: all,
    }
}

fn refused(config: &Config, open: &Open) -> (u8, u8) {
    let told = negotiate(config, false, open).unwrap_err();
    (told.code, told.subcode)
}

/// B26: the AS number is checked against the one, the own or all but the own.
#[test]
fn the_peers_as_number_must_be_the_one_that_is_wanted() {
    use RemoteAs::{Exactly, External, Internal};
    for (wanted, theirs, fits) in [
        (Exactly(THEM), THEM, true),
        (Exactly(THEM), US, false),
        (Exactly(US), US, true),
        (Internal, US, true),
        (Internal, THEM, false),
        (External, THEM, true),
        (External, US, false),
    ] {
        let config = Config {
            remote_as: wanted,
            ..config()
        };
        let mut open = open(vec![]);
        open.capabilities = vec![C::FourOctetAs(theirs)];
        match negotiate(&config, false, &open) {
            Ok(agreed) => assert!(fits && agreed.internal == (theirs == US), "{wanted:?}"),
            Err(told) => assert_eq!((fits, told.code, told.subcode), (false, 2, 2)),
        }
    }
}

/// RFC 6286 section 2.2: an equal identifier is a mistake within one AS only.
#[test]
fn an_equal_identifier_is_refused_from_an_internal_peer() {
    let mut same = open(vec![]);
    same.id = config().router_id;
    assert!(negotiate(&config(), false, &same).is_ok());
    same.capabilities = vec![C::FourOctetAs(US)];
    let internal = Config {
        remote_as: RemoteAs::Internal,
        ..config()
    };
    assert_eq!(refused(&internal, &same), (2, 3));
}

/// RFC 4271 section 4.2; section 10: KEEPALIVEs every third of the hold time.
#[test]
fn the_smaller_hold_time_counts_and_keepalives_follow_it() {
    let secs = Duration::from_secs;
    for (ours, keepalive, theirs, hold, every) in [
        (90, None, 180, 90, 30),
        (90, None, 9, 9, 3),
        (90, Some(10), 90, 90, 10),
        (90, Some(10), 9, 9, 3),
        (90, Some(80), 90, 90, 30),
        (0, None, 90, 0, 0),
        (90, Some(5), 0, 0, 0),
    ] {
        let config = Config {
            hold_time: secs(ours),
            keepalive_time: keepalive.map(secs),
            ..config()
        };
        let mut open = open(vec![]);
        open.hold_time = theirs;
        let agreed = negotiate(&config, false, &open).unwrap();
        assert_eq!(
            (agreed.hold_time, agreed.keepalive_time),
            (secs(hold), secs(every))
        );
    }
}

/// RFC 4760 section 8, RFC 5492 section 5.
#[test]
fn families_are_those_of_both_and_none_in_common_is_refused() {
    let (v4, v6) = (Families::only(Family::Ipv4), Families::only(Family::Ipv6));
    let vpn = C::Multiprotocol { afi: 1, safi: 128 };
    for (ours, theirs, both) in [
        (
            Families::both(),
            vec![family(1), family(2)],
            Some(Families::both()),
        ),
        (Families::both(), vec![family(2), vpn.clone()], Some(v6)),
        (Families::both(), vec![], Some(v4)),
        (v4, vec![family(1), family(2)], Some(v4)),
        (v6, vec![], None),
        (v6, vec![family(1)], None),
        (v4, vec![vpn], None),
    ] {
        let config = Config {
            families: ours,
            ..config()
        };
        match negotiate(&config, false, &open(theirs)) {
            Ok(agreed) => assert_eq!(Some(agreed.families), both),
            Err(told) => {
                assert_eq!((both, told.code, told.subcode), (None, 2, 7));
                let afi = if ours == v4 { 1 } else { 2 };
                assert_eq!(told.data, [1, 4, 0, afi, 0, 1]);
            }
        }
    }
}

#[test]
fn a_capability_counts_when_both_tell_it() {
    let next_hop = C::ExtendedNextHop(vec![NextHopFamily {
        afi: 1,
        safi: 1,
        next_hop: 2,
    }]);
    let restarts = GracefulFamily {
        afi: 1,
        safi: 1,
        forwarding: true,
    };
    let all = open(vec![
        family(1),
        C::RouteRefresh,
        C::EnhancedRefresh,
        C::ExtendedMessages,
        next_hop,
        graceful(true, vec![restarts]),
        C::Other {
            code: 73,
            value: vec![1, b'x'],
        },
    ]);
    let agreed = negotiate(&config(), false, &all).unwrap();
    assert!(agreed.four_octet_as && agreed.route_refresh && agreed.enhanced_refresh);
    assert!(agreed.extended_messages && agreed.extended_next_hop && agreed.end_of_rib);
    assert!(agreed.graceful_restart && agreed.notification && agreed.peer_restarts);
    assert_eq!(agreed.peer_capabilities, [1, 2, 5, 6, 64, 65, 70, 73]);

    let none = negotiate(&config(), false, &open(vec![family(1)])).unwrap();
    assert!(!none.route_refresh && !none.enhanced_refresh && !none.extended_messages);
    assert!(!none.extended_next_hop && !none.end_of_rib && !none.graceful_restart);
    assert!(!none.notification && !none.peer_restarts);

    let modest = Config {
        extended_next_hop: false,
        extended_messages: false,
        graceful_restart: None,
        ..config()
    };
    let agreed = negotiate(&modest, false, &all).unwrap();
    assert!(!agreed.extended_messages && !agreed.extended_next_hop);
    assert!(!agreed.graceful_restart && !agreed.notification && agreed.end_of_rib);

    let helper = negotiate(&config(), false, &open(vec![graceful(false, vec![])])).unwrap();
    assert!(helper.graceful_restart && helper.end_of_rib);
    assert!(!helper.peer_restarts && !helper.notification);
}

/// RFC 9234 section 4.2, table 2.
#[test]
fn roles_fit_in_pairs() {
    use Role::{Customer, Peer, Provider, RouteServer, RouteServerClient};
    let all = [Provider, RouteServer, RouteServerClient, Customer, Peer];
    let fitting = [
        (Provider, Customer),
        (Customer, Provider),
        (RouteServer, RouteServerClient),
        (RouteServerClient, RouteServer),
        (Peer, Peer),
    ];
    let with = |role, strict| Config {
        role: Some(RoleConfig { role, strict }),
        ..config()
    };
    for ours in all {
        for theirs in all {
            let told = open(vec![C::Role(theirs as u8)]);
            let agreed = negotiate(&with(ours, false), false, &told);
            assert_eq!(
                agreed.is_ok(),
                fitting.contains(&(ours, theirs)),
                "{ours:?} {theirs:?}"
            );
        }
        let unknown = open(vec![C::Role(5)]);
        assert_eq!(refused(&with(ours, false), &unknown), (2, 11));
    }
    assert!(negotiate(&with(Customer, false), false, &open(vec![])).is_ok());
    assert_eq!(refused(&with(Customer, true), &open(vec![])), (2, 11));
    let twice = |second| open(vec![C::Role(0), C::Role(second)]);
    assert!(negotiate(&with(Customer, true), false, &twice(0)).is_ok());
    assert_eq!(refused(&with(Customer, true), &twice(3)), (2, 11));
}

#[test]
fn what_is_proposed_is_what_is_configured() {
    let told = propose(&config(), true, false);
    let families = [1, 2].map(|afi| GracefulFamily {
        afi,
        safi: 1,
        forwarding: true,
    });
    assert_eq!(
        told.capabilities,
        [
            family(1),
            family(2),
            C::RouteRefresh,
            C::ExtendedNextHop(vec![NextHopFamily {
                afi: 1,
                safi: 1,
                next_hop: 2
            }]),
            C::ExtendedMessages,
            C::GracefulRestart {
                restarting: true,
                notification: true,
                time: 120,
                families: families.to_vec()
            },
            C::FourOctetAs(US),
            C::EnhancedRefresh,
        ]
    );
    let wide = Config {
        local_as: THEM,
        ..config()
    };
    assert_eq!(propose(&wide, false, false).short_as, 23_456);
    let bare = propose(&config(), false, true);
    assert!(bare.capabilities.is_empty());
    let agreed = negotiate(&config(), true, &open(vec![family(1), C::RouteRefresh])).unwrap();
    assert_eq!(agreed.families, Families::only(Family::Ipv4));
    assert!(!agreed.four_octet_as && !agreed.route_refresh && !agreed.graceful_restart);
}
