//! What differs between the wish and what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::pace::Pace;
use super::queue::{Queue, Told};
use super::terms::Terms;
use super::{Route, Wish};
use crate::{Families, Family, Obstacle, Prefix, Time};

/// What one peer was told and is to be told. Lives as long as the peer; what was told lives as long
/// as a session.
#[derive(Debug)]
pub(crate) struct AdjRibOut {
    /// None: not known yet; nothing is sent, and no marker of the end.
    wish: Option<Arc<Wish>>,
    /// Everything is told as about to go (R3).
    pub(super) leaving: bool,
    /// Everything is withdrawn.
    gone: bool,
    /// The session; none: there is none.
    pub(super) terms: Option<Terms>,
    pub(super) sent: BTreeMap<Prefix, Told>,
    /// Sent within this call of `fill`, and not yet in `sent`.
    pub(super) fresh: Vec<(Prefix, Told)>,
    pub(super) withdrawals: BTreeSet<Prefix>,
    /// What the peer does not have.
    pub(super) first: Queue,
    /// What it has otherwise.
    pub(super) changed: Queue,
    /// What it asked for again, after the bracket that opens the answer.
    pub(super) again: Queue,
    /// Families whose routes it asked for again and whose answer has not begun,
    pub(super) asked: Families,
    /// and has begun.
    pub(super) answering: Families,
    /// Families whose marker of the end is still to be sent.
    pub(super) unended: Families,
    /// Everything that was wished for has been handed out once.
    pub(super) synchronized: bool,
    /// A batch has begun and is not all handed out.
    pub(super) flowing: bool,
    pub(super) pace: Pace,
    untold: BTreeMap<Obstacle, usize>,
}

impl AdjRibOut {
    pub(crate) fn new(gather: Duration) -> Self {
        Self {
            wish: None,
            leaving: false,
            gone: false,
            terms: None,
            sent: BTreeMap::new(),
            fresh: Vec::new(),
            withdrawals: BTreeSet::new(),
            first: Queue::default(),
            changed: Queue::default(),
            again: Queue::default(),
            asked: Families::default(),
            answering: Families::default(),
            unended: Families::default(),
            synchronized: false,
            flowing: false,
            pace: Pace::new(gather),
            untold: BTreeMap::new(),
        }
    }

    /// The whole wish, from now on.
    pub(crate) fn set_wish(&mut self, wish: Arc<Wish>) {
        let same = |old: &Arc<Wish>| Arc::ptr_eq(old, &wish);
        if !self.wish.as_ref().is_some_and(same) {
            self.wish = Some(wish);
            self.compare();
        }
    }

    /// Routes are on their way out, or not any more (R3).
    pub(crate) fn set_leaving(&mut self, leaving: bool, gone: bool) {
        if (self.leaving, self.gone) != (leaving, gone) {
            (self.leaving, self.gone) = (leaving, gone);
            self.compare();
        }
    }

    pub(crate) const fn set_gather(&mut self, gather: Duration) {
        self.pace.set_gather(gather);
    }

    /// A session began: the peer has nothing.
    pub(crate) fn open(&mut self, terms: Terms, now: Time) {
        self.close();
        self.pace.reset(now);
        if terms.end_of_rib {
            self.unended = terms.context.families;
        }
        self.terms = Some(terms);
        self.compare();
    }

    /// The session ended: nothing is sent any more.
    pub(crate) fn close(&mut self) {
        self.terms = None;
        self.sent.clear();
        self.withdrawals.clear();
        self.first.clear();
        self.changed.clear();
        self.again.clear();
        (self.asked, self.answering, self.unended) = Default::default();
        (self.synchronized, self.flowing) = (false, false);
        self.untold.clear();
    }

    /// The peer wants the routes of a family again (RFC 2918, RFC 7313). Asked twice while it is
    /// answered, it is answered once more.
    pub(crate) fn refresh(&mut self, family: Family) {
        let exchanged = |terms: &Terms| terms.context.families.contains(family);
        if self.terms.as_ref().is_some_and(exchanged) {
            self.asked.insert(family);
        }
    }

    /// Prefixes wished for.
    pub(crate) fn wished(&self) -> usize {
        self.wish.as_ref().map_or(0, |wish| wish.len())
    }

    /// Prefixes the peer was told.
    pub(crate) fn told(&self) -> usize {
        self.sent.len()
    }

    /// The whole wish was handed out, with the markers of its end.
    pub(crate) const fn is_synchronized(&self) -> bool {
        self.synchronized
    }

    /// Nothing is left to be withdrawn or told.
    pub(crate) fn is_settled(&self) -> bool {
        self.withdrawals.is_empty() && self.first.is_empty() && self.changed.is_empty()
    }

    /// Everything is to be withdrawn.
    pub(crate) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// There is a wish.
    pub(super) const fn knows_wish(&self) -> bool {
        self.wish.is_some()
    }

    /// Prefixes of the wish that cannot be told, by the reason.
    pub(crate) fn untold(&self) -> Vec<(Obstacle, usize)> {
        self.untold
            .iter()
            .map(|(obstacle, count)| (*obstacle, *count))
            .collect()
    }

    /// Walks wish and sent side by side; both are in order.
    fn compare(&mut self) {
        self.withdrawals.clear();
        self.first.clear();
        self.changed.clear();
        self.untold.clear();
        let (Some(terms), Some(wish)) = (&self.terms, &self.wish) else {
            return;
        };
        let mut verdicts = Verdicts::default();
        let empty = Wish::new();
        let wish = if self.gone { &empty } else { wish.as_ref() };
        let mut sent = self.sent.iter().peekable();
        for (prefix, route) in wish {
            while let Some((gone, _)) = sent.next_if(|(other, _)| *other < prefix) {
                self.withdrawals.insert(*gone);
            }
            let held = sent
                .next_if(|(other, _)| *other == prefix)
                .map(|(_, told)| told);
            let told = Told {
                route: Arc::clone(route),
                leaving: self.leaving,
            };
            if let Some(obstacle) = verdicts.obstacle(terms, *prefix, &told) {
                *self.untold.entry(obstacle).or_default() += 1;
                if held.is_some() {
                    self.withdrawals.insert(*prefix);
                }
                continue;
            }
            match held {
                None => self.first.push(&told, *prefix),
                Some(held) if held.is(&told) => {}
                Some(_) => self.changed.push(&told, *prefix),
            }
        }
        self.withdrawals.extend(sent.map(|(gone, _)| *gone));
    }
}

/// Remembers the last verdict: neighbours mostly have the same route and length.
#[derive(Default)]
struct Verdicts {
    last: Option<(Arc<Route>, Family, u8, Option<Obstacle>)>,
}

impl Verdicts {
    fn obstacle(&mut self, terms: &Terms, prefix: Prefix, told: &Told) -> Option<Obstacle> {
        match &self.last {
            Some((route, family, length, verdict))
                if Arc::ptr_eq(route, &told.route)
                    && (*family, *length) == (prefix.family(), prefix.length()) =>
            {
                *verdict
            }
            _ => {
                let verdict = terms.obstacle(prefix, told);
                let route = Arc::clone(&told.route);
                self.last = Some((route, prefix.family(), prefix.length(), verdict));
                verdict
            }
        }
    }
}
