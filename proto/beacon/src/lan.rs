//! Whether this node is heard on the networks it announces on (protocol section 2.4, "L2 copy"). A
//! small datagram leaves each announced interface five times a second, for everybody there; beacons,
//! which may go another way, tell who heard whose. Pure: it decides nothing about ownership, and what
//! it says only moves a node to the end of the line.
//!
//! A link is unheard when for [`UNHEARD`] no peer and this node heard each other there, no gateway
//! answers, and a peer that was met there once says that it hears somebody. Where nobody hears anybody,
//! on a switch that passes no such datagrams or when the network is gone for all, nobody is unheard.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limit::Limit;
use crate::{Discard, Life, NodeId, Time};

/// An interface that is announced on: a number that its node chose for it, not 0.
pub type LinkId = u32;

/// Between two copies on one link.
const EACH: Duration = Duration::from_millis(200);
/// For so long a copy, a word of a peer and an answer count as new. What ended for all at once is not
/// told any more long before anybody is judged by it.
const LATELY: Duration = Duration::from_millis(500);
/// After so long without anybody a link is unheard.
const UNHEARD: Duration = Duration::from_millis(1200);
/// Between two questions to the gateways of a link in doubt, and how long an answer counts.
const ASKING: Duration = Duration::from_millis(400);
const ANSWERED: Duration = Duration::from_secs(1);
/// The most words in a beacon.
pub(crate) const MAX_WORDS: usize = 8;

/// What a beacon says of one link of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkWord {
    /// The sender's link.
    pub mine: LinkId,
    /// The link of the receiver that is heard there; 0 for none.
    pub yours: LinkId,
    /// Somebody other than the receiver is heard there.
    pub others: bool,
    /// A gateway answered there lately.
    pub gateway: bool,
    /// The sender takes its link for unheard.
    pub unheard: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Lan {
    links: BTreeMap<LinkId, Link>,
    /// When the next copies are due, and the number of the last.
    due: Time,
    count: u64,
    to_send: BTreeSet<LinkId>,
    questions: BTreeSet<LinkId>,
    /// What peers say of their own links, and when.
    told: BTreeMap<NodeId, (BTreeSet<LinkId>, Time)>,
}

#[derive(Debug, Default)]
struct Link {
    /// There is a gateway to ask.
    gateways: bool,
    answered: Option<Time>,
    asked: Option<Time>,
    /// Not judged before.
    excused: Time,
    limit: Limit,
    /// The links of peers that are on the same network, or were.
    neighbours: BTreeMap<(NodeId, LinkId), Neighbour>,
}

#[derive(Debug)]
struct Neighbour {
    met: Time,
    life: Life,
    count: u64,
    heard: Option<Time>,
    hears_me: Option<Time>,
    /// What it said of its own link, and when.
    word: Option<(LinkWord, Time)>,
}

impl Neighbour {
    fn met(now: Time) -> Self {
        Self {
            met: now,
            life: 0,
            count: 0,
            heard: None,
            hears_me: None,
            word: None,
        }
    }

    fn is_heard(&self, now: Time) -> bool {
        self.heard.is_some_and(|heard| now < heard + LATELY)
    }

    fn says(&self, now: Time) -> Option<LinkWord> {
        let word = self.word.filter(|(_, at)| now < *at + LATELY);
        word.map(|(word, _)| word)
    }

    /// When both last heard each other.
    fn mutual(&self) -> Option<Time> {
        Some(self.heard?.min(self.hears_me?))
    }
}

impl Link {
    /// Since when nobody is heard both ways; none where nobody ever was met.
    fn alone_since(&self) -> Option<Time> {
        let neighbours = || self.neighbours.values();
        let mutual = neighbours().filter_map(Neighbour::mutual).max();
        let met = || neighbours().map(|one| one.met).min();
        Some(mutual.or_else(met)?.max(self.excused))
    }

    fn is_answered(&self, now: Time) -> bool {
        self.answered.is_some_and(|at| now < at + ANSWERED)
    }

