//! Messages that other speakers wrote.

use std::net::Ipv4Addr;

use herald_bgp::codec::{
    Aggregator, Attribute, Capability, Context, GracefulFamily, Kind, NextHop, Open, Origin,
    RouteRefresh, Segment, Subtype, Update, frame,
};
use herald_bgp::{
    Asn, Community, ExtendedCommunity, Families, Family, LargeCommunity, Notification, Prefix,
};

const CONTEXT: Context = Context {
    four_octet_as: true,
    internal: false,
    families: Families::both(),
    extended_next_hop: true,
};

/// The messages of a file, type and body.
fn messages(text: &str) -> Vec<(Kind, Vec<u8>)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let octet = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
            let octets: Vec<u8> = (0..line.len()).step_by(2).map(octet).collect();
            let message = frame(&octets, false).unwrap().unwrap();
            assert_eq!(message.length(), octets.len());
            (message.kind, message.body.to_vec())
        })
        .collect()
}

fn bird() -> Vec<(Kind, Vec<u8>)> {
    messages(include_str!("vectors/bird.txt"))
}

fn gobgp() -> Vec<(Kind, Vec<u8>)> {
    messages(include_str!("vectors/gobgp.txt"))
}

fn frr() -> Vec<(Kind, Vec<u8>)> {
    messages(include_str!("vectors/frr.txt"))
}

/// Link bandwidth, to a peer of another AS and to one of the same.
fn frr_bandwidth() -> Vec<(Kind, Vec<u8>)> {
    messages(include_str!("vectors/frr-bandwidth.txt"))
}

fn updates(messages: &[(Kind, Vec<u8>)]) -> Vec<Update> {
    let bodies = messages.iter().filter(|(kind, _)| *kind == Kind::Update);
    bodies
        .map(|(_, body)| {
            let update = Update::decode(body, &CONTEXT).unwrap();
            assert_eq!((update.faults.as_slice(), update.foreign), (&[][..], false));
            update
        })
        .collect()
}

fn announcing(updates: &[Update], prefix: &str) -> Update {
    let prefix: Prefix = prefix.parse().unwrap();
    let there = |update: &&Update| {
        let reach = update.reach.iter().flat_map(|reach| &reach.prefixes);
        update.announced.iter().chain(reach).any(|p| *p == prefix)
    };
    updates.iter().find(there).unwrap().clone()
}

fn path(asn: u32) -> Attribute {
    let path = vec![Asn(asn)];
    Attribute::AsPath(vec![Segment { set: false, path }])
}

/// Route target 7 of an AS (RFC 4360 section 4).
fn target(asn: u16) -> ExtendedCommunity {
    let [a, b] = asn.to_be_bytes();
    ExtendedCommunity([0, 2, a, b, 0, 0, 0, 7])
}

fn family(afi: u16) -> Capability {
    Capability::Multiprotocol { afi, safi: 1 }
}

