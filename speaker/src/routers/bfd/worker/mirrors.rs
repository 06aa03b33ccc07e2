//! Sends echo packets back that neighbours send to this node and not through it, as FRR does over IPv6.
//!
//! The same octets, to the neighbour of a session and to nobody else, as often as that session allows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd};

use herald_bfd::ECHO_PORT;

use crate::io::{Echoed, MirrorSocket};

/// A longer payload is no echo packet: FRR's has 24 octets.
const LONGEST: usize = 256;
/// How many packets of one port are read before deadlines are judged.
const BATCH: usize = 256;

/// Open ports, by the device of their VRF.
#[derive(Debug, Default)]
pub(super) struct Mirrors(BTreeMap<Option<String>, MirrorSocket>);

impl Mirrors {
    /// Opens the port on a device; why it cannot be had, for the operator.
    pub(super) fn open(&mut self, device: Option<&str>) -> Result<(), String> {
        if self.0.contains_key(&device.map(str::to_owned)) {
            return Ok(());
        }
        match MirrorSocket::open(ECHO_PORT, device) {
            Ok(socket) => {
                self.0.insert(device.map(str::to_owned), socket);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => Err(format!(
                "UDP port {ECHO_PORT} is taken on this node, so there is no BFD echo over IPv6: does another BFD daemon run there?"
            )),
            Err(error) => Err(format!(
                "UDP port {ECHO_PORT} cannot be had, so there is no BFD echo over IPv6: {error}"
            )),
        }
    }

    /// Closes the ports of other devices.
    pub(super) fn retain(&mut self, devices: &BTreeSet<Option<String>>) {
        self.0.retain(|device, _| devices.contains(device));
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().map(|socket| socket.as_fd())
    }

    /// Sends back what has arrived and `goes_back`, which is asked with the device; true when there may be
    /// more.
    pub(super) fn read(&self, goes_back: &mut dyn FnMut(Option<&str>, &Echoed) -> bool) -> bool {
        let mut more = false;
        for (device, socket) in &self.0 {
            // One more than fits: what is longer than that is cut by the kernel, and must not go back.
            let mut buffer = [0; LONGEST + 1];
            let mut count = 0;
            while let Ok(Some(echoed)) = socket.receive(&mut buffer) {
                let whole = buffer.get(..echoed.length.min(buffer.len()));
                let whole = whole.filter(|octets| octets.len() <= LONGEST);
                if let Some(octets) = whole
                    && goes_back(device.as_deref(), &echoed)
                    && let Err(error) = socket.send_back(octets, &echoed, ECHO_PORT)
                {
                    let router = echoed.source;
                    tracing::debug!(%router, %error, "a BFD echo packet did not go back");
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
