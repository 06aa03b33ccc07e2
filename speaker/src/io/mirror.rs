//! The UDP port that BFD echo packets of IPv6 come to (RFC 5881 section 4): those of neighbours that send
//! them to this node and not through it.
//!
//! Those of this node that came back arrive here too, and would be answered with ICMPv6 errors if nobody had
//! the port; they are read elsewhere (`echo`). Over IPv4 the kernel drops both.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::Socket;

use super::bfd::bound;
use super::datagram::address;
use super::message;

/// One hop less than echo packets begin with: who takes it for a new one would send it back again.
const TTL: u32 = 254;

/// An echo packet of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Echoed {
    pub length: usize,
    pub source: Ipv6Addr,
    /// The address of this node it was sent to.
    pub here: Ipv6Addr,
    pub interface: u32,
    pub ttl: u8,
}

/// The port, of the node or of a VRF's device.
#[derive(Debug)]
pub(crate) struct MirrorSocket(Socket);

impl MirrorSocket {
    /// # Errors
    /// When the port is taken, or there is no such device.
    pub(crate) fn open(port: u16, device: Option<&str>) -> io::Result<Self> {
        let socket = bound(true, port, device)?;
        socket.set_unicast_hops_v6(TTL)?;
        Ok(Self(socket))
    }

    /// The next queued packet, if there is one.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Echoed>> {
        loop {
            let mut from = MaybeUninit::<libc::sockaddr_storage>::zeroed();
            let Some(arrival) = message::receive(&self.0, &mut from, buffer)? else {
                return Ok(None);
            };
            // SAFETY: zeroed above, so initialised whatever the kernel wrote.
            let from = address(unsafe { from.assume_init_ref() });
            let from = from.map(|from| from.ip());
            if let (Some(IpAddr::V6(source)), Some(here), Some(interface), Some(ttl)) =
                (from, arrival.here, arrival.interface, arrival.ttl)
            {
                return Ok(Some(Echoed {
                    length: arrival.length,
                    source,
                    here,
                    interface,
                    ttl,
                }));
            }
        }
    }

    /// Sends these octets to a port of who sent the packet, from where it arrived.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn send_back(&self, octets: &[u8], to: &Echoed, port: u16) -> io::Result<()> {
        let address = SocketAddrV6::new(to.source, port, 0, to.interface);
        message::send_from(&self.0, to.here, to.interface, octets, address)
    }
}

impl AsFd for MirrorSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use socket2::{Domain, Protocol, Type};

    use super::*;

    /// Index of the loopback interface in every network namespace.
    const LOOPBACK: u32 = 1;

    fn port(socket: &Socket) -> u16 {
        let bound = socket.local_addr().expect("bound");
        bound.as_socket().expect("UDP").port()
    }

    #[test]
    fn a_packet_goes_back_from_where_it_arrived_one_hop_less() {
        let here = Ipv6Addr::LOCALHOST;
        let mirror = MirrorSocket::open(0, None).expect("a socket");
        let sender = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
        sender.set_unicast_hops_v6(255).expect("set");
        let to = SocketAddr::from((here, port(&mirror.0)));
        sender.send_to(b"packet", &to.into()).expect("sent");
        let mut buffer = [0; 16];
        let echoed = mirror.receive(&mut buffer).expect("received");
        let expected = Echoed {
            length: 6,
            source: here,
            here,
            interface: LOOPBACK,
            ttl: 255,
        };
        assert_eq!(echoed, Some(expected));

        let neighbour = MirrorSocket::open(0, None).expect("a socket");
        let its_port = port(&neighbour.0);
        mirror
            .send_back(&buffer[..6], &expected, its_port)
            .expect("sent");
        let mut buffer = [0; 16];
        let echoed = neighbour.receive(&mut buffer).expect("received");
        assert_eq!(
            echoed,
            Some(Echoed {
                ttl: 254,
                ..expected
            })
        );
        assert_eq!(&buffer[..6], b"packet");
        assert_eq!(mirror.receive(&mut buffer).expect("no error"), None);
    }

    #[test]
    fn nothing_goes_out_from_an_address_of_somebody_else() {
        let mirror = MirrorSocket::open(0, None).expect("a socket");
        let foreign = Echoed {
            length: 6,
            source: Ipv6Addr::LOCALHOST,
            here: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
            interface: LOOPBACK,
            ttl: 255,
        };
        assert!(mirror.send_back(b"packet", &foreign, 9).is_err());
    }
}