#[test]
fn what_bird_says_is_understood() {
    let said = bird();
    let open = Open::decode(&said[0].1).unwrap();
    assert_eq!((open.asn(), open.hold_time), (Asn(65_002), 240));
    assert_eq!(open.id, Ipv4Addr::new(10, 255, 0, 2));
    for expected in [
        family(1),
        family(2),
        Capability::RouteRefresh,
        Capability::EnhancedRefresh,
        Capability::ExtendedMessages,
        Capability::Role(0),
        Capability::FourOctetAs(Asn(65_002)),
    ] {
        assert!(open.capabilities.contains(&expected), "{expected:?}");
    }
    assert_eq!(said[1], (Kind::Keepalive, vec![]));

    let updates = updates(&said);
    let rich = announcing(&updates, "192.0.2.0/24");
    assert_eq!(
        rich.attributes,
        [
            Attribute::Origin(Origin::Igp),
            path(65_002),
            Attribute::NextHop(Ipv4Addr::new(10, 255, 0, 2)),
            Attribute::Communities(vec![
                Community(65_002 << 16 | 100),
                Community::GRACEFUL_SHUTDOWN
            ]),
            Attribute::ExtendedCommunities(vec![target(65_002)]),
            Attribute::LargeCommunities(vec![LargeCommunity {
                global: 65_002,
                local1: 1,
                local2: 2
            }]),
            Attribute::OnlyToCustomer(Asn(65_002)),
        ]
    );
    let plain = announcing(&updates, "198.51.100.7/32");
    assert_eq!(plain, announcing(&updates, "0.0.0.0/0"));
    let v6 = announcing(&updates, "2001:db8:1::/48");
    assert_eq!(v6, announcing(&updates, "2001:db8:2::1/128"));
    let global = "2001:db8:ffff::2".parse().unwrap();
    assert_eq!(v6.reach.unwrap().next_hop, NextHop::V6(global));
    let ends: Vec<Family> = updates.iter().filter_map(Update::ends).collect();
    assert_eq!(ends, [Family::Ipv4, Family::Ipv6]);

    let brackets = said.iter().filter(|(kind, _)| *kind == Kind::RouteRefresh);
    let brackets: Vec<Subtype> = brackets
        .map(|(_, body)| RouteRefresh::decode(body).unwrap().subtype)
        .collect();
    assert_eq!(brackets, [Subtype::Begin, Subtype::End]);
}

#[test]
fn what_gobgp_says_is_understood() {
    let said = gobgp();
    let open = Open::decode(&said[0].1).unwrap();
    assert_eq!((open.asn(), open.hold_time), (Asn(65_001), 90));
    assert_eq!(open.id, Ipv4Addr::new(10, 255, 0, 1));
    let graceful = Capability::GracefulRestart {
        restarting: false,
        notification: true,
        time: 120,
        families: [1, 2]
            .map(|afi| GracefulFamily {
                afi,
                safi: 1,
                forwarding: false,
            })
            .to_vec(),
    };
    for expected in [
        Capability::RouteRefresh,
        family(1),
        family(2),
        Capability::FourOctetAs(Asn(65_001)),
        graceful,
    ] {
        assert!(open.capabilities.contains(&expected), "{expected:?}");
    }

    let updates = updates(&said);
    let rich = announcing(&updates, "192.0.2.0/24");
    assert_eq!(
        rich.attributes,
        [
            Attribute::Origin(Origin::Incomplete),
            path(65_001),
            Attribute::NextHop(Ipv4Addr::LOCALHOST),
            Attribute::Med(50),
            Attribute::Communities(vec![Community(65_001 << 16 | 100), Community(0xffff_ff01)]),
            Attribute::ExtendedCommunities(vec![target(65_001)]),
            Attribute::LargeCommunities(vec![LargeCommunity {
                global: 65_001,
                local1: 1,
                local2: 2
            }]),
        ]
    );
    let aggregated = announcing(&updates, "0.0.0.0/0");
    assert!(
        aggregated
            .attributes
            .contains(&Attribute::Aggregator(Aggregator {
                asn: Asn(65_009),
                id: Ipv4Addr::new(10, 9, 9, 9),
            }))
    );
    let v6 = announcing(&updates, "2001:db8:1::/48");
    let hop = "2001:db8:ffff::1".parse().unwrap();
    assert_eq!(v6.reach.unwrap().next_hop, NextHop::V6(hop));
    let ends: Vec<Family> = updates.iter().filter_map(Update::ends).collect();
    assert_eq!(ends, [Family::Ipv4, Family::Ipv6]);
}

