use herald_crds::{BFDProfile, BGPAdvertisement, BGPPeer, Community};

use super::*;

fn object<K: serde::de::DeserializeOwned>(name: &str, spec: Value) -> K {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

#[test]
fn every_kind_that_is_not_built_is_accepted_and_says_so() {
    let peer = json!({"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1", "bfdProfile": "fast"});
    let compiled = compile(&Objects {
        bgp_advertisements: vec![object::<BGPAdvertisement>(
            "a",
            json!({"peers": ["tor"], "communities": ["mine", "no-export", "large:1:2:3"]}),
        )],
        bgp_peers: vec![object::<BGPPeer>("tor", peer)],
        bfd_profiles: vec![object::<BFDProfile>("fast", json!({}))],
        communities: vec![object::<Community>(
            "c",
            json!({"communities": [{"name": "mine", "value": "64512:1"}]}),
        )],
        ..Objects::default()
    });
    assert_eq!(compiled.problems.len(), 4, "{:?}", compiled.problems);
    for (kind, name) in [
        ("BGPAdvertisement", "a"),
        ("BGPPeer", "tor"),
        ("BFDProfile", "fast"),
        ("Community", "c"),
    ] {
        let verdict = verdict(&compiled, kind, name);
        assert!(verdict.accepted, "{kind}");
        assert_eq!(verdict.reason, "FieldNotImplemented", "{kind}");
    }
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
        .filter(|p| p.reason != Reason::FieldNotImplemented)
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
