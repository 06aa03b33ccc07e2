//! Holders whose user asks for something else than what they hold.
//!
//! Not here: what they get (`choose`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::choose::Chooser;
use super::ledger::Ledger;
use super::{Cause, Lost, Place, Refusal, Tally};
use crate::service::Service;

/// A holder whose request contradicts what it holds, and the addresses it would leave.
struct Mover {
    index: usize,
    leaving: BTreeSet<IpAddr>,
}

/// One that is busy, by its place among them.
type Busy = (Arc<Service>, Tally);

/// Movers let go together and try together, so that two may swap. Those who do not get what they
/// ask for are put back and the rest tries again without them; at last each of those tries alone.
/// Nobody loses an address to a wish that cannot be met.
///
/// `busy` are those who do not just keep what they have, oldest first.
pub(super) fn move_those_who_ask(chooser: Chooser<'_>, ledger: &mut Ledger, busy: &mut [Busy]) {
    let movers = busy
        .iter()
        .enumerate()
        .filter_map(|(index, (service, tally))| {
            let mut leaving = chooser.leaving(service, &tally.places);
            leaving.extend(chooser.leaving_alone(service, &tally.alone));
            (!leaving.is_empty()).then_some(Mover { index, leaving })
        });
    let mut movers: Vec<Mover> = movers.collect();
    let mut refused = Vec::new();
    while !movers.is_empty() {
        let before = ledger.moment();
        let exchanged = exchanged(&movers, busy);
        for mover in &movers {
            mover.leave(chooser, &exchanged, ledger, busy);
        }
        let arrivals = movers
            .iter()
            .map(|mover| mover.arrive(chooser, ledger, busy));
        let outcomes: Vec<_> = arrivals.collect();
        if outcomes.iter().all(Result::is_ok) {
            for (mover, places) in movers.iter().zip(outcomes.into_iter().flatten()) {
                mover.record(places, busy);
            }
            break;
        }
        ledger.back_to(before);
        let (going, staying): (Vec<_>, Vec<_>) = movers
            .into_iter()
            .zip(outcomes)
            .partition(|(_, outcome)| outcome.is_ok());
        movers = going.into_iter().map(|(mover, _)| mover).collect();
        refused.extend(staying.into_iter().map(|(mover, _)| mover));
    }
    for mover in refused {
        let before = ledger.moment();
        mover.leave(chooser, &BTreeSet::new(), ledger, busy);
        match mover.arrive(chooser, ledger, busy) {
            Ok(places) => mover.record(places, busy),
            Err(refusal) => {
                ledger.back_to(before);
                if let Some((_, tally)) = busy.get_mut(mover.index) {
                    tally.refusal = Some(refusal);
                }
            }
        }
    }
}

/// The addresses that movers pass on in a circle: each of these movers requests an address that another
/// one of them leaves.
fn exchanged(movers: &[Mover], busy: &[Busy]) -> BTreeSet<IpAddr> {
    let requests = |mover: &Mover| -> BTreeSet<IpAddr> {
        let service = busy.get(mover.index).map(|(service, _)| service);
        let requested = service
            .into_iter()
            .flat_map(|service| &service.requested_addresses);
        requested.copied().collect()
    };
    let mut circle: Vec<(&Mover, BTreeSet<IpAddr>)> = movers
        .iter()
        .map(|mover| (mover, requests(mover)))
        .collect();
    loop {
        let left: BTreeSet<IpAddr> = circle
            .iter()
            .flat_map(|(m, _)| &m.leaving)
            .copied()
            .collect();
        let requested: BTreeSet<IpAddr> = circle.iter().flat_map(|(_, r)| r).copied().collect();
        let before = circle.len();
        circle.retain(|(mover, requests)| {
            !mover.leaving.is_disjoint(&requested) && !requests.is_disjoint(&left)
        });
        if circle.len() == before {
            return &left & &requested;
        }
    }
}

impl Mover {
    /// Gives up what it leaves. Whatever is `exchanged` does not wait for its `reuseDelay`.
    fn leave(
        &self,
        chooser: Chooser<'_>,
        exchanged: &BTreeSet<IpAddr>,
        ledger: &mut Ledger,
        busy: &[Busy],
    ) {
        let Some((service, tally)) = busy.get(self.index) else {
            return;
        };
        for place in &tally.places {
            if self.leaving.contains(&place.address) {
                let waits = !exchanged.contains(&place.address);
                let pool = chooser.snapshot.pools.get(&place.pool);
                let pool = pool.filter(|_| waits);
                ledger.leave(&service.key, place.address, pool);
            }
        }
        for left in &tally.alone {
            if self.leaving.contains(&left.address) {
                ledger.release(&service.key, left.address);
            }
        }
    }

    /// What it has beside what it leaves, completed by what it asks for.
    fn arrive(
        &self,
        chooser: Chooser<'_>,
        ledger: &mut Ledger,
        busy: &[Busy],
    ) -> Result<Vec<Place>, Refusal> {
        let Some((service, tally)) = busy.get(self.index) else {
            return Ok(Vec::new());
        };
        let mut staying = tally.places.clone();
        staying.retain(|place| !self.leaving.contains(&place.address));
        chooser.complete(service, staying, ledger)
    }

    fn record(&self, places: Vec<Place>, busy: &mut [Busy]) {
        if let Some((_, tally)) = busy.get_mut(self.index) {
            let left = self.leaving.iter();
            tally
                .lost
                .extend(left.map(|a| Lost::new(*a, Cause::Requested)));
            tally
                .alone
                .retain(|left| !self.leaving.contains(&left.address));
            tally.places = places;
        }
    }
}
