use super::*;

#[test]
fn a_pool_keeps_its_entries_in_the_order_written() {
    let compiled = with_pools(vec![pool(
        "lan",
        json!({"addresses": ["192.0.2.10-192.0.2.20", "2001:db8::/64", "192.0.2.1"], "avoidBuggyIPs": true}),
    )]);
    assert_eq!(
        ranges(&compiled, "lan"),
        ["192.0.2.10-192.0.2.20", "2001:db8::/64", "192.0.2.1"]
    );
    assert!(compiled.config.pools["lan"].avoid_buggy_ips);
    assert_eq!(compiled.problems, []);
    let verdict = verdict(&compiled, "IPAddressPool", "lan");
    assert!(verdict.accepted);
    assert_eq!(verdict.reason, "Accepted");
}

#[test]
fn an_entry_that_is_no_range_quarantines_its_pool_and_no_other() {
    let cases = [
        ("192.0.2.300", Reason::NotAnAddress, "is not an IP address"),
        (
            "192.0.2.0/33",
            Reason::BadPrefixLength,
            "is not a prefix length",
        ),
        (
            "198.51.100.10/24",
            Reason::HostBitsSet,
            "write 198.51.100.0/24",
        ),
        (
            "192.0.2.1-2001:db8::1",
            Reason::MixedFamilies,
            "mixes IPv4 and IPv6",
        ),
        (
            "192.0.2.9-192.0.2.1",
            Reason::StartAfterEnd,
            "write 192.0.2.1-192.0.2.9",
        ),
        ("::ffff:192.0.2.1", Reason::MappedAddress, "write 192.0.2.1"),
        ("", Reason::NotAnAddress, "is not an IP address"),
    ];
    for (entry, reason, words) in cases {
        let bad = pool("bad", json!({"addresses": ["203.0.113.1", entry]}));
        let compiled = with_pools(vec![
            bad,
            pool("good", json!({"addresses": ["192.0.2.0/24"]})),
        ]);
        let told = told(&compiled);
        assert_eq!(
            (told.len(), told[0].0, told[0].1),
            (1, "spec.addresses[1]", reason),
            "{entry}"
        );
        assert!(told[0].2.contains(words), "{entry}: {}", told[0].2);
        assert!(compiled.problems[0].quarantined);
        assert_eq!(ranges(&compiled, "good"), ["192.0.2.0/24"]);
        assert!(!compiled.config.pools.contains_key("bad"));
        assert!(compiled.config.quarantined_pools.contains("bad"));
        let verdict = verdict(&compiled, "IPAddressPool", "bad");
        assert!(!verdict.accepted);
        assert_eq!(verdict.reason, reason.label());
        assert!(
            verdict.message.ends_with("The object is not in use."),
            "{}",
            verdict.message
        );
    }
}

#[test]
fn the_older_pool_keeps_an_address_that_two_claim() {
    let old = pool_at("z-old", 1, &["192.0.2.0-192.0.2.20"]);
    let young = pool_at("a-young", 2, &["203.0.113.1", "192.0.2.10-192.0.2.30"]);
    for pools in [vec![old.clone(), young.clone()], vec![young, old]] {
        let compiled = with_pools(pools);
        assert_eq!(ranges(&compiled, "z-old"), ["192.0.2.0-192.0.2.20"]);
        assert_eq!(
            ranges(&compiled, "a-young"),
            ["203.0.113.1", "192.0.2.21-192.0.2.30"]
        );
        assert_eq!(
            told(&compiled),
            [(
                "spec.addresses[1]",
                Reason::OverlappingAddresses,
                "192.0.2.10-192.0.2.30 overlaps 192.0.2.0-192.0.2.20 of IPAddressPool z-old, which is older and keeps the shared addresses; remove them from one of the two"
            )]
        );
        let young = verdict(&compiled, "IPAddressPool", "a-young");
        assert!(!young.accepted);
        assert!(
            young.message.ends_with("The rest of the object is in use."),
            "{}",
            young.message
        );
        assert!(verdict(&compiled, "IPAddressPool", "z-old").accepted);
    }
}

#[test]
fn pools_of_the_same_second_are_ordered_by_name() {
    let compiled = with_pools(vec![
        pool_at("b", 1, &["192.0.2.0/25"]),
        pool_at("a", 1, &["192.0.2.0/24"]),
    ]);
    assert_eq!(ranges(&compiled, "a"), ["192.0.2.0/24"]);
    assert!(compiled.config.quarantined_pools.contains("b"));
    let verdict = verdict(&compiled, "IPAddressPool", "b");
    assert_eq!(verdict.reason, "OverlappingAddresses");
    assert!(
        verdict.message.contains("belongs to older pools (a)"),
        "{}",
        verdict.message
    );
}

#[test]
fn a_quarantined_pool_takes_nothing_from_younger_ones() {
    let mut bad = pool_at("bad", 1, &["192.0.2.0/24", "nonsense"]);
    bad.spec.auto_assign = false;
    let compiled = with_pools(vec![bad, pool_at("good", 2, &["192.0.2.0/24"])]);
    assert_eq!(ranges(&compiled, "good"), ["192.0.2.0/24"]);
}

