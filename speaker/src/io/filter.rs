//! What the kernel hands up: classic BPF programs over Ethernet frames.
//!
//! The filter keeps the speaker asleep while the LAN is busy with other things; nothing is decided
//! by it, every check is made again on the frame.

use socket2::SockFilter;

/// Load a 16-bit or 8-bit value at an offset, compare, return.
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Octets handed up of a frame that passes: more than any ARP, NS or NA needs.
const SNAP: u32 = 512;

/// ARP for IPv4 over Ethernet, requests and replies.
pub(super) fn arp() -> [SockFilter; 8] {
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 5, 0x0806),
        SockFilter::new(LOAD_HALF, 0, 0, 18),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, 0x0604),
        SockFilter::new(LOAD_BYTE, 0, 0, 21),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 1),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 2),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Neighbor solicitations and advertisements without extension headers.
pub(super) fn ndp() -> [SockFilter; 8] {
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 5, 0x86dd),
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, 58),
        SockFilter::new(LOAD_BYTE, 0, 0, 54),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 135),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 136),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// The instruction after either program: what passed is handed up.
pub(super) fn accept() -> SockFilter {
    SockFilter::new(RETURN, 0, 0, SNAP)
}
