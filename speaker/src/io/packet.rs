//! One AF_PACKET socket: one protocol on one interface (A1, N1).
//!
//! Bound to its EtherType, so that VLAN demultiplexing, bridges and bonds have had their turn and a
//! frame is seen once, on the right device. Opened with protocol 0 and filtered before it is bound:
//! there is no moment in which unfiltered frames are queued.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use herald_l2::Addressed;
use libc::c_int;
use socket2::{Domain, SockAddr, SockFilter, Socket, Type};

use super::message::{self, enable, length_of, set};

/// A frame that was heard, and what the kernel says about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    /// Octets of the frame in the buffer.
    pub length: usize,
    /// Whom it was addressed to.
    pub addressed: Addressed,
    /// It carried a VLAN tag.
    pub tagged: bool,
    /// When the kernel took it from the wire, since 1970; none if it did not say.
    pub taken: Option<Duration>,
}

/// One protocol on one interface.
#[derive(Debug)]
pub(super) struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    pub(super) fn open(ethertype: u16, index: u32, filter: &[SockFilter]) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), None)?;
        socket.attach_filter(filter)?;
        enable(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING)?;
        enable(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA)?;
        enable(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
        socket.bind(&link_address(ethertype, index)?)?;
        Ok(Self { socket })
    }

    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame).map(drop)
    }

    /// The next queued frame, if there is one.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Heard>> {
        let mut from = MaybeUninit::<libc::sockaddr_ll>::zeroed();
        let Some(arrival) = message::receive(&self.socket, &mut from, buffer)? else {
            return Ok(None);
        };
        // SAFETY: zeroed above, so initialised whatever the kernel wrote.
        let from = unsafe { from.assume_init() };
        Ok(Some(Heard {
            length: arrival.length,
            addressed: addressed(from.sll_pkttype),
            tagged: arrival.tagged,
            taken: arrival.taken,
        }))
    }

    /// Hear every multicast frame on the interface, as long as this socket lives (N4).
    pub(super) fn hear_all_groups(&self, index: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: c_int::try_from(index).map_err(io::Error::other)?,
            mr_type: u16::try_from(libc::PACKET_MR_ALLMULTI).map_err(io::Error::other)?,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(
            &self.socket,
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            &request,
        )
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn addressed(packet_type: u8) -> Addressed {
    match packet_type {
        libc::PACKET_HOST => Addressed::Host,
        libc::PACKET_BROADCAST | libc::PACKET_MULTICAST => Addressed::Group,
        _ => Addressed::OtherHost,
    }
}

fn link_address(ethertype: u16, index: u32) -> io::Result<SockAddr> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: c_int::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: sockaddr_storage is large and aligned enough for a sockaddr_ll, and the length says
    // how much of it is meant.
    let (_, address) = unsafe {
        SockAddr::try_init(|storage, length| {
            storage.cast::<libc::sockaddr_ll>().write(address);
            length.write(length_of::<libc::sockaddr_ll>());
            Ok(())
        })?
    };
    Ok(address)
}
