//! What waits on one interface: tasks for their time, then in their class; frames for the budget.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use super::act::{Class, Purpose, Queued, Task};
use crate::Frame;

/// Questions of the shell waiting to leave. Full: the newest is dropped.
const QUESTIONS: usize = 1024;

#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<Task>,
    frames: VecDeque<Queued>,
}

/// What was to be done about an address while its ownership had run out.
#[derive(Debug, Default)]
struct Parked {
    /// A set: what came up several times is done once.
    tasks: BTreeSet<Task>,
    frames: Vec<(Class, Queued)>,
}

/// One interface's queues and timers.
#[derive(Debug, Default)]
pub(super) struct Queues {
    classes: [Queue; 9],
    timers: BTreeSet<(Instant, Task)>,
    parked: BTreeMap<IpAddr, Parked>,
}

impl Queues {
    fn of(&mut self, class: Class) -> &mut Queue {
        &mut self.classes[class as usize]
    }

    /// A task whose turn comes after those of its class.
    pub(super) fn push(&mut self, task: Task) {
        self.of(task.act.class()).tasks.push_back(task);
    }

    /// A task for later.
    pub(super) fn push_at(&mut self, due: Instant, task: Task) {
        self.timers.insert((due, task));
    }

    /// A frame that a task of this class became.
    pub(super) fn say(&mut self, class: Class, queued: Queued) {
        self.of(class).frames.push_back(queued);
    }

    /// A question of the shell; one that waits already does not wait twice.
    pub(super) fn ask(&mut self, purpose: Purpose, frame: Frame) {
        let frames = &mut self.of(Class::Urgent).frames;
        let waits = frames.iter().any(|queued| queued.purpose == purpose);
        if !waits && frames.len() < QUESTIONS {
            frames.push_back(Queued {
                subject: None,
                purpose,
                frame,
            });
        }
    }

    /// Puts what is due into its class.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((due, _)) = self.timers.first()
            && *due <= now
            && let Some((_, task)) = self.timers.pop_first()
        {
            self.push(task);
        }
    }

    /// A task whose address is held but not owned at this moment.
    pub(super) fn park_task(&mut self, task: Task) {
        let parked = self.parked.entry(task.address).or_default();
        parked.tasks.insert(task);
    }

    /// A frame whose address is held but not owned at this moment.
    pub(super) fn park_frame(&mut self, address: IpAddr, class: Class, queued: Queued) {
        let parked = self.parked.entry(address).or_default();
        parked.frames.push((class, queued));
    }

    /// Addresses of which anything is parked.
    pub(super) fn parked(&self) -> Vec<IpAddr> {
        self.parked.keys().copied().collect()
    }

    /// Puts what is parked back into its queues; false if there is nothing.
    pub(super) fn unpark(&mut self, address: IpAddr) -> bool {
        let Some(parked) = self.parked.remove(&address) else {
            return false;
        };
        for (class, queued) in parked.frames {
            self.say(class, queued);
        }
        for task in parked.tasks {
            self.push(task);
        }
        true
    }

    /// Forgets what is parked.
    pub(super) fn forget(&mut self, address: IpAddr) {
        self.parked.remove(&address);
    }

    pub(super) fn pop_frame(&mut self, class: Class) -> Option<Queued> {
        self.of(class).frames.pop_front()
    }

    pub(super) fn pop_task(&mut self, class: Class) -> Option<Task> {
        self.of(class).tasks.pop_front()
    }

    /// Whether anything of this class waits for its turn.
    pub(super) fn wait_in(&self, class: Class) -> bool {
        let queue = &self.classes[class as usize];
        !queue.tasks.is_empty() || !queue.frames.is_empty()
    }

    /// When the next timer ends.
    pub(super) fn due(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }
}
