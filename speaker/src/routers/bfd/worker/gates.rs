//! The ports packets come to: opened while a session needs them, shared by sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd};

use herald_bfd::{Demultiplexer, Discriminator, MULTIHOP_PORT, Origin, SINGLE_HOP_PORT};

use super::watched::Watched;
use crate::io::{BfdListener, From};
use crate::routers::bfd::wish::Route;

/// The longest packet there is.
const LONGEST: usize = 255;
/// How many datagrams of one port are read before deadlines are judged.
const BATCH: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Gate {
    device: Option<String>,
    ipv6: bool,
    multihop: bool,
}

impl Gate {
    fn of(route: &Route) -> Self {
        Self {
            device: route.device.clone(),
            ipv6: route.place.router.is_ipv6(),
            multihop: route.multihop,
        }
    }

    const fn port(&self) -> u16 {
        if self.multihop {
            MULTIHOP_PORT
        } else {
            SINGLE_HOP_PORT
        }
    }
}

/// Open ports, and who gets what comes to them.
#[derive(Debug, Default)]
pub(super) struct Gates {
    open: BTreeMap<Gate, BfdListener>,
    /// By device: the same router may be there in several VRFs.
    sessions: BTreeMap<Option<String>, Demultiplexer>,
}

impl Gates {
    /// Packets of this session's router are its own from now on.
    pub(super) fn expect(&mut self, watched: &Watched) {
        let route = watched.route();
        let sessions = self.sessions.entry(route.device.clone()).or_default();
        sessions.insert(route.origin(), watched.discriminator());
    }

    /// The session is gone.
    pub(super) fn forget(&mut self, watched: &Watched) {
        if let Some(sessions) = self.sessions.get_mut(&watched.route().device) {
            sessions.remove(watched.discriminator());
        }
    }

    /// Opens the port of a route; why it cannot be had, for the operator.
    pub(super) fn open(&mut self, route: &Route) -> Option<String> {
        let gate = Gate::of(route);
        if self.open.contains_key(&gate) {
            return None;
        }
        let port = gate.port();
        match BfdListener::open(gate.ipv6, port, gate.device.as_deref()) {
            Ok(listener) => {
                self.open.insert(gate, listener);
                None
            }
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Some(format!(
                "UDP port {port} is taken on this node: does another BFD daemon run there?"
            )),
            Err(error) => Some(format!("UDP port {port} cannot be had for BFD: {error}")),
        }
    }

    /// Closes the ports that none of these needs.
    pub(super) fn retain<'a>(&mut self, routes: impl Iterator<Item = &'a Route>) {
        let needed: BTreeSet<Gate> = routes.map(Gate::of).collect();
        self.open.retain(|gate, _| needed.contains(gate));
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.open.values().map(|listener| listener.as_fd())
    }

    /// Hands out what has arrived, and how; true when there may be more.
    pub(super) fn read(&self, hand: &mut dyn FnMut(Discriminator, &[u8], &From)) -> bool {
        let mut more = false;
        for (gate, listener) in &self.open {
            let mut buffer = [0; LONGEST];
            let mut count = 0;
            while let Ok(Some(from)) = listener.receive(&mut buffer) {
                let datagram = buffer.get(..from.length).unwrap_or_default();
                let origin = Origin {
                    address: from.address,
                    interface: from.interface,
                    multihop: gate.multihop,
                };
                let sessions = self.sessions.get(&gate.device);
                match sessions.map(|sessions| sessions.select(datagram, origin)) {
                    Some(Ok(session)) => hand(session, datagram, &from),
                    Some(Err(reason)) => {
                        tracing::trace!(address = %from.address, %reason, "BFD packet dropped");
                    }
                    None => {}
                }
                count += 1;
                if count == BATCH {
                    more = true;
                    break;
                }
            }
        }
        more
    }
}
