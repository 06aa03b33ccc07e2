//! The sockets of echo packets, one for each interface on which a router is watched by them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use super::frame::{self, Said};
use crate::io::EchoSocket;

/// Frames that are longer are none of BFD.
const LONGEST: usize = 512;
/// How many frames of one interface are read before deadlines are judged.
const BATCH: usize = 256;

/// Open sockets, by the index of their interface.
#[derive(Debug, Default)]
pub(super) struct Echoes(BTreeMap<u32, Arc<EchoSocket>>);

impl Echoes {
    /// Has these sockets and no others, as far as they can be had.
    pub(super) fn set(&mut self, interfaces: &BTreeSet<u32>) {
        self.0.retain(|index, _| interfaces.contains(index));
        for index in interfaces {
            if self.0.contains_key(index) {
                continue;
            }
            match EchoSocket::open(*index) {
                Ok(socket) => {
                    self.0.insert(*index, Arc::new(socket));
                }
                Err(error) => {
                    tracing::warn!(interface = index, %error, "no BFD echo on an interface");
                }
            }
        }
    }

    pub(super) fn get(&self, interface: u32) -> Option<Arc<EchoSocket>> {
        self.0.get(&interface).cloned()
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().map(|socket| socket.as_fd())
    }

    /// Hands out what has arrived, with its interface; true when there may be more.
    pub(super) fn read(&self, hand: &mut dyn FnMut(u32, &Said<'_>)) -> bool {
        let mut more = false;
        for (index, socket) in &self.0 {
            let mut buffer = [0; LONGEST];
            let mut count = 0;
            while let Ok(Some(length)) = socket.receive(&mut buffer) {
                let said = buffer.get(..length).and_then(frame::read);
                if let Some(said) = said {
                    hand(*index, &said);
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
