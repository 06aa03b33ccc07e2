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
/// Load four times the low half of an octet (the length of an IPv4 header) as index; load a 16-bit value
/// behind the index; jump when one of these bits is set.
const INDEX_HEADER: u16 = 0xb1;
const LOAD_HALF_BEHIND: u16 = 0x48;
const JUMP_IF_ANY: u16 = 0x45;

/// Octets handed up of a frame that passes: more than any ARP, NS, NA or BFD packet needs.
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

/// UDP over IPv4 to the ports of BFD packets on one link: control and echo (RFC 5881 section 4).
pub(super) fn bfd() -> [SockFilter; 11] {
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 8, 0x0800),
        SockFilter::new(LOAD_BYTE, 0, 0, 23),
        SockFilter::new(JUMP_IF_EQUAL, 0, 6, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 20),
        SockFilter::new(JUMP_IF_ANY, 4, 0, 0x3fff),
        SockFilter::new(INDEX_HEADER, 0, 0, 14),
        SockFilter::new(LOAD_HALF_BEHIND, 0, 0, 16),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 3784),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 3785),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// The same over IPv6, without extension headers.
pub(super) fn bfd_over_ipv6() -> [SockFilter; 8] {
    [
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 5, 0x86dd),
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, 17),
        SockFilter::new(LOAD_HALF, 0, 0, 56),
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 3784),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, 3785),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// The instruction after each program: what passed is handed up.
pub(super) fn accept() -> SockFilter {
    SockFilter::new(RETURN, 0, 0, SNAP)
}
