//! A raw ICMPv6 socket for router solicitations and advertisements on one interface (RFC 4861).
//!
//! Bound to the interface and to its link-local address, which everything is sent from. The kernel makes
//! and checks checksums; how far a message came is for the reader to judge.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};

use herald_l2::discovery::ALL_ROUTERS;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::datagram::address;
use super::message::{self, enable, set};

/// `ICMP6_FILTER`, from linux/icmpv6.h: a bit that is set keeps the type away.
const ICMP6_FILTER: libc::c_int = 1;
/// Types 133 and 134.
const FILTER: [u32; 8] = {
    let mut filter = [u32::MAX; 8];
    filter[4] = !(1 << 5 | 1 << 6);
    filter
};
/// Every message leaves with this hop limit (RFC 4861 sections 4.1 and 4.2).
const HOP_LIMIT: u32 = 255;

/// A message that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Came {
    /// Octets of it in the buffer, from the ICMPv6 type on.
    pub length: usize,
    pub source: Ipv6Addr,
    pub hop_limit: u8,
}

/// The socket of one interface.
#[derive(Debug)]
pub(crate) struct DiscoverySocket {
    socket: AsyncFd<Socket>,
    index: u32,
}

impl DiscoverySocket {
    /// Opens it on this interface, with this link-local address of it. It takes CAP_NET_RAW.
    ///
    /// # Errors
    /// When the capability is missing, or the interface does not have the address any more.
    pub(crate) fn open(name: &str, index: u32, own: Ipv6Addr) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6))?;
        set(&socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &FILTER)?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.set_unicast_hops_v6(HOP_LIMIT)?;
        socket.set_multicast_hops_v6(HOP_LIMIT)?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_loop_v6(false)?;
        enable(&socket, libc::SOL_IPV6, libc::IPV6_RECVHOPLIMIT)?;
        socket.join_multicast_v6(&ALL_ROUTERS, index)?;
        socket.bind(&SocketAddrV6::new(own, 0, 0, index).into())?;
        // SAFETY: a Socket owns its descriptor, which stays open and the same as long as it lives.
        let socket = unsafe { AsyncFd::register(socket) }?;
        Ok(Self { socket, index })
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Came> {
        loop {
            let mut ready = self.socket.readable().await?;
            let mut from = MaybeUninit::<libc::sockaddr_storage>::zeroed();
            let Some(arrival) = message::receive(self.socket.get_ref(), &mut from, buffer)? else {
                ready.clear_ready();
                continue;
            };
            // SAFETY: zeroed above, so initialised whatever the kernel wrote.
            let from = address(unsafe { from.assume_init_ref() });
            let source = match from.map(|from| from.ip()) {
                Some(IpAddr::V6(source)) => source,
                Some(IpAddr::V4(_)) | None => Ipv6Addr::UNSPECIFIED,
            };
            return Ok(Came {
                length: arrival.length,
                source,
                // What does not say how far it came came from afar.
                hop_limit: arrival.ttl.unwrap_or_default(),
            });
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn send(&self, octets: &[u8], to: Ipv6Addr) -> io::Result<()> {
        let to = SocketAddrV6::new(to, 0, 0, self.index);
        self.socket.get_ref().send_to(octets, &to.into()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Index of the loopback interface in every network namespace.
    const LOOPBACK: u32 = 1;

    #[tokio::test]
    async fn only_messages_of_router_discovery_are_heard_with_how_far_they_came() {
        let here = Ipv6Addr::LOCALHOST;
        let socket = match DiscoverySocket::open("lo", LOOPBACK, here) {
            Ok(socket) => socket,
            // Without CAP_NET_RAW; the lab's speakers have it.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
            Err(error) => panic!("{error}"),
        };
        let echo_request = [128, 0, 0, 0, 0, 1, 0, 1];
        let solicitation = [133, 0, 0, 0, 0, 0, 0, 0];
        socket.send(&echo_request, here).expect("sent");
        socket.send(&solicitation, here).expect("sent");
        let mut buffer = [0; 64];
        let came = socket.receive(&mut buffer).await.expect("received");
        let expected = Came {
            length: 8,
            source: here,
            hop_limit: 255,
        };
        assert_eq!(came, expected);
        assert_eq!((buffer[0], buffer[1]), (133, 0));
        assert_ne!(buffer[2..4], [0, 0], "the kernel writes the checksum");
    }
}
