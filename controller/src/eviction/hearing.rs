//! Who is silent, by the word of a majority of the speakers. Pure.
//!
//! Counted is the word of the members of the view in force: the newest one that a majority of its
//! own members reports. Nobody's word counts about itself. The word of one who does not hear a majority,
//! or whom a majority calls silent, counts neither for nor against: it may be cut off itself, whatever it
//! says of the others. The majority is of all members all the same.
//!
//! Not here: what follows from it (`ledger`).

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_crds::{Membership, Speaker, SpeakerStatus};

/// As speakers write them to `status.peers[].state`. Any other state is a host that gives a sign of
/// life without a speaker: not dead, and not back either.
const SILENT: &str = "Silent";
const ALIVE: &str = "Alive";

/// What the speakers say together about one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A majority of the members hears nothing.
    Silent,
    /// So it is, but its speaker had said that it was about to end.
    Ended,
    /// It is heard, by no fewer than do not hear it.
    Speaks,
    /// Neither.
    Unclear,
}

/// One node as the others hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) standing: Standing,
    /// How many of the words that count say that it is silent.
    pub(crate) silent: usize,
}

/// Every member as the others hear it; empty while no view is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hearing {
    /// Whether the words that count are those of a majority.
    pub(crate) majority: bool,
    pub(crate) nodes: BTreeMap<String, Heard>,
}

/// Listens to all speakers, given by node.
pub(crate) fn hear(speakers: &BTreeMap<String, Arc<Speaker>>) -> Hearing {
    let Some(members) = in_force(speakers) else {
        return Hearing::default();
    };
    let majority = members.members.len() / 2 + 1;
    let mut voices: Vec<Voice<'_>> = members
        .members
        .iter()
        .filter_map(|node| {
            let status = speakers.get(node)?.status.as_ref()?;
            let same = status.membership.as_ref().map(key) == Some(key(members));
            (same && hears(node, status) >= majority).then_some((node, status))
        })
        .collect();
    let all = tally(&voices, SILENT);
    let of = |tally: &BTreeMap<&str, usize>, node: &String| {
        tally.get(node.as_str()).copied().unwrap_or(0)
    };
    voices.retain(|(voice, _)| of(&all, voice) < majority);
    let (silent, alive) = (tally(&voices, SILENT), tally(&voices, ALIVE));
    let heard = |node: &String| {
        let (silent, alive) = (of(&silent, node), of(&alive, node));
        let standing = if silent >= majority {
            match speakers.get(node) {
                Some(speaker) if said_goodbye(speaker) => Standing::Ended,
                Some(_) | None => Standing::Silent,
            }
        } else if alive > 0 && alive >= silent {
            Standing::Speaks
        } else {
            Standing::Unclear
        };
        (node.clone(), Heard { standing, silent })
    };
    Hearing {
        majority: voices.len() >= majority,
        nodes: members.members.iter().map(heard).collect(),
    }
}

/// A member and what it says.
type Voice<'a> = (&'a String, &'a SpeakerStatus);

/// How many members a voice hears, itself included.
fn hears(voice: &str, status: &SpeakerStatus) -> usize {
    let others = status.peers.iter().filter(|peer| peer.node != voice);
    others.filter(|peer| peer.state == ALIVE).count() + 1
}

/// How many voices say this of each node, not counting what they say of themselves.
fn tally<'a>(voices: &[Voice<'a>], state: &str) -> BTreeMap<&'a str, usize> {
    let mut tally = BTreeMap::new();
    for (voice, status) in voices {
        let others = status.peers.iter().filter(|peer| peer.node != **voice);
        for peer in others.filter(|peer| peer.state == state) {
            *tally.entry(peer.node.as_str()).or_insert(0) += 1;
        }
    }
    tally
}

/// The newest membership that a majority of its own members reports.
fn in_force(speakers: &BTreeMap<String, Arc<Speaker>>) -> Option<&Membership> {
    let mut reported: BTreeMap<Key<'_>, (&Membership, usize)> = BTreeMap::new();
    for (node, speaker) in speakers {
        let status = speaker.status.as_ref();
        let membership = status.and_then(|status| status.membership.as_ref());
        if let Some(membership) = membership.filter(|m| m.members.contains(node)) {
            reported.entry(key(membership)).or_insert((membership, 0)).1 += 1;
        }
    }
    let mut newest_first = reported.into_values().rev();
    newest_first
        .find(|(membership, voices)| *voices > membership.members.len() / 2)
        .map(|(membership, _)| membership)
}

/// What makes two memberships the same.
type Key<'a> = (i64, &'a [String]);

fn key(membership: &Membership) -> Key<'_> {
    (membership.view, &membership.members)
}

/// Whether the last word of the speaker was that it was about to end, as in an update.
fn said_goodbye(speaker: &Speaker) -> bool {
    let conditions = speaker.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.any(|condition| condition.status == "False" && condition.reason == "Stopping")
}

#[cfg(test)]
mod tests;
