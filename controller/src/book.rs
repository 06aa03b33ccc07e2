//! What is planned on, kept from round to round: the configuration in force, and the Services as the
//! planner sees them. Pure.
//!
//! A round brings in what changed; the plan is always the one that the whole would give.
//!
//! Not here: which Services changed (`fresh`), what else is known of them (`observed`), and pools that do
//! not exist (`absent`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herald_config::holding::page;
use herald_config::{Compiled, Objects, Problem, compile};
use herald_model::address::AddressRange;
use herald_model::alloc::{Freed, Plan, Planner, Snapshot};
use herald_model::service::{Service as Meaning, ServiceKey};
use herald_model::unusable::{Owner, Unusable};
use herald_runtime::events::Happening;
use k8s_openapi::jiff::Timestamp;

use crate::absent::Absent;
use crate::agreed;
use crate::decision::Decision;
use crate::holders::Page;
use crate::kept::Service;

/// Configuration, Services, and the plan for them.
#[derive(Debug)]
pub(crate) struct Book {
    compiled: Arc<Compiled>,
    snapshot: Snapshot,
    /// What is wrong with Services; only those with something wrong.
    problems: BTreeMap<ServiceKey, Vec<Problem>>,
    /// `spec.externalIPs`; only of Services that have some.
    external: BTreeMap<ServiceKey, Vec<IpAddr>>,
    /// Whether `external` has changed since the configuration was taken in.
    external_changed: bool,
    planner: Planner,
    absent: Absent,
    /// The addresses of Services that another load balancer serves.
    others: BTreeMap<ServiceKey, BTreeSet<IpAddr>>,
    /// What absent pools keep from everybody.
    held: Vec<(AddressRange, Owner)>,
    /// Whether what nobody is given has to be worked out anew.
    recompiled: bool,
    /// Pages with lines about those who hold an address together that are not written as they stand here.
    stale: BTreeSet<u8>,
    /// Addresses that may not be held as they were when the last plan was made.
    touched: BTreeSet<IpAddr>,
}

/// What comes with a plan.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// What to say of pools that do not exist.
    pub(crate) happenings: Vec<Happening>,
    /// When to plan again though nothing changes: a pool's grace ends.
    pub(crate) next: Option<Instant>,
}

impl Book {
    /// An empty book. Holders of a pool that is deleted keep their addresses for the grace.
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            compiled: Arc::default(),
            snapshot: Snapshot::default(),
            problems: BTreeMap::new(),
            external: BTreeMap::new(),
            external_changed: false,
            planner: Planner::default(),
            absent: Absent::new(grace),
            others: BTreeMap::new(),
            held: Vec::new(),
            recompiled: false,
            stale: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Takes in the configuration as it is written now.
    pub(crate) fn configure(&mut self, mut objects: Objects) {
        objects.external_ips.clone_from(&self.external);
        self.external_changed = false;
        let compiled = compile(&objects);
        let config = &compiled.config;
        self.snapshot.pools.clone_from(&config.pools);
        self.snapshot
            .quarantined_pools
            .clone_from(&config.quarantined_pools);
        self.snapshot.reservations.clone_from(&config.reservations);
        self.snapshot.namespaces = objects.namespaces.unwrap_or_default();
        self.absent.configure(config);
        self.recompiled = true;
        self.compiled = Arc::new(compiled);
    }

    /// Whether the configuration is to be taken in again, for the sake of a Service.
    pub(crate) fn is_outdated(&self) -> bool {
        self.external_changed
    }

