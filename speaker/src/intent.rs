//! What this node may own, and when its turn is: the one place where the model's answer becomes a
//! wish for the wire.
//!
//! Pure. Who owns is settled among the speakers (`fast`); here is said who should, in which order.
//! Make before break: an address that placement gives to another node is handed to it, and taken
//! back when nobody takes it. An address that no Service wants announced is given up at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_model::announce::{Announcement, Desired};
use herald_model::service::ServiceKey;

/// Who said that it announces an address (ServiceAnnouncement status).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub node: String,
    /// Counts the changes of owner.
    pub epoch: i64,
}

/// An address this node announces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Interface names.
    pub interfaces: BTreeSet<String>,
    /// The Services it is announced for.
    pub services: BTreeSet<ServiceKey>,
    /// Another node should have it.
    pub leaving: bool,
}

/// An address this node may own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bid {
    /// Where and for whom.
    pub holding: Holding,
    /// How many candidates go first.
    pub rank: u32,
    /// To be handed over while it is owned here.
    pub gives_away: bool,
    /// No node is known to have announced it ever.
    pub untried: bool,
}

/// Everything a decision is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    /// This node's name.
    pub me: &'a str,
    /// What shall be announced, and by whom it may be.
    pub desired: &'a Desired,
    /// The live candidates of each address in the order in which they should.
    pub lines: &'a BTreeMap<IpAddr, Vec<String>>,
    /// Who owns, as the speakers agreed.
    pub owners: &'a BTreeMap<IpAddr, String>,
    /// Who says it announces, on the API server.
    pub claims: &'a BTreeMap<IpAddr, Claim>,
    /// What this node owns.
    pub held: &'a BTreeSet<IpAddr>,
    /// What it said of that in the round before: where no candidate says it, an address stays on the
    /// interfaces it was on.
    pub before: &'a BTreeMap<IpAddr, Holding>,
    /// Addresses that moved often enough lately (A18).
    pub damped: &'a BTreeSet<IpAddr>,
}

/// What this node may own, by address.
pub(crate) fn bids(situation: &Situation<'_>) -> BTreeMap<IpAddr, Bid> {
    let addresses = situation.desired.addresses.iter();
    addresses
        .filter_map(|(address, announcement)| {
            Some((*address, bid(situation, *address, announcement)?))
        })
        .collect()
}

fn bid(situation: &Situation<'_>, address: IpAddr, announcement: &Announcement) -> Option<Bid> {
    let me = situation.me;
    let held = situation.held.contains(&address);
    let candidate = announcement.candidates.get(me);
    if candidate.is_none() && !held {
        return None;
    }
    let line = situation.lines.get(&address).map_or(&[][..], Vec::as_slice);
    let owner = line.first().map(String::as_str);
    let recorded = situation.owners.get(&address).map(String::as_str);
    // While the owner lives nobody can take its place, so its follower need not wait for it.
    let ahead = if recorded.is_some() && recorded == owner && owner != Some(me) {
        line.get(1..).unwrap_or(&[])
    } else {
        line
    };
    let place = ahead.iter().position(|node| node == me);
    let mine = owner == Some(me);
    let before = situation.before.get(&address);
    let before = before.map(|before| &before.interfaces);
    let interfaces = candidate.map(|one| &one.interfaces).or(before);
    // Whoever fails, and a node that is not heard does, is followed however often that is.
    let able = candidate.is_some_and(|one| !one.reluctance.unheard);
    let damped = able && situation.damped.contains(&address);
    Some(Bid {
        holding: Holding {
            interfaces: interfaces.cloned().unwrap_or_default(),
            services: announcement.services.clone(),
            leaving: !mine,
        },
        rank: u32::try_from(place.unwrap_or(ahead.len())).unwrap_or(u32::MAX),
        gives_away: held && !mine && owner.is_some() && !damped,
        untried: recorded.is_none() && !situation.claims.contains_key(&address),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use herald_model::announce::Candidate;

    use super::*;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    struct Case<'a> {
        candidates: &'a [&'a str],
        line: &'a [&'a str],
        owner: Option<&'a str>,
        held: bool,
        damped: bool,
    }

    /// What node `a` bids for the address.
    fn of_a(case: &Case<'_>) -> Option<Bid> {
        let candidate = Candidate {
            interfaces: names(&["eth0"]),
            ..Candidate::default()
        };
        let candidates = case.candidates.iter();
        let candidates = candidates.map(|node| ((*node).to_owned(), candidate.clone()));
        let announcement = Announcement {
            services: BTreeSet::from([ServiceKey::new("default", "web")]),
            candidates: Arc::new(candidates.collect()),
        };
        let desired = Desired {
            addresses: BTreeMap::from([(VIP, announcement)]),
            ..Desired::default()
        };
        let line = case.line.iter().map(|node| (*node).to_owned()).collect();
        let only = |is: bool| {
            if is {
                BTreeSet::from([VIP])
            } else {
                BTreeSet::new()
            }
        };
        let owner = case.owner.map(|node| (VIP, node.to_owned()));
        bids(&Situation {
            me: "a",
            desired: &desired,
            lines: &[(VIP, line)].into(),
            owners: &owner.into_iter().collect(),
            claims: &BTreeMap::new(),
            held: &only(case.held),
            before: &BTreeMap::new(),
            damped: &only(case.damped),
        })
        .remove(&VIP)
    }

    #[test]
    fn candidates_bid_in_their_order_and_the_follower_need_not_wait_for_a_living_owner() {
        let all: &[&str] = &["a", "b", "c"];
        // line, owner, rank
        let cases: [(&[&str], Option<&str>, u32); 6] = [
            (&["a", "b", "c"], None, 0),
            (&["a", "b", "c"], Some("a"), 0),
            (&["b", "a", "c"], Some("b"), 0),
            (&["b", "c", "a"], Some("b"), 1),
            (&["b", "a", "c"], None, 1),
            (&["b", "c", "a"], Some("c"), 2),
        ];
        for (line, owner, rank) in cases {
            let bid = of_a(&Case {
                candidates: all,
                line,
                owner,
                held: false,
                damped: false,
            });
            assert_eq!(bid.map(|bid| bid.rank), Some(rank), "{line:?} {owner:?}");
        }
    }

    #[test]
    fn an_owner_gives_away_what_another_should_have_unless_it_moved_too_often() {
        let both: &[&str] = &["a", "b"];
        let ba: &[&str] = &["b", "a"];
        // candidates, line, damped, gives away
        let cases: [(&[&str], &[&str], bool, bool); 6] = [
            (both, both, false, false),
            (both, ba, false, true),
            (both, ba, true, false),
            (&["b"], &["b"], false, true),
            (&["b"], &["b"], true, true),
            (&["b"], &[], false, false),
        ];
        for (candidates, line, damped, expected) in cases {
            let bid = of_a(&Case {
                candidates,
                line,
                owner: Some("a"),
                held: true,
                damped,
            });
            assert_eq!(
                bid.map(|bid| bid.gives_away),
                Some(expected),
                "{candidates:?} {line:?}"
            );
        }
    }

    #[test]
    fn who_is_no_candidate_and_owns_nothing_does_not_bid() {
        let bid = of_a(&Case {
            candidates: &["b"],
            line: &["b"],
            owner: None,
            held: false,
            damped: false,
        });
        assert_eq!(bid, None);
    }
}
