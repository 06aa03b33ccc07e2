//! Forgetting votes of addresses that nobody wants any more, so that memory does not grow with every
//! address there ever was. Safe as a restart is (ADR 7): who forgot a vote votes for nobody until
//! whatever it held up has ended, and never makes a claim that it may have made before.

use std::net::IpAddr;
use std::time::Duration;

use super::Node;
use crate::Time;

/// Between two looks at all votes. What did not change in between, is released and not wished for, is
/// forgotten.
const SWEEP: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Sweep {
    last: Option<Time>,
    /// The version of the table then.
    version: u64,
}

impl Node {
    /// Looks at all votes, if it is time to.
    pub(super) fn sweep(&mut self, now: Time) {
        let last = *self.sweep.last.get_or_insert(now);
        if now < last + SWEEP {
            return;
        }
        let unchanged = self.table.released_by(self.sweep.version);
        let needless = unchanged.filter(|address| {
            !self.hopes.contains_key(address) && !self.standing.contains_key(address)
        });
        let needless: Vec<IpAddr> = needless.collect();
        let until = now + self.config.timers.quiet();
        for address in needless {
            self.table.forget(address);
            self.forgotten.insert(address, until);
        }
        let sounding = self.sounding.iter().filter_map(|id| self.peers.get(id));
        let known = sounding.map(|peer| peer.knows).min().unwrap_or(u64::MAX);
        self.table.drop_forgotten(known.min(self.sweep.version));
        self.forgotten.retain(|_, until| now < *until);
        self.sweep.last = Some(now);
        self.sweep.version = self.table.version();
    }

    /// Until when it must not vote about this address, because it forgot its vote.
    pub(super) fn quiet_about(&self, address: IpAddr, now: Time) -> Option<Time> {
        let until = self.forgotten.get(&address).copied();
        until.filter(|until| now < *until)
    }
}
