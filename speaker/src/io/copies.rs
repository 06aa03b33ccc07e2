//! The copies of beacons that prove the announced network: one interface, everybody on it (protocol
//! section 2.4, "L2 copy").
//!
//! To link-local groups, which switches flood whatever they snoop, and no router forwards. Both
//! families are tried; who hears one is content.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::message::{self, Arrival, enable};

/// For experiments within one network (RFC 3692, RFC 4727).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 254);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x114);

/// The sockets of one interface: each with the group it sends to.
#[derive(Debug)]
pub(crate) struct CopySocket(Vec<(Socket, SocketAddr)>);

impl CopySocket {
    /// # Errors
    /// Neither family can be had.
    pub(crate) fn open(name: &str, index: u32, port: u16) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let mut last = None;
        for group in [
            SocketAddr::from((GROUP_V4, port)),
            SocketAddrV6::new(GROUP_V6, port, 0, index).into(),
        ] {
            match join(name, index, group) {
                Ok(socket) => sockets.push((socket, group)),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self(sockets)),
        }
    }

    /// The next queued copy, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Arrival>> {
        for (socket, _) in &self.0 {
            let mut from = MaybeUninit::<()>::uninit();
            if let Some(arrival) = message::receive(socket, &mut from, buffer)? {
                return Ok(Some(arrival));
            }
        }
        Ok(None)
    }

    /// Sends a copy; whether it left.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        let mut left = false;
        for (socket, group) in &self.0 {
            left |= socket.send_to(bytes, &(*group).into()).is_ok();
        }
        left
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(socket, _)| socket.as_fd())
    }
}

/// Bound to the group, so that it takes no beacon away from the socket of those, and to the interface.
fn join(name: &str, index: u32, group: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(group);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    match group {
        SocketAddr::V4(_) => {
            let interface = InterfaceIndexOrAddress::Index(index);
            socket.join_multicast_v4_n(&GROUP_V4, &interface)?;
            socket.set_multicast_loop_v4(false)?;
            socket.set_multicast_ttl_v4(1)?;
        }
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.join_multicast_v6(&GROUP_V6, index)?;
            socket.set_multicast_if_v6(index)?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_hops_v6(1)?;
        }
    }
    enable(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
    socket.bind(&group.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::BeaconSocket;

    /// Index of the loopback interface in every network namespace.
    const LOOPBACK: u32 = 1;

    #[test]
    fn copies_share_the_port_of_beacons_and_take_none_of_them() {
        let beacons = BeaconSocket::open(0).expect("a socket");
        let port = beacons.port();
        let copies = CopySocket::open("lo", LOOPBACK, port).expect("at least one family");
        let sender = BeaconSocket::open(0).expect("a socket");
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        sender.send(b"beacon", target).expect("sent");
        let mut buffer = [0; 16];
        let taken = copies.receive(&mut buffer).expect("no error");
        assert!(taken.is_none());
        let arrival = beacons.receive(&mut buffer).expect("no error");
        assert_eq!(arrival.map(|arrival| arrival.length), Some(6));
    }

    #[test]
    fn copies_reach_the_group_and_not_the_socket_of_beacons() {
        let beacons = BeaconSocket::open(0).expect("a socket");
        let port = beacons.port();
        let copies = CopySocket::open("lo", LOOPBACK, port).expect("at least one family");
        for (socket, group) in &copies.0 {
            match group {
                SocketAddr::V4(_) => socket.set_multicast_loop_v4(true),
                SocketAddr::V6(_) => socket.set_multicast_loop_v6(true),
            }
            .expect("allowed");
        }
        assert!(copies.send(b"here"));
        let mut buffer = [0; 16];
        let arrival = copies.receive(&mut buffer).expect("no error");
        let arrival = arrival.expect("it came back");
        assert_eq!(&buffer[..arrival.length], b"here");
        assert!(arrival.taken.is_some());
        assert!(beacons.receive(&mut buffer).expect("no error").is_none());
        let second = BeaconSocket::open(port);
        assert!(second.is_err(), "the port is one speaker's");
    }
}
