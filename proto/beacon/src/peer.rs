//! What is known of one other node: its life, when it was heard, what it hears, and its table as
//! far as it told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::table::Sight;
use crate::{Beacon, Entry, Life, NodeId, Nonce, Time};

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Its newest proven life.
    pub(crate) life: Option<Life>,
    /// Its newest beacon of that life.
    pub(crate) seq: u64,
    /// When that arrived.
    pub(crate) heard: Option<Time>,
    /// The question it was asked, and since when.
    pub(crate) asked: Option<(Nonce, Time)>,
    /// What it says it heard: life, number, and when that last grew.
    pub(crate) hears: BTreeMap<NodeId, (Life, u64, Time)>,
    /// Its votes, up to version `mirrored` of `table`.
    pub(crate) mirror: BTreeMap<IpAddr, Entry>,
    pub(crate) mirrored: u64,
    pub(crate) table: u64,
    /// The version of our table that it knows.
    pub(crate) knows: u64,
    /// When it is to be sent the next beacon.
    pub(crate) due: Time,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, due: Time) -> Self {
        Self {
            address,
            life: None,
            seq: 0,
            heard: None,
            asked: None,
            hears: BTreeMap::new(),
            mirror: BTreeMap::new(),
            mirrored: 0,
            table: 0,
            knows: 0,
            due,
        }
    }

    /// Starts over with a life that was proven.
    pub(crate) fn begin(&mut self, life: Life, now: Time) {
        *self = Self {
            life: Some(life),
            heard: Some(now),
            ..Self::new(self.address, now)
        };
    }

    /// Takes note of a fresh beacon of the proven life.
    pub(crate) fn note(&mut self, beacon: &Beacon, now: Time) {
        self.seq = beacon.seq;
        self.heard = Some(now);
        self.table = beacon.table;
        for heard in &beacon.heard {
            let known = self.hears.get(&heard.node);
            if known.is_none_or(|(life, seq, _)| (heard.life, heard.seq) > (*life, *seq)) {
                self.hears.insert(heard.node, (heard.life, heard.seq, now));
            }
        }
        if beacon.base <= self.mirrored {
            for entry in &beacon.entries {
                self.mirror.insert(entry.address, *entry);
            }
            self.mirrored = self.mirrored.max(beacon.complete);
        }
    }

    /// Its table is known as it was when it sent its newest beacon.
    pub(crate) fn complete(&self) -> bool {
        self.mirrored >= self.table
    }

    pub(crate) fn sight(&self, now: Time, suspect: Time) -> Sight {
        Sight {
            silent: self.heard.is_none_or(|heard| now >= heard + suspect),
            life: self.life,
        }
    }
}
