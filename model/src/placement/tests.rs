use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::announce::Candidate;

fn node(n: usize) -> String {
    format!("node-{n}")
}

fn address(n: usize) -> IpAddr {
    format!("192.0.2.{n}").parse().unwrap()
}

fn announcement(weights: impl IntoIterator<Item = (usize, u32)>) -> Announcement {
    let candidates = weights.into_iter().map(|(n, weight)| {
        (
            node(n),
            Candidate {
                weight,
                interfaces: ["eth0".to_owned()].into(),
                ..Candidate::default()
            },
        )
    });
    Announcement {
        candidates: Arc::new(candidates.collect()),
        ..Announcement::default()
    }
}

/// `addresses` of them, all nodes equal.
fn equal(addresses: usize, nodes: usize) -> BTreeMap<IpAddr, Announcement> {
    let all = || announcement((0..nodes).map(|n| (n, 0)));
    (0..addresses).map(|n| (address(n), all())).collect()
}

fn live(nodes: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    nodes.into_iter().map(node).collect()
}

fn loads(owners: &BTreeMap<IpAddr, String>) -> BTreeMap<&String, usize> {
    let mut loads = BTreeMap::new();
    owners
        .values()
        .for_each(|owner| *loads.entry(owner).or_default() += 1);
    loads
}

/// The first of each line.
fn place(
    addresses: &BTreeMap<IpAddr, Announcement>,
    previous: &BTreeMap<IpAddr, String>,
    live: &BTreeSet<String>,
) -> BTreeMap<IpAddr, String> {
    let lines = line_up(addresses, previous, live);
    let owner = |(address, mut line): (IpAddr, Vec<String>)| (address, line.swap_remove(0));
    lines.into_iter().map(owner).collect()
}

/// Puts node n into zone `zones[n]`.
fn with_zones(
    mut addresses: BTreeMap<IpAddr, Announcement>,
    zones: &[usize],
) -> BTreeMap<IpAddr, Announcement> {
    for announcement in addresses.values_mut() {
        for (n, zone) in zones.iter().enumerate() {
            if let Some(candidate) = Arc::make_mut(&mut announcement.candidates).get_mut(&node(n)) {
                candidate.zone = Some(format!("zone-{zone}"));
            }
        }
    }
    addresses
}

fn fresh() -> BTreeMap<IpAddr, String> {
    BTreeMap::new()
}

#[test]
fn the_hash_is_fixed_for_all_versions_that_may_run_together() {
    // printf '\xc0\x00\x02\x01node-1' | sha256sum
    assert_eq!(score(address(1), "node-1"), 0xd1d080fece9aae83);
}

#[test]
fn the_preferred_live_node_owns_and_a_returning_one_takes_back_only_when_preferred() {
    let equal = [(0, 0), (1, 0)];
    let preferring = [(0, 5), (1, 10)];
    for (what, weights, previous, alive, owner) in [
        ("higher weight", preferring, None, vec![0, 1], Some(1)),
        ("higher weight is dead", preferring, None, vec![0], Some(0)),
        (
            "higher weight returns",
            preferring,
            Some(0),
            vec![0, 1],
            Some(1),
        ),
        ("equal one returns", equal, Some(0), vec![0, 1], Some(0)),
        (
            "the other equal one returns",
            equal,
            Some(1),
            vec![0, 1],
            Some(1),
        ),
        ("owner dies", equal, Some(1), vec![0], Some(0)),
        (
            "owner is no candidate any more",
            equal,
            Some(7),
            vec![0, 7],
            Some(0),
        ),
        ("nobody lives", equal, Some(0), vec![], None),
    ] {
        let addresses = [(address(1), announcement(weights))].into();
        let previous = previous
            .map(|n| (address(1), node(n)))
            .into_iter()
            .collect();
        let owners = place(&addresses, &previous, &live(alive));
        assert_eq!(owners.get(&address(1)), owner.map(node).as_ref(), "{what}");
    }
}

#[test]
fn three_addresses_on_three_nodes_get_one_each() {
    let owners = place(&equal(3, 3), &fresh(), &live(0..3));
    assert_eq!(loads(&owners).len(), 3);
}

#[test]
fn new_addresses_go_to_a_node_that_returned_with_nothing() {
    let before = place(&equal(4, 1), &fresh(), &live(0..1));
    let owners = place(&equal(6, 2), &before, &live(0..2));
    assert_eq!(loads(&owners), [(&node(0), 4), (&node(1), 2)].into());
}

prop_compose! {
    fn any_world()(
        candidates in prop::collection::vec(
            prop::collection::btree_map(0usize..6, 0u32..3, 0..6), 0..20),
        previous in prop::collection::btree_map(0usize..20, 0usize..7, 0..20),
        alive in prop::collection::btree_set(0usize..6, 0..7),
    ) -> (BTreeMap<IpAddr, Announcement>, BTreeMap<IpAddr, String>, BTreeSet<String>) {
        let addresses = candidates.into_iter().enumerate();
        (
            addresses.map(|(n, weights)| (address(n), announcement(weights))).collect(),
            previous.into_iter().map(|(a, n)| (address(a), node(n))).collect(),
            live(alive),
        )
    }
}

