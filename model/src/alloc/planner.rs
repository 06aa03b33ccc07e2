//! A plan that costs what changed, not what exists.
//!
//! Kept from plan to plan is who holds what among the settled, and the answer for those who just
//! keep it. The others, who want, lose or ask for something, are served anew each time on top of
//! that, and afterwards it is undone. Not here: the rules (`settle`, `moves`, `choose`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::choose::Chooser;
use super::heldback::Bond;
use super::ledger::Ledger;
use super::moves::move_those_who_ask;
use super::named::{InTurn, Named};
use super::plan::{Snapshot, counts, ports_taken};
use super::settle::{permitted, settle, unsettle};
use super::{Place, Plan, Refusal, Tally};
use crate::labels::Labels;
use crate::pool::{Pool, Reservation};
use crate::service::{Service, ServiceKey};
use crate::unusable::Unusable;

/// Decides as [`plan`](super::plan()) does, and remembers what it decided: what has not changed is
/// not judged again.
#[derive(Debug, Default)]
pub struct Planner {
    rules: Rules,
    services: BTreeSet<Named>,
    /// Who says to hold an address.
    claims: BTreeMap<IpAddr, Vec<Arc<Service>>>,
    /// What the settled hold.
    ledger: Ledger,
    /// What those Services have from somebody else.
    foreign: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
    /// Those who do not just keep what they have, with what they keep and lose.
    busy: BTreeMap<InTurn, Tally>,
    /// Those whose part of the plan does not outlive it.
    passing: Vec<Arc<Service>>,
    plan: Plan,
}

/// What every decision depends on. When it changes, everything is judged anew.
#[derive(Debug, Default)]
struct Rules {
    pools: BTreeMap<String, Pool>,
    quarantined_pools: BTreeSet<String>,
    suspended_pools: BTreeSet<String>,
    /// Empty where their labels decide nothing.
    namespaces: BTreeMap<String, Labels>,
    reservations: BTreeMap<String, Reservation>,
    /// What of the pools no Service is given.
    unusable: Arc<Unusable>,
    /// From what that was taken.
    seen: Arc<Unusable>,
}

impl Rules {
    fn of(snapshot: &Snapshot) -> Self {
        let by_label = selects_namespaces_by_label(&snapshot.pools);
        let namespaces = by_label.then(|| snapshot.namespaces.clone());
        Self {
            pools: snapshot.pools.clone(),
            quarantined_pools: snapshot.quarantined_pools.clone(),
            suspended_pools: snapshot.suspended_pools.clone(),
            namespaces: namespaces.unwrap_or_default(),
            reservations: snapshot.reservations.clone(),
            unusable: Arc::new(unusable_of_pools(snapshot)),
            seen: Arc::clone(&snapshot.unusable),
        }
    }

    /// Whether the snapshot has the same. What of all addresses no Service is given may change without
    /// those of the pools.
    fn are_those_of(&mut self, snapshot: &Snapshot) -> bool {
        self.pools == snapshot.pools
            && self.quarantined_pools == snapshot.quarantined_pools
            && self.suspended_pools == snapshot.suspended_pools
            && self.reservations == snapshot.reservations
            && (!selects_namespaces_by_label(&self.pools) || self.namespaces == snapshot.namespaces)
            && self.still_gives(snapshot)
    }

    fn still_gives(&mut self, snapshot: &Snapshot) -> bool {
        if Arc::ptr_eq(&self.seen, &snapshot.unusable) {
            return true;
        }
        self.seen = Arc::clone(&snapshot.unusable);
        *self.unusable == unusable_of_pools(snapshot)
    }
}

/// What of the pools no Service is given.
fn unusable_of_pools(snapshot: &Snapshot) -> Unusable {
    let pools = snapshot.pools.values();
    snapshot.unusable.only(pools.map(|pool| &pool.ranges))
}

/// Otherwise labels of namespaces decide nothing.
fn selects_namespaces_by_label(pools: &BTreeMap<String, Pool>) -> bool {
    pools.values().any(|pool| {
        let allocation = pool.allocation.iter().map(|a| &a.namespace_selectors);
        let quotas = pool.quotas.iter().map(|quota| &quota.namespace_selectors);
        allocation
            .chain(quotas)
            .any(|selectors| !selectors.is_empty())
    })
}

/// One Service as it was and as it is.
struct Difference {
    old: Option<Arc<Service>>,
    new: Option<Arc<Service>>,
}

impl Difference {
    fn key(&self) -> Option<&ServiceKey> {
        let service = self.new.as_ref().or(self.old.as_ref())?;
        Some(&service.key)
    }
}

impl Planner {
    /// The same as [`plan`](super::plan()) of this snapshot, whatever the snapshots before.
    pub fn plan(&mut self, snapshot: &Snapshot) -> &Plan {
        if !self.rules.are_those_of(snapshot) {
            self.forget(snapshot);
        }
        for service in std::mem::take(&mut self.passing) {
            self.plan.forget(&service.key);
        }
        let differences = self.differences(snapshot);
        self.settle(snapshot, differences);
        self.wait(snapshot);
        self.serve(snapshot);
        &self.plan
    }

