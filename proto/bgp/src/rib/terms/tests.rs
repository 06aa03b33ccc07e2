use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::{ExtendedCommunity, Families, LargeCommunity};

const WIDE: Asn = Asn(4_200_000_000);

/// What was agreed on, changed as `change` says.
fn terms(local_as: Asn, local: Local, change: impl FnOnce(&mut Context)) -> Terms {
    let mut terms = Terms {
        context: Context {
            four_octet_as: true,
            internal: false,
            families: Families::both(),
            extended_next_hop: false,
        },
        longest: 4096,
        enhanced_refresh: true,
        end_of_rib: true,
        local_as,
        marked: false,
        local,
    };
    change(&mut terms.context);
    terms
}

fn address<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn told(route: Route) -> Told {
    Told {
        route: Arc::new(route),
        leaving: false,
    }
}

/// R1, RFC 2545 section 3, RFC 8950 section 3.
#[test]
fn next_hops_follow_the_session_and_what_was_agreed_on() {
    use Family::{Ipv4, Ipv6};
    let (v4, global) = ("10.0.0.1", "2001:db8::1");
    let (link_local, other) = ("fe80::1", "2001:db8::2");
    let hop4 = |text| Some(NextHop::V4(address(text)));
    let hop6 = |text| Some(NextHop::V6(address(text)));
    let pair = Some(NextHop::V6Pair(address(global), address(link_local)));
    let cases = [
        // The session, its other addresses, whether extended, the wish, the family; what comes of it.
        ((v4, "", ""), false, "", Ipv4, hop4(v4)),
        ((v4, "", ""), true, "", Ipv4, hop4(v4)),
        ((v4, "", ""), false, "", Ipv6, None),
        ((v4, global, ""), false, "", Ipv6, hop6(global)),
        ((v4, global, link_local), false, "", Ipv6, pair),
        ((v4, "", link_local), false, "", Ipv6, hop6(link_local)),
        ((global, "", ""), false, "", Ipv6, hop6(global)),
        ((global, "", link_local), false, "", Ipv6, pair),
        ((link_local, "", ""), false, "", Ipv6, hop6(link_local)),
        ((link_local, global, ""), false, "", Ipv6, pair),
        ((global, "", ""), false, "", Ipv4, None),
        ((global, "", ""), true, "", Ipv4, hop6(global)),
        ((link_local, "", ""), true, "", Ipv4, hop6(link_local)),
        ((v4, "", ""), false, "192.0.2.9", Ipv4, hop4("192.0.2.9")),
        ((v4, "", ""), false, other, Ipv6, hop6(other)),
        ((v4, "", ""), false, other, Ipv4, None),
        ((v4, "", ""), true, other, Ipv4, hop6(other)),
        ((v4, "", ""), true, "192.0.2.9", Ipv6, None),
    ];
    for ((session, ipv6, link_local), extended, wished, family, expected) in cases {
        let local = Local {
            ipv6: ipv6.parse().ok(),
            link_local: link_local.parse().ok(),
            ..Local::of(address(session))
        };
        let terms = terms(WIDE, local, |context| context.extended_next_hop = extended);
        let route = Route {
            next_hop: wished.parse().ok(),
            ..Route::default()
        };
        let got = terms.next_hop(family, &route);
        assert_eq!(got, expected, "{local:?} {extended} {wished:?} {family}");
    }
    let local = Local {
        ipv4: Some(address(v4)),
        ..Local::of(address(global))
    };
    let plain = terms(WIDE, local, |_| {});
    assert_eq!(plain.next_hop(Ipv4, &Route::default()), hop4(v4));
}

fn rich() -> Route {
    Route {
        local_pref: Some(70),
        med: Some(50),
        prepend: 2,
        next_hop: None,
        communities: BTreeSet::from([Community(1), Community(u32::MAX)]),
        extended_communities: BTreeSet::from([ExtendedCommunity([0, 2, 0, 1, 0, 0, 0, 1])]),
        large_communities: BTreeSet::from([LargeCommunity {
            global: 1,
            local1: 2,
            local2: 3,
        }]),
    }
}

fn path(asns: &[Asn]) -> Vec<Segment> {
    let path = asns.to_vec();
    vec![Segment { set: false, path }]
}

