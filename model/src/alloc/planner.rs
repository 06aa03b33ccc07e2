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
use super::plan::{Snapshot, counts};
use super::settle::{settle, unsettle};
use super::{Plan, Tally};
use crate::labels::Labels;
use crate::pool::{Pool, Reservation};
use crate::service::{Service, ServiceKey};

/// Oldest first; among equals by name.
type Turn = (i64, ServiceKey);

/// Decides as [`plan`](super::plan()) does, and remembers what it decided: what has not changed is
/// not judged again.
#[derive(Debug, Default)]
pub struct Planner {
    rules: Rules,
    services: BTreeMap<ServiceKey, Arc<Service>>,
    /// Who says to hold an address.
    claims: BTreeMap<IpAddr, BTreeSet<ServiceKey>>,
    /// What the settled hold.
    ledger: Ledger,
    /// Those who do not just keep what they have, with what they keep and lose.
    busy: BTreeMap<Turn, (Arc<Service>, Tally)>,
    /// Those whose part of the plan does not outlive it.
    passing: Vec<ServiceKey>,
    plan: Plan,
}

/// What every decision depends on. When it changes, everything is judged anew.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rules {
    pools: BTreeMap<String, Pool>,
    quarantined_pools: BTreeSet<String>,
    namespaces: BTreeMap<String, Labels>,
    reservations: BTreeMap<String, Reservation>,
}

impl Rules {
    fn equal(&self, snapshot: &Snapshot) -> bool {
        self.pools == snapshot.pools
            && self.quarantined_pools == snapshot.quarantined_pools
            && self.namespaces == snapshot.namespaces
            && self.reservations == snapshot.reservations
    }
}

/// One Service as it was and as it is.
struct Difference {
    old: Option<Arc<Service>>,
    new: Option<Arc<Service>>,
}

impl Planner {
    /// The same as [`plan`](super::plan()) of this snapshot, whatever the snapshots before.
    pub fn plan(&mut self, snapshot: &Snapshot) -> &Plan {
        if !self.rules.equal(snapshot) {
            self.forget(snapshot);
        }
        for key in std::mem::take(&mut self.passing) {
            self.plan.forget(&key);
        }
        let differences = self.differences(&snapshot.services);
        self.settle(snapshot, differences);
        self.wait(snapshot);
        self.serve(snapshot);
        &self.plan
    }

    /// The last plan.
    pub(super) fn into_plan(self) -> Plan {
        self.plan
    }

    fn forget(&mut self, snapshot: &Snapshot) {
        *self = Self {
            rules: Rules {
                pools: snapshot.pools.clone(),
                quarantined_pools: snapshot.quarantined_pools.clone(),
                namespaces: snapshot.namespaces.clone(),
                reservations: snapshot.reservations.clone(),
            },
            ledger: Ledger::new(&snapshot.pools, &snapshot.reservations),
            ..Self::default()
        };
    }

    /// The Services that are not what they were. Both maps are walked once, side by side.
    fn differences(&self, services: &BTreeMap<ServiceKey, Arc<Service>>) -> Vec<Difference> {
        let mut differences = Vec::new();
        let (mut before, mut after) = (self.services.values(), services.values());
        let (mut old, mut new) = (before.next(), after.next());
        loop {
            match (old, new) {
                (None, None) => return differences,
                (Some(was), Some(is)) if Arc::ptr_eq(was, is) => {
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

    /// Judges those who changed, and everybody who claims an address together with one of them.
    fn settle(&mut self, snapshot: &Snapshot, differences: Vec<Difference>) {
        let mut affected: BTreeMap<ServiceKey, Option<Arc<Service>>> = BTreeMap::new();
        let mut reached: Vec<IpAddr> = Vec::new();
        for Difference { old, new } in differences {
            for service in old.iter() {
                for address in &service.held {
                    if let Some(claims) = self.claims.get_mut(address) {
                        claims.remove(&service.key);
                    }
                }
            }
            for service in new.iter() {
                for address in &service.held {
                    let claims = self.claims.entry(*address).or_default();
                    claims.insert(service.key.clone());
                }
            }
            for service in old.iter().chain(&new) {
                reached.extend(&service.held);
            }
            if let Some(service) = new.as_ref().or(old.as_ref()) {
                affected.insert(service.key.clone(), new.clone());
            }
        }
        while let Some(address) = reached.pop() {
            let Some(claims) = self.claims.get(&address) else {
                continue;
            };
            if claims.is_empty() {
                self.claims.remove(&address);
                continue;
            }
            for key in claims {
                if !affected.contains_key(key)
                    && let Some(service) = self.services.get(key)
                {
                    reached.extend(&service.held);
                    affected.insert(key.clone(), Some(Arc::clone(service)));
                }
            }
        }
        for key in affected.keys() {
            self.unsettle(key);
        }
        for (key, service) in &affected {
            match service {
                Some(service) => self.services.insert(key.clone(), Arc::clone(service)),
                None => self.services.remove(key),
            };
        }
        let chooser = Chooser { snapshot };
        let services = affected.values().flatten();
        for (service, tally) in settle(snapshot, services, &mut self.ledger) {
            if tally.lost.is_empty() && chooser.is_content(service, &tally.places) {
                self.plan.record(service, tally);
            } else {
                let turn = (service.created, service.key.clone());
                self.busy.insert(turn, (Arc::clone(service), tally));
            }
        }
        self.ledger.seal();
    }

    /// The Service holds nothing, as far as is known here.
    fn unsettle(&mut self, key: &ServiceKey) {
        let Some(service) = self.services.get(key) else {
            return;
        };
        let tally = match self.busy.remove(&(service.created, key.clone())) {
            Some((_, tally)) => tally,
            None => Tally {
                places: self.plan.keep.remove(key).unwrap_or_default(),
                ..Tally::default()
            },
        };
        unsettle(service, &tally, &mut self.ledger);
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
        let mut busy: Vec<_> = self.busy.values().cloned().collect();
        move_those_who_ask(chooser, &mut self.ledger, &mut busy);
        for (service, tally) in &mut busy {
            if tally.refusal.is_some() {
                continue;
            }
            match chooser.complete(service, tally.places.clone(), &mut self.ledger) {
                Ok(places) => tally.places = places,
                Err(refusal) => tally.refusal = Some(refusal),
            }
        }
        self.plan.counts = counts(snapshot, &self.ledger);
        self.ledger.back_to(before);
        self.ledger.seal();
        for (service, tally) in busy {
            self.passing.push(service.key.clone());
            self.plan.record(&service, tally);
        }
    }
}
