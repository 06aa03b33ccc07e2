//! The socket beacons go through: UDP on every address of this node (protocol section 2.3).
//!
//! Whether a datagram is worth anything is told by its seal, not by where it comes from.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::message::{self, Arrival, enable};

/// DSCP CS6, network control, as IP carries it.
const TRAFFIC_CLASS: u32 = 0xc0;
/// The kernel's priority of network control.
const PRIORITY: u32 = 6;
/// What the kernel keeps for us while we are busy; it may give less.
const BACKLOG: usize = 1 << 20;

/// A socket for beacons.
#[derive(Debug)]
pub(crate) struct BeaconSocket {
    socket: Socket,
    ipv6: bool,
}

impl BeaconSocket {
    /// Opens it on both families, or on IPv4 alone where the kernel has no IPv6.
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let dual = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
            socket.set_only_v6(false)?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
            // Not every sandbox lets a socket choose its class; beacons arrive all the same.
            let _ = socket.set_tclass_v6(TRAFFIC_CLASS);
            Ok(socket)
        };
        let no_ipv6 = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
        let unsupported = |error: &io::Error| {
            error
                .raw_os_error()
                .is_some_and(|code| no_ipv6.contains(&code))
        };
        let (socket, ipv6) = match dual() {
            Ok(socket) => (socket, true),
            Err(error) if unsupported(&error) => {
                let socket =
                    Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
                socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
                (socket, false)
            }
            Err(error) => return Err(error),
        };
        // Only after it is bound: the sockets of copies share the port, another speaker does not.
        socket.set_reuse_address(true)?;
        let _ = socket.set_multicast_all_v4(false);
        if ipv6 {
            let _ = socket.set_multicast_all_v6(false);
        }
        let _ = socket.set_tos_v4(TRAFFIC_CLASS);
        let _ = socket.set_priority(PRIORITY);
        let _ = socket.set_recv_buffer_size(BACKLOG);
        enable(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
        enable(&socket, libc::SOL_IP, libc::IP_RECVERR)?;
        if ipv6 {
            enable(&socket, libc::SOL_IPV6, libc::IPV6_RECVERR)?;
        }
        Ok(Self { socket, ipv6 })
    }

    #[cfg(test)]
    pub(super) fn port(&self) -> u16 {
        let bound = self.socket.local_addr().expect("bound");
        bound.as_socket().expect("UDP").port()
    }

    /// The next queued datagram, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        message::receive(&self.socket, &mut MaybeUninit::<()>::uninit(), buffer)
    }

    /// Whose kernel refused a datagram of ours, if one did: the host lives, nobody listens on it. Has
    /// to be asked until there is none, or the socket stays readable.
    pub(crate) fn refusal(&self) -> Option<SocketAddr> {
        loop {
            let mut to = MaybeUninit::<libc::sockaddr_storage>::zeroed();
            let taken = message::receive_undelivered(&self.socket, &mut to, &mut [0; 64]);
            let arrival = taken.ok().flatten()?;
            // SAFETY: zeroed above, so initialised whatever the kernel wrote.
            let to = unsafe { to.assume_init() };
            if arrival.refused {
                return address(&to);
            }
        }
    }

    /// Sends one datagram. What became of an earlier one is reported in place of sending the next;
    /// so a failure is tried once more.
    pub(crate) fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let mapped = match to.ip() {
            IpAddr::V4(ip) if self.ipv6 => (ip.to_ipv6_mapped(), to.port()).into(),
            IpAddr::V4(_) | IpAddr::V6(_) => to,
        };
        let send = || self.socket.send_to(bytes, &mapped.into()).map(drop);
        send().or_else(|_| send())
    }
}

/// The address in a socket address of either family, unmapped.
pub(super) fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let storage = std::ptr::from_ref(storage);
    // SAFETY: both structures are smaller than the storage and made of integers, for which every bit
    // pattern is valid; the family says which was meant.
    let (family, four, six) = unsafe {
        (
            (*storage).ss_family,
            storage.cast::<libc::sockaddr_in>().read(),
            storage.cast::<libc::sockaddr_in6>().read(),
        )
    };
    match libc::c_int::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(u32::from_be(four.sin_addr.s_addr));
            Some((ip, u16::from_be(four.sin_port)).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(six.sin6_addr.s6_addr).to_canonical();
            Some((ip, u16::from_be(six.sin6_port)).into())
        }
        _ => None,
    }
}

impl AsFd for BeaconSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_both_families_arrive_with_the_time_the_kernel_took_them() {
        let receiver = BeaconSocket::open(0).expect("a socket");
        let sender = BeaconSocket::open(0).expect("a socket");
        let port = receiver.port();
        let mut targets = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        if receiver.ipv6 {
            targets.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        }
        for target in targets {
            sender.send(b"beacon", target).expect("sent");
            let mut buffer = [0; 16];
            let arrival = receiver
                .receive(&mut buffer)
                .expect("received")
                .expect("queued");
            assert_eq!(&buffer[..arrival.length], b"beacon");
            assert!(arrival.taken.is_some());
        }
        assert!(receiver.receive(&mut [0; 16]).expect("no error").is_none());
    }

    #[test]
    fn a_host_on_which_nobody_listens_is_named() {
        let sender = BeaconSocket::open(0).expect("a socket");
        let closed = BeaconSocket::open(0).expect("a socket");
        let port = closed.port();
        drop(closed);
        assert_eq!(sender.refusal(), None);
        let mut targets = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        if sender.ipv6 {
            targets.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        }
        for target in targets {
            sender.send(b"beacon", target).expect("sent");
            assert_eq!(sender.refusal(), Some(target));
        }
        assert_eq!(sender.refusal(), None);
    }
}
