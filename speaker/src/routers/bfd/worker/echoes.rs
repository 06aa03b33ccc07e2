//! The sockets of echo packets, one for each interface and family in which a router is watched by them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use super::frame::{self, Said};
use crate::io::EchoSocket;

/// Frames that are longer are none of BFD.
const LONGEST: usize = 512;
/// How many frames of one interface are read before deadlines are judged.
const BATCH: usize = 256;

/// What echo packets go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wire {
    /// Index of the interface.
    pub(super) interface: u32,
    pub(super) ipv6: bool,
}

/// Open sockets.
#[derive(Debug, Default)]
pub(super) struct Echoes(BTreeMap<Wire, Arc<EchoSocket>>);

impl Echoes {
    /// Has these sockets and no others, as far as they can be had.
    pub(super) fn set(&mut self, wires: &BTreeSet<Wire>) {
        self.0.retain(|wire, _| wires.contains(wire));
        for wire in wires {
            if self.0.contains_key(wire) {
                continue;
            }
            let Wire { interface, ipv6 } = *wire;
            match EchoSocket::open(interface, ipv6) {
                Ok(socket) => {
                    self.0.insert(*wire, Arc::new(socket));
                }
                Err(error) => {
                    tracing::warn!(interface, ipv6, %error, "no BFD echo on an interface");
                }
            }
        }
    }

    pub(super) fn get(&self, wire: Wire) -> Option<Arc<EchoSocket>> {
        self.0.get(&wire).cloned()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().map(|socket| socket.as_fd())
    }

    /// Hands out what has arrived, and over what; true when there may be more.
    pub(super) fn read(&self, hand: &mut dyn FnMut(Wire, &Said<'_>)) -> bool {
        let mut more = false;
        for (wire, socket) in &self.0 {
            let mut buffer = [0; LONGEST];
            let mut count = 0;
            while let Ok(Some(length)) = socket.receive(&mut buffer) {
                let said = buffer.get(..length).and_then(frame::read);
                if let Some(said) = said {
                    hand(*wire, &said);
                }
                count += 1;
                if count == BATCH {
                    more = true;
                    break;
                }
            }
        }
        more
    }
}
