//! What is known of one other node: its life, when it was heard, in which view, what it hears, and
//! its table as far as it told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::limit::Limit;
use crate::table::Sight;
use crate::{Beacon, Entry, Life, NodeId, Nonce, Time};

/// The most beacons sent at once to tell one peer of a changed table.
const BURST: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Where it is sent to, if that is known.
    pub(crate) address: Option<SocketAddr>,
    /// Of what is said in its name.
    pub(crate) limit: Limit,
    /// Its newest proven life.
    pub(crate) life: Option<Life>,
    /// Its newest beacon of that life.
    pub(crate) seq: u64,
    /// When that arrived.
    pub(crate) heard: Option<Time>,
    /// The view it was sent in.
    pub(crate) view: u64,
    /// When it was last sent a view.
    pub(crate) pushed: Option<Time>,
    /// It is behind, and to be sent the present view.
    pub(crate) behind: bool,
    /// The question it was asked, and since when.
    pub(crate) asked: Option<(Nonce, Time)>,
    /// The members that are not silent to it, where it says so.
    pub(crate) sounding: BTreeSet<NodeId>,
    /// What it says it heard: life, number, and when that last grew.
    pub(crate) hears: BTreeMap<NodeId, (Life, u64, Time)>,
    /// When the newest own beacon was sent that it acknowledged in the view this node was in then.
    pub(crate) acked: Option<Time>,
    /// Its votes, up to version `mirrored` of `table`.
    pub(crate) mirror: BTreeMap<IpAddr, Entry>,
    pub(crate) mirrored: u64,
    pub(crate) table: u64,
    /// The version of our table that it knows.
    pub(crate) knows: u64,
    /// When it is to be sent the next beacon.
    pub(crate) due: Time,
    /// How long it counts on an acknowledgement.
    grant: Time,
    pages: Pages,
}

/// The pages that were sent and are not acknowledged yet.
#[derive(Debug, Default)]
struct Pages {
    since: Time,
    upto: u64,
    count: u32,
}

impl Peer {
    pub(crate) fn new(due: Time) -> Self {
        Self {
            due,
            ..Self::default()
        }
    }

    /// Starts over with a life that was proven.
    pub(crate) fn begin(&mut self, life: Life, now: Time) {
        *self = Self {
            address: self.address,
            limit: std::mem::take(&mut self.limit),
            life: Some(life),
            heard: Some(now),
            ..Self::new(now)
        };
    }

    /// Takes note of a fresh beacon of the proven life. The page's entries count if it says so.
    pub(crate) fn note(&mut self, beacon: &Beacon, now: Time) -> bool {
        self.seq = beacon.seq;
        self.grant = beacon.grant;
        self.heard = Some(now);
        self.view = beacon.view;
        self.table = beacon.table;
        for heard in &beacon.heard {
            let known = self.hears.get(&heard.node);
            if known.is_none_or(|(life, seq, _)| (heard.life, heard.seq) > (*life, *seq)) {
                self.hears.insert(heard.node, (heard.life, heard.seq, now));
            }
        }
        let fits = beacon.base <= self.mirrored;
        if fits {
            self.mirrored = self.mirrored.max(beacon.complete);
        }
        fits
    }

    /// Its table is known as it was when it sent its newest beacon.
    pub(crate) fn complete(&self) -> bool {
        self.mirrored >= self.table
    }

    /// After which silence of it this node, which suspects others after `suspect`, suspects it: never
    /// before what it was promised has ended by clocks of any rate, whatever its timers are.
    pub(crate) fn patience(&self, suspect: Time) -> Time {
        suspect.max(self.grant * 5 / 4)
    }

    pub(crate) fn sight(&self, now: Time, suspect: Time) -> Sight {
        Sight {
            silent: self
                .heard
                .is_none_or(|heard| now >= heard + self.patience(suspect)),
            life: self.life,
        }
    }

    /// The version after which the next of several pages is to begin: what was sent less than
    /// `interval` ago is taken for received.
    pub(crate) fn base(&mut self, interval: Time, now: Time) -> u64 {
        if now >= self.pages.since + interval {
            self.pages = Pages {
                since: now,
                upto: self.knows,
                count: 0,
            };
        }
        self.pages.upto.max(self.knows)
    }

    /// A page was sent, up to version `complete` of `version`; the next beacon is due after
    /// `interval`, or at once if there is more to tell.
    pub(crate) fn told(&mut self, complete: u64, version: u64, interval: Time, now: Time) {
        self.pages.upto = complete;
        self.pages.count += 1;
        self.due = if complete < version && self.pages.count < BURST {
            now
        } else {
            now + interval
        };
    }
}
