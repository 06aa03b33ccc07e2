use proptest::prelude::*;

use super::*;

fn range(text: &str) -> AddressRange {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn node(name: &str) -> Owner {
    Owner::Node {
        name: name.into(),
        kind: "InternalIP".into(),
    }
}

fn pods(name: &str) -> Owner {
    Owner::PodRange { node: name.into() }
}

#[test]
fn each_kind_that_is_no_host_is_known_by_its_first_and_last_address() {
    use NeverHost::{LimitedBroadcast, LinkLocal, Loopback, Multicast, Unspecified};
    for (address, expected) in [
        ("0.0.0.0", Some(Unspecified)),
        ("0.255.255.255", Some(Unspecified)),
        ("1.0.0.0", None),
        ("126.255.255.255", None),
        ("127.0.0.0", Some(Loopback)),
        ("127.255.255.255", Some(Loopback)),
        ("128.0.0.0", None),
        ("169.253.255.255", None),
        ("169.254.0.0", Some(LinkLocal)),
        ("169.254.255.255", Some(LinkLocal)),
        ("169.255.0.0", None),
        ("223.255.255.255", None),
        ("224.0.0.0", Some(Multicast)),
        ("239.255.255.255", Some(Multicast)),
        ("240.0.0.0", None),
        ("255.255.255.254", None),
        ("255.255.255.255", Some(LimitedBroadcast)),
        ("::", Some(Unspecified)),
        ("::1", Some(Loopback)),
        ("::2", None),
        ("fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("fe80::", Some(LinkLocal)),
        ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(LinkLocal)),
        ("fec0::", None),
        ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("ff00::", Some(Multicast)),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Multicast)),
    ] {
        assert_eq!(NeverHost::of(ip(address)), expected, "{address}");
    }
}

#[test]
fn every_owner_has_the_end_of_a_sentence() {
    let subnet = range("10.73.0.0/24");
    for (owner, sentence, answers) in [
        (
            Owner::NeverHost(NeverHost::Loopback),
            "a loopback address",
            true,
        ),
        (
            Owner::NeverHost(NeverHost::LinkLocal),
            "a link-local address",
            false,
        ),
        (node("n1"), "the InternalIP of node n1", true),
        (
            Owner::Interface {
                node: "n1".into(),
                interface: "eth0".into(),
            },
            "an address of interface eth0 of node n1",
            true,
        ),
        (
            Owner::ServiceRange {
                name: "kubernetes".into(),
            },
            "an address of ServiceCIDR kubernetes",
            false,
        ),
        (pods("n1"), "an address of spec.podCIDRs of node n1", false),
        (
            Owner::NetworkAddress { subnet },
            "the network address of 10.73.0.0/24",
            false,
        ),
        (
            Owner::BroadcastAddress { subnet },
            "the broadcast address of 10.73.0.0/24",
            false,
        ),
        (
            Owner::SubnetRouter {
                subnet: range("fd73::/64"),
            },
            "the subnet-router anycast address of fd73::/64",
            false,
        ),
        (
            Owner::HeldPool { pool: "p".into() },
            "an address of pool p, which was deleted a moment ago",
            false,
        ),
    ] {
        assert_eq!(
            (owner.to_string().as_str(), owner.answers()),
            (sentence, answers)
        );
    }
}

#[test]
fn a_nodes_own_address_inside_a_wider_range_stands_by_itself() {
    let unusable = Unusable::new([
        (range("10.0.0.0/8"), pods("wide")),
        (range("10.0.0.5"), node("b")),
        (range("10.0.0.5"), node("a")),
        (
            range("169.254.0.0/16"),
            Owner::NeverHost(NeverHost::LinkLocal),
        ),
        (range("169.254.7.7"), node("a")),
    ]);
    let all: Vec<_> = unusable.iter().map(|(r, o)| format!("{r} {o}")).collect();
    assert_eq!(
        all,
        [
            "10.0.0.0-10.0.0.4 an address of spec.podCIDRs of node wide",
            "10.0.0.5 the InternalIP of node a",
            "10.0.0.6-10.255.255.255 an address of spec.podCIDRs of node wide",
            "169.254.0.0-169.254.7.6 a link-local address",
            "169.254.7.7 the InternalIP of node a",
            "169.254.7.8-169.254.255.255 a link-local address",
        ]
    );
    let silent = |address| unusable.is_answered_elsewhere(ip(address)).cloned();
    assert_eq!(silent("10.0.0.5"), Some(node("a")));
    assert_eq!(silent("10.0.0.4"), None);
    assert_eq!(
        silent("169.254.7.7"),
        Some(node("a")),
        "a node's, though link-local"
    );
}

