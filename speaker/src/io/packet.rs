//! One AF_PACKET socket: one protocol on one interface (A1, N1).
//!
//! Bound to its EtherType, so that VLAN demultiplexing, bridges and bonds have had their turn and a
//! frame is seen once, on the right device. Opened with protocol 0 and filtered before it is bound:
//! there is no moment in which unfiltered frames are queued.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use herald_l2::Addressed;
use libc::c_int;
use socket2::{Domain, SockAddr, SockFilter, Socket, Type};

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
        let mut control = ControlBuffer([0; 128]);
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: msghdr is plain data for which all zeros is valid.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = from.as_mut_ptr().cast();
        message.msg_namelen = length_of::<libc::sockaddr_ll>();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        // SAFETY: every pointer in `message` points to memory of the stated length that outlives
        // the call; the descriptor is open because `self.socket` is.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            let retry = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
            return if retry.contains(&error.kind()) {
                Ok(None)
            } else {
                Err(error)
            };
        };
        // SAFETY: zeroed above, so initialised whatever the kernel wrote.
        let from = unsafe { from.assume_init() };
        let mut heard = Heard {
            length: length.min(buffer.len()),
            addressed: addressed(from.sll_pkttype),
            tagged: false,
            taken: None,
        };
        read_control(&message, &mut heard);
        Ok(Some(heard))
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

/// Control messages need the alignment of their header.
#[repr(align(8))]
struct ControlBuffer([u8; 128]);

fn read_control(message: &libc::msghdr, heard: &mut Heard) {
    // SAFETY: `message` was filled in by recvmsg; the CMSG functions stay inside its control
    // buffer, and data is read unaligned, in the type the kernel wrote.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(control) = header.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (control.cmsg_level, control.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    heard.taken = duration(&time);
                }
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                    let aux = data.cast::<libc::tpacket_auxdata>().read_unaligned();
                    let valid = aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
                    heard.tagged = valid && aux.tp_vlan_tci & 0x0fff != 0;
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, control);
        }
    }
}

fn duration(time: &libc::timespec) -> Option<Duration> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(seconds, nanoseconds))
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

fn enable(socket: &Socket, level: c_int, option: c_int) -> io::Result<()> {
    let one: c_int = 1;
    set(socket, level, option, &one)
}

fn set<T>(socket: &Socket, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            length_of::<T>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