    fn is_unheard(&self, now: Time) -> bool {
        let alone = self.alone_since();
        // A gateway that answers others says nothing where this node has none to ask.
        let served = |one: &Neighbour| {
            let word = one.says(now);
            word.is_some_and(|word| word.others || (word.gateway && self.gateways))
        };
        alone.is_some_and(|since| now >= since + UNHEARD)
            && !self.is_answered(now)
            && self.neighbours.values().any(served)
    }
}

impl Lan {
    /// The links that are announced on, and whether there is a gateway to ask on each.
    pub(crate) fn set_links(&mut self, links: &BTreeMap<LinkId, bool>, now: Time) {
        self.links.retain(|id, _| links.contains_key(id));
        for (id, gateways) in links.iter().filter(|(id, _)| **id != 0) {
            let fresh = || Link {
                excused: now,
                ..Link::default()
            };
            self.links.entry(*id).or_insert_with(fresh).gateways = *gateways;
        }
    }

    /// Who is no member any more is nobody's neighbour.
    pub(crate) fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        for link in self.links.values_mut() {
            link.neighbours.retain(|(peer, _), _| is_member(*peer));
        }
        self.told.retain(|peer, _| is_member(*peer));
    }

    /// This node slept: that it heard nobody is its own doing.
    pub(crate) fn excuse(&mut self, now: Time) {
        for link in self.links.values_mut() {
            link.excused = now;
        }
    }

    /// Whether a copy that arrived on `link` is to be read.
    pub(crate) fn admit(&mut self, link: LinkId, now: Time) -> bool {
        let link = self.links.get_mut(&link);
        link.is_some_and(|link| link.limit.admit(now))
    }

    /// Takes a copy of `peer`'s proven life, sent from its link `theirs`.
    pub(crate) fn hear(
        &mut self,
        link: LinkId,
        (peer, theirs): (NodeId, LinkId),
        (life, count): (Life, u64),
        now: Time,
    ) -> Result<(), Discard> {
        let link = self.links.get_mut(&link).ok_or(Discard::OtherReceiver)?;
        let neighbour = link.neighbours.entry((peer, theirs));
        let neighbour = neighbour.or_insert_with(|| Neighbour::met(now));
        if (life, count) <= (neighbour.life, neighbour.count) {
            return Err(Discard::Replayed);
        }
        (neighbour.life, neighbour.count) = (life, count);
        neighbour.heard = Some(now);
        Ok(())
    }

    /// Takes what `peer` says in a beacon.
    pub(crate) fn note(&mut self, peer: NodeId, words: &[LinkWord], now: Time) {
        let unheard = words.iter().filter(|word| word.unheard);
        let unheard = unheard.map(|word| word.mine).collect();
        self.told.insert(peer, (unheard, now));
        for word in words {
            for (id, link) in &mut self.links {
                let known = link.neighbours.entry((peer, word.mine));
                let neighbour = if word.yours == *id {
                    let neighbour = known.or_insert_with(|| Neighbour::met(now));
                    neighbour.hears_me = Some(now);
                    neighbour
                } else if let std::collections::btree_map::Entry::Occupied(known) = known {
                    known.into_mut()
                } else {
                    continue;
                };
                neighbour.word = Some((*word, now));
            }
        }
    }

    pub(crate) fn note_gateway(&mut self, link: LinkId, now: Time) {
        if let Some(link) = self.links.get_mut(&link) {
            link.answered = Some(now);
        }
    }

    /// What to say to `peer`: of the links it was met on first.
    pub(crate) fn words(&self, peer: NodeId, now: Time) -> Vec<LinkWord> {
        let mut words = Vec::new();
        for (id, link) in &self.links {
            let heard = || {
                let heard = link.neighbours.iter();
                heard.filter(|(_, one)| one.is_heard(now))
            };
            let word = LinkWord {
                mine: *id,
                yours: 0,
                others: heard().any(|((other, _), _)| *other != peer),
                gateway: link.is_answered(now),
                unheard: link.is_unheard(now),
            };
            let of_peer = heard().filter(|((other, _), _)| *other == peer);
            let mut mutual: Vec<LinkWord> = of_peer
                .map(|((_, yours), _)| LinkWord {
                    yours: *yours,
                    ..word
                })
                .collect();
            if mutual.is_empty() {
                mutual.push(word);
            }
            words.extend(mutual);
        }
        words.sort_by_key(|word| (!word.unheard, word.yours == 0));
        words.truncate(MAX_WORDS);
        words
    }

    /// The links that are unheard, by node: those of `me` as judged here, those of peers as told.
    pub(crate) fn unheard(&self, me: NodeId, now: Time) -> BTreeMap<NodeId, BTreeSet<LinkId>> {
        let own = self.links.iter().filter(|(_, link)| link.is_unheard(now));
        let own: BTreeSet<LinkId> = own.map(|(id, _)| *id).collect();
        let told = self.told.iter().filter(|(_, (_, at))| now < *at + LATELY);
        let told = told.map(|(peer, (links, _))| (*peer, links.clone()));
        let all = told.chain([(me, own)]);
        all.filter(|(_, links)| !links.is_empty()).collect()
    }

    /// Does what is due at `now`.
    pub(crate) fn advance(&mut self, now: Time) {
        if now < self.due || self.links.is_empty() {
            return;
        }
        self.due = now + EACH;
        self.count += 1;
        self.to_send.extend(self.links.keys());
        for (id, link) in &mut self.links {
            let alone = link.alone_since();
            // Who is told nothing by anybody cannot be judged either.
            let told = link.neighbours.values().any(|one| one.says(now).is_some());
            let doubtful = told && alone.is_some_and(|since| now >= since + LATELY);
            let asked = link.asked.is_some_and(|asked| now < asked + ASKING);
            if doubtful && link.gateways && !asked {
                link.asked = Some(now);
                self.questions.insert(*id);
            }
        }
    }

    /// When to come back.
    pub(crate) fn next(&self) -> Option<Time> {
        (!self.links.is_empty()).then_some(self.due)
    }

    /// The link the next copy leaves, and its number.
    pub(crate) fn poll_copy(&mut self) -> Option<(LinkId, u64)> {
        Some((self.to_send.pop_first()?, self.count))
    }

    /// A link whose gateways are to be asked.
    pub(crate) fn poll_question(&mut self) -> Option<LinkId> {
        self.questions.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: LinkId = 7;
    const THERE: LinkId = 9;

    fn ms(count: u64) -> Time {
        Time::from_millis(count)
    }

    /// Two links that hear each other until 1 s.
    fn lan(gateways: bool) -> Lan {
        let mut lan = Lan::default();
        lan.set_links(&BTreeMap::from([(HERE, gateways)]), ms(0));
        for count in 1..=5 {
            let now = ms(count * 200);
            let heard = lan.hear(HERE, (2, THERE), (1, count), now);
            assert_eq!(heard, Ok(()));
            lan.note(2, &[word(HERE, false)], now);
        }
        lan
    }

    /// Peer 2 speaks of its link.
    fn word(yours: LinkId, others: bool) -> LinkWord {
        LinkWord {
            mine: THERE,
            yours,
            others,
            ..LinkWord::default()
        }
    }

    fn is_unheard(lan: &Lan, now: Time) -> bool {
        lan.unheard(1, now).contains_key(&1)
    }

    #[test]
    fn a_link_is_unheard_when_others_hear_each_other_and_it_is_not_heard() {
        // What the peer says after 1 s; whether this node hears it; unheard.
        let cases = [
            (word(0, true), false, true),
            (word(0, true), true, true),
            (word(HERE, true), false, true),
            (word(HERE, true), true, false),
            (word(0, false), false, false),
        ];
        for (word, hears, expected) in cases {
            let mut lan = lan(false);
            for step in 6..=11 {
                let now = ms(step * 200);
                lan.note(2, &[word], now);
                if hears {
                    let heard = lan.hear(HERE, (2, THERE), (1, step), now);
                    assert_eq!(heard, Ok(()));
                }
                assert!(!is_unheard(&lan, now - ms(1)), "{word:?} too early");
            }
            assert_eq!(is_unheard(&lan, ms(2210)), expected, "{word:?} {hears}");
        }
    }

    #[test]
    fn a_gateway_that_answers_excuses_and_one_that_answers_the_peer_alone_does_not() {
        let says = LinkWord {
            gateway: true,
            ..word(0, false)
        };
        for (gateways, answered, expected) in [
            (true, false, true),
            (true, true, false),
            // With nobody to ask, the peer's gateway proves nothing.
            (false, false, false),
        ] {
            let mut lan = lan(gateways);
            lan.note(2, &[says], ms(2200));
            if answered {
                lan.note_gateway(HERE, ms(2100));
            }
            assert_eq!(
                is_unheard(&lan, ms(2210)),
                expected,
                "{gateways} {answered}"
            );
        }
    }

    #[test]
    fn gateways_are_asked_in_doubt_only() {
        let mut lan = lan(true);
        let mut asked = Vec::new();
        for now in (0..=2300).step_by(100).map(ms) {
            lan.note(2, &[word(0, false)], now);
            lan.advance(now);
            while let Some(link) = lan.poll_question() {
                assert_eq!(link, HERE);
                asked.push(now);
            }
        }
        assert_eq!(asked, [ms(1600), ms(2000)]);
        lan.advance(ms(3000));
        assert_eq!(lan.poll_question(), None, "no peer says anything");
        let mut strange = Lan::default();
        strange.set_links(&BTreeMap::from([(HERE, true)]), ms(0));
        strange.advance(ms(5000));
        assert_eq!(strange.poll_question(), None, "nobody was ever met");
        assert_eq!(strange.poll_copy(), Some((HERE, 1)));
        assert_eq!(strange.poll_copy(), None);
    }

    #[test]
    fn who_slept_is_not_unheard_for_that_and_old_words_are_none() {
        let mut lan = lan(false);
        lan.note(2, &[word(0, true)], ms(5000));
        assert!(is_unheard(&lan, ms(5001)));
        lan.excuse(ms(5001));
        assert!(!is_unheard(&lan, ms(5002)));
        lan.note(2, &[word(0, true)], ms(6200));
        assert!(is_unheard(&lan, ms(6201)));
        assert!(!is_unheard(&lan, ms(6701)), "the peer is silent itself");
        lan.note(2, &[word(0, true)], ms(6800));
        lan.retain(|peer| peer != 2);
        assert!(!is_unheard(&lan, ms(6801)));
    }

    #[test]
    fn a_copy_counts_once() {
        let mut lan = lan(false);
        let replayed = lan.hear(HERE, (2, THERE), (1, 5), ms(1100));
        assert_eq!(replayed, Err(Discard::Replayed));
        assert_eq!(lan.hear(HERE, (2, THERE), (2, 1), ms(1100)), Ok(()));
        let elsewhere = lan.hear(8, (2, THERE), (2, 2), ms(1100));
        assert_eq!(elsewhere, Err(Discard::OtherReceiver));
    }

    #[test]
    fn a_peer_is_told_who_is_heard() {
        let mut lan = lan(false);
        assert_eq!(lan.hear(HERE, (3, 4), (1, 1), ms(1100)), Ok(()));
        let to_two = lan.words(2, ms(1200));
        assert_eq!(to_two.len(), 1);
        assert_eq!((to_two[0].mine, to_two[0].yours), (HERE, THERE));
        assert!(to_two[0].others);
        let to_nine = lan.words(9, ms(1200));
        assert_eq!((to_nine[0].yours, to_nine[0].others), (0, true));
        let later = lan.words(2, ms(1601));
        assert_eq!((later[0].yours, later[0].others), (0, false));
    }
}
