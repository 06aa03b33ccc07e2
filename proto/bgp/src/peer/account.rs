//! What is remembered of sessions for those who ask: counters, errors, events.

use std::collections::VecDeque;

use super::{Event, Messages, Reason};
use crate::Time;
use crate::codec::{Kind, Update};

/// Events waiting to be polled. Full: the newest is dropped; the snapshot tells all the same.
const EVENTS: usize = 256;

/// The account of one peer, from when it was made.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) since: Time,
    pub(super) last_error: Option<(Time, Reason)>,
    pub(super) shutdown_text: Option<String>,
    pub(super) sent: Messages,
    pub(super) heard: Messages,
    pub(super) established: u64,
    pub(super) malformed: u64,
    pub(super) events: VecDeque<Event>,
}

impl Account {
    pub(super) const fn new(now: Time) -> Self {
        let none = Messages {
            open: 0,
            update: 0,
            notification: 0,
            keepalive: 0,
            refresh: 0,
            octets: 0,
        };
        Self {
            since: now,
            last_error: None,
            shutdown_text: None,
            sent: none,
            heard: none,
            established: 0,
            malformed: 0,
            events: VecDeque::new(),
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() < EVENTS {
            self.events.push_back(event);
        }
    }

    pub(super) const fn heard(&mut self, kind: Kind, octets: u64) {
        let count = match kind {
            Kind::Open => &mut self.heard.open,
            Kind::Update => &mut self.heard.update,
            Kind::Notification => &mut self.heard.notification,
            Kind::Keepalive => &mut self.heard.keepalive,
            Kind::RouteRefresh => &mut self.heard.refresh,
        };
        *count += 1;
        self.heard.octets += octets;
    }

    /// An UPDATE was read; what was mended of it is told.
    pub(super) fn mended(&mut self, update: &Update) {
        if let Some(fault) = update.faults.first() {
            self.malformed += 1;
            self.tell(Event::Malformed(*fault));
        }
    }

    /// A session, or an attempt at one, ended.
    pub(super) fn ended(&mut self, reason: Reason, established: bool, now: Time) {
        if let Reason::Received(notification) = &reason
            && let Some(text) = notification.shutdown_text()
        {
            self.shutdown_text = Some(text);
        }
        self.last_error = Some((now, reason.clone()));
        self.tell(if established {
            Event::Lost(reason)
        } else {
            Event::Failed(reason)
        });
    }
}
