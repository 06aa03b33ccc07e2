//! What is remembered of sessions for those who ask: counters, errors, events.

use std::collections::VecDeque;

use super::{Event, LastError, Messages, Reason};
use crate::Time;
use crate::codec::{Kind, Update};

/// Events waiting to be polled. Full: the newest is dropped; the snapshot tells all the same.
const EVENTS: usize = 256;

/// The account of one peer, from when it was made.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) since: Time,
    pub(super) last_error: Option<LastError>,
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

    /// A session is there.
    pub(super) fn established(&mut self) {
        self.established += 1;
        if let Some(error) = &mut self.last_error {
            error.attempt = None;
        }
        self.tell(Event::Established);
    }

    /// A session, or an attempt at one, ended; `asked`: this speaker was asked to end it.
    pub(super) fn ended(&mut self, reason: Reason, established: bool, asked: bool, now: Time) {
        if let Reason::Received(notification) = &reason
            && let Some(text) = notification.shutdown_text()
        {
            self.shutdown_text = Some(text);
        }
        let passing = reason.is_passing() && !established;
        match &mut self.last_error {
            Some(error) if error.stays && passing => error.attempt = Some(reason.clone()),
            Some(_) | None => {
                self.last_error = Some(LastError {
                    at: now,
                    reason: reason.clone(),
                    stays: !passing && !asked,
                    attempt: None,
                });
            }
        }
        self.tell(if established {
            Event::Lost(reason)
        } else {
            Event::Failed(reason)
        });
    }
}
