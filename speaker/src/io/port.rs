//! One interface to announce on: its ARP and its NDP socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use herald_l2::{ETHERTYPE_ARP, ETHERTYPE_IPV6};

use super::filter;
use super::packet::{Heard, PacketSocket};

/// The sockets of one interface.
#[derive(Debug)]
pub(crate) struct Port {
    arp: PacketSocket,
    ndp: PacketSocket,
    index: u32,
}

impl Port {
    /// Opens both sockets on the interface with this index.
    pub(crate) fn open(index: u32) -> io::Result<Self> {
        let [arp, ndp] = [filter::arp(), filter::ndp()].map(|program| {
            let mut program = Vec::from(program);
            program.push(filter::accept());
            program
        });
        Ok(Self {
            arp: PacketSocket::open(ETHERTYPE_ARP, index, &arp)?,
            ndp: PacketSocket::open(ETHERTYPE_IPV6, index, &ndp)?,
            index,
        })
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
    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.arp.as_fd(), self.ndp.as_fd()]
    }
}