proptest! {
    #[test]
    fn every_address_with_a_live_candidate_has_one_of_the_most_preferred(
        (addresses, previous, live) in any_world()
    ) {
        let owners = place(&addresses, &previous, &live);
        for (address, announcement) in &addresses {
            let alive: Vec<_> =
                announcement.candidates.iter().filter(|(n, _)| live.contains(*n)).collect();
            let best = alive.iter().map(|(_, c)| c.weight).max();
            let owner = owners.get(address);
            prop_assert_eq!(owner.is_some(), !alive.is_empty());
            if let Some(owner) = owner {
                prop_assert!(live.contains(owner));
                prop_assert_eq!(Some(announcement.candidates[owner].weight), best);
            }
            if let Some(before) = previous.get(address)
                && alive.iter().any(|(n, c)| *n == before && Some(c.weight) == best)
            {
                prop_assert_eq!(owner, Some(before), "a good owner was replaced");
            }
        }
        prop_assert!(owners.keys().all(|a| addresses.contains_key(a)));
        prop_assert_eq!(&place(&addresses, &owners, &live), &owners, "carried out, nothing moves");
    }

    #[test]
    fn equal_nodes_never_own_more_than_their_share(addresses in 0usize..60, nodes in 1usize..9) {
        let owners = place(&equal(addresses, nodes), &fresh(), &live(0..nodes));
        prop_assert_eq!(owners.len(), addresses);
        let most = loads(&owners).into_values().max().unwrap_or(0);
        prop_assert!(most <= addresses.div_ceil(nodes), "{most} of {addresses} on {nodes}");
    }

    #[test]
    fn a_death_moves_only_what_the_dead_node_owned_and_spreads_it(
        addresses in 1usize..60, nodes in 2usize..9, dead in 0usize..9,
    ) {
        let dead = dead % nodes;
        let all = equal(addresses, nodes);
        let before = place(&all, &fresh(), &live(0..nodes));
        let rest = live((0..nodes).filter(|n| *n != dead));
        let after = place(&all, &before, &rest);
        for (address, owner) in &before {
            if *owner != node(dead) {
                prop_assert_eq!(&after[address], owner);
            }
        }
        let most = loads(&after).into_values().max().unwrap_or(0);
        prop_assert!(most <= addresses.div_ceil(nodes - 1) + 1);
        prop_assert_eq!(&place(&all, &after, &live(0..nodes)), &after, "the return moves nothing");
    }

    #[test]
    fn the_line_is_everybody_alive_once_and_its_second_is_who_follows_the_owner(
        (addresses, previous, live) in any_world()
    ) {
        let lines = line_up(&addresses, &previous, &live);
        let owners = place(&addresses, &previous, &live);
        for (address, line) in &lines {
            let alive = addresses[address].candidates.keys().filter(|n| live.contains(*n));
            let mut sorted = line.clone();
            sorted.sort();
            prop_assert_eq!(sorted, alive.cloned().collect::<Vec<_>>());
            let mut survivors = live.clone();
            survivors.remove(&line[0]);
            let after = place(&addresses, &owners, &survivors);
            prop_assert_eq!(after.get(address), line.get(1));
        }
    }

    #[test]
    fn no_zone_owns_more_than_its_share_plus_one(
        addresses in 0usize..60, zones in prop::collection::vec(0usize..3, 1..9),
    ) {
        let nodes = zones.len();
        let world = with_zones(equal(addresses, nodes), &zones);
        let owners = place(&world, &fresh(), &live(0..nodes));
        let most = loads(&owners).into_values().max().unwrap_or(0);
        prop_assert!(most <= addresses.div_ceil(nodes), "the share of a node holds as well");
        for zone in 0..3 {
            let members = |n: &usize| zones[*n] == zone;
            let size = (0..nodes).filter(members).count();
            let names: BTreeSet<String> = (0..nodes).filter(members).map(node).collect();
            let own = owners.values().filter(|owner| names.contains(*owner)).count();
            prop_assert!(own * nodes <= addresses * size + nodes, "{own} in zone {zone}");
        }
    }

    #[test]
    fn what_fails_is_followed_by_another_zone_if_there_is_one(
        addresses in 1usize..30, zones in prop::collection::vec(0usize..3, 2..7),
    ) {
        let nodes = zones.len();
        let world = with_zones(equal(addresses, nodes), &zones);
        let zone_of = |name: &String| (0..nodes).find(|n| node(*n) == *name).map(|n| zones[n]);
        for line in line_up(&world, &fresh(), &live(0..nodes)).values() {
            let own = zone_of(&line[0]);
            if zones.iter().any(|zone| Some(*zone) != own) {
                prop_assert_ne!(zone_of(&line[1]), own);
            }
        }
    }

    #[test]
    fn names_spread_evenly_over_addresses(count in 200usize..255) {
        let first = |n| {
            let one = [(address(n), announcement((0..4).map(|n| (n, 0))))].into();
            place(&one, &fresh(), &live(0..4)).remove(&address(n))
        };
        let owners: Vec<_> = (0..count).filter_map(first).collect();
        for n in 0..4 {
            let own = owners.iter().filter(|o| **o == node(n)).count();
            prop_assert!(own > count / 8, "{} owns {own} of {count}", node(n));
        }
    }
}

#[test]
fn a_reluctant_node_owns_only_while_no_better_one_is_alive() {
    let mut stopping = announcement([(0, 0), (1, 0)]);
    let leaving = Arc::make_mut(&mut stopping.candidates)
        .get_mut("node-0")
        .unwrap();
    leaving.reluctance.stopping = true;
    leaving.weight = 100;
    let addresses = BTreeMap::from([(address(1), stopping)]);
    let was = BTreeMap::from([(address(1), node(0))]);
    assert_eq!(place(&addresses, &was, &live([0, 1]))[&address(1)], node(1));
    assert_eq!(place(&addresses, &was, &live([0]))[&address(1)], node(0));
}