#[test]
fn what_frr_says_is_understood() {
    let said = frr();
    let open = Open::decode(&said[0].1).unwrap();
    assert_eq!((open.asn(), open.hold_time), (Asn(65_003), 180));
    assert_eq!(open.id, Ipv4Addr::new(10, 255, 0, 3));
    let codes: Vec<u8> = open.capabilities.iter().map(Capability::code).collect();
    assert_eq!(codes, [1, 1, 128, 2, 70, 65, 6, 69, 73, 64, 71]);

    let updates = updates(&said);
    let plain = announcing(&updates, "198.51.100.7/32");
    let hop = Attribute::NextHop(Ipv4Addr::new(10, 255, 0, 3));
    let expected = [
        Attribute::Origin(Origin::Igp),
        path(65_003),
        hop,
        Attribute::Med(0),
    ];
    assert_eq!(plain.attributes, expected);
    let communities = Attribute::Communities(vec![
        Community(65_003 << 16 | 100),
        Community(65_003 << 16 | 200),
    ]);
    let large = Attribute::LargeCommunities(vec![LargeCommunity {
        global: 65_003,
        local1: 1,
        local2: 2,
    }]);
    let extended = Attribute::ExtendedCommunities(vec![target(65_003)]);
    for prefix in ["192.0.2.0/24", "2001:db8:1::/48"] {
        let rich = announcing(&updates, prefix);
        for expected in [&communities, &large, &extended, &Attribute::Med(50)] {
            assert!(rich.attributes.contains(expected), "{prefix} {expected:?}");
        }
    }
    let v6 = announcing(&updates, "2001:db8:1::/48");
    let hop = "2001:db8:ffff::3".parse().unwrap();
    assert_eq!(v6.reach.unwrap().next_hop, NextHop::V6(hop));
    let ends: Vec<Family> = updates.iter().filter_map(Update::ends).collect();
    assert_eq!(ends, [Family::Ipv4, Family::Ipv6]);

    let (kind, body) = said.last().unwrap();
    assert_eq!(*kind, Kind::Notification);
    let told = Notification::decode(body).unwrap();
    assert_eq!(told.to_string(), "Bad Message Length (1/2), length 20");
}

/// 100 Mbit/s as FRR encodes them: transitive ones for another AS, others within its own.
#[test]
fn the_bandwidth_that_frr_tells_is_the_one_that_is_told_here() {
    let said = frr_bandwidth();
    let told = |internal| {
        let context = Context {
            internal,
            ..CONTEXT
        };
        let decode = move |body: &Vec<u8>| Update::decode(body, &context).unwrap().attributes;
        said.iter().map(move |(_, body)| decode(body))
    };
    let bandwidths = [
        (65_003, true),
        (65_003, false),
        (4_200_000_001, true),
        (4_200_000_001, false),
    ];
    assert_eq!(said.len(), bandwidths.len());
    let octets = 100_000_000.0 / 8.0;
    for (i, (asn, transitive)) in bandwidths.into_iter().enumerate() {
        let community = ExtendedCommunity::link_bandwidth(Asn(asn), octets, transitive);
        let expected = Attribute::ExtendedCommunities(vec![community]);
        let attributes = told(!transitive).nth(i).unwrap();
        assert!(attributes.contains(&expected), "{asn} {attributes:?}");
    }
}

/// Written again, in the same order, the messages have the same octets, but for attributes that the
/// others write elsewhere.
#[test]
fn what_others_wrote_is_written_alike() {
    let mut compared = 0;
    for (kind, body) in bird().into_iter().chain(gobgp()) {
        let mut again = vec![];
        match kind {
            Kind::Update => {
                let update = Update::decode(&body, &CONTEXT).unwrap();
                if update.reach.is_some() {
                    continue;
                }
                update.encode(&CONTEXT, 4096, &mut again).unwrap();
            }
            Kind::Open => Open::decode(&body).unwrap().encode(&mut again).unwrap(),
            Kind::RouteRefresh => RouteRefresh::decode(&body).unwrap().encode(&mut again),
            Kind::Notification | Kind::Keepalive => continue,
        }
        compared += 1;
        assert_eq!(again[19..], body);
    }
    assert!(compared >= 12, "{compared}");
}