    /// The last plan.
    #[must_use]
    pub fn latest(&self) -> &Plan {
        &self.plan
    }

    /// The last plan.
    pub(super) fn into_plan(self) -> Plan {
        self.plan
    }

    fn forget(&mut self, snapshot: &Snapshot) {
        let rules = Rules::of(snapshot);
        let ledger = Ledger::new(&snapshot.pools, &snapshot.reservations, &rules.unusable);
        *self = Self {
            rules,
            ledger,
            ..Self::default()
        };
    }

    /// The Services that are not what they were. Both maps are walked once, side by side.
    fn differences(&mut self, snapshot: &Snapshot) -> Vec<Difference> {
        let adopted = self.reclassified(&snapshot.foreign);
        let mut differences = Vec::new();
        let mut before = self.services.iter().map(|Named(service)| service);
        let mut after = snapshot.services.values();
        let (mut old, mut new) = (before.next(), after.next());
        loop {
            match (old, new) {
                (None, None) => return differences,
                (Some(was), Some(is)) if Arc::ptr_eq(was, is) && !adopted.contains(&is.key) => {
                    (old, new) = (before.next(), after.next());
                }
                (Some(was), Some(is)) if was.key == is.key => {
                    differences.push(Difference {
                        old: Some(Arc::clone(was)),
                        new: Some(Arc::clone(is)),
                    });
                    (old, new) = (before.next(), after.next());
                }
                (Some(was), is) if is.is_none_or(|is| was.key < is.key) => {
                    differences.push(Difference {
                        old: Some(Arc::clone(was)),
                        new: None,
                    });
                    old = before.next();
                }
                (_, is) => {
                    differences.push(Difference {
                        old: None,
                        new: is.cloned(),
                    });
                    new = after.next();
                }
            }
        }
    }

    /// The Services of which other addresses are somebody else's than before.
    fn reclassified(
        &mut self,
        foreign: &BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
    ) -> BTreeSet<ServiceKey> {
        if self.foreign == *foreign {
            return BTreeSet::new();
        }
        let before = std::mem::replace(&mut self.foreign, foreign.clone());
        let keys = before.keys().chain(foreign.keys());
        keys.filter(|key| before.get(*key) != foreign.get(*key))
            .cloned()
            .collect()
    }

    /// Those who hold the address as far as the last plan decided, each as it is now; none where at
    /// most one Service claims the address.
    #[must_use]
    pub fn agreed(&self, address: IpAddr) -> Option<Vec<Arc<Service>>> {
        let claims = self.claims.get(&address)?;
        (claims.len() > 1).then(|| self.ledger.holders(address))
    }

    /// Judges those who changed, and everybody who claims an address together with one of them.
    fn settle(&mut self, snapshot: &Snapshot, differences: Vec<Difference>) {
        let changed: Vec<Difference> = differences
            .into_iter()
            .filter(|difference| !self.keeps_on(snapshot, difference))
            .collect();
        for Difference { old, new } in &changed {
            if let Some(service) = old {
                self.withdraw_claims(service);
            }
            for address in new.iter().flat_map(|service| &service.held) {
                let claims = self.claims.entry(*address).or_default();
                claims.extend(new.clone());
            }
        }
        let affected = self.affected(changed);
        for Difference { old, .. } in &affected {
            if let Some(service) = old {
                self.unsettle(service);
            }
        }
        for Difference { old, new } in &affected {
            match (old, new) {
                (_, Some(service)) => {
                    self.services.replace(Named(Arc::clone(service)));
                }
                (Some(service), None) => {
                    self.services.take(&service.key);
                }
                (None, None) => {}
            }
        }
        let chooser = Chooser { snapshot };
        let services = affected
            .iter()
            .filter_map(|difference| difference.new.as_ref());
        for (service, tally) in settle(snapshot, services, &mut self.ledger) {
            let stays = tally.lost.is_empty() && tally.alone.is_empty();
            if stays && chooser.is_content(service, &tally.places) {
                self.plan.keep(service, tally.places);
            } else {
                self.busy.insert(InTurn(Arc::clone(service)), tally);
            }
        }
        self.ledger.seal();
    }

    /// The common case, judged without touching the ledger: a Service that alone has its addresses,
    /// and keeps exactly these before and after the change.
    fn keeps_on(&mut self, snapshot: &Snapshot, difference: &Difference) -> bool {
        let Difference {
            old: Some(old),
            new: Some(new),
        } = difference
        else {
            return false;
        };
        let holds_the_same = old.created == new.created
            && old.held == new.held
            && old.held_pools == new.held_pools
            && old.ports == new.ports
            && old.sharing_key == new.sharing_key
            && old.backend_key == new.backend_key;
        if !holds_the_same
            || new.held.is_empty()
            || self.busy.contains_key(&InTurn(Arc::clone(old)))
        {
            return false;
        }
        let mut places = Vec::new();
        for address in &new.held {
            let alone = self
                .claims
                .get(address)
                .is_some_and(|claims| claims.len() == 1);
            match permitted(new, *address, &places, snapshot, &self.ledger) {
                Ok(pool) if alone => places.push(Place {
                    address: *address,
                    pool,
                }),
                Ok(_) | Err(_) => return false,
            }
        }
        if !(Chooser { snapshot }).is_content(new, &places) {
            return false;
        }
        for address in &new.held {
            if let Some(claims) = self.claims.get_mut(address) {
                claims.fill(Arc::clone(new));
            }
        }
        self.services.replace(Named(Arc::clone(new)));
        true
    }

