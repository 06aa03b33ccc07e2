use herald_crds::{BGPAdvertisement, BGPPeer, Community};

use herald_model::bgp;

use crate::{NodeFacts, Problem};

use super::*;

fn object<K: serde::de::DeserializeOwned>(name: &str, spec: Value) -> K {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

fn peer(spec: &Value) -> BGPPeer {
    let mut whole = json!({"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.254"});
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    object("tor", whole)
}

fn with(peers: Vec<BGPPeer>, advertisements: Vec<BGPAdvertisement>) -> Objects {
    Objects {
        bgp_peers: peers,
        bgp_advertisements: advertisements,
        ..Objects::default()
    }
}

#[test]
fn a_router_on_a_link_is_found_by_its_interface_or_its_address() {
    let target = |spec: &Value| {
        let compiled = compile(&with(vec![peer(spec)], vec![]));
        assert_eq!(compiled.problems, [], "{spec}");
        compiled.config.bgp.peers["tor"].dialing.target.clone()
    };
    let found = target(&json!({"interface": "eth1", "peerAddress": null}));
    assert_eq!(found, bgp::Target::Interface("eth1".to_owned()));
    let found = target(&json!({"peerAddress": "fe80::1%bond0.100"}));
    let expected = bgp::Target::LinkLocal {
        address: "fe80::1".parse().unwrap(),
        interface: "bond0.100".to_owned(),
    };
    assert_eq!(found, expected);
}

/// The first by name is kept, and whoever shares no node with it.
#[test]
fn an_interface_of_a_node_has_one_router() {
    let on = |name: &str, interface: &str, rack: Option<&str>| {
        let selectors = rack.map_or_else(
            || json!([]),
            |rack| json!([{"matchLabels": {"rack": rack}}]),
        );
        let spec = json!({
            "myASN": 64512, "dynamicASN": "external", "interface": interface,
            "nodeSelectors": selectors,
        });
        object::<BGPPeer>(name, spec)
    };
    let node = |rack: &str| NodeFacts {
        labels: [("rack".to_owned(), rack.to_owned())].into(),
        ..NodeFacts::default()
    };
    let known = || {
        let nodes = [("n1".to_owned(), node("a")), ("n2".to_owned(), node("b"))];
        Some(nodes.into())
    };
    type Case = (bool, Vec<BGPPeer>, &'static [&'static str]);
    let cases: [Case; 5] = [
        (
            true,
            vec![on("a", "eth1", None), on("b", "eth2", None)],
            &[],
        ),
        (
            true,
            vec![on("b", "eth1", None), on("a", "eth1", None)],
            &["b"],
        ),
        (
            true,
            vec![on("a", "eth1", Some("a")), on("b", "eth1", Some("b"))],
            &[],
        ),
        (
            true,
            vec![
                on("a", "eth1", Some("a")),
                on("b", "eth1", None),
                on("c", "eth1", Some("b")),
            ],
            &["b"],
        ),
        (
            false,
            vec![on("a", "eth1", Some("a")), on("b", "eth1", Some("a"))],
            &["b"],
        ),
    ];
    for (nodes, peers, aside) in cases {
        let compiled = compile(&Objects {
            nodes: if nodes { known() } else { None },
            ..with(peers, vec![])
        });
        let told: Vec<&str> = compiled
            .problems
            .iter()
            .map(|p| p.object.name.as_str())
            .collect();
        assert_eq!(told, aside);
        for problem in &compiled.problems {
            assert_eq!(
                (problem.reason, problem.quarantined),
                (Reason::InterfaceTaken, true)
            );
            assert!(!compiled.config.bgp.peers.contains_key(&problem.object.name));
        }
    }
}

/// The defaults are those of MetalLB.
#[test]
fn a_profile_is_read_with_its_defaults() {
    let spec = json!({
        "receiveInterval": 50, "transmitInterval": 60, "detectMultiplier": 5,
        "passiveMode": true, "minimumTtl": 10, "echoMode": true, "echoInterval": 70,
        "authentication": {
            "type": "MeticulousKeyedSHA1", "keyID": 255, "passwordSecret": {"name": "bfd"},
        },
    });
    let compiled = compile(&Objects {
        bfd_profiles: vec![object("plain", json!({})), object("full", spec)],
        ..with(
            vec![peer(&json!({"bfdProfile": "plain", "bfdStrict": true}))],
            vec![],
        )
    });
    assert_eq!(compiled.problems, []);
    let profiles = &compiled.config.bgp.bfd_profiles;
    let ms = std::time::Duration::from_millis;
    let plain = bgp::BfdProfile {
        receive: ms(300),
        transmit: ms(300),
        multiplier: 3,
        passive: false,
        minimum_ttl: 254,
        echo: None,
        authentication: None,
    };
    let full = bgp::BfdProfile {
        receive: ms(50),
        transmit: ms(60),
        multiplier: 5,
        passive: true,
        minimum_ttl: 10,
        echo: Some(ms(70)),
        authentication: Some(bgp::BfdAuthentication {
            method: bgp::BfdMethod::MeticulousSha1,
            key_id: 255,
            password: bgp::Password {
                namespace: None,
                name: "bfd".to_owned(),
            },
        }),
    };
    assert_eq!((&profiles["plain"], &profiles["full"]), (&plain, &full));
    let tor = &compiled.config.bgp.peers["tor"];
    assert_eq!(
        (tor.bfd_profile.as_deref(), tor.bfd_strict),
        (Some("plain"), true)
    );
}