    /// Takes in a Service as it is now; none when it is gone. `listed` gives the addresses that its
    /// ServiceAnnouncement lists: those that Herald gave or adopted.
    pub(crate) fn enter(
        &mut self,
        key: &ServiceKey,
        object: Option<&Service>,
        listed: impl Fn() -> Vec<IpAddr>,
    ) {
        self.enter_external(key, object.map_or(&[], |object| &object.external));
        self.enter_others(key, object);
        self.problems.remove(key);
        let before = self.snapshot.services.remove(key);
        let was_foreign = self.snapshot.foreign.remove(key).unwrap_or_default();
        let ours = object.and_then(|object| Some((object, object.ours.as_ref()?)));
        let now = ours.map(|(object, service)| {
            let known = Known {
                placed: self
                    .planner
                    .latest()
                    .places(key)
                    .iter()
                    .map(|place| place.address)
                    .collect(),
                before: before.as_deref(),
                was_foreign: &was_foreign,
            };
            let service = known.restored(object, service, &listed);
            let foreign = known.foreign(object, &service, &listed);
            if !foreign.is_empty() {
                self.snapshot.foreign.insert(key.clone(), foreign);
            }
            if !object.problems.is_empty() {
                self.problems.insert(key.clone(), object.problems.clone());
            }
            service
        });
        self.absent.enter(before.as_deref(), now.as_deref());
        let held = before.iter().chain(&now).flat_map(|service| &service.held);
        self.touched.extend(held);
        if let Some(service) = now {
            self.snapshot.services.insert(key.clone(), service);
        }
    }

    fn enter_external(&mut self, key: &ServiceKey, addresses: &[IpAddr]) {
        if self.external.get(key).map_or(&[][..], Vec::as_slice) == addresses {
            return;
        }
        self.external_changed = true;
        match addresses {
            [] => self.external.remove(key),
            some => self.external.insert(key.clone(), some.to_vec()),
        };
    }

    fn enter_others(&mut self, key: &ServiceKey, object: Option<&Service>) {
        let theirs = object.filter(|object| object.balanced && object.ours.is_none());
        let addresses = theirs.map(|object| object.ingress.addresses());
        let addresses = addresses.filter(|addresses| !addresses.is_empty());
        if self.others.get(key) == addresses.as_ref() {
            return;
        }
        self.recompiled = true;
        match addresses {
            None => self.others.remove(key),
            Some(addresses) => self.others.insert(key.clone(), addresses),
        };
    }

