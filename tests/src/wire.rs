//! Putting a frame on a wire exactly as it is.

use std::os::fd::AsRawFd as _;

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Socket, Type};

use crate::netns::Netns;

/// A namespace's `eth0`, open for frames.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    interface: LinkAddr,
}

impl Wire {
    /// Opens it.
    pub fn open(netns: &Netns) -> Result<Self> {
        netns.within(|| {
            Ok(Self {
                socket: Socket::new(Domain::PACKET, Type::RAW, None)?,
                interface: eth0()?,
            })
        })?
    }

    /// Sends one Ethernet frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let empty = MsgFlags::empty();
        let sent = sendto(self.socket.as_raw_fd(), frame, &self.interface, empty)?;
        anyhow::ensure!(sent == frame.len(), "{sent} octets of a frame were sent");
        Ok(())
    }

    /// The interface's link-layer address.
    pub fn mac(&self) -> Result<[u8; 6]> {
        self.interface.addr().context("eth0 has no address")
    }
}

/// Sends one Ethernet frame from a namespace's `eth0`.
pub fn send(netns: &Netns, frame: &[u8]) -> Result<()> {
    Wire::open(netns)?.send(frame)
}

fn eth0() -> Result<LinkAddr> {
    getifaddrs()?
        .filter(|interface| interface.interface_name == "eth0")
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .context("there is no eth0")
}
