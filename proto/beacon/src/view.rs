//! Who is a member: one numbered set of nodes. Views are a chain of facts, each differing from the
//! one before by one node, so that majorities of neighbours have a node in common. Who may write
//! the next one is the caller's, by [`crate::Node::may_step`].

use std::collections::BTreeSet;

use crate::NodeId;

/// One view of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Its place in the chain; later views have greater numbers.
    pub number: u64,
    /// The nodes a majority is counted over.
    pub members: BTreeSet<NodeId>,
}

impl View {
    /// So many members, the counting node included, are more than half.
    pub(crate) fn majority(&self) -> usize {
        self.members.len() / 2 + 1
    }
}
