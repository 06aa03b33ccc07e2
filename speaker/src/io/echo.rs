//! A packet socket for BFD over IPv4 on one interface: echo packets, which the kernel would not send to an
//! address of its own by way of another host, nor take back from there, and control packets, which say
//! where that host is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::filter;
use super::packet::PacketSocket;

/// EtherType of IPv4.
const ETHERTYPE_IPV4: u16 = 0x0800;

/// The socket of one interface.
#[derive(Debug)]
pub(crate) struct EchoSocket(PacketSocket);

impl EchoSocket {
    /// Opens it on this interface. It takes CAP_NET_RAW.
    ///
    /// # Errors
    /// When the capability is missing, or there is no such interface.
    pub(crate) fn open(index: u32) -> io::Result<Self> {
        let mut program = Vec::from(filter::bfd());
        program.push(filter::accept());
        PacketSocket::open(ETHERTYPE_IPV4, index, &program).map(Self)
    }

    /// The next queued Ethernet frame without a VLAN tag: its length.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.0.receive(buffer)? {
                Some(heard) if heard.tagged => {}
                Some(heard) => return Ok(Some(heard.length)),
                None => return Ok(None),
            }
        }
    }

    /// Sends an Ethernet frame.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.send(frame)
    }
}

impl AsFd for EchoSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
