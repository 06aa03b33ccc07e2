//! What a round decided and what the announcing thread noticed, told: Events, metrics, status, and the
//! admin port.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;

use herald_l2::Event;
use herald_runtime::clock;

use super::{Beacons, Memory, Node};
use crate::cluster;
use crate::decision::{Decision, used};
use crate::fast::News;
use crate::inspect::Running;
use crate::intent::Holding;
use crate::publish::Report;
use crate::report::{self, Facts};
use crate::routers;
use crate::strict_arp;

impl Node {
    /// Tells of what the announcing thread noticed.
    pub(super) fn hear(&self, memory: &Memory, news: &News) {
        let name = |interface: u32| {
            let link = memory.links.get(&interface);
            link.map_or("?", |link| link.name.as_str())
        };
        let holding = |address: IpAddr| {
            let bid = memory.bids.get(&address)?;
            Some(&bid.holding)
        };
        match news {
            News::TookOver {
                address,
                suspected,
                owned,
            } => {
                self.metrics.took_over(*suspected, *owned);
                tracing::info!(%address, ?suspected, ?owned, "took over from a silent owner");
            }
            News::Lan(Event::Claimed(claim)) => {
                self.metrics.claimed(claim);
                if let Some(holding) = holding(claim.address) {
                    let interface = name(claim.interface);
                    self.chronicle
                        .claimed(claim, holding, interface, &memory.view);
                }
            }
            News::Lan(Event::Acknowledged { after, .. }) => self.metrics.acknowledged(*after),
            News::Lan(Event::Unacknowledged {
                address,
                interface,
                gateway,
            }) => {
                self.metrics.unacknowledged.inc();
                if let Some(holding) = holding(*address) {
                    let interface = name(*interface);
                    let view = &memory.view;
                    self.chronicle
                        .unacknowledged(*address, *gateway, holding, interface, view);
                }
            }
            News::Lan(
                Event::Announced { .. } | Event::Answered { .. } | Event::GatewayAnswered { .. },
            ) => {}
        }
    }

    /// Tells of addresses that came and went, and of Services that joined them.
    pub(super) fn tell_changes(&self, before: &BTreeMap<IpAddr, Holding>, decision: &Decision<'_>) {
        let view = decision.view;
        for (address, holding) in decision.held {
            let known = before.get(address);
            let services = holding.services.iter();
            let new = services
                .filter(|service| known.is_none_or(|known| !known.services.contains(*service)));
            let news = Holding {
                services: new.cloned().collect(),
                ..holding.clone()
            };
            if !news.services.is_empty() {
                let claim = view.claims.get(address);
                let resumed = known.is_none() && claim.is_some_and(|c| c.node == self.name);
                self.chronicle.taken(*address, &news, resumed, view);
            }
        }
        for (address, holding) in before {
            if !decision.held.contains_key(address) {
                let next = decision.owners.get(address).map(String::as_str);
                self.chronicle.given_up(*address, holding, next);
            }
        }
    }

    /// Says how things stand.
    pub(super) fn report(&mut self, decision: &Decision<'_>) {
        let Decision {
            view, bids, held, ..
        } = decision;
        let announced = bids
            .iter()
            .map(|(address, bid)| (address, &bid.holding.interfaces));
        let answered = strict_arp::answered_by_kernel(
            announced,
            decision.links,
            strict_arp::effective_arp_ignore,
        );
        self.chronicle.answered_by_kernel(&answered, view);
        let status = view
            .speaker
            .as_ref()
            .and_then(|speaker| speaker.status.as_ref());
        let Beacons { address, port } = self.beacons;
        let own = view.node.as_ref();
        let status = report::speaker_status(&Facts {
            usages: decision.usages,
            answered: &answered,
            stopping: decision.stopping,
            before: status,
            beacon_address: own.and_then(|node| cluster::beacon_address(node, address, port)),
            telling: decision.telling,
            names: decision.names,
            me: &self.name,
            sessions: &self.sessions.borrow_and_update(),
            boot: clock::boot(),
            now: clock::wall(),
        });
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let routed = routers::announcements(&self.name, &routes, &self.sessions.borrow());
        drop(routes);
        self.reports.send_replace(Report {
            routed,
            speaker: Some(status),
            speaker_exists: view.speaker.is_some(),
            node_exists: view.node.is_some(),
            announcements: report::announcements(&self.name, held, decision.telling),
            existing: view.announcements.clone(),
        });
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let leaving = held.values().filter(|holding| holding.leaving).count();
        self.metrics.owned.set(count(held.len()));
        self.metrics.leaving.set(count(leaving));
        self.metrics
            .standby
            .set(count(bids.len() - held.len().min(bids.len())));
        self.metrics
            .interfaces
            .set(count(used(decision.usages).len()));
        self.metrics.live_nodes.set(count(decision.live.len()));
        self.metrics.quorum.set(decision.telling.quorum.into());
        let running = Running::of(&self.name, decision);
        *self.running.write().unwrap_or_else(PoisonError::into_inner) = running;
    }
}
