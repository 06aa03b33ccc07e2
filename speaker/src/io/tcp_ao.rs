//! TCP-AO keys of a socket (RFC 5925), as Linux has them since 6.7 where it was built with them.
//!
//! Not here: which key is preferred when, and what is said where the kernel has none (`routers::keys`).

use std::io;
use std::mem::size_of;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd as _};

use socket2::{Domain, Protocol, Socket, Type};

use super::tcp;

/// Options of level `IPPROTO_TCP`, from linux/tcp.h.
const TCP_AO_ADD_KEY: libc::c_int = 38;
const TCP_AO_DEL_KEY: libc::c_int = 39;
const TCP_AO_INFO: libc::c_int = 40;

/// Octets of the code in each segment: 96 bits (RFC 5926 section 3.2).
const CODE: u8 = 12;

/// The longest key the kernel takes (`TCP_AO_MAXKEYLEN`).
const LONGEST: usize = 80;

/// An algorithm of RFC 5926.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AoAlgorithm {
    /// HMAC-SHA-1-96.
    HmacSha1,
    /// AES-128-CMAC-96.
    AesCmac,
}

/// One master key tuple of one router.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AoKey {
    pub(crate) send_id: u8,
    pub(crate) receive_id: u8,
    pub(crate) algorithm: AoAlgorithm,
    pub(crate) key: Vec<u8>,
}

/// The key itself is nobody's business.
impl std::fmt::Debug for AoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "AoKey({}/{} {:?})",
            self.send_id, self.receive_id, self.algorithm
        )
    }
}

/// `struct tcp_ao_add`.
#[repr(C, align(8))]
struct Add {
    address: libc::sockaddr_storage,
    algorithm: [u8; 64],
    interface: i32,
    flags: u32,
    reserved: u16,
    prefix: u8,
    send_id: u8,
    receive_id: u8,
    code_length: u8,
    key_flags: u8,
    key_length: u8,
    key: [u8; LONGEST],
}

/// `struct tcp_ao_del`.
#[repr(C, align(8))]
struct Delete {
    address: libc::sockaddr_storage,
    interface: i32,
    flags: u32,
    reserved: u16,
    prefix: u8,
    send_id: u8,
    receive_id: u8,
    current: u8,
    receive_next: u8,
    key_flags: u8,
}

/// `struct tcp_ao_info_opt`.
#[repr(C, align(8))]
#[derive(Default)]
struct Info {
    flags: u32,
    reserved: u16,
    current: u8,
    receive_next: u8,
    counters: [u64; 5],
}

/// Bit fields of C, in the order of the header.
const SET_CURRENT: u32 = bit(0);
const SET_RECEIVE_NEXT: u32 = bit(1);

const fn bit(number: u32) -> u32 {
    if cfg!(target_endian = "little") {
        1 << number
    } else {
        1 << (31 - number)
    }
}

/// Whether the kernel has TCP-AO.
pub(crate) fn is_supported() -> bool {
    let tried = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).and_then(|socket| {
        let key = AoKey {
            send_id: 1,
            receive_id: 1,
            algorithm: AoAlgorithm::HmacSha1,
            key: vec![1],
        };
        add(&socket, std::net::Ipv4Addr::LOCALHOST.into(), &key, false)
    });
    tried.is_ok()
}

/// Signs segments to and from `router` by this key, too; `preferred`: by this one from now on, which a
/// socket that listens cannot be told.
///
/// # Errors
/// `ENOPROTOOPT`: the kernel has no TCP-AO. `EEXIST`: one of the identifiers is taken.
pub(crate) fn add(
    socket: &impl AsFd,
    router: IpAddr,
    key: &AoKey,
    preferred: bool,
) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a key has at most 80 octets");
    let mut add = Add {
        address: tcp::storage(router),
        algorithm: [0; 64],
        interface: 0,
        flags: if preferred {
            SET_CURRENT | SET_RECEIVE_NEXT
        } else {
            0
        },
        reserved: 0,
        prefix: prefix(router),
        send_id: key.send_id,
        receive_id: key.receive_id,
        code_length: CODE,
        key_flags: 0,
        key_length: u8::try_from(key.key.len()).map_err(|_| too_long())?,
        key: [0; LONGEST],
    };
    let place = add.key.get_mut(..key.key.len()).ok_or_else(too_long)?;
    place.copy_from_slice(&key.key);
    let name: &[u8] = match key.algorithm {
        AoAlgorithm::HmacSha1 => b"hmac(sha1)",
        AoAlgorithm::AesCmac => b"cmac(aes128)",
    };
    for (octet, letter) in add.algorithm.iter_mut().zip(name) {
        *octet = *letter;
    }
    tcp::set(socket, libc::IPPROTO_TCP, TCP_AO_ADD_KEY, &add)
}

/// Forgets a key.
///
/// # Errors
/// `EBUSY`: the connection is using it.
pub(crate) fn delete(
    socket: &impl AsFd,
    router: IpAddr,
    send_id: u8,
    receive_id: u8,
) -> io::Result<()> {
    let delete = Delete {
        address: tcp::storage(router),
        interface: 0,
        flags: 0,
        reserved: 0,
        prefix: prefix(router),
        send_id,
        receive_id,
        current: 0,
        receive_next: 0,
        key_flags: 0,
    };
    tcp::set(socket, libc::IPPROTO_TCP, TCP_AO_DEL_KEY, &delete)
}

