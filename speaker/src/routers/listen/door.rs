//! One socket that listens.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use herald_runtime::clock;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::callers::{Realm, Terms};
use super::pace::Pace;
use crate::io::{tcp, tcp_ao};
use crate::routers::dial::CS6;
use crate::routers::keys::Keys;

/// Connections that wait in the kernel to be taken.
const BACKLOG: i32 = 64;

/// Answers to a router that accepts no lower TTL (RFC 5082); one that is nearer does not mind.
const TTL: u8 = 255;

/// One socket that listens, and what it knows.
pub(super) struct Door {
    listener: TcpListener,
    terms: Terms,
    pace: Pace,
}

impl Door {
    /// Listens on every address of the realm, once it has all keys.
    pub(super) fn open(realm: &Realm, port: u16, terms: &Terms) -> io::Result<Self> {
        let any = match realm.ipv6 {
            false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let address = SocketAddr::new(any, port);
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        if let Some(device) = &realm.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        // Connections of an earlier life may linger on this port.
        socket.set_reuse_address(true)?;
        if realm.ipv6 {
            socket.set_only_v6(true)?;
            socket.set_unicast_hops_v6(TTL.into())?;
            socket.set_tclass_v6(CS6)?;
        } else {
            socket.set_ttl_v4(TTL.into())?;
            socket.set_tos_v4(CS6)?;
        }
        socket.bind(&address.into())?;
        change(&socket, any, &Terms::default(), terms)?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            listener: TcpListener::from_std(socket.into())?,
            terms: terms.clone(),
            pace: Pace::default(),
        })
    }

    /// Other keys and another distance from now on; connections that were taken do not notice.
    pub(super) fn set(&mut self, terms: &Terms) -> io::Result<()> {
        let here = self.listener.local_addr()?.ip();
        change(&self.listener, here, &self.terms, terms)?;
        self.terms.clone_from(terms);
        Ok(())
    }
}

/// Tells a socket what is new.
fn change(
    socket: &impl std::os::fd::AsFd,
    here: IpAddr,
    before: &Terms,
    terms: &Terms,
) -> io::Result<()> {
    let is_kept =
        |router: &IpAddr, keys: &Keys, terms: &Terms| terms.keys.get(router) == Some(keys);
    let gone = before.keys.iter();
    for (router, keys) in gone.filter(|(router, keys)| !is_kept(router, keys, terms)) {
        match (keys, terms.keys.get(router)) {
            // The kernel replaces it.
            (Keys::None, _) | (Keys::Md5(_), Some(Keys::Md5(_))) => {}
            (Keys::Md5(_), _) => tcp::set_md5(socket, *router, &[])?,
            (Keys::Ao(keys), _) => {
                for key in keys {
                    tcp_ao::delete(socket, *router, key.send_id, key.receive_id)?;
                }
            }
        }
    }
    let new = terms.keys.iter();
    for (router, keys) in new.filter(|(router, keys)| !is_kept(router, keys, before)) {
        match keys {
            Keys::None => {}
            Keys::Md5(key) => tcp::set_md5(socket, *router, key)?,
            Keys::Ao(keys) => {
                for key in keys {
                    tcp_ao::add(socket, *router, key, false)?;
                }
            }
        }
    }
    if before.least_ttl != terms.least_ttl {
        tcp::set_least_ttl(socket, here, terms.least_ttl)?;
    }
    Ok(())
}

/// Where a connection was taken, and what came of it.
type Taken = (Realm, io::Result<(TcpStream, SocketAddr)>);

/// Takes the next connection at any of the doors that may take one; nothing where that is to be asked
/// again, and for ever where there is no door.
pub(super) async fn accept(doors: &mut BTreeMap<Realm, Door>) -> Option<Taken> {
    let now = clock::boot();
    let wait = doors.values().filter_map(|door| door.pace.wait(now)).min();
    let next = poll_fn(|cx| {
        let mut open = doors
            .iter_mut()
            .filter(|(_, door)| door.pace.wait(now).is_none());
        let taken = open.find_map(|(realm, door)| match door.listener.poll_accept(cx) {
            Poll::Ready(taken) => {
                match &taken {
                    Ok(_) => door.pace.spend(now),
                    Err(_) => door.pace.rest(now),
                }
                Some((realm.clone(), taken))
            }
            Poll::Pending => None,
        });
        taken.map_or(Poll::Pending, Poll::Ready)
    });
    tokio::select! {
        taken = next => Some(taken),
        () = clock::after(wait) => None,
    }
}

/// Why a realm cannot be listened on, for the operator.
pub(super) fn describe(error: &io::Error, realm: &Realm, port: u16) -> String {
    let device = realm.device.as_deref();
    match (error.kind(), device) {
        (io::ErrorKind::AddrInUse, _) => format!(
            "connections of the router are not taken, since another program of this node (FRR, BIRD, \
             Calico?) has TCP port {port}: end it, or choose another by --bgp-listen-port"
        ),
        (io::ErrorKind::PermissionDenied, _) => format!(
            "the speaker may not listen on TCP port {port}: add NET_BIND_SERVICE to its container's \
             securityContext.capabilities.add"
        ),
        (_, Some(device)) if error.raw_os_error() == Some(libc::ENODEV) => {
            format!("this node has no VRF {device} to listen in")
        }
        (_, _) => {
            format!(
                "connections of the router are not taken, as listening on TCP port {port} fails: {error}"
            )
        }
    }
}
