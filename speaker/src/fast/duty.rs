//! Which of the wished addresses this node answers for now: what the quorum lease says, in the form
//! the station understands. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use herald_beacon::{Hold, Time};

use super::Candidacy;

/// A handover that nobody accepted is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Who could not answer for that long announces everything anew (A9).
const UNHEARD: Duration = Duration::from_secs(1);

/// What the lease says about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Say {
    /// Answering is allowed, until when.
    pub hold: Option<Hold>,
    /// It is not, but this node's claim stands, and nobody else answered since it lapsed.
    pub lapsed: bool,
}

/// An address answered for, or one whose lease lapsed while the claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Post {
    pub until: Time,
    pub since: Time,
    pub degraded: bool,
}

/// What has to be done after the lease was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// Answered for from now on.
    pub taken: Vec<IpAddr>,
    /// Not any more.
    pub lost: Vec<IpAddr>,
    /// Answered for again after so long that everybody is told once more.
    pub resumed: Vec<IpAddr>,
    /// Lease got longer.
    pub renewed: Vec<(IpAddr, Time)>,
    /// To be handed over.
    pub hand_over: Vec<IpAddr>,
}

#[derive(Debug, Default)]
pub(super) struct Duty {
    wished: BTreeMap<IpAddr, Candidacy>,
    posts: BTreeMap<IpAddr, Post>,
    offered: BTreeMap<IpAddr, Time>,
}

impl Duty {
    pub(super) fn set(&mut self, wished: BTreeMap<IpAddr, Candidacy>) {
        self.offered
            .retain(|address, _| wished.get(address).is_some_and(|one| one.gives_away));
        self.wished = wished;
    }

    pub(super) fn wished(&self) -> &BTreeMap<IpAddr, Candidacy> {
        &self.wished
    }

    pub(super) fn posts(&self) -> &BTreeMap<IpAddr, Post> {
        &self.posts
    }

    /// Asks the lease about every address.
    pub(super) fn review(&mut self, say: impl Fn(IpAddr) -> Say, now: Time) -> Orders {
        let mut orders = Orders::default();
        for (address, candidacy) in &self.wished {
            let Say { hold, lapsed } = say(*address);
            match (hold, self.posts.get_mut(address)) {
                (Some(hold), Some(post)) => {
                    if now >= post.until + UNHEARD {
                        orders.resumed.push(*address);
                    }
                    if hold.until != post.until {
                        orders.renewed.push((*address, hold.until));
                    }
                    post.until = hold.until;
                    post.degraded = hold.degraded;
                }
                (Some(hold), None) => {
                    let post = Post {
                        until: hold.until,
                        since: now,
                        degraded: hold.degraded,
                    };
                    self.posts.insert(*address, post);
                    orders.taken.push(*address);
                }
                (None, Some(_)) if !lapsed => {
                    self.posts.remove(address);
                    orders.lost.push(*address);
                }
                (None, _) => {}
            }
            if candidacy.gives_away && hold.is_some_and(|hold| !hold.degraded) {
                let offered = self.offered.get(address);
                if offered.is_none_or(|offered| now >= *offered + AGAIN) {
                    self.offered.insert(*address, now);
                    orders.hand_over.push(*address);
                }
            }
        }
        let wished = &self.wished;
        self.posts.retain(|address, _| {
            let stays = wished.contains_key(address);
            if !stays {
                orders.lost.push(*address);
            }
            stays
        });
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn ms(n: u64) -> Time {
        Duration::from_millis(n)
    }

    fn duty(gives_away: bool) -> Duty {
        let mut duty = Duty::default();
        let candidacy = Candidacy {
            gives_away,
            ..Candidacy::default()
        };
        duty.set([(VIP, candidacy)].into());
        duty
    }

    fn holds(until: u64) -> impl Fn(IpAddr) -> Say {
        move |_| Say {
            hold: Some(Hold {
                until: ms(until),
                degraded: false,
            }),
            lapsed: false,
        }
    }

    const LAPSED: fn(IpAddr) -> Say = |_| Say {
        hold: None,
        lapsed: true,
    };
    const NOT_MINE: fn(IpAddr) -> Say = |_| Say {
        hold: None,
        lapsed: false,
    };

    #[test]
    fn an_address_is_taken_once_renewed_often_and_lost_when_the_claim_falls() {
        let mut duty = duty(false);
        assert_eq!(
            duty.review(LAPSED, ms(0)),
            Orders::default(),
            "a claim alone is nothing"
        );
        assert_eq!(duty.review(holds(200), ms(1)).taken, [VIP]);
        assert_eq!(duty.review(holds(200), ms(2)), Orders::default());
        assert_eq!(duty.review(holds(250), ms(50)).renewed, [(VIP, ms(250))]);
        assert_eq!(
            duty.review(LAPSED, ms(300)),
            Orders::default(),
            "a lapse is silence, not loss"
        );
        let again = duty.review(holds(500), ms(310));
        assert!(again.resumed.is_empty(), "nobody noticed");
        assert_eq!(duty.review(LAPSED, ms(1600)), Orders::default());
        assert_eq!(duty.review(holds(1800), ms(1610)).resumed, [VIP]);
        assert_eq!(duty.review(NOT_MINE, ms(2000)).lost, [VIP]);
        assert!(duty.posts().is_empty());
    }

    #[test]
    fn what_is_to_go_is_offered_once_a_second_while_it_is_owned() {
        let mut duty = duty(true);
        assert!(duty.review(NOT_MINE, ms(0)).hand_over.is_empty());
        assert_eq!(duty.review(holds(200), ms(1)).hand_over, [VIP]);
        assert_eq!(duty.review(NOT_MINE, ms(2)).lost, [VIP]);
        let kept = duty.review(holds(310), ms(110));
        assert!(kept.hand_over.is_empty(), "nobody took it");
        assert_eq!(duty.review(holds(1200), ms(1001)).hand_over, [VIP]);
    }

    #[test]
    fn what_is_not_wished_any_more_is_lost() {
        let mut duty = duty(false);
        duty.review(holds(200), ms(1));
        duty.set(BTreeMap::new());
        assert_eq!(duty.review(holds(200), ms(2)).lost, [VIP]);
    }
}
