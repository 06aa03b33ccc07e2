//! Sockets the standard library does not know. The only unsafe code of Herald lives here, each
//! block with its reason.
//!
//! Not here: what frames mean (`herald_l2`), when they are sent (`fast`).

#![expect(unsafe_code, reason = "system calls that no safe wrapper offers")]

mod bfd;
mod copies;
mod datagram;
mod discovery;
mod echo;
mod filter;
mod groups;
mod message;
mod mirror;
mod packet;
mod poll;
mod port;
mod schedule;
pub(crate) mod tcp;
pub(crate) mod tcp_ao;

pub(crate) use bfd::{BfdListener, BfdSender, From};
pub(crate) use datagram::BeaconSocket;
pub(crate) use discovery::DiscoverySocket;
pub(crate) use echo::EchoSocket;
pub(crate) use groups::Groups;
pub(crate) use mirror::{Echoed, MirrorSocket};
pub(crate) use poll::wait_readable;
pub(crate) use port::Port;
pub(crate) use schedule::{Class, best, lock_memory};
