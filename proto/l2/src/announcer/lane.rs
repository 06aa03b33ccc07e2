//! Everything that is said unasked on one interface.
//!
//! Tasks wait in queues by class, the first class of the order first, and become frames when their
//! turn comes. A frame leaves when the budget allows and its address is still owned; one that finds
//! ownership run out parks its address until ownership is renewed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::act::{self, Act, Class, Order, Purpose, Queued, Task};
use super::asked::Asked;
use super::ladder::Ladder;
use super::queues::Queues;
use super::speech;
use crate::event::Events;
use crate::limits::Window;
use crate::requesters::Requesters;
use crate::{Frame, Interface, Limits};

/// RATE_LIMIT_INTERVAL of RFC 5227 §1.1: until an address that was in use is asked for again.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// What a lane looks at but does not own.
pub(super) struct Surroundings<'a> {
    pub interface: &'a Interface,
    pub requesters: &'a Requesters,
    /// Whether this node owns an address now.
    pub holds: &'a dyn Fn(&IpAddr) -> bool,
}

/// Whether an address may be announced and answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is being found out whether somebody else uses it.
    Probing,
    /// Somebody else uses it.
    Refused,
    Proven,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) generation: u64,
    pub(super) standing: Standing,
    /// A frame that announces it has left.
    pub(super) announced: bool,
}

/// One interface.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) index: u32,
    pub(super) gateways: BTreeSet<IpAddr>,
    pub(super) order: &'static Order,
    budget: Window,
    /// None: nothing is refreshed.
    pub(super) refreshes: Option<Window>,
    pub(super) held: BTreeMap<IpAddr, Held>,
    last_generation: u64,
    pub(super) queues: Queues,
    pub(super) ladder: Ladder,
    pub(super) asked: Asked,
    pub(super) gateways_asked: Asked,
}

impl Lane {
    pub(super) fn new(index: u32, limits: Limits) -> Self {
        let mut lane = Self {
            index,
            gateways: BTreeSet::new(),
            order: act::order(limits),
            budget: Window::new(limits.burst_per_second),
            refreshes: None,
            held: BTreeMap::new(),
            last_generation: 0,
            queues: Queues::default(),
            ladder: Ladder::default(),
            asked: Asked::default(),
            gateways_asked: Asked::default(),
        };
        lane.set_limits(limits);
        lane
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.order = act::order(limits);
        self.budget = Window::new(limits.burst_per_second);
        self.refreshes =
            (limits.refresh_per_second > 0).then(|| Window::new(limits.refresh_per_second));
        for address in self.addresses().copied().collect::<Vec<_>>() {
            self.restart(address);
        }
    }

