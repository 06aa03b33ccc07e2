//! Differences as messages: withdrawals first and alone, then announcements in groups of equal
//! attributes, as many prefixes in each as fit (R4).

use super::AdjRibOut;
use super::queue::Told;
use super::terms::Terms;
use crate::codec::{EMPTY, NextHop, Reach, RouteRefresh, Subtype, Unreach, Update, size};
use crate::{Family, Prefix, Time};

/// No message is begun beyond so many octets.
const CHUNK: usize = 65_536;

/// How many messages were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    pub(crate) updates: u64,
    pub(crate) refreshes: u64,
}

/// Which of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Changed,
    Again,
}

impl AdjRibOut {
    /// When there is something to hand out; none: nothing waits, or there is no session.
    pub(crate) fn due(&self) -> Option<Time> {
        self.terms.as_ref()?;
        let urgent = !self.withdrawals.is_empty() || !self.first.is_empty();
        let owed = !self.asked.is_empty() || !self.answering.is_empty();
        let ends = self.knows_wish() && !self.synchronized;
        if self.flowing || ((owed || ends) && self.is_settled()) {
            Some(Time::ZERO)
        } else if urgent {
            Some(self.pace.due(true))
        } else if !self.changed.is_empty() {
            Some(self.pace.due(false))
        } else {
            None
        }
    }

    /// Appends the next messages, as far as it is their time and the chunk has room.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, now: Time) -> Sent {
        let mut sent = Sent::default();
        self.pace.refill(now);
        if self.due().is_none_or(|due| due > now) {
            return sent;
        }
        let Some(terms) = self.terms.clone() else {
            return sent;
        };
        if !self.is_settled() && !self.flowing {
            self.flowing = true;
            self.pace.left(now);
        }
        while out.len() < CHUNK && self.next(&terms, out, &mut sent) {}
        self.keep_account();
        self.flowing &= !self.is_settled();
        sent
    }

    /// Appends one message; whether there was one.
    fn next(&mut self, terms: &Terms, out: &mut Vec<u8>, sent: &mut Sent) -> bool {
        let update = if !self.withdrawals.is_empty() {
            Some(self.withdraw(terms.longest))
        } else if !self.first.is_empty() {
            self.announce(Which::First, terms)
        } else if let Some(family) = self.ending() {
            self.unended.remove(family);
            Some(Update::end_of_rib(family))
        } else if !self.changed.is_empty() {
            self.announce(Which::Changed, terms)
        } else if !self.again.is_empty() {
            self.keep_account();
            self.announce(Which::Again, terms)
        } else {
            self.keep_account();
            self.synchronized |= self.knows_wish();
            return self.bracket(terms, out, sent);
        };
        // An UPDATE that was packed to `longest` fits it; one without prefixes has nothing to say.
        if let Some(update) = update
            && update.encode(&terms.context, terms.longest, out).is_ok()
        {
            sent.updates += 1;
        }
        true
    }

    /// What was handed out is what the peer has. Much of it at once is cheaper than one by one.
    fn keep_account(&mut self) {
        if self.fresh.len() > self.sent.len() / 8 {
            self.sent.append(&mut self.fresh.drain(..).collect());
        } else {
            self.sent.extend(self.fresh.drain(..));
        }
    }

    /// A family whose routes have all been told, and which was not said to be complete.
    fn ending(&self) -> Option<Family> {
        let complete = |family: &Family| self.first.has_none_of(*family);
        let known = self.knows_wish();
        self.unended.iter().find(complete).filter(|_| known)
    }

    /// Begins or ends an answer to a ROUTE-REFRESH.
    fn bracket(&mut self, terms: &Terms, out: &mut Vec<u8>, sent: &mut Sent) -> bool {
        let (family, subtype) = if let Some(family) = self.answering.iter().next() {
            self.answering.remove(family);
            (family, Subtype::End)
        } else if let Some(family) = self.asked.iter().next() {
            self.asked.remove(family);
            self.answering.insert(family);
            let routes = self.sent.iter().filter(|(p, _)| p.family() == family);
            for (prefix, told) in routes {
                self.again.push(told, *prefix);
            }
            (family, Subtype::Begin)
        } else {
            return false;
        };
        if terms.enhanced_refresh {
            let (afi, safi) = (family.afi(), 1);
            RouteRefresh { afi, safi, subtype }.encode(out);
            sent.refreshes += 1;
        }
        true
    }

    fn withdraw(&mut self, longest: usize) -> Update {
        let mut update = Update::default();
        let Some(family) = self.withdrawals.first().map(|prefix| prefix.family()) else {
            return update;
        };
        // MP_UNREACH_NLRI: flags, type, two octets of length, AFI, SAFI.
        let mut room = longest.saturating_sub(match family {
            Family::Ipv4 => EMPTY,
            Family::Ipv6 => EMPTY + 7,
        });
        let mut prefixes = Vec::new();
        while let Some(prefix) = self.withdrawals.first().copied() {
            if prefix.family() != family || size(prefix) > room {
                break;
            }
            room -= size(prefix);
            self.withdrawals.pop_first();
            self.sent.remove(&prefix);
            prefixes.push(prefix);
        }
        match family {
            Family::Ipv4 => update.withdrawn = prefixes,
            Family::Ipv6 => update.unreach = Some(Unreach { family, prefixes }),
        }
        update
    }

    /// The next prefixes of a queue; none: they are not to be told any more.
    fn announce(&mut self, which: Which, terms: &Terms) -> Option<Update> {
        let queue = match which {
            Which::First => &mut self.first,
            Which::Changed => &mut self.changed,
            Which::Again => &mut self.again,
        };
        let (told, family) = queue.front()?;
        let told = told.clone();
        let Some(next_hop) = terms.next_hop(family, &told.route) else {
            // What has no next hop is never queued; it must not be met again either.
            queue.take(0);
            return None;
        };
        let room = terms
            .longest
            .saturating_sub(terms.overhead(&told, next_hop));
        let mut prefixes = queue.take(room);
        match which {
            Which::First | Which::Changed => {
                let held = prefixes.iter().map(|prefix| (*prefix, told.clone()));
                self.fresh.extend(held);
            }
            // What changed meanwhile was told already.
            Which::Again => {
                prefixes.retain(|prefix| self.sent.get(prefix).is_some_and(|held| held.is(&told)));
            }
        }
        if prefixes.is_empty() {
            return None;
        }
        Some(announcement(terms, &told, family, next_hop, prefixes))
    }
}

fn announcement(
    terms: &Terms,
    told: &Told,
    family: Family,
    next_hop: NextHop,
    prefixes: Vec<Prefix>,
) -> Update {
    let mut update = Update {
        attributes: terms.attributes(told, next_hop),
        ..Update::default()
    };
    match next_hop {
        NextHop::V4(_) => update.announced = prefixes,
        NextHop::V6(_) | NextHop::V6Pair(..) => {
            update.reach = Some(Reach {
                family,
                next_hop,
                prefixes,
            });
        }
    }
    update
}
