//! Putting a frame on a wire exactly as it is.

use std::os::fd::AsRawFd as _;

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Socket, Type};

use crate::netns::Netns;

/// Sends one Ethernet frame from a namespace's `eth0`.
pub fn send(netns: &Netns, frame: &[u8]) -> Result<()> {
    netns.within(|| {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        let sent = sendto(socket.as_raw_fd(), frame, &eth0()?, MsgFlags::empty())?;
        anyhow::ensure!(sent == frame.len(), "{sent} octets of a frame were sent");
        Ok(())
    })?
}

fn eth0() -> Result<LinkAddr> {
    getifaddrs()?
        .filter(|interface| interface.interface_name == "eth0")
        .find_map(|interface| interface.address?.as_link_addr().copied())
        .context("there is no eth0")
}