#[test]
fn a_profile_out_of_bounds_is_set_aside_and_its_peers_are_told() {
    let proof = |kind, id| json!({"type": kind, "keyID": id, "passwordSecret": {"name": "bfd"}});
    let cases = [
        ("receiveInterval", json!(9)),
        ("transmitInterval", json!(60_001)),
        ("echoInterval", json!(0)),
        ("detectMultiplier", json!(1)),
        ("minimumTtl", json!(255)),
        ("authentication", proof("KeyedMD5", 256)),
        ("authentication", proof("KeyedSHA3", 1)),
    ];
    for (field, value) in cases {
        let compiled = compile(&Objects {
            bfd_profiles: vec![object("wrong", json!({field: value}))],
            ..with(vec![peer(&json!({"bfdProfile": "wrong"}))], vec![])
        });
        assert!(compiled.config.bgp.bfd_profiles.is_empty());
        assert!(
            !verdict(&compiled, "BFDProfile", "wrong").accepted,
            "{field}"
        );
        let told = verdict(&compiled, "BGPPeer", "tor");
        assert_eq!(told.reason, "UnknownBfdProfile");
        assert!(compiled.config.bgp.peers.contains_key("tor"), "it goes on");
    }
}

#[test]
fn a_peer_is_read_with_its_defaults() {
    let compiled = compile(&with(vec![peer(&json!({}))], vec![]));
    assert_eq!(compiled.problems, []);
    let tor = &compiled.config.bgp.peers["tor"];
    let seconds = std::time::Duration::from_secs;
    assert_eq!(tor.remote_as, bgp::RemoteAs::Exactly(64_513));
    assert_eq!(tor.dialing.port, 179);
    assert_eq!(tor.dialing.opening, bgp::Opening::Active);
    let times = (
        tor.hold_time,
        tor.keepalive_time,
        tor.connect_time,
        tor.drain_time,
    );
    assert_eq!(times, (seconds(90), None, seconds(5), seconds(10)));
    assert!(!tor.graceful_restart && !tor.dual_stack && !tor.dialing.multihop);

    let said = json!({
        "localASN": 64514, "peerPort": 17900, "sourceAddress": "192.0.2.7", "holdTime": "9s",
        "keepaliveTime": "3s", "connectTime": "1m", "routerID": "192.0.2.9", "drainTime": "0s",
        "passwordSecret": {"name": "md5"}, "ttlSecurity": 1, "vrf": "red",
        "connectionMode": "Both", "enableGracefulRestart": true, "dualStackAddressFamily": true,
    });
    let compiled = compile(&with(vec![peer(&said)], vec![]));
    assert_eq!(compiled.problems, []);
    let tor = &compiled.config.bgp.peers["tor"];
    assert_eq!((tor.local_asn, tor.dialing.port), (Some(64_514), 17_900));
    assert_eq!(tor.dialing.source, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(tor.dialing.opening, bgp::Opening::Both);
    assert_eq!(tor.security.ttl_security, Some(1));
    assert_eq!(tor.security.password.as_ref().unwrap().name, "md5");
    let times = (
        tor.hold_time,
        tor.keepalive_time,
        tor.connect_time,
        tor.drain_time,
    );
    assert_eq!(
        times,
        (seconds(9), Some(seconds(3)), seconds(60), seconds(0))
    );
    assert!(tor.graceful_restart && tor.dual_stack);
}

/// Two keys, the first of them with identifiers 0.
fn ao(send: i32, receive: i32, algorithm: &str) -> Value {
    json!({"tcpAO": {"keys": [
        {"sendID": 0, "receiveID": 0, "secret": {"name": "one"}},
        {"sendID": send, "receiveID": receive, "algorithm": algorithm, "secret": {"name": "two"}},
    ]}})
}

#[test]
fn tcp_ao_keys_are_read_in_their_order() {
    let compiled = compile(&with(vec![peer(&ao(1, 255, "AES-128-CMAC-96"))], vec![]));
    assert_eq!(compiled.problems, []);
    let keys = &compiled.config.bgp.peers["tor"].security.tcp_ao;
    let read: Vec<_> = keys
        .iter()
        .map(|key| {
            (
                key.send_id,
                key.receive_id,
                key.algorithm,
                key.secret.name.as_str(),
            )
        })
        .collect();
    let (sha, aes) = (bgp::TcpAoAlgorithm::HmacSha1, bgp::TcpAoAlgorithm::AesCmac);
    assert_eq!(read, [(0, 0, sha, "one"), (1, 255, aes, "two")]);
}

#[test]
fn a_mistake_in_a_peer_sets_it_aside_and_no_other() {
    for (spec, field) in [
        (json!({"peerAddress": "router"}), "spec.peerAddress"),
        (json!({"interface": "eth0"}), "spec.peerAddress"),
        (json!({"peerAddress": "fe80::1"}), "spec.peerAddress"),
        (json!({"peerAddress": "fe80::1%"}), "spec.peerAddress"),
        (json!({"peerAddress": "fe80::1%eth 0"}), "spec.peerAddress"),
        (
            json!({"peerAddress": "2001:db8::1%eth0"}),
            "spec.peerAddress",
        ),
        (json!({"peerAddress": "router%eth0"}), "spec.peerAddress"),
        (
            json!({"peerAddress": null, "interface": "eth0/1"}),
            "spec.interface",
        ),
        (
            json!({"peerAddress": null, "interface": "eth0", "ebgpMultiHop": true}),
            "spec.ebgpMultiHop",
        ),
        (
            json!({"peerAddress": null, "interface": "eth0", "sourceAddress": "192.0.2.1"}),
            "spec.sourceAddress",
        ),
        (
            json!({"peerAddress": "fe80::1%eth0", "sourceAddress": "192.0.2.1"}),
            "spec.sourceAddress",
        ),
        (json!({"dynamicASN": "external"}), "spec.peerASN"),
        (json!({"myASN": 0}), "spec.myASN"),
        (json!({"peerPort": 0}), "spec.peerPort"),
        (json!({"holdTime": "2s"}), "spec.holdTime"),
        (json!({"holdTime": "soon"}), "spec.holdTime"),
        (
            json!({"holdTime": "9s", "keepaliveTime": "10s"}),
            "spec.keepaliveTime",
        ),
        (json!({"connectTime": "0s"}), "spec.connectTime"),
        (json!({"routerID": "0.0.0.0"}), "spec.routerID"),
        (
            json!({"sourceAddress": "2001:db8::1"}),
            "spec.sourceAddress",
        ),
        (
            json!({"peerASN": 64512, "ebgpMultiHop": true}),
            "spec.ebgpMultiHop",
        ),
        (json!({"ttlSecurity": 255}), "spec.ttlSecurity"),
        (json!({"connectionMode": "Late"}), "spec.connectionMode"),
        (json!({"tcpAO": {"keys": []}}), "spec.tcpAO.keys"),
        (ao(256, 1, "HMAC-SHA-1-96"), "spec.tcpAO.keys[1].sendID"),
        (ao(0, 2, "HMAC-SHA-1-96"), "spec.tcpAO.keys[1].sendID"),
        (ao(1, 0, "HMAC-SHA-1-96"), "spec.tcpAO.keys[1].receiveID"),
        (ao(1, 1, "MD5"), "spec.tcpAO.keys[1].algorithm"),
    ] {
        let mut good = peer(&json!({}));
        good.metadata.name = Some("spine".to_owned());
        let compiled = compile(&with(vec![peer(&spec), good], vec![]));
        let fields: Vec<&str> = compiled.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, [field], "{spec}");
        assert!(compiled.problems[0].quarantined, "{spec}");
        let peers: Vec<&String> = compiled.config.bgp.peers.keys().collect();
        assert_eq!(peers, ["spine"], "{spec}");
    }
}

