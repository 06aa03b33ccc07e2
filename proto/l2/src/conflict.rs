//! Somebody else claims an address this node owns (RFC 5227 §2.4, RFC 4862 §5.4).
//!
//! Every claim is an [`Event`](crate::Event). A foreign claim is answered with at most one
//! announcement per address in [`DEFEND_INTERVAL`]: two defenders must not shout at each other for
//! ever. A claim by another node of the cluster is not defended against; who of the two owns the
//! address is decided elsewhere.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Mac;

/// RFC 5227 §1.1.
pub(crate) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Claims are reported once per address and claimant in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Claimants remembered for [`REPORT_INTERVAL`], in all.
const CLAIMANTS: usize = 4096;

/// How the claim was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimKind {
    /// It says that it has the address.
    Announced,
    /// It asks whether it may take the address (duplicate address detection). It was refused.
    Probed,
    /// It has the address, or is about to take it: heard while this node asked before announcing it
    /// for the first time (A11). This node stays silent, and asks again every 60 s.
    InUse,
}

/// Somebody else claims an address this node owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Interface index it was heard on.
    pub interface: u32,
    /// Who claims it.
    pub mac: Mac,
    /// How.
    pub kind: ClaimKind,
    /// The claimant is another node of this cluster.
    pub peer: bool,
}

/// Remembers what was reported and defended.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    defended: BTreeMap<IpAddr, Instant>,
    reported: BTreeMap<(IpAddr, Mac, ClaimKind), Instant>,
}

/// What to do about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub report: bool,
    pub defend: bool,
}

impl Guard {
    pub(crate) fn judge(&mut self, claim: &Claim, now: Instant) -> Verdict {
        let due = |last: Option<&Instant>, interval| {
            last.is_none_or(|last| now.saturating_duration_since(*last) >= interval)
        };
        let key = (claim.address, claim.mac, claim.kind);
        let report = due(self.reported.get(&key), REPORT_INTERVAL);
        if report {
            if self.reported.len() >= CLAIMANTS {
                self.reported.clear();
            }
            self.reported.insert(key, now);
        }
        let defend = claim.kind == ClaimKind::Announced
            && !claim.peer
            && due(self.defended.get(&claim.address), DEFEND_INTERVAL);
        if defend {
            self.defended.insert(claim.address, now);
        }
        Verdict { report, defend }
    }

    pub(crate) fn retain(&mut self, owned: impl Fn(&IpAddr) -> bool) {
        self.defended.retain(|address, _| owned(address));
        self.reported.retain(|(address, ..), _| owned(address));
    }
}