    pub(super) fn set_gateways(&mut self, gateways: &[IpAddr]) {
        let gateways: BTreeSet<IpAddr> = gateways.iter().copied().collect();
        if self.gateways == gateways {
            return;
        }
        self.ladder.retain(&gateways);
        let proven: Vec<(IpAddr, u64)> = self
            .held
            .iter()
            .filter(|(_, held)| held.standing == Standing::Proven)
            .map(|(address, held)| (*address, held.generation))
            .collect();
        for gateway in gateways.difference(&self.gateways) {
            for (address, generation) in &proven {
                let (gateway, asked) = (*gateway, 0);
                self.queues.push(Task {
                    act: Act::Retry { gateway, asked },
                    address: *address,
                    generation: *generation,
                });
            }
        }
        self.gateways = gateways;
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &IpAddr> {
        self.held.keys()
    }

    pub(super) fn acquire(&mut self, address: IpAddr, probe_first: bool) {
        let standing = if probe_first {
            Standing::Probing
        } else {
            Standing::Proven
        };
        let generation = self.next_generation();
        self.queues.forget(address);
        self.ladder.forget(address, &self.gateways);
        self.held.insert(
            address,
            Held {
                generation,
                standing,
                announced: false,
            },
        );
        let opening = act::first_pass(self.order, None).next();
        let act = if probe_first {
            Some(Act::Probe(0))
        } else {
            opening
        };
        if let Some(act) = act {
            self.queues.push(Task {
                act,
                address,
                generation,
            });
        }
    }

    pub(super) fn restart(&mut self, address: IpAddr) {
        if let Some(held) = self.held.get(&address) {
            self.acquire(address, held.standing != Standing::Proven);
        }
    }

    /// Goes on with what could not be said because ownership had run out. A check whether somebody
    /// else uses the address begins again: an answer may have been missed.
    pub(super) fn resume(&mut self, address: IpAddr) {
        if self.queues.unpark(address) && self.is_unproven(address) {
            self.acquire(address, true);
        }
    }

    pub(super) fn resume_all(&mut self) {
        for address in self.queues.parked() {
            self.resume(address);
        }
    }

    pub(super) fn release(&mut self, address: IpAddr) {
        self.held.remove(&address);
        self.queues.forget(address);
        self.ladder.forget(address, &self.gateways);
    }

    pub(super) fn defend(&mut self, address: IpAddr, interface: &Interface) {
        if let Some(held) = self.held.get(&address) {
            let defence = Queued {
                subject: Some((address, held.generation)),
                purpose: Purpose::Announce,
                frame: speech::announcement(address, interface),
            };
            self.queues.say(Class::Urgent, defence);
        }
    }

    pub(super) fn ask(&mut self, address: IpAddr, interface: &Interface) {
        let frame = speech::question(address, interface);
        self.queues.ask(Purpose::Ask(address), frame);
    }

    pub(super) fn ask_gateways(&mut self, interface: &Interface) {
        for gateway in &self.gateways {
            let frame = speech::gateway_question(*gateway, interface);
            self.queues.ask(Purpose::AskGateway(*gateway), frame);
        }
    }

    pub(super) fn is_unproven(&self, address: IpAddr) -> bool {
        let held = self.held.get(&address);
        held.is_some_and(|held| held.standing != Standing::Proven)
    }

    pub(super) fn refuse(&mut self, address: IpAddr, now: Instant) {
        let generation = self.next_generation();
        let Some(held) = self.held.get_mut(&address) else {
            return;
        };
        if held.standing == Standing::Probing {
            held.standing = Standing::Refused;
            held.generation = generation;
            let again = Task {
                act: Act::Probe(0),
                address,
                generation,
            };
            self.queues.push_at(now + REFUSED_FOR, again);
        }
    }

    pub(super) fn acknowledge(
        &mut self,
        address: IpAddr,
        gateway: IpAddr,
        at: Instant,
    ) -> Option<Duration> {
        self.ladder.answered(address, gateway, at)
    }

    pub(super) fn has_asked(&self, address: IpAddr, at: Instant) -> bool {
        self.asked.lately(address, at)
    }

    pub(super) fn has_asked_gateway(&self, gateway: IpAddr, at: Instant) -> bool {
        self.gateways_asked.lately(gateway, at)
    }

    /// The next frame that may leave now.
    pub(super) fn poll(
        &mut self,
        around: &Surroundings<'_>,
        events: &mut Events,
        now: Instant,
    ) -> Option<Frame> {
        self.queues.wake(now);
        if !self.budget.is_free(now) {
            return None;
        }
        for class in self.order {
            let refresh = *class == Class::Refresh;
            let full = |window: &Window| !window.is_free(now);
            if refresh && self.refreshes.as_ref().is_some_and(full) {
                continue;
            }
            while let Some(queued) = self.next_of(*class, around, events, now) {
                if !self.may_leave(*class, &queued, around) {
                    continue;
                }
                self.budget.take(now);
                if let Some(window) = self.refreshes.as_mut().filter(|_| refresh) {
                    window.take(now);
                }
                self.note(&queued, events, now);
                return Some(queued.frame);
            }
        }
        None
    }

    /// When there is something to do; `now` if that is at once.
    pub(super) fn timeout(&self, now: Option<Instant>) -> Option<Instant> {
        let timer = self.queues.due();
        let budget = self.budget.next().max(now);
        let refreshes = self.refreshes.as_ref().and_then(Window::next);
        let mut classes = self.order.iter().filter(|class| **class != Class::Refresh);
        let next = if classes.any(|class| self.queues.wait_in(*class)) {
            budget
        } else if self.queues.wait_in(Class::Refresh) {
            budget.max(refreshes)
        } else {
            None
        };
        timer.into_iter().chain(next).min()
    }

    fn next_generation(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    fn next_of(
        &mut self,
        class: Class,
        around: &Surroundings<'_>,
        events: &mut Events,
        now: Instant,
    ) -> Option<Queued> {
        loop {
            if let Some(queued) = self.queues.pop_frame(class) {
                return Some(queued);
            }
            let task = self.queues.pop_task(class)?;
            self.perform(task, around, events, now);
        }
    }

    /// Whether a frame's acquisition goes on and ownership holds. If only that does not, the frame
    /// is parked.
    fn may_leave(&mut self, class: Class, queued: &Queued, around: &Surroundings<'_>) -> bool {
        let Some((address, generation)) = queued.subject else {
            return true;
        };
        let leave = self.is_current(address, generation);
        if leave && !(around.holds)(&address) {
            self.queues.park_frame(address, class, *queued);
            return false;
        }
        leave
    }

    /// Whether an acquisition goes on.
    pub(super) fn is_current(&self, address: IpAddr, generation: u64) -> bool {
        let held = self.held.get(&address);
        held.is_some_and(|held| held.generation == generation)
    }
}