#[test]
fn ranges_of_one_owner_that_touch_are_one() {
    let unusable = Unusable::new([
        (range("10.0.1.0/24"), pods("a")),
        (range("10.0.0.0/24"), pods("a")),
        (range("10.0.2.0/24"), pods("b")),
    ]);
    let all: Vec<_> = unusable
        .iter()
        .map(|(range, _)| range.to_string())
        .collect();
    assert_eq!(all, ["10.0.0.0/23", "10.0.2.0/24"]);
}

#[test]
fn the_whole_of_both_families_can_be_owned() {
    let unusable = Unusable::new([
        (range("0.0.0.0/0"), pods("a")),
        (range("::/0"), pods("a")),
        (range("ff00::/8"), Owner::NeverHost(NeverHost::Multicast)),
    ]);
    assert_eq!(unusable.usable(range("::/0")), []);
    assert_eq!(unusable.usable(range("0.0.0.0/0")), []);
    assert_eq!(
        unusable.owner(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
        Some(&Owner::NeverHost(NeverHost::Multicast))
    );
}

/// A few owners on numbers 0 to 39 of both families.
fn any_claims() -> impl Strategy<Value = Vec<(AddressRange, Owner)>> {
    let claim =
        (0u128..40, 0u128..12, any::<bool>(), 0u8..6).prop_map(|(first, span, six, who)| {
            let family = if six { Family::V6 } else { Family::V4 };
            let owner = match who {
                0 => Owner::NeverHost(NeverHost::LinkLocal),
                1 => Owner::NeverHost(NeverHost::Loopback),
                2 => node("a"),
                3 => node("b"),
                4 => pods("a"),
                _ => Owner::ServiceRange { name: "s".into() },
            };
            (AddressRange::of_numbers(family, first, first + span), owner)
        });
    prop::collection::vec(claim, 0..12)
}

proptest! {
    #[test]
    fn asked_one_by_one_every_address_has_the_owner_that_goes_first(
        claims in any_claims(),
        first in 0u128..40,
        span in 0u128..20,
    ) {
        let unusable = Unusable::new(claims.clone());
        let plain = |address: IpAddr| {
            let mut all: Vec<&Owner> =
                claims.iter().filter(|(r, _)| r.contains(address)).map(|(_, o)| o).collect();
            all.sort_by_key(|owner| (!owner.answers(), (*owner).clone()));
            all.first().copied()
        };
        for family in [Family::V4, Family::V6] {
            for n in 0..60 {
                let address = family.address(n);
                prop_assert_eq!(unusable.owner(address), plain(address), "{}", address);
            }
            let window = AddressRange::of_numbers(family, first, first + span);
            let set: RangeSet = [window].into_iter().collect();
            let within = unusable.within(&set);
            let usable: RangeSet = unusable.usable(window).into_iter().collect();
            let entries = unusable.entries_within(&set);
            let only = unusable.only([&set]);
            for n in 0..60 {
                let address = family.address(n);
                let (inside, owner) = (window.contains(address), plain(address));
                prop_assert_eq!(within.contains(address), inside && owner.is_some());
                prop_assert_eq!(usable.contains(address), inside && owner.is_none());
                let entry = entries.iter().find(|(range, _)| range.contains(address));
                prop_assert_eq!(entry.map(|(_, owner)| *owner), owner.filter(|_| inside));
                prop_assert_eq!(only.owner(address), owner.filter(|_| inside));
            }
        }
        let ranges: Vec<_> = unusable.iter().collect();
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].0 < pair[1].0 && pair[0].0.intersection(&pair[1].0).is_none());
        }
    }
}

#[test]
fn addresses_of_five_thousand_nodes_are_found_one_by_one() {
    let own = (0..15_000u32).map(|n| {
        let address = IpAddr::from((0x0a00_0000 + n * 4).to_be_bytes());
        (AddressRange::single(address), node(&format!("n{}", n / 3)))
    });
    let unusable = Unusable::new(own.chain([(range("10.0.0.0/8"), pods("all"))]));
    let pool: RangeSet = (0..10_000u32)
        .map(|n| AddressRange::single(IpAddr::from((0x0a00_0000 + n).to_be_bytes())))
        .collect();
    let entries = unusable.entries_within(&pool);
    assert_eq!(entries.len(), 10_000);
    assert_eq!(
        entries.iter().filter(|(_, owner)| owner.answers()).count(),
        2_500
    );
}