    /// The Services in it.
    #[cfg(test)]
    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.snapshot.services.keys()
    }

    /// Takes in which addresses were given up lately.
    pub(crate) fn free(&mut self, freed: BTreeMap<IpAddr, Freed>) {
        self.snapshot.freed = freed;
    }

    /// Takes in what an earlier life wrote down of those who hold an address together.
    pub(crate) fn recall(&mut self, agreed: BTreeMap<IpAddr, Vec<Arc<Meaning>>>) {
        self.snapshot.agreed = agreed;
    }

    /// The addresses a Service holds from pools that remember their holders, and whether it is a
    /// Service that may hold any.
    pub(crate) fn remembered(&self, key: &ServiceKey) -> (BTreeSet<IpAddr>, bool) {
        let Some(service) = self.snapshot.services.get(key) else {
            return (BTreeSet::new(), false);
        };
        let remembers = |address: &&IpAddr| {
            self.snapshot.pools.values().any(|pool| {
                let remembers = pool.retain.max(pool.reuse_delay) > Duration::ZERO;
                remembers && pool.ranges.contains(**address)
            })
        };
        let held = service.held.iter().filter(remembers).copied().collect();
        (held, true)
    }

    /// The plan at a time, which `wall` says for people.
    pub(crate) fn plan(&mut self, now: Instant, wall: Timestamp) -> (&Plan, Aside) {
        let outlook = self.absent.outlook(now, wall);
        self.suspend(outlook.suspended, outlook.held);
        self.snapshot.now = wall.as_second();
        self.planner.plan(&self.snapshot);
        self.settle();
        let aside = Aside {
            happenings: outlook.happenings,
            next: outlook.next,
        };
        (self.planner.latest(), aside)
    }

    fn suspend(&mut self, pools: BTreeSet<String>, held: Vec<(AddressRange, Owner)>) {
        self.snapshot.suspended_pools = pools;
        if held != self.held || self.recompiled {
            self.held = held;
            self.recompiled = false;
            self.snapshot.unusable = self.unusable();
        }
    }

    /// What nobody is given: by the configuration, of absent pools, and what others have.
    fn unusable(&self) -> Arc<Unusable> {
        let of_configuration = &self.compiled.config.unusable;
        if self.held.is_empty() && self.others.is_empty() {
            return Arc::clone(of_configuration);
        }
        let owned = of_configuration.iter();
        let owned = owned.map(|(range, owner)| (range, owner.clone()));
        let others = self.others.iter().flat_map(|(service, addresses)| {
            let owner = move || Owner::Service {
                service: service.clone(),
            };
            let addresses = addresses.iter();
            addresses.map(move |address| (AddressRange::single(*address), owner()))
        });
        Arc::new(Unusable::new(owned.chain(self.held.clone()).chain(others)))
    }

    /// Remembers of the plan what the next one is made from: which addresses are adopted now, and who
    /// holds an address together.
    fn settle(&mut self) {
        let plan = self.planner.latest();
        self.snapshot.foreign.retain(|key, foreign| {
            let places = plan.places(key);
            foreign.retain(|address| !places.iter().any(|place| place.address == *address));
            !foreign.is_empty()
        });
        for address in std::mem::take(&mut self.touched) {
            let holders = self.planner.agreed(address);
            if agreed::note(&mut self.snapshot.agreed, address, holders) {
                self.stale.insert(page(address));
            }
        }
    }

    /// The pages whose lines about those who hold an address together changed since this was last asked.
    pub(crate) fn take_stale(&mut self) -> BTreeSet<u8> {
        std::mem::take(&mut self.stale)
    }

    /// Adds those lines to pages.
    pub(crate) fn write_on(&self, pages: &mut BTreeMap<u8, Page>) {
        agreed::write_on(&self.snapshot.agreed, pages);
    }

    /// The configuration, the plan that was made last, and what is wrong.
    pub(crate) fn decision(&self) -> Decision {
        Decision {
            compiled: Arc::clone(&self.compiled),
            service_problems: self.problems.values().flatten().cloned().collect(),
            plan: self.planner.latest().clone(),
        }
    }
}

/// What is known of the addresses of a Service that is entered anew.
struct Known<'a> {
    /// What the last plan gives it.
    placed: Vec<IpAddr>,
    before: Option<&'a Meaning>,
    was_foreign: &'a BTreeSet<IpAddr>,
}

impl Known<'_> {
    /// The Service with the addresses that somebody took out of its status, if that is what happened:
    /// the annotation that names their pool is still there.
    fn restored(
        &self,
        object: &Service,
        service: &Arc<Meaning>,
        listed: &impl Fn() -> Vec<IpAddr>,
    ) -> Arc<Meaning> {
        let mut service = Arc::clone(service);
        if object.pools.is_some() && object.ingress.is_empty() {
            let had = match self.placed.is_empty() {
                true => listed(),
                false => self.placed.clone(),
            };
            if !had.is_empty() {
                Arc::make_mut(&mut service).held = had;
            }
        }
        service
    }

    /// The addresses that Herald neither gave nor adopted: neither is it remembered, nor does the
    /// condition name them, which is written with an address, nor the ServiceAnnouncement, which follows.
    fn foreign(
        &self,
        object: &Service,
        service: &Meaning,
        listed: &impl Fn() -> Vec<IpAddr>,
    ) -> BTreeSet<IpAddr> {
        let is_known = |address: &IpAddr| {
            let was_known = self
                .before
                .is_some_and(|before| before.held.contains(address))
                && !self.was_foreign.contains(address);
            was_known || self.placed.contains(address)
        };
        let mut foreign: BTreeSet<IpAddr> = service.held.iter().copied().collect();
        foreign.retain(|address| !is_known(address));
        if !foreign.is_empty() {
            let (named, listed) = (object.named(), listed());
            foreign.retain(|address| !named.contains(address) && !listed.contains(address));
        }
        foreign
    }
}

#[cfg(test)]
mod tests;
