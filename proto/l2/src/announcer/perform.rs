//! How a lane turns tasks into frames, and what follows from a frame that leaves.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::act::{self, Act, Purpose, Queued, Task};
use super::ladder::Due;
use super::lane::{Lane, Standing, Surroundings};
use super::speech;
use crate::event::Events;
use crate::{Event, Frame};

/// PROBE_NUM of RFC 5227 §1.1; the times are shorter, as §2.2 allows: all is over in 100 ms.
const PROBES: usize = 3;
const PROBE_GAP: Duration = Duration::from_millis(33);
const PROBE_PATIENCE: Duration = Duration::from_millis(34);

impl Lane {
    /// Makes a task into frames.
    pub(super) fn perform(
        &mut self,
        task: Task,
        around: &Surroundings<'_>,
        events: &mut Events,
        now: Instant,
    ) {
        if !self.is_current(task.address, task.generation) {
            return;
        }
        if !(around.holds)(&task.address) {
            self.queues.park_task(task);
            return;
        }
        let Task { act, address, .. } = task;
        let interface = around.interface;
        match act {
            Act::Call | Act::Gateways | Act::Reply | Act::Requesters => {
                self.pass(task, around, now);
            }
            Act::Retry { gateway, asked } => match self.ladder.due(address, gateway, asked) {
                Due::Question if self.gateways.contains(&gateway) => {
                    if let Some(frame) = speech::directed(address, interface, gateway) {
                        self.say(task, Purpose::Tell(gateway), frame);
                    }
                }
                Due::End => events.push(Event::Unacknowledged {
                    address,
                    interface: self.index,
                    gateway,
                }),
                Due::Question | Due::Nothing => {}
            },
            Act::Probe(nth) => {
                if let Some(held) = self.held.get_mut(&address) {
                    held.standing = Standing::Probing;
                }
                self.say(
                    task,
                    Purpose::Probe(nth),
                    speech::question(address, interface),
                );
            }
            Act::Repeat => {
                let announcement = speech::announcement(address, interface);
                self.say(task, Purpose::Announce, announcement);
                if let Some(reply) = speech::reply(address, interface) {
                    self.say(task, Purpose::Announce, reply);
                }
            }
            Act::Refresh => {
                let announcement = speech::announcement(address, interface);
                self.say(task, Purpose::Announce, announcement);
                for (gateway, frame) in self.directed(address, around) {
                    self.say(task, Purpose::Remind(gateway), frame);
                }
                self.schedule_refresh(task, now);
            }
        }
    }

    /// One part of the first pass, or the next that has something to say; then the rest.
    fn pass(&mut self, task: Task, around: &Surroundings<'_>, now: Instant) {
        let opening = act::first_pass(self.order, None).next() == Some(task.act);
        if opening {
            self.open(task, now);
        }
        let mut part = Some(task.act);
        while let Some(act) = part {
            let frames = self.frames_of(act, task.address, around, now);
            let said = !frames.is_empty();
            for (purpose, frame) in frames {
                self.say(task, purpose, frame);
            }
            part = act::first_pass(self.order, Some(act)).next();
            if said {
                break;
            }
        }
        if let Some(act) = part {
            self.queues.push(Task { act, ..task });
        }
    }

    /// The first pass begins: nobody else uses the address, and there is a time for all the rest.
    fn open(&mut self, task: Task, now: Instant) {
        if let Some(held) = self.held.get_mut(&task.address) {
            held.standing = Standing::Proven;
        }
        let act = Act::Repeat;
        for due in act::repeats(task.address, now) {
            self.queues.push_at(due, Task { act, ..task });
        }
        self.schedule_refresh(task, now);
    }

    fn schedule_refresh(&mut self, task: Task, now: Instant) {
        if self.refreshes.is_some() {
            let act = Act::Refresh;
            let due = act::refresh(task.address, self.index, now);
            self.queues.push_at(due, Task { act, ..task });
        }
    }

    fn frames_of(
        &self,
        part: Act,
        address: IpAddr,
        around: &Surroundings<'_>,
        now: Instant,
    ) -> Vec<(Purpose, Frame)> {
        let interface = around.interface;
        let announce = |frame| (Purpose::Announce, frame);
        match part {
            Act::Call => vec![announce(speech::announcement(address, interface))],
            Act::Reply => speech::reply(address, interface)
                .map(announce)
                .into_iter()
                .collect(),
            Act::Gateways => {
                let directed = self.directed(address, around).into_iter();
                directed
                    .map(|(gateway, frame)| (Purpose::Tell(gateway), frame))
                    .collect()
            }
            Act::Requesters => around
                .requesters
                .of(address, self.index, now)
                .filter_map(|requester| speech::told(address, interface, &requester))
                .map(announce)
                .collect(),
            Act::Retry { .. } | Act::Probe(_) | Act::Repeat | Act::Refresh => Vec::new(),
        }
    }

    /// A question from `address` to each gateway of its family.
    fn directed(&self, address: IpAddr, around: &Surroundings<'_>) -> Vec<(IpAddr, Frame)> {
        let gateways = self.gateways.iter();
        gateways
            .filter_map(|gateway| {
                let frame = speech::directed(address, around.interface, *gateway)?;
                Some((*gateway, frame))
            })
            .collect()
    }

    fn say(&mut self, task: Task, purpose: Purpose, frame: Frame) {
        let queued = Queued {
            subject: Some((task.address, task.generation)),
            purpose,
            frame,
        };
        self.queues.say(task.act.class(), queued);
    }

    /// A frame leaves: what follows from that.
    pub(super) fn note(&mut self, queued: &Queued, events: &mut Events, now: Instant) {
        match queued.purpose {
            Purpose::Ask(address) => self.asked.note(address, now),
            Purpose::AskGateway(gateway) | Purpose::Tell(gateway) | Purpose::Remind(gateway) => {
                self.gateways_asked.note(gateway, now);
            }
            Purpose::Announce | Purpose::Probe(_) => {}
        }
        let Some((address, generation)) = queued.subject else {
            return;
        };
        let task = |act| Task {
            act,
            address,
            generation,
        };
        match queued.purpose {
            Purpose::Tell(gateway) => {
                if let Some((due, asked)) = self.ladder.asked(address, gateway, now) {
                    let retry = task(Act::Retry { gateway, asked });
                    self.queues.push_at(due, retry);
                }
            }
            Purpose::Probe(nth) if nth + 1 < PROBES => {
                let next = task(Act::Probe(nth + 1));
                self.queues.push_at(now + PROBE_GAP, next);
                return;
            }
            Purpose::Probe(_) => {
                if let Some(opening) = act::first_pass(self.order, None).next() {
                    self.queues.push_at(now + PROBE_PATIENCE, task(opening));
                }
                return;
            }
            Purpose::Announce | Purpose::Remind(_) | Purpose::Ask(_) | Purpose::AskGateway(_) => {}
        }
        if let Some(held) = self.held.get_mut(&address)
            && !held.announced
        {
            held.announced = true;
            events.push(Event::Announced {
                address,
                interface: self.index,
                at: now,
            });
        }
    }
}
