//! What this node announces: the one place where the model's answer becomes a wish for the wire.
//!
//! Pure. Make before break: an address that placement gives to another node is answered for here
//! until that node has said that it announces it, or has had time enough. An address that no
//! Service wants announced is given up at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use herald_model::announce::Desired;
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
    /// Placement wants it elsewhere; it is held until the other node has it.
    pub leaving: bool,
}

/// What this node announces and listens for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Intent {
    /// To announce, by address.
    pub owned: BTreeMap<IpAddr, Holding>,
    /// What this node may come to announce, with the interfaces it would be on.
    pub standby: BTreeMap<IpAddr, BTreeSet<String>>,
}

/// Everything a decision is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    /// This node's name.
    pub me: &'a str,
    /// What shall be announced, and by whom it may be.
    pub desired: &'a Desired,
    /// Who should, by placement.
    pub owners: &'a BTreeMap<IpAddr, String>,
    /// Who says it does.
    pub claims: &'a BTreeMap<IpAddr, Claim>,
    /// What this node announces now.
    pub held: &'a BTreeMap<IpAddr, Holding>,
    /// Addresses that another node has had time enough to take.
    pub overdue: &'a BTreeSet<IpAddr>,
}

/// Decides what this node announces.
pub(crate) fn decide(situation: &Situation<'_>) -> Intent {
    let mut intent = Intent::default();
    for (address, announcement) in &situation.desired.addresses {
        let candidate = announcement.candidates.get(situation.me);
        if let Some(candidate) = candidate {
            intent
                .standby
                .insert(*address, candidate.interfaces.clone());
        }
        let owner = situation.owners.get(address).map(String::as_str);
        let mine = owner == Some(situation.me);
        if !mine && !must_hold(situation, *address, owner) {
            continue;
        }
        let held = situation.held.get(address);
        let interfaces = candidate
            .map(|candidate| &candidate.interfaces)
            .or_else(|| held.map(|held| &held.interfaces));
        if let Some(interfaces) = interfaces {
            let holding = Holding {
                interfaces: interfaces.clone(),
                services: announcement.services.clone(),
                leaving: !mine,
            };
            intent.owned.insert(*address, holding);
        }
    }
    intent
}

/// Whether an address that placement does not give to this node stays here for now.
fn must_hold(situation: &Situation<'_>, address: IpAddr, owner: Option<&str>) -> bool {
    if !situation.held.contains_key(&address) {
        return false;
    }
    let claimant = situation
        .claims
        .get(&address)
        .map(|claim| claim.node.as_str());
    let taken = claimant.is_some_and(|node| node != situation.me);
    let given_time = owner.is_some() && situation.overdue.contains(&address);
    !taken && !given_time
}

#[cfg(test)]
mod tests {
    use herald_model::announce::{Announcement, Candidate};

    use super::*;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn desired(nodes: &[&str]) -> Desired {
        let candidate = Candidate {
            interfaces: names(&["eth0"]),
            ..Candidate::default()
        };
        let announcement = Announcement {
            services: BTreeSet::from([ServiceKey::new("default", "web")]),
            candidates: nodes
                .iter()
                .map(|node| ((*node).to_owned(), candidate.clone()))
                .collect(),
        };
        Desired {
            addresses: BTreeMap::from([(VIP, announcement)]),
            ..Desired::default()
        }
    }

    /// What node `a` announces, as "owned", "leaving" or "silent".
    fn of_a(
        candidates: &[&str],
        owner: Option<&str>,
        claim: Option<&str>,
        held: bool,
        overdue: bool,
    ) -> &'static str {
        let claims = claim
            .map(|node| {
                (
                    VIP,
                    Claim {
                        node: node.to_owned(),
                        epoch: 1,
                    },
                )
            })
            .into_iter()
            .collect();
        let holding = Holding {
            interfaces: names(&["eth1"]),
            ..Holding::default()
        };
        let intent = decide(&Situation {
            me: "a",
            desired: &desired(candidates),
            owners: &owner
                .map(|node| (VIP, node.to_owned()))
                .into_iter()
                .collect(),
            claims: &claims,
            held: &held.then_some((VIP, holding)).into_iter().collect(),
            overdue: &overdue.then_some(VIP).into_iter().collect(),
        });
        match intent.owned.get(&VIP) {
            Some(holding) if holding.leaving => "leaving",
            Some(_) => "owned",
            None => "silent",
        }
    }

    #[test]
    fn an_address_is_announced_by_its_owner_and_held_until_the_next_one_has_it() {
        let (a, b) = (Some("a"), Some("b"));
        let both: &[&str] = &["a", "b"];
        // candidates, owner, claimed by, held here, overdue
        let cases = [
            (both, a, None, false, false, "owned"),
            (both, a, b, false, false, "owned"),
            (both, b, None, false, false, "silent"),
            (both, b, a, true, false, "leaving"),
            (both, b, None, true, false, "leaving"),
            (both, b, b, true, false, "silent"),
            (both, b, a, true, true, "silent"),
            (&["b"], b, a, true, false, "leaving"),
            (both, None, a, true, true, "leaving"),
            (both, None, None, false, false, "silent"),
            (&[], None, a, true, false, "leaving"),
        ];
        for (candidates, owner, claim, held, overdue, expected) in cases {
            assert_eq!(
                of_a(candidates, owner, claim, held, overdue),
                expected,
                "candidates {candidates:?} owner {owner:?} claim {claim:?} held {held}"
            );
        }
    }

    #[test]
    fn an_address_nobody_wants_announced_is_given_up_at_once() {
        let held = BTreeMap::from([(VIP, Holding::default())]);
        let intent = decide(&Situation {
            me: "a",
            desired: &Desired::default(),
            owners: &BTreeMap::new(),
            claims: &BTreeMap::new(),
            held: &held,
            overdue: &BTreeSet::new(),
        });
        assert_eq!(intent, Intent::default());
    }

    #[test]
    fn a_candidate_listens_for_what_it_may_come_to_announce() {
        let intent = decide(&Situation {
            me: "b",
            desired: &desired(&["a", "b"]),
            owners: &BTreeMap::from([(VIP, "a".to_owned())]),
            claims: &BTreeMap::new(),
            held: &BTreeMap::new(),
            overdue: &BTreeSet::new(),
        });
        assert_eq!(intent.standby, BTreeMap::from([(VIP, names(&["eth0"]))]));
        assert!(intent.owned.is_empty());
    }
}
