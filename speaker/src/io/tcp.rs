//! Options of TCP sockets that no safe wrapper offers: MD5 signatures and the least TTL.

use std::io;
use std::mem::size_of;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd as _};

/// `TCP_MD5SIG` (RFC 2385), from linux/tcp.h.
const TCP_MD5SIG: libc::c_int = 14;

/// `struct tcp_md5sig` without extended flags.
#[repr(C)]
struct Md5Signature {
    address: libc::sockaddr_storage,
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    interface: u32,
    key: [u8; 80],
}

/// Signs segments to and from `router`, and takes no others. An empty key ends it.
///
/// # Errors
/// When the key is longer than 80 octets, or the kernel has no MD5 signatures.
pub(crate) fn set_md5(socket: &impl AsFd, router: IpAddr, key: &[u8]) -> io::Result<()> {
    let mut signature = Md5Signature {
        address: storage(router),
        flags: 0,
        prefix_length: 0,
        key_length: 0,
        interface: 0,
        key: [0; 80],
    };
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a key has at most 80 octets");
    let place = signature.key.get_mut(..key.len()).ok_or_else(too_long)?;
    place.copy_from_slice(key);
    signature.key_length = u16::try_from(key.len()).map_err(|_| too_long())?;
    set(socket, libc::IPPROTO_TCP, TCP_MD5SIG, &signature)
}

/// Drops what arrives with a lower TTL or hop limit (RFC 5082).
///
/// # Errors
/// What the kernel says.
pub(crate) fn set_least_ttl(socket: &impl AsFd, router: IpAddr, least: u8) -> io::Result<()> {
    let least = libc::c_int::from(least);
    match router {
        IpAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &least),
        IpAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &least),
    }
}

/// The address as the kernel wants it, with port 0: the kernel looks at the address alone.
pub(super) fn storage(address: IpAddr) -> libc::sockaddr_storage {
    let address = socket2::SockAddr::from(std::net::SocketAddr::new(address, 0));
    // SAFETY: all zeroes is a valid sockaddr_storage, which is plain data.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    // SAFETY: `address` holds `len` initialised octets at `as_ptr`, at most as many as a
    // sockaddr_storage has room for, and the two do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            address.as_ptr().cast::<u8>(),
            std::ptr::from_mut(&mut storage).cast::<u8>(),
            (address.len() as usize).min(size_of::<libc::sockaddr_storage>()),
        );
    }
    storage
}

/// Gives the kernel the value of an option as it is laid out in memory.
pub(super) fn set<T>(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed and open, and `value` points to `length` octets that live
    // until the call returns; the kernel only reads them.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::time::Duration;

    use socket2::{Domain, Socket, Type};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn connect(port: u16, key: &[u8]) -> io::Result<std::net::TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        set_md5(&socket, HERE, key)?;
        let address = SocketAddr::new(HERE, port);
        socket.connect_timeout(&address.into(), Duration::from_millis(300))?;
        Ok(socket.into())
    }

    #[test]
    fn the_kernel_takes_a_connection_that_is_signed_with_the_same_key_and_no_other() {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        set_md5(&listener, HERE, b"same").unwrap();
        let refused = connect(port, b"other").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        let mut near = connect(port, b"same").unwrap();
        near.write_all(b"x").unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut octet = [0];
        far.read_exact(&mut octet).unwrap();
        assert_eq!(&octet, b"x");
        assert!(set_md5(&near, HERE, &[0; 81]).is_err());
    }

    #[test]
    fn the_kernel_drops_what_came_from_further_away() {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        set_least_ttl(&listener, HERE, 255).unwrap();
        let connect = |ttl| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_ttl_v4(ttl).unwrap();
            socket.connect_timeout(&address.into(), Duration::from_millis(300))
        };
        assert_eq!(connect(64).unwrap_err().kind(), io::ErrorKind::TimedOut);
        connect(255).unwrap();
    }
}
