//! Receiving with what the kernel adds: when it took the message from the wire, its VLAN tag, how far it
//! came and where it arrived, or that it is one of ours that came back. Sending from where one arrived.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::time::Duration;

use libc::c_int;
use socket2::{SockAddr, Socket};

/// A message that arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Octets of it in the buffer.
    pub length: usize,
    /// It carried a VLAN tag.
    pub tagged: bool,
    /// When the kernel took it from the wire, since 1970; none if it did not say.
    pub taken: Option<Duration>,
    /// It is a message of ours that the receiver's kernel refused (ICMP port unreachable).
    pub refused: bool,
    /// The TTL or hop limit it arrived with, where that is asked for.
    pub ttl: Option<u8>,
    /// Index of the interface it arrived on, where that is asked for.
    pub interface: Option<u32>,
    /// The address of IPv6 it was sent to, where that is asked for.
    pub here: Option<Ipv6Addr>,
}

/// The next queued message, if there is one; `from` is filled as far as the kernel fills it.
pub(super) fn receive<A>(
    socket: &Socket,
    from: &mut MaybeUninit<A>,
    buffer: &mut [u8],
) -> io::Result<Option<Arrival>> {
    take(socket, from, buffer, 0)
}

/// The next queued message of ours that could not be delivered, if there is one; `to` is filled with
/// where it was sent.
pub(super) fn receive_undelivered<A>(
    socket: &Socket,
    to: &mut MaybeUninit<A>,
    buffer: &mut [u8],
) -> io::Result<Option<Arrival>> {
    take(socket, to, buffer, libc::MSG_ERRQUEUE)
}

fn take<A>(
    socket: &Socket,
    name: &mut MaybeUninit<A>,
    buffer: &mut [u8],
    flags: c_int,
) -> io::Result<Option<Arrival>> {
    let mut control = ControlBuffer([0; 128]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: msghdr is plain data for which all zeros is valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = length_of::<A>();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: every pointer in `message` points to memory of the stated length that outlives the
    // call; the descriptor is open because `socket` is.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let Ok(length) = usize::try_from(length) else {
        let error = io::Error::last_os_error();
        let retry = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
        return if retry.contains(&error.kind()) {
            Ok(None)
        } else {
            Err(error)
        };
    };
    let mut arrival = Arrival {
        length: length.min(buffer.len()),
        tagged: false,
        taken: None,
        refused: false,
        ttl: None,
        interface: None,
        here: None,
    };
    read_control(&message, &mut arrival);
    Ok(Some(arrival))
}

/// Sends a datagram from this address of the node, over this interface.
pub(super) fn send_from(
    socket: &Socket,
    here: Ipv6Addr,
    interface: u32,
    octets: &[u8],
    to: SocketAddrV6,
) -> io::Result<()> {
    let to = SockAddr::from(to);
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: here.octets(),
        },
        ipi6_ifindex: interface,
    };
    let mut control = ControlBuffer([0; 128]);
    let mut part = libc::iovec {
        iov_base: octets.as_ptr().cast_mut().cast(),
        iov_len: octets.len(),
    };
    // SAFETY: msghdr is plain data for which all zeros is valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: the CMSG functions compute lengths and places; an in6_pktinfo and its header fit into the
    // control buffer with room to spare, and data is written unaligned.
    unsafe {
        let length = length_of::<libc::in6_pktinfo>();
        message.msg_controllen = usize::try_from(libc::CMSG_SPACE(length)).unwrap_or_default();
        if let Some(header) = libc::CMSG_FIRSTHDR(&raw const message).as_mut() {
            header.cmsg_level = libc::SOL_IPV6;
            header.cmsg_type = libc::IPV6_PKTINFO;
            header.cmsg_len = usize::try_from(libc::CMSG_LEN(length)).unwrap_or_default();
            let data = libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>();
            data.write_unaligned(info);
        }
    }
    // SAFETY: every pointer in `message` points to memory of the stated length that outlives the call and
    // that the kernel only reads; the descriptor is open because `socket` is.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Control messages need the alignment of their header.
#[repr(align(8))]
struct ControlBuffer([u8; 128]);

fn read_control(message: &libc::msghdr, arrival: &mut Arrival) {
    // SAFETY: `message` was filled in by recvmsg; the CMSG functions stay inside its control
    // buffer, and data is read unaligned, in the type the kernel wrote.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(control) = header.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (control.cmsg_level, control.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    arrival.taken = duration(&time);
                }
                (libc::SOL_IP, libc::IP_RECVERR) | (libc::SOL_IPV6, libc::IPV6_RECVERR) => {
                    let error = data.cast::<libc::sock_extended_err>().read_unaligned();
                    arrival.refused = error.ee_errno == libc::ECONNREFUSED.unsigned_abs();
                }
                (libc::SOL_IP, libc::IP_TTL) | (libc::SOL_IPV6, libc::IPV6_HOPLIMIT) => {
                    let ttl = data.cast::<c_int>().read_unaligned();
                    arrival.ttl = u8::try_from(ttl).ok();
                }
                (libc::SOL_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    arrival.interface = u32::try_from(info.ipi_ifindex).ok();
                }
                (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    arrival.interface = Some(info.ipi6_ifindex);
                    arrival.here = Some(info.ipi6_addr.s6_addr.into());
                }
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                    let aux = data.cast::<libc::tpacket_auxdata>().read_unaligned();
                    let valid = aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
                    arrival.tagged = valid && aux.tp_vlan_tci & 0x0fff != 0;
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

pub(super) fn enable(socket: &Socket, level: c_int, option: c_int) -> io::Result<()> {
    let one: c_int = 1;
    set(socket, level, option, &one)
}

pub(super) fn set<T>(socket: &Socket, level: c_int, option: c_int, value: &T) -> io::Result<()> {
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

pub(super) fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