/// A connection tells its two addresses and, by the socket that took it, its VRF.
#[test]
fn peers_whose_routers_connections_look_alike_are_told() {
    let node = |name: &str| NodeFacts {
        labels: herald_model::labels::Labels::from([("name".to_owned(), name.to_owned())]),
        ..Default::default()
    };
    let told = |one: Value, other: Value| {
        let mut second = peer(&other);
        second.metadata.name = Some("zor".to_owned());
        let nodes = ["n1", "n2"].map(|name| (name.to_owned(), node(name)));
        let compiled = compile(&Objects {
            nodes: Some(nodes.into()),
            ..with(vec![peer(&one), second], vec![])
        });
        assert_eq!(compiled.config.bgp.peers.len(), 2, "nothing is set aside");
        let problems = compiled.problems.into_iter();
        problems
            .map(|p| (p.object.name, p.field, p.reason))
            .collect::<Vec<_>>()
    };
    let ambiguous = |field: &str| [("zor".to_owned(), field.to_owned(), Reason::AmbiguousRouter)];
    let at = |mode: &str, more: Value| {
        let mut spec = json!({"connectionMode": mode});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    let on = |name: &str| json!({"nodeSelectors": [{"matchLabels": {"name": name}}]});
    let from = |address: &str| json!({"sourceAddress": address});
    let mode = ambiguous("spec.connectionMode");
    let plain = || at("Passive", json!({}));
    assert_eq!(told(plain(), at("Both", json!({}))), mode);
    assert_eq!(told(plain(), at("Both", on("n2"))), mode);
    assert_eq!(told(plain(), at("Active", json!({}))), []);
    assert_eq!(told(at("Both", on("n1")), at("Both", on("n2"))), []);
    assert_eq!(told(plain(), at("Both", json!({"vrf": "red"}))), []);
    assert_eq!(told(plain(), at("Both", from("192.0.2.7"))), []);
    let mut locked = at("Passive", from("192.0.2.8"));
    locked["passwordSecret"] = json!({"name": "md5"});
    let password = ambiguous("spec.passwordSecret");
    assert_eq!(told(at("Both", from("192.0.2.7")), locked), password);
}

#[test]
fn an_advertisement_says_how_a_prefix_looks() {
    let spec = json!({
        "aggregationLength": 24, "localPref": 150, "med": 20, "prepend": 3, "peers": ["tor"],
        "communities": ["64512:1", "mine", "no-export"],
    });
    let alias = json!({"communities": [{"name": "mine", "value": "large:64512:1:2"}]});
    let compiled = compile(&Objects {
        communities: vec![object::<Community>("c", alias)],
        ..with(vec![peer(&json!({}))], vec![object("a", spec)])
    });
    assert_eq!(compiled.problems, []);
    let [ad] = compiled.config.bgp.advertisements.as_slice() else {
        panic!("{:?}", compiled.config.bgp)
    };
    assert_eq!((ad.aggregation_v4, ad.aggregation_v6), (24, 128));
    assert_eq!(ad.peers.as_ref().unwrap().first().unwrap(), "tor");
    let attributes = bgp::Attributes {
        local_pref: Some(150),
        med: Some(20),
        prepend: 3,
        communities: [
            bgp::Community::Standard(0xfc00_0001),
            bgp::Community::Large([64_512, 1, 2]),
            bgp::Community::Standard(0xffff_ff01),
        ]
        .into(),
        link_bandwidth: None,
        leaving: false,
    };
    assert_eq!(ad.attributes, attributes);
}

#[test]
fn a_mistake_in_an_advertisement_sets_it_aside() {
    let team = json!([{"matchLabels": {"team": "a"}}]);
    for (spec, field) in [
        (json!({"aggregationLength": 33}), "spec.aggregationLength"),
        (
            json!({"aggregationLengthV6": 0}),
            "spec.aggregationLengthV6",
        ),
        (
            json!({"aggregationLength": 24, "serviceSelectors": team}),
            "spec.serviceSelectors",
        ),
        (json!({"localPref": -1}), "spec.localPref"),
        (json!({"prepend": 11}), "spec.prepend"),
        (json!({"communities": ["65536:1"]}), "spec.communities[0]"),
    ] {
        let compiled = compile(&with(vec![], vec![object("a", spec.clone())]));
        let fields: Vec<&str> = compiled.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, [field], "{spec}");
        assert!(compiled.config.bgp.advertisements.is_empty(), "{spec}");
    }
}

