//! A packet socket for BFD on one interface, over IPv4 or IPv6: echo packets, which the kernel would not
//! send to an address of its own by way of another host, nor, over IPv4, take back from there, and control
//! packets, which say where that host is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::filter;
use super::packet::PacketSocket;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The socket of one interface and family.
#[derive(Debug)]
pub(crate) struct EchoSocket(PacketSocket);

impl EchoSocket {
    /// Opens it on this interface. It takes CAP_NET_RAW.
    ///
    /// # Errors
    /// When the capability is missing, or there is no such interface.
    pub(crate) fn open(index: u32, ipv6: bool) -> io::Result<Self> {
        let (ethertype, mut program) = if ipv6 {
            (ETHERTYPE_IPV6, Vec::from(filter::bfd_over_ipv6()))
        } else {
            (ETHERTYPE_IPV4, Vec::from(filter::bfd()))
        };
        program.push(filter::accept());
        PacketSocket::open(ethertype, index, &program).map(Self)
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
