//! Between the rounds, which decide, and the reporter, which tells: what passes from one to the other.
//!
//! The rounds never wait for the reporter. It asks, and is told when nothing more urgent is to be done.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herald_model::service::ServiceKey;
use tokio::sync::{Notify, watch as channel};

use crate::decision::Decision;
use crate::holders::Page;
use crate::kept::Service;

/// What the reporter is told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Which round this is the end of.
    pub(crate) round: u64,
    /// Another number each time this replica began to lead.
    pub(crate) term: u64,
    /// Every Service as it is now, ours or not.
    pub(crate) services: BTreeMap<ServiceKey, Arc<Service>>,
    pub(crate) decision: Decision,
    /// Services whose addresses could not be written, and why.
    pub(crate) failed: BTreeMap<ServiceKey, String>,
}

/// Pages about holders of addresses that are not written down yet, by number.
pub(crate) type Pages = BTreeMap<u8, Page>;

/// The place where both meet.
#[derive(Debug)]
pub(crate) struct Desk {
    rounds: channel::Sender<u64>,
    asked: Notify,
    told: channel::Sender<Option<Arc<Told>>>,
    pages: Mutex<Pages>,
    /// Whether addresses are being given.
    rushing: AtomicBool,
    /// The newest version that a report made.
    made: AtomicU64,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            rounds: channel::Sender::new(0),
            asked: Notify::new(),
            told: channel::Sender::new(None),
            pages: Mutex::default(),
            rushing: AtomicBool::new(false),
            made: AtomicU64::new(0),
        }
    }
}

impl Desk {
    /// Rounds: another one is over; its number.
    pub(crate) fn round(&self) -> u64 {
        self.rounds.send_modify(|rounds| *rounds += 1);
        *self.rounds.borrow()
    }

    /// Rounds: addresses are being given, or no more; reports wait as long as they are.
    pub(crate) fn rush(&self, rushing: bool) {
        self.rushing.store(rushing, Ordering::Relaxed);
    }

    /// Reporter: whether addresses are being given.
    pub(crate) fn rushing(&self) -> bool {
        self.rushing.load(Ordering::Relaxed)
    }

    /// Rounds: waits until the reporter asks.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Rounds: how things stand.
    pub(crate) fn tell(&self, told: Told) {
        self.told.send_replace(Some(Arc::new(told)));
    }

    /// Rounds: this replica does not lead. What another writes down counts.
    pub(crate) fn rest(&self) {
        self.told.send_replace(None);
        self.locked().clear();
    }

    /// Rounds: pages to be written down.
    pub(crate) fn write_down(&self, pages: Pages) {
        self.locked().extend(pages);
    }

    /// Rounds: the newest version that a report made; an API server that is behind it went back.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Reporter: a report made this version.
    pub(crate) fn make(&self, version: u64) {
        self.made.fetch_max(version, Ordering::Relaxed);
    }

    /// Reporter: is told of every round.
    pub(crate) fn rounds(&self) -> channel::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Reporter: waits until it is told how things stand; nothing when this replica does not lead.
    pub(crate) async fn ask(&self) -> Option<Arc<Told>> {
        let mut told = self.told.subscribe();
        self.asked.notify_one();
        // The sender lives in here: there is always an answer to wait for.
        let _answered = told.changed().await;
        told.borrow_and_update().clone()
    }

    /// Reporter: the pages to write down now.
    pub(crate) fn take_pages(&self) -> Pages {
        std::mem::take(&mut self.locked())
    }

    /// Reporter: these could not be written. Newer ones count.
    pub(crate) fn give_back(&self, pages: Pages) {
        let mut waiting = self.locked();
        for (number, page) in pages {
            waiting.entry(number).or_insert(page);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
