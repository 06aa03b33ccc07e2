//! Who is a member, and who of them votes: one numbered set of nodes. Views are a chain of facts, each
//! differing from the one before by one node, so that majorities of neighbours have a node in common.
//! Who may write the next one is the caller's, by [`crate::Node::may_step`].

use std::collections::BTreeSet;

use crate::NodeId;

/// The most members that vote.
pub const MAX_VOTERS: usize = 32;

/// One view of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Its place in the chain; later views have greater numbers.
    pub number: u64,
    /// The nodes that may own.
    pub members: BTreeSet<NodeId>,
    /// Those of them a majority is counted over. Who has no vote speaks only with those who have
    /// (ADR 10).
    pub voters: BTreeSet<NodeId>,
}

impl View {
    /// A view in which every member votes.
    #[must_use]
    pub fn of_equals(number: u64, members: BTreeSet<NodeId>) -> Self {
        Self {
            number,
            voters: members.clone(),
            members,
        }
    }

    /// So many voters are more than half.
    pub(crate) fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// So many other voters are a majority together with `me`, as far as that one votes.
    pub(crate) fn others_needed(&self, me: NodeId) -> usize {
        self.majority() - usize::from(self.voters.contains(&me))
    }

    /// Some members do not vote.
    pub(crate) fn has_clients(&self) -> bool {
        self.voters.len() < self.members.len()
    }

    /// Every voter is a member, and there are not too many.
    pub(crate) fn is_sound(&self) -> bool {
        self.members.len() <= crate::MAX_MEMBERS
            && self.voters.len() <= MAX_VOTERS
            && self.voters.is_subset(&self.members)
    }
}