    /// Those who changed, and everybody who claims an address together with one of them, or with
    /// one of those.
    fn affected(&mut self, mut changed: Vec<Difference>) -> Vec<Difference> {
        let mut reached: BTreeSet<IpAddr> = BTreeSet::new();
        for Difference { old, new } in &changed {
            for address in old.iter().chain(new).flat_map(|service| &service.held) {
                match self.claims.get(address).map_or(&[][..], Vec::as_slice) {
                    [] => {
                        self.claims.remove(address);
                    }
                    [only] if new.as_ref().is_some_and(|new| Arc::ptr_eq(only, new)) => {}
                    [..] => {
                        reached.insert(*address);
                    }
                }
            }
        }
        let is_changed = |key: &ServiceKey| {
            let found = changed.binary_search_by(|difference| difference.key().cmp(&Some(key)));
            found.is_ok()
        };
        let mut others: BTreeSet<Named> = BTreeSet::new();
        let mut seen = BTreeSet::new();
        while let Some(address) = reached.pop_first() {
            seen.insert(address);
            for service in self.claims.get(&address).into_iter().flatten() {
                if !is_changed(&service.key) && others.insert(Named(Arc::clone(service))) {
                    let held = service.held.iter().copied();
                    reached.extend(held.filter(|address| !seen.contains(address)));
                }
            }
        }
        changed.extend(others.into_iter().map(|Named(service)| Difference {
            old: Some(Arc::clone(&service)),
            new: Some(service),
        }));
        changed
    }

    fn withdraw_claims(&mut self, service: &Service) {
        for address in &service.held {
            if let Some(claims) = self.claims.get_mut(address) {
                claims.retain(|other| other.key != service.key);
            }
        }
    }

    /// The Service holds nothing, as far as the ledger knows.
    fn unsettle(&mut self, service: &Arc<Service>) {
        match self.busy.remove(&InTurn(Arc::clone(service))) {
            Some(tally) => unsettle(service, &tally, &mut self.ledger),
            None => {
                let places = self.plan.keep.remove(&service.key).unwrap_or_default();
                let tally = Tally {
                    places: places.to_vec(),
                    ..Tally::default()
                };
                unsettle(service, &tally, &mut self.ledger);
            }
        }
    }

    /// Lets what was given up before wait.
    fn wait(&mut self, snapshot: &Snapshot) {
        let mut bonds = BTreeMap::new();
        self.plan.expired.clear();
        for (address, freed) in &snapshot.freed {
            let pool = self.ledger.pool_of(*address);
            let pool = pool.and_then(|name| snapshot.pools.get(name));
            let bond = pool.and_then(|pool| Bond::new(freed, pool, snapshot.now));
            // Which pool an address is from is not known while some are set aside.
            let unknown = pool.is_none() && !snapshot.quarantined_pools.is_empty();
            let held = self.ledger.is_held(*address);
            if held || (bond.is_none() && !unknown) {
                self.plan.expired.insert(*address);
            }
            if let Some(bond) = bond.filter(|_| !held) {
                bonds.insert(*address, bond);
            }
        }
        self.ledger.set_bonds(bonds, snapshot.now);
        self.plan.next = self.ledger.next_end();
    }

    /// Gives the busy what they ask for and lack, and takes it back from the ledger once it is
    /// written down.
    fn serve(&mut self, snapshot: &Snapshot) {
        let chooser = Chooser { snapshot };
        let before = self.ledger.moment();
        let each = self.busy.iter();
        let mut busy: Vec<_> = each
            .map(|(turn, tally)| (Arc::clone(&turn.0), tally.clone()))
            .collect();
        move_those_who_ask(chooser, &mut self.ledger, &mut busy);
        for (service, tally) in &mut busy {
            if tally.refusal.is_some() {
                continue;
            }
            if let Some(left) = tally.alone.first() {
                tally.refusal = Some(Refusal::NotAdopted {
                    service: service.key.clone(),
                    address: left.address,
                    why: Box::new(left.cause.clone()),
                });
                continue;
            }
            match chooser.complete(service, tally.places.clone(), &mut self.ledger) {
                Ok(places) => tally.places = places,
                Err(refusal) => tally.refusal = Some(refusal),
            }
        }
        self.plan.counts = counts(snapshot, &self.ledger);
        self.plan.ports_taken = ports_taken(&self.ledger);
        self.ledger.back_to(before);
        self.ledger.seal();
        for (service, tally) in busy {
            self.plan.record(&service, tally);
            self.passing.push(service);
        }
    }
}
