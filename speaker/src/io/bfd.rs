//! UDP sockets for BFD (RFC 5881 sections 4 and 5, RFC 5883 section 5): one for each port that packets
//! come to, which says how far they came, and one for each session to send from.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::datagram::address;
use super::message::{self, enable};

/// Every packet leaves with this TTL or hop limit.
const TTL: u8 = 255;
/// DSCP CS6, network control, as IP carries it.
const TRAFFIC_CLASS: u32 = 0xc0;
/// The kernel's priority of network control.
const PRIORITY: u32 = 6;
/// Ports to send from.
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = 16_384;
/// How many of them are tried.
const TRIES: u16 = 64;

/// Where a datagram came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From {
    pub length: usize,
    pub address: IpAddr,
    pub interface: Option<u32>,
    pub ttl: u8,
}

/// A port that packets come to, for one family.
#[derive(Debug)]
pub(crate) struct BfdListener(Socket);

impl BfdListener {
    /// Opens it on every address, or on those of a VRF's device.
    ///
    /// # Errors
    /// When the port is taken, or there is no such device.
    pub(crate) fn open(ipv6: bool, port: u16, device: Option<&str>) -> io::Result<Self> {
        bound(ipv6, port, device).map(Self)
    }

    /// The next queued datagram, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<From>> {
        let mut from = MaybeUninit::<libc::sockaddr_storage>::zeroed();
        let Some(arrival) = message::receive(&self.0, &mut from, buffer)? else {
            return Ok(None);
        };
        // SAFETY: zeroed above, so initialised whatever the kernel wrote.
        let from = address(unsafe { from.assume_init_ref() });
        let from = from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |from| from.ip());
        Ok(Some(From {
            length: arrival.length,
            address: from,
            interface: arrival.interface,
            // What does not say how far it came came from afar.
            ttl: arrival.ttl.unwrap_or_default(),
        }))
    }
}

impl AsFd for BfdListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What one session sends from: a port of its own.
#[derive(Debug)]
pub(crate) struct BfdSender(Socket);

impl BfdSender {
    /// Opens it for datagrams to `router`, from `source` where that is given, whatever its port; `seed`
    /// says which port is tried first.
    ///
    /// # Errors
    /// When the node has no such address or device, or no port is left.
    pub(crate) fn open(
        router: IpAddr,
        source: Option<SocketAddr>,
        device: Option<&str>,
        seed: u32,
    ) -> io::Result<Self> {
        let socket = socket(router.is_ipv6(), device)?;
        match router {
            IpAddr::V4(_) => socket.set_ttl_v4(TTL.into())?,
            IpAddr::V6(_) => socket.set_unicast_hops_v6(TTL.into())?,
        }
        // Nobody reads what comes back to it.
        let _ = socket.set_recv_buffer_size(0);
        let anywhere = match router {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let mut source = source.unwrap_or(SocketAddr::new(anywhere, 0));
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for attempt in 0..TRIES {
            let port = seed.wrapping_add(attempt.into()) % u32::from(PORTS);
            let port = FIRST_PORT.saturating_add(u16::try_from(port).unwrap_or_default());
            source.set_port(port);
            match socket.bind(&source.into()) {
                Ok(()) => return Ok(Self(socket)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Sends one datagram.
    pub(crate) fn send(&self, octets: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(octets, &to.into()).map(drop)
    }
}

/// A socket that datagrams come to, on every address, or on those of a VRF's device; it says of each how
/// far it came and where it arrived.
pub(super) fn bound(ipv6: bool, port: u16, device: Option<&str>) -> io::Result<Socket> {
    let socket = socket(ipv6, device)?;
    // The port of the node and that of a VRF do not exclude each other; another daemon does.
    socket.set_reuse_address(device.is_some())?;
    if ipv6 {
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        enable(&socket, libc::SOL_IPV6, libc::IPV6_RECVHOPLIMIT)?;
        enable(&socket, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO)?;
    } else {
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        enable(&socket, libc::SOL_IP, libc::IP_RECVTTL)?;
        enable(&socket, libc::SOL_IP, libc::IP_PKTINFO)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn socket(ipv6: bool, device: Option<&str>) -> io::Result<Socket> {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
    // Not every sandbox lets a socket choose its class; packets arrive all the same.
    if ipv6 {
        socket.set_only_v6(true)?;
        let _ = socket.set_tclass_v6(TRAFFIC_CLASS);
    } else {
        let _ = socket.set_tos_v4(TRAFFIC_CLASS);
    }
    let _ = socket.set_priority(PRIORITY);
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(socket: &Socket) -> u16 {
        let bound = socket.local_addr().expect("bound");
        bound.as_socket().expect("UDP").port()
    }

    #[test]
    fn a_datagram_tells_how_far_it_came_and_where_it_arrived() {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for here in loopback {
            let listener = BfdListener::open(here.is_ipv6(), 0, None).expect("a socket");
            let to = SocketAddr::new(here, port(&listener.0));
            let from = SocketAddr::new(here, 0);
            let sender = BfdSender::open(here, Some(from), None, 7).expect("a socket");
            sender.send(b"packet", to).expect("sent");
            let mut buffer = [0; 16];
            let from = listener.receive(&mut buffer).expect("received");
            let expected = From {
                length: 6,
                address: here,
                interface: Some(1),
                ttl: 255,
            };
            assert_eq!(from, Some(expected));
            assert!(listener.receive(&mut buffer).expect("no error").is_none());
        }
    }

    /// RFC 5881 section 4.
    #[test]
    fn each_session_sends_from_a_port_of_its_own_among_the_dynamic_ones() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let from = SocketAddr::new(here, 0);
        let open = |seed| BfdSender::open(here, Some(from), None, seed).expect("a socket");
        let senders: Vec<BfdSender> = [5, 5, 5, u32::MAX].map(open).into();
        let mut ports: Vec<u16> = senders.iter().map(|sender| port(&sender.0)).collect();
        assert!(ports.iter().all(|port| *port >= 49_152));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 4);
    }

    #[test]
    fn a_port_that_another_daemon_has_is_not_shared_with_it() {
        let other = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        other
            .bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())
            .expect("bound");
        let refused = BfdListener::open(false, port(&other), None).expect_err("taken");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }
}
