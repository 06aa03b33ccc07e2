//! Opens a TCP connection to a router as its order says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use herald_bgp::Local;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use super::keys::{self, Change, Keys};
use super::order::Dial;
use crate::io::{tcp, tcp_ao};
use crate::links::{Link, Links};

/// Network control, as routers mark it (RFC 4594 section 3.1).
pub(super) const CS6: u32 = 48 << 2;

/// Connects; gives up only when the kernel does.
pub(super) async fn connect(dial: &Dial, hold_time: Duration) -> io::Result<TcpStream> {
    let place = dial.place();
    let router = place.port(dial.port);
    let socket = Socket::new(
        Domain::for_address(router),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if let Some(device) = &dial.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    prepare(&socket, dial, hold_time)?;
    if let Keys::Ao(keys) = &dial.keys {
        for (i, key) in keys.iter().enumerate() {
            tcp_ao::add(&socket, dial.router, key, i == 0)?;
        }
    }
    if let Some(source) = dial.source {
        socket.bind(&place.from(source).into())?;
    }
    TcpSocket::from_std_stream(socket.into())
        .connect(router)
        .await
}

/// Tells a socket what holds for the session, whoever opened the connection: before anything is written
/// to it or read from it.
pub(super) fn prepare(socket: &Socket, dial: &Dial, hold_time: Duration) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    match dial.router {
        IpAddr::V4(_) => {
            socket.set_ttl_v4(dial.ttl.into())?;
            socket.set_tos_v4(CS6)?;
        }
        IpAddr::V6(_) => {
            socket.set_unicast_hops_v6(dial.ttl.into())?;
            socket.set_tclass_v6(CS6)?;
        }
    }
    if let Some(least) = dial.least_ttl {
        tcp::set_least_ttl(socket, dial.router, least)?;
    }
    if let Keys::Md5(password) = &dial.keys {
        tcp::set_md5(socket, dial.router, password)?;
    }
    if !hold_time.is_zero() {
        socket.set_tcp_user_timeout(Some(hold_time))?;
    }
    Ok(())
}

/// Whether a connection that the router opened is signed as it is to be. The kernel gave it the keys of the
/// socket that listened, which may have had none when the connection came.
pub(super) fn is_signed(socket: &impl AsFd, dial: &Dial) -> bool {
    match &dial.keys {
        // `prepare` gave it the key again: without it nothing arrives from now on.
        Keys::None | Keys::Md5(_) => true,
        Keys::Ao(_) => tcp_ao::is_signed(socket),
    }
}

/// Other keys for a connection that stands; false: it cannot go on with them.
pub(super) fn rekey(socket: &impl AsFd, router: IpAddr, before: &Keys, after: &Keys) -> bool {
    let md5 = |key: &[u8]| tcp::set_md5(socket, router, key).is_ok();
    match (before, after) {
        (Keys::None | Keys::Md5(_), Keys::Md5(key)) => md5(key),
        (Keys::None | Keys::Md5(_), Keys::None) => md5(&[]),
        (Keys::Ao(before), Keys::Ao(after)) => {
            let told = |change: &Change| match change {
                Change::Add(key) => tcp_ao::add(socket, router, key, false).is_ok(),
                Change::AskFor(receive_id) => tcp_ao::ask_for(socket, *receive_id).is_ok(),
                Change::Delete(send_id, receive_id) => {
                    // One that is in use until the router follows goes with the connection.
                    let _in_use = tcp_ao::delete(socket, router, *send_id, *receive_id);
                    true
                }
            };
            keys::changes(before, after).is_some_and(|changes| changes.iter().all(told))
        }
        (Keys::Ao(_), Keys::None | Keys::Md5(_)) | (Keys::None | Keys::Md5(_), Keys::Ao(_)) => {
            false
        }
    }
}

/// What went wrong, for the operator: what the kernel says of a router that is there and of one that is
/// not, and what a password may have to do with it.
pub(super) fn describe(error: &io::Error, dial: &Dial) -> String {
    let Dial {
        port, source, keys, ..
    } = dial;
    let router = dial.place();
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        format!("{router} refuses connections to port {port}: is BGP running there?")
    } else if kind == io::ErrorKind::AddrNotAvailable {
        match source {
            Some(source) => format!("sourceAddress {source} is not an address of this node"),
            None => format!("this node has no address to reach {router} from"),
        }
    } else if kind == io::ErrorKind::TimedOut && matches!(keys, Keys::Ao(_)) {
        format!(
            "{router} does not answer: it is down, or its TCP-AO keys are not those of the Secrets"
        )
    } else if kind == io::ErrorKind::TimedOut && *keys != Keys::None {
        format!("{router} does not answer: it is down, or its password is not the Secret's")
    } else if kind == io::ErrorKind::TimedOut {
        format!("{router} does not answer: it is down, not reachable, or wants a password")
    } else {
        format!("{router} port {port}: {error}")
    }
}

/// The addresses of this node that routes may point to, for a connection from `session`: those of the
/// interface that has it. A link-local address may be that of several, of which its scope names one.
pub(super) fn local(session: SocketAddr, links: &Links) -> Local {
    let scope = match session {
        SocketAddr::V6(session) => session.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let session = session.ip();
    let mut local = Local::of(session);
    let has = |link: &Link| {
        link.addresses
            .iter()
            .any(|(address, _)| *address == session)
    };
    let link = match scope {
        0 => links.values().find(|link| has(link)),
        index => links.get(&index),
    };
    for (address, _) in link.into_iter().flat_map(|link| &link.addresses) {
        match address {
            IpAddr::V4(address) => local.ipv4 = local.ipv4.or(Some(*address)),
            IpAddr::V6(address) if address.is_unicast_link_local() => {}
            IpAddr::V6(address) => local.ipv6 = local.ipv6.or(Some(*address)),
        }
    }
    local
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    /// Interfaces over one cable often have one hardware address, and one link-local address by it.
    #[test]
    fn next_hops_are_addresses_of_the_interface_of_the_session() {
        let here = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
        let link = |address: &str| Link {
            addresses: vec![(here.into(), 64), (address.parse().unwrap(), 24)],
            ..Link::default()
        };
        let links = Links::from([(2, link("192.0.2.1")), (3, link("2001:db8::1"))]);
        let scoped = |index| SocketAddrV6::new(here, 4242, 0, index).into();
        let two = local(scoped(2), &links);
        assert_eq!(two.session, IpAddr::from(here));
        assert_eq!(
            (two.ipv4, two.ipv6),
            (Some("192.0.2.1".parse().unwrap()), None)
        );
        let three = local(scoped(3), &links);
        assert_eq!(
            (three.ipv4, three.ipv6),
            (None, Some("2001:db8::1".parse().unwrap()))
        );
        let four = local("192.0.2.1:4242".parse().unwrap(), &links);
        assert_eq!(four.ipv4, Some("192.0.2.1".parse().unwrap()));
    }
}
