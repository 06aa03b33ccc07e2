//! What leaves: datagrams and frames that are due, and what the rest of the process is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald_beacon::{Node, Policy, Time};
use herald_l2::{Event, Transmit};
use herald_runtime::clock;
use k8s_openapi::jiff::Timestamp;

use super::Worker;
use crate::fast::{Held, News, Notice, Telling};
use crate::io::Port;
use crate::metrics::Metrics;

/// What is told is put together no more often than this, but for what is gained or lost.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(20);
/// A host that refused a beacon lives for that long at least; kernels refuse once a second.
const REFUSED: Duration = Duration::from_secs(3);

impl Worker {
    pub(super) fn send_due(&mut self) {
        if let Some(node) = &mut self.node {
            while let Some(datagram) = node.poll_transmit(clock::boot()) {
                self.worked = true;
                match self.socket.send(&datagram.bytes, datagram.to) {
                    Ok(()) => self.outlets.metrics.beacons_sent.inc(),
                    Err(_) => self.outlets.metrics.beacon_errors.inc(),
                };
            }
            while let Some((link, bytes)) = node.poll_copy(clock::boot()) {
                self.worked = true;
                let port = self.links.get(&link).and_then(|at| self.ports.get(at));
                if !port.is_some_and(|port| port.send_copy(&bytes)) {
                    self.outlets.metrics.beacon_errors.inc();
                }
            }
        }
        loop {
            let now = self.timeline.instant(clock::boot());
            let Some(transmit) = self.station.poll_transmit(now) else {
                return;
            };
            self.worked = true;
            if send(&self.ports, &transmit, &self.outlets.metrics) {
                self.outlets.metrics.announced.inc();
            }
        }
    }

    pub(super) fn pass_events(&mut self) {
        while let Some(event) = self.station.poll_event() {
            match (&event, &mut self.node) {
                (Event::Answered { address, .. }, Some(node)) => {
                    node.note_answer(*address, clock::boot());
                }
                (Event::GatewayAnswered { interface, .. }, Some(node)) => {
                    let now = clock::boot();
                    node.note_gateway(now);
                    let on = self.links.iter().find(|(_, index)| *index == interface);
                    if let Some((link, _)) = on {
                        node.note_gateway_on(*link, now);
                    }
                }
                (Event::Acknowledged { address, .. }, _) => {
                    self.acknowledged.insert(*address, this_second());
                    self.spread(News::Lan(event));
                }
                (Event::Claimed(_) | Event::Unacknowledged { .. }, _) => {
                    self.spread(News::Lan(event));
                }
                (
                    Event::Announced { .. }
                    | Event::Answered { .. }
                    | Event::GatewayAnswered { .. },
                    _,
                ) => {}
            }
        }
        while let Some(event) = self.node.as_mut().and_then(Node::poll_event) {
            let notice = match event {
                herald_beacon::Event::View(view) => Notice::View(view),
                herald_beacon::Event::Outlived(life) => Notice::Outlived(life),
            };
            // Full: dropped; peers say it again.
            let _ = self.outlets.notices.try_send(notice);
        }
    }

    pub(super) fn spread(&self, news: News) {
        // Full: dropped, as NEWS says.
        let _ = self.outlets.news.try_send(news);
    }

    pub(super) fn tell(&mut self) {
        let now = clock::boot();
        if now < self.tell_next {
            return;
        }
        self.tell_next = now + TELL_EVERY;
        let telling = self.telling(now);
        let returned = telling.live.difference(&self.told.live).next().is_some();
        if returned && self.settings.beacon.policy != Policy::Exclusive {
            // It may have announced what is owned here, while nobody here was heard (A9).
            for address in telling.held.keys() {
                self.station.announce_again(*address);
            }
        }
        if *self.told != telling {
            self.told = Arc::new(telling);
            self.outlets.telling.send_replace(Arc::clone(&self.told));
        }
    }

    fn telling(&self, now: Time) -> Telling {
        let held = self.duty.posts().iter().map(|(address, post)| {
            let epoch = self.node.as_ref().and_then(|node| node.record(*address));
            let held = Held {
                epoch: epoch.map_or(0, |claim| claim.epoch),
                since: self.since.get(address).copied().unwrap_or_default(),
                degraded: post.degraded,
                acknowledged: self.acknowledged.get(address).copied(),
            };
            (*address, held)
        });
        let mut telling = Telling {
            class: self.class,
            held: held.collect(),
            ..Telling::default()
        };
        if let (Some(node), Some(cluster)) = (&self.node, &self.cluster) {
            if let Some(view) = node.view() {
                telling.view = view.number;
                telling.members = view.members.clone();
                telling.voters = view.voters.clone();
                telling.member = view.members.contains(&self.settings.beacon.me);
            }
            telling.may_step = node.may_step(&cluster.gone);
            telling.knocking = node.knocking(now);
            telling.live = node.live(now).into_iter().collect();
            telling.quorum = node.quorum(now);
            telling.wants_tie = node.wants_tie(now);
            telling.unheard = node.unheard(now);
            let refused = |address| {
                let at = self.refusals.get(address);
                at.is_some_and(|at| now < *at + REFUSED)
            };
            let peers = cluster.peers.iter();
            telling.refusing = peers
                .filter(|(id, address)| !telling.live.contains(id) && refused(*address))
                .map(|(id, _)| *id)
                .collect();
            let records = node.records();
            telling.records = records
                .map(|(address, claim)| (address, (claim.owner, claim.epoch)))
                .collect();
        }
        telling
    }
}

/// Sends a frame; false when the kernel refuses it. An interface that went down refuses every one;
/// the next wish leaves it out.
pub(super) fn send(
    ports: &BTreeMap<u32, Arc<Port>>,
    transmit: &Transmit,
    metrics: &Metrics,
) -> bool {
    let Some(port) = ports.get(&transmit.interface) else {
        return false;
    };
    let sent = port.send(transmit.frame.bytes()).is_ok();
    if !sent {
        metrics.send_errors.inc();
    }
    sent
}

/// Now, as precisely as the API keeps times.
pub(super) fn this_second() -> Timestamp {
    Timestamp::from_second(clock::wall().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}
