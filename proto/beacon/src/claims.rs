//! What a node keeps about its own part in an address: the claim it stands by, and the hope to
//! make one. Values only; `node` decides.

use std::collections::BTreeSet;

use crate::{Claim, NodeId, Time, Wish};

/// The right to answer for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Not from then on.
    pub until: Time,
    /// Held without a majority, because nobody else answered and the gateway did.
    pub degraded: bool,
}

/// How a claim replaced that of a silent owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// When the last beacon of the owner before was heard.
    pub silent_since: Time,
    /// When this node claimed.
    pub claimed: Time,
    /// When it became the owner.
    pub won: Time,
}

/// A claim of this node that stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) claim: Claim,
    pub(crate) since: Time,
    /// When it became valid for the first time.
    pub(crate) won: Option<Time>,
    /// Since when it is not held up and another claim is in the way of that.
    pub(crate) stuck: Option<Time>,
    /// The peers whose vote is this claim, as far as they told.
    pub(crate) agreeing: BTreeSet<NodeId>,
    /// When the owner it replaced was last heard, if that was silent.
    pub(crate) replaced: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct Hope {
    pub(crate) wish: Wish,
    /// Since when nobody else's vote is in the way.
    pub(crate) open: Option<Time>,
    /// Not before, after a claim that found no majority or was handed over.
    pub(crate) retry: Time,
}