/// R1.
#[test]
fn attributes_are_those_of_the_rule_in_ascending_order() {
    let hop = NextHop::V4(address("10.0.0.1"));
    let local = Local::of(address("10.0.0.1"));
    let external = terms(Asn(1), local, |_| {}).attributes(&told(rich()), hop);
    let kinds: Vec<u8> = external.iter().map(Attribute::kind).collect();
    assert_eq!(kinds, [1, 2, 3, 4, 8, 16, 32]);
    assert_eq!(external[0], Attribute::Origin(Origin::Igp));
    assert_eq!(external[1], Attribute::AsPath(path(&[Asn(1); 3])));

    let internal = terms(Asn(1), local, |context| context.internal = true);
    let all = internal.attributes(&told(rich()), hop);
    let kinds: Vec<u8> = all.iter().map(Attribute::kind).collect();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 8, 16, 32]);
    assert_eq!(
        (&all[1], &all[4]),
        (&Attribute::AsPath(vec![]), &Attribute::LocalPref(70))
    );
    let plain = internal.attributes(&told(Route::default()), hop);
    assert_eq!(plain.last(), Some(&Attribute::LocalPref(100)));
}

/// RFC 6793 section 4.2.2.
#[test]
fn a_wide_as_number_is_told_beside_a_narrow_path() {
    let hop = NextHop::V4(address("10.0.0.1"));
    let local = Local::of(address("10.0.0.1"));
    let narrow = |asn| terms(asn, local, |context| context.four_octet_as = false);
    let attributes = narrow(WIDE).attributes(&told(Route::default()), hop);
    assert_eq!(attributes.last(), Some(&Attribute::As4Path(path(&[WIDE]))));
    let mut octets = vec![];
    attributes[1].encode(&narrow(WIDE).context, &mut octets);
    assert_eq!(octets, [0x40, 2, 4, 2, 1, 0x5b, 0xa0]);
    let small = narrow(Asn(1)).attributes(&told(Route::default()), hop);
    assert!(small.iter().all(|attribute| attribute.kind() != 17));
}

/// What a message may hold is reckoned beforehand; it must hold it.
#[test]
fn what_is_reckoned_is_never_less_than_what_is_written() {
    let local = Local::of(address("10.0.0.1"));
    let hops = [
        NextHop::V4(address("10.0.0.1")),
        NextHop::V6(address("2001:db8::1")),
        NextHop::V6Pair(address("2001:db8::1"), address("fe80::1")),
    ];
    for flags in 0..64_u32 {
        let on = |bit: u32| flags & 1 << bit != 0;
        for count in [0, 1, 8, 22, 32, 63, 64, 200] {
            for prepend in [0, 9, 62, 126, 254, 255] {
                let mut route = Route {
                    prepend,
                    med: on(0).then_some(1),
                    ..Route::default()
                };
                route.communities.extend((0..count).map(Community));
                if on(1) {
                    let communities = (0..count).map(|n| u64::from(n).to_be_bytes());
                    route
                        .extended_communities
                        .extend(communities.map(ExtendedCommunity));
                }
                if on(2) {
                    route
                        .large_communities
                        .extend((0..count).map(|global| LargeCommunity {
                            global,
                            local1: 0,
                            local2: 0,
                        }));
                }
                let asn = if on(5) { WIDE } else { Asn(1) };
                let mut terms = terms(asn, local, |context| {
                    context.internal = on(3);
                    context.four_octet_as = on(4);
                });
                terms.marked = on(1);
                let told = Told {
                    route: Arc::new(route),
                    leaving: on(0),
                };
                for hop in hops {
                    let mut octets = vec![];
                    for attribute in terms.attributes(&told, hop) {
                        attribute.encode(&terms.context, &mut octets);
                    }
                    let reach = match hop {
                        NextHop::V4(_) => 0,
                        NextHop::V6(_) => 4 + 5 + 16,
                        NextHop::V6Pair(..) => 4 + 5 + 32,
                    };
                    let written = 19 + 4 + reach + octets.len();
                    assert_eq!(terms.overhead(&told, hop), written, "{told:?} {hop:?}");
                }
            }
        }
    }
}
