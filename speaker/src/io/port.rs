//! One interface to announce on: its ARP and its NDP socket, and one for copies of beacons.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use herald_l2::{ETHERTYPE_ARP, ETHERTYPE_IPV6};

use super::copies::CopySocket;
use super::filter;
use super::message::Arrival;
use super::packet::{Heard, PacketSocket};

/// The sockets of one interface.
#[derive(Debug)]
pub(crate) struct Port {
    arp: PacketSocket,
    ndp: PacketSocket,
    /// None where the kernel refuses: then nothing is known of who hears whom.
    copies: Option<CopySocket>,
    index: u32,
}

impl Port {
    /// Opens the sockets on this interface; copies go to this UDP port.
    pub(crate) fn open(name: &str, index: u32, port: u16) -> io::Result<Self> {
        let [arp, ndp] = [filter::arp(), filter::ndp()].map(|program| {
            let mut program = Vec::from(program);
            program.push(filter::accept());
            program
        });
        Ok(Self {
            arp: PacketSocket::open(ETHERTYPE_ARP, index, &arp)?,
            ndp: PacketSocket::open(ETHERTYPE_IPV6, index, &ndp)?,
            copies: CopySocket::open(name, index, port)
                .inspect_err(|error| tracing::warn!(name, %error, "no copies of beacons on it"))
                .ok(),
            index,
        })
    }

    /// The next queued copy of a beacon.
    pub(crate) fn receive_copy(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        let copies = self.copies.as_ref();
        copies.map_or(Ok(None), |copies| copies.receive(buffer))
    }

    /// Sends a copy of a beacon; whether it left.
    pub(crate) fn send_copy(&self, bytes: &[u8]) -> bool {
        let copies = self.copies.as_ref();
        copies.is_some_and(|copies| copies.send(bytes))
    }

    /// The next queued frame of either protocol.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Heard>> {
        match self.arp.receive(buffer)? {
            Some(heard) => Ok(Some(heard)),
            None => self.ndp.receive(buffer),
        }
    }

    /// Sends an Ethernet frame, through the socket of its protocol: what the kernel's own filters
    /// see of it is then right.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        if frame.get(12..14) == Some(&ETHERTYPE_IPV6.to_be_bytes()) {
            self.ndp.send(frame)
        } else {
            self.arp.send(frame)
        }
    }

    /// Hear every multicast frame on the interface, as long as the port lives (N4).
    pub(crate) fn hear_all_groups(&self) -> io::Result<()> {
        self.ndp.hear_all_groups(self.index)
    }

    /// The descriptors to wait on.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let copies = self.copies.iter().flat_map(CopySocket::descriptors);
        [self.arp.as_fd(), self.ndp.as_fd()]
            .into_iter()
            .chain(copies)
    }
}
