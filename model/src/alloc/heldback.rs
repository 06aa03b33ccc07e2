//! Addresses that were given up lately and wait: for the Service that had them, or for time.
//!
//! Not here: what is free otherwise (`shelf`). An address that is left while a plan is being made
//! waits as one does that was given up before, so that nobody gets it in the same breath.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::pool::Pool;
use crate::service::ServiceKey;

/// Who gave an address up, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Freed {
    /// Who had it last. It may have it back at any time while it is held back from the others.
    pub holder: ServiceKey,
    /// When, in seconds since 1970. A time that has not come yet counts as the present.
    pub at: i64,
    /// The Service is gone, or is no LoadBalancer of ours any more: `retain` binds the address to
    /// its name. Otherwise it was moved or cleared, and only `reuseDelay` holds the address back.
    pub deleted: bool,
}

/// One address that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bond {
    /// Who had it last, and may have it back.
    pub(super) holder: ServiceKey,
    /// Since when, at most now.
    at: i64,
    /// Until when everybody else is kept off it.
    until: i64,
    /// Until when also the Service is kept off it that it is reserved for.
    until_for_reserved: i64,
    /// Whether `retain` is what keeps it.
    pub(super) retained: bool,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct HeldBack {
    bonds: BTreeMap<IpAddr, Bond>,
    /// The same, by who had them: the latest first.
    by_holder: BTreeMap<ServiceKey, BTreeSet<(Reverse<i64>, IpAddr)>>,
    /// Left in this plan, by whom, where the pool has a `reuseDelay`.
    left: BTreeMap<IpAddr, ServiceKey>,
    now: i64,
}

/// A duration in whole seconds, rounded up.
pub(super) fn seconds(duration: Duration) -> i64 {
    let up = i64::from(duration.subsec_nanos() > 0);
    i64::try_from(duration.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(up)
}

impl Bond {
    /// The bond that an entry means at this time; none when it binds nobody any more.
    pub(super) fn new(freed: &Freed, pool: &Pool, now: i64) -> Option<Self> {
        let at = freed.at.min(now);
        let reuse = seconds(pool.reuse_delay);
        let retain = match freed.deleted {
            true => seconds(pool.retain),
            false => 0,
        };
        let until = at.saturating_add(reuse.max(retain));
        (until > now).then(|| Self {
            holder: freed.holder.clone(),
            at,
            until,
            until_for_reserved: at.saturating_add(reuse),
            retained: retain > reuse,
        })
    }
}

impl HeldBack {
    /// Replaces the bonds; the addresses for which something is different.
    pub(super) fn set(&mut self, bonds: BTreeMap<IpAddr, Bond>, now: i64) -> Vec<IpAddr> {
        self.now = now;
        let gone = self.bonds.keys().filter(|a| !bonds.contains_key(*a));
        let new = bonds.keys().filter(|a| !self.bonds.contains_key(*a));
        let different = gone.chain(new).copied().collect();
        if self.bonds != bonds {
            self.by_holder.clear();
            for (address, bond) in &bonds {
                let addresses = self.by_holder.entry(bond.holder.clone()).or_default();
                addresses.insert((Reverse(bond.at), *address));
            }
            self.bonds = bonds;
        }
        different
    }

    /// Somebody left the address; true when it waits from now on and did not before.
    pub(super) fn leave(&mut self, address: IpAddr, service: &ServiceKey) -> bool {
        if self.left.contains_key(&address) {
            return false;
        }
        self.left.insert(address, service.clone());
        true
    }

    /// As before [`HeldBack::leave`].
    pub(super) fn unleave(&mut self, address: IpAddr) -> bool {
        self.left.remove(&address).is_some()
    }

    /// Who left the address in this plan.
    pub(super) fn left_by(&self, address: IpAddr) -> Option<&ServiceKey> {
        self.left.get(&address)
    }

    /// Whether the address waits, for whomever.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.bonds.contains_key(&address) || self.left.contains_key(&address)
    }

    /// Who keeps this Service off the address, and whether for the sake of `retain`.
    pub(super) fn keeps_off(
        &self,
        address: IpAddr,
        service: &ServiceKey,
        reserved: bool,
    ) -> Option<(&ServiceKey, bool)> {
        if let Some(holder) = self.left.get(&address).filter(|holder| *holder != service) {
            return Some((holder, false));
        }
        let bond = self.bonds.get(&address)?;
        let bound = !reserved || bond.until_for_reserved > self.now;
        (bound && bond.holder != *service).then_some((&bond.holder, bond.retained))
    }

    /// The addresses the Service had, the last one first.
    pub(super) fn of(&self, service: &ServiceKey) -> impl Iterator<Item = IpAddr> {
        let addresses = self.by_holder.get(service).into_iter().flatten();
        addresses.map(|(_, address)| *address)
    }

    /// Every address that waits, once.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let only_left = |address: &&IpAddr| !self.bonds.contains_key(*address);
        let left = self.left.keys().filter(only_left);
        self.bonds.keys().chain(left).copied()
    }

    /// When the next of them ends for somebody.
    pub(super) fn next(&self) -> Option<i64> {
        let ends = self
            .bonds
            .values()
            .flat_map(|bond| [bond.until, bond.until_for_reserved]);
        ends.filter(|end| *end > self.now).min()
    }
}