#[test]
fn two_preferences_for_the_same_prefixes_are_told() {
    let ad = |name, spec: Value| object::<BGPAdvertisement>(name, spec);
    let told = |second: Value| {
        let first = ad("a", json!({"localPref": 100}));
        let compiled = compile(&with(vec![], vec![first, ad("b", second)]));
        let problems = compiled.problems.iter();
        let conflict = |p: &&Problem| p.reason == Reason::ConflictingLocalPref;
        problems
            .filter(conflict)
            .map(|p| p.object.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(told(json!({"localPref": 200})), ["b"]);
    assert!(told(json!({"localPref": 100})).is_empty());
    let others = json!({"localPref": 200, "aggregationLength": 24, "aggregationLengthV6": 64});
    assert!(told(others).is_empty());
}

#[test]
fn shares_are_reckoned_by_endpoints_unless_somebody_says_otherwise() {
    let read = |spec: Value| {
        let compiled = compile(&with(vec![], vec![object("a", spec)]));
        assert_eq!(compiled.problems, []);
        compiled.config.bgp.advertisements[0].link_bandwidth
    };
    assert_eq!(read(json!({})), None);
    let plain = bgp::LinkBandwidth {
        megabits: 1,
        per: bgp::Per::Endpoint,
        transitive: None,
    };
    assert_eq!(read(json!({"linkBandwidth": {}})), Some(plain));
    let written = json!({"per": "Node", "megabitsPerSecond": 1_000_000, "transitive": false});
    let expected = bgp::LinkBandwidth {
        megabits: 1_000_000,
        per: bgp::Per::Node,
        transitive: Some(false),
    };
    assert_eq!(read(json!({"linkBandwidth": written})), Some(expected));
}

#[test]
fn a_mistake_in_a_bandwidth_sets_the_advertisement_aside() {
    for (written, field) in [
        (json!({"megabitsPerSecond": 0}), "megabitsPerSecond"),
        (json!({"megabitsPerSecond": 1_000_001}), "megabitsPerSecond"),
        (json!({"per": "Rack"}), "per"),
    ] {
        let spec = json!({"linkBandwidth": written});
        let compiled = compile(&with(vec![], vec![object("a", spec)]));
        let [problem] = compiled.problems.as_slice() else {
            panic!("{:?}", compiled.problems)
        };
        assert_eq!(problem.field, format!("spec.linkBandwidth.{field}"));
        assert!(problem.quarantined && problem.message.contains("write "));
        assert!(compiled.config.bgp.advertisements.is_empty());
    }
}

#[test]
fn two_bandwidths_for_the_same_prefixes_are_told() {
    let told = |second: Value| {
        let first = object("a", json!({"linkBandwidth": {}}));
        let compiled = compile(&with(vec![], vec![first, object("b", second)]));
        let problems = compiled.problems.iter();
        let told: Vec<_> = problems
            .map(|p| (p.object.name.clone(), p.reason, p.quarantined))
            .collect();
        assert_eq!(compiled.config.bgp.advertisements.len(), 2);
        told
    };
    let conflict = [("b".to_owned(), Reason::ConflictingLinkBandwidth, false)];
    assert_eq!(told(json!({"linkBandwidth": {"per": "Node"}})), conflict);
    assert_eq!(
        told(json!({"linkBandwidth": {"transitive": true}})),
        conflict
    );
    assert_eq!(told(json!({})), conflict);
    assert_eq!(told(json!({"linkBandwidth": {"megabitsPerSecond": 1}})), []);
    let others = json!({"aggregationLength": 24, "aggregationLengthV6": 64});
    assert_eq!(told(others), []);
}

#[test]
fn names_that_do_not_exist_are_reported() {
    let alias = json!({"communities": [{"name": "mine", "value": "64512:1"}]});
    let peer = json!({"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "bfdProfile": "slow"});
    let compiled = compile(&Objects {
        bgp_advertisements: vec![object::<BGPAdvertisement>(
            "a",
            json!({"peers": ["rot"], "communities": ["yours"], "ipAddressPools": ["lan"]}),
        )],
        bgp_peers: vec![object::<BGPPeer>("tor", peer)],
        communities: vec![
            object::<Community>("c", alias.clone()),
            object::<Community>("d", alias),
        ],
        ..Objects::default()
    });
    let found: Vec<_> = compiled
        .problems
        .iter()
        .map(|p| (p.object.to_string(), p.field.as_str(), p.reason))
        .collect();
    assert_eq!(
        found,
        [
            (
                "BGPAdvertisement a".to_owned(),
                "spec.ipAddressPools[0]",
                Reason::UnknownPool
            ),
            (
                "BGPAdvertisement a".to_owned(),
                "spec.peers[0]",
                Reason::UnknownPeer
            ),
            (
                "BGPAdvertisement a".to_owned(),
                "spec.communities[0]",
                Reason::UnknownCommunity
            ),
            (
                "BGPPeer tor".to_owned(),
                "spec.bfdProfile",
                Reason::UnknownBfdProfile
            ),
            (
                "Community d".to_owned(),
                "spec.communities[0].name",
                Reason::CommunityDefinedTwice
            ),
        ]
    );
}