#[test]
fn addresses_written_twice_in_one_pool_count_once() {
    let compiled = with_pools(vec![pool(
        "lan",
        json!({"addresses": ["192.0.2.10-192.0.2.20", "192.0.2.15-192.0.2.25"]}),
    )]);
    assert_eq!(
        ranges(&compiled, "lan"),
        ["192.0.2.10-192.0.2.20", "192.0.2.21-192.0.2.25"]
    );
    assert_eq!(told(&compiled)[0].1, Reason::DuplicateAddresses);
    assert!(verdict(&compiled, "IPAddressPool", "lan").accepted);
}

#[test]
fn an_excluded_address_outside_the_pool_is_a_notice() {
    let compiled = with_pools(vec![pool(
        "lan",
        json!({"addresses": ["192.0.2.0/29"], "excludedAddresses": ["192.0.2.1", "192.0.2.7-192.0.2.9"]}),
    )]);
    let told = told(&compiled);
    assert_eq!(
        (told[0].0, told[0].1),
        ("spec.excludedAddresses[1]", Reason::ExcludedOutside)
    );
    assert_eq!(told.len(), 1);
    assert!(verdict(&compiled, "IPAddressPool", "lan").accepted);
}

#[test]
fn a_pool_whose_addresses_are_all_excluded_says_so() {
    let compiled = with_pools(vec![pool(
        "lan",
        json!({"addresses": ["192.0.2.0/29"], "excludedAddresses": ["192.0.2.0/29"]}),
    )]);
    assert_eq!(told(&compiled)[0].1, Reason::NothingLeft);
}

#[test]
fn service_allocation_is_translated_and_checked_against_namespaces() {
    let spec = json!({
        "addresses": ["192.0.2.0/24"],
        "serviceAllocation": {
            "priority": 5,
            "namespaces": ["shop", "gone"],
            "namespaceSelectors": [
                {"matchLabels": {"team": "web"}},
                {"matchExpressions": [{"key": "team", "operator": "In", "values": ["nobody"]}]},
            ],
            "serviceSelectors": [{"matchLabels": {"tier": "front"}}],
        },
    });
    let labels = [("team".to_owned(), "web".to_owned())].into();
    let namespaces = [("shop".to_owned(), labels)].into();
    let compiled = compile(&Objects {
        pools: vec![pool("lan", spec)],
        l2_advertisements: vec![l2("all", json!({}))],
        namespaces: Some(namespaces),
        ..Objects::default()
    });
    let allocation = compiled.config.pools["lan"].allocation.clone().unwrap();
    assert_eq!(allocation.priority, 5);
    assert_eq!(allocation.namespace_selectors.len(), 2);
    assert_eq!(allocation.service_selectors.len(), 1);
    let fields: Vec<_> = told(&compiled).iter().map(|t| (t.0, t.1)).collect();
    assert_eq!(
        fields,
        [
            (
                "spec.serviceAllocation.namespaceSelectors[1]",
                Reason::NothingSelected
            ),
            (
                "spec.serviceAllocation.namespaces[1]",
                Reason::NothingSelected
            ),
        ]
    );
}

#[test]
fn a_bad_selector_or_priority_quarantines_the_pool() {
    let cases = [
        (
            json!({"priority": -1}),
            "spec.serviceAllocation.priority",
            Reason::OutOfBounds,
        ),
        (
            json!({"serviceSelectors": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}),
            "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0]",
            Reason::InvalidSelector,
        ),
        (
            json!({"namespaceSelectors": [{"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}]}),
            "spec.serviceAllocation.namespaceSelectors[0].matchExpressions[0]",
            Reason::InvalidSelector,
        ),
    ];
    for (allocation, field, reason) in cases {
        let spec = json!({"addresses": ["192.0.2.0/24"], "serviceAllocation": allocation});
        let compiled = with_pools(vec![pool("lan", spec)]);
        assert_eq!(
            (told(&compiled)[0].0, told(&compiled)[0].1),
            (field, reason)
        );
        assert!(compiled.config.pools.is_empty());
    }
}

#[test]
fn a_pool_that_no_advertisement_covers_says_so() {
    let objects = Objects {
        pools: vec![
            pool("lan", json!({"addresses": ["192.0.2.0/24"]})),
            pool("dmz", json!({"addresses": ["203.0.113.0/24"]})),
        ],
        l2_advertisements: vec![l2("ad", json!({"ipAddressPools": ["lan"]}))],
        ..Objects::default()
    };
    let compiled = compile(&objects);
    assert_eq!(compiled.problems.len(), 1);
    assert_eq!(
        compiled.problems[0].object,
        ObjectRef::new("IPAddressPool", "dmz")
    );
    assert_eq!(compiled.problems[0].reason, Reason::NotAdvertised);
    assert!(verdict(&compiled, "IPAddressPool", "dmz").accepted);
}

#[test]
fn two_manifests_with_one_name_are_both_set_aside() {
    let one = pool("lan", json!({"addresses": ["192.0.2.0/24"]}));
    let compiled = with_pools(vec![one.clone(), one]);
    assert_eq!(told(&compiled)[0].1, Reason::NameDuplicate);
    assert!(compiled.config.pools.is_empty());
}

#[test]
fn a_problem_reads_as_object_field_sentence() {
    let compiled = with_pools(vec![pool("lan", json!({"addresses": ["192.0.2.1/24"]}))]);
    assert_eq!(
        compiled.problems[0].to_string(),
        "IPAddressPool lan, spec.addresses[0]: 192.0.2.1/24 has host bits set: write 192.0.2.0/24 for the whole network or 192.0.2.1 for the one address"
    );
}