/// Asks the router to sign by the key that is received by this identifier (RNextKeyID, RFC 5925 section
/// 2.2); this end follows when the router asks likewise.
///
/// # Errors
/// `ENOENT`: there is no such key, or the connection is not signed by TCP-AO.
pub(crate) fn ask_for(socket: &impl AsFd, receive_id: u8) -> io::Result<()> {
    let info = Info {
        flags: SET_RECEIVE_NEXT,
        receive_next: receive_id,
        ..Info::default()
    };
    tcp::set(socket, libc::IPPROTO_TCP, TCP_AO_INFO, &info)
}

/// Whether the segments of a connection are signed by TCP-AO.
pub(crate) fn is_signed(socket: &impl AsFd) -> bool {
    let mut info = Info::default();
    let Ok(mut length) = libc::socklen_t::try_from(size_of::<Info>()) else {
        return false;
    };
    // SAFETY: the descriptor is borrowed and open; `info` has room for `length` octets, any of which make
    // a valid Info, and both live until the call returns.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_AO_INFO,
            std::ptr::from_mut(&mut info).cast(),
            &raw mut length,
        )
    };
    outcome == 0
}

const fn prefix(router: IpAddr) -> u8 {
    if router.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::mem::offset_of;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn key(id: u8, algorithm: AoAlgorithm, text: &str) -> AoKey {
        AoKey {
            send_id: id,
            receive_id: id,
            algorithm,
            key: text.as_bytes().to_vec(),
        }
    }

    /// include/uapi/linux/tcp.h of Linux 6.7: the sizes and places of `struct tcp_ao_add`, `tcp_ao_del`
    /// and `tcp_ao_info_opt`, by the members before.
    #[test]
    fn the_structures_are_laid_out_as_the_kernels() {
        assert_eq!(size_of::<libc::sockaddr_storage>(), 128);
        assert_eq!((size_of::<Add>(), align_of::<Add>()), (288, 8));
        assert_eq!(offset_of!(Add, algorithm), 128);
        assert_eq!(offset_of!(Add, interface), 192);
        assert_eq!(offset_of!(Add, flags), 196);
        assert_eq!(offset_of!(Add, reserved), 200);
        assert_eq!(offset_of!(Add, prefix), 202);
        assert_eq!(offset_of!(Add, send_id), 203);
        assert_eq!(offset_of!(Add, receive_id), 204);
        assert_eq!(offset_of!(Add, code_length), 205);
        assert_eq!(offset_of!(Add, key_flags), 206);
        assert_eq!(offset_of!(Add, key_length), 207);
        assert_eq!(offset_of!(Add, key), 208);
        assert_eq!((size_of::<Delete>(), align_of::<Delete>()), (144, 8));
        assert_eq!(offset_of!(Delete, interface), 128);
        assert_eq!(offset_of!(Delete, flags), 132);
        assert_eq!(offset_of!(Delete, prefix), 138);
        assert_eq!(offset_of!(Delete, send_id), 139);
        assert_eq!(offset_of!(Delete, receive_id), 140);
        assert_eq!(offset_of!(Delete, key_flags), 143);
        assert_eq!((size_of::<Info>(), align_of::<Info>()), (48, 8));
        assert_eq!(offset_of!(Info, current), 6);
        assert_eq!(offset_of!(Info, receive_next), 7);
        assert_eq!(offset_of!(Info, counters), 8);
    }

    fn connect(port: u16, keys: &[AoKey]) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        for (i, key) in keys.iter().enumerate() {
            add(&socket, HERE, key, i == 0)?;
        }
        let address = SocketAddr::new(HERE, port);
        socket.connect_timeout(&address.into(), Duration::from_millis(300))?;
        Ok(socket.into())
    }

    /// On a kernel without TCP-AO, that it says so; on others, what it is for.
    #[test]
    fn the_kernel_takes_keys_where_it_has_tcp_ao() {
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let one = key(1, AoAlgorithm::HmacSha1, "one");
        let two = key(2, AoAlgorithm::AesCmac, "two");
        if !is_supported() {
            let error = add(&listener, HERE, &one, false).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOPROTOOPT));
            assert!(connect(port, &[one]).is_err());
            return;
        }
        for key in [&one, &two] {
            add(&listener, HERE, key, false).unwrap();
        }
        assert!(connect(port, &[]).is_err());
        assert!(connect(port, &[key(1, AoAlgorithm::HmacSha1, "other")]).is_err());
        let mut near = connect(port, &[one, two]).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        assert!(is_signed(&near) && is_signed(&far) && !is_signed(&listener));
        for ask in [1, 2, 1] {
            ask_for(&near, ask).unwrap();
            near.write_all(b"x").unwrap();
            far.read_exact(&mut [0]).unwrap();
            far.write_all(b"y").unwrap();
            near.read_exact(&mut [0]).unwrap();
        }
        assert!(ask_for(&near, 3).is_err());
        delete(&listener, HERE, 1, 1).unwrap();
    }
}
